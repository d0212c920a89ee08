//! The files of a recording.

use super::journal::Store;
use crate::recording::parts;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files of one recording: `session.jsonl`, `session.1.jsonl`, ….
#[derive(Debug)]
pub(super) struct Files {
    first: PathBuf,
    file: File,
    /// Length of the complete lines in the file; `None` for special files.
    whole: Option<u64>,
    /// True if the file ends in an incomplete line that could not be removed.
    torn: bool,
}

impl Files {
    /// Creates the first file. Files that are not empty are left unchanged. With rotation the later files are checked
    /// now, not during a session.
    pub(super) fn create(first: &Path, rotates: bool) -> io::Result<Files> {
        let holds_something = |path: &Path| path.metadata().is_ok_and(|is| !is.is_file() || is.len() > 0);
        let later = if rotates { parts::later_parts(first, 0) } else { Vec::new() };
        if let Some((_, taken)) = later.into_iter().find(|(_, path)| holds_something(path)) {
            let problem = format!(
                "{} exists and is not empty, and a later part of the recording would need that name: name another file, \
                 or remove that one",
                taken.file_name().unwrap_or_default().display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, problem));
        }
        let (file, whole) = open(first)?;
        Ok(Files { first: first.to_owned(), file, whole, torn: false })
    }
}

fn open(path: &Path) -> io::Result<(File, Option<u64>)> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    // The file contains private messages.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "it exists and is not empty: name another file, or remove it",
        ));
    }
    Ok((file, metadata.is_file().then_some(0)))
}

impl Store for Files {
    fn begin(&mut self, part: u32) -> io::Result<()> {
        (self.file, self.whole) = open(&parts::path(&self.first, part))?;
        self.torn = false;
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let written = self.file.write_all(line);
        match (&written, &mut self.whole) {
            (Ok(()), Some(whole)) => *whole += line.len() as u64,
            (Ok(()), None) => {}
            // A full disk may have written a part of the line.
            (Err(_), whole) => self.torn = !whole.is_some_and(|whole| self.file.set_len(whole).is_ok()),
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_empty_is_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        std::fs::write(&path, "precious").unwrap();
        let error = Files::create(&path, false).unwrap_err();
        assert_eq!(error.to_string(), "it exists and is not empty: name another file, or remove it");
        std::fs::write(&path, "").unwrap();
        let later = folder.path().join("s.12.jsonl");
        std::fs::write(&later, "x").unwrap();
        std::fs::write(folder.path().join("s.1.jsonl"), "").unwrap();
        let error = Files::create(&path, true).unwrap_err().to_string();
        assert!(error.starts_with("s.12.jsonl exists and is not empty, and a later part"), "{error}");
        assert!(Files::create(&path, false).is_ok(), "it stays one file");
        std::fs::remove_file(later).unwrap();
        let mut files = Files::create(&path, true).unwrap();
        files.append(b"a\n").unwrap();
        files.begin(1).unwrap();
        files.append(b"b\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n");
        assert_eq!(std::fs::read_to_string(folder.path().join("s.1.jsonl")).unwrap(), "b\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_recording_is_private_to_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        Files::create(&path, false).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
}
