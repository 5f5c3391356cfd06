//! The troubleshooting table of configs/README.md: every message in it is provoked here, and must be printed word for word.
//!
//! What this machine cannot provoke (a camera of its own, a full bus) is left to the test of the room that says it, which is named.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const STREAM: &str = "pathfinder:easy?seed=7&size=64&fps=50";

/// How a message of the table was come by.
enum Evidence {
    /// The program was run, and said this.
    Said(String),
    /// The test in this file, under `runtime`, asserts the message.
    AssertedIn(&'static str),
    /// This machine has what the message says is missing.
    NotHere(&'static str),
}

/// A program that neither hears of a service manager nor is told how much to say.
fn recslowfast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env_remove("JOURNAL_STREAM").env_remove("RUST_LOG");
    command
}

fn all(output: Output) -> String {
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn said(arguments: &[&str]) -> Evidence {
    Evidence::Said(all(recslowfast().args(arguments).output().expect("the binary starts")))
}

/// Runs `command` until its log holds all of `words`; what is said after that does not matter.
fn said_until(command: &mut Command, words: &[&str]) -> Evidence {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut log = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        log.push_str(&line);
        log.push('\n');
        if words.iter().all(|words| log.contains(words)) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    Evidence::Said(log)
}

fn check(config: &str) -> Evidence {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("board.toml");
    fs::write(&file, config).unwrap();
    said(&["check", file.to_str().unwrap()])
}

/// A copy of the built-in network, one graph of which was changed.
fn inspect_spoiled(graph: &str, spoil: impl Fn(Vec<u8>) -> Vec<u8>) -> Evidence {
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo/pathfinder-hgru");
    let folder = tempfile::tempdir().unwrap();
    for file in ["model.toml", "encoder.onnx", "step.onnx", "readout.onnx"] {
        fs::copy(zoo.join(file), folder.path().join(file)).unwrap();
    }
    let graph = folder.path().join(graph);
    fs::write(&graph, spoil(fs::read(&graph).unwrap())).unwrap();
    said(&["inspect", folder.path().to_str().unwrap()])
}

/// The program run by somebody to whom a device is closed.
fn a_camera_that_keeps_its_user_out() -> Evidence {
    let closed =
        |path: &&str| fs::metadata(path).is_ok_and(|meta| meta.file_type().is_char_device() && meta.mode() & 0o006 == 0 && meta.uid() == 0);
    let nodes = ["/dev/console", "/dev/mem", "/dev/port", "/dev/hwrng", "/dev/vhost-net", "/dev/uinput", "/dev/loop-control"];
    let Some(device) = nodes.iter().find(|path| closed(path)) else { return Evidence::NotHere("every device is open to everybody") };
    // The build's own folder may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("recslowfast");
    fs::copy(env!("CARGO_BIN_EXE_recslowfast"), &program).unwrap();
    let mut command = Command::new(program);
    command.env_remove("NOTIFY_SOCKET").args(["run", "--engine", "cpu", "--source"]).arg(format!("v4l2:{device}"));
    if is_root() {
        command.uid(65534).gid(65534);
    }
    Evidence::Said(all(command.output().expect("the binary starts")))
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t0"))
}

/// A service whose configuration is changed to `second`, and read again, once it runs.
fn reloaded(second: &str) -> Evidence {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("board.toml");
    let first = format!("[source]\nuri = \"{STREAM}\"\n[engine]\nkind = \"cpu\"\n[page]\nlisten = \"127.0.0.1:0\"\n");
    fs::write(&file, &first).unwrap();
    let mut child = recslowfast().args(["run", "--config"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        log.push_str(&line);
        log.push('\n');
        // The page is the last thing to be opened before frames are answered.
        if line.contains("page on http") {
            fs::write(&file, first.replace("kind = \"cpu\"", second)).unwrap();
            assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
        }
        if line.contains("configuration") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    Evidence::Said(log)
}

/// Whether the thread of `pid` that reports on standard output waits for its reader: it is in the middle of a write whenever it is looked at.
fn is_stuck(pid: u32) -> bool {
    let looks = (0..5).map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().map(|task| task.path());
        let mut reports = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "report-json"));
        let call = reports.next().and_then(|task| fs::read_to_string(task.join("syscall")).ok());
        call.is_some_and(|call| call.starts_with(&format!("{} 0x1 ", libc::SYS_write)))
    });
    looks.filter(|stuck| *stuck).count() == 5
}

