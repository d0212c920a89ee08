//! Files of an agent, which are on this machine or on that of its worker.

#[cfg(feature = "jetstream")]
use super::super::fleet::{RemoteFile, RemoteFiles};
use super::folder::{Draft, MediaFile, MediaFolder};
use futures_util::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "jetstream")]
use futures_util::io::{AsyncWriteExt, BufWriter};
use smol::Unblock;
use std::fs::File;
use std::sync::Arc;

/// Files of an agent.
#[derive(Clone, Debug)]
pub(super) enum AgentFiles {
    Here(Arc<MediaFolder>),
    #[cfg(feature = "jetstream")]
    OfWorker(RemoteFiles),
}

/// File that can be read.
pub(super) struct OpenFile {
    pub(super) content: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) length: u64,
    /// Name without folders.
    pub(super) name: String,
}

/// File that is written. It replaces the former one once it is finished, and is removed if it is dropped before.
pub(super) enum NewFile {
    Here(Draft, Unblock<File>),
    #[cfg(feature = "jetstream")]
    OfWorker(BufWriter<RemoteFile>),
}

impl AgentFiles {
    /// Opens a file.
    ///
    /// # Errors
    /// The text for the agent.
    pub(super) async fn open(&self, path: String) -> Result<OpenFile, String> {
        match self {
            AgentFiles::Here(folder) => {
                let folder = folder.clone();
                let opened = smol::unblock(move || folder.resolve(&path).and_then(MediaFile::open));
                let (file, length, name) = opened.await?;
                Ok(OpenFile { content: Box::new(Unblock::new(file)), length, name })
            }
            #[cfg(feature = "jetstream")]
            AgentFiles::OfWorker(files) => {
                let (content, length, name) = files.open(path).await?;
                Ok(OpenFile { content, length, name })
            }
        }
    }

    /// Creates a file.
    ///
    /// # Errors
    /// The text for the agent.
    pub(super) async fn create(&self, path: String) -> Result<NewFile, String> {
        match self {
            AgentFiles::Here(folder) => {
                let folder = folder.clone();
                let begun = smol::unblock(move || folder.resolve(&path).and_then(Draft::begin));
                let (draft, file) = begun.await?;
                Ok(NewFile::Here(draft, Unblock::new(file)))
            }
            #[cfg(feature = "jetstream")]
            AgentFiles::OfWorker(files) => Ok(NewFile::OfWorker(files.create(path).await?)),
        }
    }
}

impl NewFile {
    /// Returns the end at which it is written.
    pub(super) fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            NewFile::Here(_, file) => file,
            #[cfg(feature = "jetstream")]
            NewFile::OfWorker(file) => file,
        }
    }

    /// Finishes it.
    ///
    /// # Errors
    /// The text for the agent.
    pub(super) async fn finish(self) -> Result<(), String> {
        match self {
            NewFile::Here(draft, _) => smol::unblock(move || draft.finish()).await,
            #[cfg(feature = "jetstream")]
            NewFile::OfWorker(mut file) => {
                file.flush().await.map_err(|error| error.to_string())?;
                file.into_inner().finish().await.map(drop)
            }
        }
    }
}
