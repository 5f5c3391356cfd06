//! The longer runs of what the tests do briefly: `cargo run --release -p firmware-bridge --example fuzz -- packets 10000000` or `-- line 1000000`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

fn main() {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_else(|| "packets".into());
    let runs = words.next().map_or(100_000, |runs| runs.parse().expect("a number of runs"));
    let seed = words.next().map_or(1, |seed| seed.parse().expect("a seed"));
    let start = Instant::now();
    match what.as_str() {
        "packets" => {
            let (accepted, read) = common::fuzz::damaged_packets(runs, seed);
            println!("{runs} runs, {accepted} packets accepted, {read} messages read and written again, no finding");
        }
        "line" => {
            let line = common::fuzz::bad_line(runs, seed);
            println!("{line:#?}");
            let damaged = (line.sent - line.untouched) as f64;
            println!("expected to slip past 32 bits: {:.1e}, past 16 bits: {:.1}", damaged / 2f64.powi(32), damaged / 2f64.powi(16));
            println!("measured: {}", line.false_ones);
            assert_eq!((line.false_ones, line.slow_returns), (0, 0));
        }
        other => panic!("{other}: packets or line"),
    }
    println!("{:.1} s", start.elapsed().as_secs_f64());
}
