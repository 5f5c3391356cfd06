//! What is carried from frame to frame: states that move once a frame, the previous answer, and which of them the halting rule measures.

use recslowfast::engine::cpu::{CpuEngine, Options};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::{HaltingRule, Metric};
use recslowfast::outcome::StepTrace;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, TensorProto};

use crate::write::{Folder, PIXELS, TWO, With, close, float, floats, model, node, through};

const PICTURE: [i64; 4] = [1, 1, 8, 8];

/// A picture of one number.
fn plain(x: f32) -> Vec<f32> {
    vec![x; PIXELS]
}

/// Both classes' logits are the state called `name`.
fn shows(name: &str) -> ModelProto {
    let nodes = vec![node("Concat", &format!("{name} {name}"), "logits").int("axis", 1)];
    model(17, nodes, vec![float(name, &PICTURE)], vec![float("logits", &[1, 2, 8, 8])], vec![])
}

/// The first logit after each frame, and what was done for it.
fn run(folder: &Folder, frames: &[f32], rule: HaltingRule) -> Vec<(f32, StepTrace)> {
    let network = Network::load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let answers = |plain_engine| {
        let mut engine = CpuEngine::with(&network, Options { threads: 1, plain: plain_engine, ..Options::default() }).unwrap();
        let one = |x: &f32| {
            engine.input().copy_from_slice(&plain(*x));
            engine.encode().unwrap();
            let trace = engine.advance(&StepRequest { rule, limit: 64, deadline: None }).unwrap();
            (engine.readout().unwrap()[0], trace)
        };
        frames.iter().map(one).collect::<Vec<_>>()
    };
    let (own, tract) = (answers(false), answers(true));
    for ((a, _), (b, _)) in own.iter().zip(&tract) {
        assert!(close(&[*a], &[*b]), "the CPU engine gives {a}, tract {b}");
    }
    own
}

fn state(name: &str, more: &str) -> String {
    format!("[[state]]\nname = \"{name}\"\nshape = {PICTURE:?}\n{more}")
}

/// `hidden` becomes the picture before the last but one; the two previous pictures move once a frame.
fn two_pictures_back() -> Folder {
    let step = vec![node("Identity", "older", "hidden_next"), node("Identity", "old", "older_next"), node("Identity", "drive", "old_next")];
    let inputs = ["drive", "hidden", "old", "older"].map(|name| float(name, &PICTURE)).to_vec();
    let outputs = ["hidden_next", "old_next", "older_next"].map(|name| float(name, &PICTURE)).to_vec();
    let step = model(17, step, inputs, outputs, vec![]);
    let states = [state("hidden", ""), state("old", "moves = \"frame\"\n"), state("older", "moves = \"frame\"\n")].concat();
    Folder::new(TWO, &states, &through(), Some(&step), &shows("hidden"))
}

#[test]
fn a_state_that_moves_once_a_frame_does_not_move_with_every_step() {
    let folder = two_pictures_back();
    for steps in [1, 3] {
        let seen: Vec<f32> = run(&folder, &[1.0, 2.0, 3.0, 4.0, 5.0], HaltingRule::fixed(steps)).into_iter().map(|(x, _)| x).collect();
        assert_eq!(seen, [0.0, 0.0, 1.0, 2.0, 3.0], "{steps} steps");
    }
}

#[test]
fn a_reset_forgets_what_moves_once_a_frame() {
    let network = Network::load(two_pictures_back().path()).unwrap();
    let mut engine = CpuEngine::with(&network, Options { threads: 1, ..Options::default() }).unwrap();
    let mut shown = |x: f32, reset: bool| {
        if reset {
            engine.reset();
        }
        engine.input().copy_from_slice(&plain(x));
        engine.encode().unwrap();
        engine.advance(&StepRequest { rule: HaltingRule::fixed(1), limit: 1, deadline: None }).unwrap();
        engine.readout().unwrap()[0]
    };
    assert_eq!([shown(1.0, false), shown(2.0, false), shown(3.0, false), shown(4.0, true)], [0.0, 0.0, 1.0, 0.0]);
}

/// `hidden` is the picture and half of the last answer.
fn with_its_last_answer() -> Folder {
    let step =
        vec![node("Slice", "before from to channel", "first"), node("Mul", "first half", "part"), node("Add", "drive part", "hidden_next")];
    let inputs = vec![float("drive", &PICTURE), float("hidden", &PICTURE), float("before", &[1, 2, 8, 8])];
    let list = |name: &str, n| crate::write::ints(name, &[n]);
    let weights = vec![list("from", 0), list("to", 1), list("channel", 1), floats("half", &[], &[0.5])];
    let step = model(17, step, inputs, vec![float("hidden_next", &PICTURE)], weights);
    let before = "[[state]]\nname = \"before\"\nshape = [1, 2, 8, 8]\nanswer = \"logits\"\n";
    Folder::new(TWO, &[state("hidden", ""), before.into()].concat(), &through(), Some(&step), &shows("hidden"))
}

