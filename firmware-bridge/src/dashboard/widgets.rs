//! The things on the dashboard, each drawn into the box its layout gave it.

use super::ink::Ink;
use super::layout::Line;
use super::reading::Reading;
use crate::sets::{CameraState, LimitReason};
use crate::telemetry::Status;
use core::fmt::{Arguments, write};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};

pub(super) struct Canvas<'a, D> {
    pub target: &'a mut D,
    pub reading: &'a Reading,
}

impl<D> Canvas<'_, D>
where
    D: DrawTarget,
    D::Color: Ink,
{
    /// The camera's state on a band of its colour.
    pub fn header(&mut self, line: &Line) -> Result<(), D::Error> {
        let (word, colour) = self.state();
        self.fill(line.area, colour)?;
        self.text(line, D::Color::PAPER, format_args!(" {word}"))
    }

    /// How old the picture was when its result came, on the same band; marked when the deadline was missed.
    pub fn age(&mut self, line: &Line) -> Result<(), D::Error> {
        let (_, colour) = self.state();
        let Some(status) = self.live() else { return self.fill(line.area, colour) };
        let (late, colour) =
            if status.deadline_us != 0 && status.age_us > status.deadline_us { ("!", D::Color::BAD) } else { ("", colour) };
        let (age_us, ink) = (status.age_us, D::Color::PAPER);
        self.fill(line.area, colour)?;
        // Where the mark takes the room of the tenths, they go.
        let tenths = line.area.size.width / line.font.character_size.width > 8 || late.is_empty();
        match age_us {
            0..100_000 if tenths => self.text(line, ink, format_args!("{late}{}.{} ms ", age_us / 1000, age_us / 100 % 10)),
            0..10_000_000 => self.text(line, ink, format_args!("{late}{} ms ", age_us / 1000)),
            _ => self.text(line, ink, format_args!("{late}{} s ", age_us / 1_000_000)),
        }
    }

    /// Steps of the last frames, newest at the right, and the limit as a broken line.
    pub fn bars(&mut self, area: Rectangle) -> Result<(), D::Error> {
        let Some(status) = &self.reading.status else { return Ok(()) };
        let slots = status.recent.capacity() as u32;
        let pitch = (area.size.width / slots).max(1);
        let thick = if pitch > 2 { pitch - 1 } else { pitch };
        let full = status.recent.iter().copied().fold(status.limit, u8::max).max(1);
        // One pixel above the tallest bar stays free for the limit line.
        let room = area.size.height.saturating_sub(1);
        let height = |steps: u8| (u32::from(steps) * room).div_ceil(u32::from(full));
        let floor = area.top_left.y + area.size.height as i32;
        for (age, &steps) in status.recent.iter().rev().enumerate() {
            let x = area.top_left.x + (area.size.width as i32) - (pitch as i32) * (age as i32 + 1);
            if x < area.top_left.x {
                break;
            }
            let tall = height(steps).max(1);
            let colour = self.lit(if steps > status.limit { D::Color::BAD } else { D::Color::BAR });
            self.fill(Rectangle::new(Point::new(x, floor - tall as i32), Size::new(thick, tall)), colour)?;
        }
        let y = floor - height(status.limit) as i32 - 1;
        let dash = pitch.max(2);
        for start in (0..area.size.width).step_by(2 * dash as usize) {
            let wide = dash.min(area.size.width - start);
            self.fill(Rectangle::new(area.top_left + Point::new(start as i32, y - area.top_left.y), Size::new(wide, 1)), D::Color::RULE)?;
        }
        Ok(())
    }

    /// Steps against the limit, and what set it.
    pub fn steps(&mut self, line: &Line) -> Result<(), D::Error> {
        let Some(status) = &self.reading.status else { return Ok(()) };
        let (steps, limit) = (status.steps, status.limit);
        let chars = line.area.size.width / line.font.character_size.width;
        let (by, why) = match status.limited_by {
            LimitReason::None => ("", ""),
            reason => (", limited by ", reason.word()),
        };
        let colour = self.lit(D::Color::TEXT);
        if chars >= 30 {
            self.text(line, colour, format_args!("{steps} of {limit} steps{by}{why}"))
        } else if chars >= 16 {
            self.text(line, colour, format_args!("{steps}/{limit} steps {why}"))
        } else {
            self.text(line, colour, format_args!("{steps}/{limit} {why}"))
        }
    }

    /// Power against its budget, watts.
    pub fn watts(&mut self, line: &Line) -> Result<(), D::Error> {
        let Some(status) = &self.reading.status else { return Ok(()) };
        let colour = self.lit(if over_budget(status) { D::Color::BAD } else { D::Color::TEXT });
        match (status.power_mw, status.power_budget_mw) {
            (None, _) => self.text(line, D::Color::FAINT, format_args!("no sensor")),
            (Some(power), None) => self.text(line, colour, format_args!("{}.{} W", power / 1000, power / 100 % 10)),
            (Some(power), Some(budget)) => {
                let over = if over_budget(status) { "!" } else { "" };
                self.text(line, colour, format_args!("{over}{}.{}/{} W", power / 1000, power / 100 % 10, budget.div_ceil(1000)))
            }
        }
    }

    /// The same as a gauge; empty without a sensor or a budget.
    pub fn gauge(&mut self, area: Rectangle) -> Result<(), D::Error> {
        let Some(status) = &self.reading.status else { return Ok(()) };
        let (Some(power), Some(budget)) = (status.power_mw, status.power_budget_mw) else { return Ok(()) };
        area.into_styled(PrimitiveStyle::with_stroke(D::Color::FAINT, 1)).draw(self.target)?;
        let room = area.size.width.saturating_sub(2);
        // Power and budget are at most a million by the wire page, but a host may fill the record itself: no overflow either way.
        let part = (u64::from(power.min(budget)) * u64::from(room) / u64::from(budget.max(1))) as u32;
        let colour = self.lit(if over_budget(status) { D::Color::BAD } else { D::Color::GOOD });
        self.fill(Rectangle::new(area.top_left + Point::new(1, 1), Size::new(part, area.size.height.saturating_sub(2))), colour)
    }

    /// The best detection.
    pub fn top(&mut self, line: &Line) -> Result<(), D::Error> {
        let reading = self.reading;
        match &reading.top {
            Some(top) => {
                // The name gives way, never the figure.
                let chars = (line.area.size.width / line.font.character_size.width) as usize;
                let percent = top.score.saturating_add(5) / 10;
                // A track's number is shown where the whole name has room beside it.
                let digits = top.track.checked_ilog10().map_or(0, |tens| tens as usize + 1);
                if digits > 0 && top.name.chars().count() + digits + 7 <= chars {
                    return self.text(line, D::Color::TEXT, format_args!("{} #{} {percent}%", top.name, top.track));
                }
                let name = fitting(&top.name, chars.saturating_sub(5));
                self.text(line, D::Color::TEXT, format_args!("{name} {percent}%"))
            }
            None if self.live().is_some() => self.text(line, D::Color::FAINT, format_args!("nothing seen")),
            None => Ok(()),
        }
    }

    /// What the network runs on, and the hottest zone.
    pub fn heat(&mut self, line: &Line) -> Result<(), D::Error> {
        let Some(status) = &self.reading.status else { return Ok(()) };
        let (engine, colour) = (status.engine.word(), self.lit(D::Color::TEXT));
        match status.temperature_cc {
            Some(celsius) => self.text(line, colour, format_args!("{engine} {} C", celsius / 100)),
            None => self.text(line, colour, format_args!("{engine}")),
        }
    }

    /// Camera rate and result rate, frames that were lost.
    pub fn rates(&mut self, line: &Line) -> Result<(), D::Error> {
        let Some(status) = &self.reading.status else { return Ok(()) };
        let (seen, done, dropped) = (status.capture_cfps, status.inference_cfps, status.dropped);
        self.text(
            line,
            D::Color::FAINT,
            format_args!("{}.{}/{}.{} fps, {dropped} lost", seen / 100, seen / 10 % 10, done / 100, done / 10 % 10),
        )
    }

    /// Where the page is.
    pub fn address(&mut self, line: &Line) -> Result<(), D::Error> {
        let reading = self.reading;
        self.text(line, D::Color::FAINT, format_args!("{}", reading.address))
    }

    /// `colour`, or a dim one where what is shown is old.
    fn lit(&self, colour: D::Color) -> D::Color {
        if self.live().is_some() { colour } else { D::Color::FAINT }
    }

    fn live(&self) -> Option<&Status> {
        self.reading.status.as_ref().filter(|status| !self.reading.silent && !status.paused && status.camera == CameraState::Streaming)
    }

    fn state(&self) -> (&'static str, D::Color) {
        if self.reading.silent {
            return ("NO LINK", D::Color::BAD);
        }
        let Some(status) = &self.reading.status else { return ("WAITING", D::Color::WAIT) };
        match status.camera {
            CameraState::Streaming if status.paused => ("PAUSED", D::Color::WAIT),
            CameraState::Streaming => ("STREAMING", D::Color::GOOD),
            CameraState::Searching => ("SEARCHING", D::Color::WAIT),
            CameraState::Negotiating => ("NEGOTIATING", D::Color::WAIT),
            CameraState::Stalled => ("STALLED", D::Color::BAD),
            CameraState::Lost => ("CAMERA LOST", D::Color::BAD),
            CameraState::Unknown(_) => ("CAMERA ?", D::Color::WAIT),
        }
    }

    fn fill(&mut self, area: Rectangle, colour: D::Color) -> Result<(), D::Error> {
        self.target.fill_solid(&area, colour)
    }

    /// One line, centred in its box's height; what does not fit ends in a tilde.
    fn text(&mut self, line: &Line, colour: D::Color, words: Arguments<'_>) -> Result<(), D::Error> {
        let mut full = heapless::String::<64>::new();
        // Longer than any panel is wide: cut without a word.
        let _ = write(&mut full, words);
        let glyph = line.font.character_size;
        let shown = fitting(&full, (line.area.size.width / glyph.width) as usize);
        let used = glyph.width * shown.chars().count() as u32;
        let x = if line.to_right { line.area.size.width.saturating_sub(used) } else { 0 };
        let y = line.area.size.height.saturating_sub(glyph.height) / 2;
        let at = line.area.top_left + Point::new(x as i32, y as i32);
        Text::with_baseline(&shown, at, MonoTextStyle::new(line.font, colour), Baseline::Top).draw(self.target)?;
        Ok(())
    }
}

/// `text` in at most `room` characters; a tilde says that there was more.
fn fitting(text: &str, room: usize) -> heapless::String<64> {
    let mut shown = heapless::String::new();
    let cut = text.chars().count() > room;
    for character in text.chars().take(if cut { room.saturating_sub(1) } else { room }) {
        let _ = shown.push(character);
    }
    if cut && room > 0 {
        let _ = shown.push('~');
    }
    shown
}

fn over_budget(status: &Status) -> bool {
    matches!((status.power_mw, status.power_budget_mw), (Some(power), Some(budget)) if power > budget)
}
