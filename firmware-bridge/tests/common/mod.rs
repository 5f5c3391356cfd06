//! What the tests share: samples of every message, the words both the C and the Python reader use for them, and dice.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod fuzz;

use firmware_bridge::*;
use std::fmt::Write as _;

/// Either direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Telemetry(Telemetry),
    Command(Command),
}

impl Message {
    pub fn encode(&self, sequence: u16) -> Result<Frame, EncodeError> {
        match self {
            Self::Telemetry(telemetry) => telemetry.encode(sequence),
            Self::Command(command) => command.encode(sequence),
        }
    }

    pub fn parse(packet: &Packet<'_>) -> Result<Self, ParseError> {
        if is_command(packet.kind()) { Command::parse(packet).map(Self::Command) } else { Telemetry::parse(packet).map(Self::Telemetry) }
    }
}

fn optional<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

/// The message in the words of `golden/vectors.txt`.
pub fn words(message: &Message) -> String {
    let byte = |number: u8| number;
    match message {
        Message::Telemetry(Telemetry::Hello(m)) => format!(
            "hello software=\"{}\" board=\"{}\" network=\"{}\" address=\"{}\" width={} height={} classes={}",
            m.software, m.board, m.network, m.address, m.width, m.height, m.classes
        ),
        Message::Telemetry(Telemetry::Status(m)) => format!(
            "status frame={} uptime_ms={} camera={} engine={} mode={} paused={} steps={} limit={} limited_by={} stopped={} skip={} age_us={} \
             deadline_us={} power_mw={} power_budget_mw={} temperature_cc={} capture_cfps={} inference_cfps={} dropped={} recent={}",
            m.frame,
            m.uptime_ms,
            byte(m.camera.into()),
            byte(m.engine.into()),
            byte(m.mode.into()),
            u8::from(m.paused),
            m.steps,
            m.limit,
            byte(m.limited_by.into()),
            byte(m.stopped.into()),
            m.skip,
            m.age_us,
            m.deadline_us,
            optional(m.power_mw),
            optional(m.power_budget_mw),
            optional(m.temperature_cc),
            m.capture_cfps,
            m.inference_cfps,
            m.dropped,
            joined(&m.recent)
        ),
        Message::Telemetry(Telemetry::Detections(m)) => {
            let items = joined(
                m.items
                    .iter()
                    .map(|d| format!("{}:{}:{}:{}:{}:{}:{}:{}", d.class, d.score, d.track, d.left, d.top, d.width, d.height, d.area)),
            );
            format!("detections frame={} age_us={} found={} items={items}", m.frame, m.age_us, m.found)
        }
        Message::Telemetry(Telemetry::Log(m)) => {
            format!("log level={} uptime_ms={} text=\"{}\"", byte(m.level.into()), m.uptime_ms, m.text)
        }
        Message::Telemetry(Telemetry::ClassName(m)) => format!("class_name class={} name=\"{}\"", m.class, m.name),
        Message::Telemetry(Telemetry::Ack(m)) => {
            format!("ack sequence={} kind={} result={}", m.sequence, m.kind, byte(m.result.into()))
        }
        Message::Command(Command::SetBudget(m)) => format!(
            "set_budget deadline_us={} percentile_pm={} power_mw={} temperature_cc={}",
            optional(m.deadline_us),
            optional(m.percentile_pm),
            optional(m.power_mw),
            optional(m.temperature_cc)
        ),
        Message::Command(Command::SetMode(m)) => format!("set_mode mode={}", byte(m.mode.into())),
        Message::Command(Command::Pause) => "pause".into(),
        Message::Command(Command::Resume) => "resume".into(),
        Message::Command(Command::ResetState) => "reset_state".into(),
        Message::Command(Command::AskStatus) => "ask_status".into(),
        Message::Command(Command::SetReportRate(m)) => {
            format!("set_report_rate status_period_ms={} detections_period_ms={}", m.status_period_ms, m.detections_period_ms)
        }
        Message::Command(Command::AskHello) => "ask_hello".into(),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// A board at work.
pub fn working() -> Status {
    Status {
        frame: 123_456,
        uptime_ms: 4_115_200,
        camera: CameraState::Streaming,
        engine: Engine::Cuda,
        mode: Mode::Balanced,
        paused: false,
        steps: 5,
        limit: 9,
        limited_by: LimitReason::Power,
        stopped: StopReason::Halted,
        skip: 0,
        age_us: 41_830,
        deadline_us: 66_000,
        power_mw: Some(8_240),
        power_budget_mw: Some(10_000),
        temperature_cc: Some(5_450),
        capture_cfps: 2_997,
        inference_cfps: 1_498,
        dropped: 61_728,
        recent: [9, 9, 8, 6, 5, 5, 4, 4, 4, 3, 3, 0, 0, 0, 3, 9, 9, 7, 6, 5, 5, 4, 4, 3, 3, 3, 0, 0, 9, 8, 6, 5].into_iter().collect(),
    }
}

fn detection(class: u16, score: u16, track: u32, [left, top, width, height]: [u16; 4], area: u32) -> Detection {
    Detection { class, score, track, left, top, width, height, area }
}

/// Named samples: an ordinary one, the smallest and the largest of every kind.
pub fn samples() -> Vec<(&'static str, u16, Message)> {
    use Message::{Command as C, Telemetry as T};
    let largest =
        Detection { class: u16::MAX, score: 1000, track: u32::MAX, left: 9_999, top: 9_999, width: 1, height: 1, area: 1_000_000 };
    vec![
        (
            "hello",
            0,
            T(Telemetry::Hello(Hello {
                software: text("recslowfast 0.2.0"),
                board: text("Jetson Orin Nano"),
                network: text("hgru-contour 1"),
                address: text("192.168.7.2:8088"),
                width: 150,
                height: 150,
                classes: 2,
            })),
        ),
        ("hello, empty", 1, T(Telemetry::Hello(Hello::default()))),
        (
            "hello, longest",
            u16::MAX,
            T(Telemetry::Hello(Hello {
                software: text(&"s".repeat(24)),
                board: text(&"größe".repeat(6)),
                network: text(&"n".repeat(32)),
                address: text(&"\u{1F4F7}".repeat(12)),
                width: u16::MAX,
                height: u16::MAX,
                classes: u16::MAX,
            })),
        ),
        ("status", 2, T(Telemetry::Status(working()))),
        ("status, just started", 3, T(Telemetry::Status(Status::default()))),
        (
            "status, longest",
            0x0100,
            T(Telemetry::Status(Status {
                frame: u32::MAX,
                uptime_ms: u32::MAX,
                camera: CameraState::Lost,
                engine: Engine::Cpu,
                mode: Mode::Saver,
                paused: true,
                steps: 255,
                limit: 255,
                limited_by: LimitReason::Camera,
                stopped: StopReason::Deadline,
                skip: 255,
                age_us: u32::MAX,
                deadline_us: u32::MAX,
                power_mw: Some(1_000_000),
                power_budget_mw: Some(1_000_000),
                temperature_cc: Some(15_000),
                capture_cfps: u16::MAX,
                inference_cfps: u16::MAX,
                dropped: u32::MAX,
                recent: [255; 32].into_iter().collect(),
            })),
        ),
        (
            "status, numbers from a newer version",
            4,
            T(Telemetry::Status(Status {
                camera: CameraState::Unknown(200),
                engine: Engine::Unknown(3),
                mode: Mode::Unknown(255),
                limited_by: LimitReason::Unknown(5),
                stopped: StopReason::Unknown(5),
                temperature_cc: Some(-5_000),
                ..working()
            })),
        ),
        (
            "detections, none",
            5,
            T(Telemetry::Detections(Detections { frame: 123_456, age_us: 43_000, found: 0, items: Default::default() })),
        ),
        (
            "detections",
            6,
            T(Telemetry::Detections(Detections {
                frame: 123_456,
                age_us: 43_000,
                found: 2,
                items: [
                    detection(0, 934, 17, [1_250, 2_000, 3_100, 5_500], 98_000),
                    detection(1, 512, 0, [0, 0, 10_000, 10_000], 1_000_000),
                ]
                .into_iter()
                .collect(),
            })),
        ),
        (
            "detections, longest",
            7,
            T(Telemetry::Detections(Detections {
                frame: u32::MAX,
                age_us: u32::MAX,
                found: u16::MAX,
                items: [largest; MAX_DETECTIONS].into_iter().collect(),
            })),
        ),
        ("log", 8, T(Telemetry::Log(Log { level: LogLevel::Warn, uptime_ms: 65_536, text: text("camera lost: /dev/video0 went away") }))),
        ("log, longest", 9, T(Telemetry::Log(Log { level: LogLevel::Debug, uptime_ms: u32::MAX, text: text(&"ÿ".repeat(80)) }))),
        ("class name", 10, T(Telemetry::ClassName(ClassName { class: 1, name: text("connected") }))),
        ("class name, longest", 11, T(Telemetry::ClassName(ClassName { class: u16::MAX, name: text(&"x".repeat(24)) }))),
        ("ack", 12, T(Telemetry::Ack(Ack { sequence: 256, kind: 0x41, result: AckResult::Done }))),
        ("ack, largest", 13, T(Telemetry::Ack(Ack { sequence: u16::MAX, kind: 0xFF, result: AckResult::Unknown(255) }))),
        ("set budget, leave all", 0, C(Command::SetBudget(SetBudget::default()))),
        (
            "set budget",
            14,
            C(Command::SetBudget(SetBudget {
                deadline_us: Some(33_000),
                percentile_pm: Some(990),
                power_mw: Some(10_000),
                temperature_cc: Some(7_500),
            })),
        ),
        (
            "set budget, lift all",
            15,
            C(Command::SetBudget(SetBudget { deadline_us: Some(0), percentile_pm: Some(500), power_mw: Some(0), temperature_cc: Some(0) })),
        ),
        (
            "set budget, largest",
            16,
            C(Command::SetBudget(SetBudget {
                deadline_us: Some(60_000_000),
                percentile_pm: Some(999),
                power_mw: Some(1_000_000),
                temperature_cc: Some(12_000),
            })),
        ),
        ("set mode", 17, C(Command::SetMode(SetMode { mode: Mode::Saver }))),
        ("pause", 18, C(Command::Pause)),
        ("resume", 19, C(Command::Resume)),
        ("reset state", 20, C(Command::ResetState)),
        ("ask status", 1, C(Command::AskStatus)),
        ("set report rate", 21, C(Command::SetReportRate(SetReportRate { status_period_ms: 200, detections_period_ms: 1 }))),
        ("set report rate, silent", 22, C(Command::SetReportRate(SetReportRate { status_period_ms: 0, detections_period_ms: 0 }))),
        ("ask hello", 0x4600, C(Command::AskHello)),
    ]
}

/// Seeded dice (xorshift), so that a failure can be repeated.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, sides: usize) -> usize {
        (self.bits() >> 33) as usize % sides
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

/// The packet inside a frame.
pub fn unstuffed(frame: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; frame.len()];
    let report = cobs::decode(&frame[..frame.len() - 1], &mut packet).expect("a frame of ours");
    packet.truncate(report.frame_size());
    packet
}

/// Any bytes as a frame, whatever they are.
pub fn stuffed(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; cobs::max_encoding_length(packet.len()) + 1];
    let used = cobs::encode(packet, &mut frame);
    frame.truncate(used);
    frame.push(0);
    frame
}

