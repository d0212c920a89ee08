//! Folder of an env file on systems without Unix owners and modes: who can read a file is unknown there.

use super::EnvFileWriteError;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// File that existed before.
pub(super) struct ExistingFile {
    pub(super) file: File,
    len: u64,
}

impl ExistingFile {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn is_private(&self) -> bool {
        true
    }

    pub(super) fn give_to(&self, _: &Draft, _: bool) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(path: &Path, _: bool) -> Result<Folder, EnvFileWriteError> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let failed = |error| EnvFileWriteError::Io("make the folder", path.to_owned(), error);
        fs::create_dir_all(path).map_err(failed)?;
        Ok(Folder(path.to_owned()))
    }

    pub(super) fn existing(
        &self,
        name: &OsStr,
        path: &Path,
    ) -> Result<Option<ExistingFile>, EnvFileWriteError> {
        let failed = |error| EnvFileWriteError::Io("read", path.to_owned(), error);
        let file = match File::open(self.0.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(EnvFileWriteError::NoEnvFile(path.to_owned(), "is not a regular file"));
        }
        Ok(Some(ExistingFile { file, len: metadata.len() }))
    }

    pub(super) fn draft(&self) -> io::Result<Draft> {
        let file = tempfile::Builder::new().prefix(".env.").tempfile_in(&self.0)?;
        Ok(Draft { folder: self.0.clone(), file })
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Temporary file of an env file, which is renamed to the env file when it is complete.
pub(super) struct Draft {
    folder: PathBuf,
    file: NamedTempFile,
}

impl Draft {
    pub(super) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    pub(super) fn replace(self, name: &OsStr) -> io::Result<()> {
        self.file.persist(self.folder.join(name)).map(drop).map_err(|error| error.error)
    }
}

pub(super) fn remove_drafts_on_signals() -> io::Result<()> {
    Ok(())
}
