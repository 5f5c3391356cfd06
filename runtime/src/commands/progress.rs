//! One look for every progress bar.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` pieces of `what`, on standard error; invisible when that is no terminal.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {elapsed} (left {eta})").expect("the template is well-formed");
    ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_message(what.to_owned())
}
