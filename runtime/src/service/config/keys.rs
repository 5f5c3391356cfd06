//! Which key of the file stands for which flag of `recslowfast run`.

/// One key of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// The table it stands in.
    pub table: &'static str,
    /// Its name there.
    pub key: &'static str,
    /// The long flag of the same meaning.
    pub flag: &'static str,
    /// Whether a new value is applied while running.
    pub live: bool,
}

const fn fixed(table: &'static str, key: &'static str, flag: &'static str) -> Key {
    Key { table, key, flag, live: false }
}

const fn live(table: &'static str, key: &'static str, flag: &'static str) -> Key {
    Key { table, key, flag, live: true }
}

/// Every key there is.
pub const KEYS: &[Key] = &[
    fixed("source", "uri", "source"),
    fixed("source", "fit", "fit"),
    fixed("source", "frames", "frames"),
    fixed("source", "fault", "fault"),
    fixed("model", "name", "model"),
    live("model", "halt", "halt"),
    fixed("engine", "kind", "engine"),
    fixed("engine", "threads", "threads"),
    fixed("engine", "tiles", "tiles"),
    live("budget", "deadline", "deadline"),
    live("budget", "power", "power"),
    live("budget", "temp", "temp"),
    live("budget", "mode", "mode"),
    fixed("budget", "power_rail", "power-rail"),
    fixed("budget", "energy_model", "energy-model"),
    fixed("report", "to", "report"),
    fixed("report", "dump", "dump"),
    fixed("record", "to", "record"),
    fixed("record", "limit", "record-limit"),
    fixed("record", "around", "record-around"),
    fixed("mqtt", "user", "mqtt-user"),
    fixed("mqtt", "password", "mqtt-password"),
    fixed("mqtt", "ca", "mqtt-ca"),
    fixed("mqtt", "cert", "mqtt-cert"),
    fixed("mqtt", "key", "mqtt-key"),
    fixed("mqtt", "discovery", "mqtt-discovery"),
    fixed("mqtt", "interval", "mqtt-interval"),
    fixed("mqtt", "snapshot", "mqtt-snapshot"),
    fixed("page", "listen", "page"),
    fixed("page", "token", "page-token"),
];

/// The key `key` of `table`, if there is one.
pub fn find(table: &str, key: &str) -> Option<&'static Key> {
    KEYS.iter().find(|known| known.table == table && known.key == key)
}

/// What is said of a key that is not known in `table`.
pub fn unknown(table: &str, key: &str) -> String {
    let here = || KEYS.iter().filter(|known| known.table == table);
    if let Some(known) = here().find(|known| key.strip_prefix(known.key).is_some_and(|rest| rest.starts_with('_'))) {
        return format!(
            "there is no key '{key}' in [{table}]: write '{}', with the unit in the value (see `recslowfast run --help`)",
            known.key
        );
    }
    if let Some(elsewhere) = KEYS.iter().find(|known| known.key == key || known.flag == key) {
        return format!("there is no key '{key}' in [{table}]: write '{}' under [{}]", elsewhere.key, elsewhere.table);
    }
    let nearest = here().map(|known| (strsim::damerau_levenshtein(known.key, key), known.key)).min();
    let names = || here().map(|known| known.key).collect::<Vec<_>>().join(", ");
    match nearest {
        Some((distance, near)) if distance <= 2 => format!("there is no key '{key}' in [{table}]: did you mean '{near}'?"),
        _ => format!("there is no key '{key}' in [{table}]; there are: {}", names()),
    }
}

/// What is said of a table that is not known.
pub fn unknown_table(table: &str) -> String {
    let mut tables: Vec<&str> = KEYS.iter().map(|known| known.table).collect();
    tables.dedup();
    if let Some(known) = KEYS.iter().find(|known| known.key == table || known.flag == table) {
        return format!("'{table}' must stand in a table: write '{}' under [{}]", known.key, known.table);
    }
    match tables.iter().map(|known| (strsim::damerau_levenshtein(known, table), *known)).min() {
        Some((distance, near)) if distance <= 2 => format!("there is no table [{table}]: did you mean [{near}]?"),
        _ => format!("there is no table [{table}]; there are: {}", tables.join(", ")),
    }
}
