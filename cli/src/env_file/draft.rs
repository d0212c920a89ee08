//! Temporary file of an env file, which is renamed to the env file when it is complete. It is removed however the
//! program ends, also by a signal.

use crate::random;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Folder and name of each existing draft. Drafts are created, renamed and removed under this lock.
static DRAFTS: Mutex<Vec<(OwnedFd, OsString)>> = Mutex::new(Vec::new());

fn drafts() -> MutexGuard<'static, Vec<(OwnedFd, OsString)>> {
    DRAFTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all drafts when a signal ends the program, and then lets the signal end it. Signals that are ignored stay
/// ignored, as under `nohup` or in the background of a shell.
pub(super) fn remove_on_signals() -> io::Result<()> {
    let ignored = crate::signals::ignored().unwrap_or_default();
    let ending = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];
    let mut signals = Signals::new(ending.into_iter().filter(|signal| !ignored.contains(signal)))?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            // The lock is held until the end, so that no draft is created or renamed afterwards.
            let mut drafts = drafts();
            for (folder, name) in drafts.drain(..) {
                let _ = unlinkat(folder, name, AtFlags::empty());
            }
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

#[derive(Debug)]
pub(super) struct Draft {
    folder: OwnedFd,
    name: OsString,
    file: File,
}

impl Draft {
    /// Creates a draft that only its owner can read, from the first byte on.
    pub(super) fn begin(folder: OwnedFd) -> io::Result<Draft> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let known = folder.try_clone()?;
        let mut drafts = drafts();
        loop {
            let random = random::hex::<8>().map_err(io::Error::other)?;
            let name = OsString::from(format!(".env.{random}"));
            match openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    drafts.push((known, name.clone()));
                    return Ok(Draft { folder, name, file: File::from(file) });
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Sets its owner. Only root can set any group, and the mode gives the group no access.
    pub(super) fn own(&self, uid: u32, gid: u32) -> io::Result<()> {
        let ours = fstat(&self.file)?;
        if ours.st_uid != uid {
            fchown(&self.file, Some(Uid::from_raw(uid)), None)?;
        }
        if ours.st_gid != gid {
            let _ = fchown(&self.file, None, Some(Gid::from_raw(gid)));
        }
        Ok(())
    }

    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fchmod(&self.file, Mode::from_raw_mode(mode as rustix::fs::RawMode))?)
    }

    /// Renames it to this name, replacing the file of that name.
    pub(super) fn replace(self, name: &OsStr) -> io::Result<()> {
        let mut drafts = drafts();
        renameat(&self.folder, &self.name, &self.folder, name)?;
        // It is no draft any more, so nothing removes it.
        drafts.retain(|(_, draft)| *draft != self.name);
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut drafts = drafts();
        if let Some(at) = drafts.iter().position(|(_, draft)| *draft == self.name) {
            let (folder, name) = drafts.swap_remove(at);
            let _ = unlinkat(folder, name, AtFlags::empty());
        }
    }
}
