//! A frame's bytes to the network's input on the device: read where they lie or copied once, one kernel.

use std::sync::Arc;

use super::abi::{FitArgs, Plain, View};
use super::driver::{Buffer, Context, Launch, Mapped, Module, Pool, Reading, Result, Stream};
use crate::frame::{BayerDepth, BayerOrder, Frame, PixelFormat, Range};
use crate::sampling::{Axis, Sampling};

/// Columns of the tensor a block makes, at most.
const OUTPUTS: usize = 32;
/// Columns of the picture a block keeps sums of, at most: three channels of them fill 48 KiB.
const SPAN: usize = 4096;

/// The input of a network as `kernels/camera.cu` fills it.
#[derive(Clone, Copy)]
pub struct Input {
    /// The tensor.
    pub tensor: View,
    /// Address of its fp16 copy, or 0.
    pub extra16: u64,
}

/// Everything that depends on what pictures look like.
pub struct Camera {
    context: Arc<Context>,
    /// Where pictures are copied that lie where the device cannot read; made for the first one.
    picture: Option<Mapped<u8>>,
    /// The picture the device reads where it lies.
    reading: Option<Reading>,
    looks: Looks,
    args: FitArgs,
    launch: Launch,
    _axes: [Buffer; 4],
}

/// How a picture came to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Not: bytes are missing.
    Not,
    /// It is read where it lies.
    InPlace,
    /// It was copied once.
    Copied,
}

#[derive(Clone, PartialEq)]
struct Looks {
    format: PixelFormat,
    range: Range,
    height: u32,
    stride: u32,
    bytes: usize,
    sampling: Sampling,
}

impl Looks {
    fn of(frame: &Frame, sampling: &Sampling) -> Looks {
        let Frame { format, range, height, stride, .. } = *frame;
        Looks { format, range, height, stride, bytes: format.picture_bytes(frame.width, height, stride), sampling: sampling.clone() }
    }

    fn fits(&self, frame: &Frame, sampling: &Sampling) -> bool {
        let same = (self.format, self.range, self.height, self.stride) == (frame.format, frame.range, frame.height, frame.stride);
        same && self.bytes == frame.format.picture_bytes(frame.width, frame.height, frame.stride) && self.sampling == *sampling
    }
}

impl Camera {
    /// For pictures like `frame`; `None` where the kernel cannot convert them.
    pub fn new(
        context: &Arc<Context>,
        stream: &Stream,
        module: &Module,
        input: Input,
        frame: &Frame,
        sampling: &Sampling,
    ) -> Result<Option<Camera>> {
        let Some(mut args) = layout(frame) else { return Ok(None) };
        let Some((outputs, span)) = columns(sampling) else { return Ok(None) };
        let spec = &sampling.spec;
        let tensor = &input.tensor;
        if [spec.channels, spec.height, spec.width] != [tensor.c, tensor.h, tensor.w].map(|size| size as usize) {
            return Ok(None);
        }
        let looks = Looks::of(frame, sampling);
        let upload = |words: Vec<u8>| Buffer::holding(context, stream, &words);
        let starts = |axis: &Axis| upload(axis.starts.iter().flat_map(|start| start.to_ne_bytes()).collect());
        let weights = |axis: &Axis| upload(axis.weights.iter().flat_map(|weight| weight.to_ne_bytes()).collect());
        let Sampling { across, down, at, black, .. } = sampling;
        let axes = [starts(across)?, weights(across)?, starts(down)?, weights(down)?];
        let int = |value: usize| value as i32;
        args = FitArgs {
            tensor: input.tensor,
            extra16: input.extra16,
            column_starts: axes[0].address,
            column_weights: axes[1].address,
            row_starts: axes[2].address,
            row_weights: axes[3].address,
            column_taps: int(across.taps),
            row_taps: int(down.taps),
            left: int(at[0]),
            top: int(at[1]),
            across: int(at[2]),
            down: int(at[3]),
            outputs: int(outputs),
            limited: (frame.range == Range::Limited).into(),
            black: i32::from(*black),
            height: frame.height as i32,
            stride: frame.stride as i32,
            mean: spec.mean,
            std: spec.std,
            ..args
        };
        let launch = Launch {
            function: module.function("fit_picture", 0)?,
            grid: [spec.width.div_ceil(outputs) as u32, spec.height as u32, 1],
            threads: 256,
            shared: (span * spec.channels * 4) as u32,
            args: args.bytes(),
        };
        Ok(Some(Camera { context: context.clone(), picture: None, reading: None, looks, args, launch, _axes: axes }))
    }

