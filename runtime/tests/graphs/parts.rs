//! Nodes that no engine computes run on tract, as parts of a graph whose other nodes do not; the encoder may give features beside the drive.

use recslowfast::engine::cpu::{CpuEngine, Options};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;
use tract_onnx::pb::{ModelProto, TensorProto};

use crate::write::{Folder, PIXELS, TWO, With, close, float, floats, ints, meaning, model, node, picture, through};

const STATE: &str = "[[state]]\nname = \"hidden\"\nshape = [1, 2, 8, 8]\n";

fn on_tract(folder: &Folder) -> Vec<&'static str> {
    CpuEngine::load(&Network::load(folder.path()).unwrap()).unwrap().on_tract().collect()
}

/// One whole number, without a shape.
fn one(name: &str, number: i64) -> TensorProto {
    TensorProto { dims: Vec::new(), ..ints(name, &[number]) }
}

/// A step with a running sum, which no engine computes, between two convolutions.
fn step_with_a_running_sum() -> ModelProto {
    let shape = [1, 2, 8, 8];
    let weights: Vec<f32> = (0..36).map(|n| (n % 7) as f32 / 20.0 - 0.1).collect();
    let nodes = vec![
        node("Conv", "hidden w", "a").ints("pads", &[1, 1, 1, 1]),
        node("CumSum", "a axis", "b"),
        node("Conv", "b w", "c").ints("pads", &[1, 1, 1, 1]),
        node("Tanh", "c", "d"),
        node("Add", "d drive", "hidden_next"),
    ];
    let lists = vec![floats("w", &[2, 2, 3, 3], &weights), one("axis", 3)];
    model(17, nodes, vec![float("drive", &[1, 1, 8, 8]), float("hidden", &shape)], vec![float("hidden_next", &shape)], lists)
}

fn as_it_is() -> ModelProto {
    let shape = [1, 2, 8, 8];
    model(17, vec![node("Identity", "hidden", "logits")], vec![float("hidden", &shape)], vec![float("logits", &shape)], vec![])
}

#[test]
fn a_node_that_is_not_covered_runs_on_tract_and_the_others_do_not() {
    let folder = Folder::new(TWO, STATE, &through(), Some(&step_with_a_running_sum()), &as_it_is());
    folder.answer(&picture()).unwrap();
    assert_eq!(on_tract(&folder), ["step.onnx"]);
    let network = Network::load(folder.path()).unwrap();
    let mut said = Vec::new();
    CpuEngine::with(&network, Options { threads: 1, ..Options::default() })
        .unwrap()
        .profile(|operation, _| said.push(operation.to_string()));
    let convolutions = said.iter().filter(|line| line.starts_with("convolution")).count();
    let sums: Vec<_> = said.iter().filter(|line| line.contains("on tract")).collect();
    assert_eq!((convolutions, sums.len()), (2, 1), "{said:?}");
    assert!(sums[0].contains("'the-CumSum' (CumSum)"), "{said:?}");
}

#[test]
fn numbers_in_another_order_are_moved_by_tract() {
    let turned: Vec<f32> = (0..PIXELS).map(|at| picture()[at % 8 * 8 + at / 8]).collect();
    assert!(close(&meaning(17, vec![node("Transpose", "x", "y").ints("perm", &[0, 1, 3, 2])], vec![]).unwrap(), &turned));
    // Something is computed on it before: that is a part of it, and what follows is not.
    let nodes = vec![node("Transpose", "x", "t").ints("perm", &[0, 1, 3, 2]), node("CumSum", "t axis", "s"), node("Neg", "s", "y")];
    let sums = meaning(17, nodes, vec![one("axis", 3)]).unwrap();
    let wanted: Vec<f32> = (0..PIXELS).map(|at| -(0..=at % 8).map(|x| turned[at / 8 * 8 + x]).sum::<f32>()).collect();
    assert!(close(&sums, &wanted), "{sums:?}");
}

/// The encoder gives the frame as its drive and its negative as a feature, which the step adds and the readout shows.
fn with_a_feature(output: &str) -> Folder {
    let one = [1, 1, 8, 8];
    let encoder = model(
        17,
        vec![node("Neg", "frame", "skip"), node("Identity", "frame", output)],
        vec![float("frame", &one)],
        vec![float("skip", &one), float(output, &one)],
        vec![],
    );
    let shape = [1, 2, 8, 8];
    let step = model(
        17,
        vec![node("Concat", "drive skip", "both").int("axis", 1), node("Add", "hidden both", "hidden_next")],
        vec![float("skip", &one), float("drive", &one), float("hidden", &shape)],
        vec![float("hidden_next", &shape)],
        vec![],
    );
    let readout = model(
        17,
        vec![node("Add", "hidden skip", "logits"), node("Neg", "skip", "picture")],
        vec![float("hidden", &shape), float("skip", &one)],
        vec![float("logits", &shape), float("picture", &one)],
        vec![],
    );
    let folder = Folder::new(TWO, STATE, &encoder, Some(&step), &readout);
    let manifest = folder.path().join("model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap().replace("format = 1", "format = 2");
    std::fs::write(manifest, text).unwrap();
    folder
}

#[test]
fn features_reach_step_and_readout_and_the_readout_gives_several_answers() {
    let folder = with_a_feature("drive");
    let answer = folder.answer(&picture()).unwrap();
    // Three steps of (x, -x), and -x from the readout; behind the logits the picture.
    let wanted: Vec<f32> = [2.0, -4.0, 1.0].iter().flat_map(|factor| picture().into_iter().map(move |x| factor * x)).collect();
    assert!(close(&answer, &wanted), "{answer:?}");
    let names: Vec<String> = Network::load(folder.path()).unwrap().answers().into_iter().map(|answer| answer.name).collect();
    assert_eq!(names, ["logits", "picture"]);
}

/// How far a frame moved is how far its drive did, and a frame of no steps leaves drive and features as they were.
#[test]
fn the_drive_alone_is_measured_and_features_stay_with_it() {
    let network = Network::load(with_a_feature("drive").path()).unwrap();
    let mut engine = CpuEngine::load(&network).unwrap();
    let rule = HaltingRule { zero: Some(0.5), ..HaltingRule::fixed(1) };
    let mut show = |scale: f32| {
        engine.input().iter_mut().zip(picture()).for_each(|(x, level)| *x = scale * level);
        engine.encode().unwrap();
        let trace = engine.advance(&StepRequest { rule, limit: 8, deadline: None }).unwrap();
        (trace.drive_distance, trace.steps, engine.readout().unwrap()[2 * PIXELS])
    };
    let first = picture()[0];
    assert_eq!(show(1.0), (f32::INFINITY, 1, first));
    let (moved, steps, shown) = show(1.1);
    assert!((moved - 0.1 / 1.1).abs() < 1e-3, "{moved}");
    assert_eq!((steps, shown), (0, first));
    assert_eq!(show(3.0).1, 1);
}

#[test]
fn an_encoder_of_format_2_names_its_drive() {
    let refused = with_a_feature("other").answer(&picture()).unwrap_err();
    assert!(refused.contains("encoder.onnx") && refused.contains("none of them is called 'drive'"), "{refused}");
}
