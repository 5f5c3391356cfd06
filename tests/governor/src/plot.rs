//! A picture of a run, as SVG.

use std::fmt::Write;

use recslowfast::pace::LimitReason;

use crate::scenario::Scenario;
use crate::world::World;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 70.0;

struct Panel<'a> {
    title: &'a str,
    top: f64,
    max: f64,
    seconds: f64,
}

impl Panel<'_> {
    fn x(&self, t: f64) -> f64 {
        LEFT + t / self.seconds * (WIDTH - LEFT - 20.0)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + HEIGHT * (1.0 - (value / self.max).clamp(0.0, 1.0))
    }

    fn frame(&self, out: &mut String) {
        let _ = writeln!(
            out,
            r##"<rect x="{LEFT}" y="{}" width="{}" height="{HEIGHT}" fill="#fafafa" stroke="#bbb"/>"##,
            self.top,
            WIDTH - LEFT - 20.0
        );
        let _ = writeln!(out, r#"<text x="{LEFT}" y="{}">{}</text>"#, self.top - 5.0, self.title);
        for part in 0..=2 {
            let value = self.max * f64::from(part) / 2.0;
            let _ = writeln!(out, r#"<text x="{}" y="{}" text-anchor="end">{value:.3}</text>"#, LEFT - 6.0, self.y(value) + 4.0);
        }
    }

    fn level(&self, out: &mut String, value: f64) {
        let y = self.y(value);
        let _ =
            writeln!(out, r##"<line x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}" stroke="#c22" stroke-dasharray="6 3"/>"##, WIDTH - 20.0);
    }

    fn curve(&self, out: &mut String, points: impl Iterator<Item = (f64, f64)>, colour: &str) {
        let _ = write!(out, r#"<polyline fill="none" stroke="{colour}" points=""#);
        for (t, value) in points {
            let _ = write!(out, "{:.1},{:.1} ", self.x(t), self.y(value));
        }
        out.push_str("\"/>\n");
    }
}

/// The colour of a reason.
fn colour(reason: LimitReason) -> &'static str {
    match reason {
        LimitReason::None => "#999",
        LimitReason::Latency => "#26c",
        LimitReason::Power => "#c80",
        LimitReason::Heat => "#c22",
        LimitReason::Camera => "#2a6",
    }
}

/// Age, steps, watts, heat and accuracy over time.
pub fn svg(scenario: &Scenario, world: &World) -> String {
    let panel = |row: usize, title, max| Panel { title, top: 40.0 + row as f64 * (HEIGHT + 35.0), max, seconds: scenario.seconds };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"15\">{}: {}, {}</text>\n",
        40.0 + 5.0 * (HEIGHT + 35.0),
        scenario.name,
        scenario.about,
        scenario.board.name
    );
    let answered = || world.fates.iter().filter(|fate| fate.answered);
    let slowest = answered().map(|fate| 1e3 * fate.age).fold(1.0, f64::max);

    let age = panel(0, "age of the answer (ms), deadline", slowest.max(1.2e3 * scenario.deadline_s().unwrap_or(0.0)));
    age.frame(&mut out);
    age.curve(&mut out, answered().map(|fate| (fate.captured, 1e3 * fate.age)), "#26c");
    if let Some(deadline) = scenario.deadline_s() {
        age.level(&mut out, 1e3 * deadline);
    }

    let steps = panel(1, "steps taken (dots), limit by what bound it: grey none, blue latency, amber power, red heat, green camera", 13.0);
    steps.frame(&mut out);
    for fate in &world.fates {
        let (x, limit) = (steps.x(fate.captured), if fate.answered { f64::from(fate.limit) } else { 0.0 });
        let _ = writeln!(out, r#"<rect x="{x:.1}" y="{:.1}" width="1.5" height="2.5" fill="{}"/>"#, steps.y(limit), colour(fate.reason));
        if fate.answered {
            let _ = writeln!(out, r##"<circle cx="{x:.1}" cy="{:.1}" r="0.8" fill="#000"/>"##, steps.y(f64::from(fate.steps)));
        }
    }

    let tenths = |values: &[f64]| values.iter().enumerate().map(|(i, value)| (i as f64 * 0.1, *value)).collect::<Vec<_>>();
    let most = world.plant.watts.iter().copied().fold(1.0, f64::max);
    let watts = panel(2, "watts (0.1 s; dark: 1 s), budget", 1.1 * most.max(scenario.watts().unwrap_or(0.0)));
    watts.frame(&mut out);
    watts.curve(&mut out, tenths(&world.plant.watts).into_iter(), "#fb6");
    watts.curve(
        &mut out,
        world.plant.watts.windows(10).enumerate().map(|(i, w)| ((i + 5) as f64 * 0.1, w.iter().sum::<f64>() / 10.0)),
        "#840",
    );
    if let Some(budget) = scenario.watts() {
        watts.level(&mut out, budget);
    }

    let heat = panel(3, "die temperature (C), limit", 110.0);
    heat.frame(&mut out);
    heat.curve(&mut out, tenths(&world.plant.degrees).into_iter(), "#c22");
    if let Some(limit) = scenario.degrees() {
        heat.level(&mut out, limit);
    }

    let accuracy = panel(4, "accuracy", 1.0);
    accuracy.frame(&mut out);
    accuracy.curve(&mut out, world.fates.iter().map(|fate| (fate.captured, fate.accuracy)), "#2a6");
    out.push_str("</svg>\n");
    out
}
