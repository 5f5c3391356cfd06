//! Kinds of networks: open batches, states of every rank.

use recslowfast::network::Network;
use tract_onnx::pb::ModelProto;

use crate::write::{Folder, TWO, With, close, float, floats, ints, model, node, picture, readout, through};

fn with_input(shape: &[i64]) -> (ModelProto, ModelProto) {
    let encoder = model(17, vec![node("Relu", "frame", "drive")], vec![float("frame", shape)], vec![float("drive", shape)], vec![]);
    let mut readout = readout(17, vec![node("Neg", "x", "y")], vec![]);
    readout.graph.as_mut().unwrap().input = vec![float("drive", shape)];
    (encoder, readout)
}

#[test]
fn an_open_batch_is_one_and_open_sizes_are_those_of_model_toml() {
    let wanted: Vec<f32> = picture().iter().map(|x| -x.max(0.0)).collect();
    for shape in [&[0, 1, 8, 8][..], &[0, 1, 0, 0], &[-1, 1, 8, 8], &[0, 0, 0, 0], &[]] {
        let (encoder, readout) = with_input(shape);
        let answer = Folder::new(TWO, "", &encoder, None, &readout).answer(&picture()).unwrap();
        assert!(close(&answer[..64], &wanted), "{shape:?}");
    }
}

#[test]
fn a_size_that_disagrees_with_model_toml_is_named() {
    for shape in [[2, 1, 8, 8], [1, 3, 8, 8], [1, 1, 8, 9]] {
        let (encoder, readout) = with_input(&shape);
        let refused = Folder::new(TWO, "", &encoder, None, &readout).answer(&picture()).unwrap_err();
        assert!(refused.contains("encoder.onnx") && refused.contains(&format!("{shape:?}")), "{refused}");
    }
}

/// A network that adds the mean of the picture to its one state, of any shape, three times.
fn counting(shape: &[i64]) -> Folder {
    let pixels = 64;
    let numbers: i64 = shape.iter().product();
    let step = vec![node("ReduceMean", "drive", "mean").int("keepdims", 0), node("Add", "hidden mean", "hidden_next")];
    let drive = float("drive", &[1, 1, 8, 8]);
    let step = model(17, step, vec![drive, float("hidden", shape)], vec![float("hidden_next", shape)], vec![]);
    let nodes = vec![
        node("Reshape", "hidden flat", "f"),
        node("ReduceMean", "f", "m").ints("axes", &[1]),
        node("Expand", "m plane", "p"),
        node("Reshape", "p picture", "y"),
        node("Concat", "y y", "logits").int("axis", 1),
    ];
    let lists = vec![ints("flat", &[1, numbers]), ints("plane", &[1, pixels]), ints("picture", &[1, 1, 8, 8])];
    let readout = model(17, nodes, vec![float("hidden", shape)], vec![float("logits", &[1, 2, 8, 8])], lists);
    let states = format!("[[state]]\nname = \"hidden\"\nshape = {shape:?}\n");
    Folder::new(TWO, &states, &through(), Some(&step), &readout)
}

#[test]
fn states_have_one_to_four_sizes() {
    let mean = picture().iter().sum::<f32>() / 64.0;
    for shape in [&[5][..], &[1, 32], &[3, 2], &[1, 1, 32], &[2, 1, 4], &[1, 2, 4, 4]] {
        let answer = counting(shape).answer(&picture()).unwrap();
        assert!(close(&answer, &vec![3.0 * mean; 128]), "{shape:?}: {}", answer[0]);
    }
}

#[test]
fn a_gru_whose_state_is_flat_runs() {
    let weights = vec![
        floats("w", &[1, 12, 64], &(0..768).map(|i| (i % 7) as f32 * 0.01 - 0.03).collect::<Vec<_>>()),
        floats("r", &[1, 12, 4], &(0..48).map(|i| (i % 5) as f32 * 0.1 - 0.2).collect::<Vec<_>>()),
        ints("sequence", &[1, 1, 64]),
    ];
    let step = vec![node("Reshape", "drive sequence", "s"), node("GRU", "s w r - - hidden", "- hidden_next").int("hidden_size", 4)];
    let inputs = vec![float("drive", &[1, 1, 8, 8]), float("hidden", &[1, 1, 4])];
    let step = model(17, step, inputs, vec![float("hidden_next", &[1, 1, 4])], weights);
    let nodes = vec![node("Reshape", "hidden four", "h"), node("Concat", "h h", "logits").int("axis", 1)];
    let readout =
        model(17, nodes, vec![float("hidden", &[1, 1, 4])], vec![float("logits", &[1, 2, 2, 2])], vec![ints("four", &[1, 1, 2, 2])]);
    let states = "[[state]]\nname = \"hidden\"\nshape = [1, 1, 4]\n";
    let answer = Folder::new(TWO, states, &through(), Some(&step), &readout).answer(&picture()).unwrap();
    assert!(answer.iter().any(|x| x.abs() > 1e-3) && answer.iter().all(|x| x.abs() < 1.0), "{answer:?}");
}

#[test]
fn two_states_of_one_name_are_refused() {
    let state = "[[state]]\nname = \"hidden\"\nshape = [1, 2, 4, 4]\n";
    let folder = counting(&[1, 2, 4, 4]);
    let manifest = folder.path().join("model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{text}{state}")).unwrap();
    let refused = Network::load(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("'hidden' is given twice"), "{refused}");
}
