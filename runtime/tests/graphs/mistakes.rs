//! What people get wrong most: each is named with its file or its line and with what to do, and several at once.

use prost::Message;
use recslowfast::network::Network;
use tract_onnx::pb::ModelProto;

use crate::write::{Folder, With, float, floats, ints, model, node};

const TASK: &str = "kind = \"classes\"\nclasses = [\"sky\", \"road\", \"car\"]";
const STATE: &str = "[[state]]\nname = \"hidden\"\nshape = [1, 3, 8, 8]\n";

fn encoder() -> ModelProto {
    let weights = vec![floats("w", &[3, 1, 1, 1], &[1.0, 2.0, 3.0])];
    model(17, vec![node("Conv", "frame w", "drive")], vec![float("frame", &[1, 1, 8, 8])], vec![float("drive", &[1, 3, 8, 8])], weights)
}

fn step() -> ModelProto {
    let shape = [1, 3, 8, 8];
    model(
        17,
        vec![node("Add", "drive hidden", "hidden_next")],
        vec![float("drive", &shape), float("hidden", &shape)],
        vec![float("hidden_next", &shape)],
        vec![],
    )
}

fn readout() -> ModelProto {
    let shape = [1, 3, 8, 8];
    model(17, vec![node("Relu", "hidden", "logits")], vec![float("hidden", &shape)], vec![float("logits", &shape)], vec![])
}

/// A network as it should be, with one part in place of its own.
fn with(task: &str, states: &str, encoder: &ModelProto, step: &ModelProto, readout: &ModelProto) -> Folder {
    Folder::new(task, states, encoder, Some(step), readout)
}

fn good() -> Folder {
    with(TASK, STATE, &encoder(), &step(), &readout())
}

#[track_caller]
fn refused(folder: &Folder, words: &[&str]) {
    let told = Network::load(folder.path()).map(|_| ()).expect_err("it has a mistake").to_string();
    for word in words {
        assert!(told.contains(word), "'{word}' is not in:\n{told}");
    }
}

fn edited(from: &str, to: &str) -> Folder {
    let folder = good();
    let path = folder.path().join("model.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    std::fs::write(path, text.replace(from, to)).unwrap();
    folder
}

#[test]
fn as_it_should_be_it_loads() {
    Network::load(good().path()).unwrap();
}

#[test]
fn a_wrong_number_of_classes() {
    refused(&edited(", \"car\"]", "]"), &["readout.onnx", "[1, 3, 8, 8]", "2 classes", "line 14"]);
}

#[test]
fn a_next_state_that_is_called_otherwise() {
    let mut step = step();
    let graph = step.graph.as_mut().unwrap();
    graph.node[0].output[0] = "h_out".into();
    graph.output[0].name = "h_out".into();
    refused(&with(TASK, STATE, &encoder(), &step, &readout()), &["step.onnx", "'hidden_next'", "line 16", "it gives h_out", "NAME_next"]);
}

#[test]
fn a_size_that_stays_open() {
    let mut readout = readout();
    readout.graph.as_mut().unwrap().node = vec![node("NonZero", "hidden", "places"), node("Cast", "places", "logits").int("to", 1)];
    refused(&with(TASK, STATE, &encoder(), &step(), &readout), &["readout.onnx", "open shape", "fixed sizes"]);
}

#[test]
fn channels_that_come_last() {
    let mut last = encoder();
    let graph = last.graph.as_mut().unwrap();
    graph.input[0] = float("frame", &[1, 8, 8, 3]);
    graph.node.insert(0, node("Transpose", "frame", "turned").ints("perm", &[0, 3, 1, 2]));
    graph.node[1] = node("Conv", "turned w", "drive");
    graph.initializer[0] = floats("w", &[3, 3, 1, 1], &[1.0; 9]);
    let folder = with(TASK, STATE, &last, &step(), &readout());
    let path = folder.path().join("model.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replace("channels = 1\nmean = [0.0]\nstd = [1.0]", "channels = 3\nmean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]"),
    )
    .unwrap();
    refused(&folder, &["encoder.onnx", "[1, 8, 8, 3]", "permute(0, 3, 1, 2)", "line 7"]);
    let mut readout = readout();
    let graph = readout.graph.as_mut().unwrap();
    graph.node[0] = node("Transpose", "hidden", "logits").ints("perm", &[0, 2, 3, 1]);
    graph.output[0] = float("logits", &[1, 8, 8, 3]);
    refused(&with(TASK, STATE, &encoder(), &step(), &readout), &["readout.onnx", "channels come last", "permute(0, 3, 1, 2)"]);
}

