//! What README.md and configs/README.md tell people to type: every command of the program is one that its command line takes, and every other one is run
//! by a script of the gate, or is a person's.

use std::fs;
use std::path::{Path, PathBuf};

const HANDBOOKS: [&str; 2] = ["README.md", "configs/README.md"];

/// Commands of others, by how they begin, and the file that runs the same: its path, and the words there.
const RUN_BY: [(&str, &str, &str); 12] = [
    ("cargo run --release", ".ci/verbs/release", "cargo run --release"),
    ("cargo test", ".ci/verbs/test", "cargo test"),
    ("sudo apt install ./recslowfast_arm64.deb", "tests/board/life.sh", "dpkg -i /io/recslowfast.deb"),
    ("sudoedit /etc/recslowfast/recslowfast.toml", "tests/board/life.sh", "config=/etc/recslowfast/recslowfast.toml"),
    ("sudo systemctl enable --now recslowfast", "tests/board/first-hour.sh", "systemctl enable --now recslowfast"),
    ("systemctl status recslowfast", "tests/board/first-hour.sh", "systemctl status --no-pager recslowfast"),
    ("cross/package arm64 && cross/repository", ".ci/verbs/cross", "cross/package arm64"),
    ("echo 'deb [signed-by=", "tests/board/first-hour.sh", "echo 'deb [signed-by="),
    ("sudo apt update && sudo apt install recslowfast", "tests/board/first-hour.sh", "apt install"),
    ("apt list -a recslowfast", "tests/board/first-hour.sh", "apt-cache madison recslowfast"),
    ("ssh -L", "configs/README.md", "From another machine"),
    ("curl -N http://127.0.0.1:8088/events", "tests/page/feeds.py", "\"/events\""),
];

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of every block of shell, without their comments.
fn blocks(handbook: &str) -> Vec<String> {
    let lines = handbook.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n")).flat_map(str::lines);
    lines.map(|line| line.split(" # ").next().unwrap_or_default().trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// What stands in backquotes in running text.
fn quoted(handbook: &str) -> Vec<String> {
    let prose: String = handbook.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(|words| words.replace('\n', " ")).collect()
}

/// Words as a shell takes them.
fn words(line: &str) -> Vec<String> {
    let (mut found, mut quote) = (vec![String::new()], None);
    for letter in line.chars() {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            (' ', None) => found.push(String::new()),
            _ => found.last_mut().expect("never empty").push(letter),
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

#[test]
fn every_command_of_the_program_is_one_that_it_takes() {
    let mut tried = 0;
    for handbook in HANDBOOKS {
        let text = text(handbook);
        let prose = quoted(&text).into_iter().filter(|words| !words.contains(" ... ") && !words.contains('…'));
        for line in blocks(&text).into_iter().chain(prose) {
            let Some(command) = line.strip_prefix("recslowfast ").filter(|_| !line.contains("Documentation")) else { continue };
            let given = words(command.trim_end_matches(" or …"));
            // Places in capitals are for people to fill in.
            let parsed = recslowfast::commands::command().try_get_matches_from(std::iter::once("recslowfast".to_owned()).chain(given));
            let refused = parsed.err().filter(|error| error.use_stderr());
            assert!(refused.is_none(), "{handbook}: `{line}`: {}", refused.unwrap());
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried} commands were found");
}

#[test]
fn every_example_of_a_help_text_is_one_that_the_command_line_takes() {
    let command = recslowfast::commands::command();
    let mut tried = 0;
    for verb in std::iter::once(&command).chain(command.get_subcommands()) {
        let help = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let examples = help.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| !line.is_empty());
        for example in examples {
            // Behind two spaces stands what it does; a shell's own words are not the program's.
            let line = example.trim().split("  ").next().unwrap_or_default().split(" > ").next().unwrap_or_default();
            let given = words(line).into_iter().skip_while(|word| word != "recslowfast");
            let parsed = recslowfast::commands::command().try_get_matches_from(given);
            let refused = parsed.err().filter(|error| error.use_stderr());
            assert!(refused.is_none(), "{}: `{line}`: {}", verb.get_name(), refused.unwrap());
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried} examples were found");
}

#[test]
fn every_other_command_is_run_by_the_gate_or_is_a_person_s() {
    for handbook in HANDBOOKS {
        for line in blocks(&text(handbook)) {
            if line.starts_with("recslowfast ") {
                continue;
            }
            let (_, file, words) =
                RUN_BY.iter().find(|(begins, ..)| line.starts_with(begins)).unwrap_or_else(|| panic!("{handbook}: nothing runs `{line}`"));
            assert!(text(file).contains(words), "{file} does not run `{words}` any more");
        }
    }
}

#[test]
fn every_script_that_is_named_is_there() {
    let mut named = 0;
    for handbook in HANDBOOKS {
        for words in quoted(&text(handbook)) {
            let mut parts = words.split(' ');
            let place = match (parts.next().unwrap_or_default(), parts.next()) {
                (".ci/run", Some(verb)) => format!(".ci/verbs/{verb}"),
                (".ci/run", None) => ".ci/run".into(),
                (script, _) if ["cross/", "tests/", "runtime/", "models/"].iter().any(|room| script.starts_with(room)) => script.to_owned(),
                _ => continue,
            };
            assert!(at(&place).exists(), "{handbook}: `{words}`: there is no {place}");
            named += 1;
        }
    }
    assert!(named >= 8, "{named} scripts were found");
}
