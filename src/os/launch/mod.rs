//! Starting a program: everything that can be prepared before the clone is prepared here, the rest
//! is done by the child (`child.rs`).
//!
//! Not `std::process::Command`: it passes the signal mask on, leaves signals 32 and 33 ignored and
//! cannot tell which step failed.

mod child;

use std::ffi::{CStr, CString};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::descriptor::{self, duplicate_from, put};
use super::process;
use super::processors::Processors;
use super::signal::{self, Dispositions, SignalSet};
use super::vfork::{self, Stack};

/// The most descriptors a program can be given (the supervisor has 0 to 7), and one for the program
/// itself when it is executed by descriptor.
const SLOTS: usize = 9;

#[derive(Debug)]
pub enum File<'a> {
    Path(&'a CStr),
    /// A program that was opened before; `SLOTS` - 1 descriptors can be given along with it.
    Open(BorrowedFd<'a>),
}

/// What is started. The byte strings hold NUL-terminated strings one after the other.
#[derive(Debug)]
pub struct Program<'a> {
    pub file: File<'a>,
    pub arguments: &'a [u8],
    pub environment: [&'a [u8]; 2],
    /// They become 0, 1, 2 and so on; nothing else is open in the program.
    pub descriptors: &'a [BorrowedFd<'a>],
    /// The number that a pipe of ours has in the program; a user that is become may open it again then, as
    /// /dev/stdout, or as /dev/stdin when it is 0.
    pub log_pipe: Option<u8>,
    pub context: &'a Context,
}

/// What the program runs in; kept between starts.
#[derive(Debug, Default)]
pub struct Context {
    /// Make descriptor 0 the controlling terminal.
    pub controlling_terminal: bool,
    pub limits: Box<[Limit]>,
    pub nice: Option<i32>,
    pub io_priority: Option<i32>,
    /// Policy and priority.
    pub scheduler: Option<(i32, i32)>,
    pub oom_score_adjust: Option<i32>,
    /// `None`: ours.
    pub umask: Option<u32>,
    pub root: Option<CString>,
    /// `None`: ours.
    pub working_directory: Option<CString>,
    pub identity: Option<Identity>,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
    /// RLIMIT_* of the kernel.
    pub resource: u32,
}

#[derive(Debug)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Box<[u32]>,
}

/// Which step failed, the how manieth of its kind, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub step: Step,
    pub index: u8,
    pub errno: i32,
}

/// In the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Clone,
    Session,
    Stdio,
    ControllingTerminal,
    CloseDescriptors,
    Limit,
    Nice,
    IoPriority,
    Scheduler,
    OomScore,
    Root,
    WorkingDirectory,
    Groups,
    Gid,
    Uid,
    Execute,
}

/// Starts programs one after the other, with what they need in common.
#[derive(Debug)]
pub struct Launcher {
    stack: Stack,
    null: Rc<OwnedFd>,
    /// Where the descriptors of the next program are put. All numbers are above those that they get
    /// in the program, so nothing is overwritten before it has been moved. The child shares our
    /// table and parts with it at the highest slot: only the few numbers below are ever copied,
    /// however many thousand pipes are open above.
    slots: [OwnedFd; SLOTS],
    /// Those that hold something else than /dev/null.
    used: [bool; SLOTS],
    /// Whether close_range(2) can part with a shared table (Linux 5.9).
    shares_table: bool,
    /// What a program must not inherit.
    dispositions: Dispositions,
    /// Whether the kernel resets those with a function, as far as is known.
    clears_handlers: bool,
    /// Set when we were made unkillable for the sake of the services, which are not.
    oom_score_reset: bool,
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
    /// While launches follow each other, parent and child take turns on one processor: waking each
    /// other across two costs more than all the rest. These are what we run on otherwise.
    gathered: Option<Processors>,
}

impl Launcher {
    /// To be made early: the slots are the lowest numbers that are free. Dispositions may not be
    /// changed afterwards. From now on this thread has all signals but faults blocked.
    pub fn new() -> io::Result<Self> {
        let null = Rc::new(descriptor::null()?);
        let least = i32::try_from(SLOTS).unwrap_or(i32::MAX);
        let slot = || duplicate_from(null.as_fd(), least);
        let slots = [slot()?, slot()?, slot()?, slot()?, slot()?, slot()?, slot()?, slot()?, slot()?];
        signal::set_mask(SignalSet::ALL.without(SignalSet::FAULTS));
        Ok(Self {
            stack: Stack::new()?,
            slots,
            used: [false; SLOTS],
            null,
            shares_table: child::can_part_with_table(),
            dispositions: signal::dispositions(),
            clears_handlers: true,
            oom_score_reset: process::oom_score_adjust() == Some(-1000),
            arguments: Vec::new(),
            environment: Vec::new(),
            gathered: None,
        })
    }

    /// Launches follow. Where that cannot be had, everything works as well.
    fn gather(&mut self) {
        if self.gathered.is_some() {
            return;
        }
        if let Ok(allowed) = Processors::allowed()
            && allowed.count() > 1
            && Processors::current().and_then(|here| here.apply()).is_ok()
        {
            self.gathered = Some(allowed);
        }
    }

    /// No launch follows soon: to be called before waiting for anything.
    pub fn disperse(&mut self) {
        if let Some(allowed) = self.gathered.take() {
            // Only when our processors have just been taken away, and others given by the kernel.
            allowed.apply().err();
        }
    }

