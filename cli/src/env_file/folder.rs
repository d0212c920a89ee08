//! Folder of an env file as an open file descriptor: all checks and the write use the same folder, whatever happens to
//! its path meanwhile.

use super::draft::Draft;
use super::{EnvFileWriteError, trust};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Maximum number of symbolic links that are followed on the way to a folder, as in the kernel.
const LINKS: usize = 40;

/// File that existed before.
pub(super) struct ExistingFile {
    pub(super) file: File,
    pub(super) stat: Stat,
}

impl ExistingFile {
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or_default()
    }

    /// Returns true if only its owner can read it.
    pub(super) fn is_private(&self) -> bool {
        trust::mode(&self.stat) == 0o600
    }

    /// Gives its owner to the file that replaces it. If it was reached by a link, also its mode, since it is not ours
    /// to change.
    pub(super) fn give_to(&self, draft: &Draft, is_linked: bool) -> io::Result<()> {
        draft.own(self.stat.st_uid, self.stat.st_gid)?;
        if is_linked {
            draft.set_mode(trust::mode(&self.stat))?;
        }
        Ok(())
    }
}

/// Removes drafts when a signal ends the program.
pub(super) fn remove_drafts_on_signals() -> io::Result<()> {
    super::draft::remove_on_signals()
}

#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    is_forced: bool,
}

impl Folder {
    /// Opens a folder, and creates missing folders, each for its owner only.
    ///
    /// # Errors
    /// Unless `is_forced`: another user than root and this one could replace the folder, a folder above it, or its
    /// content.
    pub(super) fn open(path: &Path, is_forced: bool) -> Result<Folder, EnvFileWriteError> {
        let failed = |error| EnvFileWriteError::Io("find the folder", path.to_owned(), error);
        let whole = std::env::current_dir().map_err(failed)?.join(path);
        let mut walk = Walk::begin(&whole, is_forced)?;
        while walk.step()? {}
        Ok(Folder { fd: walk.fd, is_forced })
    }

    /// Opens the file of this name, if there is one.
    ///
    /// # Errors
    /// It is not a regular file or, unless forced, not private to this user.
    pub(super) fn existing(
        &self,
        name: &OsStr,
        path: &Path,
    ) -> Result<Option<ExistingFile>, EnvFileWriteError> {
        // Opening a pipe must not block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => {
                if let Ok(stat) = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    self.judge(path, trust::file(&stat))?;
                }
                return Err(EnvFileWriteError::Io("read", path.to_owned(), error.into()));
            }
        };
        let stat =
            fstat(&file).map_err(|error| EnvFileWriteError::Io("look at", path.to_owned(), error.into()))?;
        self.judge(path, trust::file(&stat))?;
        if trust::kind(&stat) != FileType::RegularFile {
            return Err(EnvFileWriteError::NoEnvFile(path.to_owned(), "is not a regular file"));
        }
        Ok(Some(ExistingFile { file, stat }))
    }

    fn judge(&self, path: &Path, why: Option<String>) -> Result<(), EnvFileWriteError> {
        judge(self.is_forced, path, why)
    }

    /// Creates a draft in the folder that only its owner can read.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        Draft::begin(self.fd.try_clone()?)
    }

    /// Syncs the folder's entries to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::fsync(openat(&self.fd, ".", flags, Mode::empty())?)?)
    }
}

fn judge(is_forced: bool, path: &Path, why: Option<String>) -> Result<(), EnvFileWriteError> {
    match why {
        Some(why) if !is_forced => Err(EnvFileWriteError::Untrusted(path.to_owned(), why)),
        Some(_) | None => Ok(()),
    }
}

/// Walk from the root to a folder, entry by entry, so that no folder on the way is looked up twice.
struct Walk {
    fd: OwnedFd,
    /// Path of `fd`, for messages.
    path: PathBuf,
    /// Names that are still to be entered.
    rest: VecDeque<OsString>,
    links: usize,
    is_forced: bool,
}

/// Entry of a folder.
enum Entry {
    Folder(OwnedFd, Stat),
    /// Symbolic link, with its target.
    Link(PathBuf, Stat),
    Missing,
}

