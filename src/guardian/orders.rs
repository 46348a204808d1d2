//! Carrying out orders, as they are told and in their order.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::children::{Entry, LogPipe, State};
use super::plan::{Environments, KeptPlan, Source};
use super::report::{errno_of, reason};
use super::watch::{Guardian, exited};
use crate::lifecycle::{Name, Pid, Signal};
use crate::os::{process, seqpacket};
use crate::protocol::guardian::{
    Child, KnownState, LaunchFailure, LaunchPlan, LaunchStep, Order, Report, VERSION, decode_orders,
};

/// The same on all architectures.
const EBUSY: i32 = 16;
const ECHILD: i32 = 10;
const ESRCH: i32 = 3;
const EINVAL: i32 = 22;

/// Datagrams taken in a row before signals are looked at again.
const DATAGRAMS_MAX: usize = 16;

impl Guardian {
    /// What has come from the supervisor, as long as its reports find room.
    pub(super) fn take_orders(&mut self) {
        for _ in 0..DATAGRAMS_MAX {
            if self.ending.is_some() || !self.outbox.takes_more() {
                return;
            }
            let Some(socket) = self.supervisor.socket() else { return };
            match seqpacket::try_receive(socket.as_fd()) {
                Ok(Some(message)) => {
                    if message.descriptors_lost {
                        self.complain("cannot take all descriptors: too many are open".to_owned());
                    }
                    self.carry_out(&message.bytes, message.descriptors);
                    // At once, so that the supervisor works while the next are carried out.
                    self.flush();
                }
                Ok(None) => return self.supervisor.hung_up(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    return self.complain(format!("cannot receive orders: {}", reason(&error)));
                }
            }
        }
    }

    fn carry_out(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) {
        self.supervisor_was_heard();
        let passed: Vec<Rc<OwnedFd>> = descriptors.into_iter().map(Rc::new).collect();
        match decode_orders(bytes) {
            Ok(orders) => orders.into_iter().for_each(|order| self.perform(order, &passed)),
            Err(error) => self.complain(format!("{error}; none of its orders is carried out")),
        }
    }

    fn perform(&mut self, order: Order, passed: &[Rc<OwnedFd>]) {
        match order {
            Order::Hello { version: _ } => self.welcome(),
            Order::Environment { number, variables } => self.children.environments.set(number, variables),
            Order::Launch { child, plan } => self.launch(child, *plan, passed),
            Order::Stand { child } => self.stand(&child, true),
            Order::Unstand { child } => self.stand(&child, false),
            Order::Signal { child, signal, group } => self.signal(&child, signal, group),
            Order::Adopt { child, pid } => self.adopt(child, pid),
            Order::Acknowledge { child, pid } => self.acknowledge(&child, pid),
            Order::OpenPipe { name } => self.open_pipe(&name),
            Order::ClosePipeWriter { name } => {
                if let Some(pipe) = self.children.pipes.get_mut(&name) {
                    pipe.writer = None;
                }
            }
            Order::Forget { name } => {
                self.children.record.forgotten(&name);
                self.children.pipes.remove(&name);
                self.children.notes.remove(&name);
            }
            Order::Note { name, note } => self.children.note(&name, &note),
            Order::Tidy => self.tidies = true,
            Order::Exit { code } => self.ending = Some(code),
        }
    }

    /// Everything that is known, to whoever asks.
    fn welcome(&mut self) {
        self.supervisor.greeted();
        // Numbers are a supervisor's own; the plans of the one before keep what they have.
        self.children.environments = Environments::default();
        if !self.supervisor.wants_reports() {
            return;
        }
        self.outbox.push(Report::Welcome {
            version: VERSION,
            pid: Pid(process::own_pid()),
            started: self.started,
            supervisors_started: self.supervisor.started,
        });
        if let Some((pid, exit)) = self.adopted.predecessor {
            self.outbox.push(Report::Predecessor { pid, exit });
        }
        for (child, entry) in &self.children.table {
            let state = match entry.state {
                State::Running { standing: _ } if self.adopted.is_followed(child, entry.pid) => {
                    KnownState::Adopted
                }
                State::Running { standing } => KnownState::Running { standing },
                State::Exited { exit, at } => KnownState::Exited { exit, at },
            };
            let (child, pid, started) = (child.clone(), entry.pid, entry.started);
            self.outbox.push(Report::Known { child, pid, started, state });
        }
        for (name, LogPipe { reader, .. }) in &self.children.pipes {
            self.outbox.push_with(Report::Pipe { name: name.clone() }, Rc::clone(reader));
        }
        for (name, note) in &self.children.notes {
            self.outbox.push(Report::Note { name: name.clone(), note: note.to_vec() });
        }
        // Exits that the one before was told, or not, and has not acknowledged.
        for (child, entry) in &self.children.table {
            if let Some(earlier) = &entry.earlier {
                let next = Some(entry.pid);
                self.outbox.push(exited(child.clone(), **earlier, next, None));
            }
        }
        self.outbox.push(Report::TableEnd);
    }

