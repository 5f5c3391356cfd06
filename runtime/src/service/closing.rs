//! The end of all outputs: told together, waited for together, and for no longer than somebody who asked for the end is willing to wait.

use std::time::{Duration, Instant};

use super::exit::{Cause, Failure};
use crate::report::{Outlet, SinkError};

/// How often it is asked whether there is a hurry.
const LOOK: Duration = Duration::from_millis(20);

/// Lets every outlet show what is queued, and end. From the moment in which there is a `hurry` each has its own grace; one that takes longer is left behind,
/// and its last reports are lost. The first failure is returned, the others are logged.
pub fn close(outlets: Vec<Outlet>, hurry: &dyn Fn() -> bool) -> Result<(), Failure> {
    outlets.iter().for_each(Outlet::end);
    let mut hurried = None;
    let mut result = Ok(());
    for outlet in outlets {
        let ended = loop {
            if hurried.is_none() && hurry() {
                hurried = Some(Instant::now());
            }
            let left = hurried.map(|since| outlet.grace().saturating_sub(since.elapsed()));
            if outlet.has_ended(left.map_or(LOOK, |left| left.min(LOOK))) {
                break true;
            }
            if left.is_some_and(|left| left.is_zero()) {
                break false;
            }
        };
        if outlet.dropped() > 0 {
            log::warn!("{}: {} reports were dropped because their reader was slow", outlet.name(), outlet.dropped());
        }
        let failure = match outlet.check() {
            Err(SinkError::Closed) => None,
            Err(error) => Some(error.into()),
            Ok(()) if ended => None,
            Ok(()) => Some(late(&outlet)),
        };
        if ended {
            // It has ended, so this waits for nothing.
            drop(outlet);
        } else {
            outlet.abandon();
        }
        match failure {
            Some(failure) if result.is_ok() => result = Err(failure),
            Some(failure) => log::error!("{failure}"),
            None => {}
        }
    }
    result
}

fn late(outlet: &Outlet) -> Failure {
    let words = format!(
        "asked to end, but the output '{}' took longer than {} ms to finish; its last reports are lost ({} of them were still to be shown)",
        outlet.name(),
        outlet.grace().as_millis(),
        outlet.waiting()
    );
    Failure::new(Cause::Output, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Overflow, Sink};
    use crate::telemetry::Report;
    use std::sync::mpsc::channel;

    struct Shows<F>(F);

    impl<F: FnMut() -> Result<(), SinkError> + Send> Sink for Shows<F> {
        fn show(&mut self, _: &Report) -> Result<(), SinkError> {
            (self.0)()
        }
    }

    fn outlet(name: &str, show: impl FnMut() -> Result<(), SinkError> + Send + 'static) -> Outlet {
        let outlet = Outlet::start(name, Box::new(Shows(show)), Overflow::Wait).unwrap();
        outlet.send(&Report::for_tests(0)).unwrap();
        outlet
    }

    #[test]
    fn a_stuck_output_holds_up_nobody_who_is_in_a_hurry_and_the_others_are_finished() {
        let (free, stuck) = channel::<()>();
        let (shown, seen) = channel();
        let outlets = vec![
            outlet("stuck", move || {
                stuck.recv().unwrap_or_default();
                Ok(())
            })
            .with_grace(Duration::from_millis(30)),
            outlet("well", move || {
                shown.send(()).unwrap();
                Ok(())
            }),
        ];
        let failure = close(outlets, &|| true).unwrap_err();
        assert_eq!(failure.cause, Cause::Output);
        assert!(failure.message.contains("'stuck' took longer than 30 ms") && failure.message.contains("are lost"), "{failure}");
        assert!(seen.try_recv().is_ok());
        drop(free);
    }

    #[test]
    fn without_a_hurry_a_slow_output_is_waited_for() {
        let slow = outlet("slow", || {
            std::thread::sleep(Duration::from_millis(120));
            Ok(())
        })
        .with_grace(Duration::from_millis(1));
        close(vec![slow], &|| false).unwrap();
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_fault_is_the_programs_own() {
        close(vec![outlet("left", || Err(SinkError::Closed))], &|| true).unwrap();
        let failure = close(vec![outlet("doomed", || panic!("planted"))], &|| true).unwrap_err();
        assert_eq!(failure.cause, Cause::Internal);
        assert!(failure.message.contains("'report-doomed'"), "{failure}");
    }
}
