//! Watches a camera with one recurrent network and spends only the steps a frame asks for.
//!
//! A frame is encoded once into a *drive*; a recurrent cell is applied a variable number of times to the *hidden state*
//! carried over from the frame before; a readout turns the state into *logits*. The steps stop when the state stops moving: when the
//! distance between two successive hidden states falls below a threshold (a [`HaltingRule`]).
//!
//! ```
//! use std::time::Duration;
//! use recslowfast::{Frame, Network, Pipeline, Pull, open};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let network = Network::load("pathfinder-hgru")?;
//! let mut source = open("pathfinder:easy?seed=7&size=64")?;
//! let mut pipeline = Pipeline::builder(&network).source(source.info()).build()?;
//! let mut frame = Frame::default();
//! for _ in 0..3 {
//!     if source.pull(&mut frame, Duration::from_millis(100))? == Pull::Frame {
//!         let answer = pipeline.answer(&frame)?;
//!         println!("{} steps, {} detections", answer.trace.steps, answer.detections.iter().count());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/embed.rs` watches a camera or a film in this way, `examples/custom_sink.rs` adds a sink of its own.
//!
//! # Layers
//!
//! | layer | modules | what it does |
//! |---|---|---|
//! | sources | [`capture`], [`recording`], [`source`] | a [`Source`] is pulled for a [`Frame`]; live ones keep only the newest |
//! | one frame | [`pipeline`] | fit, encode, step, read out: a [`Pipeline`] turns a [`Frame`] into an [`Answer`] |
//! | network | [`network`] | a folder with `model.toml` and three ONNX graphs: a [`Network`] |
//! | engine | [`engine`] | runs the graphs, owns the hidden state, executes the [`HaltingRule`]: an [`Engine`] |
//! | task | [`task`] | what the readout means: boxes, tracks, masks, contours |
//! | budget | [`pace`] | how many steps a deadline, a power budget and a temperature afford |
//! | sinks | [`report`] | a [`Sink`] is shown every [`Report`], on a thread of its own ([`SinkWorker`]) |
//! | service | `service`, `commands` | configuration, main loop, signals, systemd, the command line |
//!
//! `runtime/README.md` is the plan of the house.
//!
//! # Features
//!
//! All are on by default. Without any, films, folders of pictures, pipes, streams and the built-in stream are watched on the CPU, and results
//! go to JSON lines, a terminal, a serial port or a sink of one's own.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cuda` | the engine that runs on the GPU |
//! | `v4l2` | cameras of Video4Linux |
//! | `record` | recordings in MCAP, written and replayed |
//! | `page` | the page with live pictures, events and metrics |
//! | `panel` | small displays, and pictures of the last frames |
//! | `mavlink` | the sink that speaks MAVLink |
//! | `mqtt` | the sink that speaks MQTT, with TLS and Home Assistant's discovery |
//! | `tools` | the command line and the service; it knows every sink and source, and so asks for all of these but `cuda` |
//!
//! # Constants
//!
//! [`MAX_STEPS`] steps are the most one frame can take.

// Verbs speak through one writer that notices when it cannot (`commands/out.rs`); everybody else logs.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

#[doc(hidden)]
pub mod acceptance;
#[doc(hidden)]
pub mod backoff;
pub mod capture;
#[doc(hidden)]
pub mod clock;
#[cfg(feature = "tools")]
#[doc(hidden)]
pub mod commands;
pub mod control;
pub mod engine;
pub mod frame;
#[doc(hidden)]
pub mod frame_rate;
#[cfg(any(feature = "page", feature = "tools"))]
#[doc(hidden)]
pub mod latencies;
pub mod network;
pub mod outcome;
pub mod pace;
pub mod pipeline;
#[doc(hidden)]
pub mod priority;
#[cfg(feature = "record")]
pub mod recording;
pub mod report;
#[doc(hidden)]
pub mod sampling;
#[cfg(feature = "tools")]
#[doc(hidden)]
pub mod service;
#[doc(hidden)]
pub mod simd;
pub mod source;
#[doc(hidden)]
pub mod source_picture;
#[doc(hidden)]
pub mod sources;
pub mod task;
pub mod telemetry;
#[doc(hidden)]
pub mod threads;
#[doc(hidden)]
pub mod whole_file;

/// What the fuzzers of `tests/fuzz` read besides what is public.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::report::page::parser::{HEAD, ParseResult, RequestParser};
}

use std::ffi::OsStr;

pub use capture::fit::Mode as Fit;
pub use capture::{CaptureRequest, Timeouts};
pub use engine::{Choice, Tiles};
pub use frame::{Frame, PixelFormat};
pub use network::engine::{Engine, EngineError, StepRequest};
pub use network::halting::{HaltingRule, RuleName};
pub use network::load::NetworkError;
pub use network::{Network, NetworkFiles};
pub use outcome::{MAX_STEPS, StepTrace, StopReason};
pub use pipeline::{Answer, Pipeline, PipelineBuilder, PipelineError};
pub use report::{Overflow, Sink, SinkError, SinkWorker};
pub use source::{CaptureError, Pull, Source, SourceInfo};
pub use telemetry::{Detection, Detections, Region, Report};

/// Opens what `uri` names as the command line does: everything [`capture::open`] knows, and recordings with the feature `record`.
///
/// A live source runs on its own thread behind a newest-frame slot and is reopened after it failed; see [`capture::start`].
///
/// # Errors
///
/// The URI cannot be meant, or what it names cannot be opened now; the message says which and what to do.
pub fn open(uri: impl AsRef<OsStr>) -> Result<Box<dyn Source>, CaptureError> {
    sources::start(uri.as_ref(), &CaptureRequest::default(), None, Timeouts::default())
}
