//! Where in a line each log is between two blocks: one cell for each that was inside a line once.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::os::shared::{PAGE_BYTES, Shared};

use super::super::line::Shaper;
use super::record::Position;

pub const BYTES: usize = 2 * PAGE_BYTES;

/// Key, shaper, bytes of the line; none when the key is 0.
const WORDS: usize = 4;
/// Behind the first cell: 1 when a log may be inside a line without a cell.
const GAPS: usize = 3;

#[derive(Debug)]
pub struct Cells(Shared);

impl Cells {
    pub fn new(shared: Shared) -> Self {
        Self(shared)
    }

    /// The cell of a log and what is in it, unless that is the beginning of a line.
    pub fn find(&mut self, name: &str) -> Option<(usize, Position)> {
        let key = key_of(name);
        let words = self.0.words();
        let number = words.chunks_exact(WORDS).position(|cell| load(cell, 0) == key)?;
        let cell = words.chunks_exact(WORDS).nth(number)?;
        let shaper = Shaper::from_word(load(cell, 1))?;
        Some((number, Position { shaper: shaper.to_word(), line_bytes: load(cell, 2) }))
    }

    /// The beginning of a line needs no cell; where all are taken, the file has to tell.
    pub fn keep(&mut self, cell: Option<usize>, name: &str, position: Position) -> Option<usize> {
        let number = match cell {
            Some(number) => number,
            None if position.shaper == 0 => return None,
            None => match self.0.words().chunks_exact(WORDS).position(|cell| load(cell, 0) == 0) {
                Some(number) => number,
                None => {
                    self.admit_gaps();
                    return None;
                }
            },
        };
        let cell = self.0.words().chunks_exact(WORDS).nth(number)?;
        // The record of the block counts until all three are stored.
        store(cell, 1, position.shaper);
        store(cell, 2, position.line_bytes);
        store(cell, 0, key_of(name));
        Some(number)
    }

    pub fn clear(&mut self, cell: Option<usize>) {
        if let Some(cell) = cell.and_then(|number| self.0.words().chunks_exact(WORDS).nth(number)) {
            store(cell, 0, 0);
        }
    }

    /// What they say ends to be true.
    pub fn give_up(&mut self) {
        self.admit_gaps();
        for cell in self.0.words().chunks_exact(WORDS) {
            store(cell, 0, 0);
        }
    }

    /// A log without a cell is between two lines, unless there are gaps.
    pub fn have_gaps(&mut self) -> bool {
        load(self.0.words(), GAPS) != 0
    }

    pub fn admit_gaps(&mut self) {
        store(self.0.words(), GAPS, 1);
    }
}

fn load(cell: &[AtomicU64], at: usize) -> u64 {
    cell.get(at).map_or(0, |word| word.load(Ordering::Acquire))
}

fn store(cell: &[AtomicU64], at: usize, value: u64) {
    if let Some(word) = cell.get(at) {
        word.store(value, Ordering::Release);
    }
}

/// FNV-1a of 64 bits; never 0.
fn key_of(name: &str) -> u64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, hash).max(1)
}
