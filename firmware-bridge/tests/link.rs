//! What the link promises, one test a promise.

mod common;

use common::*;
use firmware_bridge::*;
use proptest::prelude::*;

fn ask(sequence: u16) -> Frame {
    Command::AskStatus.encode(sequence).unwrap()
}

fn sequences(decoder: &mut Decoder, mut input: &[u8]) -> Vec<u16> {
    let mut heard = Vec::new();
    while let Some(command) = decoder.command(&mut input) {
        heard.push(command.sequence);
    }
    heard
}

#[test]
fn crc_is_the_one_on_the_wire_page() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn the_longest_records_fit_a_frame() {
    for (name, sequence, message) in samples() {
        let frame = message.encode(sequence).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(frame.len() <= MAX_FRAME && MAX_FRAME <= 256, "{name}");
        assert_eq!(frame.iter().position(|&byte| byte == 0), Some(frame.len() - 1), "{name}: zero only as the delimiter");
    }
}

#[test]
fn a_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 320, "{} bytes", size_of::<Decoder>());
}

#[test]
fn delimiters_between_frames_mean_nothing() {
    let mut decoder = Decoder::new();
    let input = [&[0, 0, 0][..], &ask(1), &[0, 0], &ask(2)].concat();
    assert_eq!(sequences(&mut decoder, &input), [1, 2]);
    assert_eq!(*decoder.counters(), Counters { frames: 2, ..Counters::default() });
}

#[test]
fn a_decoder_that_joins_late_misses_one_frame_only() {
    let input = [&ask(1)[4..], &ask(2)].concat();
    assert_eq!(sequences(&mut Decoder::new(), &input), [2]);
}

#[test]
fn gaps_in_the_sequence_are_counted_across_its_wrap() {
    let mut decoder = Decoder::new();
    let input = [ask(65_534), ask(65_535), ask(2), ask(2), ask(1)].concat();
    sequences(&mut decoder, &input);
    // 0 and 1 are missing; a repeat and a step back are no gaps.
    assert_eq!(decoder.counters().lost, 2);
}

#[test]
fn each_kind_of_damage_has_its_counter() {
    let good = unstuffed(&ask(1));
    let spoilt = |at: usize, bit: u8| {
        let mut packet = good.clone();
        packet[at] ^= bit;
        stuffed(&packet)
    };
    let only = |damage: &[u8]| {
        let mut decoder = Decoder::new();
        let input = [damage, &ask(2)].concat();
        assert_eq!(sequences(&mut decoder, &input), [2], "the next frame is heard");
        assert_eq!(decoder.counters().frames, 1);
        *decoder.counters()
    };
    let one = Counters { frames: 1, ..Counters::default() };
    assert_eq!(only(&spoilt(5, 1)), Counters { crc: 1, ..one });
    assert_eq!(only(&[9, 1, 2, 0]), Counters { cobs: 1, ..one });
    assert_eq!(only(&stuffed(&good[..7])), Counters { short: 1, ..one });
    assert_eq!(only(&stuffed(&[7; 249])), Counters { overlong: 1, ..one });
    assert_eq!(only(&[255; 100_000].iter().copied().chain([0]).collect::<Vec<_>>()), Counters { overlong: 1, ..one });
    assert_eq!(only(&encode_raw(0x20, 0x46, 1, &[]).unwrap()), Counters { version: 1, ..one });
}

#[test]
fn kinds_from_a_newer_version_are_skipped() {
    let mut decoder = Decoder::new();
    let known = Telemetry::ClassName(ClassName { class: 3, name: text("boat") });
    let input = [&encode_raw(0x11, 0x3F, 1, b"news").unwrap()[..], &known.encode(2).unwrap()].concat();
    let heard = decoder.telemetry(&mut &input[..]).unwrap();
    assert_eq!((heard.sequence, heard.body), (2, known));
    assert_eq!(decoder.counters().unknown, 1);
}

#[test]
fn fields_from_a_newer_version_are_ignored() {
    for (name, sequence, message) in samples() {
        let packet = unstuffed(&message.encode(sequence).unwrap());
        let payload = [&packet[4..packet.len() - 4], &[1, 2, 3]].concat();
        if payload.len() > MAX_PAYLOAD {
            continue;
        }
        let newer = unstuffed(&encode_raw(0x1F, packet[1], sequence, &payload).unwrap());
        let view = Packet::new_checked(&newer).unwrap();
        assert_eq!((view.minor(), Message::parse(&view)), (15, Ok(message)), "{name}");
    }
}

