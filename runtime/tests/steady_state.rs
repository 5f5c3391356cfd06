//! Once it runs, the CPU engine allocates nothing: not for a frame, not for a step.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use recslowfast::engine::cpu::tiles::Settings;
use recslowfast::engine::cpu::{CpuEngine, Options};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;
use recslowfast::outcome::TileMap;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes every call on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn frames_and_steps_allocate_nothing() {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/zoo")).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.is_dir()) {
        let network = Network::load(folder.to_str().unwrap()).unwrap();
        let mut engine = CpuEngine::with(&network, Options { threads: 2, ..Options::default() }).unwrap();
        let order = StepRequest { rule: HaltingRule::fixed(3), limit: 64, deadline: None };
        let steps = if network.step.is_some() { 3 } else { 0 };
        let frame = |engine: &mut CpuEngine, level: f32| {
            engine.input().fill(level);
            engine.encode().unwrap();
            assert_eq!(engine.advance(&order).unwrap().steps, steps);
            engine.readout().unwrap().len()
        };
        frame(&mut engine, 0.1);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for level in [0.2, 0.5, 0.9] {
            frame(&mut engine, level);
        }
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "{}", folder.display());
        for settings in [Settings::exact(), Settings::default()] {
            let mut engine = CpuEngine::with(&network, Options { threads: 2, tiles: Some(settings), ..Options::default() }).unwrap();
            // A corner changes, another one, nothing, and everything: a few tiles, none, and frames that are run as a whole.
            let mut map = TileMap::default();
            let mut frame = |engine: &mut CpuEngine, at: usize, count: usize, level: f32| {
                engine.input()[at..at + count].fill(level);
                engine.encode().unwrap();
                engine.advance(&order).unwrap();
                engine.tiles(&mut map);
                engine.readout().unwrap().len()
            };
            let all = engine.input().len();
            frame(&mut engine, 0, all, 0.1);
            // The first frames are whole ones; then a few tiles, and once more as a whole.
            for (at, count, level) in [(0, 40, 0.3), (0, 40, 0.5), (0, all, 0.8), (0, all, 0.3), (0, 40, 0.6)] {
                frame(&mut engine, at, count, level);
            }
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for (at, count, level) in [(0, 60, 0.5), (all / 2, 500, 0.9), (0, 0, 0.0), (0, all, 0.4), (0, all, 0.7), (30, 60, 0.2)] {
                frame(&mut engine, at, count, level);
            }
            assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "{} by tiles", folder.display());
        }
    }
}
