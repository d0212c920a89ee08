//! Streamed upload and download of files (H-7).

use super::Client;
use super::body::Outgoing;
use super::exchange::Exchange;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::AsyncWriteExt;
use relayline_control::http::media::{Download, MAX_MEDIA, MediaError, Upload, Uploaded};
use relayline_control::http::{MAX_RESPONSE, Request, Unreachable};

/// Properties of a downloaded file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Downloaded {
    /// MIME type without parameters, if the server sent one.
    pub content_type: Option<String>,
    /// Length in bytes.
    pub length: u64,
}

impl Client {
    /// Uploads a file of [`Upload::length`] bytes while it is read from `source`. At most some 200 KiB of it are in memory.
    /// The connector gets a complete file only if its length is right.
    ///
    /// # Errors
    /// The file is too large, or the upload fails. [`MediaError::File`] if `source` fails or has another length.
    pub async fn upload(
        &self,
        upload: &Upload,
        source: impl AsyncRead + Send + 'static,
    ) -> Result<Uploaded, MediaError> {
        let request = upload.request()?;
        let body = Outgoing::source(upload.length, source);
        let fault = body.fault();
        let exchange = async {
            let exchange = Exchange::begin(&self.dialer, &request, body).await?;
            exchange.answer(request.max_response).await
        };
        match exchange.await {
            Ok(answer) => answer.read(|status, headers, body| upload.read(status, headers, body)),
            Err(cause) => Err(match fault.text() {
                Some(text) => MediaError::File(text.to_owned()),
                None => request.unreachable(cause).into(),
            }),
        }
    }

    /// Downloads a file, and writes it to `into` while it is received. Bytes written before an error stay written.
    ///
    /// # Errors
    /// The download fails. [`MediaError::TooLarge`] as soon as more than 25 MiB are received, [`MediaError::File`] if
    /// writing to `into` fails.
    pub async fn download(
        &self,
        download: &Download,
        mut into: impl AsyncWrite + Unpin,
    ) -> Result<Downloaded, MediaError> {
        let request = download.request();
        let failed = |cause: Unreachable| MediaError::from(request.unreachable(cause));
        let begun = Exchange::begin(&self.dialer, &request, Outgoing::default()).await;
        let mut exchange = begun.map_err(failed)?;
        if !(200..300).contains(&exchange.status) {
            let answer = exchange.answer(MAX_RESPONSE).await.map_err(failed)?;
            let read = answer.read(|status, headers, body| download.read(status, headers, body));
            return Err(read.err().unwrap_or(MediaError::Url));
        }
        let head = download.read(exchange.status, &exchange.headers, &[])?;
        let length = pump(&mut exchange, &request, &mut into).await?;
        Ok(Downloaded { content_type: head.content_type, length })
    }
}

/// Writes the body to `into`, and returns its length.
async fn pump(
    exchange: &mut Exchange,
    request: &Request,
    into: &mut (impl AsyncWrite + Unpin),
) -> Result<u64, MediaError> {
    let failed = |cause: Unreachable| MediaError::from(request.unreachable(cause));
    let mut length = 0;
    while let Some(bytes) = exchange.next_chunk().await.map_err(failed)? {
        length += bytes.len() as u64;
        if length > MAX_MEDIA {
            return Err(MediaError::TooLarge);
        }
        let write = async { Ok(into.write_all(&bytes).await) };
        let wrote = exchange.within_deadline(write).await.map_err(failed)?;
        wrote.map_err(|error| MediaError::File(error.to_string()))?;
    }
    let flushed = exchange.within_deadline(async { Ok(into.flush().await) }).await.map_err(failed)?;
    flushed.map_err(|error| MediaError::File(error.to_string()))?;
    Ok(length)
}
