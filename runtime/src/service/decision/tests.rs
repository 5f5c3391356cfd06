use super::*;
use crate::pace::Deadline;

const MS: Duration = Duration::from_millis(1);

/// An answer of `steps` steps of 2 ms each, 3 ms of other work, and 4 ms of waiting before.
fn spent(steps: u32, stop: StopReason) -> FrameCost {
    let stages = Stages { fit: MS, encode: MS, steps: 2 * MS * steps, readout: MS };
    let mut report = Report { stages, age: 4 * MS + stages.total(), dropped: 3, skipped: 4, corrupt: 5, ..Report::for_tests(1) };
    (report.trace.steps, report.trace.limit, report.trace.stop) = (steps, 9, stop);
    FrameCost::new(&report)
}

fn planned(budget: Budget) -> Planned {
    Planned {
        limit: 9,
        skip: false,
        starved: false,
        reason: LimitReason::Latency,
        budget,
        base_ns: 3_000_000,
        per_step_ns: 2_000_000,
        period_ns: Some(40_000_000),
        energy: None,
    }
}

fn budget(ms: u32) -> Budget {
    Budget { deadline: Some(Deadline { within: MS * ms, percentile: 99.0 }), ..Budget::default() }
}

/// A frame captured at 100 ms and taken up at 104 ms.
fn decision(spent: Option<FrameCost>) -> Decision {
    let frame = Frame { captured: 100 * MS, ..Frame::default() };
    Decision { spent, plan: Some(planned(budget(30))), ..begun(&frame, Some(104 * MS)) }
}

fn plan(deadline: Option<Duration>) -> Plan {
    Plan { limit: 9, skip: false, starved: false, reason: LimitReason::Latency, deadline, step_cost: 2 * MS }
}

#[test]
fn what_is_written_is_what_is_read_again() {
    let reading = Reading { power_mw: Some(4321.5), temp_c: Some(48.25), gpu_clock_hz: Some(1_000_000), over_current: true };
    let wanted = Decision { readings: vec![SensorReading::new(7 * MS, &reading)], ..decision(Some(spent(4, StopReason::Deadline))) };
    let recorded = Recorded { wall: None, run: serde_json::from_str(&wanted.json()).ok() };
    assert_eq!(Decision::of(&recorded), Some(wanted.clone()));
    let (at, again) = wanted.readings[0].reading();
    assert_eq!(
        (at, again.power_mw, again.temp_c, again.gpu_clock_hz, again.over_current),
        (7 * MS, Some(4321.5), Some(48.25), Some(1_000_000), true)
    );
    assert_eq!(Decision::of(&Recorded::default()), None, "a recording that knows no more than pictures");
    assert_eq!(
        Decision::of(&Recorded { wall: None, run: serde_json::from_str("[1]").ok() }),
        None,
        "what is not understood decides nothing"
    );
}

#[test]
fn a_reading_that_is_no_number_is_no_reading() {
    let sensed = SensorReading::new(MS, &Reading { power_mw: Some(f32::NAN), temp_c: Some(f32::INFINITY), ..Reading::default() });
    let (_, reading) = sensed.reading();
    assert_eq!((reading.power_mw, reading.temp_c), (None, None));
}

#[test]
fn a_frame_that_nobody_timed_was_taken_up_when_it_was_captured() {
    let frame = Frame { captured: 5 * MS, ..Frame::default() };
    assert_eq!((begun(&frame, None).at(), begun(&frame, Some(8 * MS)).at()), (5 * MS, 8 * MS));
}

#[test]
fn a_cost_is_the_one_known_at_warm_up_or_else_the_one_the_frame_shows() {
    let known = decision(None);
    assert_eq!(known.cost(), Some((3 * MS, 2 * MS)));
    let shown = Decision { plan: None, ..decision(Some(spent(4, StopReason::Halted))) };
    assert_eq!(shown.cost(), Some((3 * MS, 2 * MS)));
    assert_eq!(Decision { plan: None, ..decision(Some(spent(0, StopReason::Zero))) }.cost(), None, "no step, no cost of one");
    assert_eq!(Decision { plan: None, ..decision(None) }.cost(), None);
}

#[test]
fn a_plan_is_followed_under_its_own_budget_alone() {
    let recorded = decision(None);
    assert!(recorded.kept_to(Some(&budget(30))));
    assert!(!recorded.kept_to(Some(&budget(29))) && !recorded.kept_to(None));
    assert!(Decision { plan: None, ..recorded }.kept_to(None));
}

#[test]
fn a_deadline_that_ended_the_steps_then_ends_them_now_after_as_many() {
    assert_eq!(decision(Some(spent(4, StopReason::Deadline))).checked(None, true), Some(4));
    assert_eq!(decision(Some(spent(4, StopReason::Halted))).checked(None, true), None);
}

#[test]
fn under_another_budget_the_recorded_costs_say_how_far_a_deadline_lets_it_go() {
    let recorded = decision(Some(spent(4, StopReason::Halted)));
    // Taken up at 104 ms, 2 ms before the first step, 2 ms a step: 124 ms leave nine steps.
    assert_eq!(recorded.checked(Some(&plan(Some(124 * MS))), false), Some(9));
    assert_eq!(recorded.checked(Some(&plan(Some(Duration::ZERO))), false), Some(1), "one step is always taken");
    assert_eq!(recorded.checked(Some(&plan(None)), false), None);
    assert_eq!(recorded.checked(None, false), None);
}

#[test]
fn a_report_gets_the_ages_and_counts_of_the_recorded_run() {
    let recorded = decision(Some(spent(4, StopReason::Halted)));
    let mut report = Report { captured: 100 * MS, age: 999 * MS, ..Report::for_tests(1) };
    report.trace.steps = 4;
    recorded.settle(&mut report, None, 9, true);
    assert_eq!((report.age, report.stages.steps), (15 * MS, 8 * MS));
    assert_eq!((report.dropped, report.skipped, report.corrupt), (3, 4, 5));
    // Two steps more take two steps longer.
    report.trace.steps = 6;
    recorded.settle(&mut report, None, 9, false);
    assert_eq!((report.age, report.stages.steps), (19 * MS, 12 * MS));
}

#[test]
fn steps_that_the_recorded_deadline_ended_are_told_as_ended_by_it() {
    let recorded = decision(Some(spent(4, StopReason::Deadline)));
    let mut report = Report::for_tests(1);
    (report.trace.steps, report.trace.limit, report.trace.stop) = (4, 4, StopReason::Limit);
    recorded.settle(&mut report, Some(4), 9, true);
    assert_eq!((report.trace.stop, report.trace.limit), (StopReason::Deadline, 9));
    // Halting comes first, as it did.
    (report.trace.steps, report.trace.limit, report.trace.stop) = (4, 4, StopReason::Halted);
    recorded.settle(&mut report, Some(4), 9, true);
    assert_eq!(report.trace.stop, StopReason::Halted);
}

#[test]
fn a_frame_that_was_left_out_then_and_is_answered_now_costs_what_was_known() {
    let mut report = Report { captured: 100 * MS, ..Report::for_tests(1) };
    report.trace.steps = 5;
    decision(None).settle(&mut report, None, 9, false);
    assert_eq!((report.stages.total(), report.age), (13 * MS, 17 * MS));
    let nothing_known = Decision { plan: None, ..decision(None) };
    report.stages = Stages { encode: 6 * MS, ..Stages::default() };
    nothing_known.settle(&mut report, None, 9, false);
    assert_eq!(report.age, 6 * MS);
}