#[test]
fn our_own_telemetry_echoed_back_is_no_command() {
    let echo = Telemetry::Ack(Ack { sequence: 1, kind: 0x43, result: AckResult::Done }).encode(1).unwrap();
    let mut decoder = Decoder::new();
    assert!(decoder.command(&mut &echo[..]).is_none());
    assert_eq!(decoder.counters().unknown, 1);
}

#[test]
fn commands_out_of_range_are_told_apart_from_malformed_and_unknown_ones() {
    let judge = |kind: u8, payload: &[u8]| {
        let frame = encode_raw(WIRE_VERSION, kind, 1, payload).unwrap();
        let mut decoder = Decoder::new();
        let body = decoder.command(&mut &frame[..]).unwrap().body;
        (body, decoder.counters().malformed, decoder.counters().unknown)
    };
    let out = |field| Err(ParseError::OutOfRange(OutOfRange(field)));
    assert_eq!(judge(0x42, &[3]), (out("mode"), 1, 0));
    assert_eq!(judge(0x41, &[1, 0xE7, 0x07, 0, 0, 0]), (out("deadline_us"), 1, 0), "999 us");
    assert_eq!(judge(0x41, &[0, 1, 0xE8, 0x07, 0, 0]), (out("percentile_pm"), 1, 0), "1000 of 1000");
    assert_eq!(judge(0x41, &[0, 0, 1, 1, 0]), (out("power_mw"), 1, 0), "1 mW");
    assert_eq!(judge(0x41, &[0, 0, 0, 1, 1]), (out("temperature_cc"), 1, 0), "-0.01 degrees");
    assert_eq!(judge(0x47, &[19, 0]), (out("status_period_ms"), 1, 0));
    assert_eq!(judge(0x47, &[0, 0xE1, 0xD4, 0x03]), (out("detections_period_ms"), 1, 0), "60001 ms");
    assert_eq!(judge(0x41, &[2]), (Err(ParseError::Malformed), 1, 0), "neither absent nor present");
    assert_eq!(judge(0x41, &[]), (Err(ParseError::Malformed), 1, 0));
    assert_eq!(judge(0x7F, &[]), (Err(ParseError::UnknownKind(0x7F)), 0, 1));
}

#[test]
fn nothing_out_of_range_is_sent() {
    let refused = |message: Telemetry, field| assert_eq!(message.encode(0), Err(EncodeError::OutOfRange(OutOfRange(field))));
    let status = working();
    refused(Telemetry::Status(Status { power_mw: Some(1_000_001), ..status.clone() }), "power_mw");
    refused(Telemetry::Status(Status { power_budget_mw: Some(0), ..status.clone() }), "power_budget_mw");
    refused(Telemetry::Status(Status { temperature_cc: Some(-5_001), ..status }), "temperature_cc");
    let one = |detection| Telemetry::Detections(Detections { found: 1, items: [detection].into_iter().collect(), ..Detections::default() });
    refused(one(Detection { score: 1001, ..Detection::default() }), "score");
    refused(one(Detection { left: 9_000, width: 1_001, ..Detection::default() }), "left + width");
    refused(one(Detection { top: u16::MAX, height: u16::MAX, ..Detection::default() }), "top + height");
    refused(one(Detection { area: 1_000_001, ..Detection::default() }), "area");
    refused(Telemetry::Detections(Detections { items: [Detection::default()].into_iter().collect(), ..Detections::default() }), "found");
    let mut bell = Text::new();
    bell.push('\u{7}').unwrap();
    refused(Telemetry::Log(Log { level: LogLevel::Info, uptime_ms: 0, text: bell }), "text");
    assert!(Command::SetMode(SetMode { mode: Mode::Unknown(9) }).encode(0).is_err());
}

