//! Choosing a picture format: what was asked, what was got, why.

use super::device::{Device, Setting};
use super::errno::words;
use super::interlace::{self, Rows};
use super::pixel;
use crate::capture::{CaptureError, CaptureRequest};
use crate::frame::PixelFormat;

/// What a device was set to.
pub(super) struct Agreed {
    pub format: PixelFormat,
    pub setting: Setting,
    pub fps: Option<f64>,
    /// What differs from the wish, and why.
    pub notes: Vec<String>,
}

/// Asked for when the user leaves the size open.
const USUAL: (u32, u32) = (640, 480);
/// Frames per second asked for when the user leaves the rate open: drivers keep what the last program set.
const USUAL_FPS: f64 = 30.0;

/// Sets `device` to what comes nearest to `want`.
pub(super) fn negotiate(device: &Device, want: &CaptureRequest) -> Result<Agreed, CaptureError> {
    let path = device.path().display().to_string();
    let fail = |reason: String| CaptureError::Open { path: path.clone(), reason };
    let offered = device.formats();
    let offer = || {
        let list: Vec<_> =
            offered.iter().map(|code| pixel::format(*code).map_or_else(|| pixel::spell(*code), |known| known.to_string())).collect();
        if list.is_empty() { "nothing".into() } else { list.join(", ") }
    };
    let mut candidates: Vec<(u32, PixelFormat)> = offered
        .iter()
        .filter_map(|code| Some((*code, pixel::format(*code)?)))
        .filter(|(_, known)| want.format.is_none_or(|wanted| wanted == *known))
        .collect();
    if candidates.is_empty() {
        return Err(fail(match want.format {
            Some(wanted) => format!("'{}' has no format {wanted}; it offers {}", device.card, offer()),
            None => format!("'{}' offers no format we can read; it offers {}", device.card, offer()),
        }));
    }
    let place = |wanted: PixelFormat| PixelFormat::all().position(|known| known == wanted);
    candidates.sort_by_key(|(_, known)| place(*known));

    let (width, height) = (want.width.unwrap_or(USUAL.0), want.height.unwrap_or(USUAL.1));
    let mut best: Option<(Score, u32, PixelFormat)> = None;
    let mut refusal = None;
    for (rank, (code, known)) in candidates.into_iter().enumerate() {
        let setting = match device.try_setting(code, width, height) {
            Ok(setting) if setting.code == code => setting,
            Ok(_) => continue,
            Err(error) => {
                refusal = Some(error);
                continue;
            }
        };
        let fastest = device.rates(code, setting.width, setting.height).into_iter().fold(0.0, f64::max);
        let score = Score {
            size_error: setting.width.abs_diff(width) + setting.height.abs_diff(height),
            rate_missing: want.fps.map_or(0, |fps| if fastest == 0.0 { 0 } else { (fps - fastest).max(0.0).ceil() as u32 }),
            rank,
        };
        if best.as_ref().is_none_or(|(so_far, _, _)| score < *so_far) {
            best = Some((score, code, known));
        }
    }
    let Some((_, code, format)) = best else {
        let why = refusal.map_or_else(|| "it changes every format it is asked for".into(), |error| words(&error, device.path()));
        return Err(fail(format!("'{}' agrees to none of its own formats at {width}x{height}: {why}", device.card)));
    };
    let setting = device.set(code, width, height, want.stride.unwrap_or(0)).map_err(|error| fail(words(&error, device.path())))?;
    if setting.code != code || setting.width == 0 || setting.height == 0 {
        return Err(fail(format!(
            "'{}' agreed to {format} and then set {} {}x{}",
            device.card,
            pixel::spell(setting.code),
            setting.width,
            setting.height
        )));
    }
    if matches!(setting.rows, Rows::Apart { .. }) && format != PixelFormat::Mjpeg && !interlace::has_plain_rows(format) {
        return Err(fail(format!(
            "'{}' gives the two fields of a {format} picture one behind the other; ask for another format, for example format=yuyv",
            device.card
        )));
    }
    let fps = device.set_rate(want.fps.unwrap_or(USUAL_FPS));

    let mut notes = Vec::new();
    if (want.width, want.height) != (None, None) && (setting.width, setting.height) != (width, height) {
        let sizes = device.sizes(code);
        let list: Vec<_> = sizes.iter().take(12).map(|(w, h)| format!("{w}x{h}")).collect();
        let offer = if list.is_empty() { String::new() } else { format!("; the camera offers {}", list.join(", ")) };
        notes.push(format!(
            "asked for {width}x{height}, got {}x{}: the nearest that {format} comes in{offer}",
            setting.width, setting.height
        ));
    }
    if let (Some(wanted), Some(got)) = (want.fps, fps)
        && (wanted - got).abs() > 0.01 * wanted
    {
        let rates = device.rates(code, setting.width, setting.height);
        let list: Vec<_> = rates.iter().map(|rate| format!("{rate:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()).collect();
        notes.push(format!(
            "asked for {wanted} frames/s, got {got:.2}: {format} at this size comes at {}",
            if list.is_empty() { "no other rate".into() } else { list.join(", ") }
        ));
    }
    if let Some(wanted) = want.stride.filter(|wanted| *wanted != setting.stride) {
        notes.push(format!("asked for rows of {wanted} bytes, got {}: the driver decides", setting.stride));
    }
    if setting.rows == Rows::Half {
        notes.push(format!(
            "the driver gives single fields: each picture of {}x{} has every second row of the scene",
            setting.width, setting.height
        ));
    }
    if matches!(format, PixelFormat::Bayer(..)) {
        notes.push("the sensor sends its raw mosaic and no image signal processor is on this path: colours are uncorrected and exposure is as the driver set it".into());
    }
    Ok(Agreed { format, setting, fps, notes })
}

/// Smaller is better, size before rate before cost of conversion.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    size_error: u32,
    rate_missing: u32,
    rank: usize,
}
