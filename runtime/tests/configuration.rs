//! The configuration file: what it takes, and that everything wrong with one is said at once, each where it stands.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CONFIG: i32 = 3;

fn recslowfast(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recslowfast")).args(arguments).env_remove("NOTIFY_SOCKET").output().expect("the binary starts")
}

struct Written(tempfile::TempDir);

impl Written {
    fn new(text: &str) -> Written {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("board.toml"), text).unwrap();
        Written(folder)
    }

    fn path(&self) -> String {
        self.0.path().join("board.toml").to_str().unwrap().to_owned()
    }

    /// What `check` says, line by line, without the folder.
    #[track_caller]
    fn refused(&self) -> Vec<String> {
        let output = recslowfast(&["check", &self.path()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(CONFIG), "{said}");
        let folder = format!("{}/", self.0.path().display());
        said.replace(&folder, "").trim_start_matches("recslowfast: ").lines().map(str::to_owned).collect()
    }
}

/// Every shipped configuration, those of boards and uses too.
fn shipped() -> Vec<PathBuf> {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut files = vec![configs.join("recslowfast.toml")];
    for folder in ["boards", "uses"] {
        files.extend(std::fs::read_dir(configs.join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files
}

#[test]
fn every_shipped_file_is_right() {
    let files = shipped();
    assert!(files.len() >= 8);
    for file in files {
        let output = recslowfast(&["check", file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The comments of recslowfast.toml show every key; taken out of their comments they are right too.
#[test]
fn the_commented_file_shows_every_key() {
    let text = std::fs::read_to_string(&shipped()[0]).unwrap();
    let example =
        |line: &&str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.contains(" = "));
    let shown: String = text.lines().map(|line| if example(&line) { format!("{}\n", &line[1..]) } else { format!("{line}\n") }).collect();
    let output = recslowfast(&["check", &Written::new(&shown).path()]);
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    for key in recslowfast::service::config::KEYS {
        let table: String = shown
            .lines()
            .skip_while(|line| *line != format!("[{}]", key.table))
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .collect::<Vec<_>>()
            .join("\n");
        assert!(table.lines().any(|line| line.starts_with(&format!("{} = ", key.key))), "[{}] {} is not shown", key.table, key.key);
    }
}

/// The flags of `run` and the keys of the file are the same; a new flag needs a row in service/config/keys.rs.
#[test]
fn flags_and_keys_are_the_same() {
    let command = recslowfast::commands::command();
    let run = command.find_subcommand("run").unwrap();
    let mut flags: Vec<&str> =
        run.get_arguments().filter_map(|flag| flag.get_long()).filter(|flag| !["config", "help"].contains(flag)).collect();
    let mut keys: Vec<&str> = recslowfast::service::config::KEYS.iter().map(|key| key.flag).collect();
    flags.sort_unstable();
    keys.sort_unstable();
    assert_eq!(flags, keys);
}

#[test]
fn everything_wrong_is_said_at_once_where_it_stands() {
    let file = Written::new(
        "[source]\nurl = \"/dev/video0\"\nfit = \"round\"\n\n[modell]\nname = \"x\"\n\n[model]\nhalt = \"fixed:many\"\n[engine]\nkind = 7\n[page]\nlisten_port = 8088\n  listen = [\"a\"]\n",
    );
    let said = file.refused();
    let places: Vec<&str> = said.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "board.toml:2:1:",
            "board.toml:3:7:",
            "board.toml:5:2:",
            "board.toml:9:8:",
            "board.toml:11:8:",
            "board.toml:13:1:",
            "board.toml:14:12:"
        ],
        "{said:#?}"
    );
    for (line, words) in said.iter().zip(["did you mean 'uri'", "crop", "[model]", "many", "auto, cuda or cpu", "'listen'", "one value"]) {
        assert!(line.contains(words), "'{words}' is not in: {line}");
    }
}

#[test]
fn broken_text_is_told_by_line_and_column() {
    assert!(Written::new("[source\nuri = 1\n").refused()[0].starts_with("board.toml:1:"));
    assert!(Written::new("[model]\nhalt = \"model\"\nhalt = \"model\"\n").refused()[0].starts_with("board.toml:3:1: "));
    assert!(Written::new("uri = \"/dev/video0\"\n").refused()[0].contains("under [source]"));
    assert!(Written::new("[source]\nuri = \"\"\n").refused()[0].contains("leave the line out"));
}

#[test]
fn what_does_not_go_together_is_told() {
    for (text, place, words) in [
        ("[report]\nto = [\"terminal\", \"json\"]\n", "board.toml:2:1:", "keep one"),
        ("[report]\nto = [\"serial:/dev/ttyS0@9600\", \"serial:/dev/ttyS0\"]\n", "board.toml:2:1:", "given twice"),
        ("[page]\nlisten = \"0.0.0.0:8088\"\n", "board.toml:2:1:", "token"),
        ("[page]\ntoken = \"0123456789abcdef\"\n", "board.toml:2:1:", "no page"),
        ("[page]\nlisten = \"127.0.0.1:1\"\ntoken = \"short\"\n", "board.toml:3:1:", "16"),
        ("[model]\nname = \"/nowhere/at-all\"\n", "board.toml:2:1:", "/nowhere/at-all"),
    ] {
        let said = Written::new(text).refused().join("\n");
        assert!(said.starts_with(place) && said.contains(words), "{text}: {said}");
    }
}

#[test]
fn an_absent_file_is_named() {
    let output = recslowfast(&["run", "--config", "/nowhere/board.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(CONFIG));
    assert!(said.contains("/nowhere/board.toml"), "{said}");
}

#[test]
fn a_flag_wins_over_the_file() {
    let file = Written::new(
        "[source]\nuri = \"pathfinder:easy?seed=7&size=64\"\nframes = 2\n[model]\nhalt = \"fixed:3\"\n[report]\nto = [\"json\"]\n",
    );
    let steps = |arguments: &[&str]| {
        let output = recslowfast(&[&["run", "--config", &file.path()], arguments].concat());
        let lines = String::from_utf8(output.stdout).unwrap();
        let records = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        records.map(|record| record["steps"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(steps(&[]), [3, 3]);
    assert_eq!(steps(&["--halt", "fixed:2", "--frames=3"]), [2, 2, 2]);
}
