//! Flags for the files of agents.

use crate::bridge::MediaFolder;
use crate::fail;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags for the files of agents.
#[derive(Debug, Args)]
pub(crate) struct MediaArguments {
    /// Folder of the agent's files; the working folder by default.
    ///
    /// Paths of the ops upload, download and send_media are relative to it. Symbolic links are followed. A path that leads
    /// out of the folder is rejected.
    #[arg(long, value_name = "DIR")]
    media_dir: Option<PathBuf>,

    /// Let the agent upload and download files outside of the media folder.
    #[arg(long)]
    media_anywhere: bool,
}

impl MediaArguments {
    /// Returns the folder that was given.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.media_dir.as_deref()
    }

    /// Finds the folder.
    ///
    /// # Errors
    /// There is no such folder: the exit code, after the error was printed.
    pub(crate) fn folder(&self) -> Result<MediaFolder, ExitCode> {
        MediaFolder::find(self.dir(), self.media_anywhere).map_err(|error| {
            let folder = self.dir().unwrap_or(Path::new("."));
            fail(2, format_args!("--media-dir {}: {error}; name a folder", folder.display()))
        })
    }
}
