use super::*;
use crate::telemetry::Detections;

const SIZES: [(usize, usize); 5] = [(80, 24), (120, 40), (200, 60), (40, 12), (132, 20)];

fn picture(outlined: bool) -> Picture {
    let view = Region { x: 0.0, y: 0.0, width: 640.0, height: 480.0 };
    Picture { width: 64, height: 48, luma: vec![90; 64 * 48], mask: vec![0; 64 * 48], outlined, view, source: None }
}

fn seen() -> Detection {
    Detection { region: Region { x: 160.0, y: 120.0, width: 160.0, height: 240.0 }, score: 0.93, track: 4, ..Detection::default() }
}

fn report(detections: &[Detection]) -> Report {
    Report { detections: Detections::from_slice(detections).unwrap(), ..Report::for_tests(7) }
}

struct Scene {
    report: Option<Report>,
    picture: Option<Picture>,
    tiles: Option<TilesInView>,
    camera: CameraState,
    silent: Duration,
    log: Vec<String>,
}

impl Scene {
    fn of(report: Option<Report>, picture: Option<Picture>) -> Scene {
        Scene { report, picture, tiles: None, camera: CameraState::Streaming, silent: Duration::ZERO, log: Vec::new() }
    }

    fn rows(&self, columns: usize, rows: usize) -> Vec<String> {
        let grid = self.grid(columns, rows);
        (0..rows).map(|y| grid.row(y)).collect()
    }

    fn grid(&self, columns: usize, rows: usize) -> Grid {
        let mut history = History::new(8);
        self.report.iter().for_each(|report| history.add(report));
        let (title, classes) = ("recslowfast: street on a camera", ["person".to_owned()]);
        let view = View {
            title,
            classes: &classes,
            report: self.report.as_ref(),
            picture: self.picture.as_ref(),
            tiles: self.tiles.as_ref(),
            history: &history,
            camera: self.camera,
            silent: self.silent,
            log: &self.log,
        };
        view.draw(columns, rows)
    }
}

/// Columns and rows that show pixels.
fn pixels(rows: &[String]) -> (usize, usize) {
    let in_row = |row: &String| row.chars().filter(|letter| *letter == '▀').count();
    (rows.iter().map(in_row).max().unwrap_or(0), rows.iter().filter(|row| in_row(row) > 0).count())
}

#[test]
fn every_row_has_the_screen_s_width_at_every_size() {
    for (columns, rows) in SIZES {
        let drawn = Scene::of(Some(report(&[seen()])), Some(picture(true))).rows(columns, rows);
        assert_eq!(drawn.len(), rows);
        assert!(drawn.iter().all(|row| row.chars().count() == columns), "{columns}x{rows}: {drawn:#?}");
    }
}

#[test]
fn the_picture_keeps_its_proportions_and_leaves_the_figures_room() {
    for (columns, rows) in SIZES {
        let drawn = Scene::of(Some(report(&[seen()])), Some(picture(true))).rows(columns, rows);
        let (wide, high) = pixels(&drawn);
        if high > 0 {
            let aspect = wide as f64 / (2 * high) as f64;
            assert!((1.1..1.6).contains(&aspect), "{columns}x{rows}: {wide}x{high} cells");
        }
        let text = drawn.join("\n");
        assert!(text.contains("1 of 6, mean 1.00"), "{columns}x{rows}: {text}");
        assert!(text.contains("frames/s on cpu"), "{columns}x{rows}: {text}");
    }
}

#[test]
fn boxes_are_named_where_they_stand_and_in_the_figures() {
    let drawn = Scene::of(Some(report(&[seen()])), Some(picture(true))).rows(120, 40);
    let text = drawn.join("\n");
    assert!(text.contains("person #4 93"), "{text}");
    assert!(text.contains("person #4 93 % at 160,120 160x240"), "{text}");
}

#[test]
fn a_long_title_or_log_line_ends_at_the_edge() {
    let mut scene = Scene::of(Some(report(&[])), Some(picture(true)));
    scene.log = vec!["a line of a log that is far longer than any screen is wide ".repeat(9)];
    let drawn = scene.rows(80, 24);
    assert!(drawn.iter().all(|row| row.chars().count() == 80));
    assert!(drawn[20].starts_with("a line of a log"), "{drawn:#?}");
}

#[test]
fn before_the_first_frame_the_camera_s_state_is_there() {
    let scene = Scene { camera: CameraState::Searching, ..Scene::of(None, None) };
    let text = scene.rows(80, 24).join("\n");
    assert!(text.contains("no picture yet") && text.contains("searching"), "{text}");
}

#[test]
fn a_lost_camera_is_told_across_the_last_picture() {
    let scene = Scene { camera: CameraState::Lost, silent: Duration::from_secs(12), ..Scene::of(Some(report(&[])), Some(picture(true))) };
    let drawn = scene.rows(120, 40);
    assert!(drawn.join("\n").contains("LOST for 12 s"), "{drawn:#?}");
    assert!(pixels(&drawn).1 > 20, "the last picture stays");
}

#[test]
fn a_screen_too_small_for_anything_is_survived() {
    for (columns, rows) in [(1, 1), (3, 2), (8, 5), (20, 3)] {
        Scene::of(Some(report(&[seen()])), Some(picture(true))).rows(columns, rows);
        Scene::of(Some(report(&[seen()])), Some(picture(false))).rows(columns, rows);
    }
}

#[test]
fn tiles_are_drawn_over_the_picture_where_they_are_asked_for() {
    let mut tiles = TilesInView { view: Region { x: 0.0, y: 0.0, width: 640.0, height: 480.0 }, ..TilesInView::default() };
    tiles.map.clear([64, 48], 8);
    TileMap::set(&mut tiles.map.moved, 0);
    TileMap::set(&mut tiles.map.stepped, 7);
    let drawn = |tiles: Option<TilesInView>| {
        let mut sent = String::new();
        let scene = Scene { tiles, ..Scene::of(Some(report(&[])), Some(picture(true))) };
        scene.grid(120, 40).send(crate::report::terminal::grid::Depth::True, &mut sent);
        sent
    };
    let (without, with) = (drawn(None), drawn(Some(tiles)));
    // Grey 90 half under each colour.
    for colour in ["172;120;65", "75;105;172"] {
        assert!(with.contains(colour) && !without.contains(colour), "{colour}");
    }
    assert!(with.contains("t tiles"));
}
