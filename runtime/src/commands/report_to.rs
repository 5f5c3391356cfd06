//! Where results go, as the command line and the configuration say it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::report::{Filter, MavlinkSpec, MqttSpec, PanelSpec, PortSpec};

/// One place that results go to, and which of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReportTo {
    /// The place.
    pub(super) to: Destination,
    /// What of them.
    pub(super) filter: Filter,
}

impl ReportTo {
    /// All results, to one place.
    pub(super) fn all(to: Destination) -> ReportTo {
        ReportTo { to, filter: Filter::default() }
    }

    /// Reads `given`; only a file's name may be no UTF-8, and such a one has no filter behind it.
    pub(super) fn read(given: OsString) -> Result<ReportTo, String> {
        match given.to_str() {
            Some(text) => {
                let (place, filter) = Filter::split(text)?;
                Ok(ReportTo { to: place.parse()?, filter })
            }
            None => Destination::of_bytes(&given).map(ReportTo::all),
        }
    }
}

/// One place results go to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Destination {
    Terminal,
    Json,
    Serial(PortSpec),
    Link(PortSpec),
    Mavlink(MavlinkSpec),
    Mqtt(MqttSpec),
    Panel(PanelSpec),
    Snapshot(PathBuf),
    Masks(PathBuf),
    Boxes(PathBuf),
}

impl Destination {
    /// What two reports cannot share.
    pub(super) fn place(&self) -> String {
        match self {
            Destination::Terminal => "terminal".into(),
            Destination::Json => "json".into(),
            Destination::Serial(port) | Destination::Link(port) => port.path.clone(),
            Destination::Mavlink(spec) => spec.port.path.clone(),
            Destination::Mqtt(spec) => spec.to_string(),
            Destination::Panel(spec) => spec.place(),
            Destination::Snapshot(file) | Destination::Masks(file) | Destination::Boxes(file) => file.display().to_string(),
        }
    }
}

impl Destination {
    /// A file whose name is no UTF-8.
    fn of_bytes(given: &OsStr) -> Result<Destination, String> {
        let bytes = given.as_bytes();
        let file = |path: &[u8]| PathBuf::from(OsStr::from_bytes(path));
        if let Some(path) = bytes.strip_prefix(b"snapshot:") {
            return Ok(Destination::Snapshot(file(path)));
        }
        if let Some(path) = bytes.strip_prefix(b"mask:") {
            return Ok(Destination::Masks(file(path)));
        }
        if let Some(path) = bytes.strip_prefix(b"boxes:") {
            return Ok(Destination::Boxes(file(path)));
        }
        if let Some(path) = bytes.strip_prefix(b"panel:png:") {
            return PanelSpec::png(OsStr::from_bytes(path)).map(Destination::Panel);
        }
        Err(format!("'{}' is no UTF-8; only the files of snapshot:, mask:, boxes: and panel:png: may have such names", given.display()))
    }

    /// The file that is written, where it is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self {
            Destination::Snapshot(file) | Destination::Boxes(file) | Destination::Masks(file) => Some(file.clone()),
            Destination::Panel(PanelSpec::Png { file, .. }) => Some(file.clone()),
            Destination::Serial(port) | Destination::Link(port) => Some(port.path.clone().into()),
            Destination::Mavlink(spec) => Some(spec.port.path.clone().into()),
            Destination::Terminal | Destination::Json | Destination::Mqtt(_) | Destination::Panel(_) => None,
        }
    }
}

impl std::str::FromStr for Destination {
    type Err = String;

    fn from_str(given: &str) -> Result<Destination, String> {
        match given.split_once(':') {
            None if given == "terminal" => Ok(Destination::Terminal),
            None if given == "json" => Ok(Destination::Json),
            Some(("serial", port)) => port.parse().map(Destination::Serial).map_err(|reason| format!("serial: {reason}")),
            Some(("link", port)) => port.parse().map(Destination::Link).map_err(|reason| format!("link: {reason}")),
            Some(("mavlink", port)) => port.parse().map(Destination::Mavlink).map_err(|reason| format!("mavlink: {reason}")),
            Some(("mqtt", broker)) => MqttSpec::read(broker, false).map(Destination::Mqtt).map_err(|reason| format!("mqtt: {reason}")),
            Some(("mqtts", broker)) => MqttSpec::read(broker, true).map(Destination::Mqtt).map_err(|reason| format!("mqtts: {reason}")),
            Some(("panel", panel)) => panel.parse().map(Destination::Panel),
            Some(("snapshot", path)) if !path.is_empty() => Ok(Destination::Snapshot(path.into())),
            Some(("mask", path)) if !path.is_empty() => Ok(Destination::Masks(path.into())),
            Some(("boxes", path)) if !path.is_empty() => Ok(Destination::Boxes(path.into())),
            _ => Err(format!(
                "no report is called '{given}'; write terminal, json, serial:PORT[@BAUD], link:PORT[@BAUD], mavlink:PORT[@BAUD], mqtt:HOST[:PORT][/TOPIC], panel:KIND:PLACE, snapshot:FILE.png, mask:DIR or boxes:FILE.json"
            )),
        }
    }
}
