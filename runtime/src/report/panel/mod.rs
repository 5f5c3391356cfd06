//! Small displays: the dashboard of `firmware-bridge` on a PNG file, a framebuffer, an OLED or a TFT, five times a second at most.
//!
//! A panel draws into memory, compares with what it sent before, and sends only the pages that changed (a page is eight rows). It runs on its sink's own
//! thread; one that is lost is opened again, ever more slowly, and nobody else notices.

mod canvas;
mod fb;
mod oled;
mod png;
mod spec;
mod tft;

use std::time::{Duration, Instant};

use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565};
use firmware_bridge::Telemetry;
use firmware_bridge::dashboard::{Ink, Reading, draw};

use super::telegrams::{self, About, Follower};
use super::{Sink, SinkError};
use crate::backoff::Backoff;
use crate::control::ControlQueue;
use crate::telemetry::Report;
use canvas::{Canvas, Page};
pub use spec::PanelSpec;

/// Time between two pictures.
const REDRAW: Duration = Duration::from_millis(200);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(8);

/// Something that shows a picture.
trait Screen: Send {
    /// What its pixels can be.
    type Colour: Ink + Send;

    /// Its size in pixels.
    fn size(&self) -> Size;

    /// Shows `pages` of `canvas`; the rest has not changed.
    fn show(&mut self, canvas: &Canvas<Self::Colour>, pages: &[Page]) -> Result<(), String>;
}

/// How a screen is opened, again and again.
type Opener<S> = Box<dyn FnMut() -> Result<S, String> + Send>;

struct Panel<S: Screen> {
    name: String,
    opener: Opener<S>,
    open: Option<(S, Canvas<S::Colour>)>,
    retry_at: Option<Instant>,
    backoff: Backoff,
    drawn: Option<Instant>,
    control_queue: ControlQueue,
    follower: Follower,
    reading: Reading,
}

/// A sink for the panel of `spec`; a panel that is not there yet is looked for.
pub fn start(spec: &PanelSpec, about: &About, control_queue: ControlQueue) -> Box<dyn Sink> {
    let name = format!("panel {spec}");
    match spec.clone() {
        PanelSpec::Png { file, size } if spec::two_colours(size) => Box::new(Panel::<png::PngFile<BinaryColor>>::new(
            name,
            about,
            control_queue,
            Box::new(move || Ok(png::PngFile::new(&file, size))),
        )),
        PanelSpec::Png { file, size } => {
            Box::new(Panel::<png::PngFile<Rgb565>>::new(name, about, control_queue, Box::new(move || Ok(png::PngFile::new(&file, size)))))
        }
        PanelSpec::Framebuffer { device } => {
            Box::new(Panel::new(name, about, control_queue, Box::new(move || fb::Framebuffer::open(&device))))
        }
        PanelSpec::Oled { bus, address, size } => {
            Box::new(Panel::new(name, about, control_queue, Box::new(move || oled::Oled::open(&bus, address, size))))
        }
        PanelSpec::Tft(tft) => Box::new(Panel::new(name, about, control_queue, Box::new(move || tft::Tft::open(&tft)))),
    }
}

impl<S: Screen> Panel<S> {
    fn new(name: String, about: &About, control_queue: ControlQueue, opener: Opener<S>) -> Panel<S> {
        let mut reading = Reading::default();
        reading.absorb(&Telemetry::Hello(about.hello()));
        for class in about.class_names() {
            reading.absorb(&Telemetry::ClassName(class));
        }
        Panel {
            name,
            opener,
            open: None,
            retry_at: None,
            backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
            drawn: None,
            control_queue,
            follower: Follower::new(),
            reading,
        }
    }

    /// Draws, if it is time to.
    fn refresh(&mut self) {
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) || self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.drawn = Some(Instant::now());
        self.reading.absorb(&Telemetry::Status(self.follower.status(&self.control_queue.status())));
        match self.picture() {
            Ok(()) => {
                self.retry_at = None;
                self.backoff.succeeded();
            }
            Err(reason) => {
                if self.open.take().is_some() || self.retry_at.is_none() {
                    log::warn!("{}: {reason}; trying again until it is back", self.name);
                }
                self.retry_at = Some(Instant::now() + self.backoff.failed());
            }
        }
    }

    fn picture(&mut self) -> Result<(), String> {
        if self.open.is_none() {
            let screen = (self.opener)()?;
            log::info!("{}: open", self.name);
            let canvas = Canvas::new(screen.size());
            self.open = Some((screen, canvas));
        }
        let Some((screen, canvas)) = &mut self.open else { return Ok(()) };
        let Ok(()) = draw(&self.reading, canvas);
        let pages = canvas.changed();
        if !pages.is_empty() {
            screen.show(canvas, &pages)?;
            canvas.shown();
        }
        Ok(())
    }
}

impl<S: Screen> Sink for Panel<S> {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        self.follower.see(report);
        self.reading.absorb(&Telemetry::Detections(telegrams::detections(report)));
        self.refresh();
        Ok(())
    }

    fn pulse(&self) -> Option<Duration> {
        Some(REDRAW)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        self.refresh();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.drawn = None;
        self.refresh();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
