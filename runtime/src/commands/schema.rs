//! The JSON schema of configuration files, made of the flags that their keys stand for (JSON Schema 2020-12).

use serde_json::{Map, Value, json};

use super::configured;
use crate::service::config::KEYS;

/// Where the schema stands in the repository.
#[cfg(test)]
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/recslowfast.schema.json");

/// The schema, with a line feed behind it.
pub fn json() -> String {
    let flags = configured::flags();
    let mut tables = Map::new();
    for key in KEYS {
        let flag = flags.get_arguments().find(|flag| flag.get_long() == Some(key.flag)).expect("every key stands for a flag");
        let help = flag.get_long_help().or(flag.get_help()).map(ToString::to_string).unwrap_or_default();
        let value = json!({ "type": ["string", "integer", "number"] });
        let mut property = match flag.get_action() {
            clap::ArgAction::Append => json!({ "anyOf": [value, { "type": "array", "items": value }] }),
            _ => value,
        };
        let live = if key.live { " (applied by `systemctl reload`)" } else { "" };
        property["description"] = Value::String(format!("{help}{live}"));
        if let [default] = flag.get_default_values() {
            property["default"] = Value::String(default.to_string_lossy().into_owned());
        }
        let table = tables.entry(key.table).or_insert_with(|| json!({ "type": "object", "additionalProperties": false, "properties": {} }));
        table["properties"][key.key] = property;
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "recslowfast's configuration",
        "description": "The flags of `recslowfast run`, written down. `recslowfast check FILE` says everything that is wrong with a file.",
        "type": "object",
        "additionalProperties": false,
        "properties": tables,
    });
    serde_json::to_string_pretty(&schema).expect("a schema has no failing serializer") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_program_s() {
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(
            committed == json(),
            "configs/recslowfast.schema.json is old: recslowfast check --schema > configs/recslowfast.schema.json"
        );
    }
}
