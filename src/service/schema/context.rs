//! The keys that say what a service runs as.

use super::reader::{each, filled_text, flag, integer_if, one_of, path, small_integer, text, unknown_word};
use super::{Key, Standard, Value, Wrong, Wrongs};
use crate::os::resource::{self, IoClass, io_priority};
use crate::service::draft::EnvFile;
use crate::service::environment::check_variable_name;

pub static KEYS: &[Key] = &[
    Key {
        name: "user",
        expects: "a user name or a uid",
        default: Standard::Nothing("the user svc runs as"),
        example: r#""www-data""#,
        about: "Also sets its group, its supplementary groups, and HOME, USER, LOGNAME and SHELL.",
        set: |draft, value| {
            let user = name_or_number(value)?;
            draft.user = Some(draft.placed(value.span(), user));
            Ok(())
        },
    },
    Key {
        name: "group",
        expects: "a group name or a gid",
        default: Standard::Nothing("the group of `user`"),
        example: r#""www-data""#,
        about: "The group it runs as.",
        set: |draft, value| {
            let group = name_or_number(value)?;
            draft.group = Some(draft.placed(value.span(), group));
            Ok(())
        },
    },
    Key {
        name: "groups",
        expects: "an array of group names or gids",
        default: Standard::Value("[]"),
        example: r#"["ssl-cert"]"#,
        about: "Groups in addition to those of `user`.",
        set: |draft, value| {
            let groups = each(value, name_or_number)?;
            draft.groups = groups.into_iter().map(|(group, span)| draft.placed(span, group)).collect();
            Ok(())
        },
    },
    Key {
        name: "cwd",
        expects: "a path",
        default: Standard::Nothing("the service directory; `/` with `root`"),
        example: r#""/srv/www""#,
        about: "The working directory. Relative to the service directory; with `root`, inside of it.",
        set: |draft, value| {
            let path = path(value)?;
            draft.cwd = Some(draft.placed(value.span(), path));
            Ok(())
        },
    },
    Key {
        name: "root",
        expects: "a path",
        default: Standard::Nothing("`/`"),
        example: r#""/srv/jail""#,
        about: "chroot to this directory before the start. Needs `command`, whose program is inside of it.",
        set: |draft, value| {
            let path = path(value)?;
            draft.root = Some(draft.placed(value.span(), path));
            Ok(())
        },
    },
    Key {
        name: "umask",
        expects: "an octal number as a string",
        default: Standard::Value(r#""022""#),
        example: r#""027""#,
        about: "The permissions that new files do not get.",
        set: |draft, value| {
            draft.umask = Some(umask(value)?);
            Ok(())
        },
    },
    Key {
        name: "env",
        expects: "a table of strings",
        default: Standard::Value("{}"),
        example: r#"{ PORT = "8080" }"#,
        about: "Environment variables. Stronger than `env-files`; a file in `env/` is stronger still.",
        set: |draft, value| {
            draft.env.extend(variables(value)?);
            Ok(())
        },
    },
    Key {
        name: "env-files",
        expects: "an array of paths",
        default: Standard::Value("[]"),
        example: r#"[".env", "-local.env"]"#,
        about: "Files of `KEY=VALUE` lines, a later one over an earlier one. With a `-` in front it need not exist.",
        set: |draft, value| {
            let files = each(value, env_file)?;
            draft.env_files = files.into_iter().map(|(file, span)| draft.placed(span, file)).collect();
            Ok(())
        },
    },
    Key {
        name: "inherit-env",
        expects: "true or false",
        default: Standard::Nothing("true in a container or terminal, false as a system daemon"),
        example: "true",
        about: "Start from svc's own environment. If not: PATH, HOME, USER, LOGNAME, SHELL and LANG only.",
        set: |draft, value| {
            draft.inherit_env = Some(flag(value)?);
            Ok(())
        },
    },
    Key {
        name: "nice",
        expects: "an integer from -20 to 19",
        default: Standard::Nothing("as svc"),
        example: "5",
        about: "CPU priority, 19 is the most patient. See nice(2).",
        set: |draft, value| {
            draft.nice = Some(small_integer(value, -20..=19)?);
            Ok(())
        },
    },
    Key {
        name: "io-priority",
        expects: "\"realtime:0\" to \"realtime:7\", \"best-effort:0\" to \"best-effort:7\", or \"idle\"",
        default: Standard::Nothing("as svc"),
        example: r#""best-effort:4""#,
        about: "Disk priority, 0 is the first. See ioprio_set(2).",
        set: |draft, value| {
            draft.io_priority = Some(io_class_and_level(value)?);
            Ok(())
        },
    },
    Key {
        name: "scheduler",
        expects: "\"other\", \"batch\", \"idle\", \"fifo:1\" to \"fifo:99\" or \"rr:1\" to \"rr:99\"",
        default: Standard::Nothing("as svc"),
        example: r#""batch""#,
        about: "Scheduling policy, with a priority for the real-time ones. See sched(7).",
        set: |draft, value| {
            draft.scheduler = Some(scheduler(value)?);
            Ok(())
        },
    },
    Key {
        name: "oom-score-adjust",
        expects: "an integer from -1000 to 1000",
        default: Standard::Nothing("as svc"),
        example: "-500",
        about: "How soon the kernel picks it when memory runs out: -1000 never, 1000 first. See proc(5).",
        set: |draft, value| {
            draft.oom_score_adjust = Some(small_integer(value, -1000..=1000)?);
            Ok(())
        },
    },
    Key {
        name: "write-pidfile",
        expects: "a path",
        default: Standard::Nothing("no file"),
        example: r#""/run/web.pid""#,
        about: "Write the pid here after each start, for other programs that ask for it. svc never reads it. Relative to the service directory.",
        set: |draft, value| {
            draft.write_pidfile = Some(path(value)?);
            Ok(())
        },
    },
];

fn name_or_number(value: &Value<'_>) -> Result<String, Wrong> {
    match integer_if(value, 0..=i64::from(u32::MAX - 1))? {
        Some(number) => Ok(number.to_string()),
        None => filled_text(value).map(str::to_owned),
    }
}

fn umask(value: &Value<'_>) -> Result<u32, Wrong> {
    if let Some(number) = value.get_ref().as_integer() {
        let help = format!("an octal number stands in quotes: \"{:0>3}\"", number.as_str());
        return Err(Wrong::text(value, "this would be a decimal number").help(help));
    }
    let text = text(value)?;
    let octal = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u32::from_str_radix(text, 8) {
        Ok(umask) if octal && umask <= 0o777 => Ok(umask),
        Ok(_) | Err(_) => {
            Err(Wrong::text(value, format!("{text:?} is no octal number from \"000\" to \"777\"")))
        }
    }
}

fn variables(value: &Value<'_>) -> Result<Vec<(String, String)>, Wrongs> {
    let Some(table) = value.get_ref().as_table() else {
        return Err(Wrong::kind(value).into());
    };
    let mut variables = Vec::new();
    let mut wrongs = Vec::new();
    for (name, value) in table.iter() {
        if let Err(why) = check_variable_name(name.get_ref()) {
            let mut wrong = Wrong::text(value, why);
            wrong.span = name.span();
            wrongs.push(wrong);
        }
        match text(value) {
            Ok(text) => variables.push((name.get_ref().to_string(), text.to_owned())),
            Err(_) if value.get_ref().as_str().is_none() => {
                let plain = plain_text(value).unwrap_or_else(|| "…".into());
                let help = format!("a variable is a string: {} = \"{plain}\"", name.get_ref());
                wrongs.push(Wrong::text(value, "a variable that is not in quotes").help(help));
            }
            Err(wrong) => wrongs.push(wrong),
        }
    }
    if wrongs.is_empty() { Ok(variables) } else { Err(Wrongs(wrongs)) }
}

fn plain_text(value: &Value<'_>) -> Option<String> {
    let value = value.get_ref();
    let number = value.as_integer().map(ToString::to_string);
    number
        .or_else(|| value.as_float().map(ToString::to_string))
        .or_else(|| value.as_bool().map(|b| b.to_string()))
}

fn env_file(value: &Value<'_>) -> Result<EnvFile, Wrong> {
    let text = filled_text(value)?;
    let (path, optional) = match text.strip_prefix('-') {
        Some("") => return Err(Wrong::text(value, "a path has to follow the \"-\"")),
        Some(path) => (path, true),
        None => (text, false),
    };
    Ok(EnvFile { path: path.into(), optional })
}

fn io_class_and_level(value: &Value<'_>) -> Result<i32, Wrong> {
    let typed = text(value)?;
    let (word, level) = typed.split_once(':').map_or((typed, None), |(word, level)| (word, Some(level)));
    let level_number =
        level.and_then(|level| level.parse::<i32>().ok()).filter(|level| (0..=7).contains(level));
    match (word, level, level_number) {
        ("idle", None, _) => Ok(io_priority(IoClass::Idle, 0)),
        ("realtime", _, Some(level)) => Ok(io_priority(IoClass::RealTime, level)),
        ("best-effort", _, Some(level)) => Ok(io_priority(IoClass::BestEffort, level)),
        ("realtime" | "best-effort", _, None) => {
            let text = format!("{typed:?} needs a level from 0 to 7");
            Err(Wrong::text(value, text).help(format!("write it like \"{word}:4\"")))
        }
        ("idle", Some(_), _) => Err(Wrong::text(value, "\"idle\" has no level").help("write \"idle\"")),
        (other, _, _) => Err(unknown_word(value, other, ["realtime", "best-effort", "idle"].into_iter())),
    }
}

fn scheduler(value: &Value<'_>) -> Result<(i32, i32), Wrong> {
    let typed = text(value)?;
    let Some((word, priority)) = typed.split_once(':') else {
        if matches!(typed, "fifo" | "rr") {
            let text = format!("{typed:?} needs a priority from 1 to 99");
            return Err(Wrong::text(value, text).help(format!("write it like \"{typed}:10\"")));
        }
        let policies = [
            ("other", resource::SCHED_OTHER),
            ("batch", resource::SCHED_BATCH),
            ("idle", resource::SCHED_IDLE),
            ("fifo", resource::SCHED_FIFO),
            ("rr", resource::SCHED_RR),
        ];
        return one_of(value, &policies).map(|policy| (policy, 0));
    };
    let policy = match word {
        "fifo" => resource::SCHED_FIFO,
        "rr" => resource::SCHED_RR,
        "other" | "batch" | "idle" => {
            let text = format!("{word:?} has no priority");
            return Err(
                Wrong::text(value, text).help(format!("write {word:?}; for CPU priority there is `nice`"))
            );
        }
        unknown => {
            let words = ["other", "batch", "idle", "fifo", "rr"];
            return Err(unknown_word(value, unknown, words.into_iter()));
        }
    };
    match priority.parse() {
        Ok(priority) if (1..=99).contains(&priority) => Ok((policy, priority)),
        Ok(_) | Err(_) => Err(Wrong::text(value, format!("{priority:?} is no priority from 1 to 99"))),
    }
}
