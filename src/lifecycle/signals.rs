//! Signal names and numbers, as `kill -l` knows them.

use std::fmt;

use super::Signal;

const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Linux numbers. x86, Arm, RISC-V and most others agree on them; MIPS, SPARC, Alpha do not.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names in use for the same signals.
const OTHER_NAMES: [(&str, i32); 5] = [("CLD", 17), ("IOT", 6), ("POLL", 29), ("LOST", 30), ("UNUSED", 31)];

impl Signal {
    /// `TERM`, `RTMIN+3`; the number in words for the two that glibc keeps for itself.
    pub fn name(self) -> String {
        let named = usize::try_from(self.0 - 1).ok().and_then(|index| NAMES.get(index));
        match named {
            Some(name) => (*name).to_string(),
            None if self.0 == RTMIN => "RTMIN".to_string(),
            None if self.0 == RTMAX => "RTMAX".to_string(),
            None if self.0 > RTMIN && self.0 < RTMAX => format!("RTMIN+{}", self.0 - RTMIN),
            None => self.0.to_string(),
        }
    }

    /// Understands `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3` and `RTMAX-1`.
    pub fn parse(text: &str) -> Option<Signal> {
        if let Ok(number) = text.parse::<i32>() {
            let plain = text.bytes().all(|b| b.is_ascii_digit());
            return (plain && (1..=RTMAX).contains(&number)).then_some(Signal(number));
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return i32::try_from(index + 1).ok().map(Signal);
        }
        if let Some((_, number)) = OTHER_NAMES.iter().find(|(known, _)| *known == name) {
            return Some(Signal(*number));
        }
        let number = if let Some(rest) = name.strip_prefix("RTMIN") {
            RTMIN + offset(rest, '+')?
        } else if let Some(rest) = name.strip_prefix("RTMAX") {
            RTMAX - offset(rest, '-')?
        } else {
            return None;
        };
        (RTMIN..=RTMAX).contains(&number).then_some(Signal(number))
    }
}

/// What follows RTMIN or RTMAX: nothing, or the sign and a small number.
fn offset(text: &str, sign: char) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(sign)?;
    let plain = !digits.is_empty() && digits.len() <= 2 && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn every_signal_is_read_back_from_its_name_and_its_number() {
        for number in 1..=64 {
            let signal = Signal(number);
            assert_eq!(Signal::parse(&signal.name()), Some(signal));
            assert_eq!(Signal::parse(&number.to_string()), Some(signal));
            if !signal.name().starts_with(|c: char| c.is_ascii_digit()) {
                assert_eq!(Signal::parse(&format!("SIG{}", signal.name())), Some(signal));
            }
        }
    }

    #[test]
    fn the_usual_spellings_are_understood() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("term", 15),
            ("15", 15),
            ("RTMIN", 34),
            ("RTMIN+3", 37),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(Signal::parse(text), Some(Signal(number)), "{text}");
        }
        assert_eq!(Signal(37).name(), "RTMIN+3");
        assert_eq!(Signal(1).to_string(), "HUP");
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "+9",
            "TERMINATE",
            "SIG",
            "RTMIN-1",
            "RTMIN+31",
            "RTMAX+1",
            "RTMIN+",
            "RTMIN++1",
        ] {
            assert_eq!(Signal::parse(text), None, "{text:?}");
        }
    }
}
