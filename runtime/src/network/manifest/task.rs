//! `[task]` of `model.toml`: what the readout's numbers mean.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::mistakes::Wrong;
use crate::telemetry::MAX_DETECTIONS;

/// What the readout's numbers mean.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSection {
    /// The kind of answer.
    pub kind: TaskKind,
    /// Class names, one per channel of the logits or scores; for `contour`, `detections` and `matte` the first is background. `matte` has
    /// background and foreground where none are named, `raw` has none.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Probability above which a pixel belongs to a class other than background (half, for `contour` and `detections`), or (`classes`)
    /// below which it is background, where that is wanted. Boxes have theirs in `[task.boxes]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// For `classes`: the class of a pixel that shows nothing. Without it every pixel shows something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// For `classes`: classes that are never the answer, as the class "void" of many data sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// For `boxes`: how to read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boxes: Option<BoxesSection>,
    /// For `boxes`: thresholds of single classes, by name, in place of the common one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<String, f32>,
}

/// The kind of answer a network gives.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// One contour, reported as one region.
    Contour,
    /// A class for every pixel, or for the whole picture: the likeliest.
    #[serde(alias = "labels")]
    Classes,
    /// Separate objects as connected pixels, followed from frame to frame.
    Detections,
    /// Objects as boxes with scores, followed from frame to frame.
    Boxes,
    /// How much of every pixel is foreground, 0 to 1: one channel that ends in a sigmoid or is clamped.
    Matte,
    /// Named tensors that this program gives no meaning to; `--dump` writes them.
    Raw,
}

/// How `scores` and `boxes` are read, and which boxes are reported.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BoxesSection {
    /// What the scores are.
    #[serde(default)]
    pub scores: ScoreForm,
    /// What the four numbers of a box are.
    pub format: BoxFormat,
    /// How distances (`ltrb`) or sizes (`cxcywh`) are told.
    #[serde(default)]
    pub distance: Distance,
    /// What one of them is.
    #[serde(default)]
    pub unit: Unit,
    /// Network pixels from one cell to the next, one for each head; empty where boxes come ready, `[1, N, 4]` beside `[1, N, classes]`.
    #[serde(default)]
    pub strides: Vec<u32>,
    /// Names of the readout's outputs with the scores, in the order of `strides`; `scores`, or `scores_0`, `scores_1`, ... where none are given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub score_outputs: Vec<String>,
    /// The same for the boxes: `boxes`, or `boxes_0`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub box_outputs: Vec<String>,
    /// Of two boxes of a class that overlap by more than this share of their union the less sure one is dropped; 1 keeps both.
    #[serde(default = "usual_nms")]
    pub nms: f32,
    /// Score from which on a box is reported.
    #[serde(default = "usual_threshold")]
    pub threshold: f32,
    /// The most boxes of a frame; the surest are kept.
    #[serde(default = "usual_limit")]
    pub limit: usize,
    /// Take only cells whose score no neighbour exceeds.
    #[serde(default)]
    pub peak: bool,
}

fn usual_nms() -> f32 {
    0.6
}

fn usual_threshold() -> f32 {
    0.3
}

fn usual_limit() -> usize {
    100
}

/// What scores are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ScoreForm {
    /// A sigmoid makes them probabilities.
    #[default]
    Logits,
    /// 0 to 1.
    Probabilities,
}

/// What the four numbers of a box are.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum BoxFormat {
    /// Distances of the left, top, right and bottom edge from the cell's centre.
    Ltrb,
    /// Centre (for heads: from the cell's centre) and size.
    Cxcywh,
    /// Left, top, right and bottom edge.
    Xyxy,
}

/// What one is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// The head's stride.
    Stride,
    /// A pixel of the network's input.
    #[default]
    Pixels,
    /// The width or height of the network's input.
    Normalised,
}

/// How a distance or a size is told.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(try_from = "String", into = "String")]
pub enum Distance {
    /// As it is.
    #[default]
    Plain,
    /// As its natural logarithm.
    Exp,
    /// As logits of a distribution over 0, 1, ..., N - 1, whose mean it is.
    Dfl(usize),
}

impl FromStr for Distance {
    type Err = String;

