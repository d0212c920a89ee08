//! Folder as an open file descriptor. Files are opened relative to it, so they are in the same folder even if its path
//! now leads elsewhere.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Mode of a new file, before the process's umask.
const NEW_FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// Folder of files, which are addressed by name. A link is not followed.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder by its path below `root`. Links in `root` are followed, links in `below` are errors.
    pub(super) fn below(root: &Path, below: &Path) -> io::Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut folder = openat(CWD, root, flags, Mode::empty())?;
        for name in below {
            folder = openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(Folder(folder))
    }

    /// Opens a file of the folder for reading.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        // `NONBLOCK`, since opening a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Creates a file of the folder, which must not exist, and opens it for writing.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, NEW_FILE_MODE)?.into())
    }

    /// Renames a file within the folder. It replaces a file that has the new name.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file of the folder. An error is ignored.
    pub(super) fn remove(&self, name: &str) {
        let _ = unlinkat(&self.0, name, AtFlags::empty());
    }
}
