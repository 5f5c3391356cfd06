//! Faults on purpose, around any source: what a bad cable, a bad driver or a bad day does, repeatable by seed.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::{CaptureError, Losses, Pull, Source, SourceInfo, Times};
use crate::clock;
use crate::frame::{Frame, PixelFormat};
use crate::source::Recorded;
use crate::telemetry::CameraState;

/// Which faults, how often.
///
/// Written `drop=0.1,corrupt=0.05,truncate=0.05,stall=300:5s,vanish=500:2s,resize=200,clock=100:-3s,seed=7`: a share of frames, or
/// after how many frames again and again, and for how long or by how much.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    /// Share of frames that are dropped.
    pub drop: f64,
    /// Share of frames in which bytes are changed.
    pub corrupt: f64,
    /// Share of frames that are cut short.
    pub truncate: f64,
    /// After how many frames nothing comes, and for how long.
    pub stall: Option<(u64, Duration)>,
    /// After how many frames the source goes away, and for how long it cannot be opened.
    pub vanish: Option<(u64, Duration)>,
    /// After how many frames the size changes to its half, or back.
    pub resize: Option<u64>,
    /// After how many frames the capture clock jumps, and by how many nanoseconds.
    pub clock: Option<(u64, i64)>,
    /// Other seeds hit other frames.
    pub seed: u64,
}

impl Default for FaultSpec {
    fn default() -> Self {
        FaultSpec { drop: 0.0, corrupt: 0.0, truncate: 0.0, stall: None, vanish: None, resize: None, clock: None, seed: 1 }
    }
}

impl std::str::FromStr for FaultSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<FaultSpec, String> {
        let mut spec = FaultSpec::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (kind, value) = part.split_once('=').ok_or_else(|| format!("fault '{part}' has no '='"))?;
            let bad = |what: &str| format!("fault {kind}={value}: {kind} takes {what}");
            let share = || {
                value.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| bad("a share of frames from 0 to 1"))
            };
            let every = |text: &str| text.parse::<u64>().ok().filter(|every| *every > 0);
            let every_for = || {
                let (count, time) = value.split_once(':')?;
                let (time, back) = time.strip_prefix('-').map_or((time, false), |time| (time, true));
                Some((every(count)?, duration(time)?, back))
            };
            let span = |what: &str| every_for().filter(|(_, _, back)| !back).map(|(count, time, _)| (count, time)).ok_or_else(|| bad(what));
            match kind {
                "drop" => spec.drop = share()?,
                "corrupt" => spec.corrupt = share()?,
                "truncate" => spec.truncate = share()?,
                "stall" => spec.stall = Some(span("a number of frames and a time, as in 300:5s")?),
                "vanish" => spec.vanish = Some(span("a number of frames and a time, as in 500:2s")?),
                "resize" => spec.resize = Some(every(value).ok_or_else(|| bad("a number of frames"))?),
                "clock" => {
                    let (count, time, back) = every_for().ok_or_else(|| bad("a number of frames and a time, as in 100:-3s"))?;
                    let jump = i64::try_from(time.as_nanos()).map_err(|_| bad("a time below 292 years"))?;
                    spec.clock = Some((count, if back { -jump } else { jump }));
                }
                "seed" => spec.seed = value.parse().map_err(|_| bad("a whole number"))?,
                _ => {
                    return Err(format!(
                        "unknown fault '{kind}'; known are drop, corrupt, truncate, stall, vanish, resize, clock and seed"
                    ));
                }
            }
        }
        Ok(spec)
    }
}

/// `5s` or `200ms`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s')?, 1.0),
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

/// The faults of one camera, which outlive any one opening of it.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Mutex<State>>,
}

struct State {
    spec: FaultSpec,
    random: u64,
    frames: u64,
    stalled_until: Duration,
    gone_until: Duration,
    small: bool,
    shift: i64,
}

impl Faults {
    /// Faults as `spec` says.
    pub fn new(spec: FaultSpec) -> Faults {
        let random = spec.seed;
        let state = State { spec, random, frames: 0, stalled_until: Duration::ZERO, gone_until: Duration::ZERO, small: false, shift: 0 };
        Faults { shared: Arc::new(Mutex::new(state)) }
    }

