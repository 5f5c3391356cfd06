//! What a device asks is done by the next frame, and nothing else it sends does anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firmware_bridge::{AckResult, Command, Mode, SetBudget, SetMode, SetReportRate, Telemetry, WIRE_VERSION, encode_raw};
use recslowfast::clock;

use crate::board::{Board, FILM, STREAM, captured};
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
    let (board, mut device) = together(STREAM, "fixed:4");
    device.status_that(|status| status.recent.len() > 2 && status.steps == 4);
    // More watts than any board draws: the deadline alone binds.
    let tight = SetBudget { deadline_us: Some(1_000), power_mw: Some(900_000), ..SetBudget::default() };
    assert_eq!(device.ask(Command::SetBudget(tight)), AckResult::Done);
    let next = board.record_begun_after(clock::now());
    assert!(next["steps"].as_u64().unwrap() < 4, "{next}");
    device.status_that(|status| status.steps < 4 && (status.deadline_us, status.power_budget_mw) == (1_000, Some(900_000)));
    let lifted = SetBudget { deadline_us: Some(0), ..SetBudget::default() };
    assert_eq!(device.ask(Command::SetBudget(lifted)), AckResult::Done);
    let next = board.record_begun_after(clock::now());
    assert_eq!(next["steps"], 4, "{next}");
    device.status_that(|status| (status.steps, status.deadline_us, status.power_budget_mw) == (4, 0, Some(900_000)));
    assert_eq!(device.ask(Command::SetMode(SetMode { mode: Mode::Saver })), AckResult::Done);
    device.status_that(|status| status.mode == Mode::Saver);
}

#[test]
fn pause_resume_and_reset() {
    let (board, mut device) = together(FILM, "slow-fast:6,1");
    device.status_that(|status| status.steps == 1);
    assert_eq!(device.ask(Command::Pause), AckResult::Done);
    device.status_that(|status| status.paused);
    let paused = clock::now();
    device.all(Duration::from_millis(300));
    assert_eq!(device.ask(Command::ResetState), AckResult::Done);
    let resumed = clock::now();
    assert_eq!(device.ask(Command::Resume), AckResult::Done);
    let next = board.record_after(paused);
    assert!(captured(&next) > resumed.as_secs_f64(), "a frame was looked at while paused: {next}");
    // The slow path is taken once more.
    assert_eq!(next["steps"], 6, "{next}");
    device.status_that(|status| !status.paused && status.steps == 1);
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

#[test]
fn a_flood_is_dropped_and_frames_go_on() {
    let (board, mut device) = together(STREAM, "fixed:1");
    // A hundred thousand a second, every one of them well formed and new.
    let flood: Vec<u8> = (0..4000_u16)
        .flat_map(|at| {
            let command = if at % 2 == 0 { Command::ResetState } else { Command::SetMode(SetMode { mode: Mode::Accuracy }) };
            command.encode(device.sequence.wrapping_add(at)).unwrap().to_vec()
        })
        .collect();
    let (began, stop) = (Instant::now(), AtomicBool::new(false));
    let flooding = || {
        let (mut sent, mut answered) = (0_u32, 0_u32);
        while !stop.load(Ordering::Relaxed) {
            device.raw(&flood);
            sent += 4000;
            // The device hears what comes back, or the line would stand still.
            let heard = device.all(Duration::from_secs_f64(f64::from(sent) / 1e5).saturating_sub(began.elapsed()));
            answered += heard.iter().filter(|one| matches!(one, Telemetry::Ack(_))).count() as u32;
        }
        (sent, answered)
    };
    let (sent, answered) = std::thread::scope(|scope| {
        let flooding = scope.spawn(flooding);
        // What was pulled before the flood is told first.
        board.record_begun_after(clock::now());
        (0..30).for_each(|_| drop(board.record()));
        stop.store(true, Ordering::Relaxed);
        flooding.join().unwrap()
    });
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{:.0} commands a second for {seconds:.1} s: {answered} of {sent} were answered, and more than 30 frames",
        f64::from(sent) / seconds
    );
    // The gate lets 32 through at once and 50 a second after that.
    assert!(answered > 0 && f64::from(answered) <= 32.0 + 51.0 * seconds, "{answered} in {seconds} s");
    let status = device.status_that(|status| status.mode == Mode::Accuracy);
    assert!(!status.paused);
}
