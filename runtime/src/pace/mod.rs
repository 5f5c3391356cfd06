//! How many steps a frame can afford, and what was measured to know it.
//!
//! - [`Budget`] is what the user asks for: `--deadline 33ms@p99 --power 10W --temp 85C --mode balanced`.
//! - [`Governor`] turns the history of frames and sensor readings into a step limit for the next frame, and says which
//!   limit bound. It is a function of what it was told: it reads no clock, no file and no random number.
//! - [`sensors`] finds and reads the board's power, heat and clock files. It never writes one.
//! - [`EnergyMeter`] integrates sampled power into the energy of frames.
//!
//! Whether the state has stopped moving is another question, and halting rules answer it: a frame takes the smaller of
//! what halting asks for and what the governor affords.

pub mod budget;
mod energy;
mod energy_model;
pub mod governor;
pub mod sensors;

pub use budget::{Budget, BudgetError, Celsius, Deadline, Mode, Power};
pub use energy::EnergyMeter;
pub use energy_model::EnergyModel;
pub use governor::{CostModel, Governor, LimitReason, Limits, Observation, Plan, Reading, Shares, Sight, Status};
