//! Resizing, padding, cropping, and depth to space and back.

use tract_onnx::pb::NodeProto;

use super::{Id, Lowering, Size, Source, Value, whole};
use crate::engine::cpu::conv_transposed::Shuffle;
use crate::engine::cpu::gather::{Gather, OUTSIDE};
use crate::engine::cpu::interpolate::{Between, Interpolate};
use crate::engine::cpu::machine::{Operation, PlaneWork, View};
use crate::engine::cpu::onnx::Attributes;

/// How an output's coordinate becomes an input's, along one axis.
struct Axis<'a> {
    mode: &'a str,
    input: usize,
    output: usize,
    scale: f64,
}

impl Axis<'_> {
    fn coordinate(&self, x: usize) -> Result<f64, String> {
        let x = x as f64;
        Ok(match self.mode {
            "asymmetric" => x / self.scale,
            "half_pixel" => (x + 0.5) / self.scale - 0.5,
            "pytorch_half_pixel" if self.output == 1 => 0.0,
            "pytorch_half_pixel" => (x + 0.5) / self.scale - 0.5,
            "align_corners" if self.output == 1 => 0.0,
            "align_corners" => x * (self.input - 1) as f64 / (self.output - 1) as f64,
            other => return Err(format!("coordinates by '{other}' are not covered")),
        })
    }

    /// The nearest input of each output. Which one that is must not hang on rounding: scales are whole, or one over a whole number.
    fn nearest(&self, rounding: &str) -> Result<Vec<usize>, String> {
        let whole = |scale: f64| (scale - scale.round()).abs() < 1e-6;
        if !whole(self.scale) && !whole(1.0 / self.scale) {
            return Err(format!("nearest at a scale of {} is not covered", self.scale));
        }
        let one = |x| {
            let x = self.coordinate(x)?;
            // A hair's breadth, so that 2.9999999 is 3.
            let near = match rounding {
                "" | "round_prefer_floor" => (x - 0.5 - 1e-9).ceil(),
                "round_prefer_ceil" => (x + 0.5 + 1e-9).floor(),
                "floor" => (x + 1e-9).floor(),
                "ceil" => (x - 1e-9).ceil(),
                other => return Err(format!("rounding by '{other}' is not covered")),
            };
            Ok(near.clamp(0.0, (self.input - 1) as f64) as usize)
        };
        (0..self.output).map(one).collect()
    }

    fn linear(&self) -> Result<Vec<Between>, String> {
        let one = |x| {
            let x = self.coordinate(x)?.clamp(0.0, (self.input - 1) as f64);
            let first = x.floor() as usize;
            Ok((first, (first + 1).min(self.input - 1), (x - x.floor()) as f32))
        };
        (0..self.output).map(one).collect()
    }
}

