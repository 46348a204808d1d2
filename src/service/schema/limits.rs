//! `[limits]`: the resource limits of setrlimit(2) by their long names.

use super::reader::{integer_if, text};
use super::{Key, Standard, Value, Wrong, Wrongs};
use crate::os::resource;
use crate::service::draft::Draft;
use crate::service::values::{self, UNLIMITED};

/// What the numbers of a limit count.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    Bytes,
    Seconds,
    Microseconds,
    /// Written as a nice value; the kernel's number is 20 less it.
    Nice,
}

const COUNT: &str = "a number, \"infinity\", or both limits as \"SOFT:HARD\"";
const BYTES: &str = "a size, \"infinity\", or both limits as \"SOFT:HARD\"";
const TIME: &str = "a duration, \"infinity\", or both limits as \"SOFT:HARD\"";
const NICE: &str = "a nice value from -20 to 19, or both limits as \"SOFT:HARD\"";
const AS_SVC: Standard = Standard::Nothing("as svc");

pub static KEYS: &[Key] = &[
    Key {
        name: "open-files",
        expects: COUNT,
        default: AS_SVC,
        example: "65536",
        about: "Descriptors open at a time; \"infinity\" is as many as svc itself may have. RLIMIT_NOFILE.",
        set: |draft, value| limit(draft, value, resource::OPEN_FILES, Unit::Count),
    },
    Key {
        name: "processes",
        expects: COUNT,
        default: AS_SVC,
        example: r#""512:1024""#,
        about: "Processes and threads of its user, counted over the whole system. RLIMIT_NPROC.",
        set: |draft, value| limit(draft, value, resource::PROCESSES, Unit::Count),
    },
    Key {
        name: "core",
        expects: BYTES,
        default: AS_SVC,
        example: "0",
        about: "Size of a core dump. RLIMIT_CORE.",
        set: |draft, value| limit(draft, value, resource::CORE, Unit::Bytes),
    },
    Key {
        name: "stack",
        expects: BYTES,
        default: AS_SVC,
        example: r#""8M""#,
        about: "Stack of its main thread. RLIMIT_STACK.",
        set: |draft, value| limit(draft, value, resource::STACK, Unit::Bytes),
    },
    Key {
        name: "data",
        expects: BYTES,
        default: AS_SVC,
        example: r#""1G""#,
        about: "Private memory of one process. RLIMIT_DATA.",
        set: |draft, value| limit(draft, value, resource::DATA, Unit::Bytes),
    },
    Key {
        name: "address-space",
        expects: BYTES,
        default: AS_SVC,
        example: r#""4G""#,
        about: "Addresses of one process, used or only reserved. RLIMIT_AS.",
        set: |draft, value| limit(draft, value, resource::ADDRESS_SPACE, Unit::Bytes),
    },
    Key {
        name: "file-size",
        expects: BYTES,
        default: AS_SVC,
        example: r#""10G""#,
        about: "Size of a file it writes. RLIMIT_FSIZE.",
        set: |draft, value| limit(draft, value, resource::FILE_SIZE, Unit::Bytes),
    },
    Key {
        name: "locked-memory",
        expects: BYTES,
        default: AS_SVC,
        example: r#""64M""#,
        about: "Memory kept from being swapped out. RLIMIT_MEMLOCK.",
        set: |draft, value| limit(draft, value, resource::LOCKED_MEMORY, Unit::Bytes),
    },
    Key {
        name: "cpu-time",
        expects: TIME,
        default: AS_SVC,
        example: r#""1h""#,
        about: "CPU time of one process, in whole seconds. RLIMIT_CPU.",
        set: |draft, value| limit(draft, value, resource::CPU_TIME, Unit::Seconds),
    },
    Key {
        name: "message-queues",
        expects: BYTES,
        default: AS_SVC,
        example: r#""800K""#,
        about: "POSIX message queues of its user. RLIMIT_MSGQUEUE.",
        set: |draft, value| limit(draft, value, resource::MESSAGE_QUEUES, Unit::Bytes),
    },
    Key {
        name: "pending-signals",
        expects: COUNT,
        default: AS_SVC,
        example: "4096",
        about: "Signals queued for its user. RLIMIT_SIGPENDING.",
        set: |draft, value| limit(draft, value, resource::PENDING_SIGNALS, Unit::Count),
    },
    Key {
        name: "nice",
        expects: NICE,
        default: AS_SVC,
        example: "-5",
        about: "The lowest nice value it may give itself. RLIMIT_NICE.",
        set: |draft, value| limit(draft, value, resource::NICE, Unit::Nice),
    },
    Key {
        name: "real-time-priority",
        expects: COUNT,
        default: AS_SVC,
        example: "50",
        about: "The highest real-time priority it may give itself. RLIMIT_RTPRIO.",
        set: |draft, value| limit(draft, value, resource::REAL_TIME_PRIORITY, Unit::Count),
    },
    Key {
        name: "real-time-run",
        expects: TIME,
        default: AS_SVC,
        example: r#""200ms""#,
        about: "CPU time under a real-time scheduler without a pause. RLIMIT_RTTIME.",
        set: |draft, value| limit(draft, value, resource::REAL_TIME_RUN, Unit::Microseconds),
    },
];

fn limit(draft: &mut Draft, value: &Value<'_>, resource: u32, unit: Unit) -> Result<(), Wrongs> {
    let (soft, hard) = soft_and_hard(value, unit)?;
    if soft > hard {
        let text = "the soft limit, the first, is above the hard limit";
        return Err(Wrong::text(value, text).help("exchange them, or write one number for both").into());
    }
    draft.limits.insert(resource, (soft, hard));
    Ok(())
}

fn soft_and_hard(value: &Value<'_>, unit: Unit) -> Result<(u64, u64), Wrong> {
    if let Some(number) = integer_if(value, i64::MIN..=i64::MAX)? {
        let both = one(&number.to_string(), unit).map_err(|why| Wrong::text(value, why))?;
        return Ok((both, both));
    }
    let typed = text(value)?;
    let (soft, hard) = typed.split_once(':').unwrap_or((typed, typed));
    let read = |text: &str| one(text, unit).map_err(|why| Wrong::text(value, why));
    Ok((read(soft)?, read(hard)?))
}

fn one(typed: &str, unit: Unit) -> Result<u64, String> {
    if typed == "infinity" {
        return Ok(UNLIMITED);
    }
    let time = || values::duration(typed).map(|time| time.as_nanos());
    let fits =
        |number: u128| u64::try_from(number).map_err(|_| format!("{typed:?} is larger than any limit"));
    match unit {
        Unit::Bytes => values::size(typed),
        // The kernel counts whole seconds: a part of one must not become none.
        Unit::Seconds => fits(time()?.div_ceil(1_000_000_000)),
        Unit::Microseconds => fits(time()?.div_ceil(1_000)),
        Unit::Count => match typed.parse() {
            Ok(number) if number != UNLIMITED => Ok(number),
            Ok(_) | Err(_) => Err(format!("{typed:?} is no number; write one like 1024, or \"infinity\"")),
        },
        Unit::Nice => match typed.parse::<i64>() {
            Ok(nice) if (-20..=19).contains(&nice) => Ok((20 - nice).unsigned_abs()),
            Ok(_) | Err(_) => Err(format!("{typed:?} is no nice value from -20 to 19")),
        },
    }
}
