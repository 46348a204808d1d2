//! The one way in: take over what is there. On the first day that is nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::os::fd::OwnedFd;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde::{Deserialize, Serialize};

use super::directories::Directories;
use super::event_loop::{Supervisor, now};
use super::inbox::{INBOX_INPUTS_MAX, Input};
use super::link::GuardianLink;
use super::{CONTROL_DESCRIPTOR, GUARDIAN_DESCRIPTOR, JOURNAL_DESCRIPTORS, Setup, words};
use crate::control::Server;
use crate::lifecycle::{Event, Exit, Main, Memory, Name, Pid, Signal, StateWord, Wanted};
use crate::logger::{ConsoleSetup, Kept, Logger, LoggerSetup};
use crate::os::descriptor;
use crate::os::own;
use crate::protocol::guardian::{Child, KnownState, Order, Report, Role, VERSION};

/// What the guardian keeps of a service for the next supervisor, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Note {
    #[serde(rename = "m")]
    pub memory: Memory,
    /// Fingerprint of the definition that the running process was started from.
    #[serde(rename = "f")]
    pub launched: Option<u64>,
}

/// Everything that is ready before the first event.
pub struct Handover {
    pub setup: Setup,
    pub server: Server,
    pub logger: Logger,
    pub directories: Directories,
    pub inbox: Receiver<Input>,
    /// The guardian's first words, with the beginning of its table.
    pub welcome: Input,
    pub guardian: Pid,
    pub supervisors_started: u32,
}

/// The guardian's table as it was told.
#[derive(Default)]
struct Table {
    known: Vec<(Child, Pid, KnownState)>,
    pipes: Vec<(Name, Option<OwnedFd>)>,
    notes: BTreeMap<Name, Vec<u8>>,
    /// Standing orders that were carried out and that nobody has acknowledged.
    relaunched: Vec<Relaunched>,
    /// The guardian before this one, and how it ended.
    predecessor: Option<(Option<Pid>, Exit)>,
    /// They wait until all services are known.
    signals: Vec<Signal>,
}

struct Relaunched {
    child: Child,
    pid: Pid,
    exit: Exit,
    next: Pid,
}

/// The guardian that was killed before it said who it is.
const NOBODY: Pid = Pid(0);

/// Kept while the guardian is greeted, so that a long table leaves room for what is opened after it.
const DESCRIPTORS_SPARE: usize = 16;

/// Errors are in words: what could not be had.
pub fn line_to_guardian() -> Result<GuardianLink, String> {
    adopt(GUARDIAN_DESCRIPTOR, "the line to the guardian").map(GuardianLink::new)
}

/// Errors are in words: what could not be had.
pub fn take_over(setup: Setup, link: &mut GuardianLink) -> Result<Handover, String> {
    let listener = adopt(CONTROL_DESCRIPTOR, "the control socket")?;
    let kept = kept_for_logs();
    let (sender, inbox) = bounded(INBOX_INPUTS_MAX);

    let spare: Vec<OwnedFd> = (0..DESCRIPTORS_SPARE).map_while(|_| descriptor::null().ok()).collect();
    link.push(Order::Hello { version: VERSION });
    // A guardian that has been killed meanwhile is succeeded, which takes all that follows.
    let welcome = link.flush().map_err(|error| format!("cannot greet the guardian: {error}"));
    let welcome = welcome.and_then(|()| link.hear()).unwrap_or_else(|why| Input::GuardianLost { why });
    drop(spare);
    let (guardian, supervisors_started) = welcomed(&welcome)?;
    let directories = Directories::watch(&setup.services_dir, sender.clone())
        .unwrap_or_else(|error| Directories::unwatched(&setup.services_dir, error));
    let logger = start_logger(&setup, supervisors_started > 1, kept, sender.clone())?;
    let server = start_server(listener, sender.clone())?;
    // Last: it takes a descriptor for every log there is.
    link.listen(sender).map_err(|error| words::need("start a thread", &error))?;
    Ok(Handover { setup, server, logger, directories, inbox, welcome, guardian, supervisors_started })
}

fn adopt(number: u8, what: &str) -> Result<OwnedFd, String> {
    descriptor::inherited(number).map_err(|error| {
        format!("cannot use descriptor {number} ({what}): {error}; this role is started by the guardian only")
    })
}

