//! A live dashboard in the terminal: the picture with its boxes, steps, ages, engine, camera, log lines.

mod grid;
mod log_lines;
mod tty;
mod view;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grid::Depth;
pub use log_lines::take as take_log_line;
pub use tty::restore;
use view::View;

use super::audience::Audience;
use super::history::History;
use super::{Sink, SinkError};
use crate::control::ControlQueue;
use crate::telemetry::{Picture, Report, TilesInView};

/// The dashboard is drawn at most so often, whatever the frame rate.
const REDRAW: Duration = Duration::from_millis(66);
/// Results whose steps and ages are shown.
const HISTORY: usize = 120;
/// How often keys, and the camera while no frame comes, are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Draws on standard output.
pub struct Terminal {
    title: String,
    classes: Arc<[String]>,
    control_queue: ControlQueue,
    depth: Depth,
    history: History,
    last: Option<Report>,
    picture: Option<Arc<Picture>>,
    /// The newest tiles, and their audience while the key `t` shows them.
    tiles: Option<Arc<TilesInView>>,
    tiles_audience: Audience,
    shows_tiles: bool,
    came: Instant,
    drawn: Option<Instant>,
    sent: String,
}

impl Terminal {
    /// A dashboard headed by `title`; `control_queue` knows what the camera does while no frame comes.
    pub fn new(title: &str, classes: Arc<[String]>, control_queue: ControlQueue) -> Terminal {
        Terminal {
            title: title.to_owned(),
            classes,
            control_queue,
            depth: Depth::of_environment(),
            history: History::new(HISTORY),
            last: None,
            picture: None,
            tiles: None,
            tiles_audience: Audience::on_demand(),
            shows_tiles: false,
            came: Instant::now(),
            drawn: None,
            sent: String::new(),
        }
    }

    fn draw(&mut self) -> Result<(), SinkError> {
        self.drawn = Some(Instant::now());
        self.sent.clear();
        if tty::take() {
            self.sent.push_str(tty::ENTER);
        } else if !tty::is_taken() {
            return Ok(());
        }
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let (columns, rows) = size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let view = View {
            title: &self.title,
            classes: &self.classes,
            report: self.last.as_ref(),
            picture: self.picture.as_deref(),
            tiles: self.tiles.as_deref().filter(|_| self.shows_tiles),
            history: &self.history,
            camera: self.control_queue.status().camera,
            silent: self.came.elapsed(),
            log: &log_lines::newest(view::log_rows(rows)),
        };
        view.draw(columns, rows).send(self.depth, &mut self.sent);
        let mut out = std::io::stdout().lock();
        out.write_all(self.sent.as_bytes()).and_then(|()| out.flush()).map_err(|reason| SinkError::of_stdout("the terminal", reason))
    }

    fn heed_keys(&mut self) {
        for key in tty::keys() {
            match key {
                b'q' | b'Q' => tty::interrupt(),
                b't' | b'T' => self.shows_tiles = !self.shows_tiles,
                _ => {}
            }
        }
        if self.shows_tiles {
            self.tiles_audience.looked();
        } else {
            self.tiles_audience.satisfied();
            self.tiles = None;
        }
    }

    fn leave() {
        restore();
        log_lines::print();
    }
}

impl Sink for Terminal {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        let now = Instant::now();
        self.came = now;
        self.history.add(report);
        // Not every report brings a picture: the last one stays.
        if report.picture.is_some() {
            self.picture.clone_from(&report.picture);
        }
        if report.tiles.is_some() {
            self.tiles.clone_from(&report.tiles);
        }
        self.last = Some(report.clone());
        self.heed_keys();
        if self.drawn.is_some_and(|at| now - at < REDRAW) { Ok(()) } else { self.draw() }
    }

    fn pulse(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        self.heed_keys();
        if self.drawn.is_some_and(|at| at.elapsed() < LOOK) { Ok(()) } else { self.draw() }
    }

    fn audience(&self) -> Option<Audience> {
        Some(Audience::always())
    }

    fn tiles_audience(&self) -> Option<Audience> {
        Some(self.tiles_audience.clone())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Terminal::leave();
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // After a panic nobody finishes it.
        Terminal::leave();
    }
}
