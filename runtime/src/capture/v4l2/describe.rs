//! What a device node offers, without streaming from it.

use std::path::Path;

use v4l::v4l_sys::v4l2_control;
use v4l::v4l2::vidioc;

use super::device::Device;
use super::pixel;
use crate::capture::doctor::{Camera, Offer, Setting};

/// Identifier, name, the value that calls for advice, the advice.
const CONTROLS: [(u32, &str, i32, &str); 6] = [
    (0x009a_0901, "auto_exposure", i32::MIN, ""),
    (0x009a_0902, "exposure_time_absolute", i32::MIN, ""),
    (
        0x009a_0903,
        "exposure_dynamic_framerate",
        1,
        "the camera may halve its rate in dim light; v4l2-ctl -c exposure_dynamic_framerate=0 holds it",
    ),
    (0x0098_0918, "power_line_frequency", 0, "lamps may flicker in the picture; 1 is 50 Hz, 2 is 60 Hz"),
    (0x009a_090c, "focus_automatic_continuous", 1, "the picture breathes when the focus hunts; 0 fixes it"),
    (0x0098_091c, "backlight_compensation", i32::MIN, ""),
];

/// Describes `path`, or says why it is no camera.
pub fn describe(path: &Path) -> Result<Camera, String> {
    let device = Device::open(path).map_err(|error| match error {
        crate::capture::CaptureError::Open { reason, .. } => reason,
        other => other.to_string(),
    })?;
    let formats = device.formats().into_iter().map(|code| offer(&device, code)).collect();
    let controls = CONTROLS.iter().filter_map(|(id, name, notable, advice)| {
        let mut control = v4l2_control { id: *id, value: 0 };
        device.ioctl(vidioc::VIDIOC_G_CTRL, &mut control).ok()?;
        Some(Setting { name, value: control.value, advice: (control.value == *notable).then_some(*advice) })
    });
    Ok(Camera { controls: controls.collect(), card: device.card.clone(), driver: device.driver.clone(), bus: device.bus.clone(), formats })
}

fn offer(device: &Device, code: u32) -> Offer {
    let known = pixel::format(code);
    let mut sizes = Vec::new();
    if known.is_some() {
        for (width, height) in device.sizes(code) {
            let mut rates = device.rates(code, width, height);
            rates.sort_by(|a, b| b.total_cmp(a));
            sizes.push((width, height, rates));
        }
        sizes.sort_by_key(|(width, height, _)| u64::from(*width) * u64::from(*height));
    }
    Offer { format: known.map_or_else(|| pixel::spell(code), |known| known.to_string()), usable: known.is_some(), sizes }
}
