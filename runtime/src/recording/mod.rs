//! Record and replay: frames and decisions in MCAP files, which other programs open too.
//!
//! MCAP because it is an open container that survives a power cut, holds several streams on one time axis, and is read by Foxglove,
//! `mcap` and ROS tools. What is in a file, in chunks compressed with zstd, with an index at its end:
//!
//! | topic | encoding, schema | one message for |
//! |---|---|---|
//! | `/camera/frame` | JSON, `recslowfast.Frame`: `sequence`, `cut`, `captured_ns`, `wall_ns`, `run` | each frame, before its image |
//! | `/camera/image` | protobuf, `foxglove.RawImage` or `foxglove.CompressedImage` (JPEG) | each frame |
//! | `/recslowfast/outcome` | JSON, `recslowfast.Outcome`: the record of `--report json` | each answer |
//! | `/recslowfast/annotations` | protobuf, `foxglove.ImageAnnotations`: boxes, their names, outlines of the mask | each answer |
//! | `/recslowfast/tiles` | protobuf, `foxglove.ImageAnnotations`: what moved (orange) and what was stepped (blue) | each answer of an engine that computes only what moved |
//!
//! Log times are wall-clock times of capture; `captured_ns` is the same moment on `CLOCK_MONOTONIC`, so that a replay sees the capture
//! times of the recorded run. `run` is what was decided for the frame and what that depended on; the service writes and reads it. Every
//! picture has an encoding that Foxglove's image panel draws; where our pixel format has none, it is written as one from which it comes
//! back pixel for pixel (4:2:0 as `uyvy`, deep Bayer as `mono16`), and the channel's metadata name it. They also say the range,
//! whether the times are those of the scene (`timed`), and which network watched (`network`, `network_version`, and `network_checksum` over
//! its files), so that a replay is not watched by another one unseen.
//!
//! ```text
//! Recording (thread, queue) -> Recorder (pre-roll, parts, limit) -> Part (channels) -> Container (MCAP) -> Disk (whole after every write)
//! Replay (a Source)         <- Frames (topics, times)            <- image, cdr, proto (what a message holds)
//! ```

mod annotations;
mod cdr;
mod compression;
mod container;
mod disk;
mod image;
mod message;
mod names;
mod outline;
mod part;
mod proto;
mod reader;
mod recorded_frame;
mod recorder;
mod records;
mod replay;
mod schema;
mod sink;
mod spec;
mod yuv;

pub use names::family;
pub use reader::Frames;
pub use recorded_frame::RecordedFrame;
pub use recorder::Recorder;
pub use replay::{Replay, is_recording, watched_by};
pub use sink::{Recording, finish_all};
pub use spec::{Events, OutcomeFormat, RecordError, RecordSpec, RecordSummary};

/// Fills a frame from the bytes of one encoded picture; what is in them decides what they are.
pub type Decode = fn(&[u8], &mut crate::frame::Frame) -> Result<(), String>;

const IMAGE_TOPIC: &str = "/camera/image";
const FRAME_TOPIC: &str = "/camera/frame";
const OUTCOME_TOPIC: &str = "/recslowfast/outcome";
const ANNOTATIONS_TOPIC: &str = "/recslowfast/annotations";
const TILES_TOPIC: &str = "/recslowfast/tiles";

#[cfg(test)]
mod tests;
