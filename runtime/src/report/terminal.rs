//! A live dashboard in the terminal: input, mask, steps, age, engine.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::{cursor, execute, terminal};

use super::colour::overlay;
use super::{Sink, SinkError};
use crate::telemetry::{Detection, Picture, Region, Report};

const HISTORY: usize = 60;
const REDRAW: Duration = Duration::from_millis(66);
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Whether the terminal is as the dashboard wants it.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Leaves the terminal as it was found, if a dashboard holds it. May be called from anywhere, signal handlers among them.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        const BACK: &[u8] = b"\x1b[0m\x1b[?1049l\x1b[?25h";
        // SAFETY: `write` may be called from signal handlers, and reads nothing but the bytes. A terminal that is gone needs nothing.
        let _ = unsafe { libc::write(libc::STDOUT_FILENO, BACK.as_ptr().cast(), BACK.len()) };
    }
}

/// Draws on standard output, at most 15 times a second, whatever the frame rate.
pub struct Terminal {
    title: String,
    classes: Arc<[String]>,
    steps: VecDeque<u32>,
    ages: VecDeque<Duration>,
    drawn: Option<Instant>,
    frames: u64,
    began: Instant,
    screen: String,
}

impl Terminal {
    /// A dashboard headed by `title`.
    pub fn new(title: &str, classes: Arc<[String]>) -> Terminal {
        Terminal {
            title: title.to_owned(),
            classes,
            steps: VecDeque::with_capacity(HISTORY),
            ages: VecDeque::with_capacity(HISTORY),
            drawn: None,
            frames: 0,
            began: Instant::now(),
            screen: String::new(),
        }
    }

    fn compose(&mut self, report: &Report) {
        let (columns, rows) = terminal::size().map_or((80, 24), |(w, h)| (usize::from(w), usize::from(h)));
        self.screen.clear();
        line(&mut self.screen, &self.title, columns);
        if let Some(picture) = &report.picture {
            draw(&mut self.screen, picture, columns, rows.saturating_sub(8));
        }
        let top = self.steps.iter().copied().max().unwrap_or(1).max(1);
        let bars: String = self.steps.iter().map(|&n| BARS[(n * 8).div_ceil(top).min(8) as usize]).collect();
        let mean = self.steps.iter().sum::<u32>() as f64 / self.steps.len().max(1) as f64;
        let trace = &report.trace;
        line(&mut self.screen, &format!("steps  {bars:<HISTORY$} now {} of {}, mean {mean:.2}", trace.steps, trace.limit), columns);
        let moved = trace.distances.last().map_or("-".into(), |distance| format!("{distance:.4}"));
        line(&mut self.screen, &format!("stop   {:?}, state moved {moved}, drive moved {:.4}", trace.stop, trace.drive_distance), columns);
        let mut ages: Vec<Duration> = self.ages.iter().copied().collect();
        ages.sort_unstable();
        let ms = |share: f64| ages[((ages.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let rate = self.frames as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let age = format!(
            "age    {:.1} ms now, {:.1} median, {:.1} p95; {rate:.1} frames/s; engine {}",
            report.age.as_secs_f64() * 1e3,
            ms(0.5),
            ms(0.95),
            report.engine
        );
        line(&mut self.screen, &age, columns);
        let camera =
            format!("camera {:?}, dropped {}, skipped {}, corrupt {}", report.camera, report.dropped, report.skipped, report.corrupt);
        line(&mut self.screen, &camera, columns);
        let seen = self.seen(report);
        line(&mut self.screen, &format!("sees   {seen}"), columns);
        line(&mut self.screen, "Ctrl-C ends", columns);
    }
}

impl Terminal {
    /// What was seen: one thing with its place, of several each one's name, track and score.
    fn seen(&self, report: &Report) -> String {
        let name = |detection: &Detection| {
            let class = self.classes.get(usize::from(detection.class)).map_or("?", String::as_str);
            let track = if detection.track > 0 { format!(" #{}", detection.track) } else { String::new() };
            format!("{class}{track} {:.0} %", detection.score * 100.0)
        };
        match &report.detections[..] {
            [] => "nothing seen".to_owned(),
            [one] => {
                let Region { x, y, width, height } = one.region;
                format!("{} at {x:.0},{y:.0} size {width:.0}x{height:.0}", name(one))
            }
            several => format!("{}: {}", several.len(), several.iter().map(name).collect::<Vec<_>>().join(", ")),
        }
    }
}

fn line(screen: &mut String, text: &str, columns: usize) {
    screen.extend(text.chars().take(columns));
    screen.push_str("\x1b[K\r\n");
}

/// Input at the left, input with the mask in colour at the right, two pixels a character cell.
fn draw(screen: &mut String, picture: &Picture, columns: usize, rows: usize) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let cells = (columns.saturating_sub(2) / 2).min(rows * 2 * width / height.max(1)).min(2 * width).max(1);
    let lines = (cells * height / width.max(1)).div_ceil(2).max(1);
    for row in 0..lines {
        for masked in [false, true] {
            for column in 0..cells {
                let [upper, lower] = [2 * row, 2 * row + 1].map(|y| {
                    let at = (y * height / (2 * lines)).min(height - 1) * width + column * width / cells;
                    let grey = picture.luma[at];
                    match (masked, picture.mask[at]) {
                        (true, class) if class > 0 => overlay(class, grey),
                        _ => [grey; 3],
                    }
                });
                let [r, g, b] = upper;
                let [x, y, z] = lower;
                write!(screen, "\x1b[38;2;{r};{g};{b}m\x1b[48;2;{x};{y};{z}m▀").expect("writing to a string cannot fail");
            }
            screen.push_str("\x1b[0m  ");
        }
        screen.push_str("\x1b[K\r\n");
    }
}

impl Sink for Terminal {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        self.frames += 1;
        if self.steps.len() == HISTORY {
            self.steps.pop_front();
            self.ages.pop_front();
        }
        self.steps.push_back(report.trace.steps);
        self.ages.push_back(report.age);
        if self.drawn.is_some_and(|at| at.elapsed() < REDRAW) {
            return Ok(());
        }
        self.drawn = Some(Instant::now());
        let mut out = std::io::stdout().lock();
        let write = |reason| SinkError::of_stdout("the terminal", reason);
        if !TAKEN.swap(true, Ordering::SeqCst) {
            execute!(out, terminal::EnterAlternateScreen, cursor::Hide).map_err(write)?;
        }
        self.compose(report);
        out.write_all(b"\x1b[H")
            .and_then(|()| out.write_all(self.screen.as_bytes()))
            .and_then(|()| out.write_all(b"\x1b[J"))
            .and_then(|()| out.flush())
            .map_err(write)
    }

    fn draws(&self) -> bool {
        true
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        restore();
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // After a panic nobody finishes it.
        restore();
    }
}
