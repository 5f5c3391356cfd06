//! Only what moved: with tiles the CPU engine gives the bits of its dense run wherever it computes exactly, and looks where something moves.

use recslowfast::engine::cpu::simd::Isa;
use recslowfast::engine::cpu::tiles::Settings;
use recslowfast::engine::cpu::{CpuEngine, Options};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;
use recslowfast::outcome::TileMap;

/// Frames of a film; more by TILES_FRAMES.
fn frames() -> usize {
    std::env::var("TILES_FRAMES").ok().and_then(|count| count.parse().ok()).unwrap_or(4)
}

/// Numbers from 0 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Of about a normal distribution, sigma 1.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.next()).sum::<f32>() - 6.0
    }
}

/// A street that stands still, in grey levels, and a box of 24x60 in it from (x, y) on; nobody where there is none.
fn street(size: [usize; 2], at: Option<(usize, usize)>, pixel: (usize, usize, usize)) -> f32 {
    let (channel, y, x) = pixel;
    let (high, wide) = (size[0] as f32, size[1] as f32);
    if at.is_some_and(|(left, top)| (left..left + wide as usize * 24 / 320).contains(&x) && (top..top + high as usize / 4).contains(&y)) {
        return 40.0 + (channel * 20 + (y % 7) * 6) as f32;
    }
    let (v, u) = (y as f32 / high, x as f32 / wide);
    let facade = if (y / 9 + x / 13) % 2 == 0 { 150.0 } else { 95.0 };
    if v < 0.3 {
        200.0 - 60.0 * v
    } else if v < 0.6 {
        facade + 20.0 * u
    } else {
        90.0 + ((y * 31 + x * 17) % 23) as f32
    }
}

/// A picture as the network's tensor.
fn tensor(network: &Network, at: Option<(usize, usize)>, noise: f32, random: &mut Random) -> Vec<f32> {
    let input = &network.manifest.input;
    let (h, w) = (input.height as usize, input.width as usize);
    let value = |i: usize| {
        let channel = i / (h * w);
        let level = street([h, w], at, (channel, i / w % h, i % w)) + if noise > 0.0 { noise * random.normal() } else { 0.0 };
        let of = |values: &[f32]| values[channel.min(values.len() - 1)];
        (level.round().clamp(0.0, 255.0) / 255.0 - of(&input.mean)) / of(&input.std)
    };
    (0..input.channels as usize * h * w).map(value).collect()
}

fn zoo() -> Vec<Network> {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/zoo")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().map(|folder| Network::load(folder.to_str().unwrap()).unwrap()).collect()
}

fn tiled(network: &Network, settings: Settings, threads: usize, isa: Isa) -> CpuEngine {
    CpuEngine::with(network, Options { threads, isa, tiles: Some(settings), ..Options::default() }).unwrap()
}

