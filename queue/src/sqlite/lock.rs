//! The lock beside the file: one process has a queue.

use super::error::SqliteError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Maximum length of the text in a lock file that is read.
const MAX_PID_TEXT: u64 = 32;

/// Lock of a queue file for this process, until it is dropped or the process ends.
///
/// The lock is on a file of its own, `NAME.lock`, which stays: a process that removed it could have another one lock a
/// file that is no longer there.
#[derive(Debug)]
pub struct QueueLock {
    /// Path of the queue, without symbolic links.
    path: PathBuf,
    _file: File,
}

impl QueueLock {
    /// Locks a queue.
    ///
    /// # Errors
    /// [`SqliteError::InUse`] if another process has it.
    pub fn acquire(path: &Path) -> Result<QueueLock, SqliteError> {
        let path = resolve(path)?;
        let (mut file, place) = open(&path)?;
        match file.try_lock() {
            Ok(()) => QueueLock::locked(path, file, &place),
            Err(TryLockError::WouldBlock) => {
                let pid = read_pid(&mut file);
                Err(SqliteError::InUse { path, pid })
            }
            Err(TryLockError::Error(error)) => Err(SqliteError::io("lock", &place)(error)),
        }
    }

    /// Locks a queue once no other process has it. It blocks the thread for as long as it takes.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub fn wait(path: &Path) -> Result<QueueLock, SqliteError> {
        let path = resolve(path)?;
        let (file, place) = open(&path)?;
        file.lock().map_err(SqliteError::io("lock", &place))?;
        QueueLock::locked(path, file, &place)
    }

    /// Returns the id of the process that has a queue, if one has it: `Some(None)` if it is not known.
    ///
    /// # Errors
    /// The lock file cannot be opened.
    pub fn owner(path: &Path) -> Result<Option<Option<u32>>, SqliteError> {
        let path = resolve(path)?;
        let place = lock_path(&path);
        if !place.exists() {
            return Ok(None);
        }
        let (mut file, place) = open(&path)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(read_pid(&mut file))),
            Err(TryLockError::Error(error)) => Err(SqliteError::io("lock", &place)(error)),
        }
    }

    /// Returns the path of the queue, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the id of this process into the file that it has locked.
    fn locked(path: PathBuf, mut file: File, place: &Path) -> Result<QueueLock, SqliteError> {
        let pid = std::process::id();
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{pid}"));
        written.map_err(SqliteError::io("write", place))?;
        Ok(QueueLock { path, _file: file })
    }
}

/// Returns the path without symbolic links, so that each name of a queue has the same lock. The file may be missing.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, SqliteError> {
    if let Ok(path) = std::fs::canonicalize(path) {
        return if path.is_dir() { Err(SqliteError::NotAFile(path)) } else { Ok(path) };
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let folder = std::fs::canonicalize(folder).map_err(SqliteError::io("find the folder", folder))?;
    let name = path.file_name().ok_or_else(|| SqliteError::NotAFile(path.to_owned()))?;
    Ok(folder.join(name))
}

/// Returns the path of a file beside the queue.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn lock_path(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

fn open(path: &Path) -> Result<(File, PathBuf), SqliteError> {
    let place = lock_path(path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&place).map_err(SqliteError::io("open", &place))?;
    Ok((file, place))
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID_TEXT).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.db");
        assert_eq!(QueueLock::owner(&path).unwrap(), None);
        let lock = QueueLock::acquire(&path).unwrap();
        let error = QueueLock::acquire(&path).unwrap_err();
        let pid = std::process::id();
        assert!(matches!(error, SqliteError::InUse { pid: Some(owner), .. } if owner == pid), "{error}");
        assert!(
            error.to_string().contains(&format!("is in use by process {pid}: stop that process")),
            "{error}"
        );
        assert_eq!(QueueLock::owner(&path).unwrap(), Some(Some(pid)));
        drop(lock);
        assert_eq!(QueueLock::owner(&path).unwrap(), None);
        assert!(QueueLock::wait(&path).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_has_the_lock_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.db");
        std::fs::write(&path, "").unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let _lock = QueueLock::acquire(&path).unwrap();
        assert!(matches!(QueueLock::acquire(&link), Err(SqliteError::InUse { .. })));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = QueueLock::acquire(Path::new("/no-such-folder/inbox.db")).unwrap_err();
        assert!(error.to_string().starts_with("cannot find the folder /no-such-folder: "), "{error}");
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(QueueLock::acquire(folder.path()), Err(SqliteError::NotAFile(_))));
    }
}
