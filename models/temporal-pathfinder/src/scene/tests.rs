//! What every scene must keep to, tried on many.

use super::*;

/// Calls `check` on every frame of `videos` scenes of `frames` frames at each size.
fn every_frame(split: Split, sizes: &[u32], videos: u64, frames: u32, mut check: impl FnMut(&Scene, &str)) {
    for &size in sizes {
        let spec = Spec { split, seed: 17, size, frames };
        for index in 0..videos {
            let mut scene = Scene::new(spec, index);
            for t in 0..frames {
                check(&scene, &format!("{split} {size}, video {index}, frame {t}"));
                scene.step();
            }
        }
    }
}

fn pairs_of_paddles(scene: &Scene) -> impl Iterator<Item = (Paddle, Paddle)> + '_ {
    let m = &scene.measures;
    (0..scene.contours.len()).flat_map(move |i| {
        let (one, others) = (&scene.contours[i], &scene.contours[i + 1..]);
        one.inked(m).flat_map(move |(a, ..)| others.iter().flat_map(move |other| other.inked(m).map(move |(b, ..)| (a, b))))
    })
}

/// Length of ink of contour `i`, in 1/4096 pixel: counted from what is drawn, not from the window.
fn drawn(scene: &Scene, i: usize) -> i32 {
    scene.contours[i].inked(&scene.measures).map(|(_, from, to)| to - from).sum()
}

#[test]
fn easy_contours_keep_clear() {
    every_frame(Split::Easy, &[32, 64, 150, 300], 25, 40, |scene, at| {
        let clear = scene.measures.pitch * 3 / 2;
        assert!(pairs_of_paddles(scene).all(|(a, b)| !a.centre.closer_than(b.centre, clear)), "{at}");
    });
}

#[test]
fn hard_contours_cross_at_an_angle() {
    let (mut crossing, mut all) = (0, 0);
    every_frame(Split::Hard, &[64, 150], 40, 20, |scene, at| {
        let pitch = scene.measures.pitch;
        let mut close = pairs_of_paddles(scene).filter(|(a, b)| a.centre.closer_than(b.centre, pitch)).peekable();
        crossing += usize::from(close.peek().is_some());
        all += 1;
        assert!(close.all(|(a, b)| line_angle(a.angle, b.angle) >= CROSSING), "{at}");
    });
    assert!(crossing * 4 > all, "contours touch in {crossing} of {all} frames");
    assert!(crossing < all, "contours touch in every frame");
}

#[test]
fn the_target_has_the_most_ink_but_for_the_gaps() {
    for split in [Split::Easy, Split::Hard] {
        every_frame(split, &[32, 64, 150], 25, 40, |scene, at| {
            let target = scene.target();
            let length = scene.contours[target].length();
            // Windows of one length may differ by a paddle's ink, according to where their ends fall.
            let most = (0..scene.contours.len()).map(|i| drawn(scene, i)).max().unwrap_or(0);
            assert!(drawn(scene, target) + scene.measures.paddle >= most, "{at}");
            assert!(scene.contours.iter().all(|c| c.length() <= length), "{at}");
        });
    }
}

#[test]
fn most_frames_have_one_clear_answer() {
    let (mut close, mut all) = (0, 0);
    every_frame(Split::Easy, &[64], 200, 20, |scene, _| {
        let mut lengths: Vec<i32> = scene.contours.iter().map(Contour::length).collect();
        lengths.sort_unstable();
        let longest = lengths[lengths.len() - 1];
        close += usize::from(lengths.len() > 1 && lengths[lengths.len() - 2] * 10 > longest * 9);
        all += 1;
    });
    assert!(close * 20 < all, "the second is within a tenth of the longest in {close} of {all} frames");
}

#[test]
fn the_lead_changes_in_some_videos() {
    let videos = 300;
    let spec = Spec { split: Split::Easy, seed: 5, size: 64, frames: 8 };
    let changed = (0..videos)
        .filter(|&index| {
            let mut scene = Scene::new(spec, index);
            let first = scene.target();
            (1..spec.frames).any(|_| {
                scene.step();
                scene.target() != first
            })
        })
        .count();
    assert!((20..=90).contains(&changed), "in {changed} of {videos}");
}

#[test]
fn chains_hold_together_and_stay_on_the_canvas() {
    every_frame(Split::Hard, &[32, 64, 150], 20, 60, |scene, at| {
        let m = &scene.measures;
        for contour in &scene.contours {
            assert!(contour.length() > ONE && contour.tail >= 0 && contour.head <= contour.reach(m), "{at}: {contour:?}");
            assert!(contour.paddles.iter().all(|p| scene.on_canvas(p.centre)), "{at}: {contour:?}");
            for (a, b) in contour.paddles.iter().zip(contour.paddles.iter().skip(1)) {
                let bend = (b.angle - a.angle + TURN / 2).rem_euclid(TURN) - TURN / 2;
                assert!(bend.abs() <= TURN * 50 / 360, "{at}: bends by {bend}");
                let joint = a.centre.plus(Point::polar(m.pitch / 2, a.angle)).plus(Point::polar(m.pitch / 2, b.angle));
                assert!(joint.closer_than(b.centre, 8), "{at}: {a:?} and {b:?} come apart");
            }
        }
    });
}

#[test]
fn little_moves_in_a_frame() {
    for split in [Split::Easy, Split::Hard] {
        let mut before: Option<(String, Scene)> = None;
        every_frame(split, &[64, 150], 20, 30, |scene, at| {
            let video = at.split(", frame").next().unwrap_or_default().to_owned();
            if let Some((_, old)) = before.as_ref().filter(|(v, _)| *v == video) {
                for (a, b) in old.contours.iter().zip(&scene.contours) {
                    assert!((a.length() - b.length()).abs() <= SHED, "{at}");
                    // Some paddle is still there, and has moved by half a pixel at the most.
                    let kept = b.paddles.iter().any(|p| a.paddles.iter().any(|q| q.centre.closer_than(p.centre, ONE / 2)));
                    assert!(kept, "{at}");
                }
            }
            before = Some((video, scene.clone()));
        });
    }
}

#[test]
fn turning_round_changes_no_pixel() {
    let spec = Spec { split: Split::Easy, seed: 2, size: 64, frames: 1 };
    for index in 0..50 {
        let scene = Scene::new(spec, index);
        let mut turned = scene.clone();
        for contour in &mut turned.contours {
            contour.turn_round(&scene.measures);
        }
        let draw = |scene: &Scene| {
            let (mut luma, mut mask) = (vec![0; spec.pixels()], vec![0; spec.pixels()]);
            scene.draw(&mut luma, &mut mask);
            luma
        };
        // Rounding of a window's end to 1/4096 pixel may show as one grey level.
        let worst = draw(&scene).iter().zip(draw(&turned)).map(|(&a, b)| a.abs_diff(b)).max();
        assert!(worst <= Some(2), "video {index}: {worst:?}");
    }
}