    fn from_str(name: &str) -> Result<Distance, String> {
        let bins = name.strip_prefix("dfl:").and_then(|bins| bins.parse().ok()).filter(|bins| (2..=64).contains(bins));
        match (name, bins) {
            ("plain", _) => Ok(Distance::Plain),
            ("exp", _) => Ok(Distance::Exp),
            (_, Some(bins)) => Ok(Distance::Dfl(bins)),
            _ => Err(format!("distance '{name}' is unknown; write plain, exp or dfl:N with N from 2 to 64")),
        }
    }
}

impl TryFrom<String> for Distance {
    type Error = String;

    fn try_from(name: String) -> Result<Distance, String> {
        name.parse()
    }
}

impl From<Distance> for String {
    fn from(distance: Distance) -> String {
        match distance {
            Distance::Plain => "plain".into(),
            Distance::Exp => "exp".into(),
            Distance::Dfl(bins) => format!("dfl:{bins}"),
        }
    }
}

impl Distance {
    /// Channels for each of the four numbers.
    pub fn channels(self) -> usize {
        if let Distance::Dfl(bins) = self { bins } else { 1 }
    }
}

impl BoxesSection {
    /// Names of the outputs of each head: scores and boxes.
    pub fn outputs(&self) -> Vec<(String, String)> {
        let heads = self.strides.len().max(1);
        let name = |listed: &[String], usual: &str, at: usize| match listed.get(at) {
            Some(name) => name.clone(),
            None if heads == 1 => usual.to_owned(),
            None => format!("{usual}_{at}"),
        };
        (0..heads).map(|at| (name(&self.score_outputs, "scores", at), name(&self.box_outputs, "boxes", at))).collect()
    }

    fn check(&self, found: &mut Vec<Wrong>) {
        let mut value = |key, reason: String| found.push(Wrong { section: "task.boxes", key, nth: 0, reason });
        let heads = self.strides.len().max(1);
        if self.strides.len() > 8 || self.strides.iter().any(|stride| !(1..=512).contains(stride)) {
            value("strides", format!("{:?}; at most 8 strides of 1 to 512 pixels are supported", self.strides));
        }
        for (key, listed) in [("score_outputs", &self.score_outputs), ("box_outputs", &self.box_outputs)] {
            if !listed.is_empty() && listed.len() != heads {
                value(key, format!("{} names for {heads} heads; one each is needed", listed.len()));
            }
        }
        if self.strides.is_empty() {
            if self.format == BoxFormat::Ltrb {
                value("format", "ltrb is told from a cell's centre, but there are no strides; ready boxes are xyxy or cxcywh".into());
            }
            if self.unit == Unit::Stride {
                value("unit", "there are no strides; write pixels or normalised".into());
            }
            if self.peak {
                value("peak", "ready boxes have no neighbours; leave it out".into());
            }
        }
        let fits = match self.distance {
            Distance::Plain => true,
            Distance::Exp => self.format != BoxFormat::Xyxy,
            Distance::Dfl(_) => self.format == BoxFormat::Ltrb,
        };
        if !fits {
            value("distance", format!("{} does not go with format {:?}", String::from(self.distance), self.format).to_lowercase());
        }
        if !(self.nms > 0.0 && self.nms <= 1.0) {
            value("nms", format!("{} is no share between 0 and 1", self.nms));
        }
        if !(self.threshold > 0.0 && self.threshold < 1.0) {
            value("threshold", format!("{} is no score between 0 and 1", self.threshold));
        }
        if !(1..=MAX_DETECTIONS).contains(&self.limit) {
            value("limit", format!("{}; 1 to {MAX_DETECTIONS} boxes a frame can be reported", self.limit));
        }
    }
}

impl TaskSection {
    /// Index of the class that shows nothing.
    pub fn nothing(&self) -> Option<u8> {
        match self.kind {
            TaskKind::Contour | TaskKind::Detections | TaskKind::Matte => Some(0),
            TaskKind::Classes => self.background.as_ref().and_then(|name| self.class(name)),
            TaskKind::Boxes | TaskKind::Raw => None,
        }
    }

    /// Index of the class called `name`.
    pub fn class(&self, name: &str) -> Option<u8> {
        self.classes.iter().position(|class| class == name).map(|at| at as u8)
    }

