//! A microcontroller at the near end of a cable.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use firmware_bridge::{Ack, AckResult, Command, Counters, Decoder, Received, Status, Telemetry};
use serialport::{SerialPort, TTYPort};

pub struct Device {
    port: TTYPort,
    decoder: Decoder,
    heard: VecDeque<Received<Telemetry>>,
    pub sequence: u16,
}

impl Device {
    pub fn new(mut port: TTYPort) -> Device {
        port.set_timeout(Duration::from_millis(20)).unwrap();
        Device { port, decoder: Decoder::new(), heard: VecDeque::new(), sequence: 0 }
    }

    pub fn counters(&self) -> &Counters {
        self.decoder.counters()
    }

    fn listen(&mut self) {
        let mut bytes = [0; 4096];
        match self.port.read(&mut bytes) {
            Ok(n) => {
                let mut bytes = &bytes[..n];
                while let Some(received) = self.decoder.telemetry(&mut bytes) {
                    self.heard.push_back(received);
                }
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            // Nobody has opened the far end yet.
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }

    /// The next telegram, if one comes within `most`.
    pub fn next(&mut self, most: Duration) -> Option<Telemetry> {
        let began = Instant::now();
        loop {
            if let Some(received) = self.heard.pop_front() {
                return Some(received.body);
            }
            if began.elapsed() > most {
                return None;
            }
            self.listen();
        }
    }

    /// Everything heard in the next `time`.
    pub fn all(&mut self, time: Duration) -> Vec<Telemetry> {
        let began = Instant::now();
        std::iter::from_fn(|| self.next(time.saturating_sub(began.elapsed()))).collect()
    }

    /// The next telegram that `wanted` takes.
    #[track_caller]
    pub fn wait<T>(&mut self, mut wanted: impl FnMut(&Telemetry) -> Option<T>) -> T {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            if let Some(found) = self.next(Duration::from_millis(100)).as_ref().and_then(&mut wanted) {
                return found;
            }
        }
        panic!("what was waited for did not come within a minute; heard so far: {:?}", self.counters());
    }

    #[track_caller]
    pub fn status(&mut self) -> Status {
        self.wait(|telegram| if let Telemetry::Status(status) = telegram { Some(status.clone()) } else { None })
    }

    /// The next status that `wanted` takes.
    #[track_caller]
    pub fn status_that(&mut self, wanted: impl Fn(&Status) -> bool) -> Status {
        self.wait(|telegram| if let Telemetry::Status(status) = telegram { Some(status.clone()).filter(&wanted) } else { None })
    }

    /// Says all of `bytes`. A line that takes no more is listened to meanwhile: at its other end somebody may wait for just that.
    #[track_caller]
    pub fn raw(&mut self, mut bytes: &[u8]) {
        let began = Instant::now();
        while !bytes.is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "the line takes nothing for a minute");
            match self.port.write(bytes) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(error) if error.kind() == ErrorKind::TimedOut => self.listen(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends a command under the next sequence number.
    pub fn send(&mut self, command: Command) -> u16 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.raw(&command.encode(sequence).unwrap());
        sequence
    }

    /// Sends a command and waits until it is acknowledged.
    #[track_caller]
    pub fn ask(&mut self, command: Command) -> AckResult {
        let sequence = self.send(command);
        self.ack(sequence).result
    }

    #[track_caller]
    pub fn ack(&mut self, sequence: u16) -> Ack {
        self.wait(|telegram| if let Telemetry::Ack(ack) = telegram { Some(*ack).filter(|ack| ack.sequence == sequence) } else { None })
    }
}
