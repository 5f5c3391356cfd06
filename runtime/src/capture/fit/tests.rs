//! What a tensor must be, format by format.

use super::*;
use crate::frame::{BayerDepth, BayerOrder};

fn frame(format: PixelFormat, width: u32, height: u32, stride: u32, data: Vec<u8>) -> Frame {
    Frame { format, width, height, stride, range: format.usual_range(), data: data.into(), ..Frame::default() }
}

fn tensor(frame: &Frame, spec: InputSpec, mode: Mode) -> Vec<f32> {
    let mut out = vec![f32::NAN; spec.values()];
    Fitter::new(spec, mode).fit(frame, &mut out).unwrap();
    out
}

fn rgb_spec(width: usize, height: usize) -> InputSpec {
    InputSpec { channels: 3, ..InputSpec::luma(width, height) }
}

/// Every level once, so that any confusion of samples shows.
fn ramp(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 37 % 251) as u8).collect()
}

#[test]
fn a_grey_picture_of_the_networks_size_comes_through_exactly() {
    let picture = frame(PixelFormat::Grey, 64, 64, 64, ramp(64 * 64));
    let got = tensor(&picture, InputSpec::luma(64, 64), Mode::Letterbox);
    assert!(got.iter().zip(&*picture.data).all(|(got, level)| *got == f32::from(*level) / 255.0));
}

#[test]
fn normalisation_is_level_over_255_less_mean_over_std() {
    let picture = frame(PixelFormat::Rgb24, 1, 1, 3, vec![255, 51, 0]);
    let spec = InputSpec { mean: [0.5, 0.1, 0.2], std: [0.5, 0.25, 2.0], ..rgb_spec(1, 1) };
    let got = tensor(&picture, spec, Mode::Stretch);
    for (got, expected) in got.into_iter().zip([1.0, 0.4, -0.1]) {
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
    }
}

#[test]
fn shrinking_by_a_whole_number_is_the_mean_of_each_block() {
    let picture = frame(PixelFormat::Grey, 12, 6, 12, ramp(72));
    let got = tensor(&picture, InputSpec::luma(4, 2), Mode::Stretch);
    for y in 0..2 {
        for x in 0..4 {
            let block: f32 = (0..9).map(|i| f32::from(picture.data[(3 * y + i / 3) * 12 + 3 * x + i % 3])).sum();
            assert!((got[y * 4 + x] - block / 9.0 / 255.0).abs() < 1e-6);
        }
    }
}

#[test]
fn shrinking_by_any_number_is_the_mean_by_area() {
    let (width, height, out_w, out_h) = (37, 23, 10, 7);
    let picture = frame(PixelFormat::Grey, width as u32, height as u32, width as u32, ramp(width * height));
    let got = tensor(&picture, InputSpec::luma(out_w, out_h), Mode::Stretch);
    // The same by brute force: each input pixel cut into 70x70 parts.
    let fine = |x: usize, y: usize| f64::from(picture.data[y / out_h * width + x / out_w]);
    for y in 0..out_h {
        for x in 0..out_w {
            let mut sum = 0.0;
            for fy in 0..height {
                for fx in 0..width {
                    sum += fine(x * width + fx, y * height + fy);
                }
            }
            let exact = sum / (width * height) as f64;
            assert!((f64::from(got[y * out_w + x]) * 255.0 - exact).abs() < 0.01, "{x},{y}");
        }
    }
}

#[test]
fn padding_at_the_end_of_rows_is_never_shown() {
    for (format, row) in [(PixelFormat::Grey, 5), (PixelFormat::Yuyv, 12), (PixelFormat::Rgb24, 15), (PixelFormat::Y16, 10)] {
        let tight = frame(format, 5, 3, row, ramp(row as usize * 3));
        let stride = row + 7;
        let mut data = vec![0xee; stride as usize * 3];
        for y in 0..3 {
            data[y * stride as usize..][..row as usize].copy_from_slice(&tight.data[y * row as usize..][..row as usize]);
        }
        let padded = frame(format, 5, 3, stride, data);
        for spec in [InputSpec::luma(5, 3), rgb_spec(3, 2)] {
            assert_eq!(tensor(&tight, spec.clone(), Mode::Stretch), tensor(&padded, spec, Mode::Stretch), "{format}");
        }
    }
}

