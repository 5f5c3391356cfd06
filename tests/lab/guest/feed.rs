//! A producer for v4l2loopback: writes pictures in turn, at a rate, until it is killed.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use v4l::video::Output;
use v4l::{Device, Format, FourCC};

/// Writes `files`, one picture each, over and over.
pub fn feed(device: &str, fourcc: &str, width: u32, height: u32, fps: f64, files: &[&str]) -> Result<()> {
    let pictures = files.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    ensure!(!pictures.is_empty(), "nothing to feed");
    let mut code = [b' '; 4];
    code[..fourcc.len()].copy_from_slice(fourcc.as_bytes());
    let mut output = Device::with_path(device).with_context(|| device.to_owned())?;
    let set = Output::set_format(&output, &Format::new(width, height, FourCC::new(&code))).context("setting the output's format")?;
    ensure!((set.width, set.height) == (width, height), "{device} made {}x{} of {width}x{height}", set.width, set.height);
    let start = Instant::now();
    for (number, picture) in pictures.iter().cycle().enumerate() {
        std::thread::sleep((start + Duration::from_secs_f64(number as f64 / fps)).saturating_duration_since(Instant::now()));
        match output.write(picture) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("writing a picture"),
        }
    }
    Ok(())
}
