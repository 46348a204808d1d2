//! A log file, plain or compressed, read line by line.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use memchr::memchr;

use crate::os::file::in_memory;

/// What a line may hold before it is given out in parts: reading stays bounded whatever was logged.
const LINE_BYTES_MAX: usize = 16 << 20;
const BLOCK_BYTES: usize = 32 << 10;

/// Opens a file of a log. A compressed one is unpacked to a file without a name, so that it can be
/// read backwards as well: on disk where there is a place for it, else in memory.
pub fn open(path: &Path, compressed: bool) -> io::Result<File> {
    let file = File::open(path)?;
    if !compressed {
        return Ok(file);
    }
    let mut unpacked = nameless()?;
    io::copy(&mut MultiGzDecoder::new(file), &mut unpacked)?;
    unpacked.seek(SeekFrom::Start(0))?;
    Ok(unpacked)
}

fn nameless() -> io::Result<File> {
    let name = format!(".svc-logs-{}-{}", std::process::id(), crate::os::clock::monotonic_nanoseconds());
    let path = std::env::temp_dir().join(name);
    match File::options().read(true).write(true).create_new(true).mode(0o600).open(&path) {
        Ok(file) => {
            std::fs::remove_file(&path)?;
            Ok(file)
        }
        Err(_no_place) => in_memory(),
    }
}

/// Reads on where the file was, also after its end when more was written.
#[derive(Debug)]
pub struct Lines {
    pub file: File,
    block: Vec<u8>,
    /// What of `block` has been given out.
    done: usize,
}

impl Lines {
    pub fn new(mut file: File, offset: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, block: Vec::new(), done: 0 })
    }

    /// Begins again when the file is shorter than what was read: somebody emptied it.
    pub fn notice_cut(&mut self) -> io::Result<bool> {
        let cut = self.file.metadata()?.len() < self.file.stream_position()?;
        if cut {
            self.file.rewind()?;
        }
        Ok(cut)
    }

    /// The next line without its newline, the first one beginning with `partial`. At the end of
    /// the file, none, and what there is of a line stays in `partial`.
    pub fn next(&mut self, partial: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        loop {
            let rest = self.block.get(self.done..).unwrap_or_default();
            if let Some(end) = memchr(b'\n', rest) {
                let mut line = std::mem::take(partial);
                line.extend_from_slice(rest.get(..end).unwrap_or_default());
                self.done += end + 1;
                return Ok(Some(line));
            }
            partial.extend_from_slice(rest);
            self.done = 0;
            self.block.resize(BLOCK_BYTES, 0);
            let read = self.file.read(&mut self.block);
            self.block.truncate(*read.as_ref().unwrap_or(&0));
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(0) => return Ok(None),
                Ok(_) if partial.len() > LINE_BYTES_MAX => return Ok(Some(std::mem::take(partial))),
                Ok(_) => {}
            }
        }
    }
}