/// Asked to end while nobody reads its records, which fill the pipe.
fn stuck_at_the_end() -> Evidence {
    let mut command = recslowfast();
    let network = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gpu/networks/tiny-convgru");
    command.args(["run", "--source", "pathfinder:easy?seed=7&size=64", "--model", network, "--report", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !is_stuck(child.id()) {}
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    // Its standard output stays open and unread until it has ended.
    let mut log = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        log.push_str(&line);
        log.push('\n');
    }
    child.wait().unwrap();
    Evidence::Said(log)
}

/// Brings about what the table says `message` for.
fn provoke(message: &str) -> Evidence {
    let cuda = || Path::new("/dev/nvidiactl").exists() || Path::new("/dev/nvhost-gpu").exists();
    match message {
        "cannot open …: there is no such device" => said(&["run", "--source", "/dev/video99"]),
        "cannot open …: permission denied: add the user to group video" => a_camera_that_keeps_its_user_out(),
        "cannot open …: it is no camera: it knows nothing of Video4Linux" => said(&["run", "--source", "v4l2:/dev/null"]),
        "another program is using the camera" | "the USB bus has no bandwidth left" => Evidence::AssertedIn("src/capture/v4l2/errno.rs"),
        "without a camera only the built-in stream could be watched, and … would act on its generated scene as if it were real" => {
            if fs::read_dir("/dev").unwrap().flatten().any(|node| node.file_name().to_string_lossy().starts_with("video")) {
                return Evidence::NotHere("there is a camera");
            }
            said(&["run", "--engine", "cpu", "--report", "link:/dev/ttyNOWHERE0"])
        }
        "asked three times to end; unfinished and in part lost: …" => Evidence::AssertedIn("tests/ends/signals.rs"),
        "cannot write to standard output: …" => {
            let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            Evidence::Said(all(recslowfast().arg("inspect").stdout(full).output().unwrap()))
        }
        "…; waiting for the camera" => said_until(
            recslowfast().env("NOTIFY_SOCKET", "/nowhere").args(["run", "--source", "/dev/video99", "--engine", "cpu"]),
            &["waiting for the camera"],
        ),
        "streaming -> stalled: no frame for …" => {
            said_until(recslowfast().args(["run", "--source", STREAM, "--engine", "cpu", "--fault", "stall=9:9s"]), &["-> stalled"])
        }
        "streaming -> lost after …; looking for it" => {
            said_until(recslowfast().args(["run", "--source", STREAM, "--engine", "cpu", "--fault", "vanish=9:9s"]), &["-> lost"])
        }
        "video is decoded by ffmpeg, which is not installed" => {
            let folder = tempfile::tempdir().unwrap();
            let film = folder.path().join("film.mkv");
            fs::write(&film, [0x1a, 0x45, 0xdf, 0xa3]).unwrap();
            Evidence::Said(all(recslowfast().env("PATH", "/nowhere").args(["run", "--source"]).arg(film).output().unwrap()))
        }
        "…:…:…: there is no key '…' in [source]: did you mean '…'?" => check("[source]\nfitt = \"crop\"\n"),
        "the unit is missing" => check("[budget]\ndeadline = \"33\"\n"),
        "configuration not applied, the running settings stay: …" => reloaded("kind = \"gpu\""),
        "configuration reloaded: needs a restart: …" => reloaded("kind = \"auto\""),
        "can be reached from other machines; give a page token" => said(&["run", "--page", "0.0.0.0:0"]),
        "cannot write to the page at …: Address already in use" => {
            let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            said(&["run", "--source", STREAM, "--engine", "cpu", "--page", &taken.local_addr().unwrap().to_string()])
        }
        "no network '…': it is neither a folder nor one of the built-in networks" => said(&["inspect", "nothing-of-that-name"]),
        "is no ONNX graph this runtime can read (…); export it again" => {
            inspect_spoiled("step.onnx", |bytes| bytes[..bytes.len() / 2].to_vec())
        }
        "is damaged; export it again" => inspect_spoiled("encoder.onnx", |mut bytes| {
            // The graph's output, by another name where a node writes it: tract panics, and that is caught.
            let name = bytes.windows(6).position(|name| name == b"\x05drive").unwrap();
            bytes[name + 5] = b'f';
            bytes
        }),
        "hold a NaN or infinity at element …; the training diverged" => inspect_spoiled("step.onnx", |mut bytes| {
            // Eight bytes of ones hold at least one whole NaN wherever the floats are aligned.
            let middle = bytes.len() / 2;
            bytes[middle..middle + 8].fill(0xff);
            bytes
        }),
        "engine 'cuda' is not available: …: no CUDA driver (libcuda.so) is installed" if cuda() => Evidence::NotHere("there is a GPU"),
        "no CUDA driver (libcuda.so) is installed; using the CPU" if cuda() => Evidence::NotHere("there is a GPU"),
        "engine 'cuda' is not available: …: no CUDA driver (libcuda.so) is installed" => {
            said(&["run", "--engine", "cuda", "--frames", "1"])
        }
        "chains are interpreted: no NVRTC library (libnvrtc.so) is installed" => Evidence::AssertedIn("tests/gpu/compiled.rs"),
        "no CUDA driver (libcuda.so) is installed; using the CPU" => said(&["run", "--source", STREAM, "--frames", "1"]),
        "… engine threads on … usable processors wait for one another" => {
            said(&["run", "--source", STREAM, "--engine", "cpu", "--threads", "64", "--frames", "1"])
        }
        "there is no power rail '…'" => {
            said(&["run", "--source", STREAM, "--engine", "cpu", "--frames", "1", "--power", "10W", "--power-rail", "VDD_NOWHERE"])
        }
        "no power sensor" => said(&["doctor", "power", "--root", tempfile::tempdir().unwrap().path().to_str().unwrap()]),
        "serial …: …; trying again until it is back" => {
            said(&["run", "--source", STREAM, "--engine", "cpu", "--frames", "3", "--report", "serial:/dev/ttyNOWHERE0"])
        }
        "cannot write the recording …: the disk is full" => {
            let folder = tempfile::tempdir().unwrap();
            let full = folder.path().join("full.mcap");
            std::os::unix::fs::symlink("/dev/full", &full).unwrap();
            said(&["run", "--source", STREAM, "--engine", "cpu", "--frames", "50", "--record", full.to_str().unwrap()])
        }
        "mqtt …: …; trying again until it is back" => {
            said(&["run", "--source", STREAM, "--engine", "cpu", "--frames", "3", "--report", "mqtt:127.0.0.1:9"])
        }
        "the broker refuses this user or password" => Evidence::AssertedIn("../tests/mqtt/broker.py"),
        "a password on the command line can be read by everybody on this machine" => {
            said(&["run", "--report", "mqtt:127.0.0.1", "--mqtt-user", "door", "--mqtt-password", "secret"])
        }
        "took longer than … ms to finish; its last reports are lost" => stuck_at_the_end(),
        "a fault in thread '…': …" => Evidence::AssertedIn("tests/service.rs"),
        other => panic!("nothing here provokes '{other}'"),
    }
}

/// Messages of the table under `heading`, in order.
fn messages() -> Vec<String> {
    let handbook = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/README.md")).unwrap();
    let table = handbook.split("| what it says |").nth(1).expect("there is a table of messages");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).expect("a message stands in backquotes").to_owned()).collect()
}

