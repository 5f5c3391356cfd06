//! Panels that are there, that go away, and that count what they are sent.

use std::sync::{Arc, Mutex};

use embedded_graphics::pixelcolor::raw::ToBytes;
use mipidsi::interface::Interface;

use super::spec::{Controller, Pin, TftSpec};
use super::*;
use crate::report::telegrams::tests::report;

/// A screen that can be unplugged, and remembers which pages it was sent.
struct Fake {
    there: Arc<Mutex<bool>>,
    sent: Arc<Mutex<Vec<usize>>>,
}

impl Screen for Fake {
    type Colour = Rgb565;

    fn size(&self) -> Size {
        Size::new(240, 135)
    }

    fn show(&mut self, _: &Canvas<Rgb565>, pages: &[Page]) -> Result<(), String> {
        if !*self.there.lock().unwrap() {
            return Err("unplugged".into());
        }
        self.sent.lock().unwrap().push(pages.len());
        Ok(())
    }
}

/// A panel on a [`Fake`], whether that is there, and what it was sent.
type Watched = (Panel<Fake>, Arc<Mutex<bool>>, Arc<Mutex<Vec<usize>>>);

fn panel() -> Watched {
    let (there, sent) = (Arc::new(Mutex::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (theirs, told) = (Arc::clone(&there), Arc::clone(&sent));
    let opener = move || {
        if *theirs.lock().unwrap() { Ok(Fake { there: Arc::clone(&theirs), sent: Arc::clone(&told) }) } else { Err("not there".into()) }
    };
    (Panel::new("panel fake".into(), &About::default(), ControlQueue::new(), Box::new(opener)), there, sent)
}

/// As if the time for the next picture and the next try had come.
fn later(panel: &mut Panel<Fake>) {
    (panel.drawn, panel.retry_at) = (None, panel.retry_at.map(|_| Instant::now()));
}

#[test]
fn only_pages_that_changed_are_sent() {
    let (mut panel, _, sent) = panel();
    panel.show(&report(1)).unwrap();
    later(&mut panel);
    // The rates are of the whole window: give the picture two frames to settle.
    (2..40).for_each(|at| panel.show(&report(at)).unwrap());
    later(&mut panel);
    panel.idle().unwrap();
    later(&mut panel);
    panel.idle().unwrap();
    let mut warm = report(40);
    warm.temp_c = Some(61.0);
    later(&mut panel);
    panel.show(&warm).unwrap();
    let sent = sent.lock().unwrap();
    assert_eq!(sent[0], 17, "all of it at first");
    assert!(sent[1..].iter().all(|pages| *pages < 17), "{sent:?}");
    assert!((1..=3).contains(sent.last().unwrap()), "one line of figures lies on few pages: {sent:?}");
}

#[test]
fn a_lost_panel_comes_back_whole() {
    let (mut panel, there, sent) = panel();
    panel.show(&report(1)).unwrap();
    *there.lock().unwrap() = false;
    for at in 2..6 {
        later(&mut panel);
        panel.show(&report(2 * at)).unwrap();
    }
    assert_eq!(sent.lock().unwrap().as_slice(), [17]);
    assert_eq!(panel.backoff.pause(), LAST_RETRY, "it is looked for ever more slowly");
    *there.lock().unwrap() = true;
    later(&mut panel);
    panel.idle().unwrap();
    assert_eq!(sent.lock().unwrap().as_slice(), [17, 17]);
}

#[test]
fn reports_that_come_fast_are_drawn_five_times_a_second() {
    let (mut panel, _, sent) = panel();
    (0..1000).for_each(|at| panel.show(&report(at)).unwrap());
    assert!(sent.lock().unwrap().len() <= 2 + (panel.drawn.unwrap().elapsed().as_millis() / 200) as usize);
}

#[test]
fn files_are_the_golden_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-bridge/tests/golden");
    let reading = Reading::default();
    for (name, size) in [("128x64", Size::new(128, 64)), ("240x135", Size::new(240, 135)), ("320x240", Size::new(320, 240))] {
        let file = folder.path().join(name).with_extension("png");
        if spec::two_colours(size) {
            written(png::PngFile::<BinaryColor>::new(&file, size), &reading);
        } else {
            written(png::PngFile::<Rgb565>::new(&file, size), &reading);
        }
        let golden = image::open(golden.join(format!("{name}-waiting.png"))).unwrap().into_rgb8();
        assert!(image::open(file).unwrap().into_rgb8() == golden, "{name}");
    }
}

fn written<C: Ink + png::Eight + Send>(mut file: png::PngFile<C>, reading: &Reading) {
    let mut canvas = Canvas::new(file.size());
    let Ok(()) = draw(reading, &mut canvas);
    file.show(&canvas, &canvas.changed()).unwrap();
}

/// The memory behind a TFT controller's bus: windows, pixels, and nothing else.
#[derive(Clone)]
struct Glass(Arc<Mutex<Memory>>);

struct Memory {
    pixels: Vec<u16>,
    columns: (u16, u16),
    rows: (u16, u16),
    at: usize,
    written: usize,
    inverted: bool,
}

impl Memory {
    fn put(&mut self, pixel: u16) {
        let (width, left) = (usize::from(self.columns.1 - self.columns.0) + 1, usize::from(self.columns.0));
        let (x, y) = (left + self.at % width, usize::from(self.rows.0) + self.at / width);
        self.pixels[y * 320 + x] = pixel;
        self.at += 1;
        self.written += 1;
    }
}

impl Interface for Glass {
    type Word = u8;
    type Error = std::convert::Infallible;

    fn send_command(&mut self, command: u8, args: &[u8]) -> Result<(), Self::Error> {
        let mut memory = self.0.lock().unwrap();
        let pair = || (u16::from_be_bytes([args[0], args[1]]), u16::from_be_bytes([args[2], args[3]]));
        match command {
            0x2A => memory.columns = pair(),
            0x2B => memory.rows = pair(),
            0x2C => memory.at = 0,
            0x21 => memory.inverted = true,
            _ => {}
        }
        Ok(())
    }

    fn send_pixels<const N: usize>(&mut self, pixels: impl IntoIterator<Item = [u8; N]>) -> Result<(), Self::Error> {
        let mut memory = self.0.lock().unwrap();
        pixels.into_iter().for_each(|pixel| memory.put(u16::from_be_bytes([pixel[0], pixel[1]])));
        Ok(())
    }

    fn send_repeated_pixel<const N: usize>(&mut self, pixel: [u8; N], count: u32) -> Result<(), Self::Error> {
        self.send_pixels((0..count).map(|_| pixel))
    }
}

#[test]
fn the_memory_of_a_tft_is_the_picture() {
    for (controller, size, rotate) in [(Controller::St7789, Size::new(240, 240), 0), (Controller::Ili9341, Size::new(320, 240), 90)] {
        let memory = Memory { pixels: vec![0x1234; 320 * 320], columns: (0, 0), rows: (0, 0), at: 0, written: 0, inverted: false };
        let glass = Glass(Arc::new(Mutex::new(memory)));
        let pin = Pin { chip: "/dev/gpiochip0".into(), line: 25 };
        let spec = TftSpec { controller, bus: "/dev/spidev0.0".into(), dc: pin, reset: None, size, rotate, offset: Size::zero() };
        let mut driver = tft::begin(glass.clone(), &spec).unwrap();
        let mut canvas = Canvas::<Rgb565>::new(size);
        let mut reading = Reading::default();
        let mut follower = Follower::new();
        let mut send = |reading: &Reading, canvas: &mut Canvas<Rgb565>| {
            let Ok(()) = draw(reading, canvas);
            let pages = canvas.changed();
            pages.iter().for_each(|page| driver.send(canvas, page, size.width).unwrap());
            canvas.shown();
            pages.len()
        };
        follower.see(&report(1));
        reading.absorb(&Telemetry::Status(follower.status(&Default::default())));
        assert_eq!(send(&reading, &mut canvas), size.height as usize / 8);
        let whole = glass.0.lock().unwrap().written;
        let mut warm = report(2);
        warm.temp_c = Some(61.0);
        follower.see(&warm);
        reading.absorb(&Telemetry::Status(follower.status(&Default::default())));
        send(&reading, &mut canvas);
        let memory = glass.0.lock().unwrap();
        assert!(memory.written < 2 * whole, "only what changed is sent again");
        assert_eq!(memory.inverted, controller == Controller::St7789);
        for (at, pixel) in canvas.pixels().iter().enumerate() {
            let (x, y) = (at % size.width as usize, at / size.width as usize);
            assert_eq!(memory.pixels[y * 320 + x].to_be_bytes(), pixel.to_be_bytes(), "{controller:?} at {x},{y}");
        }
    }
}
