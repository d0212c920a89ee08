//! File of `--acp-state`: written as a whole beside its place, and renamed.

use crate::random;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Maximum size of the file, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// File in which the sessions are saved. It names chats, so that only its owner can read it.
#[derive(Clone, Debug)]
pub(crate) struct SessionFile {
    path: PathBuf,
}

/// Reads the file as a text.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 64 MiB, the maximum"));
    }
    Ok(text)
}

impl SessionFile {
    /// Names the file. A link is followed if its file exists, so that a write does not replace the link.
    pub(crate) fn new(path: &Path) -> SessionFile {
        SessionFile { path: path.canonicalize().unwrap_or_else(|_| path.to_owned()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file. An interrupted write leaves the old file.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        let random = random::hex::<8>().map_err(io::Error::other)?;
        let draft = format!(".relayline-{random}.part");
        let draft = self.path.with_file_name(draft);
        let written = create(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&draft, &self.path)).inspect_err(|_| {
            // There is none if it could not be created.
            let _ = fs::remove_file(&draft);
        })
    }
}

/// Creates a file that only its owner can read, from the first byte on.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_file_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = SessionFile::new(&folder.path().join("sessions.json"));
        for text in ["one", "two"] {
            file.write(text).unwrap();
            assert_eq!(read(file.path()).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_file_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        SessionFile::new(&link).write("new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        // A folder cannot be replaced by a file.
        let path = folder.path().join("sessions.json");
        fs::create_dir(&path).unwrap();
        assert!(SessionFile::new(&path).write("text").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(SessionFile::new(&folder.path().join("missing/x")).write("text").is_err());
    }
}
