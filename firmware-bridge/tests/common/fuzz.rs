//! Seeded damage, in a few seconds as a test and for longer by `examples/fuzz.rs`.

use super::*;

/// Throws noise and damaged packets at the decoder and the parsers; whatever is read must survive being written and read again.
/// Gives how many packets were accepted and how many messages read.
pub fn damaged_packets(runs: usize, seed: u64) -> (u32, u32) {
    let mut dice = Dice::new(seed);
    let packets: Vec<_> = samples().iter().map(|(_, sequence, message)| unstuffed(&message.encode(*sequence).unwrap())).collect();
    let mut decoder = Decoder::new();
    let mut read = 0;
    for _ in 0..runs {
        let input: Vec<u8> = if dice.chance(8) {
            let length = dice.below(400);
            (0..length).map(|_| dice.bits() as u8).collect()
        } else {
            let pick = dice.below(packets.len());
            stuffed(&damaged(&mut dice, &packets[pick]))
        };
        for byte in input {
            let Some(packet) = decoder.push(byte) else { continue };
            let sequence = packet.sequence();
            if let Ok(message) = Message::parse(&packet) {
                read += 1;
                let again = unstuffed(&message.encode(sequence).expect("what was read can be written"));
                assert_eq!(Message::parse(&Packet::new_checked(&again).unwrap()), Ok(message));
            }
        }
    }
    (decoder.counters().frames, read)
}

/// What became of the telegrams on a bad line.
#[derive(Debug, Default)]
pub struct Line {
    /// Sent.
    pub sent: usize,
    /// Bytes the line damaged.
    pub hits: usize,
    /// Telegrams the line did not touch, themselves and the delimiter in front of them.
    pub untouched: usize,
    /// Heard, and equal to what was sent under that number.
    pub intact: usize,
    /// Heard, but never sent like that.
    pub false_ones: usize,
    /// Untouched, but not heard.
    pub slow_returns: usize,
    /// What the decoder counted.
    pub counters: Counters,
}

/// Sends telegrams of every kind over a line that flips bits at 1e-3 and loses and doubles bytes at 1e-4 each.
pub fn bad_line(telegrams: usize, seed: u64) -> Line {
    let mut dice = Dice::new(seed);
    let samples = samples();
    let mut line = Line { sent: telegrams, ..Line::default() };
    let mut decoder = Decoder::new();
    let mut before_touched = false;
    for number in 0..telegrams {
        let sequence = number as u16;
        let message = &samples[dice.below(samples.len())].2;
        let frame = message.encode(sequence).unwrap();
        let mut touched = false;
        let mut delimiter_touched = false;
        let mut heard = false;
        for (at, &byte) in frame.iter().enumerate() {
            let mut bytes = [byte; 2];
            let mut count = 1;
            for bit in 0..8 {
                if dice.chance(1000) {
                    bytes[0] ^= 1 << bit;
                }
            }
            if dice.chance(10_000) {
                count = 0;
            } else if dice.chance(10_000) {
                (bytes[1], count) = (bytes[0], 2);
            }
            if count != 1 || bytes[0] != byte {
                line.hits += 1;
                touched = true;
                delimiter_touched |= at + 1 == frame.len();
            }
            for &byte in &bytes[..count] {
                let Some(packet) = decoder.push(byte) else { continue };
                // A telegram may only be what was sent, now or (its delimiter late) never.
                if packet.sequence() == sequence && Message::parse(&packet).as_ref() == Ok(message) {
                    heard = true;
                } else {
                    line.false_ones += 1;
                }
            }
        }
        let untouched = !touched && !before_touched;
        line.untouched += usize::from(untouched);
        line.intact += usize::from(heard);
        line.slow_returns += usize::from(untouched && !heard);
        before_touched = delimiter_touched;
    }
    line.counters = *decoder.counters();
    line
}
