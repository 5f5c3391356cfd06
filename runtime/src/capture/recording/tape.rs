//! Recording beside the work: frames are copied once and written by a thread of their own.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{RecordError, RecordSpec, RecordSummary, Recorder};
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::frame::Frame;
use crate::telemetry::CameraState;

/// Frames that may wait for the disk.
const WAITING: usize = 16;

/// A running recording.
pub struct Tape {
    to: SyncSender<Item>,
    spare: Option<Receiver<Frame>>,
    lost: Arc<AtomicU64>,
    thread: JoinHandle<Result<RecordSummary, RecordError>>,
}

enum Item {
    Frame(Frame),
    Outcome(Duration, String),
    Event(Duration),
    End,
}

impl Tape {
    /// Makes the file and starts the writing thread.
    pub fn start(spec: RecordSpec) -> Result<Tape, RecordError> {
        let path = spec.path.display().to_string();
        let recorder = Recorder::create(spec)?;
        let (to, items) = sync_channel(WAITING);
        let (back, spare) = channel();
        let thread = std::thread::Builder::new()
            .name("recording".into())
            .spawn(move || write(recorder, &items, &back))
            .map_err(|error| RecordError::Write { path, reason: format!("no thread: {error}") })?;
        Ok(Tape { to, spare: Some(spare), lost: Arc::default(), thread })
    }

    /// Records every frame that is pulled from `source`. A live source never waits for the disk: what the disk is too slow for is
    /// lost to the recording, and counted.
    pub fn watch(&mut self, source: Box<dyn Source>) -> Box<dyn Source> {
        let spare = self.spare.take().unwrap_or_else(|| channel().1);
        Box::new(Taped { source, to: self.to.clone(), spare, lost: self.lost.clone() })
    }

    /// Takes JSON records, one a line, as the JSON report writes them. A record with detections is an event.
    pub fn outcomes(&self) -> impl Write + Send + 'static {
        Outcomes { to: self.to.clone(), line: Vec::new() }
    }

    /// Completes the file. Also says how many frames the disk was too slow for.
    pub fn finish(self) -> Result<(RecordSummary, u64), RecordError> {
        // The thread has ended already if the disk failed.
        let _ = self.to.send(Item::End);
        let summary = self
            .thread
            .join()
            .unwrap_or_else(|_| Err(RecordError::Write { path: "the recording".into(), reason: "its thread panicked".into() }))?;
        Ok((summary, self.lost.load(Ordering::Relaxed)))
    }
}

fn write(mut recorder: Recorder, items: &Receiver<Item>, back: &Sender<Frame>) -> Result<RecordSummary, RecordError> {
    let failed = |error: RecordError| {
        log::error!("{error}; watching goes on without a recording");
        error
    };
    for item in items {
        match item {
            Item::Frame(frame) => {
                recorder.frame(&frame).map_err(failed)?;
                let _ = back.send(frame);
            }
            Item::Outcome(captured, json) => recorder.outcome(captured, &json).map_err(failed)?,
            Item::Event(captured) => recorder.event(captured).map_err(failed)?,
            Item::End => break,
        }
    }
    recorder.finish().map_err(failed)
}

/// A source whose frames go to a tape.
struct Taped {
    source: Box<dyn Source>,
    to: SyncSender<Item>,
    spare: Receiver<Frame>,
    lost: Arc<AtomicU64>,
}

impl Source for Taped {
    fn info(&self) -> &SourceInfo {
        self.source.info()
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        let pulled = self.source.pull(frame, wait)?;
        if pulled == Pull::Frame {
            let mut data = self.spare.try_recv().unwrap_or_default().data;
            data.clear();
            data.extend_from_slice(&frame.data);
            let item = Item::Frame(Frame { data, ..*frame });
            if !self.source.info().live {
                // A recording that failed has said so; the film goes on.
                let _ = self.to.send(item);
            } else if let Err(TrySendError::Full(_)) = self.to.try_send(item) {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(pulled)
    }

    fn losses(&self) -> Losses {
        self.source.losses()
    }

    fn state(&self) -> CameraState {
        self.source.state()
    }

    fn trouble(&self) -> Option<String> {
        self.source.trouble()
    }
}

struct Outcomes {
    to: SyncSender<Item>,
    line: Vec<u8>,
}

/// What the tape reads of a record.
#[derive(serde::Deserialize)]
struct Glance {
    captured_s: f64,
    #[serde(default)]
    detections: Vec<serde::de::IgnoredAny>,
}

impl Write for Outcomes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            if let Ok(glance) = serde_json::from_slice::<Glance>(&self.line)
                && let Ok(captured) = Duration::try_from_secs_f64(glance.captured_s)
            {
                let json = String::from_utf8_lossy(&self.line).into_owned();
                let _ = self.to.send(Item::Outcome(captured, json));
                if !glance.detections.is_empty() {
                    let _ = self.to.send(Item::Event(captured));
                }
            }
            self.line.clear();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{self, Want};

    #[test]
    fn a_tape_holds_every_frame_of_a_file_and_what_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape.mcap");
        let mut tape = Tape::start(RecordSpec { path: path.clone(), limit: None, events: None, timed: true }).unwrap();
        let mut outcomes = tape.outcomes();
        let mut source = tape.watch(capture::open("pathfinder:easy?size=64&seed=3", &Want::default()).unwrap());
        let mut frame = Frame::default();
        let mut seen = Vec::new();
        for _ in 0..100 {
            assert_eq!(source.pull(&mut frame, Duration::from_secs(1)).unwrap(), Pull::Frame);
            writeln!(outcomes, "{{\"captured_s\":{},\"steps\":1}}", frame.captured.as_secs_f64()).unwrap();
            seen.push(frame.clone());
        }
        let (summary, lost) = tape.finish().unwrap();
        assert_eq!((summary.frames, lost), (100, 0));
        let mut replay = capture::open(path.to_str().unwrap(), &Want::default()).unwrap();
        for expected in &seen {
            assert_eq!(replay.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
            assert!(frame.data == expected.data && frame.captured == expected.captured && frame.cut == expected.cut);
        }
        assert_eq!(std::fs::read(&path).unwrap().windows(9).filter(|window| window == b"\"steps\":1").count(), 100);
    }
}
