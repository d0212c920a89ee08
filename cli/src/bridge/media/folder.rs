//! The folder of the agent's files: which paths lie in it, and files in it that are replaced as a whole.

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

/// Drafts that are there, and the folder of each. They are made, renamed and removed under this lock.
static DRAFTS: Mutex<BTreeMap<String, Arc<Folder>>> = Mutex::new(BTreeMap::new());

fn drafts() -> MutexGuard<'static, BTreeMap<String, Arc<Folder>>> {
    DRAFTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes each draft, as the program is about to exit at once. None is made after this.
pub(crate) fn remove_drafts() {
    let mut drafts = drafts();
    for (name, folder) in std::mem::take(&mut *drafts) {
        folder.remove(&name);
    }
    std::mem::forget(drafts);
}

/// The folder that paths of the agent begin at, and that they may not leave.
#[derive(Debug)]
pub(crate) struct MediaFolder {
    /// Without links.
    root: PathBuf,
    /// Paths may leave it.
    is_open: bool,
}

impl MediaFolder {
    /// Finds the folder; the working folder by default. With `is_open` paths may lead anywhere.
    ///
    /// # Errors
    /// When there is no such folder.
    pub(crate) fn find(path: Option<&Path>, is_open: bool) -> io::Result<MediaFolder> {
        let root = fs::canonicalize(path.unwrap_or(Path::new(".")))?;
        match root.is_dir() {
            true => Ok(MediaFolder { root, is_open }),
            false => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder")),
        }
    }

    /// Follows the links of a path, and judges where it leads.
    ///
    /// # Errors
    /// When it leads out of the folder, or names no file.
    pub(super) fn place(&self, path: &str) -> Result<Place, String> {
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
        // What is judged is what is opened: from here on no link is followed.
        let folder = match parent.strip_prefix(&self.root) {
            _ if real == self.root => return Err(format!("{path:?} is a folder: name a file")),
            Err(_) if !self.is_open => return Err(self.outside(path)),
            _ if real.is_dir() => return Err(format!("{path:?} is a folder: name a file")),
            Ok(below) => Folder::below(&self.root, below),
            Err(_) => Folder::below(parent, Path::new("")),
        };
        let folder = Arc::new(folder.map_err(failed)?);
        Ok(Place { folder, name: name.to_owned(), path: path.to_owned() })
    }

    fn outside(&self, path: &str) -> String {
        format!(
            "{path:?} is outside of the media folder {}: name a file in it, or start the gateway with --media-dir or \
             --media-anywhere",
            self.root.display()
        )
    }
}

/// A file of the agent, which may not be there yet.
#[derive(Debug)]
pub(super) struct Place {
    folder: Arc<Folder>,
    name: String,
    /// As the agent writes it.
    path: String,
}

impl Place {
    /// Opens the file; gives its length and name, too.
    pub(super) fn open(self) -> Result<(File, u64, String), String> {
        let failed = |error: io::Error| format!("{:?}: {error}", self.path);
        let file = self.folder.open(&self.name).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(format!("{:?} is not a regular file", self.path));
        }
        Ok((file, found.len(), self.name))
    }
}

/// A file that is being written beside its place. Dropped before it is finished it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    place: Place,
    name: String,
}

impl Draft {
    /// Begins a file for a place.
    pub(super) fn begin(place: Place) -> Result<(Draft, File), String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| format!("no randomness: {error}"))?;
        let name = format!(".relayline-{:016x}.part", u64::from_ne_bytes(random));
        let mut drafts = drafts();
        let file = place.folder.create(&name).map_err(|error| format!("{:?}: {error}", place.path))?;
        drafts.insert(name.clone(), place.folder.clone());
        Ok((Draft { place, name }, file))
    }

    /// Puts the file in its place, over what is there.
    pub(super) fn finish(self) -> Result<(), String> {
        let Place { folder, name, path } = &self.place;
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
