//! Folder by its path, for systems without file descriptors of folders.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Folder of files, which are addressed by name.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Returns a folder by its path below `root`.
    pub(super) fn below(root: &Path, below: &Path) -> io::Result<Folder> {
        Ok(Folder(root.join(below)))
    }

    /// Opens a file of the folder for reading.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.0.join(name))
    }

    /// Creates a file of the folder, which must not exist, and opens it for writing.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        File::create_new(self.0.join(name))
    }

    /// Renames a file within the folder. It replaces a file that has the new name.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    /// Removes a file of the folder. An error is ignored.
    pub(super) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.0.join(name));
    }
}
