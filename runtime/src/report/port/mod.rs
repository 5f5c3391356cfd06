//! A port that may be absent, slow, or gone for a while: a serial line, opened again by a name that stays the same, or a place in the network.

mod wire;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;

pub(super) use wire::Wire;

/// Bits per second where none are given.
pub const DEFAULT_BAUD: u32 = 115_200;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
const RETRIES: Backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
/// A port that was open for so long has worked: its loss is a new one. One that opens and fails at once is opened ever more slowly.
const WORKED: Duration = Duration::from_millis(500);
/// Names that stay with a device whatever else is plugged in, the surest first.
const STABLE_NAMES: [&str; 2] = ["/dev/serial/by-id", "/dev/serial/by-path"];

/// What kind of port it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A serial line.
    Serial,
    /// A TCP connection to a server.
    Tcp,
    /// UDP datagrams, one for each telegram or message.
    Udp,
}

/// A port and how it is spoken to: `PORT[@BAUD[,rtscts]]`, `tcp:HOST:PORT` or `udp:HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// What it is.
    pub kind: Kind,
    /// The device, or `tcp:HOST:PORT` and `udp:HOST:PORT` as they were given.
    pub path: String,
    /// Bits per second.
    pub baud: u32,
    /// Whether the RTS and CTS wires say when to wait. (XON and XOFF are bytes like any other here.)
    pub rtscts: bool,
}

impl FromStr for PortSpec {
    type Err = String;

    fn from_str(given: &str) -> Result<PortSpec, String> {
        let network =
            given.strip_prefix("tcp:").map(|rest| (Kind::Tcp, rest)).or_else(|| given.strip_prefix("udp:").map(|rest| (Kind::Udp, rest)));
        if let Some((kind, place)) = network {
            let port = place.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
            return match port {
                Some(1..) => Ok(PortSpec { kind, path: given.into(), baud: DEFAULT_BAUD, rtscts: false }),
                _ => Err(format!("'{place}' is no HOST:PORT, for example 192.168.1.7:14550")),
            };
        }
        let (path, speed) = given.rsplit_once('@').map_or((given, None), |(path, speed)| (path, Some(speed)));
        if path.is_empty() {
            return Err("a port is missing, for example /dev/ttyUSB0@115200".into());
        }
        let (baud, flow) =
            speed.map_or((None, None), |speed| speed.split_once(',').map_or((Some(speed), None), |(baud, flow)| (Some(baud), Some(flow))));
        let baud = match baud.map(str::parse) {
            None => DEFAULT_BAUD,
            Some(Ok(baud)) if baud > 0 => baud,
            Some(_) => return Err(format!("'{}' is no baud rate, for example 115200", baud.unwrap_or_default())),
        };
        let rtscts = match flow {
            None => false,
            Some("rtscts") => true,
            Some(other) => return Err(format!("'{other}' is no flow control; write rtscts, or nothing")),
        };
        Ok(PortSpec { kind: Kind::Serial, path: path.into(), baud, rtscts })
    }
}

/// Opens a port, and opens it again after it was lost: at once, then ever more slowly, up to every two seconds.
pub(super) struct Reopening {
    spec: PortSpec,
    /// The stable name under which the device was found when it was there.
    stable: Option<PathBuf>,
    opened: Option<Instant>,
    retry_at: Option<Instant>,
    backoff: Backoff,
    /// There was no such device when it was last looked for: its coming back is worth a try at once.
    absent: bool,
    said: bool,
}

impl Reopening {
    pub(super) fn new(spec: PortSpec) -> Reopening {
        Reopening { spec, stable: None, opened: None, retry_at: None, backoff: RETRIES, absent: false, said: false }
    }

    /// The port, if it opens; asked too early, it does not try, unless the device has come back meanwhile.
    pub(super) fn open(&mut self) -> Option<Wire> {
        let path = self
            .stable
            .as_deref()
            .filter(|stable| stable.exists())
            .map_or(self.spec.path.as_str().into(), Path::to_string_lossy)
            .into_owned();
        // Whether somebody is there in the network only a try can tell.
        let there = self.spec.kind != Kind::Serial || Path::new(&path).exists();
        if there && self.absent {
            self.backoff.succeeded();
        } else if self.retry_at.is_some_and(|at| Instant::now() < at) {
            self.absent = !there;
            return None;
        }
        self.absent = !there;
        match Wire::open(&self.spec, &path) {
            Ok(port) => {
                match self.spec.kind {
                    Kind::Serial => log::info!("serial {path}: open at {} baud", self.spec.baud),
                    Kind::Tcp | Kind::Udp => log::info!("{path}: open"),
                }
                if self.stable.is_none() && self.spec.kind == Kind::Serial {
                    self.stable = STABLE_NAMES.iter().find_map(|folder| stable_name(Path::new(folder), Path::new(&path)));
                }
                (self.opened, self.retry_at, self.said) = (Some(Instant::now()), None, false);
                Some(port)
            }
            Err(error) => {
                self.lost(&error.to_string());
                None
            }
        }
    }

