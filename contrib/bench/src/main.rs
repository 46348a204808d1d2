//! Measures svc, its peers and a bare loop side by side in one run; see `contrib/bench/run`.

mod bare_loop;
mod board;
mod measure;
mod peer;
mod pid1;
mod processes;
mod table;

use std::path::PathBuf;

use measure::Size;
use peer::Peer;

type Measure = fn(&[Peer], &Size);

const MEASURES: [(&str, Measure); 9] = [
    ("start", measure::cold_start),
    ("restart", measure::restart),
    ("down", measure::down),
    ("shutdown", measure::shutdown),
    ("memory", measure::memory),
    ("status", measure::status),
    ("idle", measure::idle),
    ("init", measure::init),
    ("orphans", measure::orphans),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["bare-loop", services, count] => bare_loop::run(services, count.parse().unwrap()),
        ["orphans", count, result] => pid1::orphans(count.parse().unwrap(), result),
        ["flood", bytes] => measure::flood_writer(bytes.parse().unwrap()),
        _ => compare(&words),
    }
}

fn compare(words: &[&str]) {
    let size = if words.contains(&"--quick") { Size::QUICK } else { Size::FULL };
    let wanted: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with("--")).collect();
    let names: Vec<&str> = MEASURES.iter().map(|(name, _)| *name).chain(["flood"]).collect();
    if let Some(wrong) = wanted.iter().find(|word| !names.contains(word)) {
        eprintln!("there is no measure {wrong:?}; there are: {}", names.join(" "));
        std::process::exit(100);
    }
    if let Err(error) = processes::become_subreaper() {
        eprintln!("cannot become a subreaper: {error}; what is left over may have to be ended by hand");
    }
    if let Err(error) = processes::clean_up_when_told(peer::root()) {
        eprintln!("cannot listen to signals: {error}; do not interrupt");
    }
    let only = words.iter().find_map(|word| word.strip_prefix("--peers="));
    let is_wanted =
        |peer: &Peer| only.is_none_or(|only| only.split(',').any(|one| peer.label().starts_with(one)));
    let everybody: Vec<Peer> =
        [Peer::Bare, Peer::Runit, Peer::S6].into_iter().chain(binaries_of_svc()).filter(is_wanted).collect();
    let (there, absent): (Vec<Peer>, Vec<Peer>) = everybody.into_iter().partition(Peer::is_there);
    for peer in absent {
        println!("not measured, because it is not installed: {}", peer.label());
    }
    for (name, measure) in MEASURES.into_iter().chain([("flood", measure::flood as Measure)]) {
        if wanted.is_empty() || wanted.contains(&name) {
            measure(&there, &size);
        }
    }
}

/// SVC_BENCH_BINARIES: paths separated by spaces.
fn binaries_of_svc() -> Vec<Peer> {
    let paths = std::env::var("SVC_BENCH_BINARIES").unwrap_or_default();
    let label = |path: &str| if path.contains("musl") { "svc musl".to_owned() } else { "svc gnu".to_owned() };
    paths
        .split_whitespace()
        .map(|path| Peer::Svc { binary: PathBuf::from(path), label: label(path) })
        .collect()
}