    /// /dev/null; costs nothing when it is given to a program.
    pub fn null(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.null)
    }

    /// Returns when the program has been executed, with its pid, or when a step has failed.
    pub fn launch(&mut self, program: &Program<'_>) -> Result<i32, Failure> {
        let (file, by_descriptor) = match program.file {
            File::Path(path) => (path, None),
            File::Open(fd) => (c"", Some(fd)),
        };
        let numbers = self.stage(program.descriptors, by_descriptor)?;
        self.gather();
        pointers(&[program.arguments], &mut self.arguments);
        pointers(&program.environment, &mut self.environment);
        let own_oom_score = if self.oom_score_reset { Some(0) } else { None };
        let mut plan = child::Plan {
            file,
            by_descriptor: by_descriptor.is_some(),
            arguments: self.arguments.as_ptr(),
            environment: self.environment.as_ptr(),
            slots: numbers,
            count: program.descriptors.len(),
            beyond_slots: self.beyond_slots(),
            shares_table: self.shares_table,
            reset: SignalSet::EMPTY,
            oom_score_adjust: program.context.oom_score_adjust.or(own_oom_score),
            log_pipe: program.log_pipe,
            processors: self.gathered,
            context: program.context,
            failure: None,
        };
        let result = self.clone(&mut plan);
        if program.context.identity.is_some() {
            process::stay_dumpable();
        }
        self.unstage();
        let pid = result.map_err(|error| Failure::of(Step::Clone, 0, error))?;
        match plan.failure {
            None => Ok(pid),
            Some(failure) => {
                process::reap(pid);
                Err(failure)
            }
        }
    }

    fn clone(&mut self, plan: &mut child::Plan<'_>) -> io::Result<i32> {
        let flags = if self.shares_table { libc::CLONE_FILES } else { 0 };
        if self.clears_handlers {
            plan.reset = self.dispositions.ignored;
            let argument = std::ptr::from_mut(plan).cast();
            // SAFETY: `child::main` takes a Plan, keeps to what may be done between vfork and exec
            // and ends in exec or _exit; the plan and all that it points to outlive the call; all
            // signals but faults are blocked since `new`.
            let result =
                unsafe { vfork::run_without_handlers(&mut self.stack, flags, child::main, argument) };
            match result.as_ref().map_err(io::Error::raw_os_error) {
                Err(Some(libc::ENOSYS | libc::EPERM | libc::EINVAL)) => self.clears_handlers = false,
                _ => return result,
            }
        }
        plan.reset = SignalSet::ALL.without(self.dispositions.at_default());
        let argument = std::ptr::from_mut(plan).cast();
        // SAFETY: as above.
        unsafe { vfork::run(&mut self.stack, flags, child::main, argument) }
    }

    /// Puts the descriptors into slots, the program itself into the one after them; which slot is
    /// for which. What is given twice needs one slot only.
    fn stage(
        &mut self,
        descriptors: &[BorrowedFd<'_>],
        file: Option<BorrowedFd<'_>>,
    ) -> Result<[i32; SLOTS], Failure> {
        if descriptors.len() + usize::from(file.is_some()) > SLOTS {
            return Err(Failure { step: Step::Stdio, index: SLOTS as u8, errno: libc::EMFILE });
        }
        let null = self.null.as_raw_fd();
        let mut numbers = [null; SLOTS];
        let mut last: Option<(i32, i32)> = None;
        let places = self.slots.iter_mut().zip(&mut self.used).zip(&mut numbers);
        let given = descriptors.iter().chain(&file);
        for (index, (fd, ((slot, used), number))) in given.zip(places).enumerate() {
            let given = fd.as_raw_fd();
            *number = match last.filter(|(before, _)| *before == given) {
                Some((_, number)) => number,
                None if given == null => slot.as_raw_fd(),
                None => {
                    if let Err(error) = put(*fd, slot) {
                        self.unstage();
                        return Err(Failure::of(Step::Stdio, index as u8, error));
                    }
                    *used = true;
                    slot.as_raw_fd()
                }
            };
            last = Some((given, *number));
        }
        Ok(numbers)
    }

    /// The slots let go of what was put there: a pipe whose writers have gone has to end.
    fn unstage(&mut self) {
        for (slot, used) in self.slots.iter_mut().zip(&mut self.used) {
            if mem::take(used) {
                // Cannot fail: both are open. If it did, the slot would hold on until it is used again.
                put(self.null.as_fd(), slot).err();
            }
        }
    }

    /// The first number that no child has to copy.
    fn beyond_slots(&self) -> u32 {
        let highest = self.slots.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        u32::try_from(highest).unwrap_or(0).saturating_add(1)
    }
}

impl Failure {
    fn of(step: Step, index: u8, error: io::Error) -> Self {
        Failure { step, index, errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }
}

/// The null-terminated array of pointers that execve(2) wants, to strings that lie one after the
/// other. What follows the last NUL is no string.
fn pointers(parts: &[&[u8]], array: &mut Vec<*const libc::c_char>) {
    array.clear();
    for part in parts {
        let mut rest = *part;
        while let Some(end) = memchr::memchr(0, rest) {
            array.push(rest.as_ptr().cast());
            rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
        }
    }
    array.push(std::ptr::null());
}

const _: () = assert!(mem::size_of::<Limit>() == 24);

#[cfg(test)]
mod tests;
