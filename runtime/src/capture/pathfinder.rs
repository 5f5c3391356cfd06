//! The built-in stream: Temporal Pathfinder scenes without end.

use std::time::Duration;

use temporal_pathfinder::{Spec, Stream};

use super::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::clock;
use crate::frame::{Frame, PixelFormat, Range};

/// Grey frames, as fast as they are pulled, or at a pace.
pub(super) struct Pathfinder {
    stream: Stream,
    size: u32,
    info: SourceInfo,
    sequence: u64,
    pace: Option<Pace>,
}

/// A live stream's timetable.
struct Pace {
    start: Duration,
    fps: f64,
}

impl Pathfinder {
    pub fn open(uri: &str, split: &str, seed: u64, size: u32, fps: Option<f64>) -> Result<Pathfinder, CaptureError> {
        let fail = |reason: String| CaptureError::Uri { uri: uri.to_owned(), reason };
        let spec = Spec {
            split: split.parse().map_err(|error: temporal_pathfinder::UnknownSplit| fail(error.to_string()))?,
            seed,
            size,
            frames: 1,
        };
        spec.check().map_err(|error| fail(error.to_string()))?;
        let pace = fps.map(|fps| Pace { start: clock::now(), fps });
        let rate = fps.map_or(String::new(), |fps| format!(" at {fps} frames/s"));
        let info = SourceInfo {
            uri: uri.to_owned(),
            description: format!("built-in pathfinder stream, {split}, seed {seed}, {size}x{size}{rate}"),
            width: size,
            height: size,
            fps,
            live: fps.is_some(),
            timed: fps.is_some(),
            ..SourceInfo::default()
        };
        Ok(Pathfinder { stream: Stream::new(spec), size, info, sequence: 0, pace })
    }
}

impl Source for Pathfinder {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        let mut captured = clock::now();
        if let Some(pace) = &self.pace {
            // At a rate that low the next picture never comes.
            let since = Duration::try_from_secs_f64(self.sequence as f64 / pace.fps).unwrap_or(Duration::MAX);
            let due = pace.start.saturating_add(since);
            let left = due.saturating_sub(captured);
            std::thread::sleep(left.min(wait));
            if left > wait {
                return Ok(Pull::Waiting);
            }
            captured = due;
        }
        let Some(next) = self.stream.next() else { return Ok(Pull::End) };
        frame.format = PixelFormat::Grey;
        frame.range = Range::Full;
        frame.width = self.size;
        frame.height = self.size;
        frame.stride = self.size;
        frame.data = next.frame.into();
        frame.sequence = self.sequence;
        frame.captured = captured;
        frame.cut = next.cut && self.sequence > 0;
        self.sequence += 1;
        Ok(Pull::Frame)
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(uri: &str, count: usize) -> Vec<Frame> {
        let mut source = super::super::open(uri, &Default::default()).unwrap();
        (0..count)
            .map(|_| {
                let mut frame = Frame::default();
                assert_eq!(source.pull(&mut frame, Duration::from_secs(1)).unwrap(), Pull::Frame);
                frame
            })
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_stream_with_cuts() {
        let (one, two) = (frames("pathfinder:easy?seed=7&size=64", 130), frames("pathfinder:easy?seed=7&size=64", 130));
        assert!(one.iter().zip(&two).all(|(a, b)| a.data == b.data && a.cut == b.cut && a.sequence == b.sequence));
        assert!(one.iter().filter(|frame| frame.cut).count() >= 2);
        assert_ne!(frames("pathfinder:easy?seed=8&size=64", 1)[0].data, one[0].data);
    }

    #[test]
    fn a_paced_stream_is_live_and_waits_for_its_time() {
        let mut source = super::super::open("pathfinder:easy?size=32&fps=50", &Default::default()).unwrap();
        assert!(source.info().live);
        let mut frame = Frame::default();
        let start = clock::now();
        for _ in 0..6 {
            while source.pull(&mut frame, Duration::from_millis(5)).unwrap() == Pull::Waiting {}
        }
        assert!(clock::now() - start >= Duration::from_millis(95), "{:?}", clock::now() - start);
    }

    #[test]
    fn the_lowest_rate_there_is_waits_instead_of_failing() {
        let mut source = super::super::open("pathfinder:easy?size=32&fps=1e-300", &Default::default()).unwrap();
        let mut frame = Frame::default();
        assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
        assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Waiting);
    }

    #[test]
    fn a_canvas_nobody_can_draw_is_refused() {
        assert!(super::super::open("pathfinder:easy?size=8", &Default::default()).is_err());
    }
}
