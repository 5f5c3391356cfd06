//! The end of all outputs: told together, waited for together, and for no longer than somebody who asked for the end is willing to wait.

use std::time::{Duration, Instant};

use super::exit::{Cause, Failure};
use crate::report::{SinkError, SinkWorker};

/// How often it is asked whether there is a hurry.
const LOOK: Duration = Duration::from_millis(20);

/// Lets every worker show what is queued, and end. From the moment in which there is a `hurry` each has its own grace; one that takes longer is left behind,
/// and its last reports are lost. The first failure is returned, the others are logged.
pub fn close(workers: Vec<SinkWorker>, hurry: &dyn Fn() -> bool) -> Result<(), Failure> {
    workers.iter().for_each(SinkWorker::end);
    let mut hurried = None;
    let mut result = Ok(());
    for worker in workers {
        let ended = loop {
            if hurried.is_none() && hurry() {
                hurried = Some(Instant::now());
            }
            let left = hurried.map(|since| worker.grace().saturating_sub(since.elapsed()));
            if worker.has_ended(left.map_or(LOOK, |left| left.min(LOOK))) {
                break true;
            }
            if left.is_some_and(|left| left.is_zero()) {
                break false;
            }
        };
        if worker.dropped() > 0 {
            log::warn!("{}: {} reports were dropped because their reader was slow", worker.name(), worker.dropped());
        }
        let failure = match worker.check() {
            Err(SinkError::Closed) => None,
            Err(error) => Some(error.into()),
            Ok(()) if ended => None,
            Ok(()) => Some(late(&worker)),
        };
        if ended {
            // It has ended, so this waits for nothing.
            drop(worker);
        } else {
            worker.abandon();
        }
        match failure {
            Some(failure) if result.is_ok() => result = Err(failure),
            Some(failure) => log::error!("{failure}"),
            None => {}
        }
    }
    result
}

fn late(worker: &SinkWorker) -> Failure {
    let words = format!(
        "asked to end, but the output '{}' took longer than {} ms to finish; its last reports are lost ({} of them were still to be shown)",
        worker.name(),
        worker.grace().as_millis(),
        worker.waiting()
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

    fn worker(name: &str, show: impl FnMut() -> Result<(), SinkError> + Send + 'static) -> SinkWorker {
        let worker = SinkWorker::start(name, Box::new(Shows(show)), Overflow::Wait).unwrap();
        worker.send(&Report::for_tests(0)).unwrap();
        worker
    }

    #[test]
    fn a_stuck_output_holds_up_nobody_who_is_in_a_hurry_and_the_others_are_finished() {
        let (free, stuck) = channel::<()>();
        let (shown, seen) = channel();
        let workers = vec![
            worker("stuck", move || {
                stuck.recv().unwrap_or_default();
                Ok(())
            })
            .with_grace(Duration::from_millis(30)),
            worker("well", move || {
                shown.send(()).unwrap();
                Ok(())
            }),
        ];
        let failure = close(workers, &|| true).unwrap_err();
        assert_eq!(failure.cause, Cause::Output);
        assert!(failure.message.contains("'stuck' took longer than 30 ms") && failure.message.contains("are lost"), "{failure}");
        assert!(seen.try_recv().is_ok());
        drop(free);
    }

    #[test]
    fn without_a_hurry_a_slow_output_is_waited_for() {
        let slow = worker("slow", || {
            std::thread::sleep(Duration::from_millis(120));
            Ok(())
        })
        .with_grace(Duration::from_millis(1));
        close(vec![slow], &|| false).unwrap();
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_fault_is_the_programs_own() {
        close(vec![worker("left", || Err(SinkError::Closed))], &|| true).unwrap();
        let failure = close(vec![worker("doomed", || panic!("planted"))], &|| true).unwrap_err();
        assert_eq!(failure.cause, Cause::Internal);
        assert!(failure.message.contains("'report-doomed'"), "{failure}");
    }
}
