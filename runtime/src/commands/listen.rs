//! Where the page listens, as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// An address, or a name that is looked up when the page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `127.0.0.1:8088`, `[::1]:8088`; `8088`, `:8088` and `localhost:8088` are this machine only.
    Address(SocketAddr),
    /// `camera7.local:8088`
    Name {
        /// Of this machine.
        host: String,
        /// Port.
        port: u16,
    },
}

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        matches!(self, Listen::Address(address) if address.ip().is_loopback())
    }

    /// The address; a name is looked up.
    pub fn address(&self) -> Result<SocketAddr, String> {
        let (host, port) = match self {
            Listen::Address(address) => return Ok(*address),
            Listen::Name { host, port } => (host, *port),
        };
        let cannot =
            |why: String| format!("cannot listen on {self}: {why}; write an address of this machine, for example 127.0.0.1:{port}");
        let mut found = (host.as_str(), port).to_socket_addrs().map_err(|error| cannot(error.to_string()))?;
        found.next().ok_or_else(|| cannot("nobody has that name".into()))
    }

    /// Where another machine finds it, `host` being this one's name.
    pub fn seen_from_outside(&self, host: impl FnOnce() -> String) -> String {
        match self {
            Listen::Address(address) if address.ip().is_unspecified() => format!("{}:{}", host(), address.port()),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Address(address) => address.fmt(f),
            Listen::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(given: &str) -> Result<Listen, String> {
        if let Ok(address) = given.parse() {
            return Ok(Listen::Address(address));
        }
        let fail = || format!("'{given}' is no address to listen on; write 127.0.0.1:8088, localhost:8088, 8088 or NAME:8088");
        let (host, port) = given.rsplit_once(':').unwrap_or(("", given));
        let port = port.parse::<u16>().map_err(|_| fail())?;
        let name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        match host {
            "" => Ok(Listen::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))),
            _ if host.eq_ignore_ascii_case("localhost") => Ok(Listen::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))),
            "*" => Ok(Listen::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))),
            _ if name && host.bytes().any(|byte| byte.is_ascii_alphabetic()) => Ok(Listen::Name { host: host.to_owned(), port }),
            _ => Err(fail()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &str) -> Listen {
        given.parse().unwrap()
    }

    #[test]
    fn this_machine_is_written_in_many_ways() {
        for given in ["127.0.0.1:8088", "localhost:8088", "LOCALHOST:8088", ":8088", "8088"] {
            assert_eq!(read(given), Listen::Address("127.0.0.1:8088".parse().unwrap()), "{given}");
            assert!(read(given).is_loopback());
        }
        assert!(read("[::1]:8088").is_loopback());
    }

    #[test]
    fn what_others_can_reach_is_known_as_such() {
        for given in ["0.0.0.0:8088", "*:8088", "[::]:8088", "192.168.1.7:8088", "camera7.local:8088"] {
            assert!(!read(given).is_loopback(), "{given}");
        }
        assert_eq!(read("*:80").seen_from_outside(|| "board".into()), "board:80");
        assert_eq!(read("camera7:80").seen_from_outside(String::new), "camera7:80");
    }

    #[test]
    fn a_name_is_looked_up_when_it_is_needed() {
        // Only its spelling keeps it from being taken for this machine at once; where nobody resolves it, it is refused as the next one is.
        assert!(read("LOCALHOST.:8088").address().map_or(true, |address| address.ip().is_loopback()));
        let refused = read("no-such-host.invalid:8088").address().unwrap_err();
        assert!(refused.contains("no-such-host.invalid:8088") && refused.contains("127.0.0.1:8088"), "{refused}");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for given in
            ["", "localhost", "127.0.0.1", "127.0.0.1:", "::1:8088", "1.2.3:80", "a b:80", "localhost:65536", "http://localhost:8088"]
        {
            let refused = given.parse::<Listen>().unwrap_err();
            assert!(refused.contains("localhost:8088"), "{given}: {refused}");
        }
    }
}
