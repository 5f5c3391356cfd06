//! Where weights lie and what they hold: beside the graph, in 16 bits, in functions' nodes, infinite where that is meant.

use std::path::Path;

use prost::Message;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto};

use crate::write::{Folder, TWO, With, close, float, floats, meaning, model, node, picture, readout, through, value};

fn beside(name: &str, entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto { key: (*key).into(), value: (*value).into() };
    TensorProto {
        data_location: Some(DataLocation::External as i32),
        external_data: entries.iter().map(entry).collect(),
        raw_data: Vec::new(),
        ..floats(name, &[2], &[0.0; 2])
    }
}

/// A network whose answer is the picture times the first of two external numbers, plus the second.
fn scaled(entries: &[(&str, &str)], prepare: impl FnOnce(&Path)) -> Result<Vec<f32>, String> {
    let nodes = vec![node("Split", "w", "a b").int("axis", 0), node("Mul", "x a", "ax"), node("Add", "ax b", "y")];
    let folder = Folder::new(TWO, "", &through(), None, &readout(13, nodes, vec![beside("w", entries)]));
    prepare(folder.path());
    folder.answer(&picture())
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn numbers_beside_the_graph_are_read_from_there() {
    let wanted: Vec<f32> = picture().iter().chain(&picture()).map(|x| x * 3.0 + 0.5).collect();
    let whole = scaled(&[("location", "w.data")], |folder| std::fs::write(folder.join("w.data"), bytes(&[3.0, 0.5])).unwrap());
    assert_eq!(whole.unwrap(), wanted);
    let part = scaled(&[("location", "./weights/w.data"), ("offset", "4"), ("length", "8"), ("checksum", "0")], |folder| {
        std::fs::create_dir(folder.join("weights")).unwrap();
        std::fs::write(folder.join("weights/w.data"), bytes(&[9.0, 3.0, 0.5, 9.0])).unwrap();
    });
    assert_eq!(part.unwrap(), wanted);
    let linked = scaled(&[("location", "w.data")], |folder| {
        std::fs::write(folder.join("elsewhere.bin"), bytes(&[3.0, 0.5])).unwrap();
        std::os::unix::fs::symlink("elsewhere.bin", folder.join("w.data")).unwrap();
    });
    assert_eq!(linked.unwrap(), wanted);
}

#[test]
fn numbers_outside_the_folder_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("w.data");
    std::fs::write(&file, bytes(&[3.0, 0.5])).unwrap();
    let up = format!("../{}/w.data", outside.path().file_name().unwrap().to_str().unwrap());
    for location in [file.to_str().unwrap(), &up, "weights/../../w.data"] {
        let refused = scaled(&[("location", location)], |_| ()).unwrap_err();
        assert!(refused.contains("'w'") && refused.contains("outside the network's folder"), "{location}: {refused}");
    }
    let linked = scaled(&[("location", "w.data")], |folder| std::os::unix::fs::symlink(&file, folder.join("w.data")).unwrap());
    assert!(linked.unwrap_err().contains("outside the network's folder"));
}

#[test]
fn numbers_that_are_not_there_are_missed_by_name() {
    let missing = scaled(&[("location", "w.data")], |_| ()).unwrap_err();
    assert!(missing.contains("'w'") && missing.contains("'w.data'") && missing.contains("readout.onnx"), "{missing}");
    let short = scaled(&[("location", "w.data"), ("length", "8")], |folder| std::fs::write(folder.join("w.data"), [0; 7]).unwrap());
    assert!(short.unwrap_err().contains("which holds 7"));
    let other = scaled(&[("location", "w.data")], |folder| std::fs::write(folder.join("w.data"), [0; 12]).unwrap());
    assert!(other.unwrap_err().contains("does not hold"));
    let folder = scaled(&[("location", "w.data")], |folder| std::fs::create_dir(folder.join("w.data")).unwrap());
    assert!(folder.unwrap_err().contains("no file"));
    for offset in ["-1", "many", "18446744073709551615"] {
        let wrong = scaled(&[("location", "w.data"), ("offset", offset)], |folder| std::fs::write(folder.join("w.data"), [0; 8]).unwrap());
        assert!(wrong.unwrap_err().contains(offset));
    }
}