    /// Opens a source and puts the faults around it; refuses while it has vanished.
    pub fn open(&self, open: impl FnOnce() -> Result<Box<dyn Source>, CaptureError>) -> Result<Box<dyn Source>, CaptureError> {
        if clock::now() < self.state().gone_until {
            return Err(CaptureError::Open { path: "the camera".into(), reason: "it has vanished (a fault that was asked for)".into() });
        }
        let inner = open()?;
        Ok(Box::new(Faulty { inner, faults: self.clone(), losses: Losses::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    /// SplitMix64: small, and the same everywhere.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn hits(&mut self, share: f64) -> bool {
        // One draw a question, asked or not, so that one fault's share does not move another's frames.
        let draw = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        draw < share
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random() % limit.max(1) as u64) as usize
    }

    fn due(&self, every: u64) -> bool {
        self.frames.is_multiple_of(every)
    }
}

/// A source with faults.
struct Faulty {
    inner: Box<dyn Source>,
    faults: Faults,
    losses: Losses,
}

impl Source for Faulty {
    fn info(&self) -> &SourceInfo {
        self.inner.info()
    }

    fn state(&self) -> CameraState {
        self.inner.state()
    }

    fn trouble(&self) -> Option<String> {
        self.inner.trouble()
    }

    fn times(&self) -> Times {
        self.inner.times()
    }

    fn recorded(&self) -> Option<&Recorded> {
        self.inner.recorded()
    }

    fn called(&self) -> Option<&str> {
        self.inner.called()
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        let until = clock::now() + wait;
        loop {
            let stalled = self.faults.state().stalled_until.saturating_sub(clock::now());
            if !stalled.is_zero() {
                let left = until.saturating_sub(clock::now());
                std::thread::sleep(stalled.min(left));
                if stalled >= left {
                    return Ok(Pull::Waiting);
                }
            }
            let pulled = self.inner.pull(frame, until.saturating_sub(clock::now()))?;
            if pulled != Pull::Frame {
                return Ok(pulled);
            }
            let faults = self.faults.clone();
            let mut state = faults.state();
            state.frames += 1;
            let (drop, corrupt, truncate) = (state.spec.drop, state.spec.corrupt, state.spec.truncate);
            let (drop, corrupt, truncate) = (state.hits(drop), state.hits(corrupt), state.hits(truncate));
            if let Some((every, length)) = state.spec.vanish
                && state.due(every)
            {
                state.gone_until = clock::now().saturating_add(length);
                let path = self.info().uri.clone();
                return Err(CaptureError::Gone { path, reason: "it vanished (a fault that was asked for)".into() });
            }
            if let Some((every, length)) = state.spec.stall
                && state.due(every)
            {
                state.stalled_until = clock::now().saturating_add(length);
            }
            if let Some(every) = state.spec.resize
                && state.due(every)
            {
                state.small = !state.small;
            }
            if let Some((every, jump)) = state.spec.clock
                && state.due(every)
            {
                state.shift = state.shift.saturating_add(jump);
            }
            if drop {
                self.losses.dropped += 1;
                continue;
            }
            if corrupt {
                for _ in 0..16.min(frame.data.len()) {
                    let at = state.below(frame.data.len());
                    frame.data[at] ^= 1 << state.below(8);
                }
            }
            if truncate {
                let length = state.below(frame.data.len());
                frame.data.truncate(length);
            }
            if state.small {
                halve(frame);
            }
            let shift = Duration::from_nanos(state.shift.unsigned_abs());
            frame.captured = if state.shift < 0 { frame.captured.saturating_sub(shift) } else { frame.captured.saturating_add(shift) };
            return Ok(Pull::Frame);
        }
    }

    fn losses(&self) -> Losses {
        let inner = self.inner.losses();
        Losses { dropped: inner.dropped + self.losses.dropped, ..inner }
    }
}

/// Shows the top left quarter, where rows can simply be read shorter.
fn halve(frame: &mut Frame) {
    let rows_alone = !matches!(frame.format, PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420 | PixelFormat::Mjpeg);
    if rows_alone && frame.width >= 4 && frame.height >= 4 {
        (frame.width, frame.height) = (frame.width / 4 * 2, frame.height / 4 * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts, in grey.
    struct Counter {
        info: SourceInfo,
        next: u64,
    }

    impl Source for Counter {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn pull(&mut self, frame: &mut Frame, _: Duration) -> Result<Pull, CaptureError> {
            *frame = Frame {
                width: 8,
                height: 8,
                stride: 8,
                data: vec![7; 64].into(),
                sequence: self.next,
                captured: Duration::from_secs(100),
                ..Frame::default()
            };
            self.next += 1;
            Ok(Pull::Frame)
        }

        fn losses(&self) -> Losses {
            Losses::default()
        }
    }

    fn faulty(spec: &str) -> (Faults, Box<dyn Source>) {
        let faults = Faults::new(spec.parse().unwrap());
        let source = faults.open(|| Ok(Box::new(Counter { info: SourceInfo::default(), next: 0 }))).unwrap();
        (faults, source)
    }

    fn frames(source: &mut dyn Source, count: usize) -> Vec<Frame> {
        let mut frame = Frame::default();
        (0..count)
            .map(|_| {
                assert_eq!(source.pull(&mut frame, Duration::from_secs(1)).unwrap(), Pull::Frame);
                frame.clone()
            })
            .collect()
    }

    #[test]
    fn a_seed_repeats_its_faults_and_another_makes_others() {
        let run = |spec: &str| -> Vec<(u64, Vec<u8>)> {
            frames(faulty(spec).1.as_mut(), 200).into_iter().map(|frame| (frame.sequence, frame.data.to_vec())).collect()
        };
        let spec = "drop=0.2,corrupt=0.2,truncate=0.1";
        assert_eq!(run(spec), run(spec));
        assert_ne!(run(spec), run("drop=0.2,corrupt=0.2,truncate=0.1,seed=2"));
    }

    #[test]
    fn shares_are_kept_and_drops_are_counted() {
        let (_, mut source) = faulty("drop=0.1,corrupt=0.25,truncate=0.05");
        let seen = frames(source.as_mut(), 2000);
        let span = seen.last().unwrap().sequence + 1;
        assert_eq!(span, 2000 + source.losses().dropped);
        assert!((150..300).contains(&source.losses().dropped));
        let cut = seen.iter().filter(|frame| frame.data.len() < 64).count();
        let hit = seen.iter().filter(|frame| frame.data.iter().any(|byte| *byte != 7)).count();
        assert!((60..150).contains(&cut) && (400..600).contains(&hit), "{cut} {hit}");
    }

    #[test]
    fn a_stall_brings_nothing_for_its_time() {
        let (_, mut source) = faulty("stall=5:60ms");
        frames(source.as_mut(), 5);
        let start = clock::now();
        assert_eq!(source.pull(&mut Frame::default(), Duration::from_millis(10)).unwrap(), Pull::Waiting);
        frames(source.as_mut(), 1);
        assert!(clock::now() - start >= Duration::from_millis(59));
    }

    #[test]
    fn a_vanished_source_cannot_be_opened_for_its_time() {
        let (faults, mut source) = faulty("vanish=3:50ms");
        frames(source.as_mut(), 2);
        assert!(source.pull(&mut Frame::default(), Duration::ZERO).is_err());
        let again = || faults.open(|| Ok(Box::new(Counter { info: SourceInfo::default(), next: 0 })));
        assert!(again().is_err());
        std::thread::sleep(Duration::from_millis(55));
        assert!(again().is_ok());
    }

    #[test]
    fn size_and_clock_change_on_their_frame() {
        let (_, mut source) = faulty("resize=3,clock=4:-3s");
        let seen = frames(source.as_mut(), 7);
        let widths: Vec<_> = seen.iter().map(|frame| frame.width).collect();
        assert_eq!(widths, [8, 8, 4, 4, 4, 8, 8]);
        let times: Vec<_> = seen.iter().map(|frame| frame.captured.as_secs()).collect();
        assert_eq!(times, [100, 100, 100, 97, 97, 97, 97]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (spec, says) in [
            ("drop", "has no '='"),
            ("drop=2", "a share of frames from 0 to 1"),
            ("stall=5", "as in 300:5s"),
            ("stall=5:-1s", "as in 300:5s"),
            ("stall=0:1s", "as in 300:5s"),
            ("melt=1", "known are drop, corrupt"),
            ("clock=1:1e300s", "as in 100:-3s"),
        ] {
            let error = spec.parse::<FaultSpec>().unwrap_err();
            assert!(error.contains(says), "{spec}: {error}");
        }
    }
}
