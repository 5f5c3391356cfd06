//! The structures kernels take, byte for byte as `kernels/prelude.cu` and its neighbours declare them.

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

mod frame;
mod tiles;

pub use frame::{BeginArgs, Control, Order, Report};
pub use tiles::{GateArgs, LookArgs, MapArgs, ReachArgs, Source, Span};

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
        pub measure: Measure,
    }

    /// Where mean and variance of every channel go; nowhere where `mean` is 0.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Measure {
        pub mean: u64,
        pub variance: u64,
        pub partials: u64,
        pub counts: u64,
        pub ticket: u64,
    }

    #[derive(Clone, Copy, Debug, Default)]
    pub struct StatsArgs {
        pub input: View,
        pub to: Measure,
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

    /// A convolution with a chain of what it makes.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct ChainedArgs {
        pub conv: ConvArgs,
        pub chain: PointwiseArgs,
    }

    /// A convolution that measures what it makes.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct MeasuredArgs {
        pub conv: ConvArgs,
        pub to: Measure,
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

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct Instruction {
        pub op: u8,
        pub to: u8,
        pub a: u8,
        pub b: u8,
        pub word: u32,
    }
}
