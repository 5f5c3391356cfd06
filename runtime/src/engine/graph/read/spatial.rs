//! Padding, cropping, and depth to space and back.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Entry, Reader};
use crate::engine::graph::{ChannelOrder, Id, Kind, OUTSIDE, Size, Value};

impl Reader {
    pub(super) fn pad(&mut self, node: &NodeProto) -> Result<Vec<Entry>, String> {
        let attributes = Attributes(node);
        let (id, size) = self.picture(node, 0)?;
        let counts = self.constants(node, 1)?.whole();
        let fill = match self.optional_constant(node, 2)? {
            Some(fill) => fill.number().ok_or("it fills with more than one number")?,
            None => 0.0,
        };
        let axes: Vec<usize> = match self.optional_constant(node, 3)? {
            Some(axes) => axes.whole().iter().map(|axis| axis.rem_euclid(4) as usize).collect(),
            None => vec![0, 1, 2, 3],
        };
        let (mut begin, mut end) = ([0i64; 4], [0i64; 4]);
        if counts.len() != 2 * axes.len() {
            return Err(format!("{} counts for {} axes", counts.len(), axes.len()));
        }
        for (at, &axis) in axes.iter().enumerate() {
            (begin[axis], end[axis]) = (counts[at], counts[at + axes.len()]);
        }
        if begin[..2] != [0; 2] || end[..2] != [0; 2] {
            return Err("only rows and columns can be padded".into());
        }
        let input = [size.rows, size.columns];
        let mode = attributes.text("mode");
        let inside = begin.iter().chain(&end).all(|&n| n >= 0);
        if matches!(mode, "" | "constant") && fill == 0.0 && inside {
            return Ok(vec![Entry::Padded(id, [begin[2], begin[3], end[2], end[3]].map(|n| n as usize))]);
        }
        let numbers = |d: usize| -> Result<Vec<usize>, String> {
            let n = input[d - 2] as i64;
            (-begin[d]..n + end[d])
                .map(|at| match mode {
                    _ if (0..n).contains(&at) => Ok(at as usize),
                    "" | "constant" => Ok(OUTSIDE),
                    "edge" => Ok(at.clamp(0, n - 1) as usize),
                    "reflect" if at.max(n - 1 - at).unsigned_abs() < (2 * n - 1) as u64 => {
                        Ok(if at < 0 { -at } else { 2 * (n - 1) - at } as usize)
                    }
                    other => Err(format!("padding by '{other}' of {n} to {at} is not covered")),
                })
                .collect()
        };
        let (rows, columns) = (numbers(2)?, numbers(3)?);
        Ok(vec![Entry::Value(self.gather(id, rows, columns, fill)?)])
    }

    /// Pixels of a value by their numbers.
    pub(super) fn gather(&mut self, id: Id, rows: Vec<usize>, columns: Vec<usize>, fill: f32) -> Result<Id, String> {
        if rows.is_empty() || columns.is_empty() {
            return Err("no pixel is left".into());
        }
        let value = self.shape(id);
        let value = value.sized(Size { rows: rows.len(), columns: columns.len(), ..value.size });
        Ok(self.emit(Kind::Gather { input: id, rows, columns, fill }, value))
    }

    /// A value with a border of zeros.
    pub(super) fn bordered(&mut self, id: Id, [top, left, bottom, right]: [usize; 4]) -> Id {
        let numbers = |before, n: usize, after| {
            std::iter::repeat_n(OUTSIDE, before).chain(0..n).chain(std::iter::repeat_n(OUTSIDE, after)).collect::<Vec<_>>()
        };
        let size = self.size(id);
        let (rows, columns) = (numbers(top, size.rows, bottom), numbers(left, size.columns, right));
        self.gather(id, rows, columns, 0.0).expect("a border takes no pixel away")
    }

    pub(super) fn depth_to_space(&mut self, node: &NodeProto) -> Result<Id, String> {
        let (id, size) = self.picture(node, 0)?;
        let n = Attributes(node).int("blocksize", 0);
        if n == 0 || !size.channels.is_multiple_of(n * n) {
            return Err(format!("{} channels are not blocks of {n} x {n}", size.channels));
        }
        let order = match Attributes(node).text("mode") {
            "CRD" => ChannelOrder::ChannelFirst,
            "" | "DCR" => ChannelOrder::BlockFirst,
            other => return Err(format!("an order of '{other}' is not covered")),
        };
        Ok(self.shuffled(id, n, order))
    }

    /// Blocks of `n x n` channels as pixels.
    pub(super) fn shuffled(&mut self, id: Id, n: usize, order: ChannelOrder) -> Id {
        let size = self.size(id);
        let value = Value::picture(Size { channels: size.channels / (n * n), rows: size.rows * n, columns: size.columns * n });
        self.emit(Kind::PixelShuffle { input: id, block: [n, n], order, begin: [0, 0] }, value)
    }

    pub(super) fn space_to_depth(&mut self, node: &NodeProto) -> Result<Id, String> {
        let (id, size) = self.picture(node, 0)?;
        let n = Attributes(node).int("blocksize", 0);
        if n == 0 || size.rows % n + size.columns % n != 0 {
            return Err(format!("{size:?} is not blocks of {n} x {n}"));
        }
        let value = Value::picture(Size { channels: size.channels * n * n, rows: size.rows / n, columns: size.columns / n });
        Ok(self.emit(Kind::PixelUnshuffle { input: id, block: n, order: ChannelOrder::BlockFirst }, value))
    }
}