/// Damages a packet in up to five places, and in half of the cases makes its CRC right again, or nothing behind the CRC would ever be reached.
pub fn damaged(dice: &mut Dice, packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    for _ in 0..dice.below(6) {
        let at = dice.below(packet.len());
        match dice.below(4) {
            0 => packet[at] ^= 1 << dice.below(8),
            1 => packet[at] = dice.bits() as u8,
            2 if packet.len() > 9 => {
                packet.remove(at);
            }
            _ => packet.insert(at, packet[at]),
        }
    }
    if dice.chance(2) && packet.len() >= 8 {
        packet[0] = 0x10 | packet[0] & 0xF;
        let end = packet.len() - 4;
        let crc = crc32(&packet[..end]).to_le_bytes();
        packet[end..].copy_from_slice(&crc);
    }
    packet
}

/// What `c/tests/dump.c` says about the same bytes.
pub fn heard(bytes: &[u8]) -> String {
    let mut said = String::new();
    let mut decoder = Decoder::new();
    let (mut unknown, mut malformed) = (0, 0);
    for &byte in bytes {
        let Some(packet) = decoder.push(byte) else { continue };
        let (sequence, kind) = (packet.sequence(), packet.kind());
        let _ = match Message::parse(&packet) {
            Ok(message) => {
                let frame = message.encode(sequence).expect("what was read can be written");
                writeln!(said, "{sequence} {}\nframe {}", words(&message), hex(&frame))
            }
            Err(ParseError::UnknownKind(_)) => {
                unknown += 1;
                writeln!(said, "{sequence} unknown {kind:02X}")
            }
            Err(ParseError::Malformed) => {
                malformed += 1;
                writeln!(said, "{sequence} malformed {kind:02X}")
            }
            Err(ParseError::OutOfRange(_)) => {
                malformed += 1;
                writeln!(said, "{sequence} outside {kind:02X}")
            }
        };
    }
    let c = decoder.counters();
    let _ = writeln!(
        said,
        "counters frames={} cobs={} overlong={} short={} crc={} version={} unknown={unknown} malformed={malformed} lost={}",
        c.frames, c.cobs, c.overlong, c.short, c.crc, c.version, c.lost
    );
    said
}
