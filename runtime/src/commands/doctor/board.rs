//! The board, its L4T, its memory.

use std::fs;
use std::path::Path;

use super::{Area, Finding};

/// Free RAM below which a network and its engine may not fit.
const TIGHT_MIB: u64 = 400;

/// Board and L4T.
pub fn board(root: &Path) -> Vec<Finding> {
    let text = |path: &str| {
        fs::read_to_string(root.join(path)).ok().map(|text| text.trim_end_matches(['\0', '\n']).to_owned()).filter(|text| !text.is_empty())
    };
    let model = text("proc/device-tree/model").or_else(|| text("sys/class/dmi/id/product_name"));
    let cores = text("sys/devices/system/cpu/online").unwrap_or_else(|| "unknown".into());
    let kernel = text("proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let mut findings = vec![Finding::ok(
        Area::Board,
        format!("{}, cores {cores}, Linux {kernel}", model.clone().unwrap_or_else(|| "a machine without a name".into())),
    )];
    let jetson = model.is_some_and(|model| model.contains("Jetson") || model.contains("NVIDIA"));
    match text("etc/nv_tegra_release") {
        Some(release) => findings.push(l4t(&release)),
        None if jetson => findings.push(Finding::problem(
            Area::Board,
            "a Jetson without /etc/nv_tegra_release: L4T's packages are missing",
            "sudo apt install nvidia-l4t-core, or flash the board with JetPack",
        )),
        None => {}
    }
    findings
}

/// `# R35 (release), REVISION: 4.1, ...`
fn l4t(release: &str) -> Finding {
    let after = |mark: &str| {
        release.split(mark).nth(1).map(|rest| rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>())
    };
    let (Some(major), Some(revision)) = (after("# R"), after("REVISION: ")) else {
        return Finding::problem(
            Area::Board,
            format!("/etc/nv_tegra_release cannot be understood: {release}"),
            "reinstall nvidia-l4t-core",
        );
    };
    match major.parse() {
        Ok(0..=34) => {
            Finding::problem(Area::Board, format!("L4T {major}.{revision} has a C library older than 2.31"), "move to JetPack 5 or later")
        }
        Ok(35) => Finding::ok(Area::Board, format!("L4T {major}.{revision} (JetPack 5)")),
        Ok(36..=37) => Finding::ok(Area::Board, format!("L4T {major}.{revision} (JetPack 6)")),
        _ => Finding::ok(Area::Board, format!("L4T {major}.{revision}")),
    }
}

/// RAM.
pub fn memory(root: &Path) -> Vec<Finding> {
    let info = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let mib = |name: &str| -> Option<u64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
    };
    let (Some(total), Some(free)) = (mib("MemTotal:"), mib("MemAvailable:")) else {
        return vec![Finding::problem(Area::Memory, "/proc/meminfo cannot be read", "mount /proc")];
    };
    let found = format!("{free} MiB of {total} MiB available");
    vec![if free < TIGHT_MIB {
        Finding::problem(Area::Memory, found, "stop the desktop (sudo systemctl set-default multi-user.target), or add swap on a fast disk")
    } else {
        Finding::ok(Area::Memory, found)
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::State;

    #[test]
    fn l4t_releases_are_told_apart() {
        let old = l4t("# R32 (release), REVISION: 7.1, GCID: 1, BOARD: t210ref");
        assert!(old.state == State::Problem && old.found.contains("32.7.1"));
        assert!(l4t("# R35 (release), REVISION: 4.1, GCID: 1").found.contains("35.4.1 (JetPack 5)"));
        assert!(l4t("# R36 (release), REVISION: 3.0, GCID: 1").found.contains("JetPack 6"));
        assert_eq!(l4t("nonsense").state, State::Problem);
    }
}
