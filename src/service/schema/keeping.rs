//! The keys that say how a service is kept: restart, stop, time limits.

use super::reader::{command, duration, each, finite_duration, integer_if, one_of, text};
use super::{Key, Standard, Value, Wrong, Wrongs};
use crate::lifecycle::{GiveUp, Restart, Scope, Signal, StopStep};
use crate::service::definition::Reload;
use crate::service::nearest::nearest;
use crate::service::values;

const RESTARTS: [(&str, Restart); 4] = [
    ("always", Restart::Always),
    ("on-failure", Restart::OnFailure),
    ("on-success", Restart::OnSuccess),
    ("never", Restart::Never),
];
const SCOPES: [(&str, Scope); 3] = [("tree", Scope::Tree), ("group", Scope::Group), ("main", Scope::Main)];

pub static KEYS: &[Key] = &[
    Key {
        name: "restart",
        expects: "\"always\", \"on-failure\", \"on-success\" or \"never\"",
        default: Standard::ByType { longrun: r#""always""#, oneshot: r#""never""# },
        example: r#""on-failure""#,
        about: "When it is started again after it has ended by itself. A oneshot can have `\"on-failure\"` or `\"never\"`.",
        set: |draft, value| {
            let restart = one_of(value, &RESTARTS)?;
            draft.restart = Some(draft.placed(value.span(), restart));
            Ok(())
        },
    },
    Key {
        name: "restart-delay",
        expects: "a duration",
        default: Standard::Value(r#""100ms""#),
        example: r#""1s""#,
        about: "The pause before the first restart in a row; doubled for each further one. None when it was up for `restart-reset`.",
        set: |draft, value| {
            let delay = finite_duration(value)?;
            draft.restart_delay = Some(draft.placed(value.span(), delay));
            Ok(())
        },
    },
    Key {
        name: "restart-delay-max",
        expects: "a duration",
        default: Standard::Value(r#""30s""#),
        example: r#""5m""#,
        about: "The pause grows no longer than this. The default is `restart-delay` where that is longer.",
        set: |draft, value| {
            draft.restart_delay_max = Some(finite_duration(value)?);
            Ok(())
        },
    },
    Key {
        name: "restart-reset",
        expects: "a duration or \"infinity\"",
        default: Standard::Value(r#""10s""#),
        example: r#""1m""#,
        about: "Up for this long, it counts as well again: the next restart is at once.",
        set: |draft, value| {
            draft.restart_reset = Some(duration(value)?);
            Ok(())
        },
    },
    Key {
        name: "give-up",
        expects: "a count and a time, or \"never\"",
        default: Standard::Value(r#""never""#),
        example: r#""5 in 1m""#,
        about: "More deaths than this within that time: it has `failed` and is not started again until somebody says `svc up`.",
        set: |draft, value| {
            draft.give_up = Some(give_up(value)?);
            Ok(())
        },
    },
    Key {
        name: "success-codes",
        expects: "an array of exit codes and signal names",
        default: Standard::Value("[0]"),
        example: r#"[0, 143, "USR1"]"#,
        about: "Ends that are no failure. 0 and the signals TERM, INT, HUP and PIPE are none in any case.",
        set: |draft, value| {
            let ends = each(value, code_or_signal)?;
            let mut codes: Vec<u8> = ends.iter().filter_map(|(end, _)| end.as_ref().ok().copied()).collect();
            codes.retain(|code| *code != 0);
            draft.success_codes = codes;
            draft.success_signals = ends.into_iter().filter_map(|(end, _)| end.err()).collect();
            Ok(())
        },
    },
    Key {
        name: "stop",
        expects: "an array of signals and durations",
        default: Standard::Value(r#"["TERM", "10s", "KILL"]"#),
        example: r#"["QUIT", "30s", "TERM", "5s", "KILL"]"#,
        about: "How it is stopped, step by step, until nothing of it is left; one signal may stand without the array. CONT follows each signal. What outlives the last step gets KILL, again every 5 s, unless that step is `\"infinity\"`.",
        set: |draft, value| {
            draft.stop = Some(schedule(value)?);
            Ok(())
        },
    },
    Key {
        name: "kill",
        expects: "\"tree\", \"group\" or \"main\"",
        default: Standard::Value(r#""tree""#),
        example: r#""main""#,
        about: "Whom the signals of `stop` reach: all processes of the service, the process group, or the main process.",
        set: |draft, value| {
            draft.kill = Some(one_of(value, &SCOPES)?);
            Ok(())
        },
    },
    Key {
        name: "reload",
        expects: "a signal or a command",
        default: Standard::Value(r#""HUP""#),
        example: r#"["nginx", "-s", "reload"]"#,
        about: "What `svc reload` does: send a signal to the main process, or run a command as the service would run.",
        set: |draft, value| {
            let reload = match (value.get_ref().as_str(), value.get_ref().as_array()) {
                (Some(_), _) => Reload::Signal(signal(value)?),
                (None, Some(_)) => Reload::Command(command(value)?),
                (None, None) => return Err(Wrong::kind(value).into()),
            };
            draft.reload = Some(draft.placed(value.span(), reload));
            Ok(())
        },
    },
    Key {
        name: "timeout-start",
        expects: "a duration or \"infinity\"",
        default: Standard::ByType { longrun: r#""1m""#, oneshot: r#""infinity""# },
        example: r#""5m""#,
        about: "A longrun that is not ready, or a oneshot that has not ended, after this time is stopped and has failed.",
        set: |draft, value| {
            draft.timeout_start = Some(duration(value)?);
            Ok(())
        },
    },
    Key {
        name: "timeout-finish",
        expects: "a duration or \"infinity\"",
        default: Standard::Value(r#""5s""#),
        example: r#""1m""#,
        about: "A `finish` that runs longer is killed.",
        set: |draft, value| {
            draft.timeout_finish = Some(duration(value)?);
            Ok(())
        },
    },
];

fn give_up(value: &Value<'_>) -> Result<Option<GiveUp>, Wrong> {
    let typed = text(value)?;
    if typed == "never" {
        return Ok(None);
    }
    let form = || {
        Wrong::text(value, format!("{typed:?} is no limit of restarts"))
            .help("write it like \"5 in 1m\", or \"never\"")
    };
    let (count, within) = typed.split_once(" in ").ok_or_else(form)?;
    let count: u32 = count.trim().parse().map_err(|_| form())?;
    let within = values::duration(within.trim()).map_err(|why| Wrong::text(value, why))?;
    if count == 0 || within.is_zero() {
        return Err(form());
    }
    Ok(Some(GiveUp { count, within }))
}

fn code_or_signal(value: &Value<'_>) -> Result<Result<u8, Signal>, Wrong> {
    match integer_if(value, 0..=255)? {
        Some(code) => Ok(Ok(u8::try_from(code).map_err(|_| Wrong::kind(value))?)),
        None => match text(value)?.parse::<u8>() {
            Ok(code) => {
                Err(Wrong::text(value, "an exit code stands without quotes").help(format!("write {code}")))
            }
            Err(_) => signal(value).map(Err),
        },
    }
}

fn signal(value: &Value<'_>) -> Result<Signal, Wrong> {
    let typed = text(value)?;
    values::signal(typed).map_err(|why| {
        let bare = typed.strip_prefix("SIG").unwrap_or(typed);
        let help = match nearest(bare, values::signal_names()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "a signal is written \"TERM\", \"SIGTERM\", \"RTMIN+1\" or \"15\"".into(),
        };
        Wrong::text(value, why).help(help)
    })
}

fn schedule(value: &Value<'_>) -> Result<Vec<StopStep>, Wrongs> {
    if value.get_ref().as_str().is_some() {
        return Ok(vec![StopStep::Signal(signal(value)?)]);
    }
    let steps = each(value, step)?;
    if steps.is_empty() {
        return Err(Wrong::text(value, "an empty schedule stops nothing").into());
    }
    let endless = steps.iter().position(|(step, _)| *step == StopStep::Wait(values::FOREVER));
    if let Some(position) = endless.filter(|position| position + 1 < steps.len()) {
        let mut wrong = Wrong::text(value, "what comes after \"infinity\" never happens");
        wrong.span = steps.get(position).map_or(value.span(), |(_, span)| span.clone());
        return Err(wrong.into());
    }
    Ok(steps.into_iter().map(|(step, _)| step).collect())
}

fn step(value: &Value<'_>) -> Result<StopStep, Wrong> {
    if let Some(number) = value.get_ref().as_integer() {
        let help = format!("write \"{number}s\" for seconds; a signal is named: \"TERM\"");
        return Err(Wrong::text(value, format!("{number} may be a signal or a time")).help(help));
    }
    let typed = text(value)?;
    let timed = typed == "infinity" || typed.starts_with(|c: char| c.is_ascii_digit());
    if timed {
        return values::duration(typed).map(StopStep::Wait).map_err(|why| Wrong::text(value, why));
    }
    signal(value).map(StopStep::Signal)
}
