#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! A relay gateway on tokio.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use relayline_tokio::{Incoming, connect};
//!
//! # async fn agent() -> Result<(), Box<dyn std::error::Error>> {
//! let config = relayline_tokio::config_from_env()?.config;
//! let (relay, mut inbox) = connect(config)?;
//! while let Some(incoming) = inbox.next().await {
//!     if let Incoming::Message(delivery) = incoming {
//!         let text = format!("you said: {}", delivery.message().text());
//!         if let Err(failure) = relay.reply(&delivery, &text).await {
//!             eprintln!("{failure}");
//!         }
//!         delivery.ack();
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub use relayline_runtime::host::*;

use relayline_core::config::Config;
use relayline_runtime::Runtime;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// Starts a gateway on the tokio runtime of the caller: it dials at once, and again and again, until it is
/// disconnected or revoked. [`Relay::disconnect`] is the graceful end; dropping all that [`Relay`] names is one, too,
/// for a runtime that lives on for the seconds that it may take.
///
/// # Errors
/// When the caller is on no tokio runtime, or the system has no randomness to give.
pub fn connect(config: Config) -> io::Result<(Relay, Inbox)> {
    let handle = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    relayline_runtime::start(Tokio { handle }, config)
}

/// How tokio connects, sleeps and spawns.
#[derive(Clone, Debug)]
struct Tokio {
    handle: tokio::runtime::Handle,
}

#[allow(clippy::manual_async_fn, reason = "an async fn would borrow the runtime")]
impl Runtime for Tokio {
    type Tcp = Compat<TcpStream>;

    fn connect(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static {
        async move {
            let stream = TcpStream::connect((host, port)).await?;
            // Frames are small and each is flushed: waiting to fill a segment only delays them.
            stream.set_nodelay(true)?;
            Ok(stream.compat())
        }
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(span)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }
}
