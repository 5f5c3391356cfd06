use super::*;

const GOOD: &str = r#"
format = 1
name = "tiny"
version = "0.1.0"
licence = "MIT"
origin = "a test"
[input]
width = 16
height = 16
channels = 1
mean = [0.0]
std = [1.0]
[task]
kind = "contour"
classes = ["background", "contour"]
[[state]]
name = "hidden"
shape = [1, 2, 16, 16]
[steps]
min = 1
max = 8
slow = 6
fast = 1
[halting]
rule = "relative-l2"
threshold = 0.02
zero = 0.001
"#;

fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    Manifest::parse(&GOOD.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn states_have_one_to_four_sizes() {
    for shape in ["[32]", "[1, 32]", "[1, 1, 32]", "[2, 1, 32]", "[1, 2, 16, 16]"] {
        let text = GOOD.replace("shape = [1, 2, 16, 16]", &format!("shape = {shape}"));
        assert!(Manifest::parse(&text).is_ok(), "{shape}");
    }
}

#[test]
fn the_calibrated_rule_carries_the_step_range() {
    let rule = Manifest::parse(GOOD).unwrap().rule();
    assert_eq!((rule.min, rule.fast, rule.slow), (1, 8, 8));
    assert_eq!((rule.threshold, rule.zero), (Some(0.02), Some(0.001)));
}

#[test]
fn the_floor_rule_is_read_with_all_its_figures() {
    let text = GOOD.replace("rule = \"relative-l2\"", "rule = \"floor\"\nwake = 0.05\nfloor = 0.01\ncut = 0.8\nsurprise = 0.4");
    let rule = Manifest::parse(&text).unwrap().rule();
    assert_eq!((rule.wake, rule.threshold, rule.floor), (Some(0.05), Some(0.02), 0.01));
    assert_eq!((rule.cut, rule.surprise, rule.zero), (Some(0.8), Some(0.4), Some(0.001)));
    assert_eq!((rule.min, rule.fast, rule.slow), (1, 8, 6));
}

#[test]
fn a_named_rule_takes_what_it_leaves_open_from_the_network() {
    let manifest = Manifest::parse(GOOD).unwrap();
    let named = |text: &str| manifest.rule_named(text.parse().unwrap());
    assert_eq!(named("model"), manifest.rule());
    assert_eq!(named("model,slow=3,cut=0.7"), HaltingRule { slow: 3, cut: Some(0.7), ..manifest.rule() });
    assert_eq!(named("fixed:6"), HaltingRule::fixed(6));
    assert_eq!(named("slow-fast:6,1,surprise=0.3"), HaltingRule { surprise: Some(0.3), ..HaltingRule::slow_fast(6, 1) });
    let floor = named("floor:0.05,0.01,min=2,max=5");
    assert_eq!((floor.floor, floor.zero, floor.min, floor.fast, floor.slow), (0.01, Some(0.001), 2, 5, 6));
    for metric in [Metric::RelativeL1, Metric::Cosine] {
        assert_eq!(named(&format!("{metric}:0.1")).metric, metric);
    }
}

#[test]
fn every_mistake_is_named_where_it_stands() {
    for (from, to, words) in [
        ("format = 1", "format = 3", "formats 1 and 2"),
        ("width = 16", "width = 0", "[input] width"),
        ("channels = 1", "channels = 2", "1 for luma or 3 for RGB"),
        ("mean = [0.0]", "mean = []", "[input] mean"),
        ("std = [1.0]", "std = [0.0]", "divide by zero"),
        ("kind = \"contour\"", "kind = \"poem\"", "poem"),
        ("\"background\", ", "", "[task] classes"),
        ("shape = [1, 2, 16, 16]", "shape = [2, 2, 16, 16]", "hidden"),
        ("shape = [1, 2, 16, 16]", "shape = [1, 1, 2, 16, 16]", "hidden"),
        ("shape = [1, 2, 16, 16]", "shape = []", "hidden"),
        ("shape = [1, 2, 16, 16]", "shape = [1, 0]", "hidden"),
        ("shape = [1, 2, 16, 16]", "shape = [1, 2, 16, 16]\n[[state]]\nname = \"hidden\"\nshape = [1, 2]", "given twice"),
        ("name = \"hidden\"", "name = \"drive\"", "cannot be a state's name"),
        ("slow = 6", "slow = 9", "[steps] slow"),
        ("max = 8", "max = 0", "[steps] max"),
        ("rule = \"relative-l2\"", "rule = \"vibes\"", "vibes"),
        ("threshold = 0.02", "", "relative-l2 needs one"),
        ("zero = 0.001", "zero = nan", "[halting] zero"),
        ("mean = [0.0]", "mean = [127.5]", "write mean = [0.5000]"),
        ("shape = [1, 2, 16, 16]", "shape = [1, 2, 16, 16]\nhalting = false", "no [[state]] counts"),
        ("zero = 0.001", "zero = 0.5\ncut = 0.4", "[halting] cut"),
        ("zero = 0.001", "floor = 0.0", "[halting] floor"),
        ("zero = 0.001", "wake = 0.1", "rule = \"floor\" does"),
        ("rule = \"relative-l2\"", "rule = \"floor\"", "floor needs one"),
        ("origin = \"a test\"", "origin = \"a test\"\ncolour = 3", "line 7"),
    ] {
        let message = refused(from, to);
        assert!(message.contains(words), "{to:?} gave: {message}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let text = GOOD
        .replace("width = 16", "width = \"sixteen\"")
        .replace("std = [1.0]", "std = [0.0]\ncolour = 7")
        .replace("[steps]\nmin = 1", "[[state]]\nname = \"hidden\"\nshape = [1, 0]\n[steps]\nmin = 20")
        .replace("rule = \"relative-l2\"\n", "");
    let told = Manifest::parse(&text).unwrap_err().to_string();
    let lines: Vec<&str> = told.lines().collect();
    let expected = [
        "line 8: ",
        "line 12: [input] std: 0 would",
        "line 13: ",
        "line 21: [state] name: 'hidden'",
        "line 22: [state] shape",
        "[steps] max",
        "rule",
    ];
    assert_eq!(lines.len(), expected.len(), "{told}");
    for (line, words) in lines.iter().zip(expected) {
        assert!(line.contains(words), "'{words}' is not in '{line}' of\n{told}");
    }
}

#[test]
fn what_only_people_read_may_be_left_out() {
    let text = ["version = \"0.1.0\"", "licence = \"MIT\"", "origin = \"a test\"", "name = \"tiny\"", "slow = 6", "fast = 1"];
    let text = text.iter().fold(GOOD.to_owned(), |text, line| text.replace(line, ""));
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!((manifest.version.as_str(), manifest.steps.slow, manifest.steps.fast), ("0", 6, 1));
}

#[test]
fn states_may_move_once_a_frame_or_be_the_last_answer() {
    let text = GOOD.replace("[steps]", "[[state]]\nname = \"before\"\nshape = [1, 1, 16, 16]\nmoves = \"frame\"\n[[state]]\nname = \"mask\"\nshape = [1, 2, 8, 8]\nanswer = \"logits\"\n[steps]");
    let manifest = Manifest::parse(&text).unwrap();
    let counts: Vec<_> = manifest.states.iter().map(|state| (state.counts(), state.is_stepped())).collect();
    assert_eq!(counts, [(true, true), (false, false), (false, false)]);
}
