//! Shapes as SVG.

use std::fmt::Write;

use super::{Anchor, HEIGHT, Shape, WIDTH};

pub(super) fn draw(shapes: &[Shape]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"18\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for shape in shapes {
        let line = match shape {
            Shape::Line { from, to, colour, width } => format!(
                "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#{colour:06x}\" stroke-width=\"{width}\"/>",
                from.0, from.1, to.0, to.1
            ),
            Shape::Disc { at, radius, colour } => {
                format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"#{colour:06x}\"/>", at.0, at.1)
            }
            Shape::Text { at, anchor, text, colour } => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                let text = text.replace('&', "&amp;").replace('<', "&lt;");
                format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"#{colour:06x}\">{text}</text>", at.0, at.1)
            }
        };
        writeln!(out, "{line}").expect("writing to a string cannot fail");
    }
    out.push_str("</svg>\n");
    out
}
