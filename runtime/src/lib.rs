#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! What every runtime needs of a relay gateway, once: the drive loop, the handle, the stream of what comes in.
//!
//! A host does not use this crate by itself: `relayline-tokio` and `relayline-smol` say how to connect, sleep and
//! spawn, and give out the same types.

mod dial;
mod drive;
mod inbox;
mod relay;
mod reply_stream;
mod request;
mod shared;
mod tls;
mod trace;
mod watch;

pub use host::*;

use relayline_core::config::Config;
use std::future::Future;
use std::io;
use std::time::Duration;

/// All that a host needs, whatever runtime it is on: each runtime's crate gives it out under its own name.
pub mod host {
    pub use crate::inbox::{Delivery, Inbox, Incoming};
    pub use crate::relay::Relay;
    pub use crate::reply_stream::ReplyStream;
    pub use crate::request::{Answer, ChatDetails, Op, Prompted, Request};
    pub use crate::watch::{ConnectionState, Ended, Watch};
    pub use relayline_core as core;

    use relayline_core::settings::{Arguments, ConfigError, Resolved};

    /// The configuration that the process's environment describes (`GATEWAY_RELAY_URL` and so on, H-9).
    ///
    /// # Errors
    /// Names the variable that is wrong, and what is wrong with it.
    pub fn config_from_env() -> Result<Resolved, ConfigError> {
        relayline_core::settings::resolve(&Arguments::default(), &|name| std::env::var(name).ok())
    }
}

/// What a runtime must be able to do.
pub trait Runtime: Clone + Send + Unpin + 'static {
    /// A TCP connection.
    type Tcp: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin + Send + 'static;

    /// Looks the host up and connects to it over TCP.
    fn connect(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static;

    /// Waits that long.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Runs a task to its end, in the background.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// Starts a gateway on a runtime: it dials at once, and again and again, until it is disconnected or revoked.
///
/// # Errors
/// When the system has no randomness to give.
pub fn start<R: Runtime>(runtime: R, config: Config) -> io::Result<(Relay, Inbox)> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(format!("no randomness: {error}")))?;
    let shared = shared::Shared::new(config, seed);
    let driver = drive::Driver::new(runtime, shared.clone());
    let handle = shared::Handle::new(shared);
    let (relay, inbox) = (Relay::new(handle.clone()), Inbox::new(handle));
    driver.spawn();
    Ok((relay, inbox))
}
