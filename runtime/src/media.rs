//! Files, as a host sends and fetches them (H-7).

use crate::http::Received;
use crate::relay::Relay;
use crate::shared::unix_s;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::io::Cursor;
use relayline_control::http::media::{Download, MediaError, Upload, Uploaded};
use relayline_control::http::{Base, Bearer};
use std::path::Path;

impl Relay {
    /// Uploads a file of `length` bytes to the connector, 25 MiB at most, within 30 s: it is read from `source` as it
    /// is sent. What it gives is what [`send_media`](Self::send_media) refers to the file by. `content_type` is a MIME
    /// type, and of `filename` only what is behind the last slash is sent.
    ///
    /// It needs no open connection. Dropping the future leaves nothing at the connector.
    ///
    /// # Errors
    /// At once when the file is too large or there are no credentials; [`MediaError::File`] when the source fails or
    /// is of another length.
    pub async fn upload(
        &self,
        content_type: &str,
        filename: Option<&str>,
        length: u64,
        source: impl AsyncRead + Send + 'static,
    ) -> Result<Uploaded, MediaError> {
        let upload = Upload {
            base: self.base()?,
            upgrade_token: self.bearer().ok_or(MediaError::NoCredentials)?,
            content_type: content_type.to_owned(),
            filename: filename.map(str::to_owned),
            length,
        };
        self.client().upload(&upload, source).await
    }

    /// Uploads a file by its path, as [`upload`](Self::upload) does. Its type is guessed from its name's extension.
    ///
    /// # Errors
    /// As for [`upload`](Self::upload), and [`MediaError::File`] if the file cannot be opened.
    pub async fn upload_file(&self, path: impl AsRef<Path>) -> Result<Uploaded, MediaError> {
        let path = path.as_ref();
        let content_type = mime_guess::from_path(path).first_or_octet_stream();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let (length, file) = self
            .client()
            .open(path.to_owned())
            .await
            .map_err(|error| MediaError::File(format!("{}: {error}", path.display())))?;
        self.upload(content_type.essence_str(), name.as_deref(), length, file).await
    }

    /// Uploads bytes as a file, as [`upload`](Self::upload) does.
    ///
    /// # Errors
    /// As for [`upload`](Self::upload).
    pub async fn upload_bytes(
        &self,
        content_type: &str,
        filename: Option<&str>,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<Uploaded, MediaError> {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        self.upload(content_type, filename, length, Cursor::new(bytes)).await
    }

    /// Downloads what a message refers to, 25 MiB at most, within 30 s, and writes it to `into` as it comes. The
    /// credentials go along only to the connector's own media, and no redirect is followed.
    ///
    /// It needs no open connection. What was written by the time of an error, or by the time the future is dropped,
    /// stays written.
    ///
    /// # Errors
    /// [`MediaError::TooLarge`] as soon as that is known, [`MediaError::File`] when `into` does not take it.
    pub async fn download(&self, url: &str, into: impl AsyncWrite + Unpin) -> Result<Received, MediaError> {
        let download = Download::new(url, &self.base()?, self.bearer())?;
        self.client().download(&download, into).await
    }

    fn base(&self) -> Result<Base, MediaError> {
        let config = self.config();
        Ok(Base::new(&config.url, config.allow_insecure)?)
    }

    /// A fresh upgrade token (C-1).
    fn bearer(&self) -> Option<Bearer> {
        let credentials = self.config().machine.credentials.as_ref()?;
        Some(Bearer::mint(credentials, unix_s()))
    }
}
