//! Recording beside the work: frames and answers are copied once and written by a thread of their own.
//!
//! The thread ends the file when it is told to, when whoever holds the [`Recording`] lets go of it (a panic that unwinds among others),
//! and when [`finish_all`] asks for it because the process is about to end without unwinding.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use super::recorded_frame::RecordedFrame;
use super::recorder::Recorder;
use super::spec::{OutcomeFormat, RecordError, RecordSpec, RecordSummary};
use crate::frame::Frame;
use crate::telemetry::{Report, Shapes};
use crate::threads::{self, Fault, Guard};

/// Frames that may wait for the disk.
const WAITING: usize = 16;
/// How often a frame that waits for the disk looks whether there is room, and whether anybody still writes.
const LOOK: Duration = Duration::from_millis(1);
/// How often the writing thread is told again that the end has come.
const TELL: Duration = Duration::from_millis(50);

/// A running recording.
pub struct Recording {
    to: SyncSender<Item>,
    spare: Receiver<Frame>,
    shared: Arc<Shared>,
    guard: Option<Guard>,
}

enum Item {
    /// A frame, and whether the queue was filling up when it came.
    Taken(Box<RecordedFrame>, bool),
    End,
}

struct Shared {
    path: PathBuf,
    lost: AtomicU64,
    /// Frames in the queue.
    waiting: AtomicUsize,
    failed: AtomicBool,
    /// Nothing more is taken; what waits is written and the file ended.
    ending: AtomicBool,
    result: Mutex<Option<Result<RecordSummary, RecordError>>>,
    ended: Condvar,
}

/// Every recording that runs in this process, for an end that unwinds nothing.
static RUNNING: Mutex<Vec<(Weak<Shared>, SyncSender<Item>)>> = Mutex::new(Vec::new());

/// Ends every recording of this process and waits until they are whole, at most `within`. Says which are not: they miss their index and
/// what waited in memory, at most a second of frames. For whoever ends the process by `exit`; otherwise a recording ends by itself.
pub fn finish_all(within: Duration) -> Vec<PathBuf> {
    let running = std::mem::take(&mut *locked(&RUNNING));
    finish(running, within)
}

