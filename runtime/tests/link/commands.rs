//! What a device asks is done by the next frame, and nothing else it sends does anything.

use std::time::{Duration, Instant};

use firmware_bridge::{AckResult, Command, Mode, SetBudget, SetMode, SetReportRate, Telemetry, WIRE_VERSION, encode_raw};

use crate::board::{Board, FILM, STREAM};
use crate::device::Device;
use crate::pty::Socket;

const FAST: SetReportRate = SetReportRate { status_period_ms: 20, detections_period_ms: 0 };

/// A board and a device that has opened the command sequence.
fn together(stream: &str, halt: &str) -> (Board, Device) {
    let socket = Socket::new();
    let mut device = Device::new(socket.plug());
    let board = Board::watching(stream, &["--halt", halt, "--report", &format!("link:{}", socket.path().display())]);
    device.status();
    assert_eq!(device.ask(Command::AskHello), AckResult::Done);
    assert_eq!(device.ask(Command::SetReportRate(FAST)), AckResult::Done);
    (board, device)
}

#[test]
fn a_budget_holds_from_the_next_frame_on() {
    let (_board, mut device) = together(STREAM, "fixed:4");
    device.status_that(|status| status.recent.len() > 2 && status.steps == 4);
    let tight = SetBudget { deadline_us: Some(1_000), power_mw: Some(9_000), ..SetBudget::default() };
    assert_eq!(device.ask(Command::SetBudget(tight)), AckResult::Done);
    let after = device.second_new_frame();
    assert!(after.steps < 4, "{after:?}");
    assert_eq!((after.deadline_us, after.power_budget_mw), (1_000, Some(9_000)));
    let lifted = SetBudget { deadline_us: Some(0), ..SetBudget::default() };
    assert_eq!(device.ask(Command::SetBudget(lifted)), AckResult::Done);
    let after = device.second_new_frame();
    assert_eq!((after.steps, after.deadline_us, after.power_budget_mw), (4, 0, Some(9_000)));
    assert_eq!(device.ask(Command::SetMode(SetMode { mode: Mode::Saver })), AckResult::Done);
    device.status_that(|status| status.mode == Mode::Saver);
}

#[test]
fn pause_resume_and_reset() {
    let (_board, mut device) = together(FILM, "slow-fast:6,1");
    device.status_that(|status| status.steps == 1);
    assert_eq!(device.ask(Command::Pause), AckResult::Done);
    let paused = device.status_that(|status| status.paused);
    device.all(Duration::from_millis(300));
    let still = device.status();
    assert!(still.frame <= paused.frame + 1, "{} and then {}", paused.frame, still.frame);
    assert_eq!(device.ask(Command::Resume), AckResult::Done);
    device.status_that(|status| !status.paused && status.frame > still.frame && status.steps == 1);
    assert_eq!(device.ask(Command::ResetState), AckResult::Done);
    // The slow path is taken once more.
    device.status_that(|status| status.recent.iter().rev().take(8).any(|steps| *steps == 6));
    device.status_that(|status| status.steps == 1);
}

#[test]
fn damaged_impossible_and_old_commands_do_nothing_but_are_answered() {
    let (_board, mut device) = together(STREAM, "fixed:1");
    let before = device.status_that(|status| status.recent.len() > 2);
    // Out of range: one millisecond is the least deadline. 0x41, deadline 5 µs.
    let send = |device: &mut Device, kind: u8, payload: &[u8]| {
        let sequence = device.sequence;
        device.sequence += 1;
        device.raw(&encode_raw(WIRE_VERSION, kind, sequence, payload).unwrap());
        device.ack(sequence).result
    };
    assert_eq!(send(&mut device, 0x41, &[1, 5, 0, 0, 0]), AckResult::OutOfRange);
    assert_eq!(send(&mut device, 0x41, &[9]), AckResult::Malformed);
    assert_eq!(send(&mut device, 0x42, &[7]), AckResult::OutOfRange);
    assert_eq!(send(&mut device, 0x7E, &[]), AckResult::Unsupported);
    // A repeat is answered again and not carried out again; an old one is stale.
    let sequence = device.send(Command::Pause);
    assert_eq!(device.ack(sequence).result, AckResult::Done);
    let pause = Command::Pause.encode(sequence).unwrap();
    assert_eq!(device.ask(Command::Resume), AckResult::Done);
    device.raw(&pause);
    assert_eq!(device.ack(sequence).result, AckResult::Stale);
    let resume = Command::Resume.encode(sequence + 1).unwrap();
    device.raw(&resume);
    assert_eq!(device.ack(sequence + 1).result, AckResult::Done);
    // A damaged one is not even answered.
    let mut damaged = Command::Pause.encode(sequence + 2).unwrap().to_vec();
    damaged[3] ^= 0x10;
    device.raw(&damaged);
    assert!(!device.all(Duration::from_millis(300)).iter().any(|one| matches!(one, Telemetry::Ack(_))));
    let after = device.status_that(|status| status.frame > before.frame + 3);
    assert!(!after.paused && after.deadline_us == before.deadline_us && after.mode == before.mode, "{after:?}");
}

/// Frames in `time`, and the time the 99th of a hundred took from capture to result, in milliseconds.
fn pace(board: &Board, time: Duration) -> (usize, f64) {
    board.records(Duration::ZERO);
    let records = board.records(time);
    let mut ages: Vec<f64> = records.iter().map(|record| record["age_ms"].as_f64().unwrap()).collect();
    ages.sort_by(f64::total_cmp);
    (ages.len(), ages[(ages.len() * 99 / 100).min(ages.len() - 1)])
}

#[test]
fn a_flood_is_dropped_and_frames_go_on() {
    let (board, mut device) = together(STREAM, "fixed:1");
    device.status_that(|status| status.recent.len() > 10);
    let (calm, _) = pace(&board, Duration::from_secs(3));
    // A hundred thousand a second, every one of them well formed and new.
    let flood: Vec<u8> = (0..4000_u16)
        .flat_map(|at| {
            let command = if at % 2 == 0 { Command::ResetState } else { Command::SetMode(SetMode { mode: Mode::Accuracy }) };
            command.encode(device.sequence.wrapping_add(at)).unwrap().to_vec()
        })
        .collect();
    let began = Instant::now();
    let (stop, sent) = (std::sync::atomic::AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
    let flooded = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                device.raw(&flood);
                let sent = sent.fetch_add(4000, std::sync::atomic::Ordering::Relaxed) + 4000;
                // The device hears what comes back, or the line would stand still.
                device.drain();
                std::thread::sleep(Duration::from_secs_f64(sent as f64 / 1e5).saturating_sub(began.elapsed()));
            }
        });
        let (flooded, _) = pace(&board, Duration::from_secs(3));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        flooded
    });
    let rate = sent.into_inner() as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} commands a second: {calm} frames in three seconds before, {flooded} during");
    assert!(flooded as f64 > 0.6 * calm as f64, "{calm} frames before the flood, {flooded} during");
    let status = device.status_that(|_| true);
    assert!(!status.paused);
}
