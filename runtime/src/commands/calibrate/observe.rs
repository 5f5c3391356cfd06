//! How a network moves on the calibration videos: where thresholds have to be looked for.

use crate::commands::eval::lane::{CutSource, Lane};
use crate::commands::eval::videos::Clip;
use crate::engine::cpu::threads::Threads;
use crate::engine::{Choice, Tiles};
use crate::network::Network;
use crate::network::halting::{HaltingRule, Metric, Path};
use crate::service::exit::Failure;

/// What was seen with one step on every carried frame.
pub struct Movements {
    /// Movements of carried frames' first steps by metric, sorted.
    first: Vec<(Metric, Vec<f32>)>,
    /// The same in relative L2, scene by scene, in order.
    scenes: Vec<Vec<f32>>,
    /// Half way (on a logarithmic scale) from the largest movement of the drive inside a scene to the smallest at a cut.
    pub cut: Option<f32>,
    /// Half way from what noise moves the drive to what real motion does, but at most a fifth of that.
    pub zero: Option<f32>,
}

/// A lane of one thread: several search side by side. It begins (see [`Lane::begin`]) before it watches.
pub fn lane(network: &Network, rule: HaltingRule) -> Result<Lane, Failure> {
    Lane::open(network, rule, 0, Choice::Cpu, Threads::ONE, Tiles::Off)
}

/// Share `p` of `sorted` lies below this.
pub fn quantile(sorted: &[f32], p: f64) -> f32 {
    sorted.get(((sorted.len() as f64 * p) as usize).min(sorted.len().saturating_sub(1))).copied().unwrap_or(f32::NAN)
}

/// Three figures that count.
pub fn rounded(x: f32) -> f32 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

/// Watches a quarter of the videos with one step on every carried frame, being told of cuts. Where all of them are of `one_scene`, what a cut is
/// cannot be seen, and stays as model.toml says.
pub fn movements(network: &Network, sources: &[Vec<Clip>], one_scene: bool) -> Result<Movements, Failure> {
    let clips = || sources.iter().flat_map(|clips| clips.iter().step_by(4));
    let mut lane = lane(network, HaltingRule::fixed(1))?;
    let (mut inside, mut at_cuts, mut noise) = (Vec::new(), Vec::new(), Vec::new());
    let (mut first, mut scenes) = (Vec::new(), Vec::new());
    for metric in [Metric::RelativeL2, Metric::RelativeL1, Metric::Cosine] {
        let mut moved = Vec::new();
        for clip in clips() {
            let rule = HaltingRule { metric, ..HaltingRule::slow_fast(network.manifest.steps.slow, 1) };
            lane.begin(rule, clip.frames.len());
            lane.watch(clip, 0, 0..clip.frames.len(), CutSource::Cuts, false, |at, trace, _| {
                if clip.cuts[at] {
                    scenes.push(Vec::new());
                } else {
                    moved.push(trace.distances[0]);
                    if metric == Metric::RelativeL2 {
                        scenes.last_mut().expect("a video begins with a cut").push(trace.distances[0]);
                        inside.push(trace.drive_distance);
                    }
                }
            })?;
        }
        moved.sort_by(f32::total_cmp);
        first.push((metric, moved));
    }
    scenes.retain(|scene| !scene.is_empty());
    lane.begin(HaltingRule::fixed(1), 2);
    let mut pair = |before: &[u8], after: Vec<u8>, clip: &Clip| -> Result<f32, Failure> {
        let pair = Clip { frames: vec![before.to_vec(), after], ..clip.still(0) };
        let mut moved = 0.0;
        lane.watch(&pair, 0, 0..2, CutSource::Videos, false, |at, trace, _| moved = if at == 1 { trace.drive_distance } else { moved })?;
        Ok(moved)
    };
    for clip in clips() {
        for at in (1..clip.frames.len()).filter(|at| clip.cuts[*at]) {
            at_cuts.push(pair(&clip.frames[at - 1], clip.frames[at].clone(), clip)?);
        }
        noise.push(pair(&clip.frames[0], shaken(&clip.frames[0]), clip)?);
    }
    // From the end of one video to the beginning of another is a cut, too.
    for clips in sources.iter().filter(|_| !one_scene) {
        let chosen: Vec<&Clip> = clips.iter().step_by(4).collect();
        for two in chosen.windows(2).filter(|two| (two[0].width, two[0].height) == (two[1].width, two[1].height)) {
            at_cuts.push(pair(two[0].frames.last().expect("a video has frames"), two[1].frames[0].clone(), two[1])?);
        }
    }
    for values in [&mut inside, &mut at_cuts, &mut noise] {
        values.sort_by(f32::total_cmp);
    }
    let (still, most) = (quantile(&inside, 0.01), inside.last().copied().unwrap_or(0.0));
    let seen = at_cuts.first().filter(|least| **least > most).map(|least| rounded((least * most).sqrt()));
    let cut = if one_scene { network.manifest.halting.as_ref().and_then(|halting| halting.cut) } else { seen };
    let noise = quantile(&noise, 0.99);
    let zero = Some(rounded((noise * still).sqrt().min(still / 5.0))).filter(|zero| *zero > 0.0 && zero.is_finite());
    Ok(Movements { first, scenes, cut, zero })
}

