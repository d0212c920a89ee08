//! Atomic writes of the env file (H-2).

#[cfg(unix)]
mod draft;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod trust;

#[cfg(not(unix))]
#[path = "env_file/portable.rs"]
mod folder;

use folder::{ExistingFile, Folder};
use relayline_control::env_file::{self, EnvFileError};
use relayline_core::secret::Secret;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Maximum size of an env file, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// Maximum growth of an env file in bytes: names, credentials and URLs.
const GROWTH: u64 = 4096;

/// Error returned when an env file was not written. The existing file is unchanged.
#[derive(Debug)]
pub(crate) enum EnvFileWriteError {
    /// Reading, writing or renaming failed.
    Io(&'static str, PathBuf, io::Error),
    /// It belongs to another user.
    Owner(PathBuf, io::Error),
    /// It is not a regular file, or it is larger than any env file.
    NoEnvFile(PathBuf, &'static str),
    /// Another user could read or replace it.
    Untrusted(PathBuf, String),
    /// A value cannot be written to an env file.
    Content(EnvFileError),
}

impl std::fmt::Display for EnvFileWriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EnvFileWriteError::Io(what, path, error) => {
                write!(f, "cannot {what} {}: {error}; name another file with --env-file", path.display())
            }
            EnvFileWriteError::Owner(path, error) => {
                write!(f, "{} belongs to another user ({error}): run this as its owner", path.display())
            }
            EnvFileWriteError::NoEnvFile(path, why) => {
                write!(f, "{} {why}: name another file with --env-file", path.display())
            }
            EnvFileWriteError::Untrusted(path, why) => {
                let path = path.display();
                write!(f, "{path} {why}: name a file of your own with --env-file, or give --force")
            }
            EnvFileWriteError::Content(error) => error.fmt(f),
        }
    }
}

/// Env file that was tested to be writable, so that errors occur before a token is used.
#[derive(Debug)]
pub(crate) struct EnvFile {
    /// Path of the file, with links resolved.
    path: PathBuf,
    folder: Folder,
    name: OsString,
    /// True if the path was a symbolic link, which is followed only if forced.
    is_linked: bool,
}

impl EnvFile {
    /// Prepares a write. Creates the folder, for its owner only, if it is missing.
    ///
    /// # Errors
    /// The file could not be written. Unless `is_forced`, also if another user could read or replace it: it must be a
    /// regular file of this user with one name, in folders that only root and this user can change.
    pub(crate) fn open(path: &Path, is_forced: bool) -> Result<EnvFile, EnvFileWriteError> {
        let found = if is_forced { target(path) } else { Ok(path.to_owned()) };
        let found =
            found.map_err(|error| EnvFileWriteError::Io("follow the link", path.to_owned(), error))?;
        let Some(name) = found.file_name().map(OsString::from) else {
            return Err(EnvFileWriteError::NoEnvFile(found, "is not a file"));
        };
        let folder = Folder::open(found.parent().unwrap_or(Path::new("")), is_forced)?;
        let file = EnvFile { is_linked: found != path, path: found, folder, name };
        file.try_write()?;
        Ok(file)
    }

    /// Removes temporary files when a signal ends the program.
    pub(crate) fn remove_drafts_on_signals() -> io::Result<()> {
        folder::remove_drafts_on_signals()
    }

    /// Tests a write of the maximum size, and removes the file.
    fn try_write(&self) -> Result<(), EnvFileWriteError> {
        let old = self.folder.existing(&self.name, &self.path)?;
        let len = old.as_ref().map_or(0, ExistingFile::len);
        self.check_size(len)?;
        let failed = |error| EnvFileWriteError::Io("write beside", self.path.clone(), error);
        let mut draft = self.folder.draft().map_err(failed)?;
        if let Some(old) = &old {
            let taken = old.give_to(&draft, self.is_linked);
            taken.map_err(|error| EnvFileWriteError::Owner(self.path.clone(), error))?;
        }
        io::copy(&mut io::repeat(b'\n').take(len + GROWTH), draft.file()).map_err(failed)?;
        Ok(())
    }

    fn check_size(&self, bytes: u64) -> Result<(), EnvFileWriteError> {
        if bytes > MAX_BYTES {
            return Err(EnvFileWriteError::NoEnvFile(self.path.clone(), "is larger than any env file"));
        }
        Ok(())
    }

