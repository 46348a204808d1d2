//! Writes the man pages and shell completions from the command line that svc itself reads:
//! `cargo run --example pages`. A test checks that they are up to date.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use clap_complete::Shell;
use clap_mangen::Man;
use svc::cli::commands::ENTRIES;
use svc::cli::{Group, overview, whole_command};

fn main() -> io::Result<()> {
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib");
    for (path, text) in pages()? {
        let path = contrib.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Every file below contrib with what has to be in it.
pub fn pages() -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut pages = BTreeMap::new();
    for (shell, name) in [(Shell::Bash, "svc.bash"), (Shell::Zsh, "_svc"), (Shell::Fish, "svc.fish")] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut whole_command(), "svc", &mut text);
        pages.insert(Path::new("completions").join(name), text);
    }
    pages.insert(PathBuf::from("doc/man/svc.8"), whole_page()?);
    for entry in ENTRIES.iter().filter(|entry| entry.group != Group::Hidden) {
        let mut text = Vec::new();
        Man::new(entry.command().version(env!("CARGO_PKG_VERSION"))).section("8").render(&mut text)?;
        pages.insert(PathBuf::from(format!("doc/man/svc-{}.8", entry.name)), text);
    }
    Ok(pages)
}

/// The page of svc itself: the commands by purpose instead of an alphabet.
fn whole_page() -> io::Result<Vec<u8>> {
    let man = Man::new(whole_command()).section("8");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    text.extend_from_slice(
        b".SH SYNOPSIS\n\\fBsvc\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fINAME\\fR]...\n",
    );
    text.extend_from_slice(b".SH DESCRIPTION\n.nf\n");
    for line in overview().lines() {
        // A leading dot or quote would be a request to roff.
        let line = line.replace('\\', "\\\\").replace('-', "\\-");
        text.extend_from_slice(format!("\\&{line}\n").as_bytes());
    }
    text.extend_from_slice(b".fi\n.SH SEE ALSO\n");
    let names: Vec<String> = ENTRIES
        .iter()
        .filter(|entry| entry.group != Group::Hidden)
        .map(|entry| format!("\\fBsvc\\-{}\\fR(8)", entry.name))
        .collect();
    text.extend_from_slice(format!("{}\n", names.join(",\n")).as_bytes());
    Ok(text)
}
