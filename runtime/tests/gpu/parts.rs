//! A node without a kernel takes no more of a network from the GPU than it has to: of encoder and readout the rest stays there, and the step.

use prost::Message;
use recslowfast::engine::cpu::CpuEngine;
use recslowfast::engine::cpu::threads::Threads;
use recslowfast::engine::cuda::plan::{Gpu, PlannedKernel, plan};
use recslowfast::engine::cuda::{CudaEngine, Options, Precision, Transforms};
use recslowfast::engine::{self, Choice};
use recslowfast::network::engine::{Engine, EngineError, StepRequest};
use recslowfast::network::halting::HaltingRule;
use recslowfast::network::{Network, NetworkFiles};
use recslowfast::outcome::StopReason;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

use crate::compare::{compare, frame};
use crate::faults::{LAUNCH_FAILED, answer, close, expected, fail, resilient};
use crate::standin::{self, AMPERE, Build, network as tiny};

/// A Jetson Orin Nano.
pub const ORIN: Gpu = Gpu { capability: 87, multiprocessors: 8, shared_limit_kib: 163, shared_total_kib: 164, compiled: false };

/// A small network, one of whose graphs is changed.
fn changed(name: &str, file: &str, change: impl Fn(&mut GraphProto)) -> Network {
    let bytes = |wanted: &str| {
        let bytes = std::fs::read(standin::package().join("tests/gpu/networks").join(name).join(wanted)).unwrap_or_default();
        if wanted != file {
            return bytes;
        }
        let mut model = ModelProto::decode(&bytes[..]).unwrap();
        change(model.graph.as_mut().unwrap());
        model.encode_to_vec()
    };
    let [manifest, encoder, step, readout] = ["model.toml", "encoder.onnx", "step.onnx", "readout.onnx"].map(bytes);
    Network::from_bytes(name, NetworkFiles { manifest: &manifest, encoder: &encoder, step: &step, readout: &readout }).unwrap()
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    let input = inputs.iter().map(|&name| name.to_owned()).collect();
    NodeProto { op_type: operator.into(), name: format!("odd-{operator}"), input, output: vec![output.into()], ..NodeProto::default() }
}

/// What was called `name` is called `to` by whom `of` picks.
fn rename(names: &mut [String], name: &str, to: &str) {
    names.iter_mut().filter(|known| *known == name).for_each(|known| *known = to.to_owned());
}

/// The output `name` is bent by a sine, which no kernel computes, and added to what it was.
fn bent(graph: &mut GraphProto, name: &str) {
    graph.node.iter_mut().for_each(|node| rename(&mut node.output, name, "plain"));
    graph.node.push(node("Sin", &["plain"], "bend"));
    graph.node.push(node("Add", &["plain", "bend"], name));
}

/// Whatever reads the input `name` reads its sine.
fn bent_before(graph: &mut GraphProto, name: &str) {
    graph.node.iter_mut().for_each(|node| rename(&mut node.input, name, "bent"));
    graph.node.insert(0, node("Sin", &[name], "bent"));
}

/// A norm over more channels than the kernel for statistics takes, of which as many as before are used again.
fn widened(graph: &mut GraphProto, name: &str, channels: usize) {
    graph.node.iter_mut().for_each(|node| rename(&mut node.input, name, "narrow"));
    let times = 600usize.div_ceil(channels);
    let all = (times * channels) as i64;
    let numbers = |name: &str, value: f32| TensorProto {
        name: name.into(),
        dims: vec![all],
        data_type: DataType::Float as i32,
        float_data: vec![value; all as usize],
        ..TensorProto::default()
    };
    let whole = |name: &str, values: &[i64]| TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    };
    graph.initializer.extend([numbers("gain", 1.0), numbers("offset", 0.1)]);
    graph.initializer.extend([whole("from", &[0]), whole("to", &[channels as i64]), whole("axis", &[1])]);
    let axis = tract_onnx::pb::AttributeProto {
        name: "axis".into(),
        r#type: tract_onnx::pb::attribute_proto::AttributeType::Int as i32,
        i: 1,
        ..Default::default()
    };
    let wide = NodeProto { attribute: vec![axis], ..node("Concat", &vec![name; times], "wide") };
    let norm = node("InstanceNormalization", &["wide", "gain", "offset"], "normal");
    graph.node.splice(0..0, [wide, norm, node("Slice", &["normal", "from", "to", "axis"], "narrow")]);
}

