//! A file of small batches, each whole or not there: appended to, and written anew when it has grown long.
//! It outlives a kill at any moment; it is not meant to outlive a power failure.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::replace;

const HEAD: &[u8; 8] = b"svc-rec1";

/// Length and checksum before every batch, 4 bytes each, low byte first.
const FRAME_BYTES: usize = 8;

/// Many times what thousands of services need.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A file that has grown by that much more than it began with is written anew.
const GROWTH_BYTES: u64 = 256 << 10;
const GROWTH_FACTOR: u64 = 4;

#[derive(Debug)]
pub struct RecordFile {
    file: File,
    bytes: u64,
    bytes_at_first: u64,
}

/// What a file holds, oldest first.
#[derive(Debug, Default)]
pub struct Batches {
    pub batches: Vec<Vec<u8>>,
    /// Up to there it is as it was written.
    pub bytes_good: u64,
    /// Something follows that was not written by us, or only in part.
    pub spoilt: bool,
}

impl RecordFile {
    /// A new file with this one batch in the place of whatever is at `path`; never half of it.
    pub fn create(path: &Path, batch: &[u8]) -> io::Result<Self> {
        let mut content = HEAD.to_vec();
        frame(batch, &mut content);
        replace::replace(path, &content, 0o600)?;
        Self::open(path, content.len() as u64)
    }

    /// Goes on behind the good part of one that is there; the rest is cut off.
    pub fn open(path: &Path, bytes_good: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
        if file.metadata()?.len() != bytes_good {
            file.set_len(bytes_good)?;
        }
        Ok(Self { file, bytes: bytes_good, bytes_at_first: bytes_good })
    }

    /// One write. After an error the file is as it was before, as far as the disk lets it be.
    pub fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        let mut framed = Vec::with_capacity(FRAME_BYTES + batch.len());
        frame(batch, &mut framed);
        match self.file.write_all(&framed) {
            Ok(()) => {
                self.bytes += framed.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A reader finds the torn end by its length.
                self.file.set_len(self.bytes).err();
                Err(error)
            }
        }
    }

    pub fn is_long(&self) -> bool {
        self.bytes > self.bytes_at_first.saturating_mul(GROWTH_FACTOR).saturating_add(GROWTH_BYTES)
    }
}

/// NotFound when there is none. A file that was never one of ours has no batches and is spoilt.
pub fn read(path: &Path) -> io::Result<Batches> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let mut found = Batches::default();
    let Some(mut rest) = bytes.strip_prefix(HEAD) else {
        return Ok(Batches { spoilt: true, ..found });
    };
    while let Some((batch, behind)) = next(rest) {
        found.batches.push(batch.to_vec());
        rest = behind;
    }
    found.bytes_good = (bytes.len() - rest.len()) as u64;
    found.spoilt = !rest.is_empty();
    Ok(found)
}

/// Under another name, for whoever wants to look at it. Returns that name.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".bad");
    let aside = path.with_file_name(name);
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

fn frame(batch: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(batch.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(batch).to_le_bytes());
    out.extend_from_slice(batch);
}

fn next(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (batch, rest) = rest.split_at_checked(length)?;
    (checksum(batch) == u32::from_le_bytes(*sum)).then_some((batch, rest))
}

/// FNV-1a, 32 bits: against torn and foreign files, not against people.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        (directory, path)
    }

    #[test]
    fn batches_come_back_in_their_order() {
        let (_directory, path) = place();
        let mut file = RecordFile::create(&path, b"first").unwrap();
        file.append(b"").unwrap();
        file.append(b"third").unwrap();
        let found = read(&path).unwrap();
        assert_eq!(found.batches, [&b"first"[..], b"", b"third"]);
        assert!(!found.spoilt);
    }

    #[test]
    fn a_file_cut_anywhere_has_the_whole_batches_before_the_cut() {
        let (_directory, path) = place();
        RecordFile::create(&path, b"first").unwrap().append(b"second").unwrap();
        let whole = fs::read(&path).unwrap();
        let first_end = HEAD.len() + FRAME_BYTES + 5;
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let found = read(&path).unwrap();
            assert_eq!(found.batches.len(), usize::from(length >= first_end), "{length}");
            assert_eq!(found.spoilt, length != first_end && length != HEAD.len(), "{length}");
        }
    }

    #[test]
    fn what_follows_a_spoilt_batch_is_cut_off_and_written_over() {
        let (_directory, path) = place();
        RecordFile::create(&path, b"first").unwrap().append(b"second").unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let found = read(&path).unwrap();
        assert!(found.spoilt);
        RecordFile::open(&path, found.bytes_good).unwrap().append(b"other").unwrap();
        assert_eq!(read(&path).unwrap().batches, [&b"first"[..], b"other"]);
    }

    #[test]
    fn garbage_has_nothing_and_can_be_set_aside() {
        let (_directory, path) = place();
        fs::write(&path, "rubbish").unwrap();
        let found = read(&path).unwrap();
        assert!(found.spoilt && found.batches.is_empty());
        let aside = set_aside(&path).unwrap();
        assert_eq!(fs::read_to_string(aside).unwrap(), "rubbish");
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_file_stays_good() {
        let (_directory, path) = place();
        let mut file = RecordFile::create(&path, b"first").unwrap();
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let good = std::mem::replace(&mut file.file, full);
        assert_eq!(file.append(b"lost").unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.file = good;
        file.append(b"second").unwrap();
        assert_eq!(read(&path).unwrap().batches, [&b"first"[..], b"second"]);
    }
}
