//! The governor at work: warmed up on this machine, fed with sensor readings, asked before every frame.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::decision::{Decision, Planned, SensorReading, ns};
use crate::clock;
use crate::network::engine::EngineError;
use crate::outcome::StopReason;
use crate::pace::sensors::Sensors;
use crate::pace::{Budget, CostModel, EnergyMeter, EnergyModel, Governor, Limits, Observation, Plan, Reading, Shares};
use crate::pipeline::{Cost, Pipeline};
use crate::telemetry::Report;
use crate::threads::{self, Fault, Guard};

/// How often sensors are asked whether it is time: well below their own interval, which they vary so that it keeps step with nothing.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Readings that wait while a frame is answered, some seconds of them; more are of no use.
const READINGS: usize = 64;

/// How long the sensors' thread may take to end.
const FAREWELL: Duration = Duration::from_millis(300);

/// Where watts and degrees are learned from.
pub struct Sensing<'a> {
    /// Where `sys` and `proc` are: `/` on a board.
    pub root: &'a Path,
    /// The rail that measures the whole board, where the usual choice is wrong.
    pub rail: Option<&'a str>,
    /// What the board draws, where nothing measures it.
    pub energy: Option<EnergyModel>,
}

/// Keeps frames within a budget.
pub struct BudgetController {
    governor: Governor,
    energy: EnergyMeter,
    /// The sensors; None on replay, where the recording says what they said.
    watch: Option<Watch>,
    cost: CostModel,
    period: Option<Duration>,
    /// What the sensors said last, and since the last plan.
    last: Reading,
    heard: Vec<SensorReading>,
    /// When the last plan was made.
    planned: Duration,
    /// Frames left out since the last answered one, and all of those before.
    skip: u32,
    skipped: u64,
}

impl BudgetController {
    /// Measures what frames cost on this machine, and starts to watch its sensors.
    pub fn begin(
        pipeline: &mut Pipeline,
        budget: Budget,
        max_steps: u32,
        fps: Option<f64>,
        sensing: &Sensing,
    ) -> Result<BudgetController, EngineError> {
        let Cost { base, per_step } = pipeline.warm_up()?;
        log::info!("a frame costs {:.2} ms and {:.2} ms a step", base.as_secs_f64() * 1e3, per_step.as_secs_f64() * 1e3);
        // A rate so low that its period cannot be told is none.
        let frame_period = fps.filter(|fps| *fps > 0.0).and_then(|fps| Duration::try_from_secs_f64(1.0 / fps).ok());
        let limits = Limits { min_steps: 1, max_steps, frame_period, checked: true };
        let sensors = Sensors::discover_with(sensing.root, sensing.rail);
        match (sensors.has_power(), sensing.rail, sensing.energy) {
            (true, ..) => {}
            (false, None, None) => log::info!("no power sensor: watts are neither reported nor kept to"),
            (false, None, Some(_)) => log::info!("no power sensor: watts are kept to by the energy model, and not reported"),
            (false, Some(rail), model) => {
                let kept = if model.is_some() { "watts are kept to by the energy model" } else { "watts are not kept to" };
                log::warn!("there is no power rail '{rail}' (`recslowfast doctor power` lists them): {kept}, and not reported");
            }
        }
        Ok(BudgetController {
            watch: Some(Watch::start(sensors)),
            ..BudgetController::new(limits, CostModel { base, per_step, energy: sensing.energy }, budget)
        })
    }

    /// Keeps the replay of a recorded run within `budget`, on that run's clock and with its costs; where the recording knows none, with
    /// what frames cost on this machine. `first`: what was decided for its first frame.
    pub fn replaying(
        pipeline: &mut Pipeline,
        budget: Budget,
        max_steps: u32,
        first: Option<&Decision>,
    ) -> Result<BudgetController, EngineError> {
        // The recorded run warmed up as well: the engine begins as it did then.
        let Cost { base, per_step } = pipeline.warm_up()?;
        let (base, per_step) = first.and_then(Decision::cost).unwrap_or((base, per_step));
        let plan = first.and_then(|first| first.plan.as_ref());
        let frame_period = plan.and_then(|plan| plan.period_ns).map(Duration::from_nanos);
        let limits = Limits { min_steps: 1, max_steps, frame_period, checked: true };
        Ok(BudgetController::new(limits, CostModel { base, per_step, energy: plan.and_then(Planned::energy_model) }, budget))
    }

    fn new(limits: Limits, cost: CostModel, budget: Budget) -> BudgetController {
        BudgetController {
            governor: Governor::new(limits, cost, budget),
            energy: EnergyMeter::new(),
            watch: None,
            cost,
            period: limits.frame_period,
            last: Reading::default(),
            heard: Vec::new(),
            planned: Duration::ZERO,
            skip: 0,
            skipped: 0,
        }
    }

