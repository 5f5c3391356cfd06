//! What the kernel's error numbers mean at a camera.

use std::io;
use std::path::Path;

/// The error in words a user can act on.
pub(super) fn words(error: &io::Error, path: &Path) -> String {
    let path = path.display();
    match error.raw_os_error() {
        Some(libc::ENOENT) => format!("there is no such device{}", others()),
        Some(libc::ENODEV | libc::ENXIO) => "the device is gone (unplugged, or its driver was unloaded)".into(),
        Some(libc::EBUSY) => format!("another program is using the camera (`fuser {path}` names it)"),
        Some(libc::EACCES | libc::EPERM) => "permission denied: add the user to group video (`sudo usermod -aG video $USER`) and log in again".into(),
        Some(libc::ENOSPC) => {
            "the USB bus has no bandwidth left for this size and rate (nothing to do with the disk): ask for a smaller picture, fewer frames per \
             second or format=mjpeg, or move the camera to another USB controller"
                .into()
        }
        Some(libc::ENOTTY | libc::ENOTSUP) => "it is no camera: it knows nothing of Video4Linux".into(),
        Some(libc::EINVAL) => "the driver refuses these settings (EINVAL)".into(),
        Some(libc::EIO) => "the driver reports a broken transfer or a lost signal (EIO): check the cable".into(),
        Some(libc::EPIPE) => "the transfer broke (EPIPE): check the cable and the power of the USB port".into(),
        Some(libc::ENOMEM) => "the kernel has no memory for the capture buffers".into(),
        Some(libc::EISDIR) => "it is a folder, not a device".into(),
        _ => error.to_string(),
    }
}

/// The video devices that are there, for someone who named one that is not.
fn others() -> String {
    let mut nodes: Vec<_> = std::fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.strip_prefix("video").is_some_and(|number| number.parse::<u32>().is_ok()))
        .map(|name| format!("/dev/{name}"))
        .collect();
    nodes.sort();
    if nodes.is_empty() { "; no /dev/video* exists: is the camera plugged in?".into() } else { format!("; there is {}", nodes.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(number: i32) -> String {
        words(&io::Error::from_raw_os_error(number), Path::new("/dev/video0"))
    }

    #[test]
    fn each_common_failure_says_what_to_do() {
        assert!(say(libc::EBUSY).starts_with("another program is using the camera") && say(libc::EBUSY).contains("fuser /dev/video0"));
        assert!(say(libc::EACCES).contains("group video"));
        assert!(say(libc::ENOSPC).starts_with("the USB bus has no bandwidth left"));
        assert!(say(libc::ENOSPC).contains("nothing to do with the disk"));
        assert!(say(libc::ENODEV).contains("unplugged"));
        assert!(say(libc::ENOTTY).contains("no camera"));
    }
}
