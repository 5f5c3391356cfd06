//! Cameras, serial ports, panels, and the groups that own them.

use std::fs;
use std::path::{Path, PathBuf};

use super::access::User;
use super::{Area, Finding};
use crate::capture;
use crate::capture::doctor::Node;

/// Names in the folder `folder` under `root`, sorted.
fn names(root: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_by_key(|name| (name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(), name.len(), name.clone()));
    names
}

/// Devices in `/dev` whose name is one of `stems` and a number.
fn devices(root: &Path, stems: &[&str]) -> Vec<PathBuf> {
    let numbered = |name: &String| {
        stems.iter().any(|stem| name.strip_prefix(stem).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
    };
    names(root, "dev").into_iter().filter(numbered).map(|name| root.join("dev").join(name)).collect()
}

/// A name that stays when devices are plugged in another order, if udev gave one.
fn stable_name(root: &Path, device: &Path, folders: &[&str]) -> Option<String> {
    let real = fs::canonicalize(device).ok()?;
    for folder in folders {
        for name in names(root, folder) {
            if fs::canonicalize(root.join(folder).join(&name)).is_ok_and(|target| target == real) {
                return Some(format!("/{folder}/{name}"));
            }
        }
    }
    None
}

fn shown(root: &Path, device: &Path) -> String {
    format!("/{}", device.strip_prefix(root).unwrap_or(device).display())
}

/// Groups that own what recslowfast reads.
pub fn groups(root: &Path, who: &User) -> Vec<Finding> {
    if who.is_root() {
        return vec![Finding::ok(Area::Groups, "root, who may open everything")];
    }
    let mut findings = Vec::new();
    let needed = [
        ("video", !devices(root, &["video"]).is_empty()),
        ("render", !names(root, "dev/dri").is_empty()),
        ("dialout", !devices(root, &["ttyUSB", "ttyACM", "ttyTHS"]).is_empty()),
        ("i2c", !devices(root, &["i2c-"]).is_empty()),
    ];
    for (group, there) in needed {
        match who.group(group) {
            Some(true) => findings.push(Finding::ok(Area::Groups, format!("in {group}"))),
            Some(false) if there => findings.push(Finding::problem(
                Area::Groups,
                format!("not in {group}, whose devices are here"),
                format!("sudo usermod -aG {group} $USER, then log in again (the service's own user has it already)"),
            )),
            _ => {}
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(Area::Groups, "no device here asks for one"));
    }
    findings
}

/// Cameras.
pub fn cameras(root: &Path, who: &User) -> Vec<Finding> {
    let found = devices(root, &["video"]);
    if found.is_empty() {
        let fix = "plug one in and see dmesg; a CSI camera needs its overlay (sudo /opt/nvidia/jetson-io/jetson-io.py)";
        return vec![Finding::problem(Area::Camera, "there is no /dev/video*", fix)];
    }
    // Devices of a copied board cannot be asked.
    let asked = if root == Path::new("/") { capture::doctor::cameras() } else { Vec::new() };
    let usable = |node: &Node| node.camera.as_ref().is_ok_and(|camera| camera.formats.iter().any(|offer| offer.usable));
    let one_is = asked.iter().any(usable);
    let look = |device: &PathBuf| {
        let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let card = fs::read_to_string(root.join("sys/class/video4linux").join(&name).join("name")).unwrap_or_default();
        let stable = stable_name(root, device, &["dev/v4l/by-id", "dev/v4l/by-path"]);
        let what =
            format!("{} {}{}", shown(root, device), card.trim(), stable.map_or(String::new(), |name| format!(", best named {name}")));
        if let Some((why, fix)) = who.barred(device) {
            return Finding::problem(Area::Camera, format!("{what}: {why}"), fix);
        }
        let Some(node) = asked.iter().find(|node| node.path == *device) else { return Finding::ok(Area::Camera, what) };
        let finding = match &node.camera {
            Ok(_) if usable(node) => Finding::ok(Area::Camera, what),
            // A webcam has a second node for its metadata.
            _ if one_is => Finding::note(Area::Camera, format!("{what}: no pictures come from here"), "use the other one"),
            Ok(_) => {
                Finding::problem(Area::Camera, format!("{what}: none of its formats is known"), "set another one: v4l2-ctl --list-formats")
            }
            Err(why) => Finding::problem(Area::Camera, format!("{what}: {why}"), "use another one"),
        };
        finding.at_length(&node.to_string())
    };
    found.iter().map(look).collect()
}

/// Serial ports.
pub fn serial(root: &Path, who: &User) -> Vec<Finding> {
    let found = devices(root, &["ttyUSB", "ttyACM", "ttyTHS", "ttyAMA"]);
    if found.is_empty() {
        return vec![Finding::note(Area::Serial, "there is no serial port", "needed only for telemetry to a microcontroller; plug one in")];
    }
    let look = |device: &PathBuf| {
        let stable = stable_name(root, device, &["dev/serial/by-id", "dev/serial/by-path"]);
        let what = format!("{}{}", shown(root, device), stable.map_or(String::new(), |name| format!(", best named {name}")));
        if let Some((why, fix)) = who.barred(device) {
            return Finding::problem(Area::Serial, format!("{what}: {why}"), fix);
        }
        match holder(root, device) {
            Some((pid, name)) if name.starts_with("recslowfast") => {
                Finding::ok(Area::Serial, format!("{what}, in use by recslowfast (process {pid})"))
            }
            Some((pid, name)) => {
                let fix = match name.as_str() {
                    "getty" | "agetty" | "nvgetty.sh" => "sudo systemctl disable --now nvgetty".to_owned(),
                    "ModemManager" => "sudo systemctl disable --now ModemManager".to_owned(),
                    _ => format!("end {name} (process {pid}), or use another port"),
                };
                Finding::problem(Area::Serial, format!("{what}: busy, {name} (process {pid}) has it open"), fix)
            }
            None => Finding::ok(Area::Serial, what),
        }
    };
    found.iter().map(look).collect()
}

/// A process that has `device` open, as far as this user may see.
fn holder(root: &Path, device: &Path) -> Option<(u32, String)> {
    let real = fs::canonicalize(device).ok()?;
    for entry in fs::read_dir(root.join("proc")).ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let open = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
        if open.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == real)) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// Displays.
pub fn panels(root: &Path, who: &User) -> Vec<Finding> {
    let found = devices(root, &["fb", "i2c-", "spidev0.", "spidev1."]);
    if found.is_empty() {
        return vec![Finding::note(
            Area::Panel,
            "there is no framebuffer, I2C or SPI bus",
            "needed only for a small display; enable the bus with jetson-io.py",
        )];
    }
    let barred: Vec<String> = found.iter().filter(|device| who.barred(device).is_some()).map(|device| shown(root, device)).collect();
    let all = found.iter().map(|device| shown(root, device)).collect::<Vec<_>>().join(" ");
    let fix = found.iter().find_map(|device| who.barred(device)).map(|(_, fix)| fix);
    vec![match fix {
        None => Finding::ok(Area::Panel, format!("buses and framebuffers: {all}")),
        Some(fix) => Finding::note(Area::Panel, format!("this user may not open {}", barred.join(" ")), fix),
    }]
}