#[test]
fn a_normalisation_in_levels() {
    refused(&edited("mean = [0.0]", "mean = [123.675]"), &["line 10", "[input] mean", "0..255", "write mean = [0.4850]"]);
}

#[test]
fn a_weight_that_is_no_number() {
    let mut spoiled = encoder();
    spoiled.graph.as_mut().unwrap().initializer[0] = floats("w", &[3, 1, 1, 1], &[1.0, f32::NAN, 3.0]);
    refused(&with(TASK, STATE, &spoiled, &step(), &readout()), &["encoder.onnx", "'w'", "NaN"]);
}

#[test]
fn an_opset_that_is_too_new() {
    let mut new = step();
    new.opset_import[0].version = 99;
    refused(&with(TASK, STATE, &encoder(), &new, &readout()), &["step.onnx", "opset 99", "opset_version=18"]);
}

#[test]
fn a_file_that_is_not_there() {
    let folder = good();
    std::fs::remove_file(folder.path().join("step.onnx")).unwrap();
    refused(&folder, &["cannot read step.onnx", "No such file"]);
}

#[test]
fn two_states_of_one_name() {
    refused(&with(TASK, &STATE.repeat(2), &encoder(), &step(), &readout()), &["line 19", "'hidden' is given twice"]);
}

#[test]
fn a_state_of_another_size() {
    refused(&edited("shape = [1, 3, 8, 8]", "shape = [1, 3, 4, 4]"), &["step.onnx", "'hidden'", "line 17", "[1, 3, 4, 4]"]);
}

#[test]
fn all_of_them_are_told_at_once() {
    let mut spoiled = encoder();
    spoiled.graph.as_mut().unwrap().initializer[0] = floats("w", &[3, 1, 1, 1], &[1.0, f32::NAN, 3.0]);
    let folder = with(TASK, &STATE.repeat(2), &spoiled, &step(), &readout());
    let path = folder.path().join("model.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("std = [1.0]", "std = [58.4]").replace(", \"car\"]", "]");
    std::fs::write(&path, text).unwrap();
    let mut new = readout();
    new.opset_import[0].version = 99;
    std::fs::write(folder.path().join("readout.onnx"), new.encode_to_vec()).unwrap();
    refused(&folder, &["4 mistakes", "[input] std", "given twice", "NaN", "opset 99"]);
    std::fs::write(folder.path().join("readout.onnx"), readout().encode_to_vec()).unwrap();
    refused(&folder, &["4 mistakes", "[input] std", "given twice", "NaN", "2 classes"]);
}

#[test]
fn a_matte_that_is_no_share_and_a_raw_answer_of_any_shape() {
    let shape = [1, 3, 8, 8];
    let taken = |end: &str| {
        let nodes = vec![node("Slice", "hidden from to channel", "a"), node(end, "a", "alpha")];
        let lists = vec![ints("from", &[0]), ints("to", &[1]), ints("channel", &[1])];
        model(17, nodes, vec![float("hidden", &shape)], vec![float("alpha", &[1, 1, 8, 8])], lists)
    };
    let matte = "kind = \"matte\"";
    refused(&with(matte, STATE, &encoder(), &step(), &taken("Relu")), &["does not end in a sigmoid", ".clamp(0, 1)"]);
    refused(&with(matte, STATE, &encoder(), &step(), &readout()), &["a matte is [1, 1, height, width]"]);
    let network = Network::load(with(matte, STATE, &encoder(), &step(), &taken("Sigmoid")).path()).unwrap();
    assert_eq!(network.manifest.task.classes, ["background", "foreground"]);
    for readout in [readout(), taken("Relu")] {
        Network::load(with("kind = \"raw\"", STATE, &encoder(), &step(), &readout).path()).unwrap();
    }
}