/// The guardian's pid and how many supervisors it has started, from its first words. Of one that says
/// nothing any more, nobody can tell.
fn welcomed(first: &Input) -> Result<(Pid, u32), String> {
    match first {
        Input::Reports { reports, .. } => match reports.first() {
            Some(Report::Welcome { version: VERSION, pid, supervisors_started, .. }) => {
                Ok((*pid, *supervisors_started))
            }
            Some(Report::Welcome { version, .. }) => Err(format!(
                "cannot work with this guardian: it speaks version {version}, this supervisor {VERSION}"
            )),
            _ => Err("cannot work with this guardian: it does not say welcome".to_owned()),
        },
        Input::GuardianLost { .. } => Ok((NOBODY, u32::MAX)),
        Input::Client(_) | Input::Logger(_) | Input::Directories(_) => {
            Err("cannot hear the guardian: something else came first".to_owned())
        }
    }
}

/// None when the guardian could not make it, which it has said, or when it is of an older version.
fn kept_for_logs() -> Option<Kept> {
    let [memory, reader, writer] = JOURNAL_DESCRIPTORS.map(descriptor::inherited);
    Some(Kept { memory: memory.ok()?, reader: reader.ok()?, writer: writer.ok()? })
}

fn start_logger(
    setup: &Setup,
    took_over: bool,
    kept: Option<Kept>,
    inbox: Sender<Input>,
) -> Result<Logger, String> {
    let colour =
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let console = setup.place.has_console().then_some(ConsoleSetup { colour });
    let logger_setup = LoggerSetup { log_dir: setup.log_dir.clone(), console, took_over, kept };
    let facts = move |fact| {
        if let Err(unsent) = inbox.send(Input::Logger(fact)) {
            drop(unsent);
        }
    };
    Logger::start(logger_setup, facts).map_err(|error| words::need("start the logger", &error))
}

fn start_server(listener: OwnedFd, inbox: Sender<Input>) -> Result<Server, String> {
    let requests = move |incoming| match inbox.try_send(Input::Client(incoming)) {
        Ok(()) => true,
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
    };
    Server::start(listener, own::uid(), requests).map_err(|error| words::need("serve clients", &error))
}

/// Tells the guardian that all is done and waits until it has gone: who waits for us to end knows
/// then that the lock is free.
pub fn dismiss_guardian(link: &mut GuardianLink, inbox: &Receiver<Input>) {
    link.push(Order::Exit { code: 0 });
    if link.flush().is_err() {
        return;
    }
    while let Ok(input) = inbox.recv() {
        if matches!(input, Input::GuardianLost { .. }) {
            return;
        }
    }
}

impl Supervisor {
    /// Reads all directories, picks up what a predecessor left, and starts what is to be started.
    pub fn boot(&mut self) {
        let Some(table) = self.learn_table() else { return };
        self.learned = true;
        let mut running = BTreeMap::new();
        let mut exited = Vec::new();
        let mut adopted = Vec::new();
        if table.predecessor.is_some() {
            self.forest.look_for_strays();
        }
        for (child, pid, state) in table.known {
            self.forest.planted(pid, &child.name);
            if state == KnownState::Adopted {
                self.forest.adopted(pid, &child.name);
                adopted.push(child.clone());
            }
            match child.role {
                Role::Run => {
                    running.insert(child.name.clone(), pid);
                }
                Role::Finish | Role::Reload => {
                    self.beside.insert(child.clone());
                }
            }
            if let KnownState::Exited { exit, .. } = state {
                exited.push((child, pid, exit));
            }
        }
        for relaunched in &table.relaunched {
            let (name, next) = (&relaunched.child.name, relaunched.next);
            // To one that has not counted that exit yet, its process is still the one before.
            if table.notes.get(name).and_then(|note| main_of(note)) == Some(relaunched.pid)
                && running.get(name) == Some(&next)
            {
                running.insert(name.clone(), relaunched.pid);
            }
        }
        let mut notes = table.notes;
        let listed = self.list_services();
        self.tell_blindness();
        // Before anything of theirs is started anew: it would ask for a pipe of its own.
        for (name, _) in &table.pipes {
            self.services.entry(name.clone()).or_default().pipe_asked = true;
        }
        // A logger comes after its service, whose reading tells whether there is one.
        let mut names: BTreeSet<Name> = self.services.keys().cloned().collect();
        names.extend(self.services.keys().map(Name::logger));
        names.extend(notes.keys().chain(running.keys()).cloned());
        for name in names {
            let note = notes.remove(&name);
            let main = running.remove(&name);
            self.boot_service(&name, note, main, listed.as_ref());
        }
        // Only now it is known who has a logger of its own.
        for (name, pipe) in table.pipes {
            self.pipe_came(&name, pipe);
        }
        for Relaunched { child, pid, exit, next } in table.relaunched {
            self.relaunched(child, pid, exit, Some(next), None);
        }
        for (child, pid, exit) in exited {
            self.child_exited(child, pid, exit);
        }
        self.drain();
        if let Some((guardian, exit)) = table.predecessor {
            self.after_predecessor(guardian, exit, &adopted);
        }
        for signal in table.signals {
            self.take_signal(signal);
        }
    }

