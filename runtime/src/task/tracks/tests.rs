use super::*;

fn seen(boxes: &[(f32, f32)]) -> Detections {
    let region = |&(x, y)| Region { x, y, width: 10.0, height: 10.0 };
    boxes.iter().map(|at| Detection { class: 1, region: region(at), area: 100.0, score: 1.0, ..Detection::default() }).collect()
}

fn numbers(tracks: &mut Tracks, boxes: &[(f32, f32)]) -> Vec<u32> {
    let mut found = seen(boxes);
    tracks.follow(&mut found, &[], None);
    found.iter().map(|detection| detection.track).collect()
}

#[test]
fn a_moving_object_keeps_its_number_through_a_short_absence() {
    let mut tracks = Tracks::new(BLOBS);
    let frames = [&[(0.0, 0.0), (50.0, 0.0)][..], &[(52.0, 1.0), (2.0, 0.0)], &[(4.0, 0.0)], &[(54.0, 2.0), (6.0, 0.0)]];
    let told: Vec<Vec<u32>> = frames.iter().map(|boxes| numbers(&mut tracks, boxes)).collect();
    assert_eq!(told, [vec![1, 2], vec![2, 1], vec![1], vec![2, 1]]);
}

#[test]
fn an_object_elsewhere_is_another_one() {
    let mut tracks = Tracks::new(BLOBS);
    numbers(&mut tracks, &[(0.0, 0.0)]);
    assert_eq!(numbers(&mut tracks, &[(200.0, 0.0)]), [2]);
}

#[test]
fn a_box_has_a_number_once_it_was_seen_twice_running() {
    let mut tracks = Tracks::new(BOXES);
    assert_eq!(numbers(&mut tracks, &[(0.0, 0.0)]), [0]);
    assert_eq!(numbers(&mut tracks, &[]), [0; 0]);
    assert_eq!(numbers(&mut tracks, &[(0.0, 0.0)]), [0], "a single box that came and went is forgotten");
    assert_eq!(numbers(&mut tracks, &[(1.0, 0.0)]), [1]);
}

#[test]
fn what_walks_on_behind_something_comes_out_with_its_number() {
    let mut tracks = Tracks::new(BOXES);
    // 4 pixels a frame: after 12 hidden frames it is 48 pixels on, nearly five times its width.
    for frame in 0..10 {
        numbers(&mut tracks, &[(4.0 * frame as f32, 0.0), (100.0, 0.0)]);
    }
    for _ in 10..22 {
        assert_eq!(numbers(&mut tracks, &[(100.0, 0.0)]), [1]);
    }
    assert_eq!(numbers(&mut tracks, &[(100.0, 0.0), (88.0, 0.0)]), [1, 2]);
}

#[test]
fn two_that_cross_keep_their_numbers() {
    let mut tracks = Tracks::new(BOXES);
    let at = |frame: usize| [(3.0 * frame as f32, 0.0), (90.0 - 3.0 * frame as f32, 2.0)];
    for frame in 0..31 {
        let [left, right] = at(frame);
        // While they overlap by much, only one of them is found.
        let hidden = (left.0 - right.0).abs() < 8.0;
        let both = [left, right];
        let told = numbers(&mut tracks, &both[..if hidden { 1 } else { 2 }]);
        if frame > 1 && !hidden {
            assert_eq!(told, [1, 2], "frame {frame}");
        }
    }
}

#[test]
fn an_unsure_box_continues_a_track_and_begins_none() {
    let mut tracks = Tracks::new(BOXES);
    let unsure = |x: f32| Candidate { class: 1, score: 0.2, region: Region { x, y: 0.0, width: 10.0, height: 10.0 } };
    let mut follow = |boxes: &[(f32, f32)], candidates: &[Candidate]| {
        let mut found = seen(boxes);
        tracks.follow(&mut found, candidates, None);
        found.iter().map(|detection| (detection.track, detection.score)).collect::<Vec<_>>()
    };
    follow(&[(0.0, 0.0)], &[]);
    assert_eq!(follow(&[(2.0, 0.0)], &[]), [(1, 1.0)]);
    assert_eq!(follow(&[], &[unsure(60.0), unsure(4.0)]), [(1, 0.2)]);
    assert_eq!(follow(&[], &[unsure(6.0)]), [(1, 0.2)], "and again");
    assert_eq!(follow(&[], &[]), []);
    assert_eq!(follow(&[], &[unsure(10.0)]), [], "what was lost comes back by a sure box only");
    assert_eq!(follow(&[(12.0, 0.0)], &[]), [(1, 1.0)]);
}