    fn launch(&mut self, child: Child, plan: LaunchPlan, passed: &[Rc<OwnedFd>]) {
        if self.children.table.contains_key(&child) {
            return self.launch_failed(child, LaunchStep::Busy, EBUSY);
        }
        let Some(environment) = self.children.environments.get(plan.shared_environment) else {
            self.complain(format!("{}: its environment was never told", child.name));
            return self.launch_failed(child, LaunchStep::Clone, EINVAL);
        };
        let oom_score_adjust = plan.oom_score_adjust.or(self.oom_score_adjust);
        let log_pipe = plan.log_pipe.map(|name| if name == child.name { child.name.clone() } else { name });
        let plan = LaunchPlan { oom_score_adjust, log_pipe, ..plan };
        let plan = KeptPlan::new(plan, passed, environment, self.descriptor_limit);
        let needs_pipe = plan.stdio.iter().any(|source| matches!(source, Source::LogWrite | Source::LogRead));
        if let Some(name) = plan.log_pipe.as_ref().filter(|_| needs_pipe) {
            match self.children.open_pipe(name) {
                Ok(made) => self.report_pipe(name, made),
                Err(error) => return self.launch_failed(child, LaunchStep::LogPipe, errno_of(&error)),
            }
        }
        match self.children.launch(&mut self.launcher, &plan) {
            Ok(pid) => {
                let entry = Entry::running(pid, Some(Box::new(plan)), None);
                let at = entry.started;
                self.children.insert(child.clone(), entry);
                self.report(Report::Started { child, pid, at });
            }
            Err(failure) => self.report(Report::LaunchFailed { child, failure }),
        }
    }

    fn launch_failed(&mut self, child: Child, step: LaunchStep, errno: i32) {
        let failure = LaunchFailure { step, index: 0, errno };
        self.report(Report::LaunchFailed { child, failure });
    }

    /// Nothing to do for one that has ended meanwhile: its exit is on its way. As long as the exit before it is
    /// not acknowledged, the order was meant for that one; only one such exit is kept.
    fn stand(&mut self, child: &Child, stands: bool) {
        let Some(entry) = self.children.table.get_mut(child) else { return };
        if let State::Running { standing } = &mut entry.state {
            *standing = stands && entry.earlier.is_none();
        }
    }

    fn signal(&mut self, child: &Child, signal: Signal, group: bool) {
        let Some(entry) = self.children.table.get(child).filter(|entry| entry.is_running()) else { return };
        let pid = entry.pid.0;
        if let Some(sent) = self.adopted.signal(child, entry.pid, signal.0, group) {
            return self.signalled_to(child, pid, signal, sent);
        }
        // Whom we started leads a session; an adopted one may be in the group of another.
        let its_group = if entry.plan.is_some() { Some(pid) } else { process::group_of(pid) };
        let sent = match its_group.filter(|_| group) {
            Some(its_group) if its_group == pid => process::kill_own_group(pid, signal.0),
            Some(its_group) => process::kill_group(its_group, signal.0),
            None => process::kill(pid, signal.0),
        };
        self.signalled_to(child, pid, signal, sent);
    }

    fn signalled_to(&mut self, child: &Child, pid: i32, signal: Signal, sent: io::Result<()>) {
        match sent {
            Ok(()) => {}
            // It has ended just now.
            Err(error) if error.raw_os_error() == Some(ESRCH) => {}
            Err(error) => {
                let text = reason(&error);
                self.complain(format!(
                    "cannot send signal {} to {} (pid {pid}): {text}",
                    signal.0, child.name
                ));
            }
        }
    }

    fn adopt(&mut self, child: Child, pid: Pid) {
        if self.children.table.get(&child).is_some_and(Entry::is_running) {
            return self.launch_failed(child, LaunchStep::Busy, EBUSY);
        }
        if !process::is_own_child(pid.0)
            || self.children.is_known(pid.0)
            || self.supervisor.pid() == Some(pid.0)
        {
            return self.launch_failed(child, LaunchStep::Clone, ECHILD);
        }
        // Without the plan it never stands: whether its group is empty cannot be told in time.
        let entry = Entry::running(pid, None, None);
        let at = entry.started;
        self.children.remove(&child);
        self.children.insert(child.clone(), entry);
        self.report(Report::Started { child, pid, at });
    }

    fn acknowledge(&mut self, child: &Child, pid: Pid) {
        let Some(entry) = self.children.table.get_mut(child) else { return };
        if entry.earlier.as_ref().is_some_and(|earlier| earlier.pid == pid) {
            entry.earlier = None;
            self.children.entry_changed(child);
        } else if entry.pid == pid && !entry.is_running() {
            self.children.remove(child);
        }
    }

    fn open_pipe(&mut self, name: &Name) {
        match self.children.open_pipe(name) {
            // Also when it was there: whoever asks wants the descriptor.
            Ok(_) => self.report_pipe(name, true),
            Err(error) => {
                let errno = errno_of(&error);
                self.report(Report::PipeFailed { name: name.clone(), errno });
            }
        }
    }

    fn report_pipe(&mut self, name: &Name, wanted: bool) {
        if let Some(pipe) =
            self.children.pipes.get(name).filter(|_| wanted && self.supervisor.wants_reports())
        {
            self.outbox.push_with(Report::Pipe { name: name.clone() }, Rc::clone(&pipe.reader));
        }
    }
}
