//! The GPU engine: one wait a frame, the stop decided on the device.

mod load;
mod run;

pub use load::{Kernels, Options, Precision};

use std::time::Duration;

use super::camera::Filled;
use super::driver::CudaError;
use super::host::HostPart;
use super::session::{BEGUN, ENCODED, Session};
use crate::clock;
use crate::frame::{Frame, PixelFormat};
use crate::network::engine::{Engine, EngineError, StageTimes, StepRequest};
use crate::network::halting::Path;
use crate::outcome::{Label, MAX_STEPS, StepTrace, StopReason, TileMap};
use crate::sampling::Sampling;

/// Blocks lent to a source that has not brought one back: more than go round between any camera and the engine. A source that makes new
/// memory for every picture keeps none, and lending to it would cost more than a copy.
const LENDABLE: u32 = 16;

/// How pictures came to the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Read where their source put them.
    pub in_place: u64,
    /// Copied once.
    pub copied: u64,
}

/// Runs a network on the first GPU.
pub struct CudaEngine {
    session: Session,
    name: String,
    options: Options,
    /// What the CPU makes of the input before the device begins, and the input then; what it makes of what the device gives, and the answer then.
    before: Option<HostPart>,
    input: Vec<f32>,
    behind: Option<HostPart>,
    answer: Vec<f32>,
    /// `answer` is not that of the last frame.
    unread: bool,
    has_step: bool,
    drive_known: bool,
    /// Blocks of memory that may still be lent to the source of pictures.
    lendable: u32,
    pictures: Pictures,
    /// The next frame's input is the picture taken, not [`Engine::input`].
    taken: bool,
    path: Path,
    /// Steps the last frame took, on the slow and on the fast path: how many are queued before the device is asked.
    expected: [u32; 2],
    /// What `before` took of the frame; when the rest was queued; what the last frame took, and one of its steps, smoothed.
    prepared: Duration,
    queued: Duration,
    times: StageTimes,
    step_time: Option<Duration>,
    convolutions: u64,
    convolutions_per_step: u64,
    /// Labels are asked for, with this threshold: logits come on demand alone.
    label_threshold: Option<f32>,
    /// `session.answers` are not those of the last frame.
    answers_stale: bool,
    /// The state could not be cleared: no frame may start from it.
    broken: Option<String>,
    patience: Duration,
    is_tiled: bool,
    /// Somebody asked for the last frame's tiles, so the next frame brings its own; and whether the last one did.
    map_wanted: bool,
    map_made: bool,
    /// Why it computes everything, though it was asked not to.
    not_tiled: Option<String>,
}

impl CudaEngine {
    /// Which GPU, which kernels and which arithmetic.
    pub fn description(&self) -> &str {
        &self.name
    }

    /// Whether it computes only what moved.
    pub fn is_tiled(&self) -> bool {
        self.is_tiled
    }

    /// Why it computes everything, though it was asked not to: the node that needs all of its input.
    pub fn not_tiled(&self) -> Option<&str> {
        self.not_tiled.as_deref()
    }

    /// The input as the network saw it, and the hidden states, NCHW: read back from the device, for tests.
    pub fn kept(&self) -> Result<Vec<Vec<f32>>, EngineError> {
        self.session.context.enter().and_then(|()| self.session.kept()).map_err(|error| self.failed(error))
    }

    /// How it was put on the GPU.
    pub fn options(&self) -> Options {
        self.options
    }

    /// What the CPU computes of encoder and readout, why, and what that costs: a line for each that is not whole on the GPU.
    pub fn on_cpu(&self) -> impl Iterator<Item = &str> {
        self.before.iter().chain(&self.behind).map(|part| part.told.as_str())
    }

    /// Whether every phase of more than one kernel was recorded as a graph, so that a frame is a handful of launches.
    pub fn is_recorded(&self) -> bool {
        self.session.is_recorded()
    }

    /// Bytes of the device's memory not in use by anyone, and how many it has; `None` where the driver cannot say.
    pub fn memory(&self) -> Option<(usize, usize)> {
        self.session.context.memory()
    }

    /// How pictures came to the device so far.
    pub fn pictures(&self) -> Pictures {
        self.pictures
    }

    /// Convolutions that found work to do in the steps of all frames so far, as the device counted them.
    pub fn convolutions(&self) -> u64 {
        self.convolutions
    }

    /// Convolutions in one step.
    pub fn convolutions_per_step(&self) -> u64 {
        self.convolutions_per_step
    }

    fn failed(&self, error: CudaError) -> EngineError {
        EngineError::Run { graph: "GPU".into(), reason: error.to_string() }
    }
}

/// Share of the work of so many whole graphs that was done; all of it where nothing was counted.
fn share(done: u32, whole: u32, times: u32) -> f32 {
    if whole == 0 || times == 0 { 1.0 } else { (f64::from(done) / f64::from(whole) / f64::from(times)) as f32 }
}

impl Engine for CudaEngine {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn input(&mut self) -> &mut [f32] {
        self.taken = false;
        match self.before {
            Some(_) => &mut self.input,
            None => self.session.input.as_mut_slice(),
        }
    }

    fn take(&mut self, frame: &Frame, sampling: &Sampling) -> Result<bool, EngineError> {
        self.taken = false;
        if self.before.is_some() {
            return Ok(false);
        }
        let took = self.session.context.enter().and_then(|()| self.session.take(frame, sampling));
        let filled = took.map_err(|error| self.failed(error))?;
        self.pictures.in_place += u64::from(filled == Filled::InPlace);
        self.pictures.copied += u64::from(filled == Filled::Copied);
        self.taken = filled != Filled::Not;
        Ok(self.taken)
    }