#[test]
fn an_unsure_box_that_continues_a_track_is_not_given_to_a_new_one_as_well() {
    let mut tracks = Tracks::new(BOXES);
    let unsure = Candidate { class: 1, score: 0.2, region: Region { x: 4.0, y: 0.0, width: 10.0, height: 10.0 } };
    numbers(&mut tracks, &[(0.0, 0.0)]);
    numbers(&mut tracks, &[(2.0, 0.0)]);
    // A second one, seen once, in the very place where the first is seen poorly next.
    numbers(&mut tracks, &[(4.0, 0.0), (5.0, 1.0)]);
    let mut found = seen(&[(60.0, 0.0)]);
    tracks.follow(&mut found, &[unsure], None);
    assert_eq!(found.iter().map(|detection| (detection.track, detection.score)).collect::<Vec<_>>(), [(0, 1.0), (1, 0.2)]);
}

#[test]
fn a_track_tells_its_age_and_its_speed_in_pixels_a_second() {
    let mut tracks = Tracks::new(BOXES);
    let mut last = Detection::default();
    // 25 frames a second, 3 pixels right and 1 up a frame; one in five frames is left out.
    for frame in (0..40u32).filter(|frame| frame % 5 != 4) {
        let mut found = seen(&[(3.0 * frame as f32, 100.0 - frame as f32)]);
        tracks.follow(&mut found, &[], Some(Duration::from_millis(40 * u64::from(frame))));
        last = found[0].clone();
    }
    assert_eq!((last.track, last.track_frames), (1, 31));
    let [right, down] = last.speed_px_s.unwrap();
    assert!((right - 75.0).abs() < 1.0 && (down + 25.0).abs() < 1.0, "{right} {down}");
    // Without times there is no speed to tell.
    let mut untimed = Tracks::new(BOXES);
    for frame in 0..10 {
        let mut found = seen(&[(3.0 * frame as f32, 0.0)]);
        untimed.follow(&mut found, &[], None);
        assert_eq!(found[0].speed_px_s, None);
    }
}

#[test]
fn a_track_is_given_up_in_the_end() {
    let mut tracks = Tracks::new(BOXES);
    let mut follow = |boxes: &[(f32, f32)], ms: u64| {
        let mut found = seen(boxes);
        tracks.follow(&mut found, &[], Some(Duration::from_millis(ms)));
        found.first().map(|detection| detection.track)
    };
    follow(&[(0.0, 0.0)], 0);
    assert_eq!(follow(&[(0.0, 0.0)], 500), Some(1));
    // Few frames, but a long time.
    assert_eq!(follow(&[], 2000), None);
    assert_eq!(follow(&[], 4000), None);
    assert_eq!(follow(&[(0.0, 0.0)], 4500), Some(0));
}

#[test]
fn a_car_that_is_called_a_truck_for_a_frame_is_the_same_track() {
    let mut tracks = Tracks::new(BOXES);
    for class in [1, 1, 2, 1] {
        let mut found = seen(&[(0.0, 0.0)]);
        found[0].class = class;
        tracks.follow(&mut found, &[], None);
        assert_eq!((found[0].track, found[0].class), (u32::from(tracks.known[0].sightings > 1), class));
    }
}

#[test]
fn numbers_go_on_after_a_cut() {
    let mut tracks = Tracks::new(BLOBS);
    numbers(&mut tracks, &[(0.0, 0.0)]);
    tracks.forget();
    assert_eq!(numbers(&mut tracks, &[(0.0, 0.0)]), [2]);
}
