//! The GPU engine with the CPU engine behind it: a frame the GPU fails on is answered by the CPU, and the GPU is tried again later.
//!
//! What a failure costs: the hidden state. The CPU starts the frame from zero on the slow path, and so does the GPU when it is back.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use super::cpu::CpuEngine;
use super::cuda::{CudaEngine, Options};
use crate::backoff::Backoff;
use crate::clock;
use crate::frame::Frame;
use crate::network::Network;
use crate::network::engine::{Engine, EngineError, StageTimes, StepRequest};
use crate::outcome::{Label, StepTrace, TileMap};
use crate::sampling::Sampling;

/// Pauses before the GPU is tried again.
pub const RETRIES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

enum Gpu {
    /// Answers frames.
    Ready(Box<CudaEngine>),
    /// Tried again at this moment.
    Waiting(Duration),
    /// Being opened by a thread, so that frames go on meanwhile.
    Opening(Receiver<Result<CudaEngine, EngineError>>),
}

/// Answers every frame the CPU engine can answer, on the GPU while that works.
pub struct ResilientEngine {
    network: Network,
    /// How the GPU is opened again.
    options: Options,
    gpu: Gpu,
    cpu: CpuEngine,
    backoff: Backoff,
    failures: u64,
    /// The frame's picture went to the GPU, and the CPU has not seen it.
    taken: bool,
    /// How far the last frame was to go.
    order: Option<StepRequest>,
    /// Labels are asked for.
    label_threshold: Option<f32>,
}

impl ResilientEngine {
    /// Takes over `gpu` and, behind it, `cpu`, which both run `network`.
    pub fn new(network: &Network, gpu: CudaEngine, cpu: CpuEngine, backoff: Backoff) -> ResilientEngine {
        ResilientEngine {
            network: network.clone(),
            options: gpu.options(),
            gpu: Gpu::Ready(Box::new(gpu)),
            cpu,
            backoff,
            failures: 0,
            taken: false,
            order: None,
            label_threshold: None,
        }
    }

    /// Frames on which the GPU failed.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    fn fail(&mut self, error: &EngineError) {
        let Gpu::Ready(mut gpu) = std::mem::replace(&mut self.gpu, Gpu::Waiting(clock::now() + self.backoff.pause())) else { return };
        self.failures += 1;
        log::error!("{error}; the CPU answers, and the GPU is tried again in {:.1} s", self.backoff.failed().as_secs_f64());
        self.cpu.input().copy_from_slice(gpu.input());
        self.cpu.reset();
    }

    /// Whether the CPU can go on with the frame the GPU failed on.
    fn input_is_here(&mut self) -> Result<(), EngineError> {
        if std::mem::take(&mut self.taken) { Err(EngineError::InputLost) } else { Ok(()) }
    }

    /// Takes the GPU back, with the input of the frame that begins, when it is there again.
    fn recover(&mut self) {
        match &self.gpu {
            Gpu::Waiting(until) if clock::now() >= *until => {
                let (sender, receiver) = channel();
                let (network, options) = (self.network.clone(), self.options);
                let opening = std::thread::Builder::new().name("gpu-retry".into()).spawn(move || {
                    // Nobody listens any more when the engine is gone; the new one goes with the message then.
                    let _ = sender.send(CudaEngine::with(&network, options));
                });
                self.gpu = if opening.is_ok() { Gpu::Opening(receiver) } else { Gpu::Waiting(clock::now() + self.backoff.pause()) };
            }
            Gpu::Opening(receiver) => match receiver.try_recv() {
                Ok(Ok(mut gpu)) => {
                    log::info!("the GPU is back: {}", gpu.description());
                    gpu.input().copy_from_slice(self.cpu.input());
                    if let Some(threshold) = self.label_threshold {
                        gpu.want_labels(threshold);
                    }
                    self.gpu = Gpu::Ready(Box::new(gpu));
                }
                Err(TryRecvError::Empty) => {}
                failed => {
                    let reason = failed.map_or_else(
                        |_| "its thread died".into(),
                        |opened| opened.err().map_or_else(String::new, |error| error.to_string()),
                    );
                    let pause = self.backoff.failed();
                    log::warn!("the GPU is still gone ({reason}); next attempt in {:.1} s", pause.as_secs_f64());
                    self.gpu = Gpu::Waiting(clock::now() + pause);
                }
            },
            _ => {}
        }
    }
}

