//! Own data to calibrate on: pieces of a film at the network's size, labelled, or compared with what another rule sees in them.

use super::observe;
use crate::capture::fit::{Fitter, InputSpec, Mode, Placement};
use crate::commands::eval::data::{self, Labelled, Labels, Sample, What};
use crate::commands::eval::lane::CutSource;
use crate::commands::eval::videos::{Clip, Truth};
use crate::frame::PixelFormat;
use crate::network::Network;
use crate::network::halting::HaltingRule;
use crate::service::exit::{Cause, Failure};
use crate::telemetry::Region;

/// Into how many pieces of how many frames a film is cut; each begins with a cleared state.
#[derive(Clone, Copy)]
pub struct Pieces {
    pub many: usize,
    pub frames: usize,
}

/// The pieces of what `labels` names; where nothing is labelled, with what the dense run under `reference` sees in them.
pub fn clips(labels: &Labels, network: &Network, pieces: Pieces, reference: HaltingRule) -> Result<Vec<Clip>, Failure> {
    let task = &network.manifest.task;
    let data = labels.data.as_deref().expect("asked for with --data only").display();
    let refuse = |why: String| Err(Failure::new(Cause::Source, format!("{data}: {why}")));
    let mut samples = data::open(labels, task, false)?;
    if !samples.is_film() {
        return refuse("its pictures do not follow one another, and so no frame is carried; calibrate on a film".into());
    }
    let mode = labels.fit.unwrap_or_else(|| data::usual_fit(task));
    if samples.what() == What::Pixels && mode != Mode::Stretch {
        return refuse("labelled pixels go with --fit stretch here".into());
    }
    let frames = pieces.frames.max(2);
    let all = data::all(samples.as_mut(), pieces.many.saturating_mul(frames))?;
    // The last piece may be shorter, but not so short that it is hardly carried.
    let mut clips = Vec::new();
    let mut fitter = Fitted::new(network, mode);
    for piece in all.chunks(frames).filter(|piece| 2 * piece.len() >= frames) {
        clips.push(fitter.clip(piece)?);
    }
    if clips.len() < 4 {
        return refuse(format!("{} frames are too few to choose by: 4 pieces or more of {frames} (--stream-frames) are needed", all.len()));
    }
    if samples.what() == What::Nothing {
        let mut lane = observe::lane(network, reference)?;
        for clip in &mut clips {
            lane.begin(reference, clip.frames.len());
            for at in 0..clip.frames.len() {
                lane.watch(clip, 0, at..at + 1, CutSource::Videos, false, |_, _, _| {})?;
                clip.truths[at] = lane.seen();
            }
        }
    }
    Ok(clips)
}

/// Makes pictures as large as the network's input once, so that all rules need not.
struct Fitted {
    fitter: Fitter,
    spec: InputSpec,
    tensor: Vec<f32>,
}

impl Fitted {
    fn new(network: &Network, mode: Mode) -> Fitted {
        let input = &network.manifest.input;
        let (width, height, channels) = (input.width as usize, input.height as usize, input.channels as usize);
        let spec = InputSpec { width, height, channels, mean: [0.0; 3], std: [1.0; 3] };
        Fitted { fitter: Fitter::new(spec.clone(), mode), tensor: vec![0.0; channels * width * height], spec }
    }

    fn clip(&mut self, piece: &[Sample]) -> Result<Clip, Failure> {
        let InputSpec { width, height, channels, .. } = self.spec;
        let format = if channels == 3 { PixelFormat::Rgb24 } else { PixelFormat::Grey };
        let mut clip =
            Clip { width: width as u32, height: height as u32, format, frames: Vec::new(), truths: Vec::new(), cuts: Vec::new() };
        for (at, sample) in piece.iter().enumerate() {
            self.fitter.fit(&sample.frame, &mut self.tensor).map_err(|error| Failure::new(Cause::Source, error))?;
            let pixels = width * height;
            let level = |at: usize| (self.tensor[at % channels * pixels + at / channels] * 255.0).round().clamp(0.0, 255.0) as u8;
            clip.frames.push((0..channels * pixels).map(level).collect());
            clip.cuts.push(at == 0 || sample.cut);
            let placement = self.fitter.placement().expect("a frame was fitted");
            clip.truths.push(Truth::Labelled(moved(&sample.truth, &placement)));
        }
        Ok(clip)
    }
}

/// Labels where their picture went; boxes of which nothing is left are gone.
fn moved(truth: &data::Truth, placement: &Placement) -> data::Truth {
    let data::Truth::Boxes(labels) = truth else { return truth.clone() };
    let (picture, tensor) = (placement.picture, placement.tensor);
    let (sx, sy) = (tensor.width / picture.width, tensor.height / picture.height);
    let moved = labels.iter().map(|label| {
        let Region { x, y, width, height } = label.region;
        let place = |at: f32, from: f64, scale: f64, to: f64| ((f64::from(at) - from) * scale + to) as f32;
        let (left, top) = (place(x, picture.x, sx, tensor.x), place(y, picture.y, sy, tensor.y));
        let region = Region { x: left, y: top, width: (f64::from(width) * sx) as f32, height: (f64::from(height) * sy) as f32 };
        Labelled { region, ..*label }
    });
    let inside = |region: &Region| {
        let (right, bottom) = ((tensor.x + tensor.width) as f32, (tensor.y + tensor.height) as f32);
        region.x < right && region.y < bottom && region.x + region.width > tensor.x as f32 && region.y + region.height > tensor.y as f32
    };
    data::Truth::Boxes(moved.filter(|label| inside(&label.region)).collect())
}
