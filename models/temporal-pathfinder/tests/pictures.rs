//! What can be said about the pictures from the pictures alone.

use temporal_pathfinder::{Scene, Spec, SpecError, Split, Stream, UnknownSplit, Video, video};

const SPEC: Spec = Spec { split: Split::Easy, seed: 4, size: 64, frames: 8 };

/// The share of `later`'s target pixels with one of `earlier`'s at most `reach` pixels away.
fn near(earlier: &[u8], later: &[u8], size: i32, reach: i32) -> f64 {
    let set = |mask: &[u8], x: i32, y: i32| (0..size).contains(&x) && (0..size).contains(&y) && mask[(y * size + x) as usize] > 0;
    let (mut near, mut all) = (0, 0);
    for (x, y) in (0..size).flat_map(|y| (0..size).map(move |x| (x, y))).filter(|&(x, y)| set(later, x, y)) {
        all += 1;
        near += i32::from((-reach..=reach).any(|dy| (-reach..=reach).any(|dx| set(earlier, x + dx, y + dy))));
    }
    f64::from(near) / f64::from(all.max(1))
}

#[test]
fn a_longer_video_begins_with_the_shorter_one() {
    let short = video(SPEC, 3);
    let long = video(Spec { frames: 20, ..SPEC }, 3);
    assert_eq!(long.frames[..8], short.frames);
    assert_eq!(long.masks[..8], short.masks);
}

#[test]
fn every_key_gives_another_video() {
    let one = video(SPEC, 0);
    let others: [Video; 3] = [video(SPEC, 1), video(Spec { seed: 5, ..SPEC }, 0), video(Spec { split: Split::Hard, ..SPEC }, 0)];
    assert!(others.iter().all(|other| other.frames[0] != one.frames[0]));
    assert_eq!(video(SPEC, 0), one);
}

#[test]
fn the_mask_marks_ink_and_leaves_some_out() {
    for split in [Split::Easy, Split::Hard] {
        for index in 0..100 {
            let video = video(Spec { split, ..SPEC }, index);
            for (frame, mask) in video.frames.iter().zip(&video.masks) {
                assert!(mask.iter().all(|&m| m == 0 || m == 255));
                assert!(frame.iter().zip(mask).all(|(&grey, &m)| m == 0 || grey > 51), "the target is lit");
                let marked = mask.iter().filter(|&&m| m > 0).count();
                assert!((15..=120).contains(&marked), "{split} video {index}: {marked} pixels");
            }
        }
    }
}

#[test]
fn an_unchanged_target_stays_near_where_it_was() {
    let (mut sum, mut count) = (0.0, 0);
    for index in 0..60 {
        let video = video(SPEC, index);
        let mut scene = Scene::new(SPEC, index);
        for masks in video.masks.windows(2) {
            let before = scene.target();
            scene.step();
            if scene.target() == before {
                let share = near(&masks[0], &masks[1], 64, 1);
                assert!(share > 0.8, "video {index}: only {share} within a pixel");
                sum += share;
                count += 1;
            }
        }
    }
    assert!(sum / f64::from(count) > 0.98, "{}", sum / f64::from(count));
}

#[test]
fn a_stream_cuts_where_it_says() {
    let stream: Vec<_> = Stream::new(SPEC).take(1500).collect();
    let cuts: Vec<usize> = (0..stream.len()).filter(|&t| stream[t].cut).collect();
    assert_eq!(cuts[0], 0);
    assert!(cuts.windows(2).all(|c| (20..=60).contains(&(c[1] - c[0]))), "{cuts:?}");
    let lit: Vec<Vec<u8>> = stream.iter().map(|f| f.frame.iter().map(|&grey| if grey > 51 { 255 } else { 0 }).collect()).collect();
    for (t, pair) in (1..).zip(lit.windows(2)) {
        let share = near(&pair[0], &pair[1], 64, 2);
        if stream[t].cut {
            assert!(share < 0.8, "frame {t} begins a scene, yet {share} of it was there before");
        } else {
            assert!(share > 0.85, "frame {t} goes on, yet only {share} of it was there before");
        }
    }
}

#[test]
fn a_stream_is_no_video() {
    let first = Stream::new(SPEC).next().expect("endless").frame;
    assert!((0..50).all(|index| video(SPEC, index).frames[0] != first));
}

#[test]
fn names_and_limits() {
    for split in [Split::Easy, Split::Hard] {
        assert_eq!(split.to_string().parse(), Ok(split));
    }
    assert_eq!("Easy".parse::<Split>(), Err(UnknownSplit("Easy".into())));
    assert_eq!(Spec { size: 31, ..SPEC }.check(), Err(SpecError::Size(31)));
    assert_eq!(Spec { frames: 0, ..SPEC }.check(), Err(SpecError::NoFrames));
    assert_eq!(Spec { size: 2048, ..SPEC }.check(), Ok(()));
    let largest = video(Spec { size: 2048, frames: 2, ..SPEC }, 0);
    assert!(largest.masks[1].contains(&255));
}
