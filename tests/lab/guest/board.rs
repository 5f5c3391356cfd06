//! The board's own knobs: driver controls, plugging, and what this process takes of memory and descriptors.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The node vivid comes up as.
pub const CAMERA: &str = "/dev/video0";

/// Sets one of vivid's controls, as `v4l2-ctl -c` takes them.
pub fn control(setting: &str) -> Result<()> {
    let status = Command::new("v4l2-ctl").args(["-d", CAMERA, "-c", setting]).status().context("v4l2-ctl")?;
    ensure!(status.success(), "v4l2-ctl -c {setting} failed");
    Ok(())
}

/// Takes the camera away, with whoever has it open.
pub fn unplug() -> Result<()> {
    std::fs::write("/sys/bus/platform/drivers/vivid/unbind", "vivid.0").context("unbinding vivid")
}

/// Brings it back.
pub fn plug() -> Result<()> {
    std::fs::write("/sys/bus/platform/drivers/vivid/bind", "vivid.0").context("binding vivid")
}

/// Resident memory of this process in KiB.
pub fn resident_kib() -> Result<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let resident: u64 = pages.split(' ').nth(1).context("statm")?.parse()?;
    Ok(resident * 4)
}

/// Open descriptors of this process.
pub fn descriptors() -> Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}
