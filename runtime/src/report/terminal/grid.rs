//! A screen of character cells that is sent to the terminal in one piece.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// A colour: red, green, blue.
pub type Colour = [u8; 3];

/// How many colours the terminal knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 24 bits.
    True,
    /// The 256 of xterm: a cube of 6x6x6 and 24 greys.
    Palette,
}

impl Depth {
    /// What the environment says of the terminal (`COLORTERM`, `TERM`).
    pub fn of_environment() -> Depth {
        let names = |name: &str| std::env::var(name).unwrap_or_default();
        let (colour, term) = (names("COLORTERM"), names("TERM"));
        if matches!(&*colour, "truecolor" | "24bit") || term.ends_with("-direct") { Depth::True } else { Depth::Palette }
    }
}

/// How a text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Of the letters; None for the terminal's own.
    pub ink: Option<Colour>,
    /// Behind the letters; None for the terminal's own.
    pub paper: Option<Colour>,
    pub bold: bool,
    pub dim: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    /// `\0` in the right half of a wide character.
    letter: char,
    style: Style,
}

const EMPTY: Cell = Cell { letter: ' ', style: Style { ink: None, paper: None, bold: false, dim: false } };

/// The cells, row by row.
pub struct Grid {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

impl Grid {
    pub fn new(columns: usize, rows: usize) -> Grid {
        Grid { columns, rows, cells: vec![EMPTY; columns * rows] }
    }

    /// Writes `text` from a cell on, no further than `width` cells; returns how many it took. Control characters are left out.
    pub fn text(&mut self, x: usize, y: usize, width: usize, text: &str, style: Style) -> usize {
        let end = (x + width).min(self.columns);
        let mut at = x;
        if y >= self.rows {
            return 0;
        }
        for letter in text.chars() {
            let Some(wide @ 1..) = letter.width() else { continue };
            if at + wide > end {
                break;
            }
            // On a picture the letters keep what lies behind them, darkened by the caller's style if at all.
            let row = &mut self.cells[y * self.columns..][..self.columns];
            row[at] = Cell { letter, style };
            row[at + 1..at + wide].fill(Cell { letter: '\0', style });
            at += wide;
        }
        at - x
    }

    /// Shows two pixels in one cell, one above the other.
    pub fn pixels(&mut self, x: usize, y: usize, upper: Colour, lower: Colour) {
        if x < self.columns && y < self.rows {
            let style = Style { ink: Some(upper), paper: Some(lower), ..Style::default() };
            self.cells[y * self.columns + x] = Cell { letter: '▀', style };
        }
    }

    /// The bytes that make a terminal show the grid, whatever it shows now; every row is placed by itself, so nothing scrolls or wraps.
    pub fn send(&self, depth: Depth, out: &mut String) {
        // Terminals that know it (mode 2026) show the whole at once; others ignore it.
        out.push_str("\x1b[?2026h");
        for (y, row) in self.cells.chunks_exact(self.columns.max(1)).enumerate() {
            write!(out, "\x1b[{};1H\x1b[0m", y + 1).expect("writing to a string cannot fail");
            let mut now = Style::default();
            // Behind its last letter a row is cleared and not written: fewer bytes, and nothing to copy for whoever selects text.
            let used = row.iter().rposition(|cell| *cell != EMPTY).map_or(0, |at| at + 1);
            for cell in &row[..used] {
                if cell.letter == '\0' {
                    continue;
                }
                if cell.style != now {
                    style(now, cell.style, depth, out);
                    now = cell.style;
                }
                out.push(cell.letter);
            }
            if used < self.columns {
                out.push_str("\x1b[0m\x1b[K");
            }
        }
        out.push_str("\x1b[0m\x1b[?2026l");
    }

    /// The letters of a row, for tests.
    #[cfg(test)]
    pub fn row(&self, y: usize) -> String {
        self.cells[y * self.columns..][..self.columns].iter().map(|cell| cell.letter).filter(|letter| *letter != '\0').collect()
    }
}

fn style(before: Style, after: Style, depth: Depth, out: &mut String) {
    let fresh = before.bold && !after.bold
        || before.dim && !after.dim
        || before.ink.is_some() && after.ink.is_none()
        || before.paper.is_some() && after.paper.is_none();
    let before = if fresh {
        out.push_str("\x1b[0m");
        Style::default()
    } else {
        before
    };
    if after.bold && !before.bold {
        out.push_str("\x1b[1m");
    }
    if after.dim && !before.dim {
        out.push_str("\x1b[2m");
    }
    for (plane, was, is) in [(38, before.ink, after.ink), (48, before.paper, after.paper)] {
        if let Some([r, g, b]) = is
            && was != is
        {
            let written = match depth {
                Depth::True => write!(out, "\x1b[{plane};2;{r};{g};{b}m"),
                Depth::Palette => write!(out, "\x1b[{plane};5;{}m", palette([r, g, b])),
            };
            written.expect("writing to a string cannot fail");
        }
    }
}

/// The nearest of xterm's 256 colours.
fn palette(colour: Colour) -> u8 {
    const LEVELS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let far = |other: [i32; 3]| other.iter().zip(colour).map(|(a, b)| (a - i32::from(b)).pow(2)).sum::<i32>();
    let nearest = |level: u8| (0..6).min_by_key(|&i| (LEVELS[i] - i32::from(level)).abs()).unwrap_or(0);
    let [r, g, b] = colour.map(nearest);
    let mean = colour.iter().map(|&level| i32::from(level)).sum::<i32>() / 3;
    let step = ((mean - 3) / 10).clamp(0, 23);
    let grey = 8 + 10 * step;
    if far([grey; 3]) < far([LEVELS[r], LEVELS[g], LEVELS[b]]) { 232 + step as u8 } else { (16 + 36 * r + 6 * g + b) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_where_its_place_ends() {
        let mut grid = Grid::new(8, 2);
        assert_eq!(grid.text(2, 0, 4, "engine", Style::default()), 4);
        assert_eq!(grid.row(0), "  engi  ");
        assert_eq!(grid.text(6, 1, 40, "engine", Style::default()), 2);
        assert_eq!(grid.row(1), "      en");
        assert_eq!(grid.text(0, 2, 8, "below", Style::default()), 0);
    }

    #[test]
    fn wide_letters_take_two_cells_and_controls_none() {
        let mut grid = Grid::new(6, 1);
        assert_eq!(grid.text(0, 0, 6, "人\x1b\n車a", Style::default()), 5);
        assert_eq!(grid.row(0), "人車a ");
        // Half of a wide letter is not written.
        assert_eq!(grid.text(0, 0, 3, "人車", Style::default()), 2);
    }

    #[test]
    fn every_row_is_placed_and_no_line_ends() {
        let mut grid = Grid::new(3, 2);
        grid.text(0, 0, 3, "abc", Style { bold: true, ..Style::default() });
        grid.pixels(1, 1, [255, 0, 0], [0, 0, 255]);
        let mut sent = String::new();
        grid.send(Depth::True, &mut sent);
        assert_eq!(
            sent,
            "\x1b[?2026h\x1b[1;1H\x1b[0m\x1b[1mabc\x1b[2;1H\x1b[0m \x1b[38;2;255;0;0m\x1b[48;2;0;0;255m▀\x1b[0m\x1b[K\x1b[0m\x1b[?2026l"
        );
    }

    #[test]
    fn the_palette_has_greys_and_colours() {
        assert_eq!([palette([255, 0, 0]), palette([0, 0, 0]), palette([255; 3]), palette([128, 128, 128])], [196, 16, 231, 244]);
    }
}
