//! Record and replay: frames and decisions in one MCAP file, which other programs open too.
//!
//! MCAP because it is an open container that survives a power cut, holds several streams on one time axis, and is read by Foxglove,
//! `mcap` and ROS tools. What is in a file:
//!
//! | topic | encoding, schema | one message for |
//! |---|---|---|
//! | `/camera/image` | protobuf, `foxglove.RawImage` or `foxglove.CompressedImage` (JPEG) | each frame, byte for byte |
//! | `/camera/frame` | JSON, `recslowfast.Frame`: `sequence`, `cut` | each frame, before its image |
//! | `/recslowfast/outcome` | JSON, `recslowfast.Outcome`: the record of `--report json` | each answer |
//!
//! Times are `CLOCK_MONOTONIC` nanoseconds, so a replay sees the capture times of the day. The channel's metadata name our pixel format
//! and range, because Foxglove has no word for some, and whether the times are those of the scene (`timed`).

mod proto;
mod reader;
mod records;
mod tape;
mod writer;

pub use reader::{Frames, Replay};
pub use tape::Tape;
pub use writer::{Events, RecordError, RecordSpec, RecordSummary, Recorder};

const IMAGE_TOPIC: &str = "/camera/image";
const FRAME_TOPIC: &str = "/camera/frame";
const OUTCOME_TOPIC: &str = "/recslowfast/outcome";

#[cfg(test)]
mod tests;
