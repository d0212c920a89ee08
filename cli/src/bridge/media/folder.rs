//! Folder of the agent's files: containment of paths, and atomic replacement of files.

use crate::random;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(unix)]
#[path = "folder/unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "folder/portable.rs"]
mod system;

use system::Folder;

/// Drafts and their folders. Drafts are created, renamed and removed under this lock.
static DRAFTS: Mutex<BTreeMap<String, Arc<Folder>>> = Mutex::new(BTreeMap::new());

fn drafts() -> MutexGuard<'static, BTreeMap<String, Arc<Folder>>> {
    DRAFTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all drafts before an immediate exit. No draft is created afterwards.
pub(crate) fn remove_drafts() {
    let mut drafts = drafts();
    for (name, folder) in std::mem::take(&mut *drafts) {
        folder.remove(&name);
    }
    std::mem::forget(drafts);
}

/// Folder that the agent's paths are relative to, and that they may not leave.
#[derive(Clone, Debug)]
pub(crate) struct MediaFolder {
    /// Canonical path.
    root: PathBuf,
    /// True if paths may leave the folder.
    is_open: bool,
}

impl MediaFolder {
    /// Finds the folder; the working folder by default. With `is_open` paths may leave it.
    ///
    /// # Errors
    /// There is no such folder.
    pub(crate) fn find(path: Option<&Path>, is_open: bool) -> io::Result<MediaFolder> {
        let root = fs::canonicalize(path.unwrap_or(Path::new(".")))?;
        match root.is_dir() {
            true => Ok(MediaFolder { root, is_open }),
            false => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder")),
        }
    }

    /// Returns a folder in which no path exists.
    pub(crate) fn none() -> MediaFolder {
        MediaFolder { root: PathBuf::new(), is_open: false }
    }

    /// Resolves the links of a path, and checks that it stays in the folder.
    ///
    /// # Errors
    /// The path leads out of the folder, or does not name a file.
    pub(crate) fn resolve(&self, path: &str) -> Result<MediaFile, String> {
        let failed = |error: io::Error| format!("{path:?}: {error}");
        let whole = self.root.join(path);
        let (Some(parent), Some(name)) = (whole.parent(), whole.file_name().filter(|_| !path.is_empty()))
        else {
            return Err(format!("{path:?} names no file"));
        };
        let real = match fs::symlink_metadata(&whole) {
            Ok(found) if found.is_symlink() => fs::canonicalize(&whole).map_err(failed)?,
            _ => fs::canonicalize(parent).map_err(failed)?.join(name),
        };
        let (Some(parent), Some(name)) = (real.parent(), real.file_name().and_then(|name| name.to_str()))
        else {
            return Err(format!("{path:?} names no file"));
        };
        // The checked path is the one that is opened: no link is followed from here on.
        let folder = match parent.strip_prefix(&self.root) {
            _ if real == self.root => return Err(format!("{path:?} is a folder: name a file")),
            Err(_) if !self.is_open => return Err(self.outside(path)),
            _ if real.is_dir() => return Err(format!("{path:?} is a folder: name a file")),
            Ok(below) => Folder::below(&self.root, below),
            Err(_) => Folder::below(parent, Path::new("")),
        };
        let folder = Arc::new(folder.map_err(failed)?);
        Ok(MediaFile { folder, name: name.to_owned(), path: path.to_owned() })
    }

    fn outside(&self, path: &str) -> String {
        format!(
            "{path:?} is outside of the media folder {}: name a file in it, or start with --media-dir or --media-anywhere",
            self.root.display()
        )
    }
}

/// File of the agent, which may not exist yet.
#[derive(Debug)]
pub(crate) struct MediaFile {
    folder: Arc<Folder>,
    name: String,
    /// Path as the agent writes it.
    path: String,
}

impl MediaFile {
    /// Opens the file. Returns it with its length and name.
    pub(crate) fn open(self) -> Result<(File, u64, String), String> {
        let failed = |error: io::Error| format!("{:?}: {error}", self.path);
        let file = self.folder.open(&self.name).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(format!("{:?} is not a regular file", self.path));
        }
        Ok((file, found.len(), self.name))
    }
}

/// Temporary file beside its target. It is removed if it is dropped before it is finished.
#[derive(Debug)]
pub(crate) struct Draft {
    target: MediaFile,
    name: String,
}

impl Draft {
    /// Creates a draft for a target.
    pub(crate) fn begin(target: MediaFile) -> Result<(Draft, File), String> {
        let random = random::hex::<8>().map_err(|error| format!("no randomness: {error}"))?;
        let name = format!(".relayline-{random}.part");
        let mut drafts = drafts();
        let file = target.folder.create(&name).map_err(|error| format!("{:?}: {error}", target.path))?;
        drafts.insert(name.clone(), target.folder.clone());
        Ok((Draft { target, name }, file))
    }

    /// Renames the draft to its target, replacing it.
    pub(crate) fn finish(self) -> Result<(), String> {
        let MediaFile { folder, name, path } = &self.target;
        let mut drafts = drafts();
        let renamed = folder.rename(&self.name, name).map_err(|error| format!("{path:?}: {error}"));
        if renamed.is_ok() {
            drafts.remove(&self.name);
        }
        renamed
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(folder) = drafts().remove(&self.name) {
            folder.remove(&self.name);
        }
    }
}
