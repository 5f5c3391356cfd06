//! Points over two axes, as SVG or PNG: the trade-off of accuracy and speed.
//!
//! A plot is laid out once as a list of [`Shape`]s, which both file formats draw.

mod axis;
mod png;
mod svg;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use axis::Axis;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 760.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 150.0;
const BOTTOM: f64 = 80.0;
/// Width and height of a letter.
const LETTER: (f64, f64) = (10.0, 20.0);

/// Colours that stay apart for people who see fewer of them (Okabe and Ito).
const COLOURS: [u32; 7] = [0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0x6a3d9a, 0x56b4e9, 0xe69f00];
const INK: u32 = 0x222222;
const PALE: u32 = 0x666666;
const GRID: u32 = 0xdddddd;

/// One measurement.
pub struct Point {
    /// Its place.
    pub x: f64,
    /// Its place.
    pub y: f64,
    /// Standard error of `y`, drawn as a bar; 0 draws none.
    pub error: f64,
    /// Written beside it.
    pub label: String,
}

/// Measurements of one colour.
pub struct Series {
    /// Named in the legend.
    pub name: String,
    /// In the order of the line, if there is one.
    pub points: Vec<Point>,
    /// Whether a line joins them.
    pub joined: bool,
}

/// A picture.
pub struct Plot {
    /// Above it.
    pub title: String,
    /// Below the title.
    pub subtitle: String,
    /// Names and units of the axes.
    pub axes: [String; 2],
    /// What is shown.
    pub series: Vec<Series>,
}

/// How text stands to its place.
#[derive(Clone, Copy, PartialEq)]
enum Anchor {
    Start,
    Middle,
    End,
}

/// What a picture is made of; y grows downwards.
enum Shape {
    Line { from: (f64, f64), to: (f64, f64), colour: u32, width: f64 },
    Disc { at: (f64, f64), radius: f64, colour: u32 },
    Text { at: (f64, f64), anchor: Anchor, text: String, colour: u32 },
}

/// A rectangle: left, top, right, bottom.
#[derive(Clone, Copy)]
struct Area([f64; 4]);

impl Area {
    fn meets(&self, other: &Area) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        a < g && e < c && b < h && f < d
    }
}

impl Plot {
    /// Writes the picture: as PNG where the file's name says so, else as SVG.
    pub fn write(&self, path: &Path, file: &mut File) -> Result<(), String> {
        let bytes = if is_png(path) { png::draw(&self.shapes())? } else { svg::draw(&self.shapes()).into_bytes() };
        file.write_all(&bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    fn shapes(&self) -> Vec<Shape> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Axis::over(points().map(|point| point.x), 1.0, LEFT, WIDTH - RIGHT);
        let y = Axis::over(points().flat_map(|point| [point.y - point.error, point.y + point.error]), 0.02, HEIGHT - BOTTOM, TOP);
        let mut shapes = Vec::new();
        let text = |at, anchor, text: &str, colour| Shape::Text { at, anchor, text: text.to_owned(), colour };
        shapes.push(text((LEFT, 34.0), Anchor::Start, &self.title, INK));
        shapes.push(text((LEFT, 60.0), Anchor::Start, &self.subtitle, PALE));
        let (foot, head) = (HEIGHT - BOTTOM, TOP);
        for (tick, name) in x.ticks() {
            shapes.push(Shape::Line { from: (x.at(tick), head), to: (x.at(tick), foot), colour: GRID, width: 1.0 });
            shapes.push(text((x.at(tick), foot + 24.0), Anchor::Middle, &name, INK));
        }
        for (tick, name) in y.ticks() {
            shapes.push(Shape::Line { from: (LEFT, y.at(tick)), to: (WIDTH - RIGHT, y.at(tick)), colour: GRID, width: 1.0 });
            shapes.push(text((LEFT - 10.0, y.at(tick) + 6.0), Anchor::End, &name, INK));
        }
        shapes.push(text((WIDTH - RIGHT, HEIGHT - 22.0), Anchor::End, &self.axes[0], INK));
        shapes.push(text((LEFT - 60.0, TOP - 16.0), Anchor::Start, &self.axes[1], INK));
        let mut legend = LEFT;
        let mut taken = Vec::new();
        for (at, series) in self.series.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            shapes.push(Shape::Disc { at: (legend + 7.0, 92.0), radius: 7.0, colour });
            shapes.push(text((legend + 22.0, 98.0), Anchor::Start, &series.name, INK));
            legend += 22.0 + LETTER.0 * (series.name.chars().count() as f64 + 3.0);
            let place = |point: &Point| (x.at(point.x), y.at(point.y));
            if series.joined {
                for pair in series.points.windows(2) {
                    shapes.push(Shape::Line { from: place(&pair[0]), to: place(&pair[1]), colour, width: 2.0 });
                }
            }
            for point in &series.points {
                let at = place(point);
                if point.error > 0.0 {
                    let (low, high) = (y.at(point.y - point.error), y.at(point.y + point.error));
                    shapes.push(Shape::Line { from: (at.0, low), to: (at.0, high), colour, width: 2.0 });
                }
                shapes.push(Shape::Disc { at, radius: 7.0, colour });
                taken.push(Area([at.0 - 8.0, at.1 - 8.0, at.0 + 8.0, at.1 + 8.0]));
            }
        }
        for (at, series) in self.series.iter().enumerate() {
            for point in series.points.iter().filter(|point| !point.label.is_empty()) {
                let (spot, anchor, area) = free((x.at(point.x), y.at(point.y)), point.label.chars().count(), &taken);
                taken.push(area);
                shapes.push(text(spot, anchor, &point.label, COLOURS[at % COLOURS.len()]));
            }
        }
        shapes
    }
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
}

