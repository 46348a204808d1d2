//! The services of the torture: what each does, what it notes of itself, and what its notes must say in the end.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use svc::lifecycle::Name;
use svc::logger::read::{LogReader, Query};

use crate::common::killing::{expect_single, service};
use crate::common::{World, wait_until};

/// Nobody asks anything of these.
pub const STEADY: usize = 10;
pub const CRASHING: usize = 4;
pub const STANDING: usize = 3;
pub const LEAVING: usize = 3;
pub const FLOODING: usize = 4;
pub const OWN_FLOODING: usize = 2;

/// Every run has a number of its own, and notes that it has begun.
const NOTES: &str = "name=${PWD##*/}; notes=../../notes/$name; echo $$ >>$notes.begun; \
                     run=$(wc -l <$notes.begun);";

/// Lines `run R line N`, in bursts; an orderly end is noted: run and the number of its last line. The shell
/// would say of its `sleep` that it was terminated.
fn writer(burst: usize, pause: &str) -> String {
    format!(
        "exec 2>/dev/null; trap stop=1 TERM; n=0; while [ -z \"$stop\" ]; do i=0; while [ $i -lt {burst} ]; do \
         i=$((i+1)); n=$((n+1)); echo run $run line $n; done; sleep {pause}; done; echo $run $n >>$notes.written"
    )
}

/// Programs that leave others behind, in the session and out of it, which hold the lock too.
const LEAVE: &str = "(setsid sleep 1000001 &); (sleep 1000002 &);";

const ALL_KEPT: &str = "\n[log]\nmax-size = \"300K\"\nmax-files = 10000\n";

fn numbered(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind}{number}")).collect()
}

pub fn steady() -> Vec<String> {
    numbered("steady", STEADY)
}

/// They end by themselves all the time.
pub fn ending() -> Vec<String> {
    [numbered("crash", CRASHING), numbered("standing", STANDING), numbered("leaving", LEAVING)].concat()
}

/// What one client may ask anything of.
pub fn asked(client: usize) -> Vec<String> {
    ["web", "slow", "forker", "writer", "own"].map(|kind| format!("{kind}-{client}")).to_vec()
}

/// Runs to its end when it is asked to, with another exit code each time.
pub fn job(client: usize) -> String {
    format!("job-{client}")
}

fn writers(clients: usize) -> Vec<String> {
    let asked = (0..clients).map(|client| format!("writer-{client}"));
    numbered("flood", FLOODING).into_iter().chain(asked).collect()
}

fn own_writers(clients: usize) -> Vec<String> {
    let asked = (0..clients).map(|client| format!("own-{client}"));
    numbered("own", OWN_FLOODING).into_iter().chain(asked).collect()
}

/// Writes all service directories; returns how many services that are.
pub fn write(world: &World, clients: usize) -> usize {
    fs::create_dir_all(world.root.join("notes")).unwrap();
    let new = |name: &str, body: &str| service(world, name, &format!("{NOTES} {body}"));
    let own = |name: &str, burst: usize, pause: &str| {
        new(name, &writer(burst, pause)).script("log/run", "exec cat >>../lines");
    };
    for name in steady() {
        new(&name, "exec sleep 1000000");
    }
    for name in numbered("crash", CRASHING) {
        new(&name, "sleep 0.1; exit $((run % 200 + 1))")
            .toml("restart-delay = \"50ms\"\nrestart-delay-max = \"200ms\"");
    }
    for name in numbered("standing", STANDING) {
        new(&name, "sleep 0.2; kill -9 $$").toml("restart-reset = \"1ms\"");
    }
    for name in numbered("leaving", LEAVING) {
        new(&name, &format!("{LEAVE} sleep 0.3; exit $((run % 200 + 1))"))
            .toml("restart-delay = \"100ms\"\nrestart-delay-max = \"200ms\"");
    }
    for name in numbered("flood", FLOODING) {
        new(&name, &writer(400, "0.1")).toml(ALL_KEPT);
    }
    for name in numbered("own", OWN_FLOODING) {
        own(&name, 200, "0.1");
    }
    for client in 0..clients {
        new(&format!("web-{client}"), "exec sleep 1000000");
        new(
            &format!("slow-{client}"),
            "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 1000000 & wait; kill $!; done",
        );
        new(&format!("forker-{client}"), &format!("{LEAVE} exec sleep 1000000"));
        new(&format!("writer-{client}"), &writer(50, "0.05")).toml(ALL_KEPT);
        own(&format!("own-{client}"), 20, "0.05");
        new(&job(client), "sleep 0.1; code=$((run * 7 % 120)); echo $code >>$notes.code; exit $code")
            .toml("type = \"oneshot\"\nenabled = false");
    }
    steady().len() + ending().len() + FLOODING + 2 * OWN_FLOODING + 7 * clients
}

