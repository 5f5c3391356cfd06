//! The user this process runs as, and what that lets it open. Judged from owners and modes: opening a serial port would reset what hangs on it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// User and groups of this process, with the names the system has for them.
pub struct User {
    uid: u32,
    gids: Vec<u32>,
    /// Name and number of every group there is.
    groups: Vec<(String, u32)>,
}

impl User {
    /// Read from `/proc/self/status` and `/etc/group` under `root`.
    pub fn this_process(root: &Path) -> User {
        let under = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let status = under("proc/self/status");
        let numbers = |name: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
        };
        let group = |line: &str| {
            let mut fields = line.split(':');
            Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
        };
        let mut gids = numbers("Groups:");
        gids.extend(numbers("Gid:").get(1));
        User { uid: numbers("Uid:").get(1).copied().unwrap_or(0), gids, groups: under("etc/group").lines().filter_map(group).collect() }
    }

    /// Root may everything.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Whether there is a group `name`, and whether this process is in it.
    pub fn group(&self, name: &str) -> Option<bool> {
        let (_, gid) = self.groups.iter().find(|(group, _)| group == name)?;
        Some(self.gids.contains(gid))
    }

    /// Why `path` cannot be read and written, and what would help; None when it can.
    pub fn barred(&self, path: &Path) -> Option<(String, String)> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) => return Some((error.to_string(), "plug it in again, and see dmesg".into())),
        };
        let (mode, mine) = (meta.mode(), self.gids.contains(&meta.gid()));
        let shift = if meta.uid() == self.uid { 6 } else { if mine { 3 } else { 0 } };
        if self.is_root() || (mode >> shift) & 0o6 == 0o6 {
            return None;
        }
        let group = self.groups.iter().find(|(_, gid)| *gid == meta.gid()).map_or_else(|| meta.gid().to_string(), |(name, _)| name.clone());
        Some(if mode & 0o060 == 0o060 && group != "root" {
            (format!("only root and group {group} may open it"), format!("sudo usermod -aG {group} $USER, then log in again"))
        } else {
            (
                format!("mode {:o} keeps everybody but its owner out", mode & 0o777),
                "install the package's udev rules, then plug it in again".into(),
            )
        })
    }
}