/// The same network in floats of another kind throughout.
fn narrow(kind: DataType, bits: impl Fn(f32) -> u16, as_bytes: bool) -> Vec<f32> {
    let tensor = |name: &str, x: f32| TensorProto {
        data_type: kind as i32,
        raw_data: if as_bytes { bits(x).to_le_bytes().to_vec() } else { Vec::new() },
        int32_data: if as_bytes { Vec::new() } else { vec![i32::from(bits(x))] },
        ..floats(name, &[1], &[])
    };
    let shape = [1, 1, 8, 8];
    let nodes = vec![node("Mul", "frame a", "drive")];
    let encoder = model(17, nodes, vec![value("frame", kind, &shape)], vec![value("drive", kind, &shape)], vec![tensor("a", 2.0)]);
    let nodes = vec![
        node("Cast", "drive", "wide").int("to", DataType::Float as i64),
        node("Cast", "wide", "x").int("to", kind as i64),
        node("Add", "x b", "y"),
        node("Concat", "y y", "logits").int("axis", 1),
    ];
    let logits = value("logits", kind, &[1, 2, 8, 8]);
    let readout = model(17, nodes, vec![value("drive", kind, &shape)], vec![logits], vec![tensor("b", -0.5)]);
    Folder::new(TWO, "", &encoder, None, &readout).answer(&picture()).unwrap()
}

#[test]
fn sixteen_bit_networks_are_computed_in_32_bits() {
    let wanted: Vec<f32> = picture().iter().chain(&picture()).map(|x| x * 2.0 - 0.5).collect();
    let half = |x: f32| if x == 2.0 { 0x4000 } else { 0xb800 };
    let brain = |x: f32| (x.to_bits() >> 16) as u16;
    for as_bytes in [true, false] {
        assert_eq!(narrow(DataType::Float16, half, as_bytes), wanted);
        assert_eq!(narrow(DataType::Bfloat16, brain, as_bytes), wanted);
    }
}

fn function(name: &str, input: &str, nodes: Vec<NodeProto>, opset: i64) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some("pkg.example".into()),
        input: input.split_whitespace().map(str::to_owned).collect(),
        output: vec!["out".into()],
        node: nodes,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        ..FunctionProto::default()
    }
}

fn call(name: &str, inputs: &str, output: &str) -> NodeProto {
    NodeProto { domain: "pkg.example".into(), ..node(name, inputs, output) }
}

fn with_functions(functions: Vec<FunctionProto>, nodes: Vec<NodeProto>) -> Result<Vec<f32>, String> {
    let imports = OperatorSetIdProto { domain: "pkg.example".into(), version: 1 };
    let mut readout: ModelProto = readout(18, nodes, vec![floats("two", &[], &[2.0])]);
    readout.opset_import.push(imports);
    readout.functions = functions;
    let answer = Folder::new(TWO, "", &through(), None, &readout).answer(&picture())?;
    Ok(answer[..answer.len() / 2].to_vec())
}

#[test]
fn functions_of_the_file_are_inlined_with_their_attributes_and_their_own_opset() {
    // `bounded` is of opset 10, where the bounds of Clip are attributes; its bound comes from the call.
    let bounded = function("bounded", "in", vec![node("Clip", "in", "out").of_call("max", "bound")], 10);
    let both = vec![call("bounded", "in", "x").float("bound", 0.25), node("Mul", "x factor", "out")];
    let both = function("both", "in factor", both, 18);
    let answer = with_functions(vec![both, bounded], vec![call("both", "x two", "z"), call("both", "z two", "y")]).unwrap();
    assert!(close(&answer, &picture().iter().map(|x| (x.min(0.25) * 2.0).min(0.25) * 2.0).collect::<Vec<_>>()));
}

