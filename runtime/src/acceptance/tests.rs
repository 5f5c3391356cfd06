use super::*;

const SIZE: [usize; 2] = [48, 64];

/// Numbers of about a normal distribution, sigma 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..12 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            sum += (self.0 >> 40) as f32 / (1u64 << 24) as f32;
        }
        sum - 6.0
    }
}

/// A picture in grey levels, with noise, as the network's tensor.
fn picture(level: impl Fn(usize, usize) -> f32, sigma: f32, noise: &mut Noise) -> Vec<f32> {
    let pixel = |i: usize| (level(i / SIZE[1] % SIZE[0], i % SIZE[1]), i);
    (0..3 * SIZE[0] * SIZE[1]).map(pixel).map(|(level, _)| ((level + sigma * noise.next()) / 255.0 - 0.5) / 0.5).collect()
}

fn acceptance(settings: Settings) -> Acceptance {
    Acceptance::new(settings, 3, SIZE, &[127.5; 3])
}

#[test]
fn noise_is_not_accepted_and_a_box_is_where_it_is() {
    for sigma in [0.0, 1.0, 3.0, 6.0] {
        let (mut acceptance, mut noise) = (acceptance(Settings::default()), Noise(1));
        assert_eq!(acceptance.look(&picture(|_, _| 90.0, sigma, &mut noise)), 1.0, "the first frame is accepted");
        let mut accepted = 0.0;
        for frame in 0..60 {
            let share = acceptance.look(&picture(|_, _| 90.0, sigma, &mut noise));
            accepted += if frame >= 10 { share } else { 0.0 };
        }
        assert!(accepted / 50.0 <= 0.02, "of noise of {sigma} levels {accepted} is accepted");
        let level = |y: usize, x: usize| if (16..40).contains(&y) && (20..30).contains(&x) { 130.0 } else { 90.0 };
        acceptance.look(&picture(level, sigma, &mut noise));
        for (tile, &changed) in acceptance.changed().iter().enumerate() {
            let inside = (2..5).contains(&(tile / 8)) && (2..4).contains(&(tile % 8));
            assert!(changed || !inside, "tile {tile}, {sigma}: part of the box");
        }
    }
}

#[test]
fn what_creeps_adds_up() {
    let (mut acceptance, mut noise) = (acceptance(Settings::default()), Noise(7));
    acceptance.look(&picture(|_, _| 90.0, 1.0, &mut noise));
    let mut seen = false;
    for frame in 1..200 {
        let level = 90.0 + 0.1 * frame as f32;
        let share = acceptance.look(&picture(move |_, x| if x < 16 { level } else { 90.0 }, 1.0, &mut noise));
        seen |= share > 0.0 && acceptance.changed()[0];
        let shown = (acceptance.accepted()[0] * 0.5 + 0.5) * 255.0;
        assert!((shown - level).abs() < 12.0, "frame {frame}: {level} is taken for {shown}");
    }
    assert!(seen);
}

#[test]
fn a_tile_that_is_not_accepted_stays_as_it_was() {
    let (mut acceptance, mut noise) = (acceptance(Settings::default()), Noise(3));
    let first = picture(|_, _| 90.0, 2.0, &mut noise);
    acceptance.look(&first);
    for _ in 0..20 {
        acceptance.look(&picture(|_, _| 90.0, 2.0, &mut noise));
    }
    let frame = picture(|y, _| if y < 8 { 200.0 } else { 90.0 }, 2.0, &mut noise);
    acceptance.look(&frame);
    for (i, &value) in acceptance.accepted().iter().enumerate() {
        let (y, x) = (i / SIZE[1] % SIZE[0], i % SIZE[1]);
        if acceptance.changed()[y / 8 * 8 + x / 8] {
            assert_eq!(value, frame[i]);
        } else {
            assert_ne!(value, frame[i], "pixel {i} was taken without being accepted");
        }
    }
    assert!(acceptance.changed()[..8].iter().all(|&changed| changed));
}

#[test]
fn an_exposure_step_and_a_cut_are_accepted_as_a_whole() {
    let (mut acceptance, mut noise) = (acceptance(Settings::default()), Noise(5));
    for _ in 0..10 {
        acceptance.look(&picture(|y, x| 60.0 + (y + x) as f32, 2.0, &mut noise));
    }
    assert_eq!(acceptance.look(&picture(|y, x| 1.2 * (60.0 + (y + x) as f32), 2.0, &mut noise)), 1.0);
}

#[test]
fn a_flickering_light_becomes_noise() {
    let (mut acceptance, mut noise) = (acceptance(Settings::default()), Noise(9));
    let mut last = 0.0;
    for frame in 0..200 {
        let lamp = if frame % 2 == 0 { 90.0 } else { 102.0 };
        last = acceptance.look(&picture(|y, x| if y < 16 && x < 16 { lamp } else { 90.0 }, 2.0, &mut noise));
    }
    assert_eq!(last, 0.0, "a light that flickers all the time is not news");
    let seen = acceptance.look(&picture(|y, x| if y < 16 && x < 16 { 160.0 } else { 90.0 }, 2.0, &mut noise));
    assert!(seen > 0.0, "but a real change of it is");
}

#[test]
fn without_a_floor_every_difference_counts() {
    let mut acceptance = acceptance(Settings::exact());
    let mut frame = vec![0.25; 3 * SIZE[0] * SIZE[1]];
    acceptance.look(&frame);
    assert_eq!(acceptance.look(&frame), 0.0);
    frame[SIZE[1] * 9 + 17] = -0.25;
    acceptance.look(&frame);
    let changed: Vec<usize> = acceptance.changed().iter().enumerate().filter(|(_, changed)| **changed).map(|(at, _)| at).collect();
    assert_eq!(changed, [8 + 2]);
}

#[test]
fn what_is_not_a_number_has_changed() {
    let mut acceptance = acceptance(Settings::default());
    let mut frame = vec![0.25; 3 * SIZE[0] * SIZE[1]];
    acceptance.look(&frame);
    frame[0] = f32::NAN;
    acceptance.look(&frame);
    assert!(acceptance.changed()[0]);
}
