//! The generated pages are those of this command line.

#[path = "../contrib/pages.rs"]
#[allow(dead_code)]
mod pages;

use std::path::Path;

#[test]
fn man_pages_and_completions_are_up_to_date() {
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib");
    for (path, expected) in pages::pages().unwrap() {
        let found = std::fs::read(contrib.join(&path)).unwrap_or_default();
        assert!(found == expected, "{} is out of date; run `cargo run --example pages`", path.display());
    }
}

#[test]
fn the_internal_command_is_in_no_page() {
    for (path, text) in pages::pages().unwrap() {
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("guardian starts it"), "{}", path.display());
    }
}