/// Where a label of so many letters beside the point at `(x, y)` covers nothing, as far as that can be had.
fn free((x, y): (f64, f64), letters: usize, taken: &[Area]) -> ((f64, f64), Anchor, Area) {
    let (wide, high) = (letters as f64 * LETTER.0, LETTER.1);
    let spots = [
        ((x + 13.0, y + 6.0), Anchor::Start),
        ((x - 13.0, y + 6.0), Anchor::End),
        ((x, y - 15.0), Anchor::Middle),
        ((x, y + 28.0), Anchor::Middle),
        ((x + 13.0, y - 15.0), Anchor::Start),
        ((x + 13.0, y + 28.0), Anchor::Start),
        ((x - 13.0, y - 15.0), Anchor::End),
        ((x - 13.0, y + 28.0), Anchor::End),
        ((x, y - 37.0), Anchor::Middle),
        ((x, y + 50.0), Anchor::Middle),
    ];
    let area = |((x, y), anchor): ((f64, f64), Anchor)| {
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - wide / 2.0,
            Anchor::End => x - wide,
        };
        Area([left, y - high * 0.75, left + wide, y + high * 0.25])
    };
    let inside =
        |area: &Area| area.0[0] >= 4.0 && area.0[2] <= WIDTH - 4.0 && area.0[1] >= TOP - 10.0 && area.0[3] <= HEIGHT - BOTTOM + 6.0;
    let all = || spots.into_iter().map(|spot| (spot.0, spot.1, area(spot))).filter(|(_, _, area)| inside(area));
    let clashes = |area: &Area| taken.iter().filter(|other| area.meets(other)).count();
    all().min_by_key(|(_, _, area)| clashes(area)).unwrap_or((spots[0].0, spots[0].1, area(spots[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let point = |x, y, label: &str| Point { x, y, error: 0.01, label: label.into() };
        let points = vec![point(80.0, 0.91, "fixed:6"), point(80.01, 0.91, "<model>")];
        let series = vec![Series { name: "one & only".into(), points, joined: true }];
        Plot { title: "IoU".into(), subtitle: String::new(), axes: ["frames/s".into(), "IoU".into()], series }
    }

    #[test]
    fn labels_of_neighbours_keep_apart() {
        let shapes = plot().shapes();
        let places: Vec<_> = shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Text { at, anchor, text, .. } if text == "fixed:6" || text == "<model>" => Some((*at, *anchor)),
                _ => None,
            })
            .collect();
        assert_eq!(places.len(), 2);
        assert!(places[0].1 != places[1].1 || (places[0].0.1 - places[1].0.1).abs() >= LETTER.1, "{:?} {:?}", places[0].0, places[1].0);
    }

    #[test]
    fn a_drawing_is_svg_with_its_words_escaped_or_a_png_of_its_size() {
        let folder = tempfile::tempdir().unwrap();
        for (name, starts) in [("a.svg", &b"<svg"[..]), ("a.PNG", &b"\x89PNG"[..])] {
            let path = folder.path().join(name);
            plot().write(&path, &mut File::create(&path).unwrap()).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert!(bytes.starts_with(starts), "{name}");
            if name.ends_with("svg") {
                assert!(String::from_utf8(bytes).unwrap().contains("one &amp; only"));
            } else {
                assert_eq!(image::load_from_memory(&bytes).unwrap().width(), WIDTH as u32);
            }
        }
    }
}
