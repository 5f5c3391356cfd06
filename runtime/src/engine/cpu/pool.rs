//! A fixed set of threads that share one list of work items at a time.
//!
//! A step of a small network takes well under a millisecond and crosses this pool some ten times, so a worker spins for a short
//! while before it sleeps. Which worker takes which item is a matter of timing; items must therefore not depend on the worker.
//!
//! Nobody waits for a worker that has not come: a job is open while items are left, a worker enters it, and the caller closes it when the
//! last item has been taken and waits only for those inside. On a busy machine a worker that is not running costs its help and no more.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};

use rustix::thread::Pid;

use super::affinity::Affinity;
use crate::threads;

/// Turns of the waiting loop before a worker sleeps; some tens of microseconds.
const SPINS: u32 = 4000;

/// Jobs between two looks whether all workers are still there: a frame of a small network, and what a look costs is a hundredth of them.
const LOOK_AFTER: u32 = 16;

/// The door: the job's number in the upper half, whether it is open, and how many workers are inside.
const JOB: u64 = 1 << 32;
const OPEN: u64 = 1 << 31;
const INSIDE: u64 = OPEN - 1;

type Job<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// What the threads share.
struct Shared {
    /// See [`JOB`]; workers wait for a new number.
    door: AtomicU64,
    /// The job, valid while the door is open or somebody is inside.
    job: AtomicPtr<&'static Job<'static>>,
    /// The next item nobody has taken.
    next: AtomicUsize,
    /// Items of the job.
    items: AtomicUsize,
    /// An item panicked on a worker.
    failed: AtomicBool,
    /// The pool is being dropped.
    stop: AtomicBool,
    /// The kernel's numbers of the workers.
    tids: OnceLock<Vec<i32>>,
}

impl Shared {
    /// Whether the kernel has taken a worker away.
    fn lost(&self) -> bool {
        self.tids.get().is_some_and(|tids| !tids.iter().all(|tid| threads::exists(*tid)))
    }
}

/// `threads - 1` workers and the calling thread.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    handles: Vec<Thread>,
    affinity: Affinity,
    /// Jobs so far, to look after the workers every now and then.
    jobs: u32,
}

impl Pool {
    /// A pool in which [`Pool::run`] uses `threads` threads, the caller's among them; 0 counts as 1.
    pub fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared {
            door: AtomicU64::new(0),
            job: AtomicPtr::new(std::ptr::null_mut()),
            next: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            tids: OnceLock::new(),
        });
        let (named, names) = mpsc::channel();
        let workers: Vec<_> = (1..threads)
            .map_while(|index| {
                let (shared, named) = (Arc::clone(&shared), named.clone());
                let work = move || {
                    let _ = named.send(rustix::thread::gettid());
                    drop(named);
                    work(&shared, index);
                };
                std::thread::Builder::new().name(format!("engine-{index}")).spawn(work).ok()
            })
            .collect();
        drop(named);
        if workers.len() + 1 < threads {
            log::warn!("only {} of {threads} engine threads could be started", workers.len() + 1);
        }
        let handles = workers.iter().map(|worker| worker.thread().clone()).collect();
        let tids: Vec<Pid> = names.iter().collect();
        let _ = shared.tids.set(tids.iter().map(|tid| tid.as_raw_nonzero().get()).collect());
        Pool { shared, workers, handles, affinity: Affinity::of(tids), jobs: 0 }
    }

    /// Threads that take items, the caller's among them.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job(thread, item)` once for every item below `items`, and returns when all are done. Allocates nothing.
    ///
    /// # Panics
    /// If the job panicked on any thread.
    pub fn run(&mut self, items: usize, job: &Job<'_>) {
        self.jobs = self.jobs.wrapping_add(1);
        assert!(!self.jobs.is_multiple_of(LOOK_AFTER) || !self.shared.lost(), "an engine thread is gone without a word");
        if self.workers.is_empty() || items < 2 {
            (0..items).for_each(|item| job(0, item));
            return;
        }
        self.affinity.keep_away();
        let shared = &*self.shared;
        let mut held: &Job<'_> = job;
        // The workers inside forget the pointer before they leave, and this function returns (or unwinds) only after that.
        shared.job.store((&raw mut held).cast(), Ordering::Relaxed);
        shared.items.store(items, Ordering::Relaxed);
        shared.next.store(0, Ordering::Relaxed);
        // Closed and empty since the last job, so that only the number is left of it.
        let last = shared.door.load(Ordering::Relaxed);
        shared.door.store(last.wrapping_add(JOB) | OPEN, Ordering::Release);
        self.handles.iter().for_each(Thread::unpark);
        let close = Close(shared);
        take(shared, job, 0);
        drop(close);
        assert!(!shared.failed.swap(false, Ordering::Relaxed), "an engine thread panicked");
    }
}

/// Lets nobody in any more, and holds the caller back until the last worker has left, also while it unwinds.
struct Close<'a>(&'a Shared);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.door.fetch_and(!OPEN, Ordering::Relaxed);
        let mut turns = 0u32;
        while self.0.door.load(Ordering::Acquire) & INSIDE != 0 {
            turns += 1;
            if turns.is_multiple_of(1024) {
                std::thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
            // One that the kernel took away inside a job never leaves it, and touches the job no more.
            if turns.is_multiple_of(1 << 20) && self.0.lost() {
                self.0.failed.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

fn take(shared: &Shared, job: &Job<'_>, thread: usize) {
    let items = shared.items.load(Ordering::Relaxed);
    loop {
        let item = shared.next.fetch_add(1, Ordering::Relaxed);
        if item >= items {
            return;
        }
        job(thread, item);
    }
}

fn work(shared: &Shared, index: usize) {
    let mut seen = 0;
    let mut spins = 0;
    loop {
        let door = shared.door.load(Ordering::Acquire);
        if door / JOB == seen {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop()
            } else {
                std::thread::park()
            }
            continue;
        }
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        if door & OPEN == 0 {
            // It was done without this worker.
            (seen, spins) = (door / JOB, 0);
            continue;
        }
        // Fails if the door has moved: then it is looked at again.
        if shared.door.compare_exchange(door, door + 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            continue;
        }
        (seen, spins) = (door / JOB, 0);
        // SAFETY: `run` keeps the job alive while this worker is inside, and it leaves after its last use.
        let job: &Job<'_> = unsafe { *shared.job.load(Ordering::Relaxed) };
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| take(shared, job, index))).is_err() {
            shared.failed.store(true, Ordering::Relaxed);
        }
        shared.door.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.door.fetch_add(JOB, Ordering::Release);
        self.handles.iter().for_each(Thread::unpark);
        // The standard library cannot join a thread that the kernel has taken away.
        if !self.shared.lost() {
            self.workers.drain(..).for_each(|worker| drop(worker.join()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once() {
        for threads in 1..5 {
            let mut pool = Pool::new(threads);
            for items in [0, 1, 2, 7, 1000] {
                let done: Vec<AtomicU64> = (0..items).map(|_| AtomicU64::new(0)).collect();
                pool.run(items, &|thread, item| {
                    assert!(thread < threads);
                    done[item].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let mut pool = Pool::new(3);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(64, &|_, item| assert!(item != 40, "planted"));
        }));
        assert!(result.is_err());
        let sum = AtomicUsize::new(0);
        pool.run(64, &|_, item| {
            sum.fetch_add(item, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 64 * 63 / 2);
    }
}
