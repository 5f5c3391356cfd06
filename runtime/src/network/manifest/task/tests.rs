use super::*;

fn read(text: &str) -> Result<TaskSection, String> {
    let section: TaskSection = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    section.check(&mut found);
    if found.is_empty() { Ok(section) } else { Err(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")) }
}

const BOXES: &str = "kind = \"boxes\"\nclasses = [\"person\", \"car\"]\n[boxes]\nformat = \"ltrb\"\nstrides = [8]\n";

#[test]
fn boxes_are_read_with_their_usual_figures() {
    let section = read(BOXES).unwrap();
    let boxes = section.boxes.as_ref().unwrap();
    assert_eq!((boxes.nms, boxes.threshold, boxes.limit, boxes.peak), (0.6, 0.3, 100, false));
    assert_eq!((boxes.scores, boxes.distance, boxes.unit), (ScoreForm::Logits, Distance::Plain, Unit::Pixels));
    assert_eq!(boxes.outputs(), [("scores".to_owned(), "boxes".to_owned())]);
    assert_eq!((section.nothing(), section.sees().collect::<Vec<_>>()), (None, vec!["person", "car"]));
}

#[test]
fn several_heads_have_numbered_outputs_or_names_of_their_own() {
    let two = BOXES.replace("[8]", "[8, 16]\ndistance = \"dfl:8\"");
    let boxes = read(&two).unwrap().boxes.unwrap();
    assert_eq!(boxes.outputs()[1], ("scores_1".to_owned(), "boxes_1".to_owned()));
    assert_eq!((boxes.distance, boxes.distance.channels()), (Distance::Dfl(8), 8));
    let named = read(&format!("{two}score_outputs = [\"a\", \"b\"]\n")).unwrap().boxes.unwrap();
    assert_eq!(named.outputs()[0], ("a".to_owned(), "boxes_0".to_owned()));
}

#[test]
fn classes_without_a_background_have_none() {
    let plain = read("kind = \"classes\"\nclasses = [\"sky\", \"road\", \"void\"]\nignore = [\"void\"]").unwrap();
    assert_eq!((plain.nothing(), plain.sees().collect::<Vec<_>>()), (None, vec!["sky", "road"]));
    let with = read("kind = \"classes\"\nclasses = [\"sky\", \"road\"]\nbackground = \"road\"\nthreshold = 0.4").unwrap();
    assert_eq!(with.nothing(), Some(1));
    assert_eq!(read("kind = \"contour\"\nclasses = [\"background\", \"contour\"]").unwrap().nothing(), Some(0));
}

#[test]
fn every_mistake_is_named_where_it_stands() {
    let classes = "kind = \"classes\"\nclasses = [\"sky\", \"road\"]\n";
    let refused = |text: &str| read(text).expect_err(text);
    for (text, words) in [
        (format!("{classes}threshold = 0.5"), "name a background"),
        (format!("{classes}background = \"tree\""), "'tree' is none of the classes"),
        (format!("{classes}ignore = [\"tree\"]"), "[task] ignore"),
        (format!("{classes}ignore = [\"sky\", \"road\"]"), "no class is left"),
        (format!("{classes}[boxes]\nformat = \"xyxy\""), "[task] boxes"),
        ("kind = \"classes\"\nclasses = [\"sky\", \"sky\"]".into(), "twice"),
        ("kind = \"boxes\"\nclasses = [\"car\"]".into(), "needs a table [task.boxes]"),
        (BOXES.replace("[boxes]", "threshold = 0.5\n[boxes]"), "stands in [task.boxes]"),
        (BOXES.replace("[boxes]", "[thresholds]\ndog = 0.5\n[boxes]"), "'dog' is none"),
        (BOXES.replace("strides = [8]", ""), "no strides"),
        (BOXES.replace("[8]", "[0]"), "[task.boxes] strides"),
        (BOXES.replace("ltrb", "xyxy\"\ndistance = \"exp"), "exp does not go with format xyxy"),
        (BOXES.replace("ltrb", "cxcywh\"\ndistance = \"dfl:4"), "dfl:4 does not go"),
        (format!("{BOXES}distance = \"cubits\""), "plain, exp or dfl:N"),
        (format!("{BOXES}limit = 1000"), "[task.boxes] limit"),
        ("kind = \"raw\"\nclasses = [\"a\"]".into(), "no meaning"),
        ("kind = \"matte\"\nclasses = [\"a\"]".into(), "two names"),
        (format!("{BOXES}nms = 0.0"), "[task.boxes] nms"),
        (format!("{BOXES}score_outputs = [\"a\", \"b\"]"), "2 names for 1 heads"),
    ] {
        let message = refused(&text);
        assert!(message.contains(words), "{text:?} gave: {message}");
    }
}
