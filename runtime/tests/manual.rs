//! The manual pages: one for each verb, with the sections that people look for, and roff that a reader takes.

use std::fs;
use std::process::Command;

#[path = "../examples/manual.rs"]
mod pages;

#[test]
fn every_verb_has_a_page_with_examples_exit_status_and_files() {
    let folder = tempfile::tempdir().unwrap();
    pages::write(folder.path()).unwrap();
    let found: Vec<_> = fs::read_dir(folder.path().join("man")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let command = recslowfast::commands::command();
    for verb in command.get_subcommands().map(|verb| format!("recslowfast-{}.1", verb.get_name())).chain(["recslowfast.1".into()]) {
        let page = fs::read_to_string(folder.path().join("man").join(&verb)).unwrap_or_else(|error| panic!("{verb}: {error}"));
        for section in ["EXAMPLES", "EXIT STATUS", "FILES", "ENVIRONMENT"] {
            assert!(page.contains(&format!(".SH {section}\n")), "{verb} has no {section}");
        }
        assert!(!page.contains(".SH EXTRA"), "{verb}");
    }
    // Every page is read without a warning but of lines that do not fill, where there is a reader.
    if Command::new("groff").arg("--version").output().is_err() {
        println!("skipped: groff is not installed");
        return;
    }
    for page in found {
        let read = Command::new("groff").args(["-man", "-Tutf8", "-Wbreak", "-z"]).arg(&page).output().unwrap();
        assert!(read.stderr.is_empty(), "{}: {}", page.display(), String::from_utf8_lossy(&read.stderr));
    }
}
