//! A directory that only its owner enters, whoever made it before us.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes it 0700, with the parents that are missing (0755). One that is there has to be ours and no
/// link: in /tmp somebody else may have been faster.
pub fn make(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let directory =
        options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path).map_err(
            |error| {
                if fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink()) {
                    io::Error::other("it is a symbolic link")
                } else {
                    error
                }
            },
        )?;
    let about = directory.metadata()?;
    let own = super::process::own_uid();
    if about.uid() != own {
        return Err(io::Error::other(format!("it belongs to uid {}, not to us (uid {own})", about.uid())));
    }
    if about.mode() & 0o7777 != 0o700 {
        directory.set_permissions(Permissions::from_mode(0o700))?;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_with_its_parents_and_only_for_its_owner() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b/c");
        make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
    }

    #[test]
    fn one_that_is_open_to_others_is_closed_to_them() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("open");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o1777)).unwrap();
        make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("link");
        std::os::unix::fs::symlink(place.path(), &path).unwrap();
        assert_eq!(make(&path).unwrap_err().to_string(), "it is a symbolic link");
    }

    #[test]
    fn a_file_in_its_place_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "").unwrap();
        assert_eq!(make(&path).unwrap_err().raw_os_error(), Some(libc::ENOTDIR));
    }
}
