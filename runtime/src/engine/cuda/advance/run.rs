//! A frame's steps and readout: queued ahead, waited for once.

use std::time::Duration;

use super::super::abi;
use super::super::driver::CudaError;
use super::super::session::{ANSWERED, BEGUN, CHUNK, ENCODED, STEPPED};
use super::CudaEngine;
use crate::clock;
use crate::network::engine::{StageTimes, StepRequest};
use crate::network::halting::{Metric, Path};
use crate::outcome::MAX_STEPS;

impl CudaEngine {
    /// The most steps that end before `deadline`, as far as is known.
    fn deadline_cap(&self, deadline: Option<Duration>) -> i32 {
        match (deadline, self.step_time) {
            (Some(deadline), Some(step)) => {
                // Steps begin when the frame is encoded, which takes as long as it did before.
                let left = deadline.saturating_sub(clock::now().max((self.queued + self.times.encode).saturating_sub(self.prepared)));
                ((left.as_secs_f64() / step.as_secs_f64().max(1e-7)) as i32).clamp(1, MAX_STEPS as i32)
            }
            _ => MAX_STEPS as i32 + 1,
        }
    }

    fn order(&mut self, path: Path, order: &StepRequest) {
        let rule = &order.rule;
        let value = |option: Option<f32>| option.unwrap_or(0.0);
        let ordered = abi::Order {
            drive_known: self.session.order.read().drive_known,
            has_step: self.has_step.into(),
            slow: (path == Path::Slow).into(),
            metric: match rule.metric {
                Metric::RelativeL2 => 0,
                Metric::RelativeL1 => 1,
                Metric::Cosine => 2,
            },
            has_threshold: rule.threshold.is_some().into(),
            threshold: value(rule.threshold),
            has_surprise: rule.surprise.is_some().into(),
            surprise: value(rule.surprise),
            has_zero: rule.zero.is_some().into(),
            zero: value(rule.zero),
            min: rule.min.min(i32::MAX as u32) as i32,
            fast_cap: rule.cap(Path::Fast, order.limit) as i32,
            slow_cap: rule.cap(Path::Slow, order.limit) as i32,
            deadline_cap: self.deadline_cap(order.deadline),
            has_wake: rule.wake.is_some().into(),
            wake: value(rule.wake),
            floor: rule.floor,
            has_cut: rule.cut.is_some().into(),
            cut: value(rule.cut),
            label_threshold: value(self.label_threshold),
        };
        self.session.order.write(ordered);
    }

    fn queue_steps(&self, mut steps: u32) -> Result<(), CudaError> {
        while steps > 0 {
            let (phase, taken) = if steps >= CHUNK { (&self.session.chunk, CHUNK) } else { (&self.session.step, 1) };
            phase.queue(&self.session.stream)?;
            steps -= taken;
        }
        Ok(())
    }

    /// Queues the frame's steps and its readout, waits once, and queues more only if the device wants more than was foreseen.
    pub(super) fn run(&mut self, path: Path, order: &StepRequest) -> Result<abi::Report, CudaError> {
        self.session.context.enter()?;
        self.order(path, order);
        let before = self.session.report.read().frame;
        self.session.begin.queue(&self.session.stream)?;
        let cap = order.rule.cap(path, order.limit).max(1);
        let most = cap.max(order.rule.cap(Path::Slow, order.limit)).max(1);
        let mut queue = if order.rule.threshold.is_some() { self.expected[path as usize].clamp(1, cap) } else { cap };
        let mut queued = 0;
        self.map_made = std::mem::take(&mut self.map_wanted);
        loop {
            if self.has_step {
                self.queue_steps(queue)?;
                queued += queue;
            }
            let answer = if self.label_threshold.is_some() { &self.session.label } else { &self.session.readout };
            self.session.marks.put(STEPPED, &self.session.stream)?;
            answer.queue(&self.session.stream)?;
            if self.map_made {
                self.session.queue_map()?;
            }
            self.session.marks.put(ANSWERED, &self.session.stream)?;
            self.session.stream.wait(self.patience)?;
            let report = self.session.report.read();
            if report.frame != before.wrapping_add(1) {
                return Err(CudaError { doing: "running a frame", reason: "the GPU returned without an answer".into() });
            }
            if report.stop >= 0 {
                let between = |from, to| self.session.marks.between(from, to);
                self.times = StageTimes {
                    encode: self.prepared + between(BEGUN, ENCODED)?,
                    steps: between(ENCODED, STEPPED)?,
                    readout: between(STEPPED, ANSWERED)?,
                };
                return Ok(report);
            }
            if queued >= most.max(MAX_STEPS as u32) {
                return Err(CudaError { doing: "running a frame", reason: "the GPU does not stop stepping".into() });
            }
            queue = CHUNK.min(most.saturating_sub(queued).max(1));
        }
    }
}