    fn failed(&self, what: &'static str, error: io::Error) -> EnvFileWriteError {
        EnvFileWriteError::Io(what, self.path.clone(), error)
    }

    /// Returns the path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets variables: writes a new file, syncs it to disk, and renames it. Returns true if the file was changed.
    pub(crate) fn set(self, values: &[(&str, &Secret)]) -> Result<bool, EnvFileWriteError> {
        // Opened again: it may have changed since the test.
        let old = self.folder.existing(&self.name, &self.path)?;
        let mut before = Zeroizing::new(Vec::new());
        if let Some(old) = &old {
            let read = (&old.file).take(MAX_BYTES + 1).read_to_end(&mut before);
            read.map_err(|error| self.failed("read", error))?;
            self.check_size(before.len() as u64)?;
        }
        let after = env_file::set(&before, values).map_err(EnvFileWriteError::Content)?;
        if *after == *before && old.as_ref().is_some_and(|old| old.is_private() || self.is_linked) {
            return Ok(false);
        }
        let mut draft = self.folder.draft().map_err(|error| self.failed("write beside", error))?;
        if let Some(old) = &old {
            let taken = old.give_to(&draft, self.is_linked);
            taken.map_err(|error| EnvFileWriteError::Owner(self.path.clone(), error))?;
        }
        let written = draft.file().write_all(&after).and_then(|()| draft.file().sync_all());
        written.map_err(|error| self.failed("write beside", error))?;
        draft.replace(&self.name).map_err(|error| self.failed("replace", error))?;
        // Best effort: without this a power failure may restore the old file, which is harmless.
        let _ = self.folder.sync();
        Ok(true)
    }
}

