//! The panels the dashboard is made for, and the scenes every one of them must show legibly.

#![allow(dead_code, reason = "each test file uses its own part")]

use super::working;
use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::image::GetPixel;
use embedded_graphics::pixelcolor::raw::BigEndian;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, raw::RawU1, raw::RawU16};
use embedded_graphics::prelude::*;
use firmware_bridge::dashboard::{Reading, Top, draw};
use firmware_bridge::*;

/// One drawn panel.
pub struct Picture {
    pub name: &'static str,
    pub size: (u32, u32),
    /// Row by row; two colours packed eight to a byte, the first in the highest bit; many colours as big-endian RGB565.
    pub raw: Vec<u8>,
    /// Row by row, red green blue.
    pub rgb: Vec<u8>,
}

fn mono<const W: usize, const H: usize, const N: usize>(name: &'static str, reading: &Reading) -> Picture {
    let mut panel = Framebuffer::<BinaryColor, RawU1, BigEndian, W, H, N>::new();
    draw(reading, &mut panel).unwrap();
    let rgb = panel.bounding_box().points().flat_map(|at| [if panel.pixel(at) == Some(BinaryColor::On) { 255 } else { 0 }; 3]).collect();
    Picture { name, size: (W as u32, H as u32), raw: panel.data().to_vec(), rgb }
}

fn colour<const W: usize, const H: usize, const N: usize>(name: &'static str, reading: &Reading) -> Picture {
    let mut panel = Box::new(Framebuffer::<Rgb565, RawU16, BigEndian, W, H, N>::new());
    draw(reading, panel.as_mut()).unwrap();
    let rgb = panel
        .bounding_box()
        .points()
        .flat_map(|at| {
            let pixel = panel.pixel(at).unwrap();
            [pixel.r() << 3 | pixel.r() >> 2, pixel.g() << 2 | pixel.g() >> 4, pixel.b() << 3 | pixel.b() >> 2]
        })
        .collect();
    Picture { name, size: (W as u32, H as u32), raw: panel.data().to_vec(), rgb }
}

/// The reading on every panel.
pub fn pictures(reading: &Reading) -> Vec<Picture> {
    vec![
        mono::<128, 32, { buffer_size::<BinaryColor>(128, 32) }>("128x32", reading),
        mono::<128, 64, { buffer_size::<BinaryColor>(128, 64) }>("128x64", reading),
        colour::<240, 135, { buffer_size::<Rgb565>(240, 135) }>("240x135", reading),
        colour::<240, 240, { buffer_size::<Rgb565>(240, 240) }>("240x240", reading),
        colour::<320, 240, { buffer_size::<Rgb565>(320, 240) }>("320x240", reading),
    ]
}

pub fn reading(status: Option<Status>, top: Option<(&str, u16)>) -> Reading {
    let mut reading = Reading::default();
    reading.status = status;
    reading.top = top.map(|(name, score)| Top { name: text(name), score, track: 0 });
    reading.address = text("192.168.7.2:8088");
    reading
}

/// What a board may be going through.
pub fn scenes() -> Vec<(&'static str, Reading)> {
    let silent = {
        let mut reading = reading(Some(working()), None);
        reading.silent = true;
        reading
    };
    vec![
        ("working", reading(Some(working()), Some(("person", 934)))),
        (
            "strained",
            reading(
                Some(Status {
                    age_us: 141_500,
                    steps: 12,
                    limit: 6,
                    limited_by: LimitReason::Heat,
                    stopped: StopReason::Deadline,
                    power_mw: Some(24_870),
                    power_budget_mw: Some(15_000),
                    temperature_cc: Some(9_725),
                    recent: (0..32).map(|n| if n % 7 == 0 { 12 } else { 6 }).collect(),
                    ..working()
                }),
                Some(("a very long class name!!", 1000)),
            ),
        ),
        (
            "no sensor",
            reading(Some(Status { power_mw: None, power_budget_mw: None, temperature_cc: None, engine: Engine::Cpu, ..working() }), None),
        ),
        ("lost", reading(Some(Status { camera: CameraState::Lost, ..working() }), None)),
        ("starting", reading(Some(Status::default()), None)),
        ("waiting", Reading::default()),
        ("silent", silent),
    ]
}
