//! What was decided for one frame, and what that depended on. A recording keeps it beside the frame, and a replay decides by it.
//!
//! A replay lives on the recorded run's clock: a frame is planned when it was planned then, sensors say what they said then, and a step
//! takes what it took then. Under the budget of the recorded run it takes over that run's plan, and the engine stops where the deadline
//! stopped it. Under another budget the governor plans anew, from the same readings and costs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frame::Frame;
use crate::outcome::StopReason;
use crate::pace::{Budget, EnergyModel, Plan, Reading};
use crate::source::Recorded;
use crate::telemetry::{CameraState, LimitReason, Report, Stages};

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameOutcome {
    /// It was answered.
    Answered,
    /// It was left out to keep within a budget.
    LeftOut,
    /// Frames were left alone on request.
    Paused,
    /// It could not be read.
    Unreadable,
}

/// One frame's decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What became of the frame.
    pub fate: FrameOutcome,
    /// When it was taken up, in ns on the clock of its capture time.
    pub at_ns: u64,
    /// What the governor granted; None where no budget bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Planned>,
    /// What the sensors said since the frame before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<SensorReading>,
    /// What the answer took; None where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<FrameCost>,
}

/// What the governor granted a frame, and what it knew beside the readings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// As in [`Plan`].
    pub limit: u32,
    /// As in [`Plan`].
    pub skip: bool,
    /// As in [`Plan`].
    pub starved: bool,
    /// As in [`Plan`].
    pub reason: LimitReason,
    /// What was kept to.
    pub budget: Budget,
    /// What a frame cost at warm-up, beside its steps.
    pub base_ns: u64,
    /// What a step cost at warm-up.
    pub per_step_ns: u64,
    /// The camera's frame period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_ns: Option<u64>,
    /// What the board was said to draw: mW at rest, mJ a step, Hz at which that holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<(u32, f32, u64)>,
}

/// One look at the sensors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorReading {
    /// When, in ns.
    pub at_ns: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    power_mw: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temp_c: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gpu_clock_hz: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    over_current: bool,
}

/// What an answer took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameCost {
    steps: u32,
    limit: u32,
    stop: StopReason,
    age_ns: u64,
    /// Fitting, encoding, stepping, reading out.
    stages_ns: [u64; 4],
    camera: CameraState,
    dropped: u64,
    skipped: u64,
    corrupt: u64,
    skip: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    power_mw: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temp_c: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    energy_j: Option<f32>,
}

impl SensorReading {
    /// What the sensors said at `at`.
    pub fn new(at: Duration, reading: &Reading) -> SensorReading {
        let Reading { power_mw, temp_c, gpu_clock_hz, over_current } = *reading;
        // What is no number cannot be written down, and means nothing.
        let (power_mw, temp_c) = (power_mw.filter(|mw| mw.is_finite()), temp_c.filter(|c| c.is_finite()));
        SensorReading { at_ns: ns(at), power_mw, temp_c, gpu_clock_hz, over_current }
    }

    /// The same, as the governor takes it.
    pub fn reading(&self) -> (Duration, Reading) {
        let SensorReading { at_ns, power_mw, temp_c, gpu_clock_hz, over_current } = *self;
        (Duration::from_nanos(at_ns), Reading { power_mw, temp_c, gpu_clock_hz, over_current })
    }
}

impl FrameCost {
    /// What the answer in `report` took.
    pub fn new(report: &Report) -> FrameCost {
        let Stages { fit, encode, steps, readout } = report.stages;
        FrameCost {
            steps: report.trace.steps,
            limit: report.trace.limit,
            stop: report.trace.stop,
            age_ns: ns(report.age),
            stages_ns: [fit, encode, steps, readout].map(ns),
            camera: report.camera,
            dropped: report.dropped,
            skipped: report.skipped,
            corrupt: report.corrupt,
            skip: report.skip,
            power_mw: report.power_mw,
            temp_c: report.temp_c,
            energy_j: report.energy_j,
        }
    }

    fn stages(&self) -> Stages {
        let [fit, encode, steps, readout] = self.stages_ns.map(Duration::from_nanos);
        Stages { fit, encode, steps, readout }
    }

    /// What one step took; None where none was taken.
    fn per_step(&self) -> Option<Duration> {
        (self.steps > 0).then(|| Duration::from_nanos(self.stages_ns[2]) / self.steps)
    }
}

impl Decision {
    /// What the recorded run decided for the frame that `recorded` belongs to, where the recording says so.
    pub fn of(recorded: &Recorded) -> Option<Decision> {
        let run = recorded.run.as_ref()?;
        Decision::deserialize(run).inspect_err(|error| log::warn!("what was decided for a recorded frame is not understood: {error}")).ok()
    }

