//! The primitives of the messages: how numbers, names and byte strings are written and read back.

use std::fmt;

use crate::lifecycle::{Exit, Name, Pid, Signal, Time};

use super::{Child, Role};

/// What is wrong with bytes that should be a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end in the middle of a message.
    Truncated,
    /// A tag, number or string that no message has; the word says where.
    Invalid(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => write!(f, "cannot decode the message: it ends too early"),
            DecodeError::Invalid(what) => write!(f, "cannot decode the message: invalid {what}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Appends to a message.
pub(super) struct Writer<'out>(pub &'out mut Vec<u8>);

impl Writer<'_> {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    /// Seven bits a byte, low ones first; small numbers are common.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    pub fn unsigned(&mut self, number: u32) {
        self.number(u64::from(number));
    }

    /// Numbers near zero on either side stay short.
    pub fn signed(&mut self, number: i32) {
        let number = i64::from(number);
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub fn optional_signed(&mut self, number: Option<i32>) {
        self.flag(number.is_some());
        if let Some(number) = number {
            self.signed(number);
        }
    }

    pub fn name(&mut self, name: &Name) {
        self.bytes(name.as_str().as_bytes());
    }

    pub fn child(&mut self, child: &Child) {
        self.name(&child.name);
        self.byte(match child.role {
            Role::Run => 0,
            Role::Finish => 1,
            Role::Reload => 2,
        });
    }

    pub fn pid(&mut self, pid: Pid) {
        self.signed(pid.0);
    }

    pub fn signal(&mut self, signal: Signal) {
        self.signed(signal.0);
    }

    pub fn time(&mut self, time: Time) {
        self.number(time.nanoseconds);
    }

    pub fn exit(&mut self, exit: Exit) {
        match exit {
            Exit::Code(code) => {
                self.byte(0);
                self.byte(code);
            }
            Exit::Signal { signal, core } => {
                self.byte(1);
                self.signal(signal);
                self.flag(core);
            }
            Exit::Unknown => self.byte(2),
        }
    }
}

/// Takes a message apart; whatever is left is kept in `0`.
pub(super) struct Reader<'bytes>(pub &'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid("flag")),
        }
    }

    pub fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only.
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Invalid("number"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError::Invalid("number"))
    }

    pub fn unsigned(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.number()?).map_err(|_| DecodeError::Invalid("number"))
    }

    pub fn signed(&mut self) -> Result<i32, DecodeError> {
        let folded = self.number()?;
        let number = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        i32::try_from(number).map_err(|_| DecodeError::Invalid("number"))
    }

    pub fn bytes(&mut self) -> Result<&'bytes [u8], DecodeError> {
        let length = usize::try_from(self.number()?).map_err(|_| DecodeError::Truncated)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// For the kernel, which ends its strings at the first NUL.
    pub fn string(&mut self) -> Result<Vec<u8>, DecodeError> {
        let bytes = self.bytes()?;
        if bytes.contains(&0) {
            return Err(DecodeError::Invalid("string with NUL"));
        }
        Ok(bytes.to_vec())
    }

    /// How many elements follow. Each has a byte at least, so a count beyond the rest is a lie.
    pub fn count(&mut self) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.number()?).map_err(|_| DecodeError::Truncated)?;
        if count > self.0.len() { Err(DecodeError::Truncated) } else { Ok(count) }
    }

    pub fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    pub fn optional<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.flag()? { value(self).map(Some) } else { Ok(None) }
    }

    pub fn name(&mut self) -> Result<Name, DecodeError> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Invalid("name"))?;
        Name::parse(text).map_err(|_| DecodeError::Invalid("name"))
    }

    pub fn child(&mut self) -> Result<Child, DecodeError> {
        let name = self.name()?;
        let role = match self.byte()? {
            0 => Role::Run,
            1 => Role::Finish,
            2 => Role::Reload,
            _ => return Err(DecodeError::Invalid("role")),
        };
        Ok(Child { name, role })
    }

    /// Never zero or negative: kill(2) would take that for a group or for everybody.
    pub fn pid(&mut self) -> Result<Pid, DecodeError> {
        match self.signed()? {
            pid if pid > 0 => Ok(Pid(pid)),
            _ => Err(DecodeError::Invalid("pid")),
        }
    }

    pub fn signal(&mut self) -> Result<Signal, DecodeError> {
        match self.signed()? {
            signal @ 1..=64 => Ok(Signal(signal)),
            _ => Err(DecodeError::Invalid("signal")),
        }
    }

    pub fn time(&mut self) -> Result<Time, DecodeError> {
        Ok(Time::from_nanoseconds(self.number()?))
    }

    pub fn exit(&mut self) -> Result<Exit, DecodeError> {
        match self.byte()? {
            0 => Ok(Exit::Code(self.byte()?)),
            1 => Ok(Exit::Signal { signal: self.signal()?, core: self.flag()? }),
            2 => Ok(Exit::Unknown),
            _ => Err(DecodeError::Invalid("exit")),
        }
    }

    pub fn text(&mut self) -> Result<String, DecodeError> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }
}
