//! Throws hostile bytes at a reader for a time: `recslowfast-fuzz TARGET|all SECONDS [SEED]`; `--list` names the targets.
//!
//! An input that panics, takes longer than two seconds or holds more memory than its reader may is written to `fuzz-TARGET-N` in the
//! working folder, and the exit status is 1. Inputs that reach something new are kept and changed further.

mod coverage;
mod memory;
mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use coverage::Map;
use mutate::{Random, mutate};
use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: memory::Measured = memory::Measured;

/// Longer than this is a hang.
const PATIENCE: Duration = Duration::from_secs(2);
/// Findings after which a target is given up.
const ENOUGH: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--list"] {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return;
    }
    let (name, seconds) = match arguments.as_slice() {
        [name, seconds, ..] => (name.as_str(), seconds.parse().ok()),
        _ => ("", None),
    };
    let chosen: Vec<&Target> = TARGETS.iter().filter(|target| name == "all" || name == target.name).collect();
    let (Some(seconds), false) = (seconds, chosen.is_empty()) else {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("usage: recslowfast-fuzz {}|all SECONDS [SEED]", names.join("|"));
        std::process::exit(2);
    };
    let seed = arguments.get(2).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    if std::env::var_os("FUZZ_SHOW_PANICS").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let findings: usize = chosen.into_iter().map(|target| fuzz(target, Duration::from_secs(seconds), seed)).sum();
    std::process::exit(i32::from(findings > 0));
}

/// Time this thread has had a processor: a busy machine must not look like a hang.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs one target; the answer is how many inputs it could not bear.
fn fuzz(target: &Target, time: Duration, seed: u64) -> usize {
    let mut random = Random(seed);
    let mut map = Map::new();
    let mut corpus = (target.seeds)();
    let (mut runs, mut findings, mut most, mut slowest) = (0_u64, 0, 0, Duration::ZERO);
    let start = Instant::now();
    let mut pending: Vec<Vec<u8>> = corpus.clone();
    while start.elapsed() < time && findings < ENOUGH {
        let honest = pending.pop();
        let input = honest.unwrap_or_else(|| {
            let mut input = corpus[random.below(corpus.len())].clone();
            let other = random.below(corpus.len());
            mutate(&mut input, &corpus[other], &mut random);
            input
        });
        map.clear();
        let held = memory::begin();
        let began = processor_time();
        let result = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        let (took, memory) = (processor_time().saturating_sub(began), memory::most_since(held));
        runs += 1;
        slowest = slowest.max(took);
        most = most.max(memory);
        let wrong = match result {
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Some(format!("panicked: {}", text.unwrap_or_default()))
            }
            Ok(()) if took > PATIENCE => Some(format!("took {took:?}")),
            Ok(()) if memory > target.memory => Some(format!("held {} MiB", memory >> 20)),
            Ok(()) => None,
        };
        if let Some(wrong) = wrong {
            let file = format!("fuzz-{}-{findings}", target.name);
            let kept = std::fs::write(&file, &input).is_ok();
            println!(
                "{}: an input of {} bytes {wrong}{}",
                target.name,
                input.len(),
                if kept { format!(" (kept in {file})") } else { String::new() }
            );
            findings += 1;
        } else if map.add() {
            corpus.push(input);
        }
    }
    let reach = if map.counts() { format!("{} blocks reached, {} inputs kept", map.reached(), corpus.len()) } else { "blind".into() };
    println!(
        "{:<7} {runs} runs in {:.0} s, {reach}, slowest {:.0} ms, most memory {:.1} MiB, findings {findings}",
        target.name,
        start.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1e3,
        most as f64 / f64::from(1 << 20)
    );
    findings
}