    /// What the frame captured at `captured` may spend. `recorded`: what was decided for it, where a recorded run is replayed; under the
    /// same budget that holds again.
    pub fn plan(&mut self, captured: Duration, recorded: Option<&Decision>) -> Plan {
        self.heard.clear();
        let now = match (&self.watch, recorded) {
            (Some(_), _) => clock::now(),
            (None, Some(decision)) => decision.at(),
            (None, None) => captured,
        };
        while let Some((at, reading)) = self.watch.as_ref().and_then(Watch::take) {
            self.hear(at, reading);
        }
        for sensed in recorded.into_iter().flat_map(|decision| &decision.readings) {
            let (at, reading) = sensed.reading();
            self.hear(at, reading);
        }
        self.planned = now;
        let plan = self.governor.plan(now, now.saturating_sub(captured));
        let followed = recorded.filter(|decision| self.follows(decision)).and_then(|decision| decision.plan.as_ref());
        followed.map_or(plan, Planned::plan)
    }

    /// Whether the recorded decision holds again: it was made under the budget that is kept to.
    pub fn follows(&self, recorded: &Decision) -> bool {
        recorded.kept_to(Some(self.governor.budget()))
    }

    fn hear(&mut self, at: Duration, reading: Reading) {
        if let Some(power) = reading.power_mw {
            self.energy.sample(at, power);
        }
        self.governor.sense(at, &reading);
        self.last = reading;
        self.heard.push(SensorReading::new(at, &reading));
    }

    /// What a recording keeps of the last plan: when it was made, what it granted and what it was made from.
    pub fn kept(&mut self, plan: &Plan, decision: &mut Decision) {
        let CostModel { base, per_step, energy } = self.cost;
        decision.at_ns = ns(self.planned);
        decision.readings = std::mem::take(&mut self.heard);
        decision.plan = Some(Planned {
            limit: plan.limit,
            skip: plan.skip,
            starved: plan.starved,
            reason: plan.reason,
            budget: *self.governor.budget(),
            base_ns: ns(base),
            per_step_ns: ns(per_step),
            period_ns: self.period.map(ns),
            energy: energy.map(|model| (model.idle_mw, model.step_mj, model.at_clock_hz)),
        });
    }

    /// A frame was left out as planned.
    pub fn left_out(&mut self) {
        self.skip += 1;
    }

    /// Learns from an answered frame, and completes its report.
    pub fn answered(&mut self, plan: &Plan, report: &mut Report) {
        let now = report.captured + report.age;
        let held = report.trace.steps >= plan.limit && report.trace.stop == StopReason::Limit || report.trace.stop == StopReason::Deadline;
        let stages = &report.stages;
        self.governor.observe(
            now,
            &Observation {
                steps: report.trace.steps,
                encode: stages.fit + stages.encode,
                fit: stages.fit,
                shares: Shares { encoded: report.trace.encoded, stepped: report.trace.stepped },
                stepping: stages.steps,
                readout: stages.readout,
                age: report.age,
                wanted_more: held,
            },
        );
        report.limit_reason = plan.reason;
        report.power_mw = self.last.power_mw.map(|power| power.round() as u32);
        report.power_budget_mw = self.governor.budget().power.map(|power| power.mw);
        report.temp_c = self.last.temp_c;
        report.energy_j = self.energy.frame(now).map(|joules| joules as f32);
        let skip = std::mem::take(&mut self.skip);
        if self.watch.is_some() {
            report.skip = skip;
            self.skipped += u64::from(skip);
            report.skipped += self.skipped;
        }
    }

    /// What ended the thread that watches the sensors, if anything did: watts and degrees would be kept to no more.
    pub fn fault(&self) -> Option<Fault> {
        self.watch.as_ref()?.thread.as_ref().and_then(Guard::fault)
    }

    /// Keeps to another budget from the next frame on.
    pub fn set_budget(&mut self, budget: Budget) {
        self.governor.set_budget(budget);
    }

    /// The budget kept to.
    pub fn budget(&self) -> &Budget {
        self.governor.budget()
    }
}

/// A thread that looks at the sensors, so that no slow bus delays a frame.
struct Watch {
    readings: Receiver<(Duration, Reading)>,
    end: Arc<AtomicBool>,
    thread: Option<Guard>,
}

impl Watch {
    fn start(mut sensors: Sensors) -> Watch {
        let (send, readings) = sync_channel(READINGS);
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let look = move || {
            while !ended.load(Ordering::Relaxed) {
                let now = clock::now();
                if let Some(reading) = sensors.read(now) {
                    // A full queue means that nobody answers frames now.
                    let _ = send.try_send((now, reading));
                }
                for event in sensors.take_events() {
                    log::warn!("{event}");
                }
                std::thread::park_timeout(LOOK_EVERY);
            }
        };
        let thread = threads::spawn("sensors", look, |_| {});
        let thread = thread.inspect_err(|error| log::error!("no thread for the sensors ({error}): latency alone is kept to")).ok();
        Watch { readings, end, thread }
    }

    /// The oldest reading not yet taken.
    fn take(&self) -> Option<(Duration, Reading)> {
        self.readings.try_recv().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.unpark();
            // A sensor's bus may be stuck; nothing of it is needed any more.
            thread.wait(FAREWELL);
        }
    }
}
