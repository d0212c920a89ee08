//! The file that a connector's state is kept in: replaced as a whole, on the disk before anything relies on it, and
//! one process's alone.

use crate::connector::state::StateFault;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a state is not read or kept. The file is as it was.
#[derive(Debug, Error)]
pub enum StateError {
    /// The system says no.
    #[error("cannot {0} the state file {path}: {2}", path = .1.display())]
    Io(&'static str, PathBuf, #[source] io::Error),
    /// Another process has it.
    #[error("the state file {path} is another connector's: stop that one, or name another file", path = .0.display())]
    InUse(PathBuf),
    /// There is something else in it.
    #[error("the state file {path} {1}; it is left as it is: name another file, or move it away", path = .0.display())]
    Fault(PathBuf, #[source] StateFault),
}

/// A state file, locked for this process until it is dropped.
pub struct StateFile {
    path: PathBuf,
    /// What the path leads to: the lock is on it.
    file: File,
    /// What is in it.
    text: Zeroizing<Vec<u8>>,
    /// It was written here, and so is its owner's alone.
    is_ours: bool,
}

impl fmt::Debug for StateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl StateFile {
    /// Opens and reads a state file; one that is not there is made, for its owner alone.
    ///
    /// # Errors
    /// When it cannot be opened or read, is no regular file, or another process has it.
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
            // It is replaced behind a link, and not the link.
            let path = fs::canonicalize(path).map_err(failed("find"))?;
            // Whoever had it may have replaced it since it was opened.
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

    /// Puts a text in the place of what is in it; returns once that is on the disk.
    pub(super) fn keep(&mut self, text: Zeroizing<Vec<u8>>) -> Result<(), StateError> {
        if self.is_ours && *text == *self.text {
            return Ok(());
        }
        let draft = self.draft_path();
        let written = self.replace(&draft, &text);
        if let Err(error) = written {
            // What is begun is of no use to anybody.
            let _ = fs::remove_file(&draft);
            return Err(StateError::Io("write", self.path.clone(), error));
        }
        self.text = text;
        self.is_ours = true;
        Ok(())
    }

    /// Beside it, under a name that only whoever has the lock uses: a process that was killed leaves one at most.
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
        // The lock is there before the name is.
        file.try_lock()?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(draft, &self.path)?;
        sync_folder(&self.path)?;
        self.file = file;
        Ok(())
    }
}

/// To write, with a mode for the owner alone where it is made.
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

/// A file that is open cannot be replaced here.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Brings the new name to the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}
