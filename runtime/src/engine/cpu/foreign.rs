//! A part of a graph on tract, between planes of the machine.

use std::sync::Mutex;
use std::time::Duration;

use tract_onnx::prelude::*;

use super::machine::PlaneWork;
use super::planes::Shared;
use super::pool::Pool;
use super::simd::Isa;
use crate::clock;
use crate::engine::graph::Size;
use crate::engine::graph::foreign::Part;
use crate::network::guard;

/// Runs the part. Allocates on every run.
pub struct Foreign {
    what: String,
    run: Option<Arc<TypedRunnableModel>>,
    inputs: Vec<(Vec<usize>, Size)>,
    outputs: Vec<Size>,
    /// Why the last run failed.
    trouble: Mutex<Option<String>>,
}

impl Foreign {
    /// Optimises the part for tract. What tract cannot prepare is told by [`PlaneWork::trouble`].
    pub fn new(part: &Part) -> Foreign {
        let made = guard::tract(|| part.model.clone().into_optimized()?.into_runnable());
        let (run, trouble) = match made {
            Ok(run) => (Some(run), None),
            Err(trouble) => (None, Some(trouble.to_string())),
        };
        let what = part.nodes.join(", ");
        Foreign { what, run, inputs: part.inputs.clone(), outputs: part.outputs.clone(), trouble: Mutex::new(trouble) }
    }

    /// What runs.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// How long a run takes, tried on zeros.
    pub fn trial(&self) -> Result<Duration, String> {
        let Some(run) = &self.run else { return Err(self.trouble().unwrap_or_default()) };
        let zero = |(shape, _): &(Vec<usize>, Size)| Tensor::zero::<f32>(shape).map(Tensor::into_tvalue);
        let zeros = || self.inputs.iter().map(zero).collect::<TractResult<TVec<_>>>();
        let mut least = Duration::MAX;
        for _ in 0..2 {
            let began = clock::now();
            guard::tract(|| run.run(zeros()?)).map_err(|trouble| trouble.to_string())?;
            least = least.min(clock::now() - began);
        }
        Ok(least)
    }

    fn tensors(&self, input: &[Shared]) -> TractResult<TVec<TValue>> {
        let mut planes = input.iter();
        let mut tensors = TVec::new();
        for (shape, size) in &self.inputs {
            let mut values = Vec::with_capacity(size.numbers());
            for plane in planes.by_ref().take(size.channels) {
                // SAFETY: the caller's promise of `run`: a plane of as many pixels as this input's have.
                values.extend_from_slice(unsafe { std::slice::from_raw_parts(plane.0, size.pixels()) });
            }
            tensors.push(Tensor::from_shape(shape, &values)?.into_tvalue());
        }
        Ok(tensors)
    }
}

impl PlaneWork for Foreign {
    unsafe fn run(&self, _: Isa, _: &mut Pool, _: Shared, input: &[Shared], output: &[Shared]) {
        let Some(run) = &self.run else { return };
        let results = guard::tract(|| run.run(self.tensors(input)?));
        let mut planes = output.iter();
        match results {
            Ok(results) => {
                for (size, result) in self.outputs.iter().zip(&results) {
                    let values = result.as_plain_ram().and_then(|view| view.as_slice::<f32>().ok()).unwrap_or_default();
                    for (values, plane) in values.chunks_exact(size.pixels()).zip(planes.by_ref()) {
                        // SAFETY: the caller's promise: a plane of as many pixels as this output's have, which overlaps nothing.
                        unsafe { std::slice::from_raw_parts_mut(plane.0, values.len()) }.copy_from_slice(values);
                    }
                }
            }
            Err(trouble) => *self.trouble.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(trouble.to_string()),
        }
    }

    fn describe(&self) -> String {
        format!("on tract: {}", self.what)
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}