/// The lines of a note; a run that was killed in between may have left none.
fn notes(world: &World, name: &str, what: &str) -> Vec<Vec<usize>> {
    let text = fs::read_to_string(world.root.join(format!("notes/{name}.{what}"))).unwrap_or_default();
    let numbers = |line: &str| line.split(' ').map(|word| word.parse().unwrap()).collect();
    text.lines().map(numbers).collect()
}

pub fn begun(world: &World, name: &str) -> usize {
    notes(world, name, "begun").len()
}

/// The exit code that the last run noted.
pub fn last_code(world: &World, name: &str) -> Option<usize> {
    notes(world, name, "code").last().map(|note| note[0])
}

/// The code of its run N is N % 200 + 1, so what `svc status` says of the last exit must fit the number of
/// restarts: no exit is lost, doubled or taken for another. False when nobody knows how it ended.
pub fn expect_right_exit(name: &str, status: &Value) -> bool {
    let (exit, restarts) = (&status["last_exit"], status["restarts"].as_u64().unwrap());
    if *exit == "unknown" || exit.is_null() {
        assert!(!exit.is_null() || restarts == 0, "{name}: {status}");
        return false;
    }
    if name.starts_with("standing") {
        assert_eq!(exit["signal"]["signal"], 9, "{name}: {status}");
        return true;
    }
    // The one that has just ended, or while it runs again the one before.
    let ended = if status["pid"].is_null() { restarts..=restarts + 1 } else { restarts..=restarts };
    let fits = ended.clone().any(|run| exit["code"] == run % 200 + 1);
    assert!(fits, "{name}: not the exit of run {ended:?}: {status}");
    true
}

/// What ends by itself goes on doing so: it was not forgotten. Then it is stopped, and every run was counted
/// once. Returns how many those were. A guardian that is killed in the middle of a standing order may make that
/// one count twice: known, and bounded here by how many `guardians` were killed.
pub fn expect_all_runs_counted(world: &World, name: &str, guardians: usize) -> usize {
    let before = begun(world, name);
    wait_until(&format!("{name} to go on"), || begun(world, name) > before + 1);
    world.ok(&["down", name]);
    let runs = begun(world, name);
    let counted = world.status(name)["restarts"].as_u64().unwrap() as usize + 1;
    // The stop may end a run before its first line.
    let most = runs + 1 + if name.starts_with("standing") { guardians } else { 0 };
    assert!((runs..=most).contains(&counted), "{name}: {runs} runs, {counted} counted");
    runs
}

/// After the end: each line of each run is there once and in order, up to the last one where the run noted
/// which that was. Returns how many lines.
pub fn expect_every_line_once(world: &World, clients: usize) -> usize {
    let mut all = 0;
    for name in writers(clients) {
        let reader =
            LogReader::open(&world.root.join("log"), &[Name::new(&name).unwrap()], Query::default()).unwrap();
        let lines = reader.map(|item| String::from_utf8_lossy(&item.unwrap().line).into_owned());
        all += expect_runs_whole(world, &name, lines);
    }
    for name in own_writers(clients) {
        let text = fs::read_to_string(world.services().join(&name).join("lines")).unwrap();
        all += expect_runs_whole(world, &name, text.lines().map(str::to_owned));
    }
    all
}

fn expect_runs_whole(world: &World, name: &str, lines: impl Iterator<Item = String>) -> usize {
    let mut count = 0;
    let mut last_of: BTreeMap<usize, usize> = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let ["run", run, "line", number] = words[..] else { panic!("{name}: a strange line: {line:?}") };
        let (run, number): (usize, usize) = (run.parse().unwrap(), number.parse().unwrap());
        let newest = last_of.last_key_value().map_or(0, |(run, _)| *run);
        assert!(run >= newest, "{name}: {line:?} after run {newest} has begun");
        let last = last_of.entry(run).or_default();
        assert_eq!(number, *last + 1, "{name}: after line {last} of run {run} there stands {line:?}");
        *last = number;
        count += 1;
    }
    for note in notes(world, name, "written") {
        let last = last_of.get(&note[0]).copied().unwrap_or(0);
        assert_eq!(last, note[1], "{name}: the last line of run {}", note[0]);
    }
    count
}

pub fn expect_no_copies(world: &World) {
    let entries = fs::read_dir(world.services()).unwrap().flatten();
    let names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    expect_single(world, &names.iter().map(String::as_str).collect::<Vec<_>>());
}