impl Lowering<'_> {
    pub(super) fn resize(&mut self, node: &NodeProto) -> Result<Value, String> {
        let attributes = Attributes(node);
        let (id, size) = self.tensor(node, 0)?;
        if !matches!(attributes.text("keep_aspect_ratio_policy"), "" | "stretch") {
            return Err("sizes that keep the aspect ratio are not covered".into());
        }
        if attributes.int("antialias", 0) != 0 || attributes.int("exclude_outside", 0) != 0 {
            return Err("antialiasing and exclude_outside are not covered".into());
        }
        let axes = match attributes.list("axes") {
            [] => vec![0, 1, 2, 3],
            axes => axes.iter().map(|&axis| axis.rem_euclid(4) as usize).collect(),
        };
        let given = |at: usize| -> Result<Option<Vec<f32>>, String> {
            match self.optional(node, at) {
                Some(Value::Constant(numbers)) if numbers.values.is_empty() => Ok(None),
                Some(Value::Constant(numbers)) if numbers.values.len() == axes.len() => Ok(Some(numbers.values.clone())),
                Some(_) => Err("its scales or sizes are not one constant for each axis".into()),
                None => Ok(None),
            }
        };
        let (scales, sizes) = (given(2)?, given(3)?);
        let from = [1, size.channels, size.rows, size.columns];
        let mut to = from;
        let mut scale = [1.0f64; 4];
        for (at, &axis) in axes.iter().enumerate() {
            (to[axis], scale[axis]) = match (&sizes, &scales) {
                (Some(sizes), _) => (sizes[at] as usize, f64::from(sizes[at]) / from[axis] as f64),
                (None, Some(scales)) => ((from[axis] as f64 * f64::from(scales[at]) + 1e-6).floor() as usize, f64::from(scales[at])),
                (None, None) => return Err("neither scales nor sizes are given".into()),
            };
        }
        if to[..2] != from[..2] || to[2] * to[3] == 0 {
            return Err(format!("{from:?} to {to:?} is not covered"));
        }
        let mode = match attributes.text("coordinate_transformation_mode") {
            "" => "half_pixel",
            mode => mode,
        };
        let axis = |d: usize| Axis { mode, input: from[d], output: to[d], scale: scale[d] };
        let input = [size.rows, size.columns];
        let work: Box<dyn PlaneWork> = match attributes.text("mode") {
            "" | "nearest" => {
                let rounding = attributes.text("nearest_mode");
                Box::new(Gather::new(input, axis(2).nearest(rounding)?, axis(3).nearest(rounding)?, 0.0))
            }
            "linear" => Box::new(Interpolate::new(input, axis(2).linear()?, axis(3).linear()?)),
            other => return Err(format!("resizing by '{other}' is not covered")),
        };
        let view = self.evaluate(id, size, None);
        Ok(self.planes(node, work, view, Size { rows: to[2], columns: to[3], ..size }))
    }

    pub(super) fn pad(&mut self, node: &NodeProto) -> Result<Value, String> {
        let attributes = Attributes(node);
        let (id, size) = self.tensor(node, 0)?;
        let counts: Vec<i64> = self.constants(node, 1)?.values.iter().map(|&n| n as i64).collect();
        let fill = match self.optional(node, 2) {
            Some(Value::Constant(fill)) => fill.number().ok_or("it fills with more than one number")?,
            Some(_) => return Err("what it fills with is not constant".into()),
            None => 0.0,
        };
        let axes: Vec<usize> = match self.optional(node, 3) {
            Some(Value::Constant(axes)) => axes.values.iter().map(|&axis| (axis as i64).rem_euclid(4) as usize).collect(),
            Some(_) => return Err("its axes are not constant".into()),
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
            let pads = [begin[2], begin[3], end[2], end[3]].map(|n| n as usize);
            return Ok(Value::Padded(id, size, pads));
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
        self.gather(node, id, size, Gather::new(input, rows, columns, fill))
    }

    /// Pixels of a value by their numbers.
    pub(super) fn gather(&mut self, node: &NodeProto, id: Id, size: Size, gather: Gather) -> Result<Value, String> {
        let [rows, columns] = gather.output();
        if rows * columns == 0 {
            return Err("no pixel is left".into());
        }
        let view = self.evaluate(id, size, None);
        Ok(self.planes(node, Box::new(gather), view, Size { rows, columns, ..size }))
    }

    /// A value with a border of zeros, in memory.
    pub(super) fn bordered(&mut self, id: Id, size: Size, [top, left, bottom, right]: [usize; 4]) -> (Id, Size) {
        let numbers = |before, n: usize, after| {
            std::iter::repeat_n(OUTSIDE, before).chain(0..n).chain(std::iter::repeat_n(OUTSIDE, after)).collect::<Vec<_>>()
        };
        let gather = Gather::new([size.rows, size.columns], numbers(top, size.rows, bottom), numbers(left, size.columns, right), 0.0);
        let input = self.evaluate(id, size, None);
        let size = Size { rows: size.rows + top + bottom, columns: size.columns + left + right, ..size };
        let output = whole(self.layout.buffer(size.channels, size.pixels()), size.channels);
        self.operations.push(Operation::Planes { work: Box::new(gather), input, output: output.clone() });
        (self.source(Source::View(output)), size)
    }

    pub(super) fn depth_to_space(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (id, size) = self.tensor(node, 0)?;
        let n = Attributes(node).int("blocksize", 0);
        if n == 0 || size.channels % (n * n) != 0 {
            return Err(format!("{} channels are not blocks of {n} x {n}", size.channels));
        }
        let channels = size.channels / (n * n);
        let view = self.evaluate(id, size, None);
        let plane = |channel: usize, rest: usize| match Attributes(node).text("mode") {
            "CRD" => Ok(view[channel * n * n + rest]),
            "" | "DCR" => Ok(view[rest * channels + channel]),
            other => Err(format!("an order of '{other}' is not covered")),
        };
        let input: View =
            (0..channels).flat_map(|c| (0..n * n).map(move |rest| (c, rest))).map(|(c, rest)| plane(c, rest)).collect::<Result<_, _>>()?;
        let size = Size { channels, rows: size.rows * n, columns: size.columns * n };
        let shuffle = Shuffle { rests: [n, n], columns: size.columns / n, begin: [0, 0], output: [size.rows, size.columns] };
        let (value, output) = self.destination(node, size);
        self.operations.push(Operation::Shuffle { shuffle, input, output });
        Ok(value)
    }

    /// `n x n` pixels to as many channels: block position first (as the node has it), or channel first (as pixel unshuffle has it).
    pub(super) fn space_to_depth(&mut self, node: &NodeProto, id: Id, size: Size, n: usize, channel_first: bool) -> Result<Value, String> {
        if n == 0 || size.rows % n + size.columns % n != 0 {
            return Err(format!("{size:?} is not blocks of {n} x {n}"));
        }
        let view = self.evaluate(id, size, None);
        let to = Size { channels: size.channels * n * n, rows: size.rows / n, columns: size.columns / n };
        let (value, output) = self.destination(node, to);
        for rest in 0..n * n {
            let numbers = |first: usize, count: usize| (0..count).map(|at| at * n + first).collect::<Vec<_>>();
            let gather = Gather::new([size.rows, size.columns], numbers(rest / n, to.rows), numbers(rest % n, to.columns), 0.0);
            let channel = |c: usize| if channel_first { c * n * n + rest } else { rest * size.channels + c };
            let output = (0..size.channels).map(|c| output[channel(c)]).collect();
            self.operations.push(Operation::Planes { work: Box::new(gather), input: view.clone(), output });
        }
        Ok(value)
    }

    /// A value that some work on planes makes of others.
    pub(super) fn planes(&mut self, node: &NodeProto, work: Box<dyn PlaneWork>, input: View, size: Size) -> Value {
        let (value, output) = self.destination(node, size);
        self.operations.push(Operation::Planes { work, input, output });
        value
    }
}