fn load(network: &Network) -> CudaEngine {
    CudaEngine::load(network, Precision::Auto).expect("only parts of it have no kernel")
}

fn kernels(network: &Network, phase: &str) -> Vec<PlannedKernel> {
    plan(network, ORIN, Transforms::Auto).unwrap().into_iter().filter(|kernel| kernel.phase == phase).collect()
}

/// The same answers as the CPU's, over frames that carry their state, jump to other scenes and stop early.
fn agrees(network: &Network, rule: HaltingRule) {
    for (precision, limit) in [(Precision::Auto, 3e-2), (Precision::Full, 2e-4)] {
        let tally = compare(network, precision, 50, rule);
        assert!(tally.worst <= limit, "logits differ by {}", tally.worst);
        assert!(tally.same_steps >= 49, "{} of 50 frames took the same steps", tally.same_steps);
        assert!(network.step.is_none() || tally.steps >= 20, "{} steps", tally.steps);
    }
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_readout() {
    let network = changed("tiny-hgru", "readout.onnx", |graph| bent(graph, "logits"));
    let (gpu, whole) = (load(&network), load(&tiny("tiny-hgru")));
    let told: Vec<&str> = gpu.on_cpu().collect();
    let [line] = told[..] else { panic!("{told:?}") };
    for part in ["readout.onnx: 2 of its nodes on the CPU", "ms a frame and a copy of 2.9 kB from the GPU", "'odd-Sin' (Sin)"] {
        assert!(line.contains(part), "'{line}' does not say '{part}'");
    }
    assert!(whole.on_cpu().next().is_none() && gpu.is_recorded());
    assert_eq!(gpu.convolutions_per_step(), whole.convolutions_per_step());
    drop((gpu, whole));
    let rule = network.manifest.rule();
    agrees(&network, rule);
    agrees(&network, HaltingRule { cut: Some(0.5), ..rule });
    // One whose readout sees the drive too, and is turned to something else at its beginning: all of it is the CPU's.
    let lean = changed("tiny-lean", "readout.onnx", |graph| bent_before(graph, "hidden"));
    assert!(load(&lean).on_cpu().next().unwrap().contains("'odd-Sin' (Sin)"));
    agrees(&lean, lean.manifest.rule());
    // Covered by the CPU engine, but wider than the kernel takes.
    let wide = changed("tiny-hgru", "readout.onnx", |graph| widened(graph, "hidden", 5));
    assert!(load(&wide).on_cpu().next().unwrap().contains("more than 512 channels"));
    agrees(&wide, wide.manifest.rule());
}

#[test]
fn a_readout_with_an_uncovered_node_ends_on_the_cpu() {
    let (network, whole) = (changed("tiny-hgru", "readout.onnx", |graph| bent(graph, "logits")), tiny("tiny-hgru"));
    for phase in ["encode", "step", "readout"] {
        assert_eq!(kernels(&network, phase), kernels(&whole, phase), "its {phase} is what it is without the node");
        assert!(!kernels(&network, phase).is_empty());
    }
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "parts::child_readout", &[]);
    let Some(folder) = standin::folder(Build { mma_path: 0, sanitized: false }) else { return };
    standin::run(&folder, "parts::child_readout", &[("STANDIN_ORDER", "1"), ("STANDIN_QUEUE", "1")]);
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_encoder() {
    let network = changed("tiny-hgru", "encoder.onnx", |graph| bent_before(graph, "frame"));
    let mut gpu = load(&network);
    let told = gpu.on_cpu().next().unwrap().to_owned();
    for part in ["encoder.onnx: 1 of its nodes on the CPU", "a copy of 1.4 kB to the GPU", "'odd-Sin' (Sin)"] {
        assert!(told.contains(part), "'{told}' does not say '{part}'");
    }
    // A picture is the CPU's to fit: the device has no input of its own.
    let picture = recslowfast::frame::Frame { width: 21, height: 17, stride: 21, data: vec![7u8; 21 * 17].into(), ..Default::default() };
    let mut fitter = recslowfast::capture::fit::Fitter::new(network.manifest.input.spec(), recslowfast::capture::fit::Mode::Stretch);
    assert!(!gpu.take(&picture, fitter.sampling(&picture).unwrap().unwrap()).unwrap());
    drop(gpu);
    agrees(&network, network.manifest.rule());
    // Both ends, and features beside the drive.
    let features = changed("tiny-features", "encoder.onnx", |graph| bent_before(graph, "frame"));
    assert!(load(&features).on_cpu().next().unwrap().contains("'odd-Sin' (Sin)"));
    agrees(&features, features.manifest.rule());
    // Everything of the encoder, in a network without a step; a cubic resize.
    let cubic = tiny("tiny-cubic");
    assert!(load(&cubic).on_cpu().next().unwrap().contains("'enlarge' (Resize)"));
    agrees(&cubic, cubic.manifest.rule());
    let (_, want) = expected(&network, &[0, 1]);
    let mut engine = resilient(&network, engine::resilient::RETRIES);
    answer(&mut engine, 0);
    assert!(close(&want, &answer(&mut engine, 1).1));
    // Lost while it encodes: the CPU has the input and answers from the beginning.
    fail(1, LAUNCH_FAILED, true);
    assert!(close(&expected(&network, &[2]).1, &answer(&mut engine, 2).1) && engine.name() == "cpu");
}

#[test]
fn an_encoder_with_an_uncovered_node_begins_on_the_cpu() {
    let (network, whole) = (changed("tiny-hgru", "encoder.onnx", |graph| bent_before(graph, "frame")), tiny("tiny-hgru"));
    for phase in ["step", "readout"] {
        assert_eq!(kernels(&network, phase), kernels(&whole, phase), "its {phase} is what it is without the node");
    }
    let names = |network| kernels(network, "encode").into_iter().map(|kernel| kernel.kernel).collect::<Vec<_>>();
    assert_eq!(names(&network), names(&whole));
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "parts::child_encoder", &[("STANDIN_QUEUE", "1")]);
}

