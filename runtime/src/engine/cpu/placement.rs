//! Which processors the workers may run on: not the caller's.
//!
//! A thread that is woken may be put on the processor of the one that wakes it, although others are idle; two threads then share one
//! processor for milliseconds, longer than a small network's step takes. So the other processors are dealt out among the workers, and
//! again whenever the caller has moved.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Where one caller's workers run.
pub struct Placement {
    workers: Vec<Pid>,
    /// Processors this process might use when the workers were started.
    allowed: Vec<usize>,
    /// The caller's processor when they were last dealt out.
    caller: Option<usize>,
}

impl Placement {
    /// For the threads `workers`, nowhere yet.
    pub fn of(workers: Vec<Pid>) -> Placement {
        let set = sched_getaffinity(None).unwrap_or_default();
        let allowed = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
        Placement { workers, allowed, caller: None }
    }

    /// Keeps the workers away from the calling thread's processor. Costs a look at which that is, unless it has changed.
    pub fn keep_away(&mut self) {
        let caller = sched_getcpu();
        if self.caller == Some(caller) {
            return;
        }
        self.caller = Some(caller);
        for (at, worker) in self.workers.iter().enumerate() {
            let Some(set) = share(&self.allowed, caller, at, self.workers.len()) else { return };
            if let Err(error) = sched_setaffinity(Some(*worker), &set) {
                log::debug!("engine thread {at} stays where the system puts it: {error}");
            }
        }
    }
}

/// The processors of worker `at` of `workers`: every `workers`-th of those `allowed` that are not the caller's; None if only that is allowed.
fn share(allowed: &[usize], caller: usize, at: usize, workers: usize) -> Option<CpuSet> {
    let others: Vec<usize> = allowed.iter().copied().filter(|&cpu| cpu != caller).collect();
    let first = at.checked_rem(others.len())?;
    let mut set = CpuSet::new();
    others.iter().skip(first).step_by(workers).for_each(|&cpu| set.set(cpu));
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(allowed: &[usize], caller: usize, workers: usize) -> Vec<Vec<usize>> {
        let listed = |set: CpuSet| (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
        (0..workers).filter_map(|at| share(allowed, caller, at, workers)).map(listed).collect()
    }

    #[test]
    fn every_other_processor_is_dealt_to_one_worker_and_the_callers_to_none() {
        assert_eq!(shares(&[0, 1], 1, 1), [[0]]);
        assert_eq!(shares(&[0, 1, 2, 3, 4, 5], 2, 5), [[0], [1], [3], [4], [5]]);
        assert_eq!(shares(&[0, 1, 2, 3, 4, 5], 0, 2), [vec![1, 3, 5], vec![2, 4]]);
    }

    #[test]
    fn more_workers_than_processors_share_them_and_a_single_processor_is_left_to_the_system() {
        assert_eq!(shares(&[4, 6], 4, 3), [[6], [6], [6]]);
        assert!(shares(&[3], 3, 2).is_empty());
    }

    #[test]
    fn a_thread_is_kept_off_the_processor_of_its_caller() {
        let (told, tid) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let worker = std::thread::spawn(move || {
            told.send(rustix::thread::gettid()).unwrap();
            let _ = ended.recv();
        });
        let worker_id = tid.recv().unwrap();
        let mut placement = Placement::of(vec![worker_id]);
        placement.keep_away();
        let caller = placement.caller.unwrap();
        let set = sched_getaffinity(Some(worker_id)).unwrap();
        assert!(placement.allowed.len() == 1 || !set.is_set(caller), "{caller} {set:?}");
        drop(end);
        worker.join().unwrap();
    }
}
