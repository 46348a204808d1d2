//! The directory of one log: `current` and what was rotated, named by when (`@STAMP.log`, `.gz`
//! behind it when compressed). Names sort by time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::service::LogSettings;

use super::stamp::{date, days};

pub const CURRENT: &str = "current";
const TEMPORARY: &str = ".tmp";

/// A rotated file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rotated {
    /// When it was rotated: microseconds since 1970.
    pub at: u64,
    /// Only the compressed form is left.
    pub compressed: bool,
    /// On disk.
    pub bytes: u64,
}

impl Rotated {
    pub fn path(&self, directory: &Path) -> PathBuf {
        path_of(directory, self.at, self.compressed)
    }
}

pub fn path_of(directory: &Path, at: u64, compressed: bool) -> PathBuf {
    directory.join(name_of(at) + if compressed { ".gz" } else { "" })
}

/// Where the compressed form is written before it gets its name.
pub fn temporary_path_of(directory: &Path, at: u64) -> PathBuf {
    directory.join(name_of(at) + ".gz" + TEMPORARY)
}

/// `@20261122T171851.123456Z.log`
fn name_of(at: u64) -> String {
    let (seconds, microseconds) = (at / 1_000_000, at % 1_000_000);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("@{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{microseconds:06}Z.log")
}

/// The time in a rotated file's name, and whether it is a compressed one.
fn parse_name(name: &str) -> Option<(u64, bool)> {
    let (plain, compressed) = match name.strip_suffix(".gz") {
        Some(plain) => (plain, true),
        None => (name, false),
    };
    let number = |from: usize, to: usize| plain.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(1, 5)?, number(5, 7)?, number(7, 9)?);
    let (hour, minute, second) = (number(10, 12)?, number(12, 14)?, number(14, 16)?);
    if year < 1970 || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let at = seconds * 1_000_000 + number(17, 23)?;
    (name_of(at) == plain).then_some((at, compressed))
}

/// All rotated files, oldest first; none when the directory is not there.
pub fn rotated(directory: &Path) -> io::Result<Vec<Rotated>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some((at, compressed)) = entry.file_name().to_str().and_then(parse_name) else { continue };
        match entry.metadata() {
            Ok(metadata) => all.push(Rotated { at, compressed, bytes: metadata.len() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    all.sort_unstable();
    // Both forms are there for a moment at the end of compressing: the plain one sorts first.
    all.dedup_by_key(|file| file.at);
    Ok(all)
}

/// Removes what a compression left that was cut off.
pub fn remove_temporary(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let plain = name.to_str().and_then(|name| name.strip_suffix(TEMPORARY));
        if plain.is_some_and(|plain| parse_name(plain).is_some()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// What is there no more needs no removing.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// At which size `current` is rotated: two files have room in the total.
pub fn size_to_rotate_at(settings: &LogSettings) -> u64 {
    let by_total = settings.total_bytes_max.map_or(u64::MAX, |total| (total / 2).max(1));
    settings.bytes_max.min(by_total)
}

/// How many of `files` (oldest first) have to go: by number (`current` counts), by
/// total (with room for a full `current`) and by age.
pub fn surplus(files: &[Rotated], settings: &LogSettings, now: Duration) -> usize {
    let files_max = usize::try_from(settings.files_max).unwrap_or(usize::MAX);
    let by_number = (files.len() + 1).saturating_sub(files_max).min(files.len());
    let by_age = settings.age_max.map_or(0, |age| {
        let oldest = u64::try_from(now.saturating_sub(age).as_micros()).unwrap_or(u64::MAX);
        files.iter().take_while(|file| file.at < oldest).count()
    });
    let by_total = settings.total_bytes_max.map_or(0, |total| {
        let mut room = total.saturating_sub(size_to_rotate_at(settings));
        let fit = files.iter().rev().take_while(|file| match room.checked_sub(file.bytes) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        });
        files.len() - fit.count()
    });
    by_number.max(by_age).max(by_total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_795_367_931);

    fn files(bytes: &[u64]) -> Vec<Rotated> {
        let now = 1_795_367_931_000_000;
        let hours = (0..bytes.len() as u64).rev().map(|hours| now - hours * 3_600_000_000);
        hours.zip(bytes).map(|(at, bytes)| Rotated { at, compressed: false, bytes: *bytes }).collect()
    }

    #[test]
    fn names_say_when_and_are_read_back() {
        let name = name_of(1_795_367_931_123_456);
        assert_eq!(name, "@20261122T171851.123456Z.log");
        assert_eq!(parse_name(&name), Some((1_795_367_931_123_456, false)));
        assert_eq!(parse_name(&(name + ".gz")), Some((1_795_367_931_123_456, true)));
        for wrong in
            ["current", "@.log", "@20261322T171851.123456Z.log", "@20261122T171851.123456Z.log.gz.tmp"]
        {
            assert_eq!(parse_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn current_counts_among_the_files() {
        let settings = LogSettings { files_max: 3, ..LogSettings::default() };
        assert_eq!(surplus(&files(&[1, 1, 1, 1, 1]), &settings, NOW), 3);
        assert_eq!(surplus(&files(&[1, 1]), &settings, NOW), 0);
        let only_current = LogSettings { files_max: 1, ..LogSettings::default() };
        assert_eq!(surplus(&files(&[1; 50]), &only_current, NOW), 50);
    }

    #[test]
    fn the_total_keeps_room_for_a_full_current() {
        let settings =
            LogSettings { total_bytes_max: Some(100), files_max: 10_000, ..LogSettings::default() };
        assert_eq!(size_to_rotate_at(&settings), 50);
        assert_eq!(surplus(&files(&[50, 20, 20, 10]), &settings, NOW), 1);
        assert_eq!(surplus(&files(&[50]), &settings, NOW), 0);
        assert_eq!(surplus(&files(&[51]), &settings, NOW), 1);
    }

    #[test]
    fn what_is_older_than_the_age_goes() {
        let age = Some(Duration::from_secs(2 * 3_600));
        let settings = LogSettings { age_max: age, ..LogSettings::default() };
        assert_eq!(surplus(&files(&[1, 1, 1, 1]), &settings, NOW), 1);
    }
}
