//! What frames cost, kept for reports: energy in joules, latencies in histograms.

mod energy;
mod latency;

pub use energy::EnergyMeter;
pub use latency::{Histogram, Latencies, Quantiles};
