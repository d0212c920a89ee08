//! Upload and download of the agent's files (H-7).

mod agent_files;
mod folder;

use super::delivery::AgentDelivery;
use super::execution::{OpResult, StartedOp, definite, reply_json};
#[cfg(feature = "jetstream")]
use super::fleet::RemoteFiles;
use super::parts::submit_when_room;
use agent_files::{AgentFiles, OpenFile};
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::io::AsyncReadExt;
use relayline_control::http::media::MediaError;
use relayline_core::command::{Command, Failure, FailureKind};
use relayline_core::op::{Op, SendMedia};
use relayline_runtime::Relay;
use serde_json::json;
use smol::lock::Semaphore;
use std::io;
use std::sync::Arc;

#[cfg(feature = "jetstream")]
pub(crate) use folder::{Draft, MediaFile};
pub(crate) use folder::{MediaFolder, remove_drafts};

/// MIME type of a file whose name has no known extension.
const ANY_TYPE: &str = "application/octet-stream";
/// MIME types by file name extension.
const TYPES: [(&str, &str); 24] = [
    ("aac", "audio/aac"),
    ("csv", "text/csv"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
];

/// File to upload.
#[derive(Debug)]
pub(super) struct UploadFile {
    pub(super) path: String,
    pub(super) content_type: Option<String>,
    pub(super) filename: Option<String>,
}

/// Transfers of the agents' files.
#[derive(Clone, Debug)]
pub(crate) struct Media {
    files: AgentFiles,
    transfers: Arc<Semaphore>,
}

impl Media {
    /// Creates transfers from a folder, at most `transfers` at a time.
    pub(crate) fn new(folder: MediaFolder, transfers: usize) -> Media {
        let files = AgentFiles::Here(Arc::new(folder));
        Media { files, transfers: Arc::new(Semaphore::new(transfers)) }
    }

    /// Returns the transfers of a worker's agent, which count with the others.
    #[cfg(feature = "jetstream")]
    pub(super) fn of_worker(&self, files: RemoteFiles) -> Media {
        Media { files: AgentFiles::OfWorker(files), transfers: self.transfers.clone() }
    }

    /// Begins a download into the file at `path`.
    pub(super) fn download(&self, relay: &Relay, url: String, path: String) -> StartedOp {
        let (media, relay) = (self.clone(), relay.clone());
        StartedOp::Transfer(async move { media.fetch(&relay, &url, path).await }.boxed())
    }

    /// Begins an upload.
    pub(super) fn upload(&self, relay: &Relay, file: UploadFile) -> StartedOp {
        let (media, relay) = (self.clone(), relay.clone());
        let upload = async move {
            let (url, bytes, _) = media.store(&relay, file).await?;
            Ok(json!({ "url": url, "bytes": bytes }))
        };
        StartedOp::Transfer(upload.boxed())
    }

    /// Begins to upload a file and to send it. Ops for the same chat wait for the end. If the file could not be sent,
    /// nothing is uploaded (O-9).
    pub(super) fn send(&self, relay: &Relay, path: String, mut send: SendMedia) -> StartedOp {
        if let Err(failure) = relay.check(&send.clone().into()) {
            return StartedOp::Done(Err(failure));
        }
        let (media, relay, chat_id) = (self.clone(), relay.clone(), send.chat_id.clone());
        let all = async move {
            let file = UploadFile { path, content_type: None, filename: send.filename.clone() };
            let (url, _, name) = media.store(&relay, file).await?;
            send.source_url = url;
            send.filename.get_or_insert(name);
            submit_when_room(&relay, Command::Op(Op::SendMedia(send))).await.map(reply_json)
        };
        StartedOp::Parts(chat_id, all.boxed())
    }

    /// Downloads into the file at `path`. The result has its `content_type` and its `bytes`.
    pub(crate) async fn fetch(&self, relay: &Relay, url: &str, path: String) -> OpResult {
        let _transfer = self.transfers.acquire().await;
        let mut file = self.files.create(path.clone()).await.map_err(definite)?;
        let received = relay.download(url, file.writer()).await.map_err(failure)?;
        file.finish().await.map_err(definite)?;
        Ok(json!({ "path": path, "content_type": received.content_type, "bytes": received.length }))
    }

    /// Reads the file at `path`; `None` if it is larger than `max` bytes.
    ///
    /// # Errors
    /// It is not a regular file of the folder.
    pub(crate) async fn read(&self, path: String, max: usize) -> Result<Option<Vec<u8>>, String> {
        let failed = |error: io::Error| format!("{path:?}: {error}");
        let file = self.files.open(path.clone()).await?;
        let mut content = Vec::new();
        file.content.take(max as u64 + 1).read_to_end(&mut content).await.map_err(failed)?;
        Ok((content.len() <= max).then_some(content))
    }

    /// Uploads a file. Returns its URL, its length and its name.
    async fn store(&self, relay: &Relay, file: UploadFile) -> Result<(String, u64, String), Failure> {
        let _transfer = self.transfers.acquire().await;
        let UploadFile { path, content_type, filename } = file;
        let OpenFile { content, length, name } = self.files.open(path).await.map_err(definite)?;
        let name = filename.unwrap_or(name);
        let content_type = content_type.unwrap_or_else(|| type_of(&name).to_owned());
        let uploaded = relay.upload(&content_type, Some(&name), length, content).await;
        Ok((uploaded.map_err(failure)?.url, length, name))
    }

    /// Begins to put the files of a message on the machine of a worker's agent. Returns the delivery as it is if there is
    /// nothing to do.
    pub(super) fn place(&self, delivery: Box<AgentDelivery>) -> Result<Box<AgentDelivery>, PlacedDelivery> {
        match &self.files {
            #[cfg(feature = "jetstream")]
            AgentFiles::OfWorker(files) if delivery.media.iter().any(Option::is_some) => {
                Err(place(self.transfers.clone(), files.clone(), delivery).boxed_local())
            }
            _ => Ok(delivery),
        }
    }
}

/// Delivery, once its files are on the machine of its agent.
pub(super) type PlacedDelivery = LocalBoxFuture<'static, Box<AgentDelivery>>;

/// Replaces the paths of a delivery by those on the machine of a worker's agent. A file that cannot be put there has none.
#[cfg(feature = "jetstream")]
async fn place(
    transfers: Arc<Semaphore>,
    files: RemoteFiles,
    mut delivery: Box<AgentDelivery>,
) -> Box<AgentDelivery> {
    let _transfer = transfers.acquire().await;
    let id = delivery.settlement.hand_out();
    for place in &mut delivery.media {
        let Some((here, id)) = place.take().zip(id) else { continue };
        match files.place(id, &here).await {
            Ok(there) => *place = Some(there.into()),
            Err(why) => tracing::warn!(entry = id.entry.0, why, "media_not_placed"),
        }
    }
    delivery
}

/// Returns the MIME type for a file's name.
fn type_of(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == ending).map_or(ANY_TYPE, |(_, mime)| mime)
}

/// Returns the kind of a file, as `send_media` names it.
pub(crate) fn media_kind(name: &str) -> &'static str {
    match type_of(name) {
        // Platforms show no vector graphics.
        "image/svg+xml" => "document",
        mime if mime.starts_with("image/") => "image",
        mime if mime.starts_with("audio/") => "audio",
        mime if mime.starts_with("video/") => "video",
        _ => "document",
    }
}

/// Returns the failure of a transfer as that of an op. It is definite: users saw nothing of it.
fn failure(error: MediaError) -> Failure {
    let kind = match error {
        MediaError::NotVerified(_)
        | MediaError::Gone(_)
        | MediaError::Redirect { .. }
        | MediaError::NoId(_) => FailureKind::Rejected,
        _ => FailureKind::Definite,
    };
    Failure::new(kind, error.to_string())
}