/// Resolves the links of a path. The target may not exist.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let link = fs::read_link(&path)?;
                path = path.parent().map(|folder| folder.join(&link)).unwrap_or(link);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn set(path: &Path, values: &[(&str, &str)]) -> Result<bool, EnvFileWriteError> {
        set_in(path, false, values)
    }

    fn forced(path: &Path, values: &[(&str, &str)]) -> Result<bool, EnvFileWriteError> {
        set_in(path, true, values)
    }

    fn set_in(path: &Path, is_forced: bool, values: &[(&str, &str)]) -> Result<bool, EnvFileWriteError> {
        let values: Vec<_> = values.iter().map(|(key, value)| (*key, Secret::from(*value))).collect();
        let values: Vec<_> = values.iter().map(|(key, value)| (*key, value)).collect();
        EnvFile::open(path, is_forced)?.set(&values)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// H-2: a new file has the mode 0600, a second run changes nothing, and no other file is left.
    #[test]
    fn h_2_a_file_is_created_replaced_and_then_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/.env");
        assert!(set(&path, &[("ID", "1")]).unwrap());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("ID=1\n", 0o600));
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        let inode = fs::metadata(&path).unwrap().ino();
        assert!(!set(&path, &[("ID", "1")]).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        // A file that others can read becomes private, even if nothing else changes.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(set(&path, &[("ID", "1")]).unwrap());
        assert_eq!((mode(&path), names(path.parent().unwrap())), (0o600, vec![".env".to_owned()]));
    }

    /// H-2: a link is refused. If forced, it stays a link to the new file, and that file's mode is kept.
    #[test]
    fn h_2_a_link_is_refused_or_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let [real, link, chain] = ["real", "link", "chain"].map(|name| folder.path().join(name));
        symlink("real", &link).unwrap();
        symlink(&link, &chain).unwrap();
        let refused = set(&chain, &[("ID", "1")]).unwrap_err().to_string();
        assert!(
            refused.contains("chain is a symbolic link of ") && refused.ends_with("give --force"),
            "{refused}"
        );
        // Also if the target does not exist yet.
        for value in ["1", "2"] {
            assert!(forced(&chain, &[("ID", value)]).unwrap());
            assert_eq!(fs::read_to_string(&real).unwrap(), format!("ID={value}\n"));
            assert!(fs::symlink_metadata(&chain).unwrap().is_symlink());
            fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        }
        assert!(!forced(&chain, &[("ID", "2")]).unwrap());
        assert!(forced(&chain, &[("ID", "3")]).unwrap());
        assert_eq!(mode(&real), 0o640);
        assert_eq!(names(folder.path()), ["chain", "link", "real"]);
        fs::remove_file(&real).unwrap();
        symlink("chain", &real).unwrap();
        assert!(
            forced(&chain, &[("ID", "3")])
                .unwrap_err()
                .to_string()
                .contains("too many levels of symbolic links")
        );
    }

    /// H-2: a file with a second name is refused. If forced, the other name keeps its content and mode.
    #[test]
    fn h_2_a_hard_link_is_refused_or_kept() {
        let folder = tempfile::tempdir().unwrap();
        let [file, other] = ["file", "other"].map(|name| folder.path().join(name));
        fs::write(&other, "OTHER=1\n").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(&other, &file).unwrap();
        let refused = set(&file, &[("ID", "1")]).unwrap_err().to_string();
        assert!(refused.contains(" and has 2 names (hard links): "), "{refused}");
        assert!(forced(&file, &[("ID", "1")]).unwrap());
        assert_eq!((fs::read_to_string(&other).unwrap().as_str(), mode(&other)), ("OTHER=1\n", 0o644));
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("OTHER=1\nID=1\n", 0o600));
    }

    /// H-2: the folder and all folders above it are checked. A sticky folder counts as private, and `--force` overrides
    /// the check.
    #[test]
    fn h_2_a_folder_that_others_can_change_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("a/b");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(".env");
        for place in [&folder, &top.path().join("a")] {
            for (mode, is_refused) in [(0o777, true), (0o1777, false), (0o755, false), (0o707, true)] {
                fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
                let result = set(&path, &[("ID", "1")]).map(drop).map_err(|error| error.to_string());
                assert_eq!(result.is_err(), is_refused, "{mode:o} {result:?}");
                if let Err(refused) = result {
                    let expected =
                        format!(" and is writable by everybody (mode {mode:04o}): name a file of your own");
                    assert!(refused.contains(&expected), "{refused}");
                    assert!(refused.starts_with(&place.display().to_string()), "{refused}");
                    assert!(forced(&path, &[("ID", "1")]).is_ok());
                }
            }
            fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // Folders on the way of a link are checked, too.
        let way = top.path().join("way");
        symlink(&folder, &way).unwrap();
        assert!(set(&way.join(".env"), &[("ID", "2")]).unwrap());
        assert!(set(&way.join("../b/.env"), &[("ID", "3")]).unwrap());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(set(&way.join(".env"), &[("ID", "4")]).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "ID=3\n");
    }

    /// H-2: a file that is too large is refused and unchanged, also if it has grown since it was opened.
    #[test]
    fn h_2_a_file_that_is_too_large_is_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, "ID=1\n").unwrap();
        let opened = EnvFile::open(&path, false).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        for error in
            [opened.set(&[("ID", &Secret::from("2"))]).unwrap_err(), set(&path, &[("ID", "2")]).unwrap_err()]
        {
            let error = error.to_string();
            assert!(error.contains("is larger than any env file"), "{error}");
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), MAX_BYTES + 1);
        assert_eq!(names(folder.path()), [".env"]);
    }

    /// H-2: a folder and a pipe are refused without waiting, and so is a path that goes through a file.
    #[test]
    fn h_2_a_path_that_is_not_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = set(folder.path(), &[("ID", "1")]).unwrap_err().to_string();
        assert!(error.ends_with("is not a regular file: name another file with --env-file"), "{error}");
        let pipe = folder.path().join("pipe");
        let flags = (rustix::fs::CWD, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(flags.0, &pipe, flags.1, flags.2, 0).unwrap();
        let error = forced(&pipe, &[("ID", "1")]).unwrap_err().to_string();
        assert!(error.ends_with("is not a regular file: name another file with --env-file"), "{error}");
        let path = folder.path().join("file/.env");
        fs::write(folder.path().join("file"), "").unwrap();
        let error = set(&path, &[("ID", "1")]).unwrap_err().to_string();
        assert!(error.starts_with("cannot "), "{error}");
        assert_eq!(names(folder.path()), ["file", "pipe"]);
    }
}