impl Engine for ResilientEngine {
    fn name(&self) -> &'static str {
        if matches!(self.gpu, Gpu::Ready(_)) { "cuda" } else { "cpu" }
    }

    fn input(&mut self) -> &mut [f32] {
        self.taken = false;
        match &mut self.gpu {
            Gpu::Ready(gpu) => gpu.input(),
            _ => self.cpu.input(),
        }
    }

    fn pin(&mut self, frame: &mut Frame) {
        if let Gpu::Ready(gpu) = &mut self.gpu {
            gpu.pin(frame);
        }
    }

    fn take(&mut self, frame: &Frame, sampling: &Sampling) -> Result<bool, EngineError> {
        self.taken = false;
        if let Gpu::Ready(gpu) = &mut self.gpu {
            match gpu.take(frame, sampling) {
                Ok(taken) => self.taken = taken,
                Err(error) => self.fail(&error),
            }
        }
        Ok(self.taken)
    }

    fn encode(&mut self) -> Result<(), EngineError> {
        self.recover();
        if let Gpu::Ready(gpu) = &mut self.gpu {
            match gpu.encode() {
                Ok(()) => return Ok(()),
                Err(error) => self.fail(&error),
            }
            self.input_is_here()?;
        }
        self.cpu.encode()
    }

    fn advance(&mut self, order: &StepRequest) -> Result<StepTrace, EngineError> {
        self.order = Some(*order);
        if let Gpu::Ready(gpu) = &mut self.gpu {
            match gpu.advance(order) {
                Ok(trace) => {
                    self.backoff.succeeded();
                    return Ok(trace);
                }
                Err(error) => self.fail(&error),
            }
            self.input_is_here()?;
            self.cpu.encode()?;
        }
        self.cpu.advance(order)
    }

    fn readout(&mut self) -> Result<&[f32], EngineError> {
        if let Gpu::Ready(gpu) = &mut self.gpu {
            // Asked for twice, because a borrow that is returned on one path is held on all: the second time it is at hand.
            match gpu.readout().map(|_| ()) {
                Ok(()) => {}
                Err(error) => {
                    self.fail(&error);
                    self.input_is_here()?;
                    self.cpu.encode()?;
                    if let Some(order) = self.order {
                        self.cpu.advance(&order)?;
                    }
                }
            }
        }
        match &mut self.gpu {
            Gpu::Ready(gpu) => gpu.readout(),
            _ => self.cpu.readout(),
        }
    }

    fn times(&self) -> StageTimes {
        match &self.gpu {
            Gpu::Ready(gpu) => gpu.times(),
            _ => self.cpu.times(),
        }
    }

    fn want_labels(&mut self, threshold: f32) {
        self.label_threshold = Some(threshold);
        if let Gpu::Ready(gpu) = &mut self.gpu {
            gpu.want_labels(threshold);
        }
    }

    fn labels(&mut self) -> Result<Option<&[Label]>, EngineError> {
        match &mut self.gpu {
            // Packed with the frame's last step.
            Gpu::Ready(gpu) => gpu.labels(),
            _ => Ok(None),
        }
    }

    fn tiles(&mut self, map: &mut TileMap) -> bool {
        match &mut self.gpu {
            Gpu::Ready(gpu) => gpu.tiles(map),
            _ => self.cpu.tiles(map),
        }
    }

    fn reset(&mut self) {
        if let Gpu::Ready(gpu) = &mut self.gpu {
            gpu.reset();
        }
        self.cpu.reset();
    }

    fn mark_stale(&mut self) {
        if let Gpu::Ready(gpu) = &mut self.gpu {
            gpu.mark_stale();
        }
        self.cpu.mark_stale();
    }
}
