//! Upgrade requests for tools, which return the answer as a value with its stream.

use super::Client;
use crate::dial;
use crate::dialer::{ByteStream, delegate_writes};
use crate::progress::Progress;
use crate::upgrade::{Refused, UpgradeOutcome, ask, refusal};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::{Either, select};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::http::{request, response};
use relayline_control::http::Unreachable;
use relayline_control::url::DialUrl;
use relayline_core::secret::Secret;
use relayline_core::upgrade::Refusal;
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Answer to a request for an upgrade.
pub struct UpgradeAnswer {
    /// Status and headers.
    pub head: response::Parts,
    /// Outcome: the upgraded stream, or the body of the refusal.
    pub outcome: Upgraded,
}

/// Outcome of a request for an upgrade.
pub enum Upgraded {
    /// The protocol is switched.
    Switched(Switched),
    /// The request is refused.
    Refused {
        /// Body without its transfer coding, at most
        /// [`MAX_BODY`](relayline_core::upgrade::MAX_BODY) bytes of it.
        body: Vec<u8>,
        /// True if `body` is the whole body.
        is_whole: bool,
    },
}

impl UpgradeAnswer {
    fn new(answered: UpgradeOutcome) -> UpgradeAnswer {
        match answered {
            UpgradeOutcome::Switched { head, stream, read_ahead } => {
                UpgradeAnswer { head, outcome: Upgraded::Switched(Switched { read_ahead, stream }) }
            }
            UpgradeOutcome::Refused(Refused { head, body, is_whole }) => {
                UpgradeAnswer { head, outcome: Upgraded::Refused { body, is_whole } }
            }
        }
    }

    /// Returns the refusal as the core represents it; `None` if the protocol is switched.
    pub fn refusal(&self) -> Option<Refusal<'_>> {
        match &self.outcome {
            Upgraded::Switched(_) => None,
            Upgraded::Refused { body, is_whole } => Some(refusal(&self.head, body, *is_whole)),
        }
    }

    /// Returns the text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for UpgradeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpgradeAnswer({})", self.head.status)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Upgraded::Switched(_) => f.write_str("Switched"),
            Upgraded::Refused { body, is_whole } => {
                write!(f, "Refused({} bytes, whole: {is_whole})", body.len())
            }
        }
    }
}

/// Upgraded stream. It begins with the bytes that came after the answer's head.
pub struct Switched {
    read_ahead: Bytes,
    stream: ByteStream,
}

impl fmt::Debug for Switched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switched").finish_non_exhaustive()
    }
}

impl Client {
    /// Requests a WebSocket upgrade as a gateway's dial does, and validates a 101.
    ///
    /// If the body of the answer does not end within `timeout`, returns the received part.
    ///
    /// # Errors
    /// There is no answer, or an invalid 101. The error names the step that failed.
    pub async fn upgrade(
        &self,
        url: &DialUrl,
        token: Option<Secret>,
        timeout: Duration,
    ) -> Result<UpgradeAnswer, Unreachable> {
        let progress = Progress::default();
        let upgrade = dial::upgrade(&self.dialer, url, token, &progress);
        match select(pin!(upgrade), self.dialer.sleep(timeout)).await {
            Either::Left((answered, _)) => answered.map(UpgradeAnswer::new),
            Either::Right(_) => match progress.take_refused().filter(|_| !progress.is_at_proxy()) {
                Some(refused) => Ok(UpgradeAnswer::new(UpgradeOutcome::Refused(refused))),
                None => Err(progress.timed_out(timeout)),
            },
        }
    }

    /// Forwards an upgrade request unchanged to the host of `url`. The caller limits the time.
    ///
    /// # Errors
    /// There is no answer. The error names the step that failed.
    pub async fn pass_upgrade(
        &self,
        url: &DialUrl,
        request: request::Parts,
    ) -> Result<UpgradeAnswer, Unreachable> {
        let progress = Progress::default();
        let stream = self.dialer.connect(url.is_secure(), url.host(), url.port(), &progress).await?;
        let request = Request::from_parts(request, Empty::new());
        ask(stream, request, &progress).await.map(UpgradeAnswer::new).map_err(Unreachable::Upgrade)
    }

    /// Opens a byte stream to the host of `url`: look-up, TCP, proxy tunnel, TLS. The caller limits the time.
    ///
    /// # Errors
    /// Names the step that failed.
    pub async fn connect(
        &self,
        url: &DialUrl,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, Unreachable> {
        self.dialer.connect(url.is_secure(), url.host(), url.port(), &Progress::default()).await
    }
}

impl AsyncRead for Switched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.read_ahead.is_empty() {
            return self.stream.as_mut().poll_read(cx, room);
        }
        let read = room.len().min(self.read_ahead.len());
        room[..read].copy_from_slice(&self.read_ahead.split_to(read));
        Poll::Ready(Ok(read))
    }
}

delegate_writes!(Switched);
