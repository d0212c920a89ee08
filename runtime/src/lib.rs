#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! What every runtime needs of a relay gateway, once: the drive loop, the handle, the stream of what comes in.
//!
//! A host does not use this crate by itself: `relayline-tokio` and `relayline-smol` say how to connect, sleep and
//! spawn, and give out the same types.

mod causes;
mod dial;
mod drive;
pub mod http;
mod inbox;
mod media;
mod relay;
mod reply_stream;
mod request;
mod shared;
mod tls;
mod trace;
mod watch;
mod wires;

pub use host::*;

use relayline_core::config::Config;
use relayline_core::http::Base;
use relayline_core::network::CaCertificates;
use relayline_core::settings::{Arguments, ConfigError, Resolved};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// All that a host needs, whatever runtime it is on: each runtime's crate gives it out under its own name.
pub mod host {
    pub use crate::inbox::{Delivery, Inbox, Incoming};
    pub use crate::relay::Relay;
    pub use crate::reply_stream::ReplyStream;
    pub use crate::request::{Answer, ChatDetails, Op, Prompted, Request};
    pub use crate::watch::{ConnectionState, Ended, Watch};
    pub use crate::{config_from_env, http};
    pub use relayline_core as core;
}

/// What a runtime must be able to do.
pub trait Runtime: Clone + Send + Sync + Unpin + 'static {
    /// A TCP connection.
    type Tcp: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin + Send + 'static;

    /// Looks up the addresses of a host, which may be an address itself.
    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static;

    /// Connects to an address over TCP.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static;

    /// Waits that long.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Runs a task to its end, in the background.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// Starts a gateway on a runtime: it dials at once, and again and again, until it is disconnected or revoked.
///
/// # Errors
/// When the system has no randomness to give, the configured certificates of authorities cannot be
/// used, or credentials would go out in the clear (C-6).
pub fn start<R: Runtime>(runtime: R, config: Config) -> io::Result<(Relay, Inbox)> {
    if config.credentials.is_some() {
        // However the configuration came about (C-6).
        Base::new(&config.url, config.allow_insecure)
            .map_err(|insecure| io::Error::new(io::ErrorKind::InvalidInput, insecure))?;
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(format!("no randomness: {error}")))?;
    let wires = wires::Wires::new(runtime.clone(), &config.network)?;
    let shared = shared::Shared::new(config, seed);
    let driver = drive::Driver::new(runtime, wires.clone(), shared.clone());
    let handle = shared::Handle::new(shared);
    let (relay, inbox) = (Relay::new(handle.clone(), http::Client::over(wires)), Inbox::new(handle));
    driver.spawn();
    Ok((relay, inbox))
}

/// The configuration that the process's environment describes (`GATEWAY_RELAY_URL` and so on, H-9).
///
/// # Errors
/// Names the variable that is wrong, and what is wrong with it.
pub fn config_from_env() -> Result<Resolved, ConfigError> {
    let arguments = Arguments { ca_certificates: ca_certificates(None)?, ..Arguments::default() };
    relayline_core::settings::resolve(&arguments, &|name| std::env::var(name).ok())
}

/// Reads the certificates of authorities that are to be trusted, too: from this file, which `--ca-file` names, or else
/// from the one that the environment names as `SSL_CERT_FILE`, if it does.
///
/// # Errors
/// When the file cannot be read, or holds no certificate.
pub fn ca_certificates(file: Option<&Path>) -> Result<Option<CaCertificates>, ConfigError> {
    let variable = || std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    let (name, file) = match file {
        Some(file) => ("--ca-file", file.to_owned()),
        None => match variable() {
            Some(file) => ("SSL_CERT_FILE", file.into()),
            None => return Ok(None),
        },
    };
    let from = format!("{name} {}", file.display());
    let read = std::fs::read_to_string(&file).map_err(|error| error.to_string());
    match read.and_then(|pem| tls::add(&mut rustls::RootCertStore::empty(), &pem).map(|()| pem)) {
        Ok(pem) => Ok(Some(CaCertificates { from, pem })),
        Err(problem) => Err(ConfigError::CaFile { from, problem }),
    }
}
