//! From a camera's bytes to the network's input: ours beside the image crate's, in one run.
//!
//! `cargo bench -p recslowfast-tests --bench capture` prints one row a conversion: the median of many runs in milliseconds on one core,
//! the same by way of an RGB image of the `image` crate, and how many times faster ours is. It fails when a promise is not kept.

use std::hint::black_box;
use std::time::Instant;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ExtendedColorType, ImageFormat, RgbImage};
use recslowfast::capture::fit::{Fitter, InputSpec, Mode};
use recslowfast::frame::{Frame, PixelFormat};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;
const SIDE: usize = 150;
const RUNS: usize = 60;

/// Something like a street: gradients, edges and noise.
fn picture() -> RgbImage {
    let mut noise = 1_u32;
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (noise >> 29) as u8;
        let block = if (x / 40 + y / 60) % 3 == 0 { 90 } else { 0 };
        image::Rgb([(x / 4) as u8 / 2 + block + grain, (y / 3) as u8 + grain, 60 + block / 2 + grain])
    })
}

fn yuyv(picture: &RgbImage) -> Vec<u8> {
    let mut out = Vec::new();
    for pair in picture.as_raw().as_chunks::<6>().0 {
        let luma = |r: u8, g: u8, b: u8| 16.0 + (65.5 * f32::from(r) + 128.6 * f32::from(g) + 25.0 * f32::from(b)) / 255.0;
        let [r, g, b] = [0, 1, 2].map(|i| (f32::from(pair[i]) + f32::from(pair[i + 3])) / 2.0);
        let u = 128.0 + (-37.8 * r - 74.2 * g + 112.0 * b) / 255.0;
        let v = 128.0 + (112.0 * r - 93.8 * g - 18.2 * b) / 255.0;
        out.extend([luma(pair[0], pair[1], pair[2]), u, luma(pair[3], pair[4], pair[5]), v].map(|value| value.round() as u8));
    }
    out
}

/// Median of many runs, in milliseconds.
fn time(mut work: impl FnMut()) -> f64 {
    for _ in 0..5 {
        work();
    }
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn ours(frame: &Frame, channels: usize) -> f64 {
    let spec = InputSpec { channels, ..InputSpec::luma(SIDE, SIDE) };
    let mut tensor = vec![0.0; spec.values()];
    let mut fitter = Fitter::new(spec, Mode::Stretch);
    time(|| fitter.fit(black_box(frame), black_box(&mut tensor)).unwrap())
}

/// Resize, luma or planes, floats: what one writes first.
fn by_image(picture: &DynamicImage, channels: usize) -> Vec<f32> {
    let small = picture.resize_exact(SIDE as u32, SIDE as u32, FilterType::Triangle);
    if channels == 1 {
        small.to_luma8().iter().map(|level| f32::from(*level) / 255.0).collect()
    } else {
        let small = small.to_rgb8();
        (0..3).flat_map(|channel| small.pixels().map(move |pixel| f32::from(pixel[channel]) / 255.0).collect::<Vec<_>>()).collect()
    }
}

fn rgb_of_yuyv(data: &[u8]) -> RgbImage {
    let mut out = Vec::with_capacity(data.len() / 2 * 3);
    for [y0, u, y1, v] in data.as_chunks::<4>().0 {
        let (u, v) = (f32::from(*u) - 128.0, f32::from(*v) - 128.0);
        for y in [y0, y1] {
            let y = 1.164 * (f32::from(*y) - 16.0);
            out.extend([y + 1.596 * v, y - 0.391 * u - 0.813 * v, y + 2.018 * u].map(|level| level as u8));
        }
    }
    RgbImage::from_raw(WIDTH, HEIGHT, out).unwrap()
}

fn main() {
    let rgb = picture();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 85).encode(&rgb, WIDTH, HEIGHT, ExtendedColorType::Rgb8).unwrap();
    let frame = |format: PixelFormat, data: Vec<u8>| Frame {
        format,
        width: WIDTH,
        height: HEIGHT,
        stride: format.row_bytes(WIDTH),
        range: format.usual_range(),
        data: data.into(),
        ..Frame::default()
    };
    let yuyv = frame(PixelFormat::Yuyv, yuyv(&rgb));
    let jpeg = frame(PixelFormat::Mjpeg, jpeg);
    println!("640x480 to {SIDE}x{SIDE}             ours ms   image ms   ratio");
    let mut kept = true;
    for (name, frame, channels, most_ms, least_ratio) in [
        ("YUYV to luma", &yuyv, 1, 0.3, 3.0),
        ("YUYV to RGB", &yuyv, 3, f64::MAX, 3.0),
        ("MJPEG to luma", &jpeg, 1, 4.0, 1.0),
        ("MJPEG to RGB", &jpeg, 3, f64::MAX, 1.0),
    ] {
        let ours = ours(frame, channels);
        let image = time(|| {
            let picture = match frame.format {
                PixelFormat::Yuyv => rgb_of_yuyv(black_box(&frame.data)),
                _ => image::load_from_memory_with_format(black_box(&frame.data), ImageFormat::Jpeg).unwrap().into_rgb8(),
            };
            black_box(by_image(&DynamicImage::ImageRgb8(picture), channels));
        });
        let ratio = image / ours;
        let verdict = if ours <= most_ms && ratio >= least_ratio { "" } else { "   NOT KEPT" };
        kept &= verdict.is_empty();
        println!("{name:<26} {ours:>8.3} {image:>10.3} {ratio:>7.1}{verdict}");
    }
    std::process::exit(i32::from(!kept));
}
