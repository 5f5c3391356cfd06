//! The rooms that read what others write, compiled apart from the engines: a fuzzer is rebuilt with coverage counters, and the operators
//! would take long for nothing.

#[path = "../../../runtime/src/backoff.rs"]
pub mod backoff;
#[path = "../../../runtime/src/capture/mod.rs"]
pub mod capture;
#[path = "../../../runtime/src/clock.rs"]
pub mod clock;
#[path = "../../../runtime/src/service/config/mod.rs"]
pub mod config;
#[path = "../../../runtime/src/frame.rs"]
pub mod frame;
#[path = "../../../runtime/src/network/mod.rs"]
pub mod network;
#[path = "../../../runtime/src/outcome.rs"]
pub mod outcome;
#[path = "../../../runtime/src/report/page/parser.rs"]
pub mod parser;
#[path = "../../../runtime/src/recording/mod.rs"]
pub mod recording;
#[path = "../../../runtime/src/sampling.rs"]
pub mod sampling;
#[path = "../../../runtime/src/simd/mod.rs"]
pub mod simd;
#[path = "../../../runtime/src/source.rs"]
pub mod source;
#[path = "../../../runtime/src/source_picture.rs"]
pub mod source_picture;
#[path = "../../../runtime/src/telemetry.rs"]
pub mod telemetry;
#[path = "../../../runtime/src/threads.rs"]
pub mod threads;
