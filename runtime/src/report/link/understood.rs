//! Commands of the wire in the words of the service.

use std::time::Duration;

use firmware_bridge::{self as bridge, AckResult, Command, ParseError};

use super::tx_queue::Asked;
use crate::control::{BudgetChange, Celsius, Control, ControlQueue, Mode, Power};

/// Carries out one new command: requests go to `control_queue`; what concerns the link itself comes back beside the answer.
pub(super) fn carry_out(command: Result<Command, ParseError>, control_queue: &ControlQueue) -> (AckResult, Option<Asked>) {
    let ask = |control| (if control_queue.ask(control).is_ok() { AckResult::Done } else { AckResult::Busy }, None);
    let here = |asked| (AckResult::Done, Some(asked));
    match command {
        Ok(Command::SetBudget(change)) => ask(Control::SetBudget(budget(change))),
        Ok(Command::SetMode(bridge::SetMode { mode })) => match mode {
            bridge::Mode::Accuracy => ask(Control::SetMode(Mode::Accuracy)),
            bridge::Mode::Balanced => ask(Control::SetMode(Mode::Balanced)),
            bridge::Mode::Saver => ask(Control::SetMode(Mode::Saver)),
            bridge::Mode::Unknown(_) => (AckResult::OutOfRange, None),
        },
        Ok(Command::Pause) => ask(Control::Pause(true)),
        Ok(Command::Resume) => ask(Control::Pause(false)),
        Ok(Command::ResetState) => ask(Control::Reset),
        Ok(Command::AskStatus) => here(Asked::Status),
        Ok(Command::AskHello) => here(Asked::Hello),
        Ok(Command::SetReportRate(rates)) => here(Asked::Rates(rates)),
        Err(ParseError::UnknownKind(_)) => (AckResult::Unsupported, None),
        Err(ParseError::Malformed) => (AckResult::Malformed, None),
        Err(ParseError::OutOfRange(_)) => (AckResult::OutOfRange, None),
    }
}

/// On the wire an absent field leaves a limit as it is, and a zero lifts it.
fn budget(change: bridge::SetBudget) -> BudgetChange {
    BudgetChange {
        deadline: change.deadline_us.map(|us| (us > 0).then(|| Duration::from_micros(us.into()))),
        percentile: change.percentile_pm.map(|pm| f64::from(pm) / 10.0),
        power: change.power_mw.map(|mw| (mw > 0).then_some(Power { mw })),
        temp: change.temperature_cc.map(|cc| (cc > 0).then(|| Celsius(f32::from(cc) / 100.0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_leaves_and_zero_lifts() {
        let change =
            budget(bridge::SetBudget { deadline_us: Some(0), percentile_pm: Some(995), power_mw: None, temperature_cc: Some(8_550) });
        let wanted = BudgetChange { deadline: Some(None), percentile: Some(99.5), power: None, temp: Some(Some(Celsius(85.5))) };
        assert_eq!(change, wanted);
    }

    #[test]
    fn what_cannot_be_carried_out_is_named() {
        let control_queue = ControlQueue::new();
        let answer = |command| carry_out(command, &control_queue).0;
        assert_eq!(answer(Err(ParseError::Malformed)), AckResult::Malformed);
        assert_eq!(answer(Err(ParseError::UnknownKind(0x7E))), AckResult::Unsupported);
        assert_eq!(answer(Ok(Command::Pause)), AckResult::Done);
        assert!((0..20).map(|_| answer(Ok(Command::ResetState))).any(|result| result == AckResult::Busy));
        assert_eq!(control_queue.take(), Some(Control::Pause(true)));
    }
}