    /// The port is gone, for `reason`. Said once per loss.
    pub(super) fn lost(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.said, true) {
            let kind = if self.spec.kind == Kind::Serial { "serial " } else { "" };
            log::warn!("{kind}{}: {reason}; trying again until it is back", self.spec.path);
        }
        if self.opened.take().is_some_and(|opened| opened.elapsed() >= WORKED) {
            self.backoff.succeeded();
        }
        self.retry_at = Some(Instant::now() + self.backoff.failed());
    }

    /// How long until the next try.
    pub(super) fn wait(&self) -> Duration {
        self.retry_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }
}

/// The name in `folder` that leads to the same device as `path`.
fn stable_name(folder: &Path, path: &Path) -> Option<PathBuf> {
    let device = path.canonicalize().ok()?;
    let mut names: Vec<PathBuf> = folder.read_dir().ok()?.flatten().map(|entry| entry.path()).collect();
    names.sort();
    names.into_iter().find(|name| name.canonicalize().is_ok_and(|target| target == device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_people_write_them() {
        let spec = |path: &str, baud, rtscts| Ok(PortSpec { kind: Kind::Serial, path: path.into(), baud, rtscts });
        let network = |kind, path: &str| Ok(PortSpec { kind, path: path.into(), baud: DEFAULT_BAUD, rtscts: false });
        assert_eq!("udp:127.0.0.1:14550".parse(), network(Kind::Udp, "udp:127.0.0.1:14550"));
        assert_eq!("tcp:[::1]:5760".parse(), network(Kind::Tcp, "tcp:[::1]:5760"));
        assert_eq!("/dev/ttyTHS1".parse(), spec("/dev/ttyTHS1", 115_200, false));
        assert_eq!("/dev/ttyUSB0@921600".parse(), spec("/dev/ttyUSB0", 921_600, false));
        assert_eq!("/dev/ttyUSB0@921600,rtscts".parse(), spec("/dev/ttyUSB0", 921_600, true));
        for (given, word) in [
            ("", "port is missing"),
            ("@9600", "port is missing"),
            ("/dev/x@fast", "'fast'"),
            ("/dev/x@0", "'0'"),
            ("/dev/x@9600,xon", "'xon'"),
            ("udp:14550", "HOST:PORT"),
            ("tcp:robot:0", "HOST:PORT"),
            ("tcp::80", "HOST:PORT"),
        ] {
            assert!(given.parse::<PortSpec>().unwrap_err().contains(word), "{given}");
        }
    }

    #[test]
    fn a_device_that_is_back_is_tried_within_two_seconds_however_long_it_was_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ttyUSB0").to_str().unwrap().to_owned();
        let mut reopening = Reopening::new(PortSpec { kind: Kind::Serial, path, baud: DEFAULT_BAUD, rtscts: false });
        assert_eq!(reopening.wait(), Duration::ZERO);
        for _ in 0..10 {
            reopening.retry_at = None;
            assert!(reopening.open().is_none());
            assert!(reopening.wait() <= LAST_RETRY && reopening.backoff.pause() <= LAST_RETRY);
        }
        assert_eq!(reopening.backoff.pause(), LAST_RETRY);
    }

    #[test]
    fn a_device_that_was_away_is_tried_as_soon_as_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ttyUSB0");
        let mut reopening =
            Reopening::new(PortSpec { kind: Kind::Serial, path: path.to_str().unwrap().into(), baud: DEFAULT_BAUD, rtscts: false });
        reopening.backoff.begin_at(LAST_RETRY);
        reopening.said = true;
        assert!(reopening.open().is_none() && reopening.wait() > LAST_RETRY / 2);
        assert!(reopening.open().is_none() && reopening.wait() > LAST_RETRY / 2, "still away: not yet");
        // No terminal, but there: it was tried, and failed.
        std::fs::write(&path, "").unwrap();
        assert!(reopening.open().is_none() && reopening.wait() <= FIRST_RETRY);
        assert!(reopening.open().is_none() && reopening.wait() <= FIRST_RETRY);
    }

    #[test]
    fn a_port_that_fails_as_soon_as_it_is_open_is_not_opened_ten_times_a_second() {
        let mut reopening = Reopening::new(PortSpec { kind: Kind::Serial, path: "/dev/ttyUSB0".into(), baud: DEFAULT_BAUD, rtscts: false });
        let waits = [100, 200, 400, 800, 1600, 2000, 2000].map(Duration::from_millis);
        for wait in waits {
            reopening.opened = Some(Instant::now());
            reopening.lost("no such device");
            assert!(reopening.wait() <= wait && reopening.wait() > wait / 2, "{:?} of {wait:?}", reopening.wait());
        }
        // One that worked for a while is looked for at once.
        reopening.opened = Instant::now().checked_sub(WORKED);
        reopening.lost("no such device");
        assert!(reopening.wait() <= FIRST_RETRY);
    }

    #[test]
    fn a_device_is_found_again_by_the_name_that_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (device, by_id) = (folder.path().join("ttyUSB0"), folder.path().join("by-id"));
        std::fs::write(&device, "").unwrap();
        std::fs::create_dir(&by_id).unwrap();
        assert_eq!(stable_name(&by_id, &device), None);
        std::os::unix::fs::symlink("../ttyUSB0", by_id.join("usb-FTDI_1234-if00-port0")).unwrap();
        std::os::unix::fs::symlink("../ttyUSB7", by_id.join("usb-another")).unwrap();
        assert_eq!(stable_name(&by_id, &device), Some(by_id.join("usb-FTDI_1234-if00-port0")));
    }
}
