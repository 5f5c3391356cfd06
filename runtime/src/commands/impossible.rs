//! What no machine could do: places that are not there, and outputs that would not be what their name says.

use std::path::Path;

use super::report_to::Destination;
use super::run::Args;
use crate::capture::Kind;
use crate::sources;

/// Folders that the service manager makes when it starts the service.
const MADE: [&str; 3] = ["/var/lib/recslowfast", "/var/cache/recslowfast", "/run/recslowfast"];

impl Args {
    /// What cannot be: the flag to change, and why.
    pub(super) fn impossible(&self, found: &mut Vec<(&'static str, String)>) {
        if let Some(uri) = self.source().filter(|uri| sources::check(uri).is_ok_and(|kind| kind == Kind::Film))
            && let Some(path) = sources::path(uri)
            && path.as_os_str() != "-"
            && !path.exists()
        {
            found.push(("source", format!("source {}: there is no such file or folder", path.display())));
        }
        for report in self.reports() {
            let pictures = matches!(report.to, Destination::Snapshot(_) | Destination::Panel(_));
            let Some(file) = report.to.file().filter(|_| pictures || matches!(report.to, Destination::Boxes(_))) else { continue };
            if let Some(words) = homeless(&file) {
                found.push(("report", format!("report: {words}")));
            }
            if let Some(ending) = file.extension().filter(|ending| pictures && !ending.eq_ignore_ascii_case("png")) {
                found.push((
                    "report",
                    format!("report: {}: PNG is what is written, not {}; write FILE.png", file.display(), ending.display()),
                ));
            }
        }
        if let Some(words) = self.record().and_then(homeless) {
            found.push(("record", format!("record: {words}")));
        }
    }
}

/// Why nothing can be written at `path`. Only whole paths can be judged: others begin where the program is started.
fn homeless(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| folder.is_absolute())?;
    let made = MADE.iter().any(|made| folder.starts_with(made));
    (!made && !folder.is_dir()).then(|| format!("{}: there is no folder {}", path.display(), folder.display()))
}