    /// Names of what can be reported.
    pub fn sees(&self) -> impl Iterator<Item = &str> {
        let nothing = self.nothing();
        let seen = self.classes.iter().enumerate().filter(move |(at, name)| nothing != Some(*at as u8) && !self.ignore.contains(name));
        seen.map(|(_, name)| name.as_str())
    }

    pub(super) fn check(&self, found: &mut Vec<Wrong>) {
        let kind = format!("{:?}", self.kind).to_lowercase();
        let (least, most) = match self.kind {
            TaskKind::Boxes => (1, 254),
            TaskKind::Matte if self.classes.is_empty() => (0, 0),
            TaskKind::Matte => (2, 2),
            TaskKind::Raw => (0, 0),
            _ => (2, 254),
        };
        let mut value = |key, reason: String| found.push(Wrong { section: "task", key, nth: 0, reason });
        if self.classes.len() < least || self.classes.len() > most {
            let how = match self.kind {
                TaskKind::Contour | TaskKind::Detections => format!("{least} to {most} names are needed, background first"),
                TaskKind::Boxes => format!("{least} to {most} names are needed, without a background"),
                TaskKind::Matte => "two names are needed, background first, or none".into(),
                TaskKind::Raw => "kind raw gives its answers no meaning; leave the names out".into(),
                TaskKind::Classes => format!("{least} to {most} names are needed"),
            };
            value("classes", how);
        }
        if let Some(name) = self.classes.iter().enumerate().find(|(at, name)| self.classes[..*at].contains(name)).map(|(_, name)| name) {
            value("classes", format!("'{name}' stands there twice"));
        }
        match self.threshold {
            Some(_) if self.kind == TaskKind::Raw => value("threshold", "kind raw has none; leave it out".into()),
            Some(_) if self.kind == TaskKind::Boxes => {
                value("threshold", "the threshold of boxes stands in [task.boxes], those of single classes in [task.thresholds]".into());
            }
            Some(threshold) if !(threshold > 0.0 && threshold < 1.0) => {
                value("threshold", format!("{threshold} is no probability between 0 and 1"));
            }
            _ => {}
        }
        if self.kind == TaskKind::Boxes {
            if self.boxes.is_none() {
                value("boxes", "kind boxes needs a table [task.boxes]".into());
            }
        } else if self.boxes.is_some() || !self.thresholds.is_empty() {
            let key = if self.boxes.is_some() { "boxes" } else { "thresholds" };
            value(key, format!("kind {kind} has none; kind = \"boxes\" does"));
        }
        for (name, threshold) in &self.thresholds {
            if self.class(name).is_none() {
                value("thresholds", format!("'{name}' is none of the classes"));
            }
            if !(*threshold > 0.0 && *threshold < 1.0) {
                value("thresholds", format!("{threshold} for '{name}' is no score between 0 and 1"));
            }
        }
        if self.kind != TaskKind::Classes && !self.ignore.is_empty() {
            value("ignore", format!("kind {kind} has none; kind = \"classes\" does"));
        }
        for name in self.ignore.iter().chain(&self.background) {
            if self.class(name).is_none() {
                let key = if self.background.as_ref() == Some(name) { "background" } else { "ignore" };
                value(key, format!("'{name}' is none of the classes"));
            }
        }
        if let Some(name) = &self.background {
            match self.kind {
                TaskKind::Contour | TaskKind::Detections | TaskKind::Matte if self.classes.first() != Some(name) => {
                    value("background", format!("for kind {kind} it is always the first class"));
                }
                TaskKind::Boxes => value("background", "a box always shows something; list no background among the classes".into()),
                _ if self.ignore.contains(name) => value("ignore", format!("'{name}' is the background, which can be the answer")),
                _ => {}
            }
        }
        if self.kind == TaskKind::Classes {
            if self.threshold.is_some() && self.background.is_none() {
                value("threshold", "a pixel below it would have no class; name a background, or leave it out".into());
            }
            if self.ignore.len() >= self.classes.len() && !self.classes.is_empty() {
                value("ignore", "no class is left to be the answer".into());
            }
        }
        if self.kind == TaskKind::Boxes
            && let Some(boxes) = &self.boxes
        {
            boxes.check(found);
        }
    }
}

#[cfg(test)]
mod tests;
