//! How the vocabulary reads in plain words: exits, causes, durations.

use std::fmt;
use std::time::Duration;

use super::{Asker, Cause, Exit, Pid, Verb};

/// A duration as people say it: `12ms`, `3.4s`, `2m05s`, `3h12m`, `4d07h`. Cut off, never rounded up.
pub fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let milliseconds = duration.subsec_millis();
    match seconds {
        _ if duration == Duration::MAX => "infinity".to_string(),
        0 => format!("{milliseconds}ms"),
        1..=9 => format!("{seconds}.{}s", milliseconds / 100),
        10..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        86_400.. => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

fn short_nanoseconds(nanoseconds: u64) -> String {
    short(Duration::from_nanos(nanoseconds))
}

/// `1 process (12)`, `3 processes (12, 13, 14)`, at most eight of them by number.
pub(super) fn processes(pids: &[Pid]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = pids.iter().take(SHOWN).map(|pid| pid.0.to_string()).collect();
    let more = if pids.len() > SHOWN { ", …" } else { "" };
    let noun = if pids.len() == 1 { "process" } else { "processes" };
    format!("{} {noun} ({}{more})", pids.len(), shown.join(", "))
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited {code}"),
            Exit::Signal { signal, core: false } => write!(f, "killed by {signal}"),
            Exit::Signal { signal, core: true } => write!(f, "killed by {signal} (core dumped)"),
            Exit::Unknown => write!(f, "ended, nobody knows how"),
        }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}, pid {}", self.uid, self.pid)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verb::Up => write!(f, "up"),
            Verb::Down => write!(f, "down"),
            Verb::Restart => write!(f, "restart"),
            Verb::Once => write!(f, "once"),
            Verb::Pause => write!(f, "pause"),
            Verb::Cont => write!(f, "cont"),
            Verb::Signal(signal) => write!(f, "signal {signal}"),
            Verb::Reload => write!(f, "reload"),
            Verb::Wait => write!(f, "wait"),
        }
    }
}

/// What the asker wanted, as the rest of `asked to …`.
fn wish(verb: Verb) -> String {
    match verb {
        Verb::Up => "start".to_string(),
        Verb::Down => "stop".to_string(),
        Verb::Restart => "restart".to_string(),
        Verb::Once => "run once".to_string(),
        Verb::Pause => "pause".to_string(),
        Verb::Cont => "go on".to_string(),
        Verb::Signal(signal) => format!("send {signal}"),
        Verb::Reload => "reload".to_string(),
        Verb::Wait => "wait".to_string(),
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Boot => write!(f, "started at boot"),
            Cause::Request { verb, by } => {
                write!(f, "asked to {} by uid {} (pid {})", wish(*verb), by.uid, by.pid)
            }
            Cause::Started => write!(f, "started"),
            Cause::LaunchFailed { why } => f.write_str(why),
            Cause::Exited { exit, ran_nanoseconds } => {
                write!(f, "{exit} after {}", short_nanoseconds(*ran_nanoseconds))
            }
            Cause::DelayOver => write!(f, "the delay before the restart is over"),
            Cause::StandingOrder { exit } => write!(f, "{exit}, started again at once"),
            Cause::TreeLeft { left } => write!(f, "the main process is gone, {} left", processes(left)),
            Cause::TreeEmpty => write!(f, "no process is left"),
            Cause::Adopted { pid } => {
                write!(f, "followed as pid {pid}, in the session of its own that it made")
            }
            Cause::StopStep { signal } => write!(f, "still there, sent {signal}"),
            Cause::StartTimeout => write!(f, "took longer than timeout-start allows"),
            Cause::Finished { exit } => write!(f, "finish {exit}"),
            Cause::FinishTimeout => write!(f, "finish took longer than timeout-finish allows, killed"),
            Cause::GaveUp { count, within_nanoseconds } => {
                write!(f, "gave up: died {count} times within {}", short_nanoseconds(*within_nanoseconds))
            }
            Cause::FinishSaidStayDown => write!(f, "finish exited 125: stay down"),
            Cause::Removed => write!(f, "its directory was removed"),
            Cause::Shutdown => write!(f, "svc shuts down"),
            Cause::TakenOver => write!(f, "taken over by a new supervisor"),
            Cause::GuardianEnded { exit } => write!(f, "guardian {exit}; adopted by the next one as it was"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{processes, short};
    use crate::lifecycle::{Asker, Cause, Exit, Pid, Signal, Verb};

    #[test]
    fn durations_are_short_and_never_rounded_up() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (12, "12ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (3_499, "3.4s"),
            (9_999, "9.9s"),
            (10_000, "10s"),
            (59_999, "59s"),
            (125_000, "2m05s"),
            (3_599_999, "59m59s"),
            (11_520_000, "3h12m"),
            (370_800_000, "4d07h"),
        ] {
            assert_eq!(short(Duration::from_millis(milliseconds)), text);
        }
        assert_eq!(short(Duration::MAX), "infinity");
    }

    #[test]
    fn exits_read_as_people_say_them() {
        let killed = |number, core| Exit::Signal { signal: Signal(number), core }.to_string();
        assert_eq!(Exit::Code(1).to_string(), "exited 1");
        assert_eq!(killed(11, true), "killed by SEGV (core dumped)");
        assert_eq!(killed(15, false), "killed by TERM");
        assert_eq!(Exit::Unknown.to_string(), "ended, nobody knows how");
    }

    #[test]
    fn causes_name_who_asked_and_how_long_it_ran() {
        let by = Asker { uid: 0, pid: 4711 };
        assert_eq!(Cause::Request { verb: Verb::Down, by }.to_string(), "asked to stop by uid 0 (pid 4711)");
        let exited = Cause::Exited { exit: Exit::Code(1), ran_nanoseconds: 12_000_000 };
        assert_eq!(exited.to_string(), "exited 1 after 12ms");
    }

    #[test]
    fn a_long_list_of_processes_is_cut() {
        let pids: Vec<Pid> = (1..=9).map(Pid).collect();
        assert_eq!(processes(&pids), "9 processes (1, 2, 3, 4, 5, 6, 7, 8, …)");
        assert_eq!(processes(&[Pid(7)]), "1 process (7)");
    }
}
