#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! A relay gateway on tokio.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use relayline_tokio::{Incoming, boot, config_from_env, connect};
//!
//! # async fn agent() -> Result<(), Box<dyn std::error::Error>> {
//! let config = boot(config_from_env()?).await?;
//! let (relay, mut inbox) = connect(config)?;
//! while let Some(incoming) = inbox.next().await {
//!     if let Incoming::Message(delivery) = incoming {
//!         let text = format!("you said: {}", delivery.message().text);
//!         if let Err(failure) = delivery.reply(&text).await {
//!             eprintln!("{failure}");
//!         }
//!         delivery.ack();
//!     }
//! }
//! # Ok(())
//! # }
//! ```

#[doc(inline)]
pub use relayline_runtime::host::*;

use relayline_control::config::GatewayConfig;
use relayline_control::network::Network;
use relayline_control::settings::Resolved;
use relayline_runtime::Runtime;
use relayline_runtime::http::{BootError, Client};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// Starts a gateway on the tokio runtime of the caller: it dials at once, and again and again, until it is
/// disconnected or revoked. [`Relay::disconnect`] is the graceful end; dropping all that [`Relay`] names is one, too,
/// for a runtime that lives on for the seconds that it may take.
///
/// # Errors
/// When the caller is on no tokio runtime, the system has no randomness to give, or the configured certificates of
/// authorities cannot be used.
pub fn connect(config: GatewayConfig) -> io::Result<(Relay, Inbox)> {
    relayline_runtime::start(Tokio::current()?, config)
}

/// Does what comes before the dial, on the tokio runtime of the caller: provisions credentials and sends policies, where the configuration asks
/// for it (H-4, H-5), and gives what to [`connect`] with. What fails is logged, and stops nothing else; so is what the
/// configuration warns of. A command that prints an access token is not run: [`Client::ready`] is for that.
///
/// # Errors
/// When the caller is on no tokio runtime, or the configured certificates of authorities cannot be used;
/// [`BootError::KnownAlready`] when the connector knows the gateway already and the gateway has no secret.
pub async fn boot(resolved: Resolved) -> Result<GatewayConfig, BootError> {
    let client = http_client(&resolved.config.network)?;
    relayline_runtime::boot(&client, resolved).await
}

/// An HTTP client on the tokio runtime of the caller, for what a gateway does besides its connection: enrolment,
/// provisioning, policies, files.
///
/// # Errors
/// When the caller is on no tokio runtime, or the configured certificates of authorities cannot be used.
pub fn http_client(network: &Network) -> io::Result<Client> {
    Client::new(Tokio::current()?, network)
}

/// Runs a future to its end on a tokio runtime of its own, for a `main` that does nothing else. The sockets have a thread
/// of their own: a host that blocks does not stop the pings.
///
/// # Errors
/// When the runtime cannot be started.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build()?;
    let output = runtime.block_on(future);
    // Dropping it would wait for a name that is still being looked up.
    runtime.shutdown_background();
    Ok(output)
}

/// Serves [`Relay::metrics`] over a port that is open, as `GET /metrics`, on the tokio runtime of the caller until the gateway has
/// ended.
///
/// # Errors
/// When the caller is on no tokio runtime, or it cannot wait for that port.
pub fn serve_metrics(relay: &Relay, listener: std::net::TcpListener) -> io::Result<()> {
    relayline_runtime::serve_metrics(&Tokio::current()?, relay, listener)
}

/// How tokio connects, listens, sleeps and spawns.
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: tokio::runtime::Handle,
}

impl Tokio {
    /// The tokio runtime of the caller.
    ///
    /// # Errors
    /// When the caller is on none.
    pub fn current() -> io::Result<Tokio> {
        let handle = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        Ok(Tokio { handle })
    }

    /// A future that may be polled from anywhere: tokio's own look for their runtime each time.
    fn inside<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let handle = self.handle.clone();
        async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let _inside = handle.enter();
                future.as_mut().poll(cx)
            })
            .await
        }
    }
}

#[allow(clippy::manual_async_fn, reason = "an async fn would borrow the runtime")]
impl Runtime for Tokio {
    type Tcp = Compat<TcpStream>;

    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        self.inside(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static {
        self.inside(async move {
            let stream = TcpStream::connect(address).await?;
            // Frames are small and each is flushed: waiting to fill a segment only delays them.
            stream.set_nodelay(true)?;
            Ok(stream.compat())
        })
    }

    type Listener = TcpListener;

    fn listen(&self, listener: std::net::TcpListener) -> io::Result<TcpListener> {
        let _inside = self.handle.enter();
        TcpListener::from_std(listener)
    }

    fn accept(listener: &TcpListener) -> impl Future<Output = io::Result<Self::Tcp>> + Send {
        async {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream.compat())
        }
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        let _inside = self.handle.enter();
        tokio::time::sleep(span)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }
}
