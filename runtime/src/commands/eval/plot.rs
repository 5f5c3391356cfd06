//! The trade-off as a picture: IoU over frames per second, one dot a rule, as SVG.

use std::fmt::Write;

use super::Row;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;

/// One axis: a range of values on a range of the canvas.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Covers `values` with a margin; at least `least` wide, so that noise does not fill the picture.
    fn over(values: impl Iterator<Item = f64> + Clone, least: f64, from: f64, to: f64) -> Axis {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let margin = ((high - low) * 0.1).max((least - (high - low)) / 2.0);
        Axis { low: (low - margin).max(0.0), high: high + margin, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values about a fifth of the range apart.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough).unwrap_or(power);
        let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        (first..=last).map(move |n| n as f64 * step)
    }
}

/// The plot of `rows`, headed by `title`.
pub fn svg(rows: &[Row], title: &str) -> String {
    let speed = Axis::over(rows.iter().map(|row| row.frames_per_s), 1.0, LEFT, WIDTH - RIGHT);
    let iou = Axis::over(rows.iter().map(|row| row.iou), 0.05, HEIGHT - BOTTOM, TOP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{}</text>\n",
        escape(title)
    );
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string cannot fail");
    for tick in speed.ticks() {
        let x = speed.at(tick);
        line(format!("<path d=\"M{x:.1} {TOP}V{:.1}\" stroke=\"#ddd\"/>", HEIGHT - BOTTOM));
        line(format!("<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick:.0}</text>", HEIGHT - BOTTOM + 18.0));
    }
    for tick in iou.ticks() {
        let y = iou.at(tick);
        line(format!("<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/>", WIDTH - RIGHT));
        line(format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.2}</text>", LEFT - 8.0, y + 4.0));
    }
    let (middle, foot) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 16.0);
    line(format!("<text x=\"{middle:.1}\" y=\"{foot:.1}\" text-anchor=\"middle\">frames per second</text>"));
    line(format!("<text x=\"18\" y=\"{:.1}\" transform=\"rotate(-90 18 {0:.1})\" text-anchor=\"middle\">IoU</text>", HEIGHT / 2.0));
    for row in rows {
        let (x, y) = (speed.at(row.frames_per_s), iou.at(row.iou));
        line(format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#1668b0\"/>"));
        line(format!("<text x=\"{:.1}\" y=\"{:.1}\">{} ({:.1} steps)</text>", x + 9.0, y + 4.0, escape(&row.rule), row.mean_steps));
    }
    out.push_str("</svg>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis { low: 0.612, high: 0.731, from: 0.0, to: 1.0 };
        let ticks: Vec<String> = axis.ticks().map(|tick| format!("{tick:.2}")).collect();
        assert_eq!(ticks, ["0.65", "0.70"]);
    }
}