#[test]
fn every_yuv_layout_of_one_picture_gives_the_same_tensor() {
    let (width, height) = (6, 4);
    let luma = |x: usize, y: usize| (16 + 9 * (y * width + x)) as u8;
    let chroma = |x: usize, y: usize| ((60 + 20 * (x / 2) + 15 * (y / 2)) as u8, (190 - 25 * (x / 2) - 10 * (y / 2)) as u8);
    let packed = |order: fn(u8, u8, u8, u8) -> [u8; 4]| -> Vec<u8> {
        (0..height)
            .flat_map(|y| (0..width).step_by(2).flat_map(move |x| order(luma(x, y), luma(x + 1, y), chroma(x, y).0, chroma(x, y).1)))
            .collect()
    };
    let plane: Vec<u8> = (0..height).flat_map(|y| (0..width).map(move |x| luma(x, y))).collect();
    let groups: Vec<(u8, u8)> = (0..height).step_by(2).flat_map(|y| (0..width).step_by(2).map(move |x| chroma(x, y))).collect();
    let with = |tail: Vec<u8>| [plane.clone(), tail].concat();
    let (w, h) = (width as u32, height as u32);
    let pictures = [
        frame(PixelFormat::Yuyv, w, h, 2 * w, packed(|a, b, u, v| [a, u, b, v])),
        frame(PixelFormat::Uyvy, w, h, 2 * w, packed(|a, b, u, v| [u, a, v, b])),
        frame(PixelFormat::Nv12, w, h, w, with(groups.iter().flat_map(|(u, v)| [*u, *v]).collect())),
        frame(PixelFormat::Nv21, w, h, w, with(groups.iter().flat_map(|(u, v)| [*v, *u]).collect())),
        frame(PixelFormat::I420, w, h, w, with(groups.iter().map(|pair| pair.0).chain(groups.iter().map(|pair| pair.1)).collect())),
    ];
    for spec in [InputSpec::luma(width, height), InputSpec::luma(4, 3), rgb_spec(width, height), rgb_spec(3, 3)] {
        let expected = tensor(&pictures[0], spec.clone(), Mode::Stretch);
        for picture in &pictures[1..] {
            assert_eq!(tensor(picture, spec.clone(), Mode::Stretch), expected, "{}", picture.format);
        }
    }
    // Black and white of limited range are 0 and 1.
    let ends = frame(PixelFormat::Yuyv, 2, 1, 4, vec![16, 128, 235, 128]);
    assert_eq!(tensor(&ends, InputSpec::luma(2, 1), Mode::Stretch), [0.0, 1.0]);
    let full = Frame { range: Range::Full, ..ends };
    assert_eq!(tensor(&full, InputSpec::luma(2, 1), Mode::Stretch), [16.0 / 255.0, 235.0 / 255.0]);
}

#[test]
fn odd_sizes_reach_the_last_column_and_row() {
    for (format, bytes) in
        [(PixelFormat::Nv12, 15 + 2 * 6), (PixelFormat::I420, 15 + 2 * 2 * 3), (PixelFormat::Yuyv, 36), (PixelFormat::Grey, 15)]
    {
        let stride = format.row_bytes(5);
        let picture = frame(format, 5, 3, stride, ramp(bytes));
        for spec in [InputSpec::luma(5, 3), rgb_spec(5, 3), rgb_spec(2, 2), InputSpec::luma(9, 8)] {
            assert!(tensor(&picture, spec, Mode::Letterbox).iter().all(|value| (0.0..=1.0).contains(value)), "{format}");
        }
    }
}

