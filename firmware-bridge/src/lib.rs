//! What recslowfast says over a wire, and how a small panel shows it, without an allocator.
//!
//! The byte layout is written down in `WIRE.md`, before any type here. From bytes to meaning there are three layers, each checked once:
//! - [`Decoder`] splits a byte stream into frames, in bounded memory, and is back in step at the next delimiter after any damage;
//! - [`Packet`] is a view over one frame's bytes whose length, CRC and version are right;
//! - [`Telemetry`] and [`Command`] are the records read from it, every field in range.
//!
//! [`dashboard`] draws what a board reports on any `embedded-graphics` target.
//!
//! # Panics
//! [`Decoder::push`], [`Decoder::telemetry`], [`Decoder::command`], [`Packet::new_checked`], [`Telemetry::parse`] and [`Command::parse`] never panic, whatever the
//! bytes; encoding does not either. `thumb/build.sh` holds the decoder to it: it links a firmware whose panic handler does not exist.
//! There is no `unsafe` in this crate.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod command;
mod crc;
#[cfg(feature = "dashboard")]
pub mod dashboard;

mod decoder;
mod frame;
mod gate;
mod packet;
mod record;
mod sets;
mod telemetry;
mod text;

pub use command::{Command, SetBudget, SetMode, SetReportRate, is_command};
pub use crc::crc32;
pub use decoder::{Counters, Decoder, Received};
pub use frame::{EncodeError, Frame, encode_raw};
pub use gate::{Gate, Verdict};
pub use packet::{MAX_FRAME, MAX_PACKET, MAX_PAYLOAD, Packet, PacketError, WIRE_VERSION};
pub use record::{OutOfRange, ParseError};
pub use sets::{AckResult, CameraState, Engine, LimitReason, LogLevel, Mode, StopReason};
pub use telemetry::{Ack, ClassName, Detection, Detections, Hello, Log, MAX_DETECTIONS, MAX_RECENT, Status, Telemetry};
pub use text::{Text, text};
