//! A broker as the command line and the configuration name it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::report::filter;

/// `HOST[:PORT][/TOPIC]`, behind `mqtt:` or `mqtts:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttSpec {
    /// Name or address of the broker.
    pub host: String,
    /// Its port: 1883 where none is given, 8883 with TLS.
    pub port: u16,
    /// What all topics of this board begin with; None for `recslowfast/HOSTNAME`.
    pub topic: Option<String>,
    /// Whether TLS is spoken.
    pub tls: bool,
}

impl MqttSpec {
    /// Reads what stands behind `mqtt:`, or behind `mqtts:` where `tls` is set.
    ///
    /// # Errors
    /// A sentence that says which part cannot be.
    pub fn read(given: &str, tls: bool) -> Result<MqttSpec, String> {
        if given.contains('@') {
            return Err("there is no '@' in HOST[:PORT][/TOPIC]: the user and the password stand under [mqtt] of a configuration".into());
        }
        let (place, topic) = given.split_once('/').map_or((given, None), |(place, topic)| (place, Some(topic)));
        let (host, port) = match place.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let bracketed =
            host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|rest| rest.parse::<std::net::Ipv6Addr>().is_ok());
        if host.is_empty() || !(plain || bracketed) {
            return Err(format!("'{place}' is no HOST[:PORT], for example 192.168.1.7:1883"));
        }
        let port = match port.map(str::parse::<u16>) {
            None => {
                if tls {
                    8883
                } else {
                    1883
                }
            }
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return Err(format!("'{place}' has no port of 1 to 65535")),
        };
        if let Some(topic) = topic {
            let empty = topic.split('/').any(str::is_empty);
            if empty || topic.contains(['+', '#', '\0', '$']) || topic.len() > 128 {
                return Err(format!("'{topic}' is no topic: words with '/' between them, without '+', '#' and '$', at most 128 bytes"));
            }
        }
        if tls && bracketed {
            return Err(format!("'{place}': with TLS the broker is named as in its certificate, or by an IPv4 address"));
        }
        Ok(MqttSpec { host: host.into(), port, topic: topic.map(str::to_owned), tls })
    }

    /// Whether only this machine is reached.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for MqttSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "mqtt{}:{}:{}", if self.tls { "s" } else { "" }, self.host, self.port)?;
        self.topic.as_ref().map_or(Ok(()), |topic| write!(out, "/{topic}"))
    }
}

/// A time between two messages, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Option<Duration>);

impl FromStr for Period {
    type Err = String;

    fn from_str(given: &str) -> Result<Period, String> {
        match given {
            "off" => Ok(Period(None)),
            _ => filter::duration(given).map(|every| Period(Some(every))),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => write!(out, "off"),
            Some(every) => write!(out, "{}s", every.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_as_people_write_them() {
        let spec =
            |host: &str, port, topic: Option<&str>, tls| Ok(MqttSpec { host: host.into(), port, topic: topic.map(str::to_owned), tls });
        assert_eq!(MqttSpec::read("broker", false), spec("broker", 1883, None, false));
        assert_eq!(MqttSpec::read("broker", true), spec("broker", 8883, None, true));
        assert_eq!(MqttSpec::read("192.168.1.7:1884/house/door", false), spec("192.168.1.7", 1884, Some("house/door"), false));
        assert_eq!(MqttSpec::read("[::1]:1884", false), spec("[::1]", 1884, None, false));
        assert_eq!(MqttSpec::read("[::1]", false), spec("[::1]", 1883, None, false));
        assert!(MqttSpec::read("localhost", false).unwrap().is_loopback() && !MqttSpec::read("broker", false).unwrap().is_loopback());
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (given, words) in [
            ("", "HOST[:PORT]"),
            (":1883", "HOST[:PORT]"),
            ("user:secret@broker", "HOST[:PORT]"),
            ("broker:0", "port"),
            ("broker:99999", "port"),
            ("broker/a//b", "topic"),
            ("broker/", "topic"),
            ("broker/a/#", "topic"),
            ("broker/+", "topic"),
        ] {
            assert!(MqttSpec::read(given, false).unwrap_err().contains(words), "{given}");
        }
        assert!("soon".parse::<Period>().is_err());
        assert_eq!("off".parse(), Ok(Period(None)));
        assert_eq!("200ms".parse(), Ok(Period(Some(Duration::from_millis(200)))));
    }
}
