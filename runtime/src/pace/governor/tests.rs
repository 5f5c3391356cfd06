//! What the governor promises whatever happens: properties over arbitrary histories.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::pace::budget::{Celsius, Deadline, Mode, Power};

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

fn cost() -> CostModel {
    CostModel { base: ms(6.0), per_step: ms(2.5), energy: None }
}

/// One frame of an arbitrary history: what the machine and the sensors did.
#[derive(Clone, Debug)]
struct Tick {
    gap_ms: f64,
    age_ms: f64,
    steps: u32,
    encode_ms: f64,
    step_ms: f64,
    readout_ms: f64,
    wanted_more: bool,
    reading: Option<Reading>,
}

fn any_value(sane: std::ops::Range<f32>) -> impl Strategy<Value = Option<f32>> {
    prop_oneof![
        6 => sane.prop_map(Some),
        1 => Just(None),
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -1.0, -256.0, 1e30, f32::MIN_POSITIVE]).prop_map(Some),
    ]
}

fn any_reading() -> impl Strategy<Value = Reading> {
    (
        any_value(1000.0..60_000.0),
        any_value(20.0..110.0),
        prop::option::of(prop::sample::select(vec![0, 1, 306_000_000, u64::MAX])),
        prop::bool::weighted(0.02),
    )
        .prop_map(|(power_mw, temp_c, gpu_clock_hz, over_current)| Reading { power_mw, temp_c, gpu_clock_hz, over_current })
}

fn any_ms() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.1..60.0f64, 1 => Just(0.0), 1 => 0.0..1e7f64]
}

fn any_tick() -> impl Strategy<Value = Tick> {
    let frame = (any_ms(), any_ms(), any_ms(), any_ms());
    (frame, 0..=64u32, any_ms(), any::<bool>(), prop::option::weighted(0.4, any_reading())).prop_map(
        |((gap_ms, age_ms, encode_ms, step_ms), steps, readout_ms, wanted_more, reading)| Tick {
            gap_ms,
            age_ms,
            steps,
            encode_ms,
            step_ms,
            readout_ms,
            wanted_more,
            reading,
        },
    )
}

fn any_budget() -> impl Strategy<Value = Budget> {
    let deadline =
        prop::option::of((0.1..200.0f64, 50.0..99.99f64).prop_map(|(within, percentile)| Deadline { within: ms(within), percentile }));
    let power = prop::option::of((1u32..60_000).prop_map(|mw| Power { mw }));
    let temp = prop::option::of((20.0f32..110.0).prop_map(Celsius));
    (deadline, power, temp, prop::sample::select(vec![Mode::Accuracy, Mode::Balanced, Mode::Saver]))
        .prop_map(|(deadline, power, temp, mode)| Budget { deadline, power, temp, mode })
}

