//! A microcontroller's main loop against the board: reads telemetry byte by byte, stops a motor when a person is near, and asks for fewer watts when the
//! board is hot. `cargo run -p firmware-bridge --example device` plays it against telegrams made here; on a device `Uart` is the serial port.
//!
//! Nothing in [`Device`] allocates; the same code runs on a Cortex-M0 (see `thumb/`).

use firmware_bridge::{Command, Decoder, Detection, Detections, SetBudget, Status, Telemetry};

/// Class number of a person in the network `street`.
const PERSON: u16 = 0;
/// A person who fills at least so much of the picture's height (ten-thousandths) is near.
const NEAR: u16 = 4_000;
/// Hundredths of a degree from which the board is asked for fewer watts.
const HOT_CC: i16 = 8_000;

/// The port to the board.
trait Uart {
    /// The next byte received, if there is one.
    fn read(&mut self) -> Option<u8>;
    /// Sends all of `bytes`.
    fn write(&mut self, bytes: &[u8]);
}

/// What the device knows and does.
#[derive(Default)]
struct Device {
    decoder: Decoder,
    motor_runs: bool,
    cooling: bool,
    sequence: u16,
}

impl Device {
    /// Handles every byte that has come; called again and again.
    fn poll(&mut self, uart: &mut impl Uart) {
        while let Some(byte) = uart.read() {
            // Damaged telegrams are counted by the decoder and give nothing.
            let Some(received) = self.decoder.telemetry(&mut &[byte][..]) else { continue };
            match received.body {
                Telemetry::Detections(seen) => self.motor_runs = !seen.items.iter().any(is_near),
                Telemetry::Status(status) => self.watch_heat(&status, uart),
                _ => {}
            }
        }
    }

    fn watch_heat(&mut self, status: &Status, uart: &mut impl Uart) {
        let hot = status.temperature_cc.is_some_and(|cc| cc >= HOT_CC);
        if hot && !self.cooling {
            self.cooling = true;
            self.sequence = self.sequence.wrapping_add(1);
            let command = Command::SetBudget(SetBudget { power_mw: Some(7_000), ..SetBudget::default() });
            if let Ok(frame) = command.encode(self.sequence) {
                uart.write(&frame);
            }
        }
    }
}

fn is_near(seen: &Detection) -> bool {
    seen.class == PERSON && seen.height >= NEAR
}

/// Telegrams made here, in place of a serial port.
#[derive(Default)]
struct Recorded {
    incoming: std::collections::VecDeque<u8>,
    sent: Vec<u8>,
}

impl Uart for Recorded {
    fn read(&mut self) -> Option<u8> {
        self.incoming.pop_front()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }
}

fn main() {
    let person = Detection { class: PERSON, score: 900, left: 1_000, top: 1_000, width: 1_500, height: 6_000, area: 90_000, track: 1 };
    let mut uart = Recorded::default();
    let mut device = Device { motor_runs: true, ..Device::default() };
    let telegrams = [
        Telemetry::Status(Status { temperature_cc: Some(8_150), ..Status::default() }),
        Telemetry::Detections(Detections { frame: 1, age_us: 40_000, found: 1, items: [person].into_iter().collect() }),
    ];
    for (telegram, sequence) in telegrams.iter().zip(0..) {
        uart.incoming.extend(telegram.encode(sequence).expect("every field is in range").iter());
        device.poll(&mut uart);
    }
    println!("motor {}; {} bytes of commands sent", if device.motor_runs { "runs" } else { "stopped" }, uart.sent.len());
}

#[test]
fn a_person_near_by_stops_the_motor_and_heat_asks_for_fewer_watts_once() {
    let (mut device, mut uart) = (Device { motor_runs: true, ..Device::default() }, Recorded::default());
    let mut give = |telegram: Telemetry| {
        uart.incoming.extend(telegram.encode(7).unwrap().iter());
        device.poll(&mut uart);
        let asked = Decoder::new().command(&mut &uart.sent[..]).map(|received| received.body);
        (device.motor_runs, asked, uart.sent.len())
    };
    let person = |height| {
        let seen = Detection { class: PERSON, score: 900, height, width: 500, ..Detection::default() };
        Telemetry::Detections(Detections { found: 1, items: [seen].into_iter().collect(), ..Detections::default() })
    };
    assert_eq!(give(person(NEAR - 1)), (true, None, 0));
    assert_eq!(give(person(NEAR)), (false, None, 0));
    let hot = || Telemetry::Status(Status { temperature_cc: Some(HOT_CC), ..Status::default() });
    let (_, asked, sent) = give(hot());
    assert_eq!(asked, Some(Ok(Command::SetBudget(SetBudget { power_mw: Some(7_000), ..SetBudget::default() }))));
    assert_eq!(give(hot()).2, sent, "it is asked for once");
}
