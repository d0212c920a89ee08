//! The state file: replaced as a whole, synced before anything relies on it, and locked for one process.

use crate::state::StateFault;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Error returned when a state file cannot be read or written. The file is unchanged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// A system call failed.
    #[error("cannot {0} the state file {path}: {2}", path = .1.display())]
    Io(&'static str, PathBuf, #[source] io::Error),
    /// Another process has locked it.
    #[error("the state file {path} is another connector's: stop that one, or name another file", path = .0.display())]
    InUse(PathBuf),
    /// Its content cannot be used.
    #[error("the state file {path} {1}; it is left as it is: name another file, or move it away", path = .0.display())]
    Fault(PathBuf, #[source] StateFault),
}

/// A state file, locked for this process until it is dropped.
pub struct StateFile {
    path: PathBuf,
    /// The file at the path, with the lock.
    file: File,
    /// Content of the file.
    text: Zeroizing<Vec<u8>>,
    /// True if this process wrote the file, which then has mode 0600.
    is_ours: bool,
}

impl fmt::Debug for StateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl StateFile {
    /// Opens, locks and reads a state file. A missing one is created with mode 0600.
    ///
    /// # Errors
    /// Fails if it cannot be opened or read, is not a regular file, or is locked by another process.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |what: &'static str| move |error| StateError::Io(what, path.to_owned(), error);
        loop {
            let mut options = private();
            let mut file =
                options.read(true).create(true).truncate(false).open(path).map_err(failed("open"))?;
            if !file.metadata().map_err(failed("read"))?.is_file() {
                return Err(failed("read")(io::Error::other("it is not a regular file")));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StateError::InUse(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
            }
            // A symbolic link is kept: the file that it points to is replaced.
            let path = fs::canonicalize(path).map_err(failed("find"))?;
            // The process that had the lock may have replaced the file since it was opened.
            if !is_at(&file, &path) {
                continue;
            }
            let length = file.metadata().map_err(failed("read"))?.len();
            let room = usize::try_from(length).unwrap_or_default().saturating_add(1);
            let mut text = Zeroizing::new(Vec::with_capacity(room));
            file.read_to_end(&mut text).map_err(failed("read"))?;
            return Ok(StateFile { path, file, text, is_ours: false });
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the content; returns once the new one is on the disk.
    pub(super) fn keep(&mut self, text: Zeroizing<Vec<u8>>) -> Result<(), StateError> {
        if self.is_ours && *text == *self.text {
            return Ok(());
        }
        let draft = self.draft_path();
        let written = self.replace(&draft, &text);
        if let Err(error) = written {
            // Best effort: the next write removes it, too.
            let _ = fs::remove_file(&draft);
            return Err(StateError::Io("write", self.path.clone(), error));
        }
        self.text = text;
        self.is_ours = true;
        Ok(())
    }

    /// Returns the path of the draft, beside the file. The name is fixed and used under the lock alone, so that a killed
    /// process leaves one draft at most.
    fn draft_path(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".new");
        self.path.with_file_name(name)
    }

    fn replace(&mut self, draft: &Path, text: &[u8]) -> io::Result<()> {
        match fs::remove_file(draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = private().create_new(true).open(draft)?;
        // Locked before it has the name, so that no other process can lock it first.
        file.try_lock()?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(draft, &self.path)?;
        sync_folder(&self.path)?;
        self.file = file;
        Ok(())
    }
}

/// Returns options to write, with mode 0600 for a new file.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata().map(id), fs::metadata(path).map(id)) {
        (Ok(ours), Ok(there)) => ours == there,
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// An open file cannot be replaced on this system.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Syncs the folder, and the new name with it.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}
