//! Networks that see boxes and classes, from a picture in colour to what is reported.
//!
//! The networks under tests/networks answer what can be told from the picture: red things are persons and blue ones cars.

use std::path::{Path, PathBuf};
use std::process::Command;

use recslowfast::capture::fit::Mode;
use recslowfast::engine::cpu::{CpuEngine, Options};
use recslowfast::frame::{Frame, PixelFormat};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;
use recslowfast::pipeline::Pipeline;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks").join(name)
}

fn network(name: &str) -> Network {
    Network::load(folder(name).to_str().unwrap()).unwrap()
}

type Thing = ([usize; 4], [u8; 3]);

/// A grey picture with rectangles (left, top, right, bottom) in colour.
fn picture(width: usize, height: usize, things: &[Thing]) -> Vec<u8> {
    let mut rgb = vec![60; width * height * 3];
    for ([left, top, right, bottom], colour) in things {
        for y in *top..*bottom {
            for x in *left..*right {
                rgb[(y * width + x) * 3..][..3].copy_from_slice(colour);
            }
        }
    }
    rgb
}

fn frame(width: usize, height: usize, things: &[Thing], sequence: u64) -> Frame {
    let (data, format) = (picture(width, height, things).into(), PixelFormat::Rgb24);
    Frame { format, width: width as u32, height: height as u32, stride: 3 * width as u32, data, sequence, ..Frame::default() }
}

fn pipeline(name: &str) -> Pipeline {
    let network = network(name);
    let engine = CpuEngine::with(&network, Options { threads: 1, ..Options::default() }).unwrap();
    assert_eq!(engine.on_tract().count(), 0);
    Pipeline::new(&network, Box::new(engine), HaltingRule::fixed(6), Mode::Stretch, false)
}

const RED: [u8; 3] = [250, 0, 0];
const BLUE: [u8; 3] = [0, 0, 250];

#[test]
fn an_engine_hands_over_every_output_of_the_readout_in_its_order() {
    let network = network("colour-boxes");
    let answers = network.answers();
    assert_eq!(answers.iter().map(|answer| (answer.name.as_str(), answer.len())).collect::<Vec<_>>(), [("scores", 96), ("boxes", 192)]);
    let answer = |plain| {
        let mut engine = CpuEngine::with(&network, Options { threads: 1, plain, ..Options::default() }).unwrap();
        // All of it red.
        engine.input()[..48 * 64].fill(1.0);
        engine.encode().unwrap();
        engine.advance(&StepRequest { rule: HaltingRule::fixed(1), limit: 8, deadline: None }).unwrap();
        engine.readout().unwrap().to_vec()
    };
    let own = answer(false);
    assert!(own[..48].iter().all(|score| (score - 2.0).abs() < 1e-4), "half of the way to 16, less 6: {:?}", &own[..48]);
    assert!(own[48..96].iter().all(|score| (score + 10.0).abs() < 1e-4) && own[96..].iter().all(|distance| *distance == 0.0));
    let plain = answer(true);
    assert!(own.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-5), "tract says the same");
}

#[test]
fn a_red_thing_is_a_person_and_a_blue_one_a_car_in_pixels_of_the_source() {
    let mut pipeline = pipeline("colour-boxes");
    // Twice the network's size; each thing fills one cell.
    let things = [([32, 16, 48, 32], RED), ([96, 64, 112, 80], BLUE)];
    let answer = pipeline.answer(&frame(128, 96, &things, 0)).unwrap();
    let mut seen: Vec<_> = answer.detections.iter().map(|seen| (seen.class, seen.track, seen.region, seen.score)).collect();
    seen.sort_by_key(|(class, ..)| *class);
    assert_eq!(seen.len(), 2, "{seen:?}");
    for ((class, track, region, score), (at, centre)) in seen.into_iter().zip([(0, [40.0, 24.0]), (1, [104.0, 72.0])]) {
        assert_eq!((class, track), (at, 0), "seen at once, a track when it is seen again");
        assert!((region.x + 16.0 - centre[0]).abs() < 0.1 && (region.y + 16.0 - centre[1]).abs() < 0.1, "{region:?}");
        assert!((region.width - 32.0).abs() < 0.1 && (region.height - 32.0).abs() < 0.1 && score > 0.9, "{region:?} {score}");
    }
}

