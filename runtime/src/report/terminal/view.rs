//! What stands where on the dashboard.
//!
//! The first row is the title, the last ones are log lines where there is room. Between them the picture stands at the left and the figures at its
//! right, or below it on a narrow screen.

use std::time::Duration;

use super::grid::{Colour, Grid, Style};
use crate::outcome::TileMap;
use crate::report::colour::{letters_on, overlay};
use crate::report::history::History;
use crate::telemetry::{CameraState, Detection, LimitReason, Picture, RecordingState, Region, Report, TilesInView};

const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of the figures beside a picture: two fifths of the screen, within these.
const FIGURES: [usize; 2] = [34, 46];
/// Rows of the figures below a picture.
const FIGURE_ROWS: usize = 9;
/// From so many columns on the figures stand beside the picture.
const BESIDE: usize = FIGURES[0] + 40;
/// Log lines that are shown at most.
const LOG_ROWS: usize = 5;
/// A screen of fewer rows shows no log.
const LOG_FROM: usize = 20;
/// Columns of a figure's name.
const NAMES: usize = 8;
/// Without a frame for so long the camera's state stands across the picture.
const SILENT: Duration = Duration::from_millis(700);

/// Over tiles that moved, and over those that were stepped alone.
const MOVED: Colour = [255, 150, 40];
const STEPPED: Colour = [60, 120, 255];

const NAME: Style = Style { ink: None, paper: None, bold: false, dim: true };
const PLAIN: Style = Style { ink: None, paper: None, bold: false, dim: false };
const STRONG: Style = Style { ink: None, paper: None, bold: true, dim: false };
const ALARM: Style = Style { ink: Some([255, 255, 255]), paper: Some([170, 40, 30]), bold: true, dim: false };

/// Everything that is shown.
pub struct View<'a> {
    pub title: &'a str,
    pub classes: &'a [String],
    pub report: Option<&'a Report>,
    pub picture: Option<&'a Picture>,
    /// The tiles to be drawn over it, if that is asked for.
    pub tiles: Option<&'a TilesInView>,
    pub history: &'a History,
    /// What the camera does now, and how long no result has come.
    pub camera: CameraState,
    pub silent: Duration,
    pub log: &'a [String],
}

/// Log lines that a screen of `rows` rows has room for.
pub fn log_rows(rows: usize) -> usize {
    if rows < LOG_FROM { 0 } else { LOG_ROWS.min(rows / 5) }
}

/// A rectangle of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    x: usize,
    y: usize,
    columns: usize,
    rows: usize,
}

/// Where picture and figures go on a screen; `aspect` is the picture's width over its height.
fn places(columns: usize, rows: usize, aspect: f64) -> (Place, Place) {
    let body = rows.saturating_sub(1 + log_rows(rows));
    let beside = columns >= BESIDE;
    let figures = (2 * columns / 5).clamp(FIGURES[0], FIGURES[1]);
    let (most_columns, most_rows) = if beside { (columns - figures - 2, body) } else { (columns, body.saturating_sub(FIGURE_ROWS)) };
    // A cell is two pixels high and one wide.
    let picture_rows = most_rows.min((most_columns as f64 / aspect / 2.0).round() as usize);
    let picture_columns = most_columns.min((picture_rows as f64 * 2.0 * aspect).round() as usize);
    let picture = Place { x: 0, y: 1, columns: picture_columns, rows: picture_rows };
    let figures = if beside {
        let x = picture_columns + 2;
        Place { x, y: 1, columns: columns - x, rows: body }
    } else {
        Place { x: 0, y: 1 + picture_rows, columns, rows: body - picture_rows }
    };
    (picture, figures)
}

