//! Kinds of answers: one channel for two classes, and a class for the whole picture.

use recslowfast::network::Network;
use recslowfast::task::{Scene, Task};
use recslowfast::telemetry::Region;
use tract_onnx::pb::ModelProto;

use crate::write::{Folder, TWO, float, ints, model, node, picture, through};

/// Class, area and score of what is seen in the picture, in pixels of the network's input.
fn seen(task: &str, readout: &ModelProto) -> Vec<(u8, f32, f32)> {
    let folder = Folder::new(task, "", &through(), None, readout);
    let answer = folder.answer(&picture()).unwrap();
    let view = Region { x: 0.0, y: 0.0, width: 8.0, height: 8.0 };
    let mut task = Task::new(&Network::load(folder.path()).unwrap());
    let found = task.read(&answer, &Scene { view, ..Scene::default() });
    found.iter().map(|seen| (seen.class, seen.area, seen.score)).collect()
}

fn one_channel(op: &str) -> ModelProto {
    let shape = [1, 1, 8, 8];
    model(17, vec![node(op, "drive", "logits")], vec![float("drive", &shape)], vec![float("logits", &shape)], vec![])
}

#[test]
fn one_channel_tells_two_classes_apart_as_a_logit_or_as_a_probability() {
    let above = picture().iter().filter(|x| **x > 0.0).count() as f32;
    for op in ["Identity", "Sigmoid"] {
        let found = seen(TWO, &one_channel(op));
        assert_eq!(found.iter().map(|(class, area, _)| (*class, *area)).collect::<Vec<_>>(), [(1, above)], "{op}");
        assert!(found[0].2 > 0.5 && found[0].2 < 0.75, "{op}: {found:?}");
    }
    // Half the probability is no logit of a half.
    let surer = format!("{TWO}\nbackground = \"background\"\nthreshold = 0.6");
    let logit = (0.6f32 / 0.4).ln();
    let above = picture().iter().filter(|x| **x > logit).count() as f32;
    for op in ["Identity", "Sigmoid"] {
        assert_eq!(seen(&surer, &one_channel(op))[0].1, above, "{op}");
    }
}

#[test]
fn an_answer_for_the_whole_picture_is_one_class() {
    let nodes = vec![node("Reshape", "drive flat", "f"), node("Slice", "f from to axis", "logits")];
    let lists = vec![ints("flat", &[1, 64]), ints("from", &[0]), ints("to", &[3]), ints("axis", &[1])];
    let readout = model(17, nodes, vec![float("drive", &[1, 1, 8, 8])], vec![float("logits", &[1, 3])], lists);
    let likeliest = (0..3).fold(0, |best, at| if picture()[at] > picture()[best] { at } else { best });
    for kind in ["classes", "labels"] {
        let found = seen(&format!("kind = \"{kind}\"\nclasses = [\"a\", \"b\", \"c\"]"), &readout);
        assert_eq!(found.iter().map(|(class, area, _)| (usize::from(*class), *area)).collect::<Vec<_>>(), [(likeliest, 64.0)], "{kind}");
    }
}

#[test]
fn one_channel_for_three_classes_is_refused() {
    let three = "kind = \"classes\"\nclasses = [\"a\", \"b\", \"c\"]";
    let refused = Folder::new(three, "", &through(), None, &one_channel("Identity")).answer(&picture()).unwrap_err();
    assert!(refused.contains("names 3 classes") && refused.contains("[1, 3] for the whole picture"), "{refused}");
}
