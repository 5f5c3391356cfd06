//! Which processors the workers may run on: not the caller's.
//!
//! A thread that is woken may be put on the processor of the one that wakes it, although others are idle; two threads then share one
//! processor for milliseconds, longer than a small network's step takes. So the other processors are dealt out among the workers, and
//! again whenever the caller has moved.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Where one caller's workers run.
pub struct Affinity {
    workers: Vec<Pid>,
    /// The caller's processor when the others were last dealt out.
    caller: Option<usize>,
}

impl Affinity {
    /// For the threads `workers`, which are where the system has put them.
    pub fn of(workers: Vec<Pid>) -> Affinity {
        Affinity { workers, caller: None }
    }

    /// Keeps the workers away from the calling thread's processor. Costs a look at which that is, unless it has changed.
    pub fn keep_away(&mut self) {
        let caller = sched_getcpu();
        if self.caller == Some(caller) {
            return;
        }
        self.caller = Some(caller);
        let Ok(mut others) = sched_getaffinity(None) else { return };
        others.unset(caller);
        for (at, worker) in self.workers.iter().enumerate() {
            let Some(set) = share(&others, at, self.workers.len()) else { return };
            if let Err(error) = sched_setaffinity(Some(*worker), &set) {
                log::debug!("engine thread {at} stays where the system puts it: {error}");
            }
        }
    }
}

/// The processors of worker `at` of `workers`: every `workers`-th of the `others`; None if there is no other.
fn share(others: &CpuSet, at: usize, workers: usize) -> Option<CpuSet> {
    let first = at.checked_rem(others.count() as usize)?;
    let mut set = CpuSet::new();
    processors(others).skip(first).step_by(workers).for_each(|cpu| set.set(cpu));
    Some(set)
}

fn processors(set: &CpuSet) -> impl Iterator<Item = usize> {
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(others: &[usize], workers: usize) -> Vec<Vec<usize>> {
        let mut set = CpuSet::new();
        others.iter().for_each(|&cpu| set.set(cpu));
        (0..workers).filter_map(|at| share(&set, at, workers)).map(|set| processors(&set).collect()).collect()
    }

    #[test]
    fn every_other_processor_is_dealt_to_one_worker() {
        assert_eq!(shares(&[0], 1), [[0]]);
        assert_eq!(shares(&[0, 1, 3, 4, 5], 5), [[0], [1], [3], [4], [5]]);
        assert_eq!(shares(&[1, 2, 3, 4, 5], 2), [vec![1, 3, 5], vec![2, 4]]);
    }

    #[test]
    fn more_workers_than_processors_share_them_and_without_another_it_is_left_to_the_system() {
        assert_eq!(shares(&[6], 3), [[6], [6], [6]]);
        assert!(shares(&[], 2).is_empty());
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
        let mut affinity = Affinity::of(vec![worker_id]);
        affinity.keep_away();
        let caller = affinity.caller.unwrap();
        let (mine, workers) = (sched_getaffinity(None).unwrap(), sched_getaffinity(Some(worker_id)).unwrap());
        assert!(mine.count() == 1 || !workers.is_set(caller), "{caller} {workers:?}");
        drop(end);
        worker.join().unwrap();
    }
}
