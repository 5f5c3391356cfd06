//! What is asked of a recording, what came of it, and why it cannot go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::source::WatchedBy;
use crate::telemetry::Report;
use crate::threads::Fault;

/// The smallest bound that makes sense, in bytes.
const LEAST: u64 = 1 << 20;
/// The longest time before or after an event.
const LONGEST: Duration = Duration::from_secs(3600);

/// What to record, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSpec {
    /// The file, ending in `.mcap`. Where there is one of this name already, the time of the start is put into the new one's:
    /// `NAME-20261126T091630Z.mcap`. A bounded recording makes `NAME-20261126T091630Z-0000.mcap`, `-0001.mcap` and so on, and deletes
    /// the oldest, those of earlier starts first.
    pub path: PathBuf,
    /// Most bytes of disk to use, earlier bounded recordings of this name among them.
    pub limit: Option<u64>,
    /// Record around events only.
    pub events: Option<Events>,
    /// As [`crate::source::SourceInfo::timed`] of what is recorded, so that a replay judges gaps as the recorded run did.
    pub timed: bool,
    /// The network that watches, so that a replay is watched by the same one.
    pub watched_by: Option<WatchedBy>,
}

/// How much to keep around an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Events {
    /// Time before it, at most an hour, held in memory. That takes at most 256 MiB: of frames that need more, the newest are kept, and it is said how long that is.
    pub before: Duration,
    /// Time after it, at most an hour.
    pub after: Duration,
}

impl Events {
    /// The same time before and after an event; too long a time is refused in words.
    pub fn around(time: Duration) -> Result<Events, String> {
        let events = Events { before: time, after: time };
        events.check().map(|()| events)
    }

    fn check(&self) -> Result<(), String> {
        let longest = self.before.max(self.after);
        if longest > LONGEST {
            return Err(format!(
                "{} s around an event are too many: the time before it is held in memory; 3600 are the most",
                longest.as_secs()
            ));
        }
        Ok(())
    }
}

/// How answers are formatted.
#[derive(Clone)]
pub struct OutcomeFormat {
    /// The network's class names.
    pub classes: Arc<[String]>,
    /// A report as JSON.
    pub outcome: fn(&Report, &[String]) -> String,
}

impl Default for OutcomeFormat {
    fn default() -> OutcomeFormat {
        OutcomeFormat { classes: Arc::from([]), outcome: |_, _| "{}".into() }
    }
}

/// What a recording came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSummary {
    /// Frames written, deleted parts included.
    pub frames: u64,
    /// Frames that the disk was too slow for.
    pub lost: u64,
    /// The files of this run that are there now, oldest first.
    pub files: Vec<PathBuf>,
    /// Bytes in them.
    pub bytes: u64,
}

/// Why a recording cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// What was asked for makes no sense.
    #[error("recording to {path}: {reason}")]
    Spec {
        /// The file.
        path: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The file cannot be made or written.
    #[error("cannot write the recording {path}: {reason}")]
    Write {
        /// The file.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The thread that writes died; what it wrote before is whole.
    #[error("{0}; what was recorded before is whole")]
    Fault(Fault),
}

impl RecordSpec {
    /// Whether this can be had at all.
    pub(super) fn check(&self) -> Result<(), RecordError> {
        let wrong = |reason: &str| Err(RecordError::Spec { path: self.path.display().to_string(), reason: reason.into() });
        if self.path.extension().is_none_or(|ending| ending != "mcap") {
            return wrong("the file's name must end in .mcap");
        }
        if self.limit.is_some_and(|limit| limit < LEAST) {
            return wrong("the limit must be at least 1048576 bytes");
        }
        self.events.map_or(Ok(()), |events| events.check().or_else(|reason| wrong(&reason)))
    }
}
