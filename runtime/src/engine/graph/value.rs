//! What a tensor's sizes mean: which ONNX axis counts channels, rows or columns.

/// Channels, height and width of a value; its numbers lie in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Channels.
    pub channels: usize,
    /// Height.
    pub rows: usize,
    /// Width.
    pub columns: usize,
}

impl Size {
    /// Pixels of a channel.
    pub fn pixels(self) -> usize {
        self.rows * self.columns
    }

    /// Numbers in all.
    pub fn numbers(self) -> usize {
        self.channels * self.pixels()
    }
}

/// What one ONNX axis of a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Nothing: its size is 1.
    One,
    /// Channels.
    Channels,
    /// Rows.
    Rows,
    /// Columns.
    Columns,
    /// Pixels, row by row.
    Pixels,
}

/// What is known of a value: its size, and what each of its ONNX axes counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its size.
    pub size: Size,
    /// One for each ONNX axis.
    pub axes: Vec<Axis>,
}

impl Value {
    /// A picture, `[1, channels, rows, columns]`.
    pub fn picture(size: Size) -> Value {
        Value { size, axes: vec![Axis::One, Axis::Channels, Axis::Rows, Axis::Columns] }
    }

    /// Of an ONNX shape: four axes are `[1, channels, rows, columns]`; of fewer, the only one that is larger than 1 counts channels, and
    /// where several are, they are channels, rows and columns behind a batch of 1.
    pub fn of_shape(shape: &[usize]) -> Option<Value> {
        let size = |channels, rows, columns| Size { channels, rows, columns };
        if shape.contains(&0) {
            return None;
        }
        match *shape {
            [1, channels, rows, columns] => Some(Value::picture(size(channels, rows, columns))),
            [1, channels, columns] if channels > 1 && columns > 1 => {
                Some(Value { size: size(channels, 1, columns), axes: vec![Axis::One, Axis::Channels, Axis::Columns] })
            }
            _ if shape.len() < 4 && shape.iter().filter(|size| **size > 1).count() <= 1 => {
                let at = shape.iter().position(|size| *size > 1).or(shape.len().checked_sub(1));
                let axes = (0..shape.len()).map(|axis| if Some(axis) == at { Axis::Channels } else { Axis::One }).collect();
                Some(Value { size: size(shape.iter().product(), 1, 1), axes })
            }
            _ => None,
        }
    }

    /// Its ONNX shape.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| self.along(*axis)).collect()
    }

    /// Whether its numbers lie in the order of its ONNX axes.
    pub fn is_plain(&self) -> bool {
        let order = |axis: &Axis| match axis {
            Axis::Channels => 0,
            Axis::Rows | Axis::Pixels => 1,
            _ => 2,
        };
        let larger: Vec<usize> = self.axes.iter().filter(|axis| self.along(**axis) > 1).map(order).collect();
        larger.is_sorted() && self.shape().iter().product::<usize>() == self.size.numbers()
    }

    /// Whether it is `[1, channels, rows, columns]`.
    pub fn is_picture(&self) -> bool {
        self.axes == [Axis::One, Axis::Channels, Axis::Rows, Axis::Columns]
    }

    /// The same axes over another size.
    pub fn sized(&self, size: Size) -> Value {
        Value { size, axes: self.axes.clone() }
    }

    /// How many an axis counts.
    pub fn along(&self, axis: Axis) -> usize {
        match axis {
            Axis::One => 1,
            Axis::Channels => self.size.channels,
            Axis::Rows => self.size.rows,
            Axis::Columns => self.size.columns,
            Axis::Pixels => self.size.pixels(),
        }
    }

    /// An axis by its ONNX number, counted from the end where that is negative.
    pub fn axis(&self, number: i64) -> Result<Axis, String> {
        let rank = self.axes.len() as i64;
        let at = if number < 0 { number + rank } else { number };
        usize::try_from(at).ok().and_then(|at| self.axes.get(at)).copied().ok_or_else(|| format!("has no axis {number}"))
    }

    /// What an element-wise operator of two values makes: sizes of 1 are broadcast, axes are counted from the last.
    pub fn joined(&self, other: &Value) -> Result<Value, String> {
        let cannot = || format!("{:?} cannot be combined with {:?}", self.shape(), other.shape());
        let rank = self.axes.len().max(other.axes.len());
        let behind = |value: &Value, back: usize| value.axes.len().checked_sub(back).map_or(Axis::One, |at| value.axes[at]);
        let mut axes = Vec::with_capacity(rank);
        for back in (1..=rank).rev() {
            let (a, b) = (behind(self, back), behind(other, back));
            let (n, m) = (self.along(a), other.along(b));
            axes.push(match (n, m) {
                _ if a == b && (n == m || n == 1 || m == 1) => a,
                (_, 1) => a,
                (1, _) => b,
                _ => return Err(cannot()),
            });
        }
        let wide = |a: usize, b: usize| if a == 1 { b } else { a };
        let size = Size {
            channels: wide(self.size.channels, other.size.channels),
            rows: wide(self.size.rows, other.size.rows),
            columns: wide(self.size.columns, other.size.columns),
        };
        let fits = |of: Size| {
            [(of.channels, size.channels), (of.rows, size.rows), (of.columns, size.columns)]
                .iter()
                .all(|(own, all)| own == all || *own == 1)
        };
        let joined = Value { size, axes };
        // No axis twice, none lost.
        if fits(self.size) && fits(other.size) && joined.shape().iter().product::<usize>() == size.numbers() {
            Ok(joined)
        } else {
            Err(cannot())
        }
    }
}
