//! What is written of a frame.

use std::time::Duration;

use crate::frame::Frame;
use crate::telemetry::{Report, Shapes};

/// A frame and everything that is known of it.
#[derive(Clone, Debug, Default)]
pub struct RecordedFrame {
    /// The picture.
    pub frame: Frame,
    /// When it was taken, since 1970 (UTC).
    pub wall: Duration,
    /// What was decided for it and what that depended on, as JSON.
    pub run: Option<String>,
    /// What was answered, if anything was. One with detections is an event.
    pub report: Option<Report>,
    /// What each pixel of the answer shows.
    pub shapes: Option<Shapes>,
}

impl RecordedFrame {
    /// A frame of which nothing is said, taken at `wall`.
    pub fn plain(frame: Frame, wall: Duration) -> RecordedFrame {
        RecordedFrame { frame, wall, ..RecordedFrame::default() }
    }

    /// Bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let said = self.run.as_ref().map_or(0, String::capacity) + self.shapes.as_ref().map_or(0, |shapes| shapes.classes.len());
        size_of::<RecordedFrame>() + self.frame.data.len() + said
    }
}