    /// Waits for the guardian's answer to Hello, to its end; `None` when the guardian ends before.
    fn learn_table(&mut self) -> Option<Table> {
        let mut table = Table::default();
        loop {
            let (reports, mut descriptors) = self.next_table_reports()?;
            for report in reports {
                match report {
                    // Read before the first thread was started.
                    Report::Welcome { .. } => {}
                    Report::Known { child, pid, state, .. } => table.known.push((child, pid, state)),
                    Report::Pipe { name } => {
                        table.pipes.push((name, descriptors.pop_front()));
                    }
                    Report::Note { name, note } => {
                        table.notes.insert(name, note);
                    }
                    Report::TableEnd => return Some(table),
                    Report::Exited { child, pid, exit, next, .. } => {
                        table.relaunched.extend(next.map(|next| Relaunched { child, pid, exit, next }));
                    }
                    // What happened before the table was written is in the table.
                    Report::Started { .. } | Report::LaunchFailed { .. } => {}
                    Report::Reaped { .. } | Report::PipeFailed { .. } => {}
                    Report::Signalled { signal, .. } => table.signals.push(signal),
                    Report::Complaint { text } => self.say(&text),
                    Report::Predecessor { pid, exit } => table.predecessor = Some((pid, exit)),
                }
            }
        }
    }

    /// `listed` are the directories there are; `None` when that cannot be told now.
    fn boot_service(
        &mut self,
        name: &Name,
        note: Option<Vec<u8>>,
        running: Option<Pid>,
        listed: Option<&BTreeSet<Name>>,
    ) {
        if listed.is_some_and(|listed| listed.contains(name)) {
            self.read_service(name);
        }
        let note = note.and_then(|note| match serde_json::from_slice::<Note>(&note) {
            Ok(note) => Some(note),
            Err(error) => {
                self.say(&format!("{name}: cannot read what was noted of it: {error}; its state is rebuilt"));
                None
            }
        });
        if note.is_some() || running.is_some() {
            self.resume(name, note, running, listed);
        } else {
            self.boot_fresh(name);
        }
    }

    fn resume(
        &mut self,
        name: &Name,
        note: Option<Note>,
        running: Option<Pid>,
        listed: Option<&BTreeSet<Name>>,
    ) {
        let present = self.services.get(name).is_some_and(|service| service.defined);
        if !present {
            self.define_placeholder(name);
        }
        match note {
            Some(note) => {
                if let Some(service) = self.services.get_mut(name) {
                    service.launched = note.launched;
                }
                let finishing = note.memory.state == StateWord::Finishing;
                self.step(Event::Resume { name: name.clone(), memory: note.memory, running });
                if finishing && !self.beside.contains(&Child { name: name.clone(), role: Role::Finish }) {
                    // The order for it was lost with the predecessor.
                    self.step(Event::FinishExited { name: name.clone(), exit: Exit::Unknown });
                }
            }
            // Started in the last instant of a supervisor that had no time to note it.
            None => self.step(Event::Resume { name: name.clone(), memory: unnoted(), running }),
        }
        // A folder that is away for a moment stops nothing.
        let directory = name.logged_service().unwrap_or_else(|| name.clone());
        let gone = |listed: &BTreeSet<Name>| *name != directory || !listed.contains(name);
        if !present && listed.is_some_and(gone) {
            self.step(Event::Remove { name: name.clone() });
        }
    }
}

fn main_of(note: &[u8]) -> Option<Pid> {
    match serde_json::from_slice::<Note>(note).ok()?.memory.main {
        Main::Running(pid) => Some(pid),
        Main::Gone | Main::Launching => None,
    }
}

fn unnoted() -> Memory {
    Memory {
        wanted: Wanted::Up,
        state: StateWord::Starting,
        since_nanoseconds: now().nanoseconds,
        paused: false,
        restarts: 0,
        attempt: 0,
        last_exit: None,
        last_start_nanoseconds: None,
        last_main: None,
        deadline_nanoseconds: None,
        stop_step: 0,
        restart_after_stop: false,
        remove_after_stop: false,
        adopted: false,
        reason: None,
        deaths_nanoseconds: Vec::new(),
        main: Main::Launching,
        last_ran_nanoseconds: 0,
        ended_well: false,
        draining: false,
        relaunch_failed: false,
        kind: None,
        shutdown: None,
    }
}
