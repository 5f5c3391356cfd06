//! A model.toml with another halting rule; comments and everything else stay as they are.

use toml_edit::{DocumentMut, Item, Table, value};

use super::observe::Movements;
use super::search::Found;
use super::tiles::Tried;
use crate::network::halting::Base;
use crate::network::manifest::Manifest;

/// `text` with the rule of `found` in it, and `how` it was found among the measured quality.
pub fn change(text: &str, found: &Found, movements: &Movements, how: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let changes = found.name.changes;
    let (rule, threshold, wake) = match found.name.base {
        Base::SlowFast(..) => ("slow-fast".to_owned(), None, None),
        Base::Halting(metric, threshold) => (metric.to_string(), Some(threshold), None),
        Base::Floor(wake, settle) => ("floor".to_owned(), Some(settle), Some(wake)),
        Base::Model | Base::Fixed(_) => return Err("that rule is none of a network's own".into()),
    };
    let halting = table(&mut document, "halting")?;
    set(halting, "rule", Some(rule.into()));
    let figures = [("threshold", threshold), ("wake", wake), ("floor", changes.floor), ("cut", changes.cut), ("zero", movements.zero)];
    for (key, figure) in figures {
        // A figure that was not found again is kept, but `floor` and the others belong to one rule only.
        if figure.is_some() || !matches!(key, "cut" | "zero") {
            set(halting, key, figure.map(number));
        }
    }
    let slow = match found.name.base {
        Base::SlowFast(slow, fast) => {
            set(table(&mut document, "steps")?, "fast", Some(i64::from(fast).into()));
            Some(slow)
        }
        _ => changes.slow,
    };
    if let Some(slow) = slow {
        set(table(&mut document, "steps")?, "slow", Some(i64::from(slow).into()));
    }
    set(table(&mut document, "quality")?, "calibration", Some(how.into()));
    let text = document.to_string();
    Manifest::parse(&text).map_err(|error| format!("the changed file would be refused: {error}"))?;
    Ok(text)
}

/// `text` with what was `chosen` as its `[tiles]`, and `how` among the measured quality; a `cut` that was not found again is kept.
pub fn change_tiles(text: &str, chosen: &Tried, cut: Option<f32>, how: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let tiles = table(&mut document, "tiles")?;
    for (key, figure) in [("floor", Some(chosen.floor)), ("epsilon", Some(chosen.epsilon)), ("threshold", chosen.threshold)] {
        set(tiles, key, figure.map(number));
    }
    if cut.is_some() {
        set(tiles, "cut", cut.map(number));
    }
    set(table(&mut document, "quality")?, "tiles_calibration", Some(how.into()));
    let text = document.to_string();
    Manifest::parse(&text).map_err(|error| format!("the changed file would be refused: {error}"))?;
    Ok(text)
}

fn table<'a>(document: &'a mut DocumentMut, name: &str) -> Result<&'a mut Table, String> {
    document.entry(name).or_insert(Item::Table(Table::new())).as_table_mut().ok_or_else(|| format!("[{name}] is no table"))
}

/// The shortest decimal that is this number.
fn number(x: f32) -> toml_edit::Value {
    x.to_string().parse::<f64>().expect("a number as Rust writes it").into()
}

/// Sets or removes a key; what stands behind its value stays.
fn set(table: &mut Table, key: &str, new: Option<toml_edit::Value>) {
    match (table.get_mut(key).and_then(Item::as_value_mut), new) {
        (Some(old), Some(mut new)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        (None, Some(new)) => drop(table.insert(key, value(new))),
        (_, None) => drop(table.remove(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = include_str!("../../../../models/zoo/pathfinder-hgru/model.toml");

    fn found(rule: &str) -> Found {
        Found {
            criterion: String::new(),
            rule: rule.into(),
            name: rule.parse().unwrap(),
            mean_steps: 1.0,
            iou: vec![],
            steps: vec![],
            loss: vec![],
            worst_loss: 0.0,
            error: 0.0,
            lost_at_first: 0.0,
            whole: true,
            kept: true,
        }
    }

    #[test]
    fn the_rule_is_changed_and_every_comment_stays() {
        let movements = Movements::unknown();
        let text = change(MODEL, &found("floor:0.05,0.012,cut=0.8,start=0.01,slow=4"), &movements, "a test").unwrap();
        let rule = Manifest::parse(&text).unwrap().rule();
        assert_eq!((rule.wake, rule.threshold, rule.floor, rule.cut, rule.slow), (Some(0.05), Some(0.012), 0.01, Some(0.8), 4));
        let comments =
            |text: &str| text.lines().filter_map(|line| line.split_once('#').map(|(_, comment)| comment.to_owned())).collect::<Vec<_>>();
        assert_eq!(comments(&text), comments(MODEL));
        let back = change(&text, &found("relative-l2:0.02,slow=6"), &movements, "a test").unwrap();
        let rule = Manifest::parse(&back).unwrap().rule();
        assert_eq!((rule.wake, rule.threshold, rule.cut), (None, Some(0.02), Some(0.8)), "what belongs to floor goes, a cut stays a cut");
        assert!(Manifest::parse(&change(MODEL, &found("slow-fast:4,2"), &movements, "a test").unwrap()).unwrap().steps.fast == 2);
    }

    #[test]
    fn tiles_are_changed_and_all_else_stays() {
        let tried = |threshold| Tried {
            floor: 4.0,
            epsilon: 0.1,
            threshold,
            moved: 0.1,
            work_steps: 0.5,
            cost: 0.4,
            loss: 0.2,
            error: 0.1,
            whole: true,
            chosen: true,
        };
        let text = change_tiles(MODEL, &tried(Some(0.05)), Some(0.7), "a test").unwrap();
        let before = Manifest::parse(MODEL).unwrap();
        let section = Manifest::parse(&text).unwrap().tiles;
        assert_eq!((section.floor, section.epsilon, section.threshold, section.cut), (Some(4.0), Some(0.1), Some(0.05), Some(0.7)));
        assert_eq!(Manifest::parse(&text).unwrap().rule(), before.rule());
        assert!(text.contains("tiles_calibration = \"a test\""));
        let again = Manifest::parse(&change_tiles(&text, &tried(None), None, "a test").unwrap()).unwrap().tiles;
        assert_eq!((again.threshold, again.cut), (None, Some(0.7)), "the rule's threshold holds again, and a cut stays a cut");
    }

    #[test]
    fn a_change_that_would_be_refused_is_not_made() {
        let broken = MODEL.replace("max = 8", "max = 3\n").replace("slow = 6 ", "slow = 3 ");
        assert!(change(&broken, &found("slow-fast:6,1"), &Movements::unknown(), "a test").unwrap_err().contains("[steps] slow"));
    }
}
