//! What the kernels of `kernels/tiles.cu` take.

use super::{Plain, SOURCES, View};

plain! {
    /// How the input's tiles are looked at and accepted.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct LookArgs {
        pub incoming: View,
        pub accepted: u64,
        pub frame32: u64,
        pub frame16: u64,
        pub last: u64,
        pub noise: u64,
        pub changed: u64,
        pub levels: u64,
        pub mask: u64,
        pub control: u64,
        pub order: u64,
        pub floor: f32,
        pub gain: f32,
        pub most: f32,
        pub rise: f32,
        pub switches: i32,
        pub low: f32,
        pub calm: i32,
        pub pad: u32,
    }

    /// Rows or columns of an input that one of an output sees.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Span {
        pub first: i32,
        pub behind: i32,
    }

    /// A mask that another is made of.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Source {
        pub mask: u64,
        pub rows: u64,
        pub columns: u64,
        pub w: i32,
        pub when: i32,
        pub centred: i32,
        pub pad: u32,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct ReachArgs {
        pub sources: [Source; SOURCES],
        pub to: u64,
        pub h: i32,
        pub w: i32,
        pub count: i32,
        pub tile_h: i32,
        pub tile_w: i32,
        pub tiles_x: i32,
        pub skip: u64,
        pub control: u64,
        pub stepping: i32,
        pub pad: u32,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct GateArgs {
        pub from: View,
        pub to: View,
        pub to32: u64,
        pub to16: u64,
        pub dirty: u64,
        pub mask: u64,
        pub unread: u64,
        pub unsaid: u64,
        pub untold: u64,
        pub partials: u64,
        pub energy: u64,
        pub skip: u64,
        pub ticket: u64,
        pub control: u64,
        pub report: u64,
        pub order: u64,
        pub threshold: f32,
        pub carries: f32,
        pub commits: i32,
        pub decide: i32,
        pub stepping: i32,
        pub pad: u32,
    }

    /// What [`crate::outcome::TileMap`] is made of.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct MapArgs {
        pub changed: u64,
        pub computed: u64,
        pub map: u64,
        pub h: i32,
        pub w: i32,
        pub state_h: i32,
        pub state_w: i32,
        pub control: u64,
        pub has_step: i32,
        pub pad: u32,
    }
}
