//! Frames without end, with scene cuts.

use crate::rng::Rng;
use crate::scene::Scene;
use crate::spec::Spec;

/// One frame of a [`Stream`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFrame {
    /// Luma, size x size bytes.
    pub frame: Vec<u8>,
    /// The target, 255 or 0, size x size bytes.
    pub mask: Vec<u8>,
    /// Whether a new scene begins with this frame; true for the very first.
    pub cut: bool,
}

/// An endless iterator of frames; a new scene begins every 20 to 60 frames. The same spec gives the same stream, whose scenes are none of its videos.
#[derive(Clone, Debug)]
pub struct Stream {
    spec: Spec,
    rng: Rng,
    scenes: u64,
    scene: Option<Scene>,
    left: i32,
}

/// Sets a stream's scenes apart from those of videos.
const STREAM: u64 = 1;

impl Stream {
    /// The stream of `spec`; its frame count plays no part.
    ///
    /// # Panics
    /// If [`Spec::check`] refuses `spec`.
    pub fn new(spec: Spec) -> Self {
        Stream::numbered(spec, 0)
    }

    /// Stream `number` of `spec`, where one is not enough: no two have a scene in common for their first 2^32 scenes. Number 0 is [`Stream::new`]'s.
    ///
    /// # Panics
    /// If [`Spec::check`] refuses `spec`.
    pub fn numbered(spec: Spec, number: u32) -> Self {
        if let Err(error) = spec.check() {
            panic!("{error}");
        }
        let rng = if number == 0 { Rng::keyed(&[STREAM, spec.seed]) } else { Rng::keyed(&[STREAM, spec.seed, number.into()]) };
        Stream { spec, rng, scenes: u64::from(number) << 32, scene: None, left: 0 }
    }

    /// Draws the next frame into buffers of the caller's, allocating no buffers of its own; returns whether a new scene begins with it.
    ///
    /// # Panics
    /// If a buffer does not hold size x size pixels.
    pub fn draw_next(&mut self, luma: &mut [u8], mask: &mut [u8]) -> bool {
        let cut = self.left == 0;
        if cut {
            self.scene = None;
            self.left = self.rng.between(20, 60);
        }
        self.left -= 1;
        let scene = match &mut self.scene {
            Some(scene) => {
                scene.step();
                scene
            }
            empty => {
                self.scenes += 1;
                empty.insert(Scene::keyed(self.spec, STREAM, self.scenes))
            }
        };
        scene.draw(luma, mask);
        cut
    }
}

impl Iterator for Stream {
    type Item = StreamFrame;

    fn next(&mut self) -> Option<StreamFrame> {
        let (mut frame, mut mask) = (vec![0; self.spec.pixels()], vec![0; self.spec.pixels()]);
        let cut = self.draw_next(&mut frame, &mut mask);
        Some(StreamFrame { frame, mask, cut })
    }
}