/// A picture with noise of one grey level, the same every time.
fn shaken(luma: &[u8]) -> Vec<u8> {
    let mut state = 0x9e37_79b9u32;
    let shake = |grey: &u8| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match state >> 30 {
            0 => grey.saturating_sub(1),
            1 => grey.saturating_add(1),
            _ => *grey,
        }
    };
    luma.iter().map(shake).collect()
}

impl Movements {
    /// Of a network that was never watched.
    #[cfg(test)]
    pub fn unknown() -> Movements {
        Movements { first: Vec::new(), scenes: Vec::new(), cut: None, zero: None }
    }

    /// The movement of a carried frame's first step below which share `p` of them lie.
    pub fn first(&self, metric: Metric, p: f64) -> f32 {
        self.first.iter().find(|(known, _)| *known == metric).map_or(f32::NAN, |(_, moved)| quantile(moved, p))
    }

    /// The `wake` that share `p` of the carried frames would not reach, were their floor to start at `start`.
    pub fn wake(&self, start: f32, p: f64) -> f32 {
        let rule = HaltingRule::floor(Metric::RelativeL2, 0.0, 0.0, start, 1);
        let mut risen: Vec<f32> = Vec::new();
        for scene in &self.scenes {
            let mut floor = start;
            for &moved in scene {
                floor = rule.floor_after_first(Path::Fast, floor, moved);
                risen.push(moved * moved / floor);
            }
        }
        risen.sort_by(f32::total_cmp);
        quantile(&risen, p)
    }

    /// One line, for people.
    pub fn text(&self) -> String {
        let figure = |x: Option<f32>| x.map_or("none".into(), |x| x.to_string());
        format!(
            "movement    first steps of carried frames, relative L2: {:.4} (10 %), {:.4} (50 %), {:.4} (90 %); cut {}, zero {}",
            self.first(Metric::RelativeL2, 0.1),
            self.first(Metric::RelativeL2, 0.5),
            self.first(Metric::RelativeL2, 0.9),
            figure(self.cut),
            figure(self.zero)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_of_the_list() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 3.0);
        assert_eq!(quantile(&[1.0, 2.0], 1.0), 2.0);
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!(rounded(0.012345), 0.0123);
    }

    #[test]
    fn shaking_moves_no_pixel_by_more_than_one_level() {
        let picture: Vec<u8> = (0..=255).collect();
        let shaken = shaken(&picture);
        assert!(picture.iter().zip(&shaken).all(|(a, b)| a.abs_diff(*b) <= 1) && shaken != picture);
    }
}