    /// As JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a decision has no failing serializer")
    }

    /// When the frame was taken up.
    pub fn at(&self) -> Duration {
        Duration::from_nanos(self.at_ns)
    }

    /// What a frame costs beside its steps, and what a step costs, as the recorded run knew it or as this frame shows it.
    pub fn cost(&self) -> Option<(Duration, Duration)> {
        let planned = self.plan.as_ref().map(|plan| (Duration::from_nanos(plan.base_ns), Duration::from_nanos(plan.per_step_ns)));
        let shown = || {
            let spent = self.spent.as_ref()?;
            let Stages { fit, encode, readout, .. } = spent.stages();
            Some((fit + encode + readout, spent.per_step()?))
        };
        planned.or_else(shown)
    }

    /// Whether the frame was planned under `budget`, or under none if that is what is kept to.
    pub fn kept_to(&self, budget: Option<&Budget>) -> bool {
        self.plan.as_ref().map(|plan| &plan.budget) == budget
    }

    /// The steps after which the mid-frame check ends the stepping, on the recorded clock. `follows`: the plan is the recorded one.
    pub fn checked(&self, plan: Option<&Plan>, follows: bool) -> Option<u32> {
        if follows {
            return self.spent.as_ref().filter(|spent| spent.stop == StopReason::Deadline).map(|spent| spent.steps);
        }
        let deadline = plan?.deadline?;
        let stages = self.spent.as_ref().map(FrameCost::stages);
        let before = stages.map(|stages| stages.fit + stages.encode).or_else(|| self.cost().map(|(base, _)| base))?;
        let step = self.spent.as_ref().and_then(FrameCost::per_step).or_else(|| self.cost().map(|(_, step)| step))?;
        let left = deadline.saturating_sub(self.at() + before);
        Some((left.as_nanos() / step.as_nanos().max(1)).clamp(1, u128::from(u32::MAX)) as u32)
    }

    /// Puts the times and counts of the recorded run into `report`, whose steps were taken now. `checked`: as [`Decision::checked`] said
    /// before the steps were taken; `granted`: the plan's limit.
    pub fn settle(&self, report: &mut Report, checked: Option<u32>, granted: u32, follows: bool) {
        let trace = &mut report.trace;
        if checked == Some(trace.steps) && trace.steps < granted && matches!(trace.stop, StopReason::Limit | StopReason::Reset) {
            trace.stop = StopReason::Deadline;
        }
        let Some(spent) = &self.spent else {
            if let Some((base, step)) = self.cost() {
                report.stages = Stages { encode: base, steps: step * trace.steps, ..Stages::default() };
                report.age = self.at().saturating_sub(report.captured) + report.stages.total();
            } else {
                report.age = report.stages.total();
            }
            return;
        };
        let took = spent.stages();
        let step = spent.per_step().or_else(|| self.cost().map(|(_, step)| step)).unwrap_or_default();
        // What was measured, where the same steps were taken; it is not a whole multiple of a step.
        let steps = if trace.steps == spent.steps { took.steps } else { step * trace.steps };
        if checked.is_some() {
            trace.limit = if follows { spent.limit } else { granted };
        }
        report.stages = Stages { steps, ..took };
        report.age = (Duration::from_nanos(spent.age_ns) + steps).saturating_sub(took.steps);
        report.camera = spent.camera;
        (report.dropped, report.skipped, report.corrupt) = (spent.dropped, spent.skipped, spent.corrupt);
        (report.power_mw, report.temp_c, report.energy_j) = (spent.power_mw, spent.temp_c, spent.energy_j);
        report.skip = spent.skip;
    }
}

impl Planned {
    /// The recorded plan, as the governor gives one; the mid-frame check is known by what it did.
    pub fn plan(&self) -> Plan {
        let &Planned { limit, skip, starved, reason, per_step_ns, .. } = self;
        Plan { limit, skip, starved, reason, deadline: None, step_cost: Duration::from_nanos(per_step_ns) }
    }

    /// What the board was said to draw.
    pub fn energy_model(&self) -> Option<EnergyModel> {
        self.energy.map(|(idle_mw, step_mj, at_clock_hz)| EnergyModel { idle_mw, step_mj, at_clock_hz })
    }
}

/// A decision about `frame`, taken up at `at`, before anything is known of it.
pub fn begun(frame: &Frame, at: Option<Duration>) -> Decision {
    Decision { fate: FrameOutcome::Answered, at_ns: ns(at.unwrap_or(frame.captured)), plan: None, readings: Vec::new(), spent: None }
}

/// Nanoseconds, as far as they can be counted.
pub(super) fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