    /// Whether this was made for pictures like `frame`.
    pub fn fits(&self, frame: &Frame, sampling: &Sampling) -> bool {
        self.looks.fits(frame, sampling)
    }

    /// Takes the picture, in place where `pool` lent its memory; the device must not be reading the one before it.
    pub fn fill(&mut self, frame: &Frame, pool: &Pool) -> Result<Filled> {
        let Some(bytes) = frame.data.get(..self.looks.bytes) else { return Ok(Filled::Not) };
        self.reading = pool.find(frame.data.block());
        let (address, filled) = match &self.reading {
            Some(reading) => (reading.address, Filled::InPlace),
            None => {
                let picture = match &mut self.picture {
                    Some(picture) => picture,
                    none => none.insert(Mapped::new(&self.context, self.looks.bytes, 0u8)?),
                };
                picture.as_mut_slice().copy_from_slice(bytes);
                (picture.address, Filled::Copied)
            }
        };
        if self.args.picture != address {
            self.args.picture = address;
            self.launch.args = self.args.bytes();
        }
        Ok(filled)
    }

    /// Queues the kernel.
    pub fn queue(&self, stream: &Stream) -> Result<()> {
        stream.launch(&self.launch)
    }
}

/// Columns of the tensor a block makes, and the most columns of the picture any block needs.
fn columns(sampling: &Sampling) -> Option<(usize, usize)> {
    let Axis { starts, taps, .. } = &sampling.across;
    // Blocks start at multiples of `outputs` in the tensor, wherever the picture lies in it: any run of that length may be one.
    let span = |outputs: usize| {
        let reach = |at: usize| (starts[(at + outputs).min(starts.len()) - 1] - starts[at]) as usize + taps;
        (0..starts.len()).map(reach).max().unwrap_or(0)
    };
    let outputs = (0..=OUTPUTS.ilog2()).rev().map(|power| 1 << power);
    outputs.map(|outputs| (outputs, span(outputs))).find(|(_, span)| *span <= SPAN)
}

/// How the bytes lie; `None` where they must be decoded first.
fn layout(frame: &Frame) -> Option<FitArgs> {
    const GREY: i32 = 0;
    const DEEP_GREY: i32 = 1;
    const PACKED_YUV: i32 = 2;
    const SEMI_PLANAR_YUV: i32 = 3;
    const PLANAR_YUV: i32 = 4;
    const PACKED_RGB: i32 = 5;
    const BAYER: i32 = 6;
    let plain = |kind: i32, order: i32| FitArgs { kind, order, ..FitArgs::default() };
    Some(match frame.format {
        PixelFormat::Grey => plain(GREY, 0),
        PixelFormat::Y10 => FitArgs { shift: 2, ..plain(DEEP_GREY, 0) },
        PixelFormat::Y16 => FitArgs { shift: 8, ..plain(DEEP_GREY, 0) },
        PixelFormat::Yuyv => plain(PACKED_YUV, 0),
        PixelFormat::Uyvy => plain(PACKED_YUV, 1),
        PixelFormat::Nv12 => plain(SEMI_PLANAR_YUV, 0),
        PixelFormat::Nv21 => plain(SEMI_PLANAR_YUV, 1),
        PixelFormat::I420 => plain(PLANAR_YUV, 0),
        PixelFormat::Rgb24 => plain(PACKED_RGB, 0),
        PixelFormat::Bgr24 => plain(PACKED_RGB, 1),
        PixelFormat::Bayer(order, depth) => {
            let red = match order {
                BayerOrder::Rggb => 0,
                BayerOrder::Grbg => 1,
                BayerOrder::Gbrg => 2,
                BayerOrder::Bggr => 3,
            };
            let (wide, shift) = match depth {
                BayerDepth::Eight => (0, 4),
                BayerDepth::Ten => (1, 2),
                BayerDepth::Twelve => (1, 0),
            };
            FitArgs { wide, shift, ..plain(BAYER, red) }
        }
        PixelFormat::Mjpeg => return None,
    })
}
