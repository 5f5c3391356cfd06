//! What the dashboard shows, and how telegrams change it.

use crate::sets::CameraState;
use crate::telemetry::{ClassName, Status, Telemetry};
use crate::text::Text;

/// Most class names a [`Reading`] keeps; classes beyond are shown by number.
const NAMES: usize = 16;

/// The best detection of the last frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// What it is.
    pub name: Text<24>,
    /// Confidence, thousandths.
    pub score: u16,
    /// Number of its track, 0 without one.
    pub track: u32,
}

/// Everything one picture shows. A host fills it from its own report, a device lets it [`absorb`](Reading::absorb) telegrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The state of the board; `None` until one was heard.
    pub status: Option<Status>,
    /// The best detection; `None` when nothing is seen.
    pub top: Option<Top>,
    /// Where people find the page; empty if nowhere.
    pub address: Text<48>,
    /// Set when the board fell silent, by whoever watches the clock; any telegram clears it.
    pub silent: bool,
    names: heapless::Vec<ClassName, NAMES>,
}

impl Reading {
    /// Takes over what a telegram says. Returns whether the picture changed.
    pub fn absorb(&mut self, telegram: &Telemetry) -> bool {
        let mut changed = core::mem::take(&mut self.silent);
        match telegram {
            Telemetry::Hello(hello) => {
                changed |= self.address != hello.address;
                self.address = hello.address.clone();
                // Another Hello may be another network: its class names follow.
                self.names.clear();
            }
            Telemetry::Status(status) => {
                if status.camera != CameraState::Streaming {
                    changed |= self.top.take().is_some();
                }
                changed |= self.status.as_ref() != Some(status);
                self.status = Some(status.clone());
            }
            Telemetry::Detections(detections) => {
                let top = detections.items.first().map(|best| Top { name: self.name(best.class), score: best.score, track: best.track });
                changed |= self.top != top;
                self.top = top;
            }
            Telemetry::ClassName(name) => {
                if let Some(known) = self.names.iter_mut().find(|known| known.class == name.class) {
                    known.name = name.name.clone();
                } else {
                    // A full table is no error: that class is shown by number.
                    let _ = self.names.push(name.clone());
                }
            }
            Telemetry::Log(_) | Telemetry::Ack(_) => {}
        }
        changed
    }

    fn name(&self, class: u16) -> Text<24> {
        if let Some(known) = self.names.iter().find(|known| known.class == class) {
            return known.name.clone();
        }
        let mut name = Text::new();
        // "class 65535" is 11 of 24 bytes.
        let _ = core::fmt::write(&mut name, format_args!("class {class}"));
        name
    }
}