#[test]
fn a_repeated_command_is_answered_again_but_not_carried_out_again() {
    let mut gate = Gate::new();
    let kind = Command::Pause.kind();
    assert_eq!(gate.judge(0, 65_535, kind), Verdict::New);
    gate.done(AckResult::Done);
    assert_eq!(gate.judge(1, 65_535, kind), Verdict::Repeat(AckResult::Done));
    assert_eq!(gate.judge(2, 0, kind), Verdict::New, "the sequence wraps");
    assert_eq!(gate.judge(3, 65_535, kind), Verdict::Stale);
}

#[test]
fn a_device_that_restarts_opens_the_sequence_anew() {
    let mut gate = Gate::new();
    assert_eq!(gate.judge(0, 1_000, Command::Pause.kind()), Verdict::New);
    assert_eq!(gate.judge(1, 0, Command::AskHello.kind()), Verdict::New);
    assert_eq!(gate.judge(2, 1, Command::Pause.kind()), Verdict::New);
}

#[test]
fn a_flood_lets_fifty_commands_a_second_through() {
    let mut gate = Gate::new();
    // 100 000 commands in one second of the gate's clock, each with a new sequence.
    let taken = (0..100_000_u32).filter(|n| gate.judge(n / 100, *n as u16, 0x46) == Verdict::New).count();
    assert!((50..=82).contains(&taken), "{taken}");
    assert_eq!(gate.floods() as usize + taken, 100_000);
    assert_eq!(gate.judge(2_000, 34_465, 0x46), Verdict::New, "and it opens again");
}

#[test]
fn a_hundred_thousand_damaged_packets_never_panic() {
    let (accepted, read) = common::fuzz::damaged_packets(100_000, 1);
    assert!(read > 10_000 && accepted > read, "the dice must reach past the CRC: {accepted} accepted, {read} read");
}

#[test]
fn a_bad_line_loses_telegrams_but_never_falsifies_one() {
    // The line: bits flip at 1e-3, bytes get lost and doubled. `cargo run --release --example fuzz -- line 1000000` sends the million.
    let line = common::fuzz::bad_line(50_000, 7);
    assert_eq!(line.false_ones, 0, "{line:?}");
    assert!(line.intact > 10_000 && line.intact < 50_000, "{line:?}");
    assert_eq!(line.slow_returns, 0, "back in step with the first frame that is whole again: {line:?}");
}

proptest! {
    #[test]
    fn any_payload_survives_the_way(kind: u8, sequence: u16, payload in prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD)) {
        let frame = encode_raw(WIRE_VERSION, kind, sequence, &payload).unwrap();
        let mut decoder = Decoder::new();
        let mut heard = None;
        for &byte in &frame {
            heard = decoder.push(byte).map(|packet| (packet.kind(), packet.sequence(), packet.payload().to_vec()));
        }
        prop_assert_eq!(heard, Some((kind, sequence, payload)));
    }

    #[test]
    fn any_budget_in_range_survives_the_way(
        deadline in prop::option::of(prop_oneof![Just(0), 1_000..=60_000_000_u32]),
        percentile in prop::option::of(500..=999_u16),
        power in prop::option::of(prop_oneof![Just(0), 500..=1_000_000_u32]),
        heat in prop::option::of(prop_oneof![Just(0), 2_000..=12_000_i16]),
    ) {
        let budget = SetBudget { deadline_us: deadline, percentile_pm: percentile, power_mw: power, temperature_cc: heat };
        let frame = Command::SetBudget(budget).encode(9).unwrap();
        let heard = Decoder::new().command(&mut &frame[..]).unwrap();
        prop_assert_eq!(heard.body, Ok(Command::SetBudget(budget)));
    }

    #[test]
    fn noise_never_panics_and_the_link_returns_within_one_frame(noise in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let mut decoder = Decoder::new();
        // The first frame behind the noise may be glued to it; the second never is.
        let input = [&noise[..], &ask(1), &ask(2)].concat();
        let heard = sequences(&mut decoder, &input);
        prop_assert_eq!(heard.last(), Some(&2));
    }

    #[test]
    fn one_damaged_byte_costs_at_most_two_frames(at in 0_usize..60, value: u8) {
        let mut input: Vec<u8> = (0..10).flat_map(|n| ask(n).to_vec()).collect();
        let at = at % input.len();
        input[at] = value;
        let heard = sequences(&mut Decoder::new(), &input);
        prop_assert!(heard.len() >= 8, "{:?}", heard);
        prop_assert!(heard.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
