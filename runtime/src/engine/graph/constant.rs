//! Numbers known when a graph is loaded.

use super::{Axis, Size, Value};

/// Numbers known when a graph is loaded; whole numbers are held as floats, which is exact for any size or axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its shape; none for a scalar.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Constant {
    /// The number, if there is only one.
    pub fn number(&self) -> Option<f32> {
        if self.values.len() == 1 { Some(self.values[0]) } else { None }
    }

    /// As whole numbers.
    pub fn whole(&self) -> Vec<i64> {
        self.values.iter().map(|&n| n as i64).collect()
    }

    /// Each number through `f`.
    pub fn map(&self, f: impl Fn(f32) -> f32) -> Constant {
        Constant { shape: self.shape.clone(), values: self.values.iter().map(|&x| f(x)).collect() }
    }

    /// Pairs of numbers through `f`; the shapes are equal or one of the two is a single number.
    pub fn zip(&self, other: &Constant, f: impl Fn(f32, f32) -> f32) -> Result<Constant, String> {
        match (self.number(), other.number()) {
            (_, Some(b)) if self.shape.len() >= other.shape.len() => Ok(self.map(|a| f(a, b))),
            (Some(a), _) => Ok(other.map(|b| f(a, b))),
            _ if self.shape == other.shape => {
                let values = self.values.iter().zip(&other.values).map(|(&a, &b)| f(a, b)).collect();
                Ok(Constant { shape: self.shape.clone(), values })
            }
            _ => Err(format!("constants of {:?} and {:?} are not combined", self.shape, other.shape)),
        }
    }

    /// As an operand of a value's size: its numbers in the order channels, rows, columns. None where it does not broadcast to it.
    pub fn beside(&self, value: &Value) -> Option<(Vec<f32>, Size)> {
        let extra = self.shape.len().saturating_sub(value.axes.len());
        if self.shape[..extra].iter().any(|&size| size != 1) {
            return None;
        }
        let own = &self.shape[extra..];
        let axes = &value.axes[value.axes.len() - own.len()..];
        let mut size = Size { channels: 1, rows: 1, columns: 1 };
        // How far apart neighbours along channels, rows and columns lie.
        let mut strides = [0usize; 3];
        let mut stride = 1;
        for (&n, &axis) in own.iter().zip(axes).rev() {
            if n != 1 {
                if n != value.along(axis) {
                    return None;
                }
                match axis {
                    Axis::One => return None,
                    Axis::Channels => (size.channels, strides[0]) = (n, stride),
                    Axis::Rows => (size.rows, strides[1]) = (n, stride),
                    Axis::Columns => (size.columns, strides[2]) = (n, stride),
                    Axis::Pixels => {
                        (size.rows, size.columns) = (value.size.rows, value.size.columns);
                        (strides[1], strides[2]) = (value.size.columns * stride, stride);
                    }
                }
            }
            stride *= n;
        }
        let at = |number: usize| {
            let (channel, pixel) = (number / size.pixels(), number % size.pixels());
            channel * strides[0] + pixel / size.columns * strides[1] + pixel % size.columns * strides[2]
        };
        Some(((0..size.numbers()).map(|number| self.values[at(number)]).collect(), size))
    }
}
