//! The structures kernels take, byte for byte as `kernels/prelude.cu` and its neighbours declare them.

use crate::outcome::MAX_STEPS;

/// A struct that is passed to a kernel by value, or read by one from memory.
///
/// # Safety
/// Only for `repr(C)` types of plain numbers without padding, whose CUDA twin has the same layout.
pub unsafe trait Plain: Copy {
    /// The bytes of the value.
    fn bytes(&self) -> Vec<u8> {
        // SAFETY: plain numbers without padding, so that every byte of the value has been written.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast::<u8>(), size_of::<Self>()) }.to_vec()
    }
}

/// Declares structs of numbers, and refuses to compile one with padding: its bytes would be whatever lay there before. `pad` fields fill the gaps
/// that the CUDA twin leaves to its compiler.
macro_rules! plain {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }

            const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$kind>())*, concat!(stringify!($name), " has padding: add a pad field"));

            // SAFETY: repr(C), numbers only, without padding as just asserted; the layouts are checked against the kernels' by tests/gpu.
            unsafe impl Plain for $name {}
        )*
    };
}

/// Tensors and vectors one element-wise program can name.
pub const BUFFERS: usize = 16;
/// Masks that one may be made of at once.
pub const SOURCES: usize = 6;

plain! {
    /// A tensor `[y][x][c]`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct View {
        pub data: u64,
        pub half: i32,
        pub cs: i32,
        pub c: i32,
        pub h: i32,
        pub w: i32,
        pub pad: u32,
    }

    /// Which pixels of what a kernel makes have to be made again: one byte a pixel at `mask`, everything where that is 0. `work` takes `unit`
    /// for each block that found something to do.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Part {
        pub mask: u64,
        pub work: u64,
        pub unit: i32,
        pub pad: u32,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct ConvArgs {
        pub input: View,
        pub out32: u64,
        pub out16: u64,
        pub out_cs: i32,
        pub out_c: i32,
        pub oh: i32,
        pub ow: i32,
        pub weights: u64,
        pub bias: u64,
        pub runs: i32,
        pub run_taps_x: i32,
        pub ksteps: i32,
        pub stride_y: i32,
        pub stride_x: i32,
        pub dilation_y: i32,
        pub dilation_x: i32,
        pub pad_y: i32,
        pub pad_x: i32,
        pub warps_y: i32,
        pub warps_x: i32,
        pub tile_h: i32,
        pub tile_words: i32,
        pub pitch: i32,
        pub kh: i32,
        pub kw: i32,
        pub group_in: i32,
        pub group_out: i32,
        pub skip: u64,
        pub counter: u64,
        pub part: Part,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct FftArgs {
        pub input: View,
        pub out32: u64,
        pub out16: u64,
        pub out_cs: i32,
        pub out_c: i32,
        pub oh: i32,
        pub ow: i32,
        pub weights: u64,
        pub bias: u64,
        pub spectra_in: u64,
        pub spectra_out: u64,
        pub twiddles: u64,
        pub tiles_y: i32,
        pub tiles_x: i32,
        pub valid_y: i32,
        pub valid_x: i32,
        pub pad_y: i32,
        pub pad_x: i32,
        pub skip: u64,
        pub counter: u64,
        pub part: Part,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct StatsArgs {
        pub input: View,
        pub mean: u64,
        pub variance: u64,
        pub partials: u64,
        pub ticket: u64,
        pub pixels_per_block: i32,
        pub pad: u32,
        pub skip: u64,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct PointwiseArgs {
        pub buffers: [u64; BUFFERS],
        pub code: u64,
        pub constants: u64,
        pub prologue: i32,
        pub body: i32,
        pub pairs: i32,
        pub cs: i32,
        pub c: i32,
        pub registers: i32,
        pub skip: u64,
        pub partials: u64,
        pub partials_before: i32,
        pub pad_before: u32,
        pub ticket: u64,
        pub decide: i32,
        pub pad_decide: u32,
        pub control: u64,
        pub report: u64,
        pub order: u64,
        pub part: Part,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct SpatialArgs {
        pub input: View,
        pub out32: u64,
        pub out16: u64,
        pub out_cs: i32,
        pub out_c: i32,
        pub oh: i32,
        pub ow: i32,
        pub kind: i32,
        pub kh: i32,
        pub kw: i32,
        pub stride_y: i32,
        pub stride_x: i32,
        pub dilation_y: i32,
        pub dilation_x: i32,
        pub pad_y: i32,
        pub pad_x: i32,
        pub divisor: i32,
        pub rows: u64,
        pub columns: u64,
        pub skip: u64,
        pub part: Part,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct AcrossArgs {
        pub input: View,
        pub out32: u64,
        pub out16: u64,
        pub out_cs: i32,
        pub kind: i32,
        pub scale: f32,
        pub pad: u32,
        pub skip: u64,
        pub part: Part,
    }

    /// Two samples of one axis, and what they weigh.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct Taps {
        pub first: i32,
        pub second: i32,
        pub first_weight: f32,
        pub second_weight: f32,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct LabelArgs {
        pub logits: View,
        pub labels: u64,
        pub skip: u64,
        pub control: u64,
        pub report: u64,
        pub told: u64,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct PlaneArgs {
        pub tensor: View,
        pub planes: u64,
        pub extra16: u64,
        pub skip: u64,
        pub control: u64,
        pub report: u64,
        pub told: u64,
        pub part: Part,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct FitArgs {
        pub tensor: View,
        pub extra16: u64,
        pub picture: u64,
        pub column_starts: u64,
        pub column_weights: u64,
        pub row_starts: u64,
        pub row_weights: u64,
        pub column_taps: i32,
        pub row_taps: i32,
        pub left: i32,
        pub top: i32,
        pub across: i32,
        pub down: i32,
        pub outputs: i32,
        pub kind: i32,
        pub order: i32,
        pub shift: i32,
        pub wide: i32,
        pub limited: i32,
        pub black: i32,
        pub height: i32,
        pub stride: i32,
        pub mean: [f32; 3],
        pub std: [f32; 3],
        pub pad: u32,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct BeginArgs {
        pub control: u64,
        pub report: u64,
        pub order: u64,
        pub tiles: i32,
        pub tiles_cut: f32,
        pub high: f32,
        pub calm: i32,
        pub most: i32,
        pub total: u32,
    }

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

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct Instruction {
        pub op: u8,
        pub to: u8,
        pub a: u8,
        pub b: u8,
        pub word: u32,
    }

    /// What stepping decided so far; device memory. The first words are the flags kernels look at before they start.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Control {
        pub stop: i32,
        pub pending: i32,
        pub always: i32,
        pub steps: i32,
        pub slow: i32,
        pub cap: i32,
        pub drive_distance: f32,
        pub convolutions: u32,
        pub metric: i32,
        pub has_threshold: i32,
        pub threshold: f32,
        pub has_surprise: i32,
        pub surprise: f32,
        pub min: i32,
        pub slow_cap: i32,
        pub deadline_cap: i32,
        pub has_wake: i32,
        pub wake: f32,
        pub floor: f32,
        pub floor_now: f32,
        pub label_threshold: f32,
        pub tiles: i32,
        pub whole: i32,
        pub everything: i32,
        pub dense: i32,
        pub prefers_dense: i32,
        pub forgotten: i32,
        pub seen: i32,
        pub learned: i32,
        pub calm: i32,
        pub wait: i32,
        pub tried: i32,
        pub mean_work: f32,
        pub share: f32,
        pub changed: u32,
        pub moving_drive: u32,
        pub moving_states: u32,
        pub moving_next: u32,
        pub done_encode: u32,
        pub done_step: u32,
        pub sums: [f32; 6],
    }

    /// What the host orders for a frame; mapped host memory.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Order {
        pub drive_known: i32,
        pub has_step: i32,
        pub slow: i32,
        pub metric: i32,
        pub has_threshold: i32,
        pub threshold: f32,
        pub has_surprise: i32,
        pub surprise: f32,
        pub has_zero: i32,
        pub zero: f32,
        pub min: i32,
        pub fast_cap: i32,
        pub slow_cap: i32,
        pub deadline_cap: i32,
        pub has_wake: i32,
        pub wake: f32,
        pub floor: f32,
        pub has_cut: i32,
        pub cut: f32,
        pub label_threshold: f32,
    }

    /// What a frame did: in device memory while it runs, then in mapped host memory.
    #[derive(Clone, Copy, Debug)]
    pub struct Report {
        pub frame: u32,
        /// 0 halted, 1 limit, 2 zero, 3 reset, 4 deadline, -1 not yet.
        pub stop: i32,
        pub steps: i32,
        pub limit: i32,
        pub drive_distance: f32,
        pub convolutions: u32,
        /// Share of the input that was accepted.
        pub moved: f32,
        /// Work of the encoder and of the steps, in the units of [`Part`].
        pub done_encode: u32,
        pub done_step: u32,
        pub distances: [f32; MAX_STEPS],
    }
}

impl Report {
    /// Of a frame that is still to come.
    pub const NONE: Report = Report {
        frame: 0,
        stop: -1,
        steps: 0,
        limit: 0,
        drive_distance: f32::INFINITY,
        convolutions: 0,
        moved: 1.0,
        done_encode: 0,
        done_step: 0,
        distances: [0.0; MAX_STEPS],
    };
}
