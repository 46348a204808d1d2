//! Writes service directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A service directory in the making; every word adds a file.
#[derive(Clone, Debug)]
pub struct ServiceDir {
    pub path: PathBuf,
}

impl ServiceDir {
    pub fn new(services: &Path, name: &str) -> Self {
        let path = services.join(name);
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    /// A whole service appears at once, as careful people do it: written aside, then renamed.
    pub fn appearing(services: &Path, name: &str, write: impl FnOnce(&ServiceDir)) {
        let aside = services.join(format!(".{name}.new"));
        fs::create_dir_all(&aside).unwrap();
        write(&ServiceDir { path: aside.clone() });
        fs::rename(&aside, services.join(name)).unwrap();
    }

    /// The body of a shell script `run`.
    pub fn run(&self, body: &str) -> &Self {
        self.script("run", body)
    }

    /// An executable shell script.
    pub fn script(&self, file: &str, body: &str) -> &Self {
        self.executable(file, &format!("#!/bin/sh\n{body}\n"))
    }

    /// Written aside and renamed, so that nobody executes half of it.
    pub fn executable(&self, file: &str, text: &str) -> &Self {
        self.place(file, text, 0o755)
    }

    pub fn toml(&self, text: &str) -> &Self {
        self.file("service.toml", text)
    }

    pub fn file(&self, file: &str, text: &str) -> &Self {
        self.place(file, text, 0o644)
    }

    fn place(&self, file: &str, text: &str, mode: u32) -> &Self {
        let target = self.path.join(file);
        let directory = target.parent().unwrap();
        fs::create_dir_all(directory).unwrap();
        let aside = directory.join(format!(".{}.new", target.file_name().unwrap().to_string_lossy()));
        fs::write(&aside, text).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(&aside, &target).unwrap();
        self
    }
}
