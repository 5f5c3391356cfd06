//! A video of a fixed number of frames.

use crate::scene::Scene;
use crate::spec::Spec;

/// Frames and, for each, the mask of its target. Both are size x size bytes a frame, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    /// Luma, 0 (background) to 255 (paddle).
    pub frames: Vec<Vec<u8>>,
    /// 255 where the longest contour's ink covers more than a fifth of a pixel, else 0.
    pub masks: Vec<Vec<u8>>,
}

/// Video `index` of `spec`: always the same bytes.
///
/// # Panics
/// If [`Spec::check`] refuses `spec`.
pub fn video(spec: Spec, index: u64) -> Video {
    let mut scene = Scene::new(spec, index);
    let mut video = Video { frames: Vec::new(), masks: Vec::new() };
    for t in 0..spec.frames {
        if t > 0 {
            scene.step();
        }
        let (mut frame, mut mask) = (vec![0; spec.pixels()], vec![0; spec.pixels()]);
        scene.draw(&mut frame, &mut mask);
        video.frames.push(frame);
        video.masks.push(mask);
    }
    video
}
