//! How brokers are spoken to: the flags and keys of `[mqtt]`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::report::{MqttOptions, MqttSpec, Period, mqtt_tls};

/// Where the password may stand besides the configuration.
pub(super) const PASSWORD: &str = "RECSLOWFAST_MQTT_PASSWORD";
const HEADING: &str = "MQTT";

/// What is said to a broker, and how.
#[derive(ClapArgs, Debug)]
pub struct MqttArgs {
    /// User at the MQTT broker; the password stands in [mqtt] password or in RECSLOWFAST_MQTT_PASSWORD, never here
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    mqtt_user: Option<String>,
    /// Password at the broker
    ///
    /// For a configuration that others cannot read. Refused on a command line, which everybody on the machine can.
    #[arg(long, value_name = "PASSWORD", hide = true, help_heading = HEADING)]
    mqtt_password: Option<String>,
    /// Authorities that may have signed the broker's certificate (PEM) [default: those that the system trusts]
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    mqtt_ca: Option<PathBuf>,
    /// This board's certificate for the broker (PEM)
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    mqtt_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    mqtt_key: Option<PathBuf>,
    /// Topic below which Home Assistant looks for devices, or off
    #[arg(long, default_value = "homeassistant", value_name = "TOPIC", help_heading = HEADING)]
    mqtt_discovery: String,
    /// Time between two states while nothing changes
    #[arg(long, default_value = "10s", value_name = "TIME", help_heading = HEADING)]
    mqtt_interval: Period,
    /// Time between two pictures with their boxes, or off
    #[arg(long, default_value = "10s", value_name = "TIME", help_heading = HEADING)]
    mqtt_snapshot: Period,
}

impl MqttArgs {
    fn password(&self) -> Option<String> {
        std::env::var(PASSWORD).ok().filter(|password| !password.is_empty()).or_else(|| self.mqtt_password.clone())
    }

    fn client(&self) -> Option<(&std::path::Path, &std::path::Path)> {
        self.mqtt_cert.as_deref().zip(self.mqtt_key.as_deref())
    }

    /// How the broker of `spec` is spoken to.
    ///
    /// # Errors
    /// A sentence about a certificate that cannot be used.
    pub(super) fn options(&self, spec: &MqttSpec) -> Result<MqttOptions, String> {
        let tls = spec.tls.then(|| mqtt_tls::config(self.mqtt_ca.as_deref(), self.client())).transpose()?;
        Ok(MqttOptions {
            login: self.mqtt_user.clone().map(|user| (user, self.password().unwrap_or_default())),
            tls,
            discovery: Some(self.mqtt_discovery.clone()).filter(|topic| topic != "off"),
            interval: self.mqtt_interval.0.unwrap_or(std::time::Duration::MAX),
            snapshot: self.mqtt_snapshot.0,
        })
    }

    /// What cannot be had with these `brokers`: the flag to change, and why.
    pub(super) fn contradictions(&self, brokers: &[&MqttSpec], found: &mut Vec<(&'static str, String)>) {
        let files = [("mqtt-ca", &self.mqtt_ca), ("mqtt-cert", &self.mqtt_cert), ("mqtt-key", &self.mqtt_key)];
        let given = files.into_iter().filter(|(_, file)| file.is_some()).map(|(flag, _)| flag);
        if brokers.is_empty() {
            let login = [("mqtt-user", self.mqtt_user.is_some()), ("mqtt-password", self.mqtt_password.is_some())];
            let login = login.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag);
            for flag in login.chain(given) {
                let words =
                    format!("{}: no report goes to a broker; add mqtt:HOST to the reports, or take it away", flag.replace('-', " "));
                found.push((flag, words));
            }
            return;
        }
        if self.mqtt_password.is_some() && self.mqtt_user.is_none() {
            found.push(("mqtt-password", "mqtt password: whose it is, is missing; add the user".into()));
        }
        match (&self.mqtt_cert, &self.mqtt_key) {
            (Some(_), None) => found.push(("mqtt-cert", "mqtt cert: its key is missing; add mqtt key".into())),
            (None, Some(_)) => found.push(("mqtt-key", "mqtt key: its certificate is missing; add mqtt cert".into())),
            _ => {}
        }
        if !brokers.iter().any(|spec| spec.tls) {
            for flag in given {
                found.push((flag, format!("{}: no report speaks TLS; write mqtts:HOST", flag.replace('-', " "))));
            }
        } else if let Err(reason) = mqtt_tls::config(self.mqtt_ca.as_deref(), self.client()) {
            let named = |flag: &&str| {
                files.iter().any(|(name, file)| name == flag && file.as_ref().is_some_and(|file| reason.contains(&*file.to_string_lossy())))
            };
            let flag = ["mqtt-ca", "mqtt-cert", "mqtt-key"].into_iter().find(|flag| named(flag)).unwrap_or("report");
            found.push((flag, format!("mqtt: {reason}")));
        }
        if self.mqtt_discovery.is_empty() || self.mqtt_discovery.contains(['+', '#', '$', '\0', ' ']) {
            found
                .push(("mqtt-discovery", format!("mqtt discovery: '{}' is no topic; homeassistant is the usual one", self.mqtt_discovery)));
        }
        if self.mqtt_interval.0.is_none() {
            found.push(("mqtt-interval", "mqtt interval: a time is wanted, for example 10s".into()));
        }
    }

    /// What is worth a warning: a password that travels in clear text.
    pub(super) fn warning(&self, spec: &MqttSpec) -> Option<String> {
        let bare = !spec.tls && !spec.is_loopback() && self.mqtt_user.is_some();
        bare.then(|| format!("{spec}: the password travels in clear text; write mqtts: where the broker speaks TLS"))
    }
}
