//! HTTP client for the exchanges of [`control::http`](relayline_control::http), on any runtime.

mod body;
mod boot;
mod exchange;
mod media;
mod upgrade;

pub use boot::{Booted, read_token_file};
pub use media::Downloaded;
pub use upgrade::{Switched, UpgradeAnswer, Upgraded};

use crate::Runtime;
use crate::dialer::{BoxFuture, BoxReader, Dialer};
use crate::error::ConnectError;
use exchange::Exchange;
use hyper::HeaderMap;
use relayline_control::http::{Body, Failure, Request};
use relayline_control::network::Network;
use std::fmt;
use std::io;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// HTTP/1.1 client. It is cheap to clone and usable from any thread. Each exchange opens a connection of its own.
///
/// It does not follow redirects, and does not retry. Dropping the future of an exchange aborts the exchange.
#[derive(Clone, Debug)]
pub struct Client {
    dialer: Dialer,
}

/// HTTP response of any status.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, truncated one byte above [`Request::max_response`]. It may hold secrets, and is wiped when dropped.
    pub body: Zeroizing<Vec<u8>>,
}

impl Client {
    /// Creates a client on a runtime.
    ///
    /// # Errors
    /// The configured certificates cannot be used.
    pub fn new<R: Runtime>(runtime: R, network: &Network) -> Result<Client, ConnectError> {
        Dialer::new(runtime, network).map(Client::with_dialer)
    }

    pub(crate) fn open(&self, file: PathBuf) -> BoxFuture<io::Result<(u64, BoxReader)>> {
        self.dialer.open(file)
    }

    pub(crate) fn with_dialer(dialer: Dialer) -> Client {
        Client { dialer }
    }

    /// Sends a request, and reads the response. For a [`Body::Upload`] use [`upload`](Self::upload) instead.
    ///
    /// # Errors
    /// There is no complete response within [`Request::timeout`]. The error has the cause.
    pub async fn send(&self, request: &Request) -> Result<HttpResponse, Failure> {
        let body = match &request.body {
            Body::Empty => body::Outgoing::default(),
            Body::Bytes(bytes) => body::Outgoing::bytes(bytes.clone()),
            Body::Upload(length) => body::Outgoing::source(*length, futures_util::io::empty()),
        };
        let exchange = async {
            let exchange = Exchange::begin(&self.dialer, request, body).await?;
            exchange.answer(request.max_response).await
        };
        exchange.await.map_err(|cause| request.unreachable(cause))
    }
}

impl HttpResponse {
    /// Passes the response to the `read` of an exchange, as in
    /// `response.read(|status, headers, body| enroll.read(…))`.
    pub fn read<T>(&self, read: impl FnOnce(u16, &HeaderMap, &[u8]) -> T) -> T {
        read(self.status, &self.headers, &self.body)
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {} headers, {} bytes)", self.status, self.headers.len(), self.body.len())
    }
}
