//! What the page draws, in one answer: a JSON head, the plane of classes, the picture as JPEG.

use std::time::Instant;

use serde::Serialize;

use super::figures::{Metrics, Pictured};
use crate::report::Record;
use crate::telemetry::{CameraState, Detection, Region, TilesInView};

#[derive(Serialize)]
struct Head<'a> {
    title: &'a str,
    model: &'a str,
    sees: &'a str,
    classes: &'a [String],
    width: u32,
    height: u32,
    frames: u64,
    rate: f64,
    /// Ages of the recent results in milliseconds: median, 90 %, 99 %, worst.
    ages_ms: [f64; 4],
    stale: bool,
    since_s: f64,
    camera: CameraState,
    board: &'a str,
    /// Width and height of the source's picture, and the part of it that the plane of classes lies over (x, y, width, height).
    size: [u32; 2],
    view: [f32; 4],
    /// Boxes say all that there is; otherwise the plane of classes does.
    outlined: bool,
    /// What was seen in the picture, which may be a little older than `last`.
    boxes: Vec<Seen<'a>>,
    /// Absent where nobody asked, and where everything is computed in every frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    tiles: Option<Tiles>,
    /// Null without a budget.
    deadline_ms: Option<f64>,
    deadline_misses: u64,
    reconnects: u64,
    power_budget_mw: Option<u32>,
    steps: Vec<u32>,
    limits: Vec<u32>,
    last: Option<Record<'a>>,
}

/// Something in the picture.
#[derive(Serialize)]
struct Seen<'a> {
    class: &'a str,
    index: u8,
    #[serde(rename = "box")]
    region: [f32; 4],
    score: f32,
    track: u32,
}

/// Which tiles moved and were stepped: a bit for each, as [`TileMap`](crate::outcome::TileMap) has them, byte by byte in hexadecimal.
#[derive(Serialize)]
struct Tiles {
    columns: u16,
    rows: u16,
    /// Pixels of a tile's side, and width and height of the network's input in the same pixels; it covers `view` of the source's picture.
    side: u16,
    size: [u16; 2],
    view: [f32; 4],
    moved: String,
    stepped: String,
}

impl Tiles {
    fn of(tiles: &TilesInView) -> Tiles {
        let TilesInView { map, view } = tiles;
        let hex = |bits: &[u8]| bits.iter().map(|byte| format!("{byte:02x}")).collect();
        Tiles {
            columns: map.columns,
            rows: map.rows,
            side: map.side,
            size: map.size,
            view: [view.x, view.y, view.width, view.height],
            moved: hex(&map.moved),
            stepped: hex(&map.stepped),
        }
    }
}

/// The answer to `/live`: length of the JSON (u32, little-endian), the JSON, `width` x `height` classes, the picture as JPEG.
pub fn body(figures: &Metrics, pictured: Option<&Pictured>, jpeg: &[u8], now: Instant) -> Vec<u8> {
    let picture = pictured.map(|pictured| &*pictured.picture);
    let (since, stale) = figures.staleness(now);
    let ms = |age: std::time::Duration| (age.as_secs_f64() * 1e5).round() / 100.0;
    let (heading, budget) = (&figures.heading, figures.budget());
    let seen = |seen: &'_ Detection| {
        let Region { x, y, width, height } = seen.region;
        let class = heading.classes.get(usize::from(seen.class)).map_or("?", String::as_str);
        Seen { class, index: seen.class, region: [x, y, width, height], score: seen.score, track: seen.track }
    };
    let view = picture.map_or(Region::default(), |picture| picture.view);
    let source = picture.and_then(|picture| picture.source.as_deref());
    let head = Head {
        title: &heading.title,
        model: &heading.model,
        sees: &heading.sees,
        classes: &heading.classes,
        width: picture.map_or(0, |picture| picture.width),
        height: picture.map_or(0, |picture| picture.height),
        frames: figures.frames,
        rate: figures.recent.rate(),
        ages_ms: figures.recent.ages([0.5, 0.9, 0.99, 1.0]).map(ms),
        stale,
        since_s: since.as_secs_f64(),
        camera: figures.camera(now),
        board: &heading.board,
        size: source.map_or([0; 2], |source| source.size().into()),
        view: [view.x, view.y, view.width, view.height],
        outlined: picture.is_some_and(|picture| picture.outlined),
        boxes: pictured.map_or(Vec::new(), |pictured| pictured.detections.iter().map(seen).collect()),
        tiles: pictured.and_then(|pictured| pictured.tiles.as_deref()).map(Tiles::of),
        deadline_ms: budget.deadline.map(|deadline| ms(deadline.within)),
        deadline_misses: figures.late,
        reconnects: figures.reconnects,
        power_budget_mw: budget.power.map(|power| power.mw),
        steps: figures.recent.steps().collect(),
        limits: figures.recent.limits().collect(),
        last: figures.last.as_ref().map(|(report, _)| Record::new(report, &heading.classes)),
    };
    let mut body = vec![0; 4];
    serde_json::to_writer(&mut body, &head).expect("a head has no failing serializer");
    let length = body.len() as u32 - 4;
    body[..4].copy_from_slice(&length.to_le_bytes());
    if let Some(picture) = picture {
        body.extend(&picture.mask);
    }
    body.extend(jpeg);
    body
}
