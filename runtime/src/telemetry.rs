//! What a sink shows: one [`Report`] per frame, and the picture beside it for sinks that draw.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::{StepTrace, TileMap};
use crate::source_picture::SourcePicture;

/// Which budget held the steps down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitReason {
    /// No budget bound; the rule or the network did.
    #[default]
    None,
    /// The deadline.
    Latency,
    /// The power budget.
    Power,
    /// The temperature limit.
    Heat,
    /// The camera delivers no faster.
    Camera,
}

/// What the camera is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraState {
    /// No device yet.
    Searching,
    /// A device is there; format and buffers are being settled.
    Negotiating,
    /// Frames arrive.
    #[default]
    Streaming,
    /// The device stands but delivers nothing.
    Stalled,
    /// The device went away.
    Lost,
}

/// How the recording of a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingState {
    /// Frames are recorded.
    On,
    /// The recording cannot go on; what was written before is whole.
    Failed,
}

impl Report {
    /// How old the answer is `now`, on `CLOCK_MONOTONIC`: a film's and a replay's stay as old as they were.
    pub fn age_at(&self, now: Duration) -> Duration {
        if self.live { now.saturating_sub(self.captured) } else { self.age }
    }
}

/// A rectangle in pixels of the source's picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Region {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

/// Something the network saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detection {
    /// Index into the model's class names.
    pub class: u8,
    /// Where.
    #[doc(alias = "box")]
    pub region: Region,
    /// Pixels of the source's picture that belong to it.
    pub area: f32,
    /// Mean probability over those pixels, or the box's score, 0 to 1.
    pub score: f32,
    /// Stays the same from frame to frame for the same object; 0 where objects are not followed, and on an object's first frame as a box.
    pub track: u32,
    /// Frames since the track's object was seen first; 0 without a track.
    pub track_frames: u32,
    /// How fast the track moves to the right and down, in pixels of the source's picture per second, where times are known.
    pub speed_px_s: Option<[f32; 2]>,
}

/// The most detections one report carries; the largest regions or the surest boxes are kept.
pub const MAX_DETECTIONS: usize = 128;

/// A bounded list of detections: regions with the largest first, boxes with the surest first.
pub type Detections = heapless::Vec<Detection, MAX_DETECTIONS>;

/// Time spent on one frame, stage by stage: encoding and stepping as the engine measured them, the rest by this machine's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stages {
    /// Conversion and resizing into the input tensor.
    pub fit: Duration,
    /// Input tensor to drive; on a GPU that takes the picture itself, picture to drive.
    pub encode: Duration,
    /// All steps together.
    pub steps: Duration,
    /// State to logits, logits to detections, and what it took to tell the engine and to hear of it.
    pub readout: Duration,
}

impl Stages {
    /// Everything between taking the frame and knowing the answer.
    pub fn total(&self) -> Duration {
        self.fit + self.encode + self.steps + self.readout
    }
}

/// Everything said about one frame.
#[derive(Clone, Debug)]
pub struct Report {
    /// The source's sequence number.
    pub sequence: u64,
    /// When the picture was taken, on `CLOCK_MONOTONIC`.
    pub captured: Duration,
    /// The same moment on the wall clock, since 1970 (UTC); None in recordings that do not say.
    pub wall: Option<Duration>,
    /// Width and height of the source's picture, in pixels.
    pub size: (u32, u32),
    /// Whether `captured` lies on this machine's clock now, so that the answer grows older while it waits; false for films and replays.
    pub live: bool,
    /// From capture to the answer.
    pub age: Duration,
    /// Steps, distances, and why they ended.
    pub trace: StepTrace,
    /// Which budget held the steps down.
    pub limit_reason: LimitReason,
    /// Name of the engine that answered.
    pub engine: &'static str,
    /// What was seen.
    pub detections: Detections,
    /// Time spent, by stage.
    pub stages: Stages,
    /// What the camera is doing.
    pub camera: CameraState,
    /// Frames the driver dropped so far.
    pub dropped: u64,
    /// Frames skipped so far because a newer one was there.
    pub skipped: u64,
    /// Frames left out on purpose, to keep within a budget, between the last answered one and this.
    pub skip: u32,
    /// Frames that arrived broken so far.
    pub corrupt: u64,
    /// Total power, where a sensor tells, in milliwatts.
    pub power_mw: Option<u32>,
    /// The power budget, where there is one, in milliwatts.
    pub power_budget_mw: Option<u32>,
    /// Hottest zone, where a sensor tells, in degrees Celsius.
    pub temp_c: Option<f32>,
    /// Energy spent on this frame, where a sensor tells, in joules.
    pub energy_j: Option<f32>,
    /// How the recording of the run stands; None where nothing is recorded.
    pub recording: Option<RecordingState>,
    /// The network's input and answer, for sinks that draw; made only when one asks.
    pub picture: Option<Arc<Picture>>,
    /// The class or the share of foreground of every pixel, for sinks that keep it; made only when one asks.
    pub mask: Option<Arc<AnswerMask>>,
    /// Which tiles moved and were stepped, for sinks that show it; made only when one asks, and where only what moved is computed.
    pub tiles: Option<Arc<TilesInView>>,
}