/// Whether `line` holds the parts of `message`, in order, with anything at all for each `…`.
fn holds(line: &str, message: &str) -> bool {
    let mut rest = line;
    message.split('…').all(|part| {
        let found = rest.find(part);
        if let Some(at) = found {
            rest = &rest[at + part.len()..];
        }
        found.is_some()
    })
}

#[test]
fn every_message_of_the_handbook_is_one_the_program_prints() {
    let messages = messages();
    assert!(messages.len() > 20, "{messages:?}");
    let (mut skipped, mut unsaid) = (0, Vec::new());
    for message in &messages {
        match provoke(message) {
            Evidence::Said(said) if said.lines().any(|line| holds(line, message)) => {}
            Evidence::Said(said) => unsaid.push(format!("'{message}' was not said, but:\n{said}")),
            Evidence::AssertedIn(file) => {
                let test = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
                assert!(
                    test.lines().filter(|line| line.trim_start().starts_with("assert")).any(|line| holds(line, message)),
                    "no assertion in {file} holds '{message}'"
                );
            }
            Evidence::NotHere(why) => {
                println!("skipped '{message}': {why}");
                skipped += 1;
            }
        }
    }
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n"));
    assert!(skipped <= 3, "{skipped} of {} messages were not provoked", messages.len());
}

#[test]
fn every_file_on_the_way_of_a_frame_is_there() {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(package.join("README.md")).unwrap();
    let (_, tour) = text.split_once("### File by file").expect("the tour is there");
    let (tour, _) = tour.split_once("\n## ").expect("something follows it");
    let named: Vec<_> = tour.split('`').filter(|word| word.starts_with("src/")).collect();
    assert!(named.len() >= 15, "{named:?}");
    let missing: Vec<_> = named.into_iter().filter(|file| !package.join(file).is_file()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
