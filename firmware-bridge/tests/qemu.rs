//! The firmwares of `thumb/` on an emulated Cortex-M: they draw the very pictures the host draws. Opt-in; `thumb/run.sh` builds, fetches an emulator and
//! runs it. `QEMU_SYSTEM_ARM` is the emulator (with options, if any), `THUMB_FIRMWARE` the folder that holds `<target>/release/<firmware>`.

mod common;
#[path = "common/panel.rs"]
mod panel;

use common::working;
use firmware_bridge::*;
use panel::{pictures, reading};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const BOARDS: [(&str, &str); 2] = [("mps2-an385", "thumbv6m-none-eabi"), ("mps2-an386", "thumbv7em-none-eabihf")];

struct Device {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    said: mpsc::Receiver<String>,
}

impl Device {
    /// The UART is the emulator's standard input and output, semihosting its standard error.
    fn boot(board: &str, target: &str, firmware: &str) -> Self {
        let emulator = std::env::var("QEMU_SYSTEM_ARM").expect("QEMU_SYSTEM_ARM: thumb/run.sh sets it");
        let folder = std::env::var("THUMB_FIRMWARE").expect("THUMB_FIRMWARE: thumb/run.sh sets it");
        let mut words = emulator.split_whitespace();
        let mut child = Process::new(words.next().unwrap())
            .args(words)
            .args(["-M", board, "-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(format!("{folder}/{target}/release/{firmware}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, said) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || lines.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { to: child.stdin.take().unwrap(), from: child.stdout.take().unwrap(), said, child }
    }

    fn send(&mut self, telegram: &Telemetry, sequence: u16) {
        self.to.write_all(&telegram.encode(sequence).unwrap()).unwrap();
        self.to.flush().unwrap();
    }

    /// The next command on the UART.
    fn command(&mut self) -> Command {
        let mut decoder = Decoder::new();
        let mut byte = [0];
        loop {
            self.from.read_exact(&mut byte).expect("the device still speaks");
            if let Some(received) = decoder.command(&mut &byte[..]) {
                return received.body.unwrap();
            }
        }
    }

    /// The next line on the UART.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') {
            self.from.read_exact(&mut byte).expect("the device still speaks");
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line).trim().to_owned()
    }

    /// The next line over semihosting.
    fn says(&mut self) -> String {
        self.said.recv_timeout(Duration::from_secs(60)).expect("the device says something within a minute")
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scene() -> [Telemetry; 4] {
    let items = [Detection { class: 4, score: 934, ..Detection::default() }].into_iter().collect();
    [
        Telemetry::Hello(Hello {
            software: text("recslowfast 0.2.0"),
            board: text("a test"),
            address: text("192.168.7.2:8088"),
            ..Hello::default()
        }),
        Telemetry::ClassName(ClassName { class: 4, name: text("person") }),
        Telemetry::Detections(Detections { found: 1, items, ..Detections::default() }),
        Telemetry::Status(working()),
    ]
}

#[test]
#[ignore = "needs qemu-system-arm and the built firmwares: thumb/run.sh"]
fn the_device_draws_the_pictures_the_host_draws() {
    for (board, target) in BOARDS {
        let mut device = Device::boot(board, target, "panel");
        assert_eq!(device.command(), Command::AskHello);
        let [hello, name, detections, status] = scene();
        device.send(&hello, 0);
        assert_eq!(device.says(), "hello recslowfast 0.2.0 on a test");
        assert_eq!(device.command(), Command::AskStatus);
        // A damaged telegram in between costs nothing but itself.
        device.to.write_all(&[1, 2, 3, 4, 5, 0]).unwrap();
        device.send(&name, 1);
        device.send(&detections, 2);
        device.send(&status, 3);
        assert_eq!(device.says(), "status frame 123456 camera streaming steps 5");
        for picture in pictures(&reading(Some(working()), Some(("person", 934)))) {
            assert_eq!(device.says(), format!("picture {} {:08X}", picture.name, crc32(&picture.raw)), "{target}");
        }
        assert_eq!(device.says(), "counters frames 4 crc 0 cobs 1 lost 0");
        device.send(&Telemetry::Ack(Ack { sequence: 1, kind: 0x46, result: AckResult::Done }), 4);
        assert_eq!(device.says(), "ack 1 done");
    }
}

#[test]
#[ignore = "needs qemu-system-arm and the built firmwares: thumb/run.sh"]
fn stack_needs_are_within_the_goal() {
    let log = Telemetry::Log(Log { level: LogLevel::Info, uptime_ms: 0, text: text(&"x".repeat(160)) });
    for (board, target) in BOARDS {
        for firmware in ["decoder", "screen"] {
            let mut device = Device::boot(board, target, firmware);
            for (sequence, telegram) in (0..).zip(common::samples().into_iter().filter_map(|(_, _, message)| match message {
                common::Message::Telemetry(telegram) => Some(telegram),
                common::Message::Command(_) => None,
            })) {
                device.send(&telegram, sequence);
            }
            device.send(&log, 99);
            let stack = loop {
                let line = device.line();
                if let Some(bytes) = line.strip_prefix("stack ") {
                    break bytes.parse::<u32>().unwrap();
                }
            };
            println!("{target} {firmware}: {stack} bytes of stack, decoder and records included");
            if firmware == "decoder" {
                assert!(stack <= 2048, "{stack}");
            }
        }
    }
}
