//! Temporal Pathfinder: videos of growing, drifting contours, and the mask of the longest one in every frame.
//!
//! The task is a temporal version of Pathfinder: several dashed contours lie on a dark canvas; in every frame, mark all of the
//! *longest*. To see which that is, one has to follow each dashed line from end to end, which takes a recurrent network
//! several steps; as little moves from a frame to the next, most of that work can be kept.
//!
//! ```
//! use temporal_pathfinder::{Spec, Split, Stream, video};
//!
//! let spec = Spec { split: Split::Easy, seed: 1, size: 64, frames: 8 };
//! let video = video(spec, 0);
//! assert_eq!((video.frames.len(), video.frames[0].len()), (8, 64 * 64));
//! let cuts = Stream::new(spec).take(200).filter(|f| f.cut).count();
//! assert!((4..=10).contains(&cuts));
//! ```
//!
//! # How contours evolve
//! The rules of the paper this task comes from are not public; these are ours.
//!
//! - A contour is a chain of paddles with a gap after each. The next paddle's direction bends from the last one's by an angle d
//!   drawn with weight max(0, cos(1.8 d))², so by 50° at most; the chain turns half-way through the gap.
//! - What shows is a *window* of the chain. Its head advances by 0.04 to 0.16 pitches a frame (a pitch is a paddle and its gap),
//!   each contour at its own rate; once the contour has the length it wants, its tail follows at the same rate. The window
//!   moves by fractions of a paddle, so ink grows and shrinks rather than jumps. A head with no room left turns round:
//!   tail becomes head.
//! - Every contour also drifts as a whole, at its own 0.06 to 0.48 pixels a frame (canvases up to 180 pixels) and with
//!   a slowly wandering heading; where it cannot go on it takes another heading or rests for the frame.
//! - One contour *leads*; it wants to be 6 to 10 paddles long at 64 pixels (8 to 14 from 90 pixels on), the others 30 to 50 % of the
//!   longest. A settled leader gives way once in 40 frames on average: an heir grows at 0.3 pitches a frame, the old leader loses
//!   0.4, until the order is reversed; a few frames in between are close. An heir with no room gives the lead back.
//! - A scene has lived 12 frames before its first one is shown, so a video may open in the middle of such a change.
//! - *Easy*: centres of paddles of different contours stay 1.5 pitches apart. *Hard*: contours may cross, but paddles less than a
//!   pitch apart differ in direction by at least 35°.
//!
//! # Units and sizes
//! The original Pathfinder's paddles are 5 long, 2 thick and 3 apart on 300 x 300. Canvases of 180 pixels or less have 0.6 of
//! that, so that paddles stay legible and look the same to a network at 64 and at 150 pixels; larger ones scale up.
//! Frames are 8-bit luma, background 0, paddles 255, anti-aliased by coverage; masks are 255 where the target's own ink
//! covers more than a fifth of a pixel (also where another contour crosses it), else 0. Both run row by row from the top left.
//!
//! # The same everywhere
//! A video follows from (split, seed, index, size); a longer one begins with the shorter one. Random numbers, sines and ink
//! are this crate's own integer arithmetic, so the bytes are the same on every machine; golden hashes in the tests hold them still.
//!
//! # On disk
//! [`write_dataset`] and [`Dataset`] use the layout of the public data: `imgs/1/{video}_{frame}.png`, the mask by the same name
//! under `gt/1/`, and `dataset_config.json` with `n_videos` and `n_frames`.
#![warn(missing_docs)]

mod contour;
mod dataset;
mod fixed;
mod measures;
mod raster;
mod rng;
mod scene;
mod spec;
mod stream;
mod video;

pub use dataset::{Dataset, DatasetVideo, OpenError, ReadError, WriteError, write_dataset};
pub use scene::Scene;
pub use spec::{Spec, SpecError, Split, UnknownSplit};
pub use stream::{Stream, StreamFrame};
pub use video::{Video, video};
