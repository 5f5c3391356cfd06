//! Golden pictures of the dashboard on every panel. `UPDATE_GOLDEN=1 cargo test -p firmware-bridge` draws them anew: look at them before committing.

mod common;
#[path = "common/panel.rs"]
mod panel;

use common::working;
use embedded_graphics::mock_display::MockDisplay;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb888};
use embedded_graphics::prelude::*;
use firmware_bridge::dashboard::{Reading, Top, draw};
use firmware_bridge::*;
use panel::{pictures, reading, scenes};
use std::path::PathBuf;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn every_scene_looks_the_same_on_every_panel() {
    let mut prints = String::from("# scene, panel, CRC-32 of the picture's raw bytes. Made and checked by tests/panels.rs.\n");
    for (scene, reading) in scenes() {
        for picture in pictures(&reading) {
            prints += &format!("{}: {} {:08X}\n", scene, picture.name, crc32(&picture.raw));
            let path = golden(&format!("{}-{}.png", picture.name, scene.replace(' ', "-")));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                image::save_buffer(&path, &picture.rgb, picture.size.0, picture.size.1, image::ColorType::Rgb8).unwrap();
            }
            let kept = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_rgb8();
            assert!(kept.dimensions() == picture.size && kept.into_raw() == picture.rgb, "{} changed", path.display());
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden("panels.txt"), &prints).unwrap();
    }
    assert_eq!(prints, std::fs::read_to_string(golden("panels.txt")).unwrap());
}

#[test]
fn telegrams_change_the_picture_the_way_a_host_would_fill_it() {
    let mut heard = Reading::default();
    for telegram in [
        Telemetry::Hello(Hello { address: text("192.168.7.2:8088"), ..Hello::default() }),
        Telemetry::ClassName(ClassName { class: 4, name: text("person") }),
        Telemetry::Status(working()),
        Telemetry::Detections(Detections {
            found: 1,
            items: [Detection { class: 4, score: 934, ..Detection::default() }].into_iter().collect(),
            ..Detections::default()
        }),
    ] {
        heard.absorb(&telegram);
    }
    let filled = reading(Some(working()), Some(("person", 934)));
    for (heard, filled) in pictures(&heard).iter().zip(&pictures(&filled)) {
        assert_eq!(heard.raw, filled.raw, "{}", heard.name);
    }
    assert!(!heard.absorb(&Telemetry::Status(working())), "the same status again is no reason to draw");
    heard.silent = true;
    assert!(heard.absorb(&Telemetry::Status(working())), "but the end of a silence is");
}

#[test]
fn a_track_is_shown_by_its_number_where_there_is_room() {
    let plain = reading(Some(working()), Some(("person", 934)));
    let mut tracked = plain.clone();
    if let Some(top) = &mut tracked.top {
        top.track = 7;
    }
    let differ = pictures(&plain).iter().zip(&pictures(&tracked)).filter(|(plain, tracked)| plain.raw != tracked.raw).count();
    assert!(differ > 0, "no panel shows the track");
    if let Some(top) = &mut tracked.top {
        top.track = u32::MAX;
    }
    // A number without room leaves the name and the figure as they are; drawing it does not fail.
    assert!(pictures(&tracked).iter().zip(&pictures(&plain)).any(|(tracked, plain)| tracked.raw == plain.raw));
}

#[test]
fn a_class_without_a_name_is_shown_by_number_and_gone_with_the_camera() {
    let mut reading = Reading::default();
    let items = [Detection { class: 65_535, score: 500, ..Detection::default() }].into_iter().collect();
    reading.absorb(&Telemetry::Detections(Detections { found: 1, items, ..Detections::default() }));
    assert_eq!(reading.top, Some(Top { name: text("class 65535"), score: 500, track: 0 }));
    reading.absorb(&Telemetry::Status(Status { camera: CameraState::Lost, ..working() }));
    assert_eq!(reading.top, None);
}

/// A target of any size that only counts, and says where drawing left it.
struct Extent(Rectangle, bool);
use embedded_graphics::primitives::Rectangle;

impl Dimensions for Extent {
    fn bounding_box(&self) -> Rectangle {
        self.0
    }
}

impl DrawTarget for Extent {
    type Color = Rgb888;
    type Error = core::convert::Infallible;
    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        for Pixel(at, _) in pixels {
            self.1 &= self.0.contains(at);
        }
        Ok(())
    }
}

#[test]
fn any_record_on_any_size_of_panel_stays_on_it_and_never_panics() {
    let extreme = Status {
        steps: 255,
        limit: 0,
        age_us: u32::MAX,
        deadline_us: 1,
        power_mw: Some(u32::MAX),
        power_budget_mw: Some(0),
        temperature_cc: Some(i16::MIN),
        capture_cfps: u16::MAX,
        inference_cfps: u16::MAX,
        dropped: u32::MAX,
        recent: [255; MAX_RECENT].into_iter().collect(),
        ..working()
    };
    let mut odd = reading(Some(extreme), Some(("\u{1F4F7}\u{1F4F7}\u{1F4F7}\u{1F4F7}\u{1F4F7}\u{1F4F7}", u16::MAX)));
    odd.address = text(&"\u{1F4F7}".repeat(12));
    for (width, height) in [(0, 0), (1, 1), (64, 16), (84, 48), (128, 32), (160, 80), (200, 200), (480, 320), (1920, 1080)] {
        for origin in [Point::zero(), Point::new(-7, 13)] {
            let mut target = Extent(Rectangle::new(origin, Size::new(width, height)), true);
            for reading in scenes().iter().map(|(_, reading)| reading).chain([&odd]) {
                draw(reading, &mut target).unwrap();
            }
            assert!(target.1, "{width}x{height} at {origin}: drawn outside");
        }
    }
}

#[test]
fn a_target_that_fails_is_heard() {
    struct Broken;
    impl Dimensions for Broken {
        fn bounding_box(&self) -> Rectangle {
            Rectangle::new(Point::zero(), Size::new(128, 64))
        }
    }
    impl DrawTarget for Broken {
        type Color = BinaryColor;
        type Error = &'static str;
        fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, _: I) -> Result<(), Self::Error> {
            Err("the panel is gone")
        }
    }
    assert_eq!(draw(&Reading::default(), &mut Broken), Err("the panel is gone"));
    let mut display = MockDisplay::<BinaryColor>::new();
    display.set_allow_overdraw(true);
    draw(&Reading::default(), &mut display).unwrap();
}
