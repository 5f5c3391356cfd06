//! The decision itself: a pure function of what was learnt, the budget, the time and the frame's age.

use std::time::Duration;

use super::heat::HeatLoop;
use super::latency::Latency;
use super::power::PowerLoop;
use super::token_bucket::TokenBucket;
use super::{LimitReason, Limits, Plan};
use crate::pace::budget::{Budget, Mode};

/// Everything the governor has learnt.
#[derive(Clone, Debug)]
pub struct History {
    pub latency: Latency,
    pub power: PowerLoop,
    pub heat: HeatLoop,
    pub token_bucket: TokenBucket,
    /// Which of the slow loops set the token bucket's rate.
    pub allowed_by: LimitReason,
    /// The rate it set, in steps per second.
    pub rate: Option<f64>,
    /// The deadline's step limit of the frame before, for its hysteresis.
    pub last_fit: u32,
    /// The lower of the two neighbouring step counts between which the token bucket dithers.
    pub pair: u32,
    /// Mean time between frames, in seconds.
    pub interval: f64,
    pub planned: Option<Duration>,
    /// When a frame was last not skipped.
    pub taken: Option<Duration>,
    /// Frames skipped in a row up to now.
    pub skipped: u32,
    /// Whether the last of them was for want of power or heat.
    pub skipping: bool,
    /// Since when the rate does not pay for the fewest steps of every frame.
    pub short_since: Option<Duration>,
    /// Until when the least work is done after an over-current alarm.
    pub alarmed_until: Duration,
}

/// Frames are skipped for at most so long: whoever asks for the impossible still gets a picture a second.
const LONGEST_SKIP: Duration = Duration::from_secs(1);
/// Frames are left out when the slow loops have said twice that even the fewest steps are too much: once is an estimate.
const PATIENCE: Duration = Duration::from_millis(1100);
/// The room, in steps, that must be left before the deadline's limit rises by one.
const HYSTERESIS: f64 = 0.3;
/// A frame has waited when it is older than others by this share of the deadline.
const WAITED: f64 = 0.25;

/// One limit on the next frame's steps.
struct Cap {
    steps: u32,
    reason: LimitReason,
}

/// Whole steps in a real number of them: at least 0, at most far beyond any network.
fn whole(steps: f64) -> u32 {
    if steps >= 1.0 { steps.min(1e6) as u32 } else { 0 }
}

/// The plan for a frame that is `age` old at `now`, and what to remember for the hystereses: the deadline's limit and the pair.
pub fn decide(history: &History, budget: &Budget, limits: &Limits, now: Duration, age: Duration) -> (Plan, u32, u32) {
    let mut caps = [const { None }; 4];
    let mut fit = limits.max_steps;
    let mut hopeless = false;

    let latency = &history.latency;
    let deadline = budget.deadline.map(|deadline| deadline.within.as_secs_f64() * budget.mode.share());
    if let Some(within) = deadline {
        let remaining = within - age.as_secs_f64();
        let room = latency.fits(remaining);
        fit = history.last_fit.clamp(whole(room - HYSTERESIS), whole(room));
        caps[0] = Some(Cap { steps: fit, reason: LimitReason::Latency });
        // This frame waited too long to be answered in time, and a fresh one would not have.
        let least = latency.expected(f64::from(limits.min_steps));
        let waited = age.as_secs_f64() - latency.youngest() > WAITED * within;
        hopeless = waited && least > remaining && latency.youngest() + least <= within && history.skipped == 0;
    }

    let overhead = latency.overhead_in_steps();
    let (mut starved, mut pair) = (false, limits.max_steps);
    if let Some(tokens) = history.token_bucket.tokens() {
        // Affording about 3 steps is 3, 4, 3 or 3, 2, 3, and never both within a moment: the pair moves only when it is far off.
        // What is afforded are steps of the whole network; a step of a part of it is worth less.
        let step = latency.share();
        let room = (tokens - overhead) / step;
        pair = history.pair.clamp(whole(room - 2.0), whole(room + 1.5));
        let steps = if history.skipped == 0 { whole(room).clamp(pair, pair + 1) } else { whole(room) };
        caps[1] = Some(Cap { steps, reason: history.allowed_by });
        // One step is still too much when the rate does not pay for one step a frame, and not for a moment only; 5 % more ends it.
        let least = overhead + step * f64::from(limits.min_steps);
        let share = history.rate.unwrap_or(f64::INFINITY) * history.interval / least;
        let lasting = history.short_since.is_some_and(|since| now.saturating_sub(since) >= PATIENCE);
        let unaffordable = if history.skipping { share < 1.05 } else { lasting };
        let starting = history.allowed_by == LimitReason::Power && history.power.starting();
        // When frames must be left out, the others are worth at least as much stepping as encoding.
        let worth = overhead + step * overhead.ceil().clamp(f64::from(limits.min_steps), f64::from(limits.max_steps));
        // The heat loop may swing below one step on its way; frames are left out only when the limit is really passed.
        let swinging =
            history.allowed_by == LimitReason::Heat && !budget.temp.is_some_and(|limit| history.heat.exceeds(f64::from(limit.0)));
        starved = unaffordable && !starting && !swinging && tokens < worth;
    }
    if now < history.alarmed_until {
        caps[2] = Some(Cap { steps: limits.min_steps, reason: LimitReason::Power });
    }
    let mut turn = f64::INFINITY;
    if let (Some(period), Mode::Balanced | Mode::Saver) = (limits.frame_period, budget.mode) {
        // Frames that are left out anyway leave their time to the others.
        let period = period.as_secs_f64() * budget.mode.share() * f64::from(history.skipped + 1);
        turn = period;
        caps[3] = Some(Cap { steps: whole(latency.fits_on_average(period)), reason: LimitReason::Camera });
    }

    let tightest = caps.into_iter().flatten().min_by_key(|cap| cap.steps);
    let (steps, mut reason) = match tightest {
        Some(cap) if cap.steps < limits.max_steps => (cap.steps, cap.reason),
        _ => (limits.max_steps, LimitReason::None),
    };
    let limit = steps.clamp(limits.min_steps, limits.max_steps);

    let waited = history.taken.map_or(Duration::ZERO, |taken| now.saturating_sub(taken));
    let skip = (starved || hopeless) && waited < LONGEST_SKIP && history.taken.is_some();
    if skip {
        reason = if starved { history.allowed_by } else { LimitReason::Latency };
    }
    // A deadline is kept by what every engine is told; the camera's turn only by engines that look at the time anyway.
    let left = deadline.map_or(f64::INFINITY, |within| within - age.as_secs_f64());
    let left = (if latency.checked() { left.min(turn) } else { left }) - latency.reserve();
    let stop_at = left.is_finite().then(|| now + Duration::from_secs_f64(left.clamp(0.0, 1e6)));
    (Plan { limit, skip, starved: skip && starved, reason, deadline: stop_at, step_cost: latency.step_cost() }, fit, pair)
}
