#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! A relay gateway on smol.

#[doc(inline)]
pub use relayline_runtime::host::*;

use relayline_control::config::GatewayConfig;
use relayline_control::network::Network;
use relayline_control::settings::Resolved;
use relayline_runtime::Runtime;
use relayline_runtime::http::{BootError, Client};
use smol::net::{TcpListener, TcpStream};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Starts a gateway on smol's global executor: it dials at once, and again and again, until it is disconnected or
/// revoked. [`Relay::disconnect`] is the graceful end; dropping all that [`Relay`] names is one, too, for a process
/// that lives on for the seconds that it may take.
///
/// # Errors
/// When the system has no randomness to give, or the configured certificates of authorities cannot be used.
pub fn connect(config: GatewayConfig) -> io::Result<(Relay, Inbox)> {
    relayline_runtime::start(Smol, config)
}

/// Does what comes before the dial, on smol: provisions credentials and sends policies, where the configuration asks
/// for it (H-4, H-5), and gives what to [`connect`] with. What fails is logged, and stops nothing else; so is what the
/// configuration warns of. A command that prints an access token is not run: [`Client::ready`] is for that.
///
/// # Errors
/// When the configured certificates of authorities cannot be used;
/// [`BootError::KnownAlready`] when the connector knows the gateway already and the gateway has no secret.
pub async fn boot(resolved: Resolved) -> Result<GatewayConfig, BootError> {
    let client = http_client(&resolved.config.network)?;
    relayline_runtime::boot(&client, resolved).await
}

/// An HTTP client on smol, for what a gateway does besides its connection: enrolment, provisioning, policies, files.
///
/// # Errors
/// When the configured certificates of authorities cannot be used.
pub fn http_client(network: &Network) -> io::Result<Client> {
    Client::new(Smol, network)
}

/// Runs a future to its end, for a `main` that does nothing else. The sockets have a thread of their own: a host that
/// blocks does not stop the pings.
///
/// # Errors
/// Never: it is as fallible as on runtimes that must be started.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(smol::block_on(future))
}

/// Serves [`Relay::metrics`] over a port that is open, as `GET /metrics`, on smol until the gateway has
/// ended.
///
/// # Errors
/// When smol cannot wait for that port.
pub fn serve_metrics(relay: &Relay, listener: std::net::TcpListener) -> io::Result<()> {
    relayline_runtime::serve_metrics(&Smol, relay, listener)
}

/// How smol connects, listens, sleeps and spawns.
#[derive(Clone, Copy, Debug)]
pub struct Smol;

#[allow(clippy::manual_async_fn, reason = "an async fn would borrow the runtime")]
impl Runtime for Smol {
    type Tcp = TcpStream;

    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        async move { smol::net::resolve((host, port)).await }
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static {
        async move {
            let stream = TcpStream::connect(address).await?;
            // Frames are small and each is flushed: waiting to fill a segment only delays them.
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    }

    type Listener = TcpListener;

    fn listen(&self, listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::try_from(listener)
    }

    fn accept(listener: &TcpListener) -> impl Future<Output = io::Result<Self::Tcp>> + Send {
        async {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        async move {
            smol::Timer::after(span).await;
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }
}
