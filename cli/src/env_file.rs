//! The env file on disk: the old one or the new one, never something in between (H-2).

use relayline_core::env_file::{self, Unwritable};
use relayline_core::secret::Secret;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// The largest env file that is taken for one.
const MOST: u64 = 16 << 20;

/// Why an env file was not written. The old one is as it was.
#[derive(Debug)]
pub(crate) enum EnvFileError {
    /// Reading, writing or renaming failed.
    Io(&'static str, PathBuf, io::Error),
    /// It would get another owner, who could not read it or should not.
    Owner(PathBuf, io::Error),
    /// It is no file, or larger than any env file.
    NoEnvFile(PathBuf, &'static str),
    /// A value that no env file can hold.
    Unwritable(Unwritable),
}

impl std::fmt::Display for EnvFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EnvFileError::Io(what, path, error) => {
                write!(f, "cannot {what} {}: {error}; name another file with --env-file", path.display())
            }
            EnvFileError::Owner(path, error) => {
                write!(f, "{} belongs to somebody else ({error}): run this as its owner", path.display())
            }
            EnvFileError::NoEnvFile(path, why) => {
                write!(f, "{} {why}: name another file with --env-file", path.display())
            }
            EnvFileError::Unwritable(error) => error.fmt(f),
        }
    }
}

/// An env file that can be written: the new one is begun beside the old one, so that what cannot work fails before
/// anything is asked of anybody.
#[derive(Debug)]
pub(crate) struct EnvFile {
    /// The file itself, where a symbolic link leads to it.
    path: PathBuf,
    old: Option<fs::Metadata>,
    new: NamedTempFile,
}

impl EnvFile {
    /// Gets ready to write. The folder is made, for its owner alone, if need be.
    pub(crate) fn open(path: &Path) -> Result<EnvFile, EnvFileError> {
        let path =
            target(path).map_err(|error| EnvFileError::Io("follow the link", path.to_owned(), error))?;
        let old = match fs::metadata(&path) {
            Ok(old) if !old.is_file() => return Err(EnvFileError::NoEnvFile(path, "is no file")),
            Ok(old) if old.len() > MOST => {
                return Err(EnvFileError::NoEnvFile(path, "is larger than any env file"));
            }
            Ok(old) => Some(old),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(EnvFileError::Io("look at", path, error)),
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        make(&folder).map_err(|error| EnvFileError::Io("make the folder", folder.clone(), error))?;
        let new = begin(&folder).map_err(|error| EnvFileError::Io("write into", folder, error))?;
        if let Some(old) = &old {
            keep_owner(&new, old).map_err(|error| EnvFileError::Owner(path.clone(), error))?;
        }
        Ok(EnvFile { path, old, new })
    }

    fn failed(&self, what: &'static str, error: io::Error) -> EnvFileError {
        EnvFileError::Io(what, self.path.clone(), error)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets these variables: the whole file is written beside the old one, brought to the disk, and takes its name.
    /// Whether anything had to be changed.
    pub(crate) fn set(mut self, values: &[(&str, &Secret)]) -> Result<bool, EnvFileError> {
        let before = match &self.old {
            Some(_) => fs::read(&self.path).map_err(|error| self.failed("read", error))?,
            None => Vec::new(),
        };
        let before = Zeroizing::new(before);
        let after = env_file::set(&before, values).map_err(EnvFileError::Unwritable)?;
        if *after == *before && self.old.as_ref().is_some_and(is_private) {
            return Ok(false);
        }
        let written = self.new.as_file_mut().write_all(&after).and_then(|()| self.new.as_file().sync_all());
        written.map_err(|error| self.failed("write beside", error))?;
        let EnvFile { path, new, .. } = self;
        new.persist(&path).map_err(|error| EnvFileError::Io("replace", path.clone(), error.error))?;
        // The name is in the folder: without this a power cut may bring the old file back, which is harmless.
        let _ = path.parent().map(|folder| File::open(folder).and_then(|folder| folder.sync_all()));
        Ok(true)
    }
}

/// Where a path leads in the end, also when nothing is there yet.
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
    Err(io::Error::other("too many links, one behind the other"))
}

#[cfg(unix)]
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// The new file, readable to its owner alone before there is a byte in it.
fn begin(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".env.");
    #[cfg(unix)]
    builder.permissions(fs::Permissions::from_mode(0o600));
    builder.tempfile_in(folder)
}

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;

#[cfg(unix)]
fn is_private(old: &fs::Metadata) -> bool {
    old.permissions().mode() & 0o7777 == 0o600
}

#[cfg(not(unix))]
fn is_private(_: &fs::Metadata) -> bool {
    true
}

/// A file that is replaced keeps its owner; of its group only root can be sure, and the mode leaves it nothing.
#[cfg(unix)]
fn keep_owner(new: &NamedTempFile, old: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let ours = new.as_file().metadata()?;
    if ours.uid() != old.uid() {
        fchown(new.as_file(), Some(old.uid()), None)?;
    }
    if ours.gid() != old.gid() {
        let _ = fchown(new.as_file(), None, Some(old.gid()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_owner(_: &NamedTempFile, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn set(path: &Path, values: &[(&str, &str)]) -> Result<bool, EnvFileError> {
        let values: Vec<_> = values.iter().map(|(key, value)| (*key, Secret::from(*value))).collect();
        let values: Vec<_> = values.iter().map(|(key, value)| (*key, value)).collect();
        EnvFile::open(path)?.set(&values)
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

    /// H-2: the mode is 0600 from the first byte on, a second run changes nothing, and nothing is left beside it.
    #[test]
    fn h_2_a_file_is_made_replaced_and_then_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/.env");
        assert!(set(&path, &[("ID", "1")]).unwrap());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("ID=1\n", 0o600));
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        let inode = fs::metadata(&path).unwrap().ino();
        assert!(!set(&path, &[("ID", "1")]).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        // One that others may read is made private, even when nothing else is to be changed.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(set(&path, &[("ID", "1")]).unwrap());
        assert_eq!((mode(&path), names(path.parent().unwrap())), (0o600, vec![".env".to_owned()]));
    }

    /// H-2: a link stays a link, and leads to the new file.
    #[test]
    fn h_2_a_link_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let [real, link, chain] = ["real", "link", "chain"].map(|name| folder.path().join(name));
        symlink("real", &link).unwrap();
        symlink(&link, &chain).unwrap();
        // Also when nothing is there yet.
        for value in ["1", "2"] {
            assert!(set(&chain, &[("ID", value)]).unwrap());
            assert_eq!(fs::read_to_string(&real).unwrap(), format!("ID={value}\n"));
            assert!(fs::symlink_metadata(&chain).unwrap().is_symlink());
        }
        assert_eq!(names(folder.path()), ["chain", "link", "real"]);
        fs::remove_file(&real).unwrap();
        symlink("chain", &real).unwrap();
        assert!(set(&chain, &[("ID", "3")]).unwrap_err().to_string().contains("too many links"));
    }

    #[test]
    fn h_2_what_is_no_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let error = set(folder.path(), &[("ID", "1")]).unwrap_err().to_string();
        assert!(error.ends_with("is no file: name another file with --env-file"), "{error}");
        let path = folder.path().join("file/.env");
        fs::write(folder.path().join("file"), "").unwrap();
        let error = set(&path, &[("ID", "1")]).unwrap_err().to_string();
        assert!(error.starts_with("cannot "), "{error}");
        assert_eq!(names(folder.path()), ["file"]);
    }
}