#[test]
fn tracks_carry_their_age_and_where_the_rate_is_known_their_speed() {
    let mut pipeline = pipeline("colour-boxes");
    pipeline.set_rate(Some(10.0));
    for at in 0..6usize {
        // One cell of 8 pixels every second frame: 40 pixels a second to the right.
        let left = 8 * at;
        let answer = pipeline.answer(&frame(64, 48, &[([left, 16, left + 8, 24], RED)], 2 * at as u64)).unwrap();
        let [seen] = &answer.detections[..] else { panic!("frame {at}: {:?}", answer.detections) };
        assert_eq!((seen.track, seen.track_frames), if at == 0 { (0, 0) } else { (1, at as u32) });
        if at == 5 {
            let [right, down] = seen.speed_px_s.unwrap();
            // At the picture's edges boxes are cut, and their centres move less.
            assert!((25.0..50.0).contains(&right) && down.abs() < 1.0, "{right} {down}");
        }
    }
}

#[test]
fn a_picture_for_people_is_luma_of_the_colours_with_the_boxes_drawn() {
    let mut pipeline = pipeline("colour-boxes");
    let given = frame(64, 48, &[([24, 16, 32, 24], [250, 0, 0]), ([0, 40, 8, 48], [0, 250, 0])], 0);
    pipeline.answer(&given).unwrap();
    let picture = pipeline.picture(&given).unwrap();
    let luma = |x: usize, y: usize| picture.luma[y * 64 + x];
    assert_eq!((luma(28, 20), luma(4, 44), luma(60, 4)), (75, 147, 60), "red is dark, green is bright");
    let drawn: Vec<usize> = (0..64).filter(|x| picture.mask[20 * 64 + x] != 0).collect();
    assert_eq!(drawn, [20, 35], "the box's left and right edge");
    assert_eq!(picture.mask.iter().filter(|kind| **kind == 1).count(), 60);
}

#[test]
fn every_pixel_has_its_likeliest_class_and_class_0_is_no_background() {
    let mut pipeline = pipeline("colour-classes");
    let given = frame(32, 24, &[([0, 0, 16, 24], RED), ([16, 0, 32, 24], BLUE)], 0);
    let answer = pipeline.answer(&given).unwrap();
    let seen: Vec<_> = answer.detections.iter().map(|seen| (seen.class, seen.area)).collect();
    assert_eq!(seen, [(0, 384.0), (2, 384.0)], "void would be likeliest, and is left out");
    let picture = pipeline.picture(&given).unwrap();
    assert_eq!((picture.mask[0], picture.mask[31]), (1, 3), "both are drawn");
}

