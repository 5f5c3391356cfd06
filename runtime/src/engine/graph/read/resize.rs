//! Resizing: which input pixels an output pixel is made of.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Reader};
use crate::engine::graph::{Between, Id, Kind, Size, Value};

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

impl Reader {
    pub(super) fn resize(&mut self, node: &NodeProto) -> Result<Id, String> {
        let attributes = Attributes(node);
        let (id, size) = self.picture(node, 0)?;
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
            match self.optional_constant(node, at)? {
                Some(numbers) if numbers.values.is_empty() => Ok(None),
                Some(numbers) if numbers.values.len() == axes.len() => Ok(Some(numbers.values.clone())),
                Some(_) => Err("its scales or sizes are not one for each axis".into()),
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
        match attributes.text("mode") {
            "" | "nearest" => {
                let rounding = attributes.text("nearest_mode");
                self.gather(id, axis(2).nearest(rounding)?, axis(3).nearest(rounding)?, 0.0)
            }
            "linear" => {
                let kind = Kind::Interpolate { input: id, rows: axis(2).linear()?, columns: axis(3).linear()? };
                Ok(self.emit(kind, Value::picture(Size { rows: to[2], columns: to[3], ..size })))
            }
            other => Err(format!("resizing by '{other}' is not covered, only nearest and linear")),
        }
    }
}
