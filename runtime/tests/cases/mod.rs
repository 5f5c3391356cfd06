//! Reported inputs, which are not part of the repository: `shared/cases` in the checkout or beside it.

use std::path::{Path, PathBuf};

/// A reported file or folder, with the query behind it if `name` has one; none, and a word about it, where it is not at hand.
pub fn case(name: &str) -> Option<PathBuf> {
    let file = name.split('?').next().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let places = [root.join("shared/cases"), root.join("../shared/cases")];
    let found = places.into_iter().find(|place| place.join(file).exists());
    if found.is_none() {
        println!("skipped: {name} is not here");
    }
    found.map(|place| place.join(name))
}
