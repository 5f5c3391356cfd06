//! Which cameras are there, what they offer, and what is wrong with them: the data and the text of `doctor camera`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::v4l2;

/// One device node that Video4Linux made.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The node, `/dev/videoN`.
    pub path: PathBuf,
    /// Names that stay with the device (`/dev/v4l/by-id/...`) or its plug (`by-path`), sorted.
    pub stable: Vec<PathBuf>,
    /// What it is, or why it cannot be used, in one sentence.
    pub camera: Result<Camera, String>,
}

/// What a camera says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// The maker's name for it.
    pub card: String,
    /// The kernel driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
    /// What it offers.
    pub formats: Vec<Offer>,
    /// Controls that bear on speed and steadiness.
    pub controls: Vec<Setting>,
}

/// One pixel format on offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Our name, or the driver's FourCC where we have none.
    pub format: String,
    /// Whether we can read it.
    pub usable: bool,
    /// Sizes in pixels and their rates in frames per second, fastest first.
    pub sizes: Vec<(u32, u32, Vec<f64>)>,
}

/// A control and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name, as `v4l2-ctl` spells it.
    pub name: &'static str,
    /// Its value.
    pub value: i32,
    /// What that means for us, where it means something.
    pub advice: Option<&'static str>,
}

/// Looks at every `/dev/video*`.
pub fn cameras() -> Vec<Node> {
    let mut nodes: Vec<(u32, PathBuf)> = entries(Path::new("/dev"))
        .into_iter()
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()?, path)))
        .collect();
    nodes.sort();
    nodes
        .into_iter()
        .map(|(_, path)| Node { stable: stable_names(&path, Path::new("/dev/v4l")), camera: v4l2::describe(&path), path })
        .collect()
}

/// Links under `folder`'s `by-id` and `by-path` that lead to `node`.
fn stable_names(node: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = ["by-id", "by-path"]
        .iter()
        .flat_map(|kind| entries(&folder.join(kind)))
        .filter(|link| std::fs::canonicalize(link).is_ok_and(|target| target == node))
        .collect();
    names.sort();
    names
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Sizes that are written out; the rest are counted.
const SIZES_SHOWN: usize = 6;

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let camera = match &self.camera {
            Ok(camera) => camera,
            Err(reason) => return writeln!(out, "{}: {reason}", self.path.display()),
        };
        writeln!(out, "{}: {} ({}, {})", self.path.display(), camera.card, camera.driver, camera.bus)?;
        for name in &self.stable {
            writeln!(out, "  stable name  {}", name.display())?;
        }
        for offer in &camera.formats {
            if !offer.usable {
                continue;
            }
            let shown: Vec<String> = offer
                .sizes
                .iter()
                .take(SIZES_SHOWN)
                .map(|(width, height, rates)| match rates.first() {
                    Some(fastest) => format!("{width}x{height} at up to {}/s", (fastest * 100.0).round() / 100.0),
                    None => format!("{width}x{height}"),
                })
                .collect();
            let more = offer.sizes.len().saturating_sub(SIZES_SHOWN);
            let more = if more == 0 { String::new() } else { format!(", and {more} more") };
            writeln!(out, "  {:<12} {}{more}", offer.format, shown.join(", "))?;
        }
        let others: Vec<&str> = camera.formats.iter().filter(|offer| !offer.usable).map(|offer| offer.format.as_str()).collect();
        if !others.is_empty() {
            writeln!(out, "  not read     {}", others.join(", "))?;
        }
        for setting in &camera.controls {
            let advice = setting.advice.map_or(String::new(), |advice| format!("   <- {advice}"));
            writeln!(out, "  {} = {}{advice}", setting.name, setting.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_names_are_the_links_that_lead_to_the_node() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (node, other) = (root.join("video0"), root.join("video1"));
        std::fs::write(&node, "").unwrap();
        std::fs::write(&other, "").unwrap();
        for kind in ["by-id", "by-path"] {
            std::fs::create_dir(root.join(kind)).unwrap();
        }
        std::os::unix::fs::symlink("../video0", root.join("by-id/usb-cam-index0")).unwrap();
        std::os::unix::fs::symlink("../video1", root.join("by-id/usb-cam-index1")).unwrap();
        std::os::unix::fs::symlink("../video0", root.join("by-path/platform-0")).unwrap();
        assert_eq!(stable_names(&node, &root), [root.join("by-id/usb-cam-index0"), root.join("by-path/platform-0")]);
    }

    #[test]
    fn a_camera_is_shown_with_its_names_formats_and_what_to_mind() {
        let node = Node {
            path: "/dev/video0".into(),
            stable: vec!["/dev/v4l/by-id/usb-cam".into()],
            camera: Ok(Camera {
                card: "Cam".into(),
                driver: "uvcvideo".into(),
                bus: "usb-1".into(),
                formats: vec![
                    Offer { format: "yuyv".into(), usable: true, sizes: vec![(640, 480, vec![30.0, 15.0])] },
                    Offer { format: "H264".into(), usable: false, sizes: vec![] },
                ],
                controls: vec![Setting { name: "exposure_dynamic_framerate", value: 1, advice: Some("halves the rate in dim light") }],
            }),
        };
        let expected = "/dev/video0: Cam (uvcvideo, usb-1)\n  stable name  /dev/v4l/by-id/usb-cam\n  yuyv         640x480 at up to 30/s\n  \
                        not read     H264\n  exposure_dynamic_framerate = 1   <- halves the rate in dim light\n";
        assert_eq!(node.to_string(), expected);
        let refused = Node { camera: Err("it is no camera".into()), ..node };
        assert_eq!(refused.to_string(), "/dev/video0: it is no camera\n");
    }
}
