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
    let shown = with_a_broker(&shown);
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

/// The example of a report with a broker beside it, and certificates that are there.
fn with_a_broker(text: &str) -> String {
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/board");
    let text = text.replace("to = [\"link:/dev/ttyTHS1@115200\"]", "to = [\"link:/dev/ttyTHS1@115200\", \"mqtts:broker\"]");
    text.replace("/etc/recslowfast/ca", certificates).replace("/etc/recslowfast/board", certificates)
}

/// The text of recslowfast.toml: its tables with their commented examples, `(table, key, line)`.
fn examples(text: &str) -> Vec<(String, String, String)> {
    let mut table = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name.to_owned();
        }
        if let Some(example) = line.strip_prefix('#')
            && let Some((key, _)) = example.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            found.push((table.clone(), key.to_owned(), example.to_owned()));
        }
    }
    found
}

#[track_caller]
fn accepted(text: &str) {
    let output = recslowfast(&["check", &Written::new(text).path()]);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Whoever takes the comment from one line alone gets what it says.
#[test]
fn every_commented_example_is_right_by_itself() {
    let text = std::fs::read_to_string(&shipped()[0]).unwrap();
    let examples = examples(&text);
    assert_eq!(examples.len(), recslowfast::service::config::KEYS.len());
    for (table, key, line) in &examples {
        // What bounds a recording, or protects a page, means nothing without it.
        let with = match (table.as_str(), key.as_str()) {
            ("record", "limit" | "around") => "to",
            ("page", "token") => "listen",
            ("mqtt", "password") => "user",
            ("mqtt", "cert") => "key",
            ("mqtt", "key") => "cert",
            _ => "",
        };
        let beside = examples.iter().find(|(other, key, _)| other == table && key == with).map_or("", |(_, _, line)| line);
        let broker = if table == "mqtt" { "[report]\nto = [\"mqtts:broker\"]\n" } else { "" };
        let ca = if table == "mqtt" && key != "ca" { "ca = \"/etc/recslowfast/ca.pem\"" } else { "" };
        accepted(&with_a_broker(&format!("{broker}[{table}]\n{ca}\n{beside}\n{line}\n")));
    }
}

/// The words around the examples name values and forms too.
#[test]
fn every_value_that_a_comment_names_is_taken() {
    let text = std::fs::read_to_string(&shipped()[0]).unwrap();
    let comments: String = text.lines().filter_map(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join(" ");
    let mut named: Vec<(&str, String, &str)> = vec![
        ("source", "fit = \"crop\"".into(), "crop"),
        ("source", "fit = \"letterbox\"".into(), "letterbox"),
        ("source", "fit = \"stretch\"".into(), "stretch"),
        ("model", "halt = \"fixed:2\"".into(), "fixed:N"),
        ("model", "halt = \"slow-fast:6,1\"".into(), "slow-fast:S,F"),
        ("model", "halt = \"relative-l2:0.1\"".into(), "relative-l2:EPS"),
        ("model", "halt = \"relative-l1:0.1\"".into(), "relative-l1:EPS"),
        ("model", "halt = \"cosine:0.1\"".into(), "cosine:EPS"),
        ("model", "halt = \"floor:0.1,0.01\"".into(), "floor:WAKE,SETTLE"),
        ("report", "to = [\"snapshot:a.png\"]".into(), "snapshot:FILE.png"),
        ("report", "to = [\"link:/dev/ttyS0@9600,rtscts\"]".into(), "link:PORT[@BAUD[,rtscts]]"),
        (
            "report",
            "to = [\"mavlink:/dev/ttyS0@9600,rtscts,fov=60,object=0.5,system=1\"]".into(),
            "mavlink:PORT[@BAUD[,rtscts]][,fov=DEGREES][,object=METRES][,system=N]",
        ),
        ("report", "to = [\"serial:/dev/ttyS0@9600,rtscts\"]".into(), "serial:PORT[@BAUD[,rtscts]]"),
        ("report", "to = [\"mqtt:broker:1883/house/door\"]".into(), "mqtt:HOST[:PORT][/TOPIC]"),
        ("report", "to = [\"panel:ssd1306:/dev/i2c-1\"]".into(), "ssd1306:/dev/i2c-1"),
        ("report", "to = [\"panel:fb:/dev/fb0\"]".into(), "fb:/dev/fb0"),
        ("report", "to = [\"panel:png:a.png@320x240\"]".into(), "png:FILE@320x240"),
        ("report", "to = [\"panel:st7789:/dev/spidev0.0,dc=gpiochip0:25\"]".into(), "st7789:/dev/spidev0.0,dc=gpiochip0:25"),
        ("report", "to = [\"panel:ili9341:/dev/spidev0.0,dc=gpiochip0:25\"]".into(), "ili9341"),
    ];
    named.extend(["auto", "cuda", "cpu"].map(|kind| ("engine", format!("kind = \"{kind}\""), kind)));
    named.extend(["accuracy", "balanced", "saver"].map(|mode| ("budget", format!("mode = \"{mode}\""), mode)));
    named.extend(["terminal", "json"].map(|to| ("report", format!("to = [\"{to}\"]"), to)));
    // Whatever is said to be an example is one.
    for example in comments.split("for example ").skip(1) {
        let value = example.split([' ', ';']).next().unwrap().trim_end_matches(['.', ',']);
        assert!(value.contains("drop="), "a new kind of example, '{value}': say here which key takes it");
        named.push(("source", format!("fault = \"{value}\""), value));
    }
    for (table, line, words) in named {
        assert!(comments.contains(words), "'{words}' is not named any more");
        accepted(&format!("[{table}]\n{line}\n"));
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
        ("[source]\nuri = \"rstp://camera/1\"\n", "board.toml:2:1:", "'rstp' is no scheme of ours"),
        ("[source]\nuri = \"https:///live\"\n", "board.toml:2:1:", "names no host"),
        ("[source]\nuri = \"rtps:camera/1\"\n", "board.toml:2:1:", "'rtps' is no scheme of ours"),
        ("[source]\nuri = \"csi://\"\n", "board.toml:2:1:", "names no sensor"),
        ("[source]\nuri = \"gst:\"\n", "board.toml:2:1:", "gst"),
        ("[source]\nuri = \"/dev/video0?colour=red\"\n", "board.toml:2:1:", "unknown parameter 'colour'"),
        ("[source]\nuri = \"pathfinder:medium\"\n", "board.toml:2:1:", "pathfinder:easy"),
        ("[record]\nto = \"seen.avi\"\n", "board.toml:2:1:", "must end in .mcap"),
        ("[record]\nto = \"seen\"\n", "board.toml:2:1:", "must end in .mcap"),
        ("[record]\nto = \"seen.mcap\"\naround = 3601\n", "board.toml:3:1:", "3600 are the most"),
        ("[record]\nlimit = 100\n", "board.toml:2:1:", "nothing is recorded"),
        ("[record]\naround = 5\n", "board.toml:2:1:", "nothing is recorded"),
        ("[page]\nlisten = \"[::]:8088\"\n", "board.toml:2:1:", "token"),
    ] {
        let said = Written::new(text).refused().join("\n");
        assert!(said.starts_with(place) && said.contains(words), "{text}: {said}");
    }
}

#[test]
fn a_service_whose_file_is_wrong_stays_down_with_the_code_of_a_wrong_file() {
    for text in ["[source]\nuri = \"rstp://camera/1\"\n", "[record]\nto = \"seen.avi\"\n", "[page]\nlisten = \"0.0.0.0:8088\"\n"] {
        let file = Written::new(text);
        let output = Command::new(env!("CARGO_BIN_EXE_recslowfast"))
            .args(["run", "--config", &file.path()])
            // As a service manager starts it: it would wait for a camera that is not there.
            .env("NOTIFY_SOCKET", "/nowhere")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(CONFIG), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Configurations that no machine could run. What is wrong with a line stands behind it, with a `;` between two mistakes.
const IMPOSSIBLE: [&str; 3] = [
    r#"
[source]
url = "/dev/video0" # did you mean 'uri'
fit = "round" # crop, letterbox and stretch
frames = 0 # whole number from 1 on
fault = "explode=1" # unknown fault 'explode'

[modell] # [model]
name = "street"

[model]
halt = "fixed:0" # 1 to 64

[engine]
kind = "gpu" # auto, cuda or cpu
threads = 0 # 1 to 256
tiles = "floor=-1" # floor

[budget]
deadline = "33" # the unit is missing
power = "0W" # between 1 mW and 10 kW
temp = "1000C" # between 20C and 120C
mode = "fast" # accuracy, balanced or saver
energy_model = "idle=4W" # step is missing

[report]
to = [
    "mavlink:/dev/ttyS0,fov=400", # field of view
    "mavlink:/dev/ttyS0,system=0", # system id
    "panel:png:a.png@0x0", # no size
    "panel:ssd1306:/dev/i2c-1,0x99", # ssd1306
    "json,zone=0:0/1:1/2:2", # enclose
    "json,score=0.5,score=0.6", # given twice
    "serial:", # a port is missing
    "mqtt:broker/+", # no topic
    "smoke:signals", # no report is called
]

[record]
limit = 0 # whole number from 1 on
around = "soon" # no whole number

[page]
listen = "127.0.0.1:99999" # no address to listen on

[mqtt]
interval = "0s" # a time is wanted
"#,
    r#"
[source]
uri = "/nowhere/film.avi" # there is no such file

[model]
name = "street2" # neither a folder nor one of the built-in networks

[report]
to = ["snapshot:/nowhere/a.png", "snapshot:b.bmp", "json", "json", "mqtts:broker"] # no folder /nowhere; PNG is what is written; given twice

[record]
to = "/nowhere/seen.mcap" # there is no folder /nowhere
around = 9999 # 3600

[page]
listen = "0.0.0.0:8088" # can be reached from other machines

[mqtt]
ca = "/nowhere/ca.pem" # /nowhere/ca.pem: No such file
cert = "/nowhere/board.pem" # its key is missing
password = "secret" # whose it is
"#,
    r#"
[source]
uri = "pathfinder:easy?size=1" # 32 to 2048

[report]
to = "json,classes=unicorn" # knows no class 'unicorn'

[record]
limit = 5 # nothing is recorded

[mqtt]
key = "/nowhere/board.key" # no report goes to a broker
"#,
];

#[test]
fn each_of_thirty_impossible_things_is_said_at_once_by_line_and_keeps_a_service_down() {
    let mut planted = 0;
    for text in IMPOSSIBLE {
        let file = Written::new(text);
        let said = file.refused();
        let mut explained = 0;
        for (line, words) in (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, line.split_once(" # ")?.1))) {
            for words in words.split("; ") {
                planted += 1;
                let told = said.iter().any(|told| told.starts_with(&format!("board.toml:{line}:")) && told.contains(words));
                assert!(told, "line {line}: '{words}' is not in:\n{}", said.join("\n"));
                explained += 1;
            }
        }
        assert_eq!(said.len(), explained, "more is said than is wrong:\n{}", said.join("\n"));
        // As a service manager starts it.
        let started = Command::new(env!("CARGO_BIN_EXE_recslowfast"))
            .args(["run", "--config", &file.path()])
            .env("NOTIFY_SOCKET", "/nowhere")
            .output()
            .unwrap();
        assert_eq!(started.status.code(), Some(CONFIG));
    }
    assert!(planted >= 30, "{planted} are planted");
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/system/recslowfast.service")).unwrap();
    let down = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
    assert!(down.split(' ').any(|code| code == CONFIG.to_string()), "code {CONFIG} is started again: {down}");
}

#[test]
fn a_folder_cannot_be_recorded_to() {
    let file = Written::new("");
    let folder = file.0.path().join("folder.mcap");
    std::fs::create_dir(&folder).unwrap();
    let told = Written::new(&format!("[record]\nto = \"{}\"\n", folder.display())).refused().join("\n");
    assert!(told.starts_with("board.toml:2:1:") && told.contains("is a folder"), "{told}");
}

#[test]
fn the_page_listens_where_people_write_it() {
    for listen in ["\"localhost:8088\"", "\":8088\"", "\"8088\"", "8088", "\"127.0.0.1:8088\"", "\"[::1]:8088\""] {
        accepted(&format!("[page]\nlisten = {listen}\n"));
    }
    for open in ["0.0.0.0:8088", "camera7.local:8088"] {
        let told = Written::new(&format!("[page]\nlisten = \"{open}\"\n")).refused();
        assert!(told.iter().any(|line| line.contains("give a page token")), "{told:?}");
    }
    let told = Written::new("[page]\nlisten = \"localhost\"\n").refused();
    assert!(told[0].contains("board.toml:2:") && told[0].contains("localhost:8088"), "{told:?}");
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
