//! The reference page says what the schema says. `SVC_REWRITE=1` writes it anew.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use svc::service;

const MARK: &str = "<!-- From here on the text comes from the schema";

#[test]
fn the_reference_page_names_every_key_with_its_default_and_nothing_else() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/doc/service.toml.md");
    let page = fs::read_to_string(&file).unwrap();
    let after_mark =
        page.find(MARK).and_then(|mark| page[mark..].find('\n').map(|end| mark + end + 1)).unwrap();
    let expected = format!("{}\n{}", &page[..after_mark], service::reference());
    if std::env::var_os("SVC_REWRITE").is_some() {
        fs::write(&file, expected).unwrap();
        return;
    }
    assert!(page == expected, "run: SVC_REWRITE=1 cargo test --test service_reference");
}

#[test]
fn the_example_of_the_reference_page_is_right() {
    let page = include_str!("../contrib/doc/service.toml.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // The machine of the test need not have nginx or its user.
    let example = example.replace("\"nginx\"", "\"/bin/sh\"").replace("\"www-data\"", "\"root\"");
    fs::write(directory.path().join("service.toml"), example).unwrap();
    assert_eq!(service::check(directory.path()).to_string(), "");
}