/// A frame of no steps leaves the answer as it was, and labels are left to who reads the logits.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_rest() {
    let network = changed("tiny-hgru", "readout.onnx", |graph| bent(graph, "logits"));
    let mut gpu = CudaEngine::with(&network, Options { threads: Threads::ONE, ..Options::default() }).unwrap();
    gpu.want_labels(0.5);
    let order = StepRequest { rule: network.manifest.rule(), limit: 64, deadline: None };
    let mut show = |at: usize| {
        frame(at, 21, 17, gpu.input());
        gpu.encode().unwrap();
        let stop = gpu.advance(&order).unwrap().stop;
        assert!(gpu.labels().unwrap().is_none());
        (stop, gpu.readout().unwrap().to_vec(), gpu.times())
    };
    let (_, first, times) = show(0);
    assert!(!times.readout.is_zero());
    let (stop, again, _) = show(0);
    assert_eq!((stop, &again), (StopReason::Zero, &first));
    assert_ne!(show(30).1, first);
}

#[test]
fn a_frame_of_no_steps_leaves_the_answer_of_a_part_as_it_was() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "parts::child_rest", &[]);
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_step() {
    let network = changed("tiny-hgru", "step.onnx", |graph| bent_before(graph, "hidden"));
    let refused = CudaEngine::load(&network, Precision::Auto).err().expect("a step is the device's as a whole");
    assert!(matches!(refused, EngineError::Unsupported { .. }), "{refused}");
    for part in ["step.onnx", "'odd-Sin' (Sin)", "--engine cpu runs such a step"] {
        assert!(refused.to_string().contains(part), "'{refused}' does not say '{part}'");
    }
    let mut engine = engine::open(Choice::Auto, &network, Threads::ONE).unwrap();
    let mut cpu = CpuEngine::load(&network).unwrap();
    assert_eq!((engine.name(), answer(&mut *engine, 0).1), ("cpu", answer(&mut cpu, 0).1));
    assert!(engine::open(Choice::Cuda, &network, Threads::ONE).is_err());
}

#[test]
fn a_step_with_an_uncovered_node_is_the_cpus() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "parts::child_step", &[]);
}