    fn pin(&mut self, frame: &mut Frame) {
        let Frame { format, ref mut data, .. } = *frame;
        if format == PixelFormat::Mjpeg || data.is_empty() || self.before.is_some() {
            return;
        }
        if self.session.pool.find(data.block()).is_some() {
            self.lendable = (self.lendable + 1).min(LENDABLE);
            return;
        }
        if self.lendable == 0 {
            return;
        }
        self.lendable -= 1;
        let first = self.pictures == Pictures::default();
        match self.session.pool.lend(data.capacity()) {
            Ok(block) => {
                data.move_to(block);
                if first {
                    log::info!("GPU: pictures are read in place, from memory lent to their source");
                }
            }
            Err(error) => {
                log::info!("GPU: {error}; each picture is copied once");
                self.lendable = 0;
            }
        }
    }

    fn encode(&mut self) -> Result<(), EngineError> {
        if let Some(reason) = &self.broken {
            return Err(EngineError::Run { graph: "GPU".into(), reason: reason.clone() });
        }
        let began = clock::now();
        if let Some(before) = &mut self.before {
            before.run(&self.input, self.session.input.as_mut_slice())?;
            self.prepared = clock::now() - began;
        }
        let mut queue = || {
            self.session.context.enter()?;
            let mut order = self.session.order.read();
            order.drive_known = self.drive_known.into();
            self.session.order.write(order);
            self.session.marks.put(BEGUN, &self.session.stream)?;
            match &self.session.camera {
                Some(camera) if self.taken => camera.queue(&self.session.stream)?,
                _ => self.session.import.queue(&self.session.stream)?,
            }
            self.session.look.queue(&self.session.stream)?;
            self.session.encode.queue(&self.session.stream)?;
            self.session.marks.put(ENCODED, &self.session.stream)
        };
        queue().map_err(|error| self.failed(error))?;
        self.queued = clock::now();
        self.drive_known = true;
        Ok(())
    }

    fn advance(&mut self, order: &StepRequest) -> Result<StepTrace, EngineError> {
        let path = std::mem::replace(&mut self.path, Path::Fast);
        let report = self.run(path, order).map_err(|error| {
            // Of what was computed before nothing is certain: the next frame is computed as a whole.
            self.drive_known = false;
            self.failed(error)
        })?;
        self.answers_stale = self.label_threshold.is_some();
        let steps = (report.steps.max(0) as u32).min(MAX_STEPS as u32);
        if steps > 0 {
            let took = self.times.steps / steps;
            self.step_time = Some(self.step_time.map_or(took, |before| (before * 3 + took) / 4));
            self.expected[path as usize] = steps;
        }
        self.convolutions += u64::from(report.convolutions);
        let stop = match report.stop {
            0 => StopReason::Halted,
            1 => StopReason::Limit,
            2 => StopReason::Zero,
            3 => StopReason::Reset,
            _ => StopReason::Deadline,
        };
        // A frame of no steps leaves the state as it was, and so the answer.
        self.unread |= stop != StopReason::Zero;
        Ok(StepTrace {
            steps,
            limit: report.limit.max(0) as u32,
            stop,
            distances: report.distances[..steps as usize].iter().copied().collect(),
            drive_distance: report.drive_distance,
            moved: report.moved,
            stepped: share(report.done_step, self.session.totals[1], steps),
            encoded: share(report.done_encode, self.session.totals[0], 1),
        })
    }

    fn readout(&mut self) -> Result<&[f32], EngineError> {
        if self.answers_stale {
            let began = clock::now();
            let export = || {
                self.session.context.enter()?;
                self.session.export.queue(&self.session.stream)?;
                self.session.stream.wait(self.patience)
            };
            export().map_err(|error| self.failed(error))?;
            self.answers_stale = false;
            self.times.readout += clock::now() - began;
        }
        let Some(behind) = &mut self.behind else { return Ok(self.session.answers.as_slice()) };
        if self.unread {
            let began = clock::now();
            behind.run(self.session.answers.as_slice(), &mut self.answer)?;
            self.unread = false;
            self.times.readout += clock::now() - began;
        }
        Ok(&self.answer)
    }

    fn times(&self) -> StageTimes {
        self.times
    }

    fn want_labels(&mut self, threshold: f32) {
        // Labels are packed of logits, which the device does not have where the CPU makes them.
        self.label_threshold = self.behind.is_none().then_some(threshold);
    }

    fn labels(&mut self) -> Result<Option<&[Label]>, EngineError> {
        Ok(self.label_threshold.map(|_| self.session.labels.as_slice()))
    }

    /// The first one asked for takes a wait of its own; from then on a frame brings it along with its answers, as long as each one's is asked for.
    fn tiles(&mut self, map: &mut TileMap) -> bool {
        if !self.is_tiled {
            return false;
        }
        self.map_wanted = true;
        if !self.map_made {
            let made =
                self.session.context.enter().and_then(|()| self.session.queue_map()).and_then(|()| self.session.stream.wait(self.patience));
            if let Err(error) = made {
                log::warn!("GPU: no map of tiles: {error}");
                return false;
            }
            self.map_made = true;
        }
        self.session.map(map)
    }

    fn reset(&mut self) {
        self.drive_known = false;
        self.path = Path::Slow;
        let cleared = self.session.context.enter().and_then(|()| self.session.clear_states());
        self.broken = cleared.err().map(|error| error.to_string());
    }

    fn mark_stale(&mut self) {
        self.path = Path::Slow;
    }
}