fn finish(running: Vec<(Weak<Shared>, SyncSender<Item>)>, within: Duration) -> Vec<PathBuf> {
    let until = Instant::now() + within;
    let running: Vec<_> = running.into_iter().filter_map(|(shared, to)| Some((shared.upgrade()?, to))).collect();
    for (shared, to) in &running {
        shared.ending.store(true, Ordering::SeqCst);
        // A full queue needs no waking.
        let _ = to.try_send(Item::End);
    }
    let mut unfinished = Vec::new();
    for (shared, _) in running {
        let left = until.saturating_duration_since(Instant::now());
        let waited = shared.ended.wait_timeout_while(locked(&shared.result), left, |result| result.is_none());
        if waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0.is_none() {
            unfinished.push(shared.path.clone());
        }
    }
    unfinished
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Recording {
    /// Makes the file and starts the writing thread.
    pub fn start(spec: RecordSpec, naming: OutcomeFormat) -> Result<Recording, RecordError> {
        let wanted = spec.path.clone();
        let recorder = Recorder::create(spec, naming)?;
        let path = recorder.path().unwrap_or_else(|| wanted.clone());
        let (to, items) = sync_channel(WAITING);
        let (back, spare) = channel();
        let shared = Arc::new(Shared {
            path: path.clone(),
            lost: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            result: Mutex::new(None),
            ended: Condvar::new(),
        });
        let (theirs, mourners) = (Arc::clone(&shared), Arc::clone(&shared));
        let body = move || {
            let result = write(recorder, &items, &back, &theirs);
            theirs.end(result);
        };
        // The recorder is gone by then, and with it the file is as whole as it gets.
        let died = move |fault: &Fault| mourners.end(Err(RecordError::Fault(fault.clone())));
        let guard = threads::spawn("recording", body, died)
            .map_err(|error| RecordError::Write { path: path.display().to_string(), reason: format!("no thread: {error}") })?;
        let mut running = locked(&RUNNING);
        running.retain(|(shared, _)| shared.strong_count() > 0);
        running.push((Arc::downgrade(&shared), to.clone()));
        drop(running);
        if path != wanted {
            log::info!("recording to {}", path.display());
        }
        Ok(Recording { to, spare, shared, guard: Some(guard) })
    }

    /// The file it began with.
    pub fn path(&self) -> &std::path::Path {
        &self.shared.path
    }

    /// Whether it cannot go on; why has been logged, or is its [`Recording::fault`].
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed) || self.fault().is_some()
    }

    /// What ended its thread before its end, if anything did. Not a disk's failure: after that one, watching goes on.
    pub fn fault(&self) -> Option<Fault> {
        // Both of its threads are meant: the one that writes tells of the one that brings what was written to the disk.
        self.guard.as_ref().and_then(Guard::fault).or_else(|| match &*locked(&self.shared.result) {
            Some(Err(RecordError::Fault(fault))) => Some(fault.clone()),
            _ => None,
        })
    }

    /// Takes a frame, what was decided for it, and its answer, if there is one. With `wait` every frame gets into the file; without it
    /// nobody waits for the disk, and what that is too slow for is lost to the recording and counted.
    pub fn take(&mut self, frame: &Frame, wall: Duration, run: Option<String>, answer: Option<(&Report, Option<Shapes>)>, wait: bool) {
        if self.failed() {
            return;
        }
        let mut data = self.spare.try_recv().unwrap_or_default().data;
        data.clear();
        data.extend_from_slice(&frame.data);
        let (report, shapes) =
            answer.map_or((None, None), |(report, shapes)| (Some(Report { picture: None, mask: None, ..report.clone() }), shapes));
        let hurried = self.shared.waiting.load(Ordering::Relaxed) > WAITING / 2 && !wait;
        let item = Item::Taken(Box::new(RecordedFrame { frame: Frame { data, ..*frame }, wall, run, report, shapes }), hurried);
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        // A recording that failed has said so; the frames go on.
        if let Err(error) = self.put(item, wait) {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.lost.fetch_add(u64::from(matches!(error, TrySendError::Full(_))), Ordering::Relaxed);
        }
    }

    fn put(&self, item: Item, wait: bool) -> Result<(), TrySendError<Item>> {
        let mut sent = self.to.try_send(item);
        while wait && let Err(TrySendError::Full(item)) = sent {
            // A thread that was taken away leaves a queue that nobody empties.
            if self.guard.as_ref().is_none_or(Guard::is_over) {
                return Err(TrySendError::Disconnected(item));
            }
            std::thread::sleep(LOOK);
            sent = self.to.try_send(item);
        }
        sent
    }

    /// Completes the file.
    pub fn finish(mut self) -> Result<RecordSummary, RecordError> {
        let died = self.end();
        let lost = self.shared.lost.load(Ordering::Relaxed);
        let result = locked(&self.shared.result).take();
        match (result, died) {
            (_, Some(fault)) => Err(RecordError::Fault(fault)),
            (Some(result), None) => result.map(|summary| RecordSummary { lost, ..summary }),
            (None, None) => {
                let reason = "its thread ended without a word".to_owned();
                Err(RecordError::Write { path: self.shared.path.display().to_string(), reason })
            }
        }
    }

    /// Ends the thread; what ended it before, if anything did.
    fn end(&mut self) -> Option<Fault> {
        let guard = self.guard.take()?;
        self.shared.ending.store(true, Ordering::SeqCst);
        // A full queue needs no waking. The thread has ended already if the disk failed.
        let _ = self.to.try_send(Item::End);
        while !guard.wait(TELL) {
            let _ = self.to.try_send(Item::End);
        }
        guard.join().err()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// The writing thread has come to this end.
    fn end(&self, result: Result<RecordSummary, RecordError>) {
        let mut kept = locked(&self.result);
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        *kept = Some(result);
        drop(kept);
        self.ended.notify_all();
    }
}

