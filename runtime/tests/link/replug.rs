//! A cable that is pulled and put back under load, and what links cost the frames.

use std::time::{Duration, Instant};

use firmware_bridge::{AckResult, Command, SetReportRate, Telemetry};

use crate::board::Board;
use crate::device::Device;
use crate::pty::Socket;

const LOAD: SetReportRate = SetReportRate { status_period_ms: 20, detections_period_ms: 1 };

/// Plugs and unplugs `times`, leaving the cable in for `long` beyond the return; gives how long each return took.
fn replugged(socket: &Socket, times: u16, long: Duration) -> Vec<Duration> {
    (0..times)
        .map(|at| {
            let mut device = Device::new(socket.plug());
            let began = Instant::now();
            device.wait(|telegram| matches!(telegram, Telemetry::Hello(_)).then_some(()));
            let took = began.elapsed();
            device.sequence = 10 * at;
            assert_eq!(device.ask(Command::AskHello), AckResult::Done);
            assert_eq!(device.ask(Command::SetReportRate(LOAD)), AckResult::Done);
            device.all(long);
            socket.unplug();
            took
        })
        .collect()
}

#[test]
fn a_pulled_cable_is_found_again() {
    let socket = Socket::new();
    let board = Board::start(&["--halt", "fixed:1", "--report", &format!("link:{}", socket.path().display())]);
    board.record();
    println!("back after {:?}", replugged(&socket, 3, Duration::from_millis(200)));
    let log = board.end();
    assert_eq!(log.matches("open at").count(), 3, "{log}");
}

/// Median and 99th percentile, in milliseconds, of the time a frame's own work took and of its age.
fn figures(records: &[serde_json::Value]) -> [(f64, f64); 2] {
    let sorted = |figure: &dyn Fn(&serde_json::Value) -> f64| {
        let mut all: Vec<f64> = records.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[all.len() * 99 / 100])
    };
    let work = |record: &serde_json::Value| record["stages_ms"].as_object().unwrap().values().map(|stage| stage.as_f64().unwrap()).sum();
    [sorted(&work), sorted(&|record| record["age_ms"].as_f64().unwrap())]
}

#[test]
#[ignore = "takes a minute: .ci/verbs/link"]
fn twenty_replugs_under_load_beside_no_link_at_all() {
    let socket = Socket::new();
    // Both run at the same time, so that whatever else this machine does happens to both.
    let stream = "pathfinder:easy?seed=7&size=64&fps=50";
    let alone = Board::watching(stream, &["--threads", "1", "--halt", "fixed:1"]);
    let linked =
        Board::watching(stream, &["--threads", "1", "--halt", "fixed:1", "--report", &format!("link:{}", socket.path().display())]);
    alone.record();
    linked.record();
    let mut took = replugged(&socket, 20, Duration::from_secs(1));
    took.sort();
    let (alone, linked) = (alone.records(), linked.records());
    let ([work, age], [linked_work, linked_age]) = (figures(&alone), figures(&linked));
    println!("20 replugs: back after {:?} in the median, {:?} at most", took[10], took[19]);
    println!(
        "frames: {} without a link, {} with one; work, median and p99: {work:.2?} ms without, {linked_work:.2?} with",
        alone.len(),
        linked.len()
    );
    println!("age, median and p99: {age:.2?} ms without, {linked_age:.2?} with");
    assert!(took[19] < Duration::from_secs(10), "{took:?}");
    // Both programs share the cores with each other and with whatever else runs: a few frames more or less make tenths.
    assert!(linked_work.0 < 1.3 * work.0 + 1.0, "the median frame took {:.2} ms longer", linked_work.0 - work.0);
}