/// Tells a governor a history and returns its plans. What the machine did does not depend on them.
fn tell(governor: &mut Governor, history: &[Tick]) -> Vec<Plan> {
    let mut now = Duration::from_secs(100);
    history
        .iter()
        .map(|tick| {
            now += ms(tick.gap_ms);
            if let Some(reading) = &tick.reading {
                governor.sense(now, reading);
            }
            let plan = governor.plan(now, ms(tick.age_ms));
            let stepping = ms(tick.step_ms) * tick.steps;
            let seen = Observation {
                steps: tick.steps,
                encode: ms(tick.encode_ms),
                fit: Duration::ZERO,
                shares: Shares::default(),
                stepping,
                readout: ms(tick.readout_ms),
                age: ms(tick.age_ms + tick.encode_ms + tick.readout_ms) + stepping,
                wanted_more: tick.wanted_more,
            };
            governor.observe(now + ms(tick.encode_ms + tick.readout_ms) + stepping, &seen);
            plan
        })
        .collect()
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (0u32..8, 1u32..64, prop::option::of(1.0..100.0f64), any::<bool>()).prop_map(|(min_steps, more, period, checked)| Limits {
        min_steps,
        max_steps: min_steps + more,
        frame_period: period.map(ms),
        checked,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_limit_lies_between_the_networks_least_and_most(
        limits in any_limits(),
        budget in any_budget(),
        base in any_ms(),
        step in any_ms(),
        history in prop::collection::vec(any_tick(), 1..200),
    ) {
        let cost = CostModel { base: ms(base), per_step: ms(step), energy: None };
        let mut governor = Governor::new(limits, cost, budget);
        for plan in tell(&mut governor, &history) {
            prop_assert!((limits.min_steps..=limits.max_steps).contains(&plan.limit), "{plan:?}");
            prop_assert!(plan.reason != LimitReason::None || plan.limit == limits.max_steps, "a limit below the most has a reason: {plan:?}");
        }
        let status = governor.status(Duration::from_secs(200));
        prop_assert!(status.slowdown.is_finite() && status.slowdown > 0.0 && status.slowdown_sd.is_finite());
        prop_assert!(status.power_line.is_none_or(|(p0, e)| p0.is_finite() && e.is_finite() && e > 0.0), "{status:?}");
        prop_assert!(status.afforded_rate.is_none_or(|rate| rate >= 0.0), "{status:?}");
    }

    #[test]
    fn a_larger_budget_never_affords_less(
        budget in any_budget(),
        more in (1.0..3.0f64, 1.0..3.0f64, 0.0..20.0f32),
        history in prop::collection::vec(any_tick(), 1..200),
    ) {
        // Percentile and mode are the same; without a frame period, whose share grows when frames are skipped.
        let larger = Budget {
            deadline: budget.deadline.map(|d| Deadline { within: d.within.mul_f64(more.0), ..d }),
            power: budget.power.map(|p| Power { mw: (f64::from(p.mw) * more.1) as u32 }),
            temp: budget.temp.map(|t| Celsius(t.0 + more.2)),
            mode: budget.mode,
        };
        let limits = Limits { min_steps: 1, max_steps: 16, frame_period: None, checked: false };
        let small = tell(&mut Governor::new(limits, cost(), budget), &history);
        let large = tell(&mut Governor::new(limits, cost(), larger), &history);
        for (small, large) in small.iter().zip(&large) {
            prop_assert!(small.limit <= large.limit, "{small:?} {large:?}");
        }
    }

    #[test]
    fn the_same_history_gives_the_same_decisions(budget in any_budget(), history in prop::collection::vec(any_tick(), 1..60)) {
        let limits = Limits { min_steps: 1, max_steps: 16, frame_period: Some(ms(33.3)), checked: true };
        prop_assert_eq!(
            tell(&mut Governor::new(limits, cost(), budget), &history),
            tell(&mut Governor::new(limits, cost(), budget), &history)
        );
    }

    #[test]
    fn in_a_steady_state_the_steps_of_frames_differ_by_at_most_one(
        deadline in 15.0..60.0f64,
        slowdown in 0.8..2.0f64,
        budget_w in prop::option::of(7.0..14.0f64),
        noise in 0.0..0.01f64,
        seed in any::<u32>(),
        checked in any::<bool>(),
    ) {
        let budget = Budget {
            deadline: Some(Deadline { within: ms(deadline), percentile: 99.0 }),
            power: budget_w.map(|w| Power { mw: (w * 1e3) as u32 }),
            ..Budget::default()
        };
        let limits = Limits { min_steps: 1, max_steps: 16, frame_period: Some(ms(33.3)), checked };
        let mut governor = Governor::new(limits, cost(), budget);
        let mut dice = u64::from(seed);
        let mut roll = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1.0 + noise * ((dice >> 33) as f64 / 2f64.powi(30) - 1.0)
        };
        let (mut settled, mut taken) = (false, Vec::new());
        let (mut now, mut watts, mut next) = (0.0, 5.0, 0.0);
        for frame in 0..900 {
            now = f64::max(now, f64::from(frame) * 33.3);
            if now >= next {
                governor.sense(ms(now), &Reading { power_mw: Some((1e3 * watts * roll()) as f32), ..Reading::default() });
                next = now + 70.0 + 60.0 * (roll() - 1.0 + noise);
            }
            let plan = governor.plan(ms(now), ms(2.0));
            if plan.skip {
                continue;
            }
            let step = 2.5 * slowdown * roll();
            let encode = 3.0 * slowdown * roll();
            let fits = plan.deadline.map_or(f64::INFINITY, |at| (at.as_secs_f64() * 1e3 - now - encode) / step);
            let steps = if checked { plan.limit.min((fits as u32).max(1)) } else { plan.limit };
            let busy = 2.0 * encode + step * f64::from(steps);
            // 4 W beside us and 14 W while we are busy, smoothed by the sensor.
            watts += 0.2 * (4.0 + 14.0 * (busy / 33.3).min(1.0) - watts);
            now += busy;
            let seen = Observation { steps, encode: ms(encode), stepping: ms(step * f64::from(steps)), readout: ms(encode), age: ms(2.0 + busy), wanted_more: true, ..Observation::default() };
            governor.observe(ms(now), &seen);
            settled |= frame == 450;
            if settled {
                taken.push(steps);
            }
        }
        // Over windows of two seconds: in the long run the quantiles may still creep.
        for window in taken.windows(60) {
            let (least, most) = (window.iter().min().unwrap(), window.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{window:?}");
        }
    }
}

#[test]
fn an_alarm_is_heeded_at_once_and_for_two_seconds() {
    let limits = Limits { min_steps: 2, max_steps: 12, frame_period: None, checked: true };
    let mut governor = Governor::new(limits, cost(), Budget::default());
    assert_eq!((governor.plan(ms(0.0), ms(1.0)).limit, governor.plan(ms(0.0), ms(1.0)).reason), (12, LimitReason::None));
    governor.sense(ms(100.0), &Reading { over_current: true, ..Reading::default() });
    let plan = governor.plan(ms(110.0), ms(1.0));
    assert_eq!((plan.limit, plan.reason, plan.skip), (2, LimitReason::Power, false));
    assert_eq!(governor.plan(ms(2200.0), ms(1.0)).limit, 12);
}

#[test]
fn a_budget_set_at_run_time_holds_from_the_next_frame_on() {
    let limits = Limits { min_steps: 1, max_steps: 12, frame_period: None, checked: true };
    let mut governor = Governor::new(limits, cost(), Budget::default());
    assert_eq!(governor.plan(ms(0.0), ms(1.0)).reason, LimitReason::None);
    governor.set_budget(Budget { deadline: Some("16ms".parse().unwrap()), ..Budget::default() });
    let plan = governor.plan(ms(33.0), ms(1.0));
    assert_eq!(plan.reason, LimitReason::Latency);
    assert!((3..=5).contains(&plan.limit), "{plan:?}");
    assert!(plan.deadline.is_some_and(|at| at < ms(33.0 + 15.0)));
}

#[test]
fn the_modes_differ_in_what_they_leave_unspent() {
    let plan = |mode| {
        let limits = Limits { min_steps: 1, max_steps: 30, frame_period: Some(ms(33.3)), checked: false };
        Governor::new(limits, cost(), Budget { mode, ..Budget::default() }).plan(ms(0.0), ms(1.0))
    };
    assert_eq!((plan(Mode::Accuracy).limit, plan(Mode::Accuracy).reason), (30, LimitReason::None));
    assert_eq!((plan(Mode::Balanced).limit, plan(Mode::Balanced).reason), (10, LimitReason::Camera));
    assert_eq!((plan(Mode::Saver).limit, plan(Mode::Saver).reason), (8, LimitReason::Camera));
}

#[test]
fn without_a_sensor_a_power_budget_governs_nothing_and_the_status_says_so() {
    let limits = Limits { min_steps: 1, max_steps: 12, frame_period: None, checked: true };
    let budget = Budget { power: Some("5W".parse().unwrap()), ..Budget::default() };
    let mut governor = Governor::new(limits, cost(), budget);
    assert_eq!(governor.plan(ms(5000.0), ms(1.0)).reason, LimitReason::None);
    assert_eq!(governor.status(ms(5000.0)).power, Some(Sight::Blind));
}
