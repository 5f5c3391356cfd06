//! The readout's outputs: which there are, how large, and whether the task can read them.

use super::graph::Graph;
use super::manifest::{BoxesSection, Manifest, TaskKind};

/// One output of the readout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its name in readout.onnx.
    pub name: String,
    /// Its shape, N = 1 first.
    pub shape: Vec<usize>,
}

impl Answer {
    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Nodes that only rename their numbers.
const RENAMING: [&str; 5] = ["Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];

/// The outputs of `readout`.
pub(super) fn of(readout: &Graph) -> Vec<Answer> {
    readout.outputs.iter().enumerate().map(|(at, name)| Answer { name: name.clone(), shape: readout.output_shape(at) }).collect()
}

/// Whether the first output is a sigmoid's, and so a probability already.
pub(super) fn is_sigmoid(readout: &Graph) -> bool {
    ends_in(readout, &["Sigmoid"], &RENAMING)
}

/// Whether the first output lies between 0 and 1 by how it is made.
pub(super) fn is_fraction(readout: &Graph) -> bool {
    let passes = [&RENAMING[..], &["Slice", "Resize", "Split", "Transpose"]].concat();
    ends_in(readout, &["Sigmoid", "HardSigmoid", "Clip", "Softmax"], &passes)
}

/// Whether the first output is made by one of `operators`, through nodes of `passes` only.
fn ends_in(readout: &Graph, operators: &[&str], passes: &[&str]) -> bool {
    let mut name = readout.outputs.first();
    while let Some(wanted) = name {
        let Some(node) = readout.proto.node.iter().find(|node| node.output.contains(wanted)) else { return false };
        match node.op_type.as_str() {
            operator if operators.contains(&operator) => return true,
            operator if passes.contains(&operator) => name = node.input.first(),
            _ => return false,
        }
    }
    false
}

/// Why the task of `manifest` cannot read these outputs, if it cannot. `fraction`: the first lies between 0 and 1.
pub(super) fn check(manifest: &Manifest, answers: &[Answer], fraction: bool) -> Result<(), String> {
    match (manifest.task.kind, &manifest.task.boxes) {
        (TaskKind::Boxes, Some(boxes)) => check_boxes(manifest, boxes, answers),
        (TaskKind::Raw, _) => Ok(()),
        (TaskKind::Matte, _) => match answers {
            [Answer { shape, .. }, ..] if !matches!(shape[..], [1, 1, _, _]) => {
                Err(format!("gives {shape:?}, but a matte is [1, 1, height, width]; a second answer may stand behind it"))
            }
            [Answer { name, .. }, ..] if !fraction => Err(format!(
                "'{name}' does not end in a sigmoid or a clamp, but a matte is 0 to 1: put .sigmoid() or .clamp(0, 1) behind it"
            )),
            _ => Ok(()),
        },
        // In format 2 the first answer is the task's, and others may come with it.
        _ if manifest.format > 1 => check_logits(manifest.task.classes.len(), &answers[..answers.len().min(1)]),
        _ => check_logits(manifest.task.classes.len(), answers),
    }
}

fn check_logits(classes: usize, answers: &[Answer]) -> Result<(), String> {
    match answers {
        [Answer { shape, .. }] if matches!(shape[..], [1, given, _, _] | [1, given] if given == classes) => Ok(()),
        // One logit tells two classes apart.
        [Answer { shape, .. }] if matches!(shape[..], [1, 1, _, _]) && classes == 2 => Ok(()),
        [Answer { shape, .. }] if matches!(shape[..], [1, _, _, last] if last == classes) => Err(format!(
            "gives {shape:?}, whose channels come last; [1, {classes}, height, width] is needed: end it with .permute(0, 3, 1, 2)"
        )),
        _ => {
            let shapes: Vec<_> = answers.iter().map(|answer| format!("{:?}", answer.shape)).collect();
            Err(format!(
                "gives {}, but model.toml names {classes} classes: [1, {classes}, height, width] is needed, or [1, {classes}] for the whole picture{}",
                if shapes.is_empty() { "[]".to_owned() } else { shapes.join(" and ") },
                if classes == 2 { ", or [1, 1, height, width]" } else { "" }
            ))
        }
    }
}

fn check_boxes(manifest: &Manifest, boxes: &BoxesSection, answers: &[Answer]) -> Result<(), String> {
    let classes = manifest.task.classes.len();
    let outputs = boxes.outputs();
    let shape = |name: &String| {
        let found = answers.iter().find(|answer| answer.name == *name);
        let names = || answers.iter().map(|answer| answer.name.as_str()).collect::<Vec<_>>().join(", ");
        found
            .map(|answer| &answer.shape)
            .ok_or_else(|| format!("has no output '{name}', which [task.boxes] of model.toml needs; it gives {}", names()))
    };
    let strays = manifest.format == 1;
    if let Some(stray) =
        answers.iter().find(|answer| strays && !outputs.iter().any(|(scores, of)| *scores == answer.name || *of == answer.name))
    {
        return Err(format!("output '{}' is read by nothing in [task.boxes] of model.toml", stray.name));
    }
    for (at, (scores, of)) in outputs.iter().enumerate() {
        let (given, given_boxes) = (shape(scores)?, shape(of)?);
        let (wanted, wanted_boxes) = match boxes.strides.get(at) {
            Some(stride) => {
                let cells = |pixels: u32| pixels.div_ceil(*stride) as usize;
                let (h, w) = (cells(manifest.input.height), cells(manifest.input.width));
                (vec![1, classes, h, w], vec![1, 4 * boxes.distance.channels(), h, w])
            }
            None => {
                let n = given.get(1).copied().unwrap_or(0);
                (vec![1, n, classes], vec![1, n, 4])
            }
        };
        for (name, given, wanted) in [(scores, given, wanted), (of, given_boxes, wanted_boxes)] {
            if *given != wanted {
                return Err(format!(
                    "output '{name}' is {given:?}, but with {classes} classes and [task.boxes] of model.toml it is {wanted:?}"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(boxes: &str) -> Manifest {
        let text = format!(
            "format = 1\nname = \"a\"\nversion = \"1\"\nlicence = \"MIT\"\norigin = \"a test\"\n[input]\nwidth = 36\nheight = 16\nchannels = 1\n\
             mean = [0.0]\nstd = [1.0]\n[task]\nkind = \"boxes\"\nclasses = [\"person\", \"car\"]\n[task.boxes]\n{boxes}"
        );
        Manifest::parse(&text).unwrap()
    }

    fn answers(list: &[(&str, &[usize])]) -> Vec<Answer> {
        list.iter().map(|(name, shape)| Answer { name: (*name).to_owned(), shape: shape.to_vec() }).collect()
    }

    #[test]
    fn heads_have_a_cell_for_every_stride() {
        let manifest = manifest("format = \"ltrb\"\nstrides = [8]");
        check(&manifest, &answers(&[("boxes", &[1, 4, 2, 5]), ("scores", &[1, 2, 2, 5])]), false).unwrap();
        for (list, words) in [
            (answers(&[("scores", &[1, 2, 2, 5])]), "no output 'boxes'"),
            (answers(&[("scores", &[1, 3, 2, 5]), ("boxes", &[1, 4, 2, 5])]), "'scores' is [1, 3, 2, 5]"),
            (answers(&[("scores", &[1, 2, 2, 5]), ("boxes", &[1, 4, 2, 4])]), "it is [1, 4, 2, 5]"),
            (answers(&[("scores", &[1, 2, 2, 5]), ("boxes", &[1, 4, 2, 5]), ("extra", &[1, 1])]), "'extra' is read by nothing"),
        ] {
            let refused = check(&manifest, &list, false).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn a_distribution_has_a_channel_for_each_of_its_values() {
        let manifest = manifest("format = \"ltrb\"\nstrides = [8]\ndistance = \"dfl:8\"");
        check(&manifest, &answers(&[("scores", &[1, 2, 2, 5]), ("boxes", &[1, 32, 2, 5])]), false).unwrap();
    }

    #[test]
    fn ready_boxes_are_a_list() {
        let manifest = manifest("format = \"xyxy\"\nunit = \"normalised\"");
        check(&manifest, &answers(&[("boxes", &[1, 50, 4]), ("scores", &[1, 50, 2])]), false).unwrap();
        assert!(check(&manifest, &answers(&[("boxes", &[1, 50, 4]), ("scores", &[1, 40, 2])]), false).is_err());
    }
}