fn frame(engine: &mut CpuEngine, tensor: &[f32], rule: HaltingRule) -> (recslowfast::outcome::StepTrace, Vec<f32>) {
    engine.input().copy_from_slice(tensor);
    engine.encode().unwrap();
    let trace = engine.advance(&StepRequest { rule, limit: 64, deadline: None }).unwrap();
    (trace, engine.readout().unwrap().to_vec())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn exact_tiles_give_the_bits_of_the_dense_run() {
    let mut local = Vec::new();
    for network in zoo() {
        for isa in Isa::available() {
            for threads in [1, 2] {
                let mut by_tiles = tiled(&network, Settings::exact(), threads, isa);
                if !by_tiles.is_tiled() {
                    continue;
                }
                let mut dense = CpuEngine::with(&network, Options { threads, isa, ..Options::default() }).unwrap();
                let (w, name) = (network.manifest.input.width as usize, &network.manifest.name);
                let mut random = Random(5);
                for number in 0..frames() {
                    // It walks, stands for two frames, leaves, and comes back.
                    let at = (number % 7 != 5).then_some((w / 8 + (number / 3 * 7) % (w / 2), w / 5));
                    let picture = tensor(&network, at, 0.0, &mut random);
                    let rule = HaltingRule::fixed(1 + number as u32 % 2);
                    let (_, want) = frame(&mut dense, &picture, rule);
                    let (trace, got) = frame(&mut by_tiles, &picture, rule);
                    let what = format!("{name}, {isa:?}, {threads} threads, frame {number}, {} moved", trace.moved);
                    assert_eq!(bits(&got), bits(&want), "{what}: the answer");
                    for (got, want) in by_tiles.tensors().iter().zip(dense.tensors()) {
                        assert!(bits(got) == bits(&want), "{what}: a state or the drive");
                    }
                    assert!(number == 0 || trace.moved < 0.5, "{what}");
                }
                local.push(name.clone());
            }
        }
    }
    local.dedup();
    for wanted in ["street", "camvid"] {
        assert!(local.iter().any(|name| name == wanted), "{wanted} is local, but only {local:?} ran by tiles");
    }
}

#[test]
fn a_network_that_is_not_local_is_run_densely_and_says_why() {
    let network = Network::load("pathfinder-hgru").unwrap();
    let engine = tiled(&network, Settings::default(), 1, Isa::best());
    assert!(!engine.is_tiled());
    let reason = engine.not_tiled().unwrap();
    assert!(reason.contains("onnx") && reason.contains("statistics"), "{reason}");
}

#[test]
fn a_box_that_walks_is_stepped_where_it_moved_in_every_frame() {
    let network = Network::load("street").unwrap();
    let mut engine = tiled(&network, Settings::default(), 2, Isa::best());
    let (rule, mut random) = (network.manifest.rule(), Random(3));
    let size = [network.manifest.input.height as usize, network.manifest.input.width as usize];
    let mut last = None;
    for number in 0..frames().max(12) {
        let at = (40 + 4 * number % 200, 90);
        let (trace, _) = frame(&mut engine, &tensor(&network, Some(at), 2.0, &mut random), rule);
        if let Some((left, top)) = last {
            assert!(trace.steps > 0, "frame {number} was not stepped");
            // The edges that moved, at the accepted input: what the network saw there is the box as it is now.
            let seen = engine.accepted();
            for (y, x) in [(top + 20, at.0 + 24), (top + 20, left + 1)] {
                let x = x.min(size[1] - 1);
                let level = (seen[y * size[1] + x] * network.manifest.input.std[0] + network.manifest.input.mean[0]) * 255.0;
                let wanted = street(size, Some(at), (0, y, x));
                assert!((level - wanted).abs() < 14.0, "frame {number}: ({x}, {y}) is seen as {level}, not {wanted}");
            }
        }
        last = Some(at);
    }
}

#[test]
fn sensor_noise_on_a_scene_that_stands_still_is_not_computed() {
    let network = Network::load("street").unwrap();
    let mut engine = tiled(&network, Settings::default(), 2, Isa::best());
    let (rule, mut random) = (network.manifest.rule(), Random(11));
    let mut moved = 0.0;
    let (still, counted) = (8, frames().max(20));
    for number in 0..still + counted {
        let (trace, _) = frame(&mut engine, &tensor(&network, None, 3.0, &mut random), rule);
        moved += if number >= still { trace.moved } else { 0.0 };
    }
    let share = moved / counted as f32;
    assert!(share <= 0.02, "{share} of the picture was taken for moved");
}

#[test]
fn a_scene_that_nobody_enters_does_not_drift() {
    let network = Network::load("street").unwrap();
    let mut engine = tiled(&network, Settings::default(), 2, Isa::best());
    let (rule, mut random) = (network.manifest.rule(), Random(23));
    // An hour at 25 frames a second is TILES_FRAMES=90000; most frames of it cost nothing.
    for number in 0..frames().max(60) {
        let at = (number < 6).then_some((60 + 8 * number, 90));
        frame(&mut engine, &tensor(&network, at, 2.0, &mut random), rule);
    }
    let mut fresh = CpuEngine::with(&network, Options { threads: 2, ..Options::default() }).unwrap();
    frame(&mut fresh, &engine.accepted(), HaltingRule::fixed(12));
    let wanted = rule.threshold.unwrap();
    for (name, (got, want)) in ["drive", "h8", "h16"].iter().zip(engine.tensors().iter().zip(fresh.tensors())) {
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
        let apart = square(&mut got.iter().zip(&want).map(|(a, b)| a - b)) / square(&mut want.iter().copied());
        assert!(apart.sqrt() < f64::from(wanted), "{name} is {} of itself away from a fresh dense run", apart.sqrt());
    }
}

#[test]
fn a_share_of_tiles_can_be_a_cut() {
    let network = Network::load("street").unwrap();
    let settings = Settings { cut: Some(0.5), ..Settings::default() };
    let [mut told, mut plain] = [settings, Settings::default()].map(|settings| tiled(&network, settings, 2, Isa::best()));
    // Without a cut of its own, so that only tiles can tell.
    let rule = HaltingRule { cut: None, ..HaltingRule::slow_fast(6, 1) };
    let mut random = Random(1);
    let (still, dark) =
        (tensor(&network, None, 0.0, &mut random), tensor(&network, None, 0.0, &mut random).iter().map(|x| x * 0.3).collect::<Vec<_>>());
    for (picture, slow) in [(&still, true), (&still, false), (&dark, true), (&dark, false)] {
        let steps = frame(&mut told, picture, rule).0.limit;
        assert_eq!(steps, if slow { 6 } else { 1 });
        frame(&mut plain, picture, rule);
    }
    let limit = frame(&mut plain, &still, rule).0.limit;
    assert_eq!(limit, 1, "old files know no share of tiles");
}

#[test]
fn a_camera_that_moves_is_run_densely_and_answers_what_the_dense_run_does() {
    let network = Network::load("street").unwrap();
    let mut engine = tiled(&network, Settings::default(), 2, Isa::best());
    let mut dense = CpuEngine::with(&network, Options { threads: 2, ..Options::default() }).unwrap();
    let (rule, mut random) = (network.manifest.rule(), Random(7));
    let wide = network.manifest.input.width as usize;
    let scene = tensor(&network, None, 40.0, &mut random);
    for number in 0..frames().max(10) {
        // Every pixel differs from its neighbours. All of it goes by to the left.
        let picture: Vec<f32> = (0..scene.len()).map(|at| scene[at / wide * wide + (at % wide + 5 * number) % wide]).collect();
        let (trace, got) = frame(&mut engine, &picture, rule);
        let (_, want) = frame(&mut dense, &picture, rule);
        assert_eq!((trace.moved, trace.stepped, trace.encoded), (1.0, 1.0, 1.0), "frame {number}");
        assert_eq!(bits(&got), bits(&want), "frame {number}");
    }
}

#[test]
fn the_map_shows_the_tiles_of_the_box_that_walks() {
    let network = Network::load("street").unwrap();
    let mut engine = tiled(&network, Settings::default(), 2, Isa::best());
    let (rule, mut random, mut map) = (network.manifest.rule(), Random(13), TileMap::default());
    let size = [network.manifest.input.width, network.manifest.input.height];
    for number in 0..6 {
        let at = (40 + 8 * number, 90);
        frame(&mut engine, &tensor(&network, Some(at), 1.0, &mut random), rule);
        assert!(engine.tiles(&mut map));
        assert_eq!((map.size.map(u32::from), map.side), (size, 8));
        let all = usize::from(map.columns) * usize::from(map.rows);
        let number_of = |x: usize, y: usize| y / 8 * usize::from(map.columns) + x / 8;
        if number < 2 {
            assert_eq!([TileMap::count(&map.moved), TileMap::count(&map.stepped)], [all; 2], "the first frames are whole ones");
            continue;
        }
        for (x, y) in [(at.0 + 20, at.1 + 20), (at.0 - 4, at.1 + 20)] {
            assert!(TileMap::has(&map.moved, number_of(x, y)) && TileMap::has(&map.stepped, number_of(x, y)), "frame {number}: ({x}, {y})");
        }
        assert!(!TileMap::has(&map.moved, number_of(250, 30)) && TileMap::count(&map.moved) < all / 10, "frame {number}");
    }
    let mut plain = CpuEngine::with(&network, Options { threads: 1, ..Options::default() }).unwrap();
    assert!(!plain.tiles(&mut map), "where everything is computed there is no map");
}
