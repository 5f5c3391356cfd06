//! What Home Assistant is told to find this board by: one retained message for each entity (MQTT discovery, as its manual describes it).

use serde_json::{Map, Value, json};

use super::MqttSpec;
use crate::report::telegrams::About;

/// States of a camera, as `state` names them.
const CAMERA: [&str; 5] = ["searching", "negotiating", "streaming", "stalled", "lost"];

/// Letters, digits and `_` alone, as Home Assistant wants identifiers.
pub(super) fn identifier(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }).collect()
}

/// This board among the devices.
pub(super) struct Device {
    /// What all topics begin with.
    pub(super) base: String,
    /// The same in every discovery topic and identifier.
    id: String,
    name: String,
    network: String,
    address: String,
    sees: Vec<String>,
}

impl Device {
    pub(super) fn new(spec: &MqttSpec, about: &About, sees: &[String]) -> Device {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("board");
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
        let base = spec.topic.clone().unwrap_or_else(|| format!("recslowfast/{}", host.chars().map(plain).collect::<String>()));
        let id = identifier(&base);
        let name = base.replace('/', " ");
        Device { id, name, base, network: about.network.clone(), address: about.address.clone(), sees: sees.to_vec() }
    }

    /// Topic and payload of every entity, below `prefix`.
    pub(super) fn announcements(&self, prefix: &str, power: bool, temperature: bool, snapshot: bool) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut announce = |component: &str, object: &str, own: Value| {
            let mut entity = self.common(object);
            if let Value::Object(own) = own {
                entity.extend(own);
            }
            found.push((format!("{prefix}/{component}/{}/{object}/config", self.id), Value::Object(entity).to_string()));
        };
        let state = format!("{}/state", self.base);
        let mut objects = Vec::new();
        for (at, class) in self.sees.iter().enumerate() {
            let mut object = format!("class_{}", identifier(class));
            if objects.contains(&object) {
                object = format!("{object}_{at}");
            }
            let quoted = class.replace('\\', "\\\\").replace('\'', "\\'");
            announce(
                "binary_sensor",
                &object,
                json!({
                    "name": class,
                    "device_class": "occupancy",
                    "state_topic": state,
                    // "None" is what Home Assistant takes for unknown.
                    "value_template": format!(
                        "{{{{ 'None' if value_json.occupancy is none else ('ON' if value_json.occupancy['{quoted}'] > 0 else 'OFF') }}}}"
                    ),
                    "payload_on": "ON",
                    "payload_off": "OFF",
                }),
            );
            objects.push(object);
        }
        let sensor = |name: &str, value: &str, unit: &str, class: Option<&str>| {
            let mut own = json!({
                "name": name,
                "state_topic": state,
                "value_template": format!("{{{{ value_json.{value} }}}}"),
                "unit_of_measurement": unit,
                "state_class": "measurement",
            });
            if let Some(class) = class {
                own["device_class"] = class.into();
            }
            own
        };
        announce("sensor", "steps", sensor("Steps per frame", "steps", "steps", None));
        announce("sensor", "age", sensor("Age of results", "age_ms", "ms", Some("duration")));
        announce("sensor", "fps", sensor("Results per second", "fps", "1/s", None));
        if power {
            announce("sensor", "power", sensor("Power", "power_w", "W", Some("power")));
        }
        if temperature {
            announce("sensor", "temperature", sensor("Temperature", "temperature_c", "°C", Some("temperature")));
        }
        announce(
            "sensor",
            "camera",
            json!({
                "name": "Camera",
                "device_class": "enum",
                "options": CAMERA,
                "state_topic": state,
                "value_template": "{{ value_json.camera }}",
                "entity_category": "diagnostic",
            }),
        );
        if snapshot {
            announce("camera", "snapshot", json!({ "name": "Snapshot", "topic": format!("{}/snapshot", self.base), "encoding": "" }));
        }
        found
    }

    /// What every entity says.
    fn common(&self, object: &str) -> Map<String, Value> {
        let version = env!("CARGO_PKG_VERSION");
        let mut device = json!({
            "identifiers": [self.id],
            "name": self.name,
            "manufacturer": "recslowfast",
            "model": self.network,
            "sw_version": version,
        });
        if !self.address.is_empty() {
            device["configuration_url"] = format!("http://{}/", self.address).into();
        }
        let common = json!({
            "unique_id": format!("{}_{object}", self.id),
            "availability_topic": format!("{}/availability", self.base),
            "payload_available": "online",
            "payload_not_available": "offline",
            "device": device,
            "origin": { "name": "recslowfast", "sw_version": version },
        });
        match common {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn device(topic: &str, sees: &[&str]) -> Device {
        let spec = MqttSpec::read(&format!("broker/{topic}"), false).unwrap();
        let about = About { address: "camera7:8088".into(), network: "street 1".into(), ..About::default() };
        Device::new(&spec, &about, &sees.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_entity_has_a_topic_and_an_identifier_of_its_own() {
        let found = device("house/Door-1", &["traffic light", "traffic_light", "it's"]).announcements("homeassistant", true, true, true);
        let topics: HashSet<&String> = found.iter().map(|(topic, _)| topic).collect();
        assert_eq!(topics.len(), found.len());
        let payloads: Vec<Value> = found.iter().map(|(_, payload)| serde_json::from_str(payload).unwrap()).collect();
        let ids: HashSet<&str> = payloads.iter().map(|payload| payload["unique_id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), found.len());
        assert!(topics.contains(&"homeassistant/binary_sensor/house_door_1/class_it_s/config".to_owned()));
        assert!(payloads[2]["value_template"].as_str().unwrap().contains(r"['it\'s']"));
        assert!(payloads.iter().all(|payload| payload["device"]["configuration_url"] == "http://camera7:8088/"));
    }

    #[test]
    fn what_no_sensor_tells_is_not_announced() {
        let found = device("a", &["person"]).announcements("ha", false, false, false);
        assert!(found.iter().all(|(topic, _)| !["power", "temperature", "snapshot"].iter().any(|object| topic.contains(object))));
        assert_eq!(found.len(), 5);
    }
}
