//! Upload and download of files (H-7).

use crate::http::Downloaded;
use crate::relay::Relay;
use crate::shared::unix_s;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::io::Cursor;
use relayline_control::http::media::{Download, MediaError, Upload, Uploaded};
use relayline_control::http::{Base, Bearer};
use std::path::Path;

impl Relay {
    /// Uploads a file of `length` bytes to the connector, at most 25 MiB and within 30 s. Returns the URL of the file for
    /// [`send_media`](Self::send_media).
    ///
    /// The file is read from `source` while it is sent. `content_type` is a MIME type. Only the last component of
    /// `filename` is sent. An upload needs no open connection. Dropping the future leaves no file at the connector.
    ///
    /// # Errors
    /// The file is too large, there are no credentials, or the upload fails. [`MediaError::File`] if `source` fails or has
    /// another length.
    pub async fn upload(
        &self,
        content_type: &str,
        filename: Option<&str>,
        length: u64,
        source: impl AsyncRead + Send + 'static,
    ) -> Result<Uploaded, MediaError> {
        let upgrade_token = self.bearer().ok_or(MediaError::NoCredentials)?;
        let mut upload = Upload::new(self.base()?, upgrade_token, content_type, length);
        upload.filename = filename.map(str::to_owned);
        self.client().upload(&upload, source).await
    }

    /// Uploads a file by its path, as [`upload`](Self::upload) does. The type is guessed from the file name extension.
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

    /// Downloads a file of a message, at most 25 MiB and within 30 s, and writes it to `into` while it is received.
    ///
    /// Credentials are sent only for the connector's own media. Redirects are not followed. A download needs no open
    /// connection. Bytes written before an error, or before the future is dropped, stay written.
    ///
    /// # Errors
    /// The download fails. [`MediaError::TooLarge`] as soon as the size is known to exceed the limit, [`MediaError::File`]
    /// if writing to `into` fails.
    pub async fn download(&self, url: &str, into: impl AsyncWrite + Unpin) -> Result<Downloaded, MediaError> {
        let download = Download::new(url, &self.base()?, self.bearer())?;
        self.client().download(&download, into).await
    }

    fn base(&self) -> Result<Base, MediaError> {
        let config = self.config();
        Ok(Base::new(&config.url, config.allow_insecure)?)
    }

    /// Mints an upgrade token (C-1).
    fn bearer(&self) -> Option<Bearer> {
        let credentials = self.config().machine.credentials.as_ref()?;
        Some(Bearer::mint(credentials, unix_s()))
    }
}
