//! The capture room alone, compiled apart from the engines: a fuzzer is rebuilt with coverage counters, and the inference
//! library behind the engines would take a quarter of an hour of that for nothing.

#[path = "../../../runtime/src/capture/mod.rs"]
pub mod capture;
#[path = "../../../runtime/src/clock.rs"]
pub mod clock;
#[path = "../../../runtime/src/frame.rs"]
pub mod frame;
#[path = "../../../runtime/src/outcome.rs"]
pub mod outcome;
#[path = "../../../runtime/src/sampling.rs"]
pub mod sampling;
#[path = "../../../runtime/src/telemetry.rs"]
pub mod telemetry;
