//! Which board this is, what runs on it, and in which power mode.

use std::path::Path;

use serde::Serialize;

use super::file::text;

/// A board by its names; what is unknown is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Board {
    /// The device tree's model.
    pub model: Option<String>,
    /// Version of Jetson Linux, for example `36.4.0`.
    pub l4t: Option<String>,
    /// The JetPack generation it belongs to.
    pub jetpack: Option<u32>,
    /// Name of the nvpmodel power mode, or its number where the name is not known.
    pub power_mode: Option<String>,
}

impl Board {
    /// Reads the names under `root`.
    pub fn find(root: &Path) -> Board {
        let l4t = text(&root.join("etc/nv_tegra_release")).and_then(|text| l4t_version(&text));
        let major = l4t.as_deref().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        Board {
            model: text(&root.join("proc/device-tree/model")),
            jetpack: major.and_then(|major| match major {
                32 => Some(4),
                34 | 35 => Some(5),
                36 => Some(6),
                38.. => Some(7),
                _ => None,
            }),
            l4t,
            power_mode: power_mode(root),
        }
    }
}

/// `# R36 (release), REVISION: 4.0, GCID: ...` is 36.4.0.
fn l4t_version(text: &str) -> Option<String> {
    let line = text.lines().next()?;
    let major = line.split_whitespace().find_map(|word| word.strip_prefix('R')?.parse::<u32>().ok())?;
    let revision = line.split("REVISION:").nth(1)?.split(',').next()?.trim();
    Some(format!("{major}.{revision}"))
}

/// nvpmodel keeps `pmode:0002` in its status and `< POWER_MODEL ID=2 NAME=MODE_15W >` in its configuration.
fn power_mode(root: &Path) -> Option<String> {
    let status = text(&root.join("var/lib/nvpmodel/status"))?;
    let id: u32 = status.split_whitespace().find_map(|word| word.strip_prefix("pmode:")?.parse().ok())?;
    let named = text(&root.join("etc/nvpmodel.conf")).and_then(|conf| {
        conf.lines().filter(|line| line.contains("POWER_MODEL")).find_map(|line| {
            let field = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key).map(str::to_owned));
            (field("ID=")?.parse::<u32>().ok()? == id).then(|| field("NAME="))?
        })
    });
    Some(named.unwrap_or_else(|| format!("mode {id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jetson_linux_is_named_by_its_release_line() {
        let line = "# R32 (release), REVISION: 7.5, GCID: 36909935, BOARD: t210ref, EABI: aarch64, DATE: Fri Jul 19 2024";
        assert_eq!(l4t_version(line).as_deref(), Some("32.7.5"));
        assert_eq!(l4t_version("garbage"), None);
    }
}