#[test]
fn an_attribute_the_call_leaves_out_is_the_functions_own_or_left_out() {
    let bounded = function("bounded", "in", vec![node("Clip", "in", "out").of_call("max", "bound")], 10);
    assert_eq!(with_functions(vec![bounded.clone()], vec![call("bounded", "x", "y")]).unwrap(), picture());
    // The function's own value lies in a record that tract's words for the format do not have.
    let own = node("", "", "").float("bound", 0.25).attribute[0].encode_to_vec();
    let mut graph = readout(18, vec![call("bounded", "x", "y")], vec![]);
    graph.opset_import.push(OperatorSetIdProto { domain: "pkg.example".into(), version: 1 });
    let mut function = bounded.encode_to_vec();
    let tag = 11;
    function.extend([tag << 3 | 2, own.len() as u8]);
    function.extend(own);
    let mut bytes = graph.encode_to_vec();
    bytes.extend([0xca, 0x01, function.len() as u8]);
    bytes.extend(function);
    let folder = Folder::new(TWO, "", &through(), None, &graph);
    std::fs::write(folder.path().join("readout.onnx"), bytes).unwrap();
    let answer = folder.answer(&picture()).unwrap();
    assert_eq!(answer[..64], picture().iter().map(|x| x.min(0.25)).collect::<Vec<_>>());
}

#[test]
fn a_function_that_calls_itself_is_refused() {
    let endless = function("endless", "in", vec![call("endless", "in", "out")], 18);
    let refused = with_functions(vec![endless], vec![call("endless", "x", "y")]).unwrap_err();
    assert!(refused.contains("calls itself"), "{refused}");
    let doubling = |name: &str, inner: &str| function(name, "in", vec![call(inner, "in", "a"), call(inner, "a", "out")], 18);
    let chain: Vec<FunctionProto> = (0..30).map(|n| doubling(&format!("f{n}"), &format!("f{}", n + 1))).collect();
    let refused = with_functions(chain, vec![call("f0", "x", "y")]).unwrap_err();
    assert!(refused.contains("million nodes") || refused.contains("not known"), "{refused}");
}

#[test]
fn an_infinite_bound_or_mask_is_meant() {
    let infinite = || vec![floats("inf", &[], &[f32::INFINITY]), floats("low", &[], &[0.0])];
    let clipped = meaning(13, vec![node("Clip", "x low inf", "y")], infinite()).unwrap();
    assert_eq!(clipped, picture().iter().map(|x| x.max(0.0)).collect::<Vec<_>>());
    let least = meaning(13, vec![node("Min", "x inf", "y")], infinite()).unwrap();
    assert_eq!(least, picture());
    // A mask before a softmax: every second column takes no part.
    let mask: Vec<f32> = (0..8).map(|i| if i % 2 == 0 { f32::NEG_INFINITY } else { 0.0 }).collect();
    let masked = vec![node("Add", "x mask", "m"), node("Softmax", "m", "y").int("axis", -1)];
    let masked = meaning(13, masked, vec![floats("mask", &[8], &mask)]).unwrap();
    for row in masked.chunks(8) {
        assert!(row.iter().step_by(2).all(|p| *p == 0.0) && (row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_nan_anywhere_and_an_infinite_weight_are_a_training_that_diverged() {
    let diverged = |nodes, tensor: TensorProto| {
        let refused = meaning(13, nodes, vec![tensor]).unwrap_err();
        assert!(refused.contains("the weights 'w' hold a NaN or infinity at element 1"), "{refused}");
    };
    diverged(vec![node("Add", "x w", "y")], floats("w", &[8], &[0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
    let kernel = |shape: &[i64]| floats("w", shape, &[1.0, f32::INFINITY]);
    diverged(vec![node("Conv", "x w", "c"), node("ReduceMean", "c", "y").ints("axes", &[1])], kernel(&[2, 1, 1, 1]));
    // Through a node that only turns it, too.
    diverged(
        vec![node("Transpose", "w", "t").ints("perm", &[1, 0, 2, 3]), node("Conv", "x t", "c"), node("Identity", "c", "y")],
        kernel(&[1, 2, 1, 1]),
    );
}

#[test]
fn old_files_that_list_their_weights_among_the_inputs_are_read() {
    let mut graph = readout(8, vec![node("Mul", "x w", "y")], vec![floats("w", &[1], &[2.0])]);
    graph.graph.as_mut().unwrap().input.push(float("w", &[1]));
    let answer = Folder::new(TWO, "", &through(), None, &graph).answer(&picture()).unwrap();
    assert!(close(&answer[..64], &picture().iter().map(|x| x * 2.0).collect::<Vec<_>>()));
}