#[test]
fn the_previous_answer_is_an_input_and_the_same_in_every_step_of_a_frame() {
    for steps in [1, 3] {
        let seen: Vec<f32> =
            run(&with_its_last_answer(), &[8.0, 0.0, 0.0, 8.0], HaltingRule::fixed(steps)).into_iter().map(|(x, _)| x).collect();
        assert_eq!(seen, [8.0, 4.0, 2.0, 9.0], "{steps} steps");
    }
}

#[test]
fn only_states_that_count_are_measured() {
    // `hidden` settles at once; `count` grows with every step.
    let step = vec![node("Identity", "drive", "hidden_next"), node("Add", "count drive", "count_next")];
    let inputs = ["drive", "hidden", "count"].map(|name| float(name, &PICTURE)).to_vec();
    let step = model(17, step, inputs, ["hidden_next", "count_next"].map(|name| float(name, &PICTURE)).to_vec(), vec![]);
    let steps = |more: &str| {
        let states = [state("hidden", ""), state("count", more)].concat();
        let folder = Folder::new(TWO, &states, &through(), Some(&step), &shows("count"));
        run(&folder, &[1.0], HaltingRule::halting(Metric::RelativeL2, 1e-3, 8))[0].1.steps
    };
    assert_eq!((steps("halting = false\n"), steps("")), (2, 8));
}

#[test]
fn a_previous_answer_of_another_size_or_name_is_refused() {
    let folder = with_its_last_answer();
    let path = folder.path().join("model.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, words) in [
        ("answer = \"logits\"", "answer = \"mask\"", "has no output 'mask', whose last value [[state]] 'before'"),
        ("shape = [1, 2, 8, 8]", "shape = [1, 1, 8, 8]", "'logits' is [1, 2, 8, 8]"),
        ("answer = \"logits\"", "", "has no output 'before_next'"),
    ] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let refused = Network::load(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn a_quantised_value_is_rounded_and_kept_as_eight_bits_keep_it() {
    let byte = |name: &str, value: u8| TensorProto {
        name: name.into(),
        data_type: DataType::Uint8 as i32,
        raw_data: vec![value],
        ..TensorProto::default()
    };
    let weights = vec![floats("scale", &[], &[0.5]), byte("zero", 10)];
    let nodes = vec![
        node("QuantizeLinear", "drive scale zero", "q"),
        node("DequantizeLinear", "q scale zero", "y"),
        node("Concat", "y y", "logits").int("axis", 1),
    ];
    let readout = model(17, nodes, vec![float("drive", &PICTURE)], vec![float("logits", &[1, 2, 8, 8])], weights);
    let folder = Folder::new(TWO, "", &through(), None, &readout);
    // Halves go to the even number; 0 to 255 less 10 are held.
    for (given, held) in [(0.74, 0.5), (0.25, 0.0), (0.75, 1.0), (1.25, 1.0), (-0.75, -1.0), (-40.0, -5.0), (1e9, 122.5)] {
        assert_eq!(folder.answer(&plain(given)).unwrap()[0], held, "{given}");
    }
    let engine = CpuEngine::load(&Network::load(folder.path()).unwrap()).unwrap();
    assert_eq!(engine.on_tract().count(), 0, "it is native");
}

#[test]
fn weights_in_eight_bits_are_read_as_the_numbers_they_mean() {
    let whole = |name: &str, dims: &[i64], kind: DataType, bytes: Vec<u8>| TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: kind as i32,
        raw_data: bytes,
        ..TensorProto::default()
    };
    let weights = vec![
        whole("q", &[2, 1, 1, 1], DataType::Int8, vec![3, 0xfe]),
        floats("scale", &[2], &[0.5, 2.0]),
        whole("zero", &[2], DataType::Int8, vec![1, 0]),
    ];
    let nodes = vec![node("DequantizeLinear", "q scale zero", "w").int("axis", 0), node("Conv", "drive w", "logits")];
    let readout = model(17, nodes, vec![float("drive", &PICTURE)], vec![float("logits", &[1, 2, 8, 8])], weights);
    let folder = Folder::new(TWO, "", &through(), None, &readout);
    let answer = folder.answer(&plain(1.0)).unwrap();
    assert_eq!((answer[0], answer[PIXELS]), (1.0, -4.0));
    let engine = CpuEngine::load(&Network::load(folder.path()).unwrap()).unwrap();
    assert_eq!(engine.on_tract().count(), 0, "the convolution is native");
}
