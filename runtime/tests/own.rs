//! A network of one's own: begun with `init`, run for another program with `advance`, and held against ONNX Runtime with `verify`.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_recslowfast"))
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn init_writes_a_manifest_and_a_script_for_every_task_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for task in ["boxes", "classes", "contour", "matte", "raw"] {
        let place = folder.path().join(format!("my-{task}"));
        let path = place.to_str().unwrap();
        let output = run(&["init", path, "--task", task]);
        assert!(output.status.success(), "{}", said(&output));
        let (manifest, script) =
            (fs::read_to_string(place.join("model.toml")).unwrap(), fs::read_to_string(place.join("train.py")).unwrap());
        let read = recslowfast::network::manifest::Manifest::parse(&manifest).unwrap_or_else(|error| panic!("{task}: {error}"));
        assert_eq!(read.name, format!("my-{task}"));
        assert!(manifest.contains(&format!("kind = \"{task}\"")) && !manifest.contains('@') && !script.contains('@'), "{manifest}{script}");
        fs::write(place.join("train.py"), "mine").unwrap();
        let again = run(&["init", path, "--task", task]);
        assert_eq!(again.status.code(), Some(7));
        assert!(said(&again).contains("is there already"));
        assert_eq!(fs::read_to_string(place.join("train.py")).unwrap(), "mine");
    }
    assert_eq!(run(&["init", "../sl ash", "--task", "raw"]).status.code(), Some(2));
}

/// `recslowfast advance` and its pipes.
struct Advancing(Child);

impl Advancing {
    fn start(arguments: &[&str]) -> Advancing {
        let mut command = program();
        command.arg("advance").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Advancing(command.spawn().unwrap())
    }

    fn answer(&mut self) -> Vec<u8> {
        let output = self.0.stdout.as_mut().unwrap();
        let mut length = [0; 4];
        output.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        output.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        self.0.stdin.as_mut().unwrap().write_all(message).unwrap();
        self.answer()
    }

    /// Ends its input; its exit code and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output().unwrap();
        (output.status.code(), said(&output))
    }
}

/// The entry called `name` of a NumPy archive without compression.
fn entry<'a>(archive: &'a [u8], name: &str) -> &'a [u8] {
    let name = format!("{name}.npy");
    let at = archive.windows(name.len()).position(|window| window == name.as_bytes()).unwrap_or_else(|| panic!("no {name}"));
    let size = u32::from_le_bytes(archive[at - 8..at - 4].try_into().unwrap()) as usize;
    &archive[at + name.len()..at + name.len() + size]
}

#[test]
fn a_program_gets_the_same_tensors_that_a_dump_has() {
    let folder = tempfile::tempdir().unwrap();
    // Two pictures of a bright bar.
    let pictures: Vec<Vec<u8>> =
        (0..2u8).map(|at| (0..64 * 64).map(|i| if i % 64 / 8 == usize::from(2 + at) { 200 } else { 20 }).collect()).collect();
    fs::create_dir(folder.path().join("pictures")).unwrap();
    for (at, picture) in pictures.iter().enumerate() {
        image::save_buffer(folder.path().join(format!("pictures/{at}.png")), picture, 64, 64, image::ExtendedColorType::L8).unwrap();
    }
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let source = path("pictures");
    let output = run(&[
        "run",
        "--model",
        "pathfinder-hgru",
        "--halt",
        "fixed:2",
        "--threads",
        "1",
        "--source",
        &source,
        "--report",
        "json",
        "--dump",
        &path("dump"),
    ]);
    assert!(output.status.success(), "{}", said(&output));

    let mut advancing = Advancing::start(&["pathfinder-hgru", "--halt", "fixed:2"]);
    let about: serde_json::Value = serde_json::from_slice(&advancing.answer()).unwrap();
    assert_eq!((about["task"].as_str(), about["input"].to_string().as_str()), (Some("contour"), "[1,1,64,64]"));
    for (at, picture) in pictures.iter().enumerate() {
        let size: Vec<u8> = [64u32, 64, 1].iter().flat_map(|n| n.to_le_bytes()).collect();
        let archive = advancing.ask(&[b"P", &size[..], picture].concat());
        let dumped = fs::read(folder.path().join(format!("dump/{at:06}.npz"))).unwrap();
        let state = format!("state.{}", about["states"][0]["name"].as_str().unwrap());
        for name in ["input", "encoded.drive", &state, "answer.logits", "steps", "distances"] {
            assert!(entry(&archive, name) == entry(&dumped, name), "{name} of frame {at}");
        }
    }
    assert_eq!(advancing.ask(b"R"), b"");
    assert_eq!(advancing.end().0, Some(0));
}

#[test]
fn a_message_that_is_none_or_is_cut_short_is_an_error() {
    for (message, words) in [(&b"X"[..], "begins with byte 88"), (b"T123", "cut short"), (b"P\0\0\0\0\x40\0\0\0\x01\0\0\0", "0x64 pixels")]
    {
        let mut advancing = Advancing::start(&["pathfinder-hgru"]);
        advancing.answer();
        advancing.0.stdin.as_mut().unwrap().write_all(message).unwrap();
        let (code, told) = advancing.end();
        assert_eq!(code, Some(4), "{told}");
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn verify_says_what_it_needs_and_what_is_wrong_with_the_folder() {
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo/pathfinder-lean");
    let without = run(&["verify", zoo.to_str().unwrap(), "--python", "/bin/false"]);
    assert_eq!(without.status.code(), Some(6));
    assert!(said(&without).contains("cannot import numpy, onnxruntime") && said(&without).contains("pip install"), "{}", said(&without));
    assert!(String::from_utf8_lossy(&without.stdout).contains("all native"), "what runs where needs no Python");
    assert_eq!(run(&["verify", "pathfinder-hgru"]).status.code(), Some(2), "a built-in network has no files");
    assert_eq!(run(&["verify", "/nowhere"]).status.code(), Some(5));
}

#[test]
fn inspect_lists_every_node_with_its_place_and_cost() {
    let output = run(&["inspect", "pathfinder-hgru", "--nodes"]);
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && listed.lines().filter(|line| line.contains(" native ")).count() > 10, "{listed}");
}