#[test]
fn deep_grey_keeps_its_high_bits() {
    let picture = frame(PixelFormat::Y10, 3, 1, 6, [0_u16, 512, 1023].iter().flat_map(|v| v.to_le_bytes()).collect());
    assert_eq!(tensor(&picture, InputSpec::luma(3, 1), Mode::Stretch), [0.0, 128.0 / 255.0, 1.0]);
    let picture = frame(PixelFormat::Y16, 2, 1, 4, [0x80ff_u16, 0xffff].iter().flat_map(|v| v.to_le_bytes()).collect());
    assert_eq!(tensor(&picture, InputSpec::luma(2, 1), Mode::Stretch), [128.0 / 255.0, 1.0]);
}

#[test]
fn a_mosaic_gives_its_colours_in_every_order_and_depth() {
    use BayerOrder::*;
    let (red, green, blue) = (200_u16, 100, 40);
    for (order, tile) in [
        (Rggb, [red, green, green, blue]),
        (Bggr, [blue, green, green, red]),
        (Grbg, [green, red, blue, green]),
        (Gbrg, [green, blue, red, green]),
    ] {
        for (depth, shift, wide) in [(BayerDepth::Eight, 0, false), (BayerDepth::Ten, 2, true), (BayerDepth::Twelve, 4, true)] {
            let samples = (0..4).flat_map(|y| (0..6).map(move |x| tile[y % 2 * 2 + x % 2] << shift));
            let data: Vec<u8> =
                if wide { samples.flat_map(|sample| sample.to_le_bytes()).collect() } else { samples.map(|sample| sample as u8).collect() };
            let format = PixelFormat::Bayer(order, depth);
            let picture = frame(format, 6, 4, format.row_bytes(6), data);
            let got = tensor(&picture, rgb_spec(3, 2), Mode::Stretch);
            for (channel, level) in [red, green, blue].into_iter().enumerate() {
                for value in &got[channel * 6..][..6] {
                    assert!((value * 255.0 - f32::from(level)).abs() <= 1.0, "{format}: {value}");
                }
            }
        }
    }
}

#[test]
fn the_black_level_of_a_sensor_becomes_black_and_white_stays_white() {
    let format = PixelFormat::Bayer(BayerOrder::Rggb, BayerDepth::Ten);
    let level = |counts: u16| {
        let picture = frame(format, 2, 2, 4, [counts; 4].iter().flat_map(|v| v.to_le_bytes()).collect());
        let mut out = [0.0];
        Fitter::new(InputSpec::luma(1, 1), Mode::Stretch).with_black_level(16).fit(&picture, &mut out).unwrap();
        out[0]
    };
    assert_eq!((level(0), level(64), level(1023)), (0.0, 0.0, 1.0));
}

#[test]
fn a_letterbox_shows_everything_between_black_bars_and_a_crop_fills() {
    let picture = frame(PixelFormat::Grey, 8, 4, 8, vec![255; 32]);
    let spec = InputSpec { mean: [0.5; 3], std: [0.5; 3], ..InputSpec::luma(4, 4) };
    let mut fitter = Fitter::new(spec.clone(), Mode::Letterbox);
    let mut out = vec![f32::NAN; 16];
    fitter.fit(&picture, &mut out).unwrap();
    assert_eq!(out, [[-1.0; 4], [1.0; 4], [1.0; 4], [-1.0; 4]].concat());
    let placement = fitter.placement().unwrap();
    assert_eq!((placement.to_picture(0.0, 1.0), placement.to_picture(4.0, 3.0)), ((0.0, 0.0), (8.0, 4.0)));

    let mut fitter = Fitter::new(spec, Mode::Crop);
    fitter.fit(&picture, &mut out).unwrap();
    assert_eq!(out, [1.0; 16]);
    assert_eq!(fitter.placement().unwrap().to_picture(0.0, 0.0), (2.0, 0.0));
}

