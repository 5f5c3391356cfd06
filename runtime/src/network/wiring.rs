//! Whether the graphs of a network fit one another and model.toml; everything that does not is told, with what to do.

use super::answers::{self, Answer};
use super::graph::{Encoded, Graph};
use super::manifest::{Manifest, StateSection};

/// What the graphs are held against.
pub(super) struct Wiring<'a> {
    pub(super) manifest: &'a Manifest,
    /// The line of a key of model.toml, of the n-th table of a name.
    pub(super) line: &'a dyn Fn(&str, &str, usize) -> Option<usize>,
    /// What the encoder hands on, if it could be read.
    pub(super) encoded: Option<&'a [Encoded]>,
}

type Found = Vec<(&'static str, String)>;

impl Wiring<'_> {
    /// Everything that disagrees, by file.
    pub(super) fn check(&self, encoder: Option<&Graph>, step: Option<&Graph>, readout: Option<&Graph>) -> Found {
        let mut found = Found::new();
        if let Some(encoder) = encoder {
            self.encoder(encoder, &mut found);
        }
        if let Some(step) = step {
            self.step(step, readout, &mut found);
        }
        if let Some(readout) = readout {
            self.readout(readout, &mut found);
        }
        found
    }

    /// ` (model.toml line N)`.
    fn at(&self, section: &str, key: &str, nth: usize) -> String {
        (self.line)(section, key, nth).map_or(String::new(), |line| format!(" (line {line})"))
    }

    fn encoder(&self, encoder: &Graph, found: &mut Found) {
        let mut refuse = |reason: String| found.push((encoder.file, reason));
        let wanted = self.manifest.input.shape();
        if encoder.inputs.len() != 1 || self.manifest.format == 1 && encoder.outputs.len() != 1 {
            refuse("one input (the frame) and one output (the drive) are needed; format = 2 allows features beside it".into());
        }
        let shape = encoder.input_shape(0);
        if shape != wanted {
            let line = self.at("input", "width", 0);
            let cure = match shape[..] {
                [1, h, w, c] if [1, c, h, w] == wanted => "; channels come first here: export it with .permute(0, 3, 1, 2) before it",
                _ => "",
            };
            refuse(format!("input '{}' is {shape:?}, but [input] of model.toml{line} says {wanted:?}{cure}", encoder.inputs[0]));
        }
        let encoded = self.encoded.unwrap_or_default();
        if encoded.first().is_none_or(|encoded| encoded.name != "drive") {
            refuse(format!("gives {}, but none of them is called 'drive'", encoder.outputs.join(", ")));
        }
        for both in encoded.iter().filter(|encoded| self.state(&encoded.name).is_some()) {
            refuse(format!("output '{}' is called as a [[state]] of model.toml", both.name));
        }
    }

    fn state(&self, name: &str) -> Option<&StateSection> {
        self.manifest.states.iter().find(|state| state.name == name)
    }

    fn known(&self) -> String {
        self.encoded.unwrap_or_default().iter().map(|encoded| format!("'{}'", encoded.name)).collect::<Vec<_>>().join(", ")
    }

    fn step(&self, step: &Graph, readout: Option<&Graph>, found: &mut Found) {
        let mut refuse = |reason: String| found.push((step.file, reason));
        for (at, name) in step.inputs.iter().enumerate().filter(|(_, name)| self.state(name).is_none()) {
            let Some(encoded) = self.encoded else { continue };
            match encoded.iter().find(|encoded| encoded.name == *name) {
                None => refuse(format!("input '{name}' is neither {} nor a [[state]] of model.toml", self.known())),
                Some(given) if given.shape != step.input_shape(at) => {
                    refuse(format!("input '{name}' is {:?}, but encoder.onnx gives {:?}", step.input_shape(at), given.shape));
                }
                Some(_) => {}
            }
        }
        for (nth, state) in self.manifest.states.iter().enumerate() {
            self.stepped(state, nth, step, readout, found);
        }
    }

    /// One state: its input, and where its next value comes from.
    fn stepped(&self, state: &StateSection, nth: usize, step: &Graph, readout: Option<&Graph>, found: &mut Found) {
        let (name, next) = (&state.name, format!("{}_next", state.name));
        let (line, sized_at) = (self.at("state", "name", nth), self.at("state", "shape", nth));
        let mut refuse = |reason: String| found.push((step.file, reason));
        let sized = |what: &str, shape: Vec<usize>| {
            let says = &state.shape;
            (shape != *says).then(|| format!("'{what}' is {shape:?}, but its [[state]] in model.toml{sized_at} says {says:?}"))
        };
        match step.inputs.iter().position(|input| input == name) {
            Some(at) => sized(name, step.input_shape(at)).into_iter().for_each(&mut refuse),
            None => refuse(format!("has no input '{name}', but model.toml{line} lists that [[state]]")),
        }
        let moved = step.outputs.iter().position(|output| *output == next);
        match (&state.answer, moved) {
            (None, Some(to)) => sized(&next, step.output_shape(to)).into_iter().for_each(&mut refuse),
            (None, None) => {
                let gives = step.outputs.join(", ");
                refuse(format!(
                    "has no output '{next}' for the [[state]] '{name}' of model.toml{line}; it gives {gives}: call what a state becomes NAME_next"
                ));
            }
            (Some(answer), Some(_)) => {
                refuse(format!("has an output '{next}', but model.toml{line} says that '{name}' is the readout's '{answer}'"));
            }
            (Some(answer), None) => {
                let Some(readout) = readout else { return };
                match readout.outputs.iter().position(|output| output == answer) {
                    Some(at) => sized(answer, readout.output_shape(at)).into_iter().for_each(|reason| found.push((readout.file, reason))),
                    None => {
                        let gives = readout.outputs.join(", ");
                        let reason = format!(
                            "has no output '{answer}', whose last value [[state]] '{name}' of model.toml{line} is; it gives {gives}"
                        );
                        found.push((readout.file, reason));
                    }
                }
            }
        }
    }

    fn readout(&self, readout: &Graph, found: &mut Found) {
        let mut refuse = |reason: String| found.push((readout.file, reason));
        for (at, name) in readout.inputs.iter().enumerate() {
            let shape = match (self.state(name), self.encoded) {
                (Some(state), _) => state.shape.clone(),
                (None, None) => continue,
                (None, Some(encoded)) => match encoded.iter().find(|encoded| encoded.name == *name) {
                    Some(encoded) => encoded.shape.clone(),
                    None => {
                        refuse(format!("input '{name}' is neither {} nor a [[state]] of model.toml", self.known()));
                        continue;
                    }
                },
            };
            if readout.input_shape(at) != shape {
                refuse(format!("input '{name}' is {:?}, but {shape:?} arrives there", readout.input_shape(at)));
            }
        }
        let answers: Vec<Answer> = answers::of(readout);
        if let Err(reason) = answers::check(self.manifest, &answers, answers::is_fraction(readout)) {
            refuse(format!("{reason}{}", self.at("task", "classes", 0)));
        }
    }
}
