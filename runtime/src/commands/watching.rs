//! Which network watches: the one asked for, the one that watched when a recording was made, or else the usual one for what is watched.

use std::ffi::OsStr;
use std::path::Path;

use crate::network::Network;
use crate::network::load::{built_in, default_for};
use crate::service::exit::{Cause, Failure};
use crate::source::WatchedBy;
use crate::sources;

/// What a recording keeps of `network`.
pub fn named(network: &Network) -> WatchedBy {
    let manifest = &network.manifest;
    WatchedBy { network: manifest.name.clone(), version: manifest.version.clone(), checksum: network.checksum }
}

/// The network for `source`. `asked`: the one named by the user; `natural`: the source shows the real world. A recording that was made with a
/// network that is not here is refused unless one is asked for, and another network than that run's is said.
pub fn network(asked: Option<&Path>, source: Option<&OsStr>, natural: bool) -> Result<Network, Failure> {
    let recorded = source.and_then(sources::watched_by);
    let place = source.unwrap_or_default().display();
    let name = match (asked, &recorded) {
        (Some(asked), _) => asked,
        (None, None) => Path::new(default_for(natural)),
        (None, Some(by)) if built_in().any(|name| name == by.network) => Path::new(&by.network),
        (None, Some(by)) => {
            let words = format!(
                "{place} was recorded while the network {} {} watched, which is not built in: name its folder (--model DIR), or another network \
                 that is to watch instead",
                by.network, by.version
            );
            return Err(Failure::new(Cause::Model, words));
        }
    };
    let network = Network::load(name)?;
    if let Some(by) = recorded {
        let now = named(&network);
        if by != now {
            let files = if (&by.network, &by.version) == (&now.network, &now.version) { " with other files" } else { "" };
            log::warn!(
                "{place} was recorded while {} {} watched; {} {}{files} watches now: steps and detections may be others",
                by.network,
                by.version,
                now.network,
                now.version
            );
        }
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::network::load::DEFAULT;
    use crate::recording::{OutcomeFormat, RecordSpec, RecordedFrame, Recorder};

    /// A recording that names `network` as the one that watched.
    fn recording(folder: &Path, network: Option<&str>) -> std::path::PathBuf {
        let path = folder.join(format!("{}.mcap", network.unwrap_or("none")));
        let by = |network: &str| WatchedBy { network: network.into(), version: "7".into(), checksum: 7 };
        let spec = RecordSpec { path: path.clone(), limit: None, events: None, timed: true, watched_by: network.map(by) };
        let mut recorder = Recorder::create(spec, OutcomeFormat::default()).unwrap();
        let frame = Frame { width: 4, height: 4, stride: 4, data: vec![1; 16].into(), ..Frame::default() };
        recorder.take(RecordedFrame::plain(frame, std::time::Duration::from_secs(1_700_000_000))).unwrap();
        recorder.finish().unwrap();
        path
    }

    fn chosen(asked: Option<&str>, source: &Path) -> Result<String, Failure> {
        network(asked.map(Path::new), Some(source.as_os_str()), true).map(|network| network.manifest.name)
    }

    #[test]
    fn a_replay_is_watched_by_the_network_of_the_recorded_run_unless_another_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs, none) =
            (recording(folder.path(), Some(DEFAULT)), recording(folder.path(), Some("somebodys")), recording(folder.path(), None));
        assert_eq!(chosen(None, &ours).unwrap(), DEFAULT);
        assert_eq!(chosen(Some("street"), &ours).unwrap(), "street");
        assert_eq!(chosen(None, &none).unwrap(), "street");
        let refusal = chosen(None, &theirs).unwrap_err();
        assert_eq!(refusal.cause, Cause::Model);
        assert!(refusal.message.contains("somebodys.mcap was recorded while the network somebodys 7 watched"), "{refusal}");
        assert_eq!(chosen(Some(DEFAULT), &theirs).unwrap(), DEFAULT);
    }
}