#[test]
fn boxes_are_reported_as_json_with_class_and_track() {
    let pictures = tempfile::tempdir().unwrap();
    for at in 0..3 {
        let rgb = picture(64, 48, &[([24, 16, 32, 24], RED)]);
        image::save_buffer(pictures.path().join(format!("{at}.png")), &rgb, 64, 48, image::ColorType::Rgb8).unwrap();
    }
    let run = Command::new(env!("CARGO_BIN_EXE_recslowfast"))
        .args(["run", "--engine", "cpu", "--report", "json", "--model"])
        .arg(folder("colour-boxes"))
        .arg("--source")
        .arg(pictures.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let lines: Vec<serde_json::Value> =
        String::from_utf8(run.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> =
        lines.iter().map(|line| (line["detections"][0]["class"].as_str().unwrap(), line["detections"][0]["track"].as_u64())).collect();
    assert_eq!(seen, [("person", None), ("person", Some(1)), ("person", Some(1))]);
    assert_eq!(lines[2]["detections"][0]["track_frames"], 2);
}

fn recslowfast(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_recslowfast")).args(arguments).output().unwrap()
}

/// The JSON that `eval` writes about `data` with these arguments.
fn evaluated(network: &str, folder_of: &Path, arguments: &[&str]) -> serde_json::Value {
    let json = folder_of.join("found.json");
    let model = folder(network);
    let mut all = vec!["eval", "--engine", "cpu", "--threads", "1", "--model", model.to_str().unwrap(), "--json", json.to_str().unwrap()];
    all.extend(["--halt", "fixed:6", "--halt", "fixed:1"]);
    all.extend(arguments);
    let output = recslowfast(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

fn saved(path: &Path, width: usize, height: usize, things: &[Thing]) {
    let rgb = picture(width, height, things);
    image::save_buffer(path, &rgb, width as u32, height as u32, image::ColorType::Rgb8).unwrap();
}

/// Ten pictures of a red thing that moves on and a blue one that stays, and where they are.
fn film(pictures: &Path) -> Vec<[[usize; 4]; 2]> {
    std::fs::create_dir_all(pictures).unwrap();
    let things: Vec<_> = (0..10).map(|at| [[16 + 4 * (at / 2), 16, 24 + 4 * (at / 2), 24], [40, 32, 48, 40]]).collect();
    for (at, [red, blue]) in things.iter().enumerate() {
        saved(&pictures.join(format!("{at:03}.png")), 64, 48, &[(*red, RED), (*blue, BLUE)]);
    }
    things
}

/// What the network says of a thing that fills a cell.
fn around([left, top, right, bottom]: [usize; 4]) -> [f64; 4] {
    [left as f64 - 4.0, top as f64 - 4.0, (right - left) as f64 + 8.0, (bottom - top) as f64 + 8.0]
}

#[test]
fn eval_measures_boxes_on_pictures_in_colour_labelled_as_coco_does() {
    let root = tempfile::tempdir().unwrap();
    let things = film(&root.path().join("pictures"));
    let mut annotations = Vec::new();
    for (at, boxes) in things.iter().enumerate().step_by(2) {
        for (class, thing) in boxes.iter().enumerate().filter(|(class, thing)| *class == 1 || thing[0] % 8 == 0) {
            annotations.push(serde_json::json!({"image_id": at, "category_id": 1 + 2 * class, "bbox": around(*thing), "iscrowd": 0}));
        }
    }
    let images: Vec<_> = (0..10).step_by(4).map(|at| serde_json::json!({"id": at, "file_name": format!("{at:03}.png")})).collect();
    annotations.retain(|annotation| annotation["image_id"].as_u64().unwrap() % 4 == 0);
    let categories = serde_json::json!([{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 9, "name": "kite"}]);
    let labels = root.path().join("annotations.json");
    std::fs::write(&labels, serde_json::json!({"images": images, "annotations": annotations, "categories": categories}).to_string())
        .unwrap();
    let pictures = root.path().join("pictures");
    let found = evaluated("colour-boxes", root.path(), &["--data", labels.to_str().unwrap(), "--images", pictures.to_str().unwrap()]);
    assert_eq!((found["frames"].as_u64(), found["rows"].as_array().unwrap().len()), (Some(3), 2));
    let six = &found["rows"][0];
    assert!(six["ap50"].as_f64().unwrap() > 0.99, "grey pictures would show nothing: {six}");
    assert_eq!((six["mean_steps"].as_f64(), six["classes"][0]["labels"].as_u64()), (Some(6.0), Some(3)));
    assert!(six.get("flicker").is_none() && six.get("tracking").is_none(), "stills are no film");
    // Beside the annotations there are no pictures.
    let lost = recslowfast(&["eval", "--model", folder("colour-boxes").to_str().unwrap(), "--data", labels.to_str().unwrap()]);
    assert_eq!(lost.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("--images"));
}

#[test]
fn eval_measures_tracks_on_a_film_labelled_as_mot_does() {
    let root = tempfile::tempdir().unwrap();
    let pictures = root.path().join("pictures");
    let things = film(&pictures);
    let row = |(at, [_, blue]): (usize, &[[usize; 4]; 2])| {
        let [x, y, w, h] = around(*blue);
        format!("{},7,{x},{y},{w},{h},1\n", at + 1)
    };
    let labels = root.path().join("gt.txt");
    std::fs::write(&labels, things.iter().enumerate().take(8).map(row).collect::<String>()).unwrap();
    let arguments = ["--data", pictures.to_str().unwrap(), "--labels", labels.to_str().unwrap(), "--class", "car"];
    let found = evaluated("colour-boxes", root.path(), &arguments);
    let six = &found["rows"][0];
    assert_eq!(found["frames"], 8, "frames behind the last labelled one are not looked at");
    assert!(six["ap50"].as_f64().unwrap() > 0.99, "{six}");
    // The car's first frame has no track yet, and the walker's tracks are labelled by nobody.
    assert_eq!((six["tracking"]["misses"].as_u64(), six["tracking"]["switches"].as_u64()), (Some(1), Some(0)));
    assert_eq!(six["flicker"], 0.0);
}

#[test]
fn eval_measures_pixels_by_index_pngs() {
    let root = tempfile::tempdir().unwrap();
    let (pictures, labels) = (root.path().join("pictures"), root.path().join("labels"));
    std::fs::create_dir_all(&pictures).unwrap();
    std::fs::create_dir_all(&labels).unwrap();
    for at in 0..4 {
        saved(&pictures.join(format!("seq_{at}.png")), 64, 48, &[([0, 0, 32, 48], RED), ([32, 0, 64, 48], BLUE)]);
        // A quarter is labelled wrongly, and a column is void.
        let label: Vec<u8> = (0..64 * 48)
            .map(|at| (at % 64, at / 64))
            .map(|(x, y)| {
                if x == 63 {
                    11
                } else if x < 32 {
                    0
                } else if y < 24 {
                    1
                } else {
                    2
                }
            })
            .collect();
        image::save_buffer(labels.join(format!("seq_{at}.png")), &label, 64, 48, image::ColorType::L8).unwrap();
    }
    let (pictures, labels) = (pictures.to_str().unwrap(), labels.to_str().unwrap());
    let found = evaluated("colour-classes", root.path(), &["--data", pictures, "--labels", labels, "--ignore", "11"]);
    let six = &found["rows"][0];
    let near = |value: &serde_json::Value, wanted: f64| assert!((value.as_f64().unwrap() - wanted).abs() < 1e-6, "{value} is not {wanted}");
    near(&six["classes"][0]["iou"], 1.0);
    near(&six["classes"][1]["iou"], 0.0);
    near(&six["classes"][2]["iou"], 0.5);
    near(&six["miou"], 0.5);
    near(&six["pixel_accuracy"], (32.0 + 15.5) / 63.0);
    assert_eq!(six["flicker"], 0.0);
    let model = folder("colour-classes");
    let refused = recslowfast(&["eval", "--model", model.to_str().unwrap(), "--data", pictures, "--labels", labels]);
    assert_eq!(refused.status.code(), Some(4));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("the value 11") && words.contains("--ignore 11"), "{words}");
}

#[test]
fn eval_and_calibrate_refuse_what_they_were_not_made_for() {
    let root = tempfile::tempdir().unwrap();
    let copy = root.path().join("colour-boxes");
    std::fs::create_dir(&copy).unwrap();
    for file in ["model.toml", "encoder.onnx", "step.onnx", "readout.onnx"] {
        std::fs::copy(folder("colour-boxes").join(file), copy.join(file)).unwrap();
    }
    let (boxes, classes) = (copy.to_str().unwrap().to_owned(), folder("colour-classes"));
    let pictures = root.path().join("pictures");
    film(&pictures);
    let pictures = pictures.to_str().unwrap();
    for (arguments, words) in [
        (vec!["eval", "--model", &boxes], "not about contours"),
        (vec!["calibrate", "--model", &boxes], "not about contours"),
        (vec!["eval", "--model", classes.to_str().unwrap(), "--data", pictures], "has no labels"),
        (vec!["eval", "--model", &boxes, "--data", pictures, "--stability"], "cannot be used with"),
        (vec!["eval", "--model", "pathfinder-hgru", "--labels", pictures], "--data"),
    ] {
        let output = recslowfast(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(words), "{arguments:?}: {:?} {said}", output.status);
    }
}

/// A copy of `colour-boxes` in `root`, and a folder of pictures in which a red box walks twice.
fn to_calibrate(root: &Path) -> (PathBuf, PathBuf) {
    let copy = root.join("colour-boxes");
    std::fs::create_dir(&copy).unwrap();
    for file in ["model.toml", "encoder.onnx", "step.onnx", "readout.onnx"] {
        std::fs::copy(folder("colour-boxes").join(file), copy.join(file)).unwrap();
    }
    let pictures = root.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for at in 0..48usize {
        let left = 2 * (at % 24);
        saved(&pictures.join(format!("{at:03}.png")), 64, 48, &[([left, 16, left + 12, 28], RED)]);
    }
    (copy, pictures)
}

#[test]
fn calibrate_chooses_by_agreement_with_fixed_6_where_nothing_is_labelled() {
    let root = tempfile::tempdir().unwrap();
    let (copy, pictures) = to_calibrate(root.path());
    let output = recslowfast(&[
        "calibrate",
        "--model",
        copy.to_str().unwrap(),
        "--data",
        pictures.to_str().unwrap(),
        "--stream-frames",
        "8",
        "--criterion",
        "slow-fast",
        "--loss",
        "5",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("chosen      slow-fast:"), "{said}");
    let manifest = std::fs::read_to_string(copy.join("model.toml")).unwrap();
    assert!(manifest.contains("rule = \"slow-fast\"") && manifest.contains("calibration = "), "{manifest}");
}

#[test]
fn calibrate_finds_what_counts_as_moved_against_the_dense_run() {
    let root = tempfile::tempdir().unwrap();
    let (copy, pictures) = to_calibrate(root.path());
    let calibrate = |model: &Path, more: &[&str]| {
        let given = ["calibrate", "--tiles", "--model", model.to_str().unwrap(), "--data", pictures.to_str().unwrap()];
        recslowfast(&[&given[..], &["--stream-frames", "12", "--loss", "5"], more].concat())
    };
    let table = root.path().join("tried.json");
    let output = calibrate(&copy, &["--json", table.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("chosen      floor ") && said.contains("of the dense work"), "{said}");
    let section = Network::load(copy.to_str().unwrap()).unwrap().manifest.tiles;
    let table: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(table).unwrap()).unwrap();
    let chosen = &table["chosen"];
    assert!(chosen["cost"].as_f64().unwrap() < 0.9 && chosen["loss"].as_f64().unwrap() <= 5.0, "{chosen}");
    let close = |found: Option<f32>, wanted: &serde_json::Value| (f64::from(found.unwrap()) - wanted.as_f64().unwrap()).abs() < 1e-6;
    assert!(close(section.floor, &chosen["floor"]) && close(section.epsilon, &chosen["epsilon"]), "{section:?} is not {chosen}");
    // A network that is not local has nothing to calibrate, and the operation is named.
    let output = calibrate(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo/pathfinder-hgru"), &[]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("not local"), "{output:?}");
}
