use super::*;

/// A made-up film, and what pycocotools and motmetrics say of it; known.py writes it.
fn known() -> serde_json::Value {
    serde_json::from_str(include_str!("known.json")).unwrap()
}

fn region(row: &[serde_json::Value]) -> Region {
    let edge = |at: usize| row[at].as_f64().unwrap() as f32;
    Region { x: edge(3), y: edge(4), width: edge(5), height: edge(6) }
}

fn frames(known: &serde_json::Value) -> Vec<(Vec<Labelled>, Vec<Seen>)> {
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    let label = |row: &serde_json::Value| {
        let row = row.as_array().unwrap();
        let (class, crowd) = (number(&row[0]) as usize, number(&row[2]) == 1);
        Labelled { class, region: region(row), identity: (!crowd).then(|| number(&row[1]) as u32), crowd }
    };
    let seen = |row: &serde_json::Value| {
        let row = row.as_array().unwrap();
        Seen { class: number(&row[0]) as usize, region: region(row), score: row[2].as_f64().unwrap() as f32, track: number(&row[1]) as u32 }
    };
    let frame = |frame: &serde_json::Value| {
        let list = |name: &str| frame[name].as_array().unwrap().clone();
        (list("labels").iter().map(label).collect(), list("seen").iter().map(seen).collect())
    };
    known["frames"].as_array().unwrap().iter().map(frame).collect()
}

fn near(ours: f64, theirs: &serde_json::Value, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() < 1e-4, "{what}: {ours}, and they say {theirs}");
}

#[test]
fn precision_and_recall_are_those_of_pycocotools() {
    let known = known();
    let mut precision = Precision::new(2);
    frames(&known).iter().for_each(|(labels, seen)| precision.add(labels, seen));
    let (found, theirs) = (precision.summary(), &known["pycocotools"]);
    near(found.ap50, &theirs["ap50"], "AP50");
    near(found.ap75, &theirs["ap75"], "AP75");
    near(found.ap, &theirs["ap"], "AP");
    near(found.ar, &theirs["ar"], "AR");
    for (at, class) in found.by_class.iter().enumerate() {
        near(class.ap50, &theirs["ap50_by_class"][at], "AP50 of a class");
        near(class.ap, &theirs["ap_by_class"][at], "AP of a class");
    }
    // It is no film on which everything is right, or half of the rules would not be asked.
    assert!(found.ap50 > 0.3 && found.ap50 < 0.95 && found.ap < found.ap50);
}

#[test]
fn tracking_is_judged_as_motmetrics_does() {
    let known = known();
    let mut tracking = Tracking::default();
    frames(&known).iter().for_each(|(labels, seen)| tracking.add(labels, seen));
    let (found, theirs) = (tracking.summary(), &known["motmetrics"]);
    near(found.mota, &theirs["mota"], "MOTA");
    near(found.idf1, &theirs["idf1"], "IDF1");
    near(found.switches as f64, &theirs["num_switches"], "switches");
    near(found.misses as f64, &theirs["num_misses"], "misses");
    near(found.false_positives as f64, &theirs["num_false_positives"], "false positives");
    near(found.labels as f64, &theirs["num_objects"], "labels");
    assert!(found.switches > 0 && found.misses > 0 && found.false_positives > 0);
}

#[test]
fn a_class_that_nobody_labelled_is_left_out_of_the_mean() {
    let mut precision = Precision::new(3);
    let region = Region { x: 0.0, y: 0.0, width: 10.0, height: 10.0 };
    let seen = |class| Seen { class, region, score: 0.9, track: 0 };
    precision.add(&[Labelled { class: 0, region, identity: None, crowd: false }], &[seen(0), seen(2)]);
    let found = precision.summary();
    assert!((found.ap50 - 1.0).abs() < 1e-9 && (found.ap - 1.0).abs() < 1e-9, "{found:?}");
    assert!(found.by_class[1].ap50.is_nan() && found.by_class[2].ap50.is_nan());
}

#[test]
fn pixels_are_counted_by_class_and_unlabelled_ones_not_at_all() {
    let mut pixels = Pixels::new(3);
    // Class 0: 2 right, 1 called class 1. Class 1: 1 right, 1 unseen. Nothing of class 2 anywhere.
    let given = [(Some(0), 0), (Some(0), 0), (Some(0), 1), (Some(1), 1), (Some(1), 255), (None, 2)];
    pixels.add(given.into_iter());
    let iou = pixels.iou();
    assert!((iou[0] - 2.0 / 3.0).abs() < 1e-9 && (iou[1] - 1.0 / 3.0).abs() < 1e-9 && iou[2].is_nan(), "{iou:?}");
    assert!((pixels.mean_iou() - 0.5).abs() < 1e-9 && (pixels.accuracy() - 0.6).abs() < 1e-9);
}

#[test]
fn a_pixel_that_changes_for_one_frame_flickers_and_one_that_changes_for_good_does_not() {
    let mut flicker = PixelFlicker::default();
    for (classes, cut) in [
        ([0, 0, 0, 1], false),
        ([0, 1, 1, 1], false),
        ([0, 0, 1, 1], false),
        ([0, 0, 1, 1], false),
        ([1, 1, 1, 0], true),
        ([0, 0, 0, 1], false),
    ] {
        flicker.add(&classes, cut);
    }
    assert_eq!(flicker.share(), 1.0 / 8.0, "one of four pixels in one of two frames");
}

#[test]
fn a_box_that_comes_or_goes_for_one_frame_flickers() {
    let at = |x: f32| Seen { class: 0, region: Region { x, y: 0.0, width: 10.0, height: 10.0 }, score: 0.5, track: 0 };
    let mut flicker = BoxFlicker::default();
    // One that moves on, one that is away in the third frame, one that is there in the second only.
    for frame in [&[at(0.0), at(50.0)][..], &[at(1.0), at(50.0), at(90.0)], &[at(2.0)], &[at(3.0), at(50.0)]] {
        flicker.add(frame, false);
    }
    assert_eq!(flicker.share(), 2.0 / 5.0);
}

#[test]
fn lists_of_boxes_fit_as_far_as_they_pair() {
    let at = |x: f32| Region { x, y: 0.0, width: 10.0, height: 10.0 };
    let label = |x, class| Labelled { class, region: at(x), identity: None, crowd: false };
    let seen = |x, class| Seen { class, region: at(x), score: 0.5, track: 0 };
    assert_eq!(fit(&[], &[]), 1.0);
    assert_eq!(fit(&[label(0.0, 0)], &[]), 0.0);
    assert_eq!(fit(&[label(0.0, 0), label(30.0, 0)], &[seen(1.0, 0), seen(30.0, 1)]), 0.5);
    let crowd = Labelled { crowd: true, ..label(0.0, 0) };
    assert_eq!(fit(&[crowd], &[seen(0.0, 0)]), 1.0, "in a crowd nothing is wrong");
}