fn write(mut recorder: Recorder, items: &Receiver<Item>, back: &Sender<Frame>, shared: &Shared) -> Result<RecordSummary, RecordError> {
    let failed = |error: RecordError| {
        shared.failed.store(true, Ordering::Relaxed);
        log::error!("{error}; watching goes on without a recording");
        error
    };
    loop {
        let item = if shared.ending.load(Ordering::SeqCst) {
            items.try_recv().unwrap_or(Item::End)
        } else {
            match recorder.due() {
                None => items.recv().unwrap_or(Item::End),
                Some(due) => match items.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Ok(item) => item,
                    Err(RecvTimeoutError::Disconnected) => Item::End,
                    Err(RecvTimeoutError::Timeout) => {
                        recorder.flush().map_err(failed)?;
                        continue;
                    }
                },
            }
        };
        match item {
            Item::Taken(taken, hurried) => {
                shared.waiting.fetch_sub(1, Ordering::Relaxed);
                recorder.hurry(hurried);
                if let Some(frame) = recorder.take(*taken).map_err(failed)? {
                    let _ = back.send(frame);
                }
            }
            Item::End => break,
        }
    }
    recorder.finish().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u64) -> Frame {
        Frame { width: 4, height: 2, stride: 4, data: vec![number as u8; 8].into(), sequence: number, ..Frame::default() }
    }

    fn recording(folder: &std::path::Path) -> Recording {
        let spec = RecordSpec { path: folder.join("r.mcap"), limit: None, events: None, timed: true, watched_by: None };
        Recording::start(spec, OutcomeFormat::default()).unwrap()
    }

    fn frames(path: &std::path::Path) -> Result<u64, String> {
        let bytes = std::fs::read(path).unwrap();
        let mut frames = super::super::Frames::new(&bytes[..], bytes.len() as u64, None, |_, _| Err("none".into()));
        let mut frame = Frame::default();
        while frames.next(&mut frame)? {}
        Ok(frames.frames())
    }

    #[test]
    fn a_recording_that_nobody_finishes_is_whole_when_it_is_let_go_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = recording(folder.path());
        (0..50).for_each(|number| recording.take(&frame(number), Duration::ZERO, None, None, true));
        let path = recording.path().to_owned();
        drop(recording);
        assert_eq!(frames(&path), Ok(50));
    }

    #[test]
    fn what_was_taken_gets_into_the_file_while_nothing_else_comes() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = recording(folder.path());
        (0..3).for_each(|number| recording.take(&frame(number), Duration::ZERO, None, None, true));
        // As kill -9 would leave it: a whole file.
        let until = Instant::now() + Duration::from_secs(30);
        while frames(recording.path()) != Ok(3) {
            assert!(Instant::now() < until, "{:?}", frames(recording.path()));
            std::thread::sleep(Duration::from_millis(20));
        }
        recording.take(&frame(3), Duration::ZERO, None, None, true);
        assert_eq!(recording.finish().unwrap().frames, 4);
    }

    #[test]
    fn a_thread_that_panics_is_a_fault_that_nobody_waits_for_and_what_it_wrote_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let spec = RecordSpec { path: folder.path().join("r.mcap"), limit: None, events: None, timed: true, watched_by: None };
        let outcome = |report: &Report, _: &[String]| if report.sequence == 5 { panic!("planted") } else { "{}".to_owned() };
        let mut recording = Recording::start(spec, OutcomeFormat { outcome, ..OutcomeFormat::default() }).unwrap();
        // Far more than the queue takes: nobody waits for a thread that is gone.
        for number in 0..100 {
            recording.take(&frame(number), Duration::ZERO, None, Some((&Report::for_tests(number), None)), true);
        }
        assert!(recording.failed() && recording.fault().unwrap().words.contains("planted"));
        let path = recording.path().to_owned();
        assert!(matches!(recording.finish(), Err(RecordError::Fault(fault)) if fault.thread == "recording"));
        assert!(frames(&path).unwrap() >= 5);
    }

    #[test]
    fn a_thread_that_the_kernel_takes_away_is_a_fault_that_nobody_waits_for() {
        let folder = tempfile::tempdir().unwrap();
        let spec = RecordSpec { path: folder.path().join("r.mcap"), limit: None, events: None, timed: true, watched_by: None };
        let outcome = |_: &Report, _: &[String]| {
            // SAFETY: ends this thread alone, which holds nothing but what it leaks.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
            String::new()
        };
        let mut recording = Recording::start(spec, OutcomeFormat { outcome, ..OutcomeFormat::default() }).unwrap();
        for number in 0..100 {
            recording.take(&frame(number), Duration::ZERO, None, Some((&Report::for_tests(number), None)), true);
        }
        assert!(recording.failed());
        assert!(matches!(recording.finish(), Err(RecordError::Fault(fault)) if fault.words == "it is gone without a word"));
    }

    #[test]
    fn recordings_are_finished_for_a_process_that_is_about_to_exit() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = recording(folder.path());
        (0..16).for_each(|number| recording.take(&frame(number), Duration::ZERO, None, None, true));
        let path = recording.path().to_owned();
        let running = vec![(Arc::downgrade(&recording.shared), recording.to.clone())];
        assert_eq!(super::finish(running, Duration::from_secs(30)), Vec::<PathBuf>::new());
        assert_eq!(frames(&path), Ok(16));
        recording.take(&frame(16), Duration::ZERO, None, None, true);
        assert_eq!(recording.finish().unwrap().frames, 16, "what comes after the end is no fault");
    }
}
