//! What host and device tell each other of a frame: the order, how stepping stands, the report.

use super::Plain;
use crate::outcome::MAX_STEPS;

plain! {
    #[derive(Clone, Copy, Debug, Default)]
    pub struct BeginArgs {
        pub control: u64,
        pub report: u64,
        pub order: u64,
        pub tiles: i32,
        pub tiles_cut: f32,
        pub high: f32,
        pub calm: i32,
        pub most: i32,
        pub total: u32,
    }

    /// What stepping decided so far; device memory. The first words are the flags kernels look at before they start.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Control {
        pub stop: i32,
        pub pending: i32,
        pub always: i32,
        pub steps: i32,
        pub slow: i32,
        pub cap: i32,
        pub drive_distance: f32,
        pub convolutions: u32,
        pub metric: i32,
        pub has_threshold: i32,
        pub threshold: f32,
        pub has_surprise: i32,
        pub surprise: f32,
        pub min: i32,
        pub slow_cap: i32,
        pub deadline_cap: i32,
        pub has_wake: i32,
        pub wake: f32,
        pub floor: f32,
        pub floor_now: f32,
        pub label_threshold: f32,
        pub tiles: i32,
        pub whole: i32,
        pub everything: i32,
        pub dense: i32,
        pub prefers_dense: i32,
        pub forgotten: i32,
        pub seen: i32,
        pub learned: i32,
        pub calm: i32,
        pub wait: i32,
        pub tried: i32,
        pub mean_work: f32,
        pub share: f32,
        pub changed: u32,
        pub moving_drive: u32,
        pub moving_states: u32,
        pub moving_next: u32,
        pub done_encode: u32,
        pub done_step: u32,
        pub sums: [f32; 6],
    }

    /// What the host orders for a frame; mapped host memory.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Order {
        pub drive_known: i32,
        pub has_step: i32,
        pub slow: i32,
        pub metric: i32,
        pub has_threshold: i32,
        pub threshold: f32,
        pub has_surprise: i32,
        pub surprise: f32,
        pub has_zero: i32,
        pub zero: f32,
        pub min: i32,
        pub fast_cap: i32,
        pub slow_cap: i32,
        pub deadline_cap: i32,
        pub has_wake: i32,
        pub wake: f32,
        pub floor: f32,
        pub has_cut: i32,
        pub cut: f32,
        pub label_threshold: f32,
    }

    /// What a frame did: in device memory while it runs, then in mapped host memory.
    #[derive(Clone, Copy, Debug)]
    pub struct Report {
        pub frame: u32,
        /// 0 halted, 1 limit, 2 zero, 3 reset, 4 deadline, -1 not yet.
        pub stop: i32,
        pub steps: i32,
        pub limit: i32,
        pub drive_distance: f32,
        pub convolutions: u32,
        /// Share of the input that was accepted.
        pub moved: f32,
        /// Work of the encoder and of the steps, in the units of [`Part`].
        pub done_encode: u32,
        pub done_step: u32,
        pub distances: [f32; MAX_STEPS],
    }
}

impl Report {
    /// Of a frame that is still to come.
    pub const NONE: Report = Report {
        frame: 0,
        stop: -1,
        steps: 0,
        limit: 0,
        drive_distance: f32::INFINITY,
        convolutions: 0,
        moved: 1.0,
        done_encode: 0,
        done_step: 0,
        distances: [0.0; MAX_STEPS],
    };
}
