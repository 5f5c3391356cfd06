//! What was seen, as `foxglove.ImageAnnotations`: a box and its name for each detection, and the outlines of the mask.

use std::time::Duration;

use super::proto::{bytes, double, number, timestamp};
use crate::telemetry::{Region, Report, Shapes, TilesInView};

/// `foxglove.PointsAnnotation.Type.LINE_LOOP`.
const LINE_LOOP: u64 = 2;
/// Colours of classes 1, 2, 3 and so on, and round again: told apart on dark and light pictures.
const COLOURS: [[f64; 3]; 8] = [
    [0.20, 0.90, 0.35],
    [1.00, 0.45, 0.10],
    [0.25, 0.60, 1.00],
    [1.00, 0.85, 0.10],
    [0.95, 0.25, 0.60],
    [0.15, 0.90, 0.90],
    [0.70, 0.45, 1.00],
    [0.95, 0.30, 0.25],
];

/// Of tiles that moved, and of those that were stepped.
const MOVED: [f64; 3] = [1.00, 0.59, 0.16];
const STEPPED: [f64; 3] = [0.24, 0.47, 1.00];

/// Writes the annotations of `report`, whose picture was taken at `wall`, into `out`.
pub(super) fn write(report: &Report, shapes: Option<&Shapes>, wall: Duration, classes: &[String], out: &mut Vec<u8>) {
    out.clear();
    let size = f64::from(report.size.1.max(1)) / 40.0;
    for detection in report.detections.iter() {
        let Region { x, y, width, height } = detection.region;
        let corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)];
        bytes(out, 2, &line(&corners, wall, detection.class, 2.0));
    }
    for outline in shapes.map(Shapes::outlines).unwrap_or_default() {
        bytes(out, 2, &line(&outline.points, wall, outline.class, 1.0));
    }
    for detection in report.detections.iter() {
        let class = classes.get(usize::from(detection.class)).map_or("?", String::as_str);
        let track = if detection.track > 0 { format!(" #{}", detection.track) } else { String::new() };
        let text = format!("{class} {:.0} %{track}", f64::from(detection.score) * 100.0);
        let mut one = Vec::new();
        timestamp(&mut one, 1, wall);
        bytes(&mut one, 2, &point(detection.region.x, detection.region.y));
        bytes(&mut one, 3, text.as_bytes());
        double(&mut one, 4, size.max(8.0));
        bytes(&mut one, 5, &colour(detection.class, 1.0));
        let mut dark = Vec::new();
        double(&mut dark, 4, 0.6);
        bytes(&mut one, 6, &dark);
        bytes(out, 3, &one);
    }
}

/// Writes the tiles of a frame taken at `wall` into `out`: the outlines of what was stepped, and over them of what moved.
pub(super) fn write_tiles(tiles: &TilesInView, wall: Duration, out: &mut Vec<u8>) {
    out.clear();
    for (bits, colour, thickness) in [(&tiles.map.stepped, STEPPED, 1.0), (&tiles.map.moved, MOVED, 2.0)] {
        for Region { x, y, width, height } in tiles.regions(bits) {
            let corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)];
            bytes(out, 2, &coloured(&corners, wall, colour, thickness));
        }
    }
}

/// A closed line in a class's colour, as a `foxglove.PointsAnnotation`.
fn line(points: &[(f32, f32)], wall: Duration, class: u8, thickness: f64) -> Vec<u8> {
    coloured(points, wall, COLOURS[usize::from(class).wrapping_sub(1) % COLOURS.len()], thickness)
}

fn coloured(points: &[(f32, f32)], wall: Duration, [r, g, b]: [f64; 3], thickness: f64) -> Vec<u8> {
    let mut out = Vec::with_capacity(80 + 20 * points.len());
    timestamp(&mut out, 1, wall);
    number(&mut out, 2, LINE_LOOP);
    points.iter().for_each(|(x, y)| bytes(&mut out, 3, &point(*x, *y)));
    bytes(&mut out, 4, &rgba([r, g, b], 1.0));
    double(&mut out, 7, thickness);
    out
}

fn point(x: f32, y: f32) -> Vec<u8> {
    let mut out = Vec::with_capacity(18);
    double(&mut out, 1, f64::from(x));
    double(&mut out, 2, f64::from(y));
    out
}

fn colour(class: u8, opacity: f64) -> Vec<u8> {
    rgba(COLOURS[usize::from(class).wrapping_sub(1) % COLOURS.len()], opacity)
}

fn rgba([r, g, b]: [f64; 3], opacity: f64) -> Vec<u8> {
    let mut out = Vec::with_capacity(36);
    [r, g, b, opacity].into_iter().zip(1..).for_each(|(value, field)| double(&mut out, field, value));
    out
}
