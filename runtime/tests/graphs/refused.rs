//! What cannot be read with the meaning its opset gives it is refused, and the node is named.

use tract_onnx::pb::{NodeProto, TensorProto};

use crate::write::{Folder, TWO, With, floats, ints, meaning, node, readout, through, truth};

fn refuses(opset: i64, nodes: Vec<NodeProto>, weights: Vec<TensorProto>, name: &str, words: &str) {
    let refused = meaning(opset, nodes, weights).unwrap_err();
    assert!(refused.contains(&format!("node '{name}'")) && refused.contains(words), "opset {opset}: {refused}");
}

#[test]
fn a_node_that_its_opset_does_not_have() {
    refuses(13, vec![node("Clip", "x", "y").float("max", 0.5)], vec![], "the-Clip", "attribute 'max'");
    refuses(10, vec![node("Clip", "x low", "y")], vec![floats("low", &[], &[0.0])], "the-Clip", "takes 1 at most");
    refuses(11, vec![node("HardSwish", "x", "y")], vec![], "the-HardSwish", "came with opset 14");
    refuses(10, vec![node("Upsample", "x s", "y")], vec![floats("s", &[4], &[1.0, 1.0, 2.0, 2.0])], "the-Upsample", "was given up");
    refuses(13, vec![node("Det", "x", "y")], vec![], "the-Det", "no such operator");
    let foreign = NodeProto { domain: "org.example".into(), ..node("Relu", "x", "y") };
    refuses(13, vec![foreign], vec![], "the-Relu", "'org.example'");
    // Without a name of its own a node goes by what it makes.
    refuses(13, vec![NodeProto { name: String::new(), ..node("Det", "x", "y") }], vec![], "y", "no such operator");
}

#[test]
fn what_only_training_needs() {
    let given = || vec![floats("ratio", &[], &[0.5]), truth("training", true)];
    refuses(12, vec![node("Dropout", "x ratio training", "y")], given(), "the-Dropout", "evaluation mode");
    let masked = vec![node("Dropout", "x", "d mask"), node("Where", "mask d x", "y")];
    refuses(10, masked, vec![], "the-Dropout", "mask is used");
    let figures = || ["g", "b", "m", "v"].into_iter().map(|name| floats(name, &[1], &[1.0])).collect::<Vec<_>>();
    let training = node("BatchNormalization", "x g b m v", "y mean var").int("training_mode", 1);
    refuses(14, vec![training], figures(), "the-BatchNormalization", "evaluation mode");
    refuses(9, vec![node("BatchNormalization", "x g b m v", "y mean var")], figures(), "the-BatchNormalization", "evaluation mode");
    refuses(7, vec![node("BatchNormalization", "x g b m v", "y").int("spatial", 0)], figures(), "the-BatchNormalization", "spatial");
}

#[test]
fn what_would_be_passed_over() {
    let pads = [0, 0, -1, 0, 0, 0, 0, 0];
    refuses(10, vec![node("Pad", "x", "y").ints("pads", &pads)], vec![], "the-Pad", "negative pads");
    refuses(13, vec![node("Pad", "x pads", "y")], vec![ints("pads", &pads)], "the-Pad", "negative pads");
    refuses(19, vec![node("Pad", "x pads", "y").text("mode", "wrap")], vec![ints("pads", &[0; 8])], "the-Pad", "wrap");
    let scales = vec![floats("s", &[4], &[1.0, 1.0, 2.0, 0.5])];
    refuses(10, vec![node("Resize", "x s", "y")], scales, "the-Resize", "opset 11");
    let parts = node("Split", "x", "a y").int("axis", 2).int("num_outputs", 3);
    refuses(18, vec![parts], vec![], "the-Split", "num_outputs");
    let weights = || vec![floats("w", &[1, 3, 8], &[0.0; 24]), floats("r", &[1, 3, 1], &[0.0; 3]), ints("z", &[8, 1, 8])];
    let gru = || vec![node("Reshape", "x z", "s"), node("GRU", "s w r", "y").int("hidden_size", 1)];
    for (change, words) in
        [(node("", "", "").text("direction", "reverse"), "direction 'reverse'"), (node("", "", "").float("clip", 0.5), "clip")]
    {
        let mut nodes = gru();
        nodes[1].attribute.extend(change.attribute);
        refuses(14, nodes, weights(), "the-GRU", words);
    }
}

#[test]
fn opsets_that_are_not_read() {
    for opset in [6, 25] {
        let refused = meaning(opset, vec![node("Relu", "x", "y")], vec![]).unwrap_err();
        assert!(refused.contains(&format!("opset {opset}")) && refused.contains("7 to 24"), "{refused}");
    }
    for opset in 7..=24 {
        assert!(meaning(opset, vec![node("Relu", "x", "y")], vec![]).is_ok(), "opset {opset}");
    }
    let mut graph = readout(13, vec![node("Relu", "x", "y")], vec![]);
    graph.opset_import.clear();
    let refused = Folder::new(TWO, "", &through(), None, &graph).answer(&crate::write::picture()).unwrap_err();
    assert!(refused.contains("does not say which opset"), "{refused}");
}
