//! Temporary folders.

use crate::random;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Temporary folder that only this user can enter. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Creates a folder.
    ///
    /// # Errors
    /// The system has no randomness, or no folder can be created in its folder for temporary files.
    pub(crate) fn create() -> io::Result<TemporaryFolder> {
        let name = random::hex::<8>().map_err(io::Error::other)?;
        let path = std::env::temp_dir().join(format!("relayline-{name}"));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(TemporaryFolder(path))
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_users_alone_and_is_removed_with_its_files() {
        let folder = TemporaryFolder::create().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        }
        drop(folder);
        assert!(!path.exists());
    }
}
