//! Golden vectors: Rust, C and Python agree byte for byte, on the vectors and on damaged traffic.
//! `UPDATE_GOLDEN=1 cargo test -p firmware-bridge` writes them anew.

mod common;

use common::*;
use firmware_bridge::{Command, Decoder, ParseError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

fn room() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden() -> String {
    let mut file = String::from("# name, frame, meaning. Made and checked by tests/vectors.rs.\n");
    for (name, sequence, message) in samples() {
        let frame = message.encode(sequence).unwrap();
        file += &format!("\n# {name}\nframe {}\nmeans {sequence} {}\n", hex(&frame), words(&message));
    }
    file
}

fn all_frames() -> Vec<u8> {
    samples().iter().flat_map(|(_, sequence, message)| message.encode(*sequence).unwrap()).collect()
}

/// Ends with what the tool said; `None` when it is not on this machine.
fn said_by(tool: &mut Process, input: &[u8]) -> Option<String> {
    let mut child = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().expect("the tool reads all of its input");
    assert!(output.status.success(), "{tool:?} ended with {}", output.status);
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Compiles one of the C tools with the system's compiler; `None` when there is none.
fn compiled(name: &str, flags: &[&str]) -> Option<PathBuf> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}{}", flags.len()));
    let status = Process::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2"])
        .args(flags)
        .arg(room().join("c/tests").join(name).with_extension("c"))
        .arg(room().join("c/recslowfast_link.c"))
        .arg("-o")
        .arg(&out)
        .status();
    match status {
        Err(missing) => {
            eprintln!("skipped: no C compiler: {missing}");
            None
        }
        Ok(status) => {
            assert!(status.success(), "the C files do not compile");
            Some(out)
        }
    }
}

#[test]
fn vectors_are_the_committed_ones() {
    let path = room().join("tests/golden/vectors.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, golden()).unwrap();
    }
    assert_eq!(golden(), std::fs::read_to_string(path).unwrap());
}

#[test]
fn vectors_are_read_back() {
    let mut decoder = Decoder::new();
    for (name, sequence, message) in samples() {
        let frame = message.encode(sequence).unwrap();
        let mut read = None;
        for &byte in &frame {
            assert!(read.is_none(), "{name}: complete before its delimiter");
            read = decoder.push(byte).map(|packet| (packet.sequence(), Message::parse(&packet)));
        }
        assert_eq!(read, Some((sequence, Ok(message))), "{name}");
    }
}

#[test]
fn the_frame_written_out_on_the_wire_page_is_right() {
    let frame = Command::AskStatus.encode(1).unwrap();
    let spaced = frame.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ");
    let page = std::fs::read_to_string(room().join("WIRE.md")).unwrap();
    assert!(page.contains(&format!("\n{spaced}\n")), "WIRE.md lacks {spaced}");
}

#[test]
fn c_reads_and_writes_the_same_bytes() {
    let Some(tool) = compiled("dump", &[]) else { return };
    let frames = all_frames();
    assert_eq!(said_by(&mut Process::new(tool), &frames).unwrap(), heard(&frames));
}

/// Twenty thousand packets, damaged, and noise between them.
fn damaged_traffic() -> Vec<u8> {
    let mut dice = Dice::new(8);
    let samples = samples();
    let mut traffic = Vec::new();
    for sequence in 0..20_000_u16 {
        let (_, _, message) = &samples[dice.below(samples.len())];
        let packet = unstuffed(&message.encode(sequence).unwrap());
        if dice.chance(10) {
            let noise = dice.below(600);
            traffic.extend((0..noise).map(|_| dice.bits() as u8));
        }
        traffic.extend(stuffed(&damaged(&mut dice, &packet)));
    }
    traffic
}

#[test]
fn c_judges_damaged_traffic_alike() {
    let Some(tool) = compiled("dump", &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]) else { return };
    let traffic = damaged_traffic();
    let said = said_by(&mut Process::new(tool), &traffic).unwrap();
    let heard = heard(&traffic);
    for (line, (c, rust)) in said.lines().zip(heard.lines()).enumerate() {
        assert_eq!(c, rust, "line {line}");
    }
    assert_eq!(said.len(), heard.len());
    for word in ["unknown", "malformed", "outside"] {
        assert!(heard.contains(word), "the dice never gave anything {word}");
    }
}

#[test]
fn c_survives_noise_under_sanitizers() {
    let Some(tool) = compiled("fuzz", &["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]) else { return };
    let runs = std::env::var("FUZZ_RUNS").unwrap_or_else(|_| "200000".into());
    let said = said_by(Process::new(tool).args([&runs, "1"]), &all_frames()).unwrap();
    eprint!("{said}");
    assert!(said.starts_with(&format!("{runs} runs")));
}

#[test]
fn the_example_sketch_compiles() {
    let status = Process::new("c++")
        .args(["-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(room().join("c/tests/arduino"))
        .arg("-I")
        .arg(room().join("c"))
        .args(["-x", "c++"])
        .arg(room().join("c/examples/status_line/status_line.ino"))
        .status();
    match status {
        Ok(status) => assert!(status.success()),
        Err(missing) => eprintln!("skipped: no C++ compiler: {missing}"),
    }
}

#[test]
fn python_reads_the_same() {
    let mut tool = Process::new("python3");
    tool.arg(room().join("tests/dump_vectors.py"));
    // A little noise in front: the reader has to find its place too.
    let input = [b"boot noise\0".as_slice(), &all_frames()].concat();
    let Some(said) = said_by(&mut tool, &input) else {
        eprintln!("skipped: no python3");
        return;
    };
    let expected: String = samples().iter().map(|(_, sequence, message)| format!("{sequence} {}\n", words(message))).collect();
    assert_eq!(said, expected + "counters damaged=1 version=0 unknown=0 malformed=0\n");
}

#[test]
fn python_judges_damaged_traffic_alike() {
    let mut tool = Process::new("python3");
    let traffic = damaged_traffic();
    let Some(said) = said_by(tool.arg(room().join("tests/dump_vectors.py")), &traffic) else {
        eprintln!("skipped: no python3");
        return;
    };
    let mut said = said.lines();
    let mut decoder = Decoder::new();
    let (mut unknown, mut malformed) = (0, 0);
    for byte in traffic {
        let Some(packet) = decoder.push(byte) else { continue };
        let sequence = packet.sequence();
        match Message::parse(&packet) {
            Ok(message) => assert_eq!(said.next(), Some(format!("{sequence} {}", words(&message)).as_str())),
            // Ranges are not its business.
            Err(ParseError::OutOfRange(_)) => assert!(said.next().is_some_and(|line| line.starts_with(&format!("{sequence} ")))),
            Err(ParseError::UnknownKind(_)) => unknown += 1,
            Err(ParseError::Malformed) => malformed += 1,
        }
    }
    let counted = decoder.counters();
    let damaged = counted.cobs + counted.overlong + counted.short + counted.crc;
    let version = counted.version;
    assert!(unknown > 0 && malformed > 0 && damaged > 0, "the dice gave too little");
    let counters = format!("counters damaged={damaged} version={version} unknown={unknown} malformed={malformed}");
    assert_eq!((said.next(), said.next()), (Some(counters.as_str()), None));
}