#[test]
fn a_buffer_that_is_too_short_is_damage_and_not_a_panic() {
    let formats = PixelFormat::all();
    for format in formats {
        for (width, height) in [(0, 4), (4, 0), (1, 1), (7, 5)] {
            for bytes in [0, 1, 20] {
                let picture = frame(format, width, height, format.row_bytes(width), vec![1; bytes]);
                let mut out = [0.0; 3 * 16];
                for channels in [1, 3] {
                    let spec = InputSpec { channels, ..InputSpec::luma(4, 4) };
                    let values = spec.values();
                    let _ = Fitter::new(spec, Mode::Crop).fit(&picture, &mut out[..values]);
                }
            }
        }
    }
    let short = frame(PixelFormat::Grey, 4, 4, 4, vec![0; 15]);
    let error = Fitter::new(InputSpec::luma(4, 4), Mode::Crop).fit(&short, &mut [0.0; 16]).unwrap_err().to_string();
    assert_eq!(error, "frame 0 is damaged: 15 bytes in rows of 4 are no grey picture of 4x4");
}

#[test]
fn another_size_in_the_middle_of_a_stream_is_fitted_anew() {
    let mut fitter = Fitter::new(InputSpec::luma(4, 4), Mode::Stretch);
    let mut out = vec![0.0; 16];
    for (width, height) in [(4, 4), (9, 5), (2, 2), (4, 4)] {
        fitter.fit(&frame(PixelFormat::Grey, width, height, width, vec![51; (width * height) as usize]), &mut out).unwrap();
        assert!(out.iter().all(|value| (value - 0.2).abs() < 1e-6), "{width}x{height}");
    }
}

#[test]
fn a_size_that_no_memory_holds_is_damage_and_does_not_wrap_round() {
    for format in PixelFormat::all().filter(|format| *format != PixelFormat::Mjpeg) {
        for (width, height, stride) in
            [(u32::MAX, 2, 64), (u32::MAX / 2 + 2, 1, 4), (8, u32::MAX, u32::MAX), (u32::MAX, u32::MAX, u32::MAX)]
        {
            let picture = frame(format, width, height, stride, vec![1; 64]);
            let fitted = Fitter::new(InputSpec::luma(4, 4), Mode::Stretch).fit(&picture, &mut [0.0; 16]);
            assert!(fitted.is_err(), "{format} {width}x{height}");
        }
    }
}

#[test]
fn a_large_picture_is_what_one_sample_after_the_other_gives_to_the_last_bit() {
    let (width, height) = (151usize, 67usize);
    let chroma = (width.div_ceil(2), height.div_ceil(2));
    let data = ramp(width * height + 2 * chroma.0 * chroma.1);
    let stride = width as u32;
    let picture = frame(PixelFormat::I420, stride, height as u32, stride, data.clone());
    // BT.601 of limited range in 16.16 fixed point.
    let level = |x: usize, y: usize| {
        let at = y / 2 * chroma.0 + x / 2;
        let [u, v] = [0, chroma.0 * chroma.1].map(|plane| i32::from(data[width * height + plane + at]) - 128);
        let luma = (i32::from(data[y * width + x]) - 16) * 76_309 + 32_768;
        [104_597 * v, -25_675 * u - 53_279 * v, 132_201 * u].map(|part| ((luma + part) >> 16).clamp(0, 255) as f32)
    };
    let spec = InputSpec { mean: [0.5, 0.4, 0.3], std: [0.5, 0.25, 2.0], ..rgb_spec(61, 37) };
    let mut fitter = Fitter::new(spec.clone(), Mode::Stretch);
    let Sampling { across, down, .. } = fitter.sampling(&picture).unwrap().unwrap().clone();
    let mut got = vec![f32::NAN; spec.values()];
    fitter.fit(&picture, &mut got).unwrap();
    for channel in 0..3 {
        for y in 0..spec.height {
            for x in 0..spec.width {
                let ((top, rows), (left, columns)) = (down.of(y), across.of(x));
                let mut sum = 0.0;
                for (i, weight) in columns.iter().enumerate() {
                    let column = rows.iter().enumerate().map(|(j, weight)| level(left + i, top + j)[channel] * weight);
                    sum += column.reduce(|sum, more| sum + more).unwrap() * weight;
                }
                let want = (sum / 255.0 - spec.mean[channel]) / spec.std[channel];
                assert_eq!(got[(channel * spec.height + y) * spec.width + x].to_bits(), want.to_bits(), "{channel}: {x}, {y}");
            }
        }
    }
}
