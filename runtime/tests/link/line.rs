//! Two processes, a pseudo-terminal between them, and a line that flips bits, loses bytes and doubles them.
//!
//! The sender is this very test program, started again. Both ends draw the same dice, so the receiver knows every telegram and every damage.
//! `LINK_TELEGRAMS` says how many; a million takes about half a minute.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use firmware_bridge::{Ack, AckResult, Decoder, Detection, Detections, Log, LogLevel, Status, Telemetry, text};
use serialport::SerialPort;

use crate::pty::Socket;

const SEED: u64 = 7;
/// The far end's name, for the process that sends.
const SENDER: &str = "LINK_SENDER";

fn telegrams() -> usize {
    std::env::var("LINK_TELEGRAMS").map_or(20_000, |number| number.parse().expect("LINK_TELEGRAMS is a number"))
}

struct Dice(u64);

impl Dice {
    /// splitmix64
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// How many trials go by before one succeeds, each with a chance of one in `n`.
    fn gap(&mut self, n: f64) -> u64 {
        let share = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        ((1.0 - share).ln() / (1.0 - 1.0 / n).ln()) as u64
    }
}

/// Telegrams in their order, as they were meant and as the line gives them.
struct BadLine {
    dice: Dice,
    number: usize,
    /// Bits until the next flip, bytes until the next loss and until the next doubling.
    flip: u64,
    lose: u64,
    double: u64,
}

struct Sent {
    telegram: Telemetry,
    sequence: u16,
    bytes: Vec<u8>,
    touched: bool,
    delimiter_touched: bool,
}

impl BadLine {
    fn new() -> BadLine {
        let mut dice = Dice(SEED);
        let (flip, lose, double) = (dice.gap(1e3), dice.gap(1e4), dice.gap(1e4));
        BadLine { dice, number: 0, flip, lose, double }
    }

    fn telegram(&mut self) -> Telemetry {
        let dice = &mut self.dice;
        match dice.below(4) {
            0 => Telemetry::Status(Status {
                frame: dice.bits() as u32,
                age_us: dice.below(100_000) as u32,
                power_mw: Some(dice.below(30_000) as u32),
                recent: (0..dice.below(33)).map(|_| dice.below(12) as u8).collect(),
                ..Status::default()
            }),
            1 => {
                let items = (0..dice.below(9)).map(|_| Detection {
                    class: 1,
                    score: dice.below(1001) as u16,
                    area: dice.below(1_000_001) as u32,
                    ..Detection::default()
                });
                Telemetry::Detections(Detections { frame: 1, found: 8, items: items.collect(), ..Detections::default() })
            }
            2 => Telemetry::Ack(Ack { sequence: dice.bits() as u16, kind: 0x41, result: AckResult::Done }),
            _ => {
                let words = &"the camera came back after a while and nobody noticed"[..dice.below(53) as usize];
                Telemetry::Log(Log { level: LogLevel::Info, uptime_ms: dice.bits() as u32, text: text(words) })
            }
        }
    }

    fn next(&mut self) -> Sent {
        let (telegram, sequence) = (self.telegram(), self.number as u16);
        self.number += 1;
        let frame = telegram.encode(sequence).unwrap();
        let mut sent = Sent { telegram, sequence, bytes: Vec::with_capacity(frame.len() + 2), touched: false, delimiter_touched: false };
        for (at, byte) in frame.iter().enumerate() {
            let mut byte = *byte;
            let mut touched = false;
            while self.flip < 8 {
                byte ^= 1 << self.flip;
                self.flip += 1 + self.dice.gap(1e3);
                touched = true;
            }
            self.flip -= 8;
            let mut count = 1;
            if self.lose == 0 {
                (count, self.lose) = (0, 1 + self.dice.gap(1e4));
            } else if self.double == 0 {
                (count, self.double) = (2, 1 + self.dice.gap(1e4));
            }
            (self.lose, self.double) = (self.lose.saturating_sub(1), self.double.saturating_sub(1));
            sent.bytes.extend(std::iter::repeat_n(byte, count));
            touched |= count != 1;
            sent.touched |= touched;
            sent.delimiter_touched |= touched && at + 1 == frame.len();
        }
        sent
    }
}

#[test]
#[ignore = "not a test: the process that sends"]
fn sender() {
    let Ok(path) = std::env::var(SENDER) else { return };
    let mut port = serialport::new(path, 115_200).timeout(Duration::from_secs(60)).open().unwrap();
    let mut line = BadLine::new();
    let mut bytes = Vec::new();
    for _ in 0..telegrams() {
        bytes.extend_from_slice(&line.next().bytes);
        if bytes.len() > 2048 {
            port.write_all(&bytes).unwrap();
            bytes.clear();
        }
    }
    port.write_all(&bytes).unwrap();
    // What lies in the line is lost when its end is closed: wait for the receiver.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_bad_line_costs_what_it_touches_and_falsifies_nothing() {
    let socket = Socket::new();
    let mut near = socket.plug();
    near.set_timeout(Duration::from_secs(60)).unwrap();
    let mut sender = Command::new(std::env::current_exe().unwrap())
        .args(["line::sender", "--exact", "--ignored"])
        .env(SENDER, socket.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Until the sender has opened its end there is nobody to read from.
    let mut first = [0];
    let began = Instant::now();
    while near.read(&mut first).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "the sender does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
    let began = Instant::now();
    let mut line = BadLine::new();
    let (mut received, mut reference) = (Decoder::new(), Decoder::new());
    let (mut intact, mut falsified, mut untouched, mut slow, mut damaged, mut bytes) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    let mut before_touched = false;
    let mut buffer = first.to_vec();
    for _ in 0..telegrams() {
        let sent = line.next();
        let already = buffer.len();
        buffer.resize(sent.bytes.len().max(already), 0);
        near.read_exact(&mut buffer[already..]).unwrap();
        assert_eq!(buffer, sent.bytes, "the line between the processes adds no damage of its own");
        let mut heard = false;
        for byte in &buffer {
            if let Some(packet) = received.push(*byte) {
                if packet.sequence() == sent.sequence && Telemetry::parse(&packet).as_ref() == Ok(&sent.telegram) {
                    heard = true;
                } else {
                    falsified += 1;
                }
            }
        }
        for byte in &sent.bytes {
            let _ = reference.push(*byte);
        }
        bytes += buffer.len() as u64;
        buffer.clear();
        intact += u64::from(heard);
        damaged += u64::from(sent.touched);
        if !sent.touched && !before_touched {
            untouched += 1;
            slow += u64::from(!heard);
        }
        before_touched = sent.delimiter_touched;
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(sender.stdin.take());
    assert!(sender.wait().unwrap().success());
    println!("{} telegrams, {bytes} bytes in {seconds:.1} s ({:.1} MB/s)", telegrams(), bytes as f64 / seconds / 1e6);
    println!(
        "{damaged} touched by the line; {intact} heard intact, {untouched} untouched of which {slow} not heard, {falsified} falsified"
    );
    println!("expected past a CRC-32: {:.1e}, past a CRC-16: {:.1}", damaged as f64 / 2_f64.powi(32), damaged as f64 / 2_f64.powi(16));
    println!("{:?}", received.counters());
    assert_eq!((falsified, slow), (0, 0));
    assert_eq!(received.counters(), reference.counters());
    assert_eq!(u64::from(received.counters().frames), intact);
}