impl Walk {
    fn begin(path: &Path, is_forced: bool) -> Result<Walk, EnvFileWriteError> {
        let root = PathBuf::from("/");
        let failed = |error: Errno| EnvFileWriteError::Io("open", root.clone(), error.into());
        let fd = openat(CWD, "/", folder_flags(), Mode::empty()).map_err(failed)?;
        judge(is_forced, &root, trust::folder(&fstat(&fd).map_err(failed)?))?;
        let mut walk = Walk { fd, path: root, rest: VecDeque::new(), links: 0, is_forced };
        walk.expect(path);
        Ok(walk)
    }

    /// Puts the names of a path before those that are still to be entered.
    fn expect(&mut self, path: &Path) {
        for component in path.components().rev() {
            if let Component::Normal(_) | Component::ParentDir = component {
                self.rest.push_front(component.as_os_str().to_owned());
            }
        }
    }

    /// Enters the next folder. Returns false if there is none.
    fn step(&mut self) -> Result<bool, EnvFileWriteError> {
        let Some(name) = self.rest.pop_front() else { return Ok(false) };
        let path = if name == ".." {
            self.path.parent().unwrap_or(&self.path).to_owned()
        } else {
            self.path.join(&name)
        };
        let failed = |what| {
            let path = path.clone();
            move |error: Errno| EnvFileWriteError::Io(what, path, error.into())
        };
        match entry(&self.fd, &name).map_err(failed("open"))? {
            Entry::Folder(fd, stat) => {
                judge(self.is_forced, &path, trust::folder(&stat))?;
                (self.fd, self.path) = (fd, path);
            }
            Entry::Link(target, stat) => {
                judge(self.is_forced, &path, trust::link(&stat))?;
                self.links += 1;
                if self.links > LINKS {
                    return Err(failed("follow")(Errno::LOOP));
                }
                if target.is_absolute() {
                    self.fd = openat(CWD, "/", folder_flags(), Mode::empty()).map_err(failed("follow"))?;
                    self.path = PathBuf::from("/");
                }
                self.expect(&target);
            }
            Entry::Missing => {
                match mkdirat(&self.fd, &name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed("make the folder")(error)),
                }
                // It is entered and checked like an existing folder.
                self.rest.push_front(name);
            }
        }
        Ok(true)
    }
}

/// Returns flags to open a folder for access to its entries. A folder that cannot be listed can still be entered.
fn folder_flags() -> OFlags {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let access = OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let access = OFlags::RDONLY;
    access | OFlags::DIRECTORY | OFlags::CLOEXEC
}

/// Opens an entry once, so that the checked entry is the one that is entered or followed.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn entry(folder: &OwnedFd, name: &OsStr) -> Result<Entry, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Entry::Missing),
        opened => opened?,
    };
    let stat = fstat(&fd)?;
    match trust::kind(&stat) {
        FileType::Directory => Ok(Entry::Folder(fd, stat)),
        FileType::Symlink => Ok(Entry::Link(target(readlinkat(&fd, "", Vec::new())?), stat)),
        _ => Err(Errno::NOTDIR),
    }
}

/// Opens an entry. A link cannot be opened on this system, so it is checked before and after it is read.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn entry(folder: &OwnedFd, name: &OsStr) -> Result<Entry, Errno> {
    let look = || statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let stat = match look() {
        Err(Errno::NOENT) => return Ok(Entry::Missing),
        looked => looked?,
    };
    match trust::kind(&stat) {
        FileType::Directory => {
            let fd = openat(folder, name, folder_flags() | OFlags::NOFOLLOW, Mode::empty())?;
            let stat = fstat(&fd)?;
            Ok(Entry::Folder(fd, stat))
        }
        FileType::Symlink => {
            let to = target(readlinkat(folder, name, Vec::new())?);
            let after = look()?;
            let is_same = (after.st_dev, after.st_ino) == (stat.st_dev, stat.st_ino);
            if is_same { Ok(Entry::Link(to, stat)) } else { Err(Errno::AGAIN) }
        }
        _ => Err(Errno::NOTDIR),
    }
}

fn target(link: std::ffi::CString) -> PathBuf {
    PathBuf::from(OsString::from_vec(link.into_bytes()))
}
