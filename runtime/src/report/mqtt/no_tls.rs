//! In place of TLS, where this program was built without it.

use std::convert::Infallible;
use std::path::Path;

use rumqttc::MqttOptions;

/// What a TLS client checks and shows: there is none.
#[derive(Clone, Debug)]
pub struct Config(Infallible);

impl Config {
    /// Never called, as there is none.
    pub(super) fn apply(&self, _: &mut MqttOptions) {
        match self.0 {}
    }
}

/// Refuses.
///
/// # Errors
/// Always.
pub fn config(_: Option<&Path>, _: Option<(&Path, &Path)>) -> Result<Config, String> {
    Err("this program was built without TLS for MQTT (cargo feature mqtt-tls); write mqtt:, or install a build that has it".into())
}