/// The tiles of a frame, and where they lie in the source's picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TilesInView {
    /// Which of them moved and were stepped.
    pub map: TileMap,
    /// The part of the source's picture that the network's input covers, in its pixels.
    pub view: Region,
}

impl TilesInView {
    /// Rectangles of the source's picture that cover the tiles of one field of the map.
    pub fn regions(&self, bits: &[u8]) -> Vec<Region> {
        let scale = [(self.view.width, self.map.size[0]), (self.view.height, self.map.size[1])].map(|(of, n)| of / f32::from(n.max(1)));
        let region = |[left, top, right, bottom]: [u16; 4]| Region {
            x: self.view.x + f32::from(left) * scale[0],
            y: self.view.y + f32::from(top) * scale[1],
            width: f32::from(right - left) * scale[0],
            height: f32::from(bottom - top) * scale[1],
        };
        self.map.rectangles(bits).into_iter().map(region).collect()
    }

    /// The number of the tile that shows this place of the source's picture, in pixels; None outside.
    pub fn at(&self, x: f32, y: f32) -> Option<usize> {
        let inside = |at: f32, from: f32, length: f32, pixels: u16| {
            let share = (at - from) / length;
            (0.0..1.0).contains(&share).then(|| (share * f32::from(pixels)) as usize / usize::from(self.map.side.max(1)))
        };
        let column = inside(x, self.view.x, self.view.width, self.map.size[0])?;
        let row = inside(y, self.view.y, self.view.height, self.map.size[1])?;
        Some(row * usize::from(self.map.columns) + column)
    }
}

/// A network's answer for every pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerMask {
    /// Pixels across, of the answer.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Row by row: a class index, or for a matte the share of foreground, 0 to 255.
    pub pixels: Vec<u8>,
    /// Whether it is a matte.
    pub matte: bool,
    /// The part of the source's picture that it covers, in its pixels.
    pub view: Region,
}

impl Report {
    /// The report of an answer: times, sensor readings and counters are left to be filled in.
    pub fn new(sequence: u64, size: (u32, u32), trace: StepTrace, engine: &'static str) -> Report {
        Report {
            sequence,
            captured: Duration::ZERO,
            wall: None,
            size,
            live: false,
            age: Duration::ZERO,
            trace,
            limit_reason: LimitReason::None,
            engine,
            detections: Detections::new(),
            stages: Stages::default(),
            camera: CameraState::Streaming,
            dropped: 0,
            skipped: 0,
            skip: 0,
            corrupt: 0,
            power_mw: None,
            power_budget_mw: None,
            temp_c: None,
            energy_j: None,
            recording: None,
            picture: None,
            mask: None,
            tiles: None,
        }
    }
}

#[cfg(test)]
impl Report {
    /// A report of nothing, for tests to change what they are about.
    pub(crate) fn for_tests(sequence: u64) -> Report {
        let stop = crate::outcome::StopReason::Halted;
        let trace = StepTrace {
            steps: 1,
            limit: 6,
            stop,
            distances: Default::default(),
            drive_distance: 0.0,
            moved: 1.0,
            stepped: 1.0,
            encoded: 1.0,
        };
        Report::new(sequence, (1, 1), trace, "cpu")
    }
}

/// A frame for people: what the network saw of it and answered, and the source's own picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Width of both planes in pixels.
    pub width: u32,
    /// Height of both planes in pixels.
    pub height: u32,
    /// What the network saw, 8-bit luma, row by row.
    pub luma: Vec<u8>,
    /// What to draw over every pixel: 0 for nothing, else the class index (one more where class 0 is something to show), same size as `luma`.
    pub mask: Vec<u8>,
    /// The mask holds outlines of the report's boxes, and nothing that the boxes do not say.
    pub outlined: bool,
    /// The part of the source's picture that both planes show, in its pixels. Where it exceeds the picture there is black.
    pub view: Region,
    /// The source's own picture in colour.
    pub source: Option<Arc<SourcePicture>>,
}

/// What each pixel of an answer shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shapes {
    /// Width in pixels of `classes`.
    pub width: usize,
    /// Height in pixels of `classes`.
    pub height: usize,
    /// Class of each pixel, 0 for background, row by row.
    pub classes: Vec<u8>,
    /// The part of the source's picture that they cover.
    pub view: Region,
}
