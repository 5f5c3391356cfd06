//! The same picture on the host's panel and on a device that only heard telegrams.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::image::GetPixel;
use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::pixelcolor::raw::{BigEndian, RawU16};
use embedded_graphics::prelude::*;
use firmware_bridge::dashboard::{Reading, draw};
use firmware_bridge::{Command, SetReportRate, Telemetry, crc32};
use serialport::SerialPort;

use crate::board::Board;
use crate::device::Device;
use crate::pty::Socket;

/// Every frame's detections, so that device and panel know the same.
const ALL: SetReportRate = SetReportRate { status_period_ms: 200, detections_period_ms: 1 };
const SIZE: (u32, u32) = (320, 240);

/// The CRC of the picture in `file`, as the device counts it: big-endian RGB565.
fn file_crc(file: &Path) -> Option<u32> {
    let picture = image::open(file).ok()?.into_rgb8();
    assert_eq!(picture.dimensions(), SIZE);
    let raw = picture.pixels().flat_map(|pixel| {
        let [r, g, b] = pixel.0.map(u16::from);
        (r >> 3 << 11 | g >> 2 << 5 | b >> 3).to_be_bytes()
    });
    Some(crc32(&raw.collect::<Vec<u8>>()))
}

/// Waits until the picture in `file` is the one that `drawn` gives again and again, and has been for a second; gives its CRC.
#[track_caller]
fn agreed(file: &Path, mut drawn: impl FnMut() -> Option<u32>) -> u32 {
    let began = Instant::now();
    let mut since = Instant::now();
    loop {
        let (theirs, ours) = (drawn(), file_crc(file));
        match ours {
            Some(crc) if theirs == ours && since.elapsed() > Duration::from_secs(1) => return crc,
            _ if theirs == ours => {}
            _ => since = Instant::now(),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "after a minute the device draws {theirs:08X?} and the panel shows {ours:08X?}");
    }
}

#[test]
fn a_device_that_only_listens_draws_what_the_panel_shows() {
    let socket = Socket::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("panel.png");
    let mut device = Device::new(socket.plug());
    let link = format!("link:{}", socket.path().display());
    let png = format!("panel:png:{}@320x240", file.display());
    let board = Board::start(&["--halt", "fixed:1", "--page", "127.0.0.1:0", "--report", &link, "--report", &png]);
    let mut reading = Reading::default();
    let mut panel = Box::new(Framebuffer::<Rgb565, RawU16, BigEndian, 320, 240, { buffer_size::<Rgb565>(320, 240) }>::new());
    device.wait(|telegram| {
        reading.absorb(telegram);
        matches!(telegram, Telemetry::Detections(_)).then_some(())
    });
    device.send(Command::SetReportRate(ALL));
    for _ in 0..30 {
        device.wait(|telegram| {
            reading.absorb(telegram);
            matches!(telegram, Telemetry::Detections(_)).then_some(())
        });
    }
    device.send(Command::Pause);
    let shown = agreed(&file, || {
        for telegram in device.all(Duration::from_millis(250)) {
            reading.absorb(&telegram);
        }
        draw(&reading, panel.as_mut()).unwrap();
        Some(crc32(panel.data())).filter(|_| reading.status.as_ref().is_some_and(|status| status.paused))
    });
    assert!(panel.bounding_box().points().any(|at| panel.pixel(at) != Some(Rgb565::BLACK)));
    println!("picture 320x240 {shown:08X} on the panel and on the device");
    board.end();
}

/// An emulated Cortex-M whose UART is the far end of a cable; what it says over semihosting can be heard.
struct Firmware {
    child: Child,
    said: Receiver<String>,
}

impl Firmware {
    fn boot(board: &str, target: &str, uart: &Path) -> Firmware {
        let emulator = std::env::var("QEMU_SYSTEM_ARM").expect("QEMU_SYSTEM_ARM: .ci/verbs/link sets it");
        let folder = std::env::var("THUMB_FIRMWARE").expect("THUMB_FIRMWARE: .ci/verbs/link sets it");
        let mut words = emulator.split_whitespace();
        let mut child = Process::new(words.next().unwrap())
            .args(words)
            .args(["-M", board, "-display", "none", "-monitor", "none", "-chardev"])
            .arg(format!("serial,id=uart,path={}", uart.display()))
            .args(["-serial", "chardev:uart", "-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(format!("{folder}/{target}/release/panel"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, said) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || lines.lines().map_while(Result::ok).map(|one| line.send(one)).take_while(Result::is_ok).count());
        Firmware { child, said }
    }
}

impl Drop for Firmware {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes all of `bytes`, however slowly they are taken; until the emulator has opened its end they are said to nobody.
fn give(port: &mut dyn SerialPort, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match port.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            Err(_) => return,
        }
    }
}

/// Carries bytes both ways between two cables, and lets commands of our own in between, under numbers of their own.
fn joined(board: &mut dyn SerialPort, firmware: &mut dyn SerialPort, time: Duration, commands: &[(u16, Command)]) {
    let mut bytes = [0; 4096];
    for (sequence, command) in commands {
        give(board, &command.encode(*sequence).unwrap());
    }
    let began = Instant::now();
    while began.elapsed() < time {
        if let Ok(n) = board.read(&mut bytes) {
            give(firmware, &bytes[..n]);
        }
        if let Ok(n) = firmware.read(&mut bytes) {
            give(board, &bytes[..n]);
        }
    }
}

#[test]
#[ignore = "needs qemu-system-arm and the built firmwares: .ci/verbs/link"]
fn firmware_on_a_cortex_m_draws_what_the_panel_of_the_running_program_shows() {
    for (machine, target) in [("mps2-an385", "thumbv6m-none-eabi"), ("mps2-an386", "thumbv7em-none-eabihf")] {
        let (to_board, to_firmware) = (Socket::new(), Socket::new());
        let (mut near_board, mut near_firmware) = (to_board.plug(), to_firmware.plug());
        for port in [&mut near_board, &mut near_firmware] {
            port.set_timeout(Duration::from_millis(5)).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("panel.png");
        let link = format!("link:{}", to_board.path().display());
        let png = format!("panel:png:{}@320x240", file.display());
        let board = Board::start(&["--halt", "fixed:1", "--page", "127.0.0.1:0", "--report", &link, "--report", &png]);
        board.record();
        let firmware = Firmware::boot(machine, target, &to_firmware.path());
        joined(&mut near_board, &mut near_firmware, Duration::from_secs(4), &[]);
        let slowly = SetReportRate { status_period_ms: 1000, ..ALL };
        joined(&mut near_board, &mut near_firmware, Duration::from_secs(4), &[(100, Command::SetReportRate(slowly))]);
        joined(&mut near_board, &mut near_firmware, Duration::from_secs(1), &[(101, Command::Pause)]);
        let mut said = Vec::<String>::new();
        let shown = agreed(&file, || {
            joined(&mut near_board, &mut near_firmware, Duration::from_millis(250), &[]);
            said.extend(firmware.said.try_iter());
            said.iter().rev().find_map(|line| u32::from_str_radix(line.strip_prefix("picture 320x240 ")?, 16).ok())
        });
        assert!(said.iter().any(|line| line.starts_with("hello recslowfast ")), "{said:?}");
        println!("{target}: the device draws {shown:08X}, which the panel shows");
        board.end();
    }
}
