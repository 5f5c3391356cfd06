//! A world for the governor: boards with clocks, watts and heat, scenes with drift and cuts, loads that come and go.
//!
//! Everything is seeded and reproducible to the last digit; time is simulated. A [`policy::Policy`] sees what the runtime would show it
//! (frame ages, frame times, sensor readings) and nothing else, except for the [`oracle`], which sees everything.
//!
//! The boards are models: their watts and milliseconds are set from public data sheets and from the limits in the project's
//! notes, not measured on boards. They stand for the *kind* of plant a governor meets, and the table for its behaviour.

pub mod baselines;
pub mod board;
pub mod governed;
pub mod noise;
pub mod oracle;
pub mod plot;
pub mod policy;
pub mod scenario;
pub mod scene;
pub mod score;
pub mod table;
pub mod world;