impl View<'_> {
    /// Draws everything on a screen of this size.
    pub fn draw(&self, columns: usize, rows: usize) -> Grid {
        let mut grid = Grid::new(columns, rows);
        let ends = if self.report.is_some_and(|report| report.trace.moved < 1.0) || self.tiles.is_some() {
            "  t tiles, q ends"
        } else {
            "  q ends"
        };
        grid.text(0, 0, columns.saturating_sub(ends.len()), self.title, STRONG);
        grid.text(columns.saturating_sub(ends.len()), 0, ends.len(), ends, NAME);
        let (width, height) = self.size();
        let (picture, figures) = places(columns, rows, f64::from(width) / f64::from(height));
        self.draw_picture(&mut grid, picture);
        self.draw_figures(&mut grid, figures);
        let log = rows.saturating_sub(log_rows(rows));
        for (row, line) in self.log.iter().take(log_rows(rows)).enumerate() {
            grid.text(0, log + row, columns, line, NAME);
        }
        grid
    }

    /// Width and height of what the picture shows, in pixels of the source's picture.
    fn size(&self) -> (f32, f32) {
        let shown = match self.picture {
            Some(Picture { source: Some(source), .. }) => (source.size().0 as f32, source.size().1 as f32),
            Some(picture) => (picture.view.width, picture.view.height),
            None => (4.0, 3.0),
        };
        if shown.0 >= 1.0 && shown.1 >= 1.0 { shown } else { (4.0, 3.0) }
    }

    fn draw_picture(&self, grid: &mut Grid, place: Place) {
        if place.columns == 0 || place.rows == 0 {
            return;
        }
        let Some(picture) = self.picture else {
            return self.across(grid, place, "no picture yet");
        };
        let view = picture.view;
        let (width, height) = self.size();
        let rgb = picture.source.as_deref().and_then(|source| source.rgb());
        let left_top = if picture.source.is_some() { (0.0, 0.0) } else { (view.x, view.y) };
        let pixel = |column: usize, row: usize| -> Colour {
            let (x, y) = ((column as f32 + 0.5) / place.columns as f32, (row as f32 + 0.5) / (2 * place.rows) as f32);
            // In pixels of the source's picture, and of what the network saw of it.
            let (sx, sy) = (left_top.0 + x * width, left_top.1 + y * height);
            let (nx, ny) = ((sx - view.x) / view.width, (sy - view.y) / view.height);
            let seen = (0.0..1.0).contains(&nx) && (0.0..1.0).contains(&ny);
            let at = ((ny * picture.height as f32) as usize) * picture.width as usize + (nx * picture.width as f32) as usize;
            let grey = if seen { picture.luma[at.min(picture.luma.len() - 1)] } else { 0 };
            let class = if seen && !picture.outlined { picture.mask[at.min(picture.mask.len() - 1)] } else { 0 };
            let plain = if class > 0 {
                overlay(class, grey)
            } else {
                match rgb {
                    Some(rgb) => {
                        let (cx, cy) = ((x * rgb.width as f32) as usize, (y * rgb.height as f32) as usize);
                        let at = 3 * (cy.min(rgb.height as usize - 1) * rgb.width as usize + cx.min(rgb.width as usize - 1));
                        [rgb.pixels[at], rgb.pixels[at + 1], rgb.pixels[at + 2]]
                    }
                    None => [grey; 3],
                }
            };
            self.tiles.map_or(plain, |tiles| tinted(plain, tiles, sx, sy))
        };
        for y in 0..place.rows {
            for x in 0..place.columns {
                grid.pixels(place.x + x, place.y + y, pixel(x, 2 * y), pixel(x, 2 * y + 1));
            }
        }
        if picture.outlined {
            for detection in self.report.iter().flat_map(|report| report.detections.iter().rev()) {
                self.draw_box(grid, place, detection, left_top, (width, height), &pixel);
            }
        }
        let lost = self.camera != CameraState::Streaming || self.silent > SILENT;
        if lost && self.report.is_some() {
            self.across(grid, place, &format!(" {} for {:.0} s ", camera_words(self.camera, self.silent), self.silent.as_secs_f64()));
        }
    }

    fn draw_box(
        &self,
        grid: &mut Grid,
        place: Place,
        seen: &Detection,
        (left, top): (f32, f32),
        (width, height): (f32, f32),
        pixel: &dyn Fn(usize, usize) -> Colour,
    ) {
        let Region { x, y, width: w, height: h } = seen.region;
        let column = |x: f32| (((x - left) / width * place.columns as f32).max(0.0) as usize).min(place.columns.saturating_sub(1));
        let row = |y: f32| (((y - top) / height * (2 * place.rows) as f32).max(0.0) as usize).min((2 * place.rows).saturating_sub(1));
        let (x0, x1, y0, y1) = (column(x), column(x + w), row(y), row(y + h));
        let ink = overlay(seen.class.saturating_add(1), 255);
        let on = |x: usize, y: usize| (x == x0 || x == x1) && (y0..=y1).contains(&y) || (y == y0 || y == y1) && (x0..=x1).contains(&x);
        for cell_y in y0 / 2..=y1 / 2 {
            for cell_x in x0..=x1 {
                let (upper, lower) = (on(cell_x, 2 * cell_y), on(cell_x, 2 * cell_y + 1));
                if upper || lower {
                    let shade = |on: bool, y: usize| if on { ink } else { pixel(cell_x, y) };
                    grid.pixels(place.x + cell_x, place.y + cell_y, shade(upper, 2 * cell_y), shade(lower, 2 * cell_y + 1));
                }
            }
        }
        let label = format!("{} {:.0}", self.name(seen), seen.score * 100.0);
        let style = Style { ink: Some(letters_on(ink)), paper: Some(ink), bold: false, dim: false };
        let room = (place.columns - x0).min(label.chars().count());
        grid.text(place.x + x0, place.y + (y0 / 2).saturating_sub(1), room, &label, style);
    }

    /// Words in the middle of the picture.
    fn across(&self, grid: &mut Grid, place: Place, words: &str) {
        let width = words.chars().count().min(place.columns);
        let style = if self.picture.is_some() { ALARM } else { NAME };
        grid.text(place.x + (place.columns - width) / 2, place.y + place.rows / 2, width, words, style);
    }

    fn draw_figures(&self, grid: &mut Grid, place: Place) {
        let mut row = 0;
        let mut figure = |name: &str, text: &str, style: Style| {
            if row < place.rows {
                grid.text(place.x, place.y + row, place.columns.min(NAMES), name, NAME);
                grid.text(place.x + NAMES, place.y + row, place.columns.saturating_sub(NAMES), text, style);
            }
            row += 1;
        };
        let room = place.columns.saturating_sub(NAMES);
        let alive = self.camera == CameraState::Streaming && self.silent <= SILENT;
        let Some(report) = self.report else {
            figure("camera", camera_words(self.camera, self.silent), PLAIN);
            return;
        };
        let trace = &report.trace;
        let top = self.history.steps().max().unwrap_or(1).max(1);
        let bars: Vec<char> = self.history.steps().map(|n| BARS[(n * 8).div_ceil(top).min(8) as usize]).collect();
        figure("steps", &bars[bars.len().saturating_sub(room)..].iter().collect::<String>(), PLAIN);
        figure("", &format!("{} of {}, mean {:.2}", trace.steps, trace.limit, self.history.mean_steps()), PLAIN);
        let limit =
            if report.limit_reason == LimitReason::None { String::new() } else { format!(", limit: {}", words(report.limit_reason)) };
        if trace.moved < 1.0 {
            let percent = |share: f32| 100.0 * share;
            figure("tiles", &format!("{:.0} % moved, {:.0} % stepped", percent(trace.moved), percent(trace.stepped)), PLAIN);
        }
        figure("ended", &format!("{}{limit}", words(trace.stop)), PLAIN);
        let ms = |age: Duration| age.as_secs_f64() * 1e3;
        let [median, p95] = self.history.ages([0.5, 0.95]).map(ms);
        figure("age", &format!("{:.1} ms, median {median:.1}, p95 {p95:.1}", ms(report.age)), if alive { PLAIN } else { NAME });
        figure("rate", &format!("{:.1} frames/s on {}", self.history.rate(), report.engine), if alive { PLAIN } else { NAME });
        if report.power_mw.is_some() || report.temp_c.is_some() {
            let budget = report.power_budget_mw.map_or(String::new(), |mw| format!(" of {:.1}", f64::from(mw) / 1e3));
            let power = report.power_mw.map(|mw| format!("{:.2}{budget} W", f64::from(mw) / 1e3));
            let heat = report.temp_c.map(|c| format!("{c:.0} °C"));
            figure("power", &power.into_iter().chain(heat).collect::<Vec<_>>().join(", "), PLAIN);
        }
        let losses = [("dropped", report.dropped), ("skipped", report.skipped), ("corrupt", report.corrupt)];
        let losses: String = losses.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!(", {count} {name}")).collect();
        figure("camera", &format!("{}{losses}", camera_words(self.camera, self.silent)), if alive { PLAIN } else { ALARM });
        match report.recording {
            Some(RecordingState::Failed) => figure("record", "FAILED", ALARM),
            Some(RecordingState::On) => figure("record", "on", PLAIN),
            None => {}
        }
        match report.detections.len() {
            0 => figure("seen", "nothing", PLAIN),
            1 => figure("seen", &self.told(&report.detections[0]), PLAIN),
            count => {
                figure("seen", &format!("{count}"), PLAIN);
                report.detections.iter().for_each(|seen| figure("", &self.told(seen), PLAIN));
            }
        }
    }

    fn name(&self, seen: &Detection) -> String {
        let class = self.classes.get(usize::from(seen.class)).map_or("?", String::as_str);
        if seen.track > 0 { format!("{class} #{}", seen.track) } else { class.to_owned() }
    }

    fn told(&self, seen: &Detection) -> String {
        let Region { x, y, width, height } = seen.region;
        format!("{} {:.0} % at {x:.0},{y:.0} {width:.0}x{height:.0}", self.name(seen), seen.score * 100.0)
    }
}

/// A colour at a place of the source's picture with its tile over it: what moved is warm, what was stepped without having moved is cold.
fn tinted(plain: Colour, tiles: &TilesInView, x: f32, y: f32) -> Colour {
    let Some(number) = tiles.at(x, y) else { return plain };
    let over = match [&tiles.map.moved, &tiles.map.stepped].map(|bits| TileMap::has(bits, number)) {
        [true, _] => MOVED,
        [false, true] => STEPPED,
        [false, false] => return plain,
    };
    std::array::from_fn(|channel| ((u16::from(plain[channel]) + u16::from(over[channel])) / 2) as u8)
}

/// An enumeration's value as it is written in records.
fn words(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What the camera does. One that streams, but has brought no result for a while, is stalled.
fn camera_words(camera: CameraState, silent: Duration) -> &'static str {
    match camera {
        CameraState::Searching => "searching",
        CameraState::Negotiating => "negotiating",
        CameraState::Streaming if silent > SILENT => "no frames",
        CameraState::Streaming => "streaming",
        CameraState::Stalled => "STALLED",
        CameraState::Lost => "LOST",
    }
}

#[cfg(test)]
mod tests;
