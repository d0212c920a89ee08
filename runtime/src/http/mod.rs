//! The HTTP client for [`control::http`](relayline_control::http)'s exchanges, one for every runtime.

mod body;
mod boot;
mod exchange;
mod media;
mod upgrade;

pub use boot::{Booted, read_token_file};
pub use media::Received;
pub use upgrade::{Switched, UpgradeAnswer, Upgraded};

use crate::Runtime;
use crate::error::ConnectError;
use crate::wires::{Boxed, Source, Wires};
use exchange::Exchange;
use hyper::HeaderMap;
use relayline_control::http::{Body, Failure, Request};
use relayline_control::network::Network;
use std::fmt;
use std::io;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// An HTTP/1.1 client: cheap to clone, usable from anywhere. Each exchange has a connection of its own.
///
/// It follows no redirect and tries nothing twice (H). Dropping the future of an exchange cuts it off.
#[derive(Clone, Debug)]
pub struct Client {
    wires: Wires,
}

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, cut off one byte above [`Request::max_response`]. It may hold secrets: it is wiped when dropped (C-4).
    pub body: Zeroizing<Vec<u8>>,
}

impl Client {
    /// A client on this runtime.
    ///
    /// # Errors
    /// When the configured certificates of authorities cannot be used.
    pub fn new<R: Runtime>(runtime: R, network: &Network) -> Result<Client, ConnectError> {
        Wires::new(runtime, network).map(Client::over)
    }

    pub(crate) fn open(&self, file: PathBuf) -> Boxed<io::Result<(u64, Source)>> {
        self.wires.open(file)
    }

    pub(crate) fn over(wires: Wires) -> Client {
        Client { wires }
    }

    /// Sends a request, and reads its answer. A body that is [`Body::Upload`] cannot be sent so:
    /// [`upload`](Self::upload) takes it.
    ///
    /// # Errors
    /// When there is no complete answer within [`Request::timeout`], and why (H-1).
    pub async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let body = match &request.body {
            Body::Empty => body::Outgoing::default(),
            Body::Bytes(bytes) => body::Outgoing::bytes(bytes.clone()),
            Body::Upload(length) => body::Outgoing::source(*length, futures_util::io::empty()),
        };
        let exchange = async {
            let exchange = Exchange::begin(&self.wires, request, body).await?;
            exchange.answer(request.max_response).await
        };
        exchange.await.map_err(|cause| request.unreachable(cause))
    }
}

impl Answer {
    /// Hands the answer to the `read` of an exchange: `answer.read(|status, headers, body| enroll.read(…))`.
    pub fn read<T>(&self, read: impl FnOnce(u16, &HeaderMap, &[u8]) -> T) -> T {
        read(self.status, &self.headers, &self.body)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} headers, {} bytes)", self.status, self.headers.len(), self.body.len())
    }
}
