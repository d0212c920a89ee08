//! What every command needs that opens a gateway: its flags, its configuration, its runtime.

use crate::fail;
use clap::{Args, ValueEnum};
use relayline_core::config::Config;
use relayline_core::http::{Failure, Request};
use relayline_core::network::Network;
use relayline_core::secret::Secret;
use relayline_core::settings::{self, Arguments};
use relayline_runtime::http::Answer;
use relayline_runtime::{Inbox, Relay, ca_certificates};
use std::cell::Cell;
use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Which runtime does the socket work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeName {
    Tokio,
    Smol,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayArguments {
    /// The connector, as in wss://connector.example [env: GATEWAY_RELAY_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The gateway's id; its secret comes from GATEWAY_RELAY_SECRET or --secret-file [env: GATEWAY_RELAY_ID]
    #[arg(long, value_name = "ID")]
    gateway_id: Option<String>,

    /// A file that holds the gateway's secret and nothing else
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// The platform to speak for [env: GATEWAY_RELAY_PLATFORM]
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,

    /// The bot's id there [env: GATEWAY_RELAY_BOT_ID]
    #[arg(long, value_name = "ID")]
    bot_id: Option<String>,

    /// One of several platforms to speak for, with the bot's id there; the first is the default
    #[arg(long, value_name = "PLATFORM[:BOT_ID]", conflicts_with_all = ["platform", "bot_id"])]
    identity: Vec<String>,

    /// Set a limit or a time-out, as in handshake_timeout=1s; a wrong name lists them all
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Send credentials over plain ws:// beyond this machine, too
    #[arg(long)]
    allow_insecure: bool,

    /// Trust the certificates of these authorities, too: one file in PEM form [env: SSL_CERT_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Which runtime does the socket work
    #[arg(long, value_enum, default_value_t = RuntimeName::Tokio, value_name = "NAME")]
    pub(crate) runtime: RuntimeName,
}

impl GatewayArguments {
    /// The configuration, or the exit code to end with; what is wrong has been said by then.
    pub(crate) fn resolve(&self) -> Result<Config, ExitCode> {
        let secret = match &self.secret_file {
            None => None,
            Some(file) => Some(secret_file(file)?),
        };
        let arguments = Arguments {
            url: self.url.clone(),
            gateway_id: self.gateway_id.clone(),
            secret,
            platform: self.platform.clone(),
            bot_id: self.bot_id.clone(),
            identities: self.identity.clone(),
            set: self.set.clone(),
            allow_insecure: self.allow_insecure,
            ca_certificates: ca_certificates(self.ca_file.as_deref()).map_err(|error| fail(2, error))?,
        };
        let unreadable = Cell::new(None);
        let environment = |name: &str| match std::env::var(name) {
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                unreadable.set(Some(name.to_owned()));
                None
            }
        };
        let resolved = settings::resolve(&arguments, &environment);
        // It must not count as unset.
        if let Some(name) = unreadable.take() {
            return Err(fail(2, format_args!("{name} is not UTF-8: set it again, or unset it")));
        }
        let resolved = resolved.map_err(|error| fail(2, error))?;
        for warning in resolved.warnings {
            tracing::warn!(warning, "configuration");
        }
        Ok(resolved.config)
    }
}

/// What a file of `--secret-file` holds; what is wrong with it has been said otherwise.
pub(crate) fn secret_file(file: &Path) -> Result<Secret, ExitCode> {
    std::fs::read_to_string(file)
        .map(Secret::new)
        .map_err(|error| fail(2, format_args!("--secret-file {}: {error}", file.display())))
}

/// An environment variable, blank ones counting as unset. One that is no text must not: it is an error.
pub(crate) fn variable(name: &str) -> Result<Option<Secret>, ExitCode> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(Secret::new(value)).filter(|value| !value.is_blank())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(fail(2, format_args!("{name} is not UTF-8: set it again, or unset it")))
        }
    }
}

impl RuntimeName {
    /// Sends one request on this runtime, and waits for its answer. The outer error is about the runtime, or the
    /// configured certificates.
    pub(crate) fn send(self, network: &Network, request: &Request) -> io::Result<Result<Answer, Failure>> {
        match self {
            RuntimeName::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let answer = runtime.block_on(async {
                    let client = relayline_tokio::http_client(network)?;
                    Ok(client.send(request).await)
                });
                // Dropping it would wait for a name that is still being looked up.
                runtime.shutdown_background();
                answer
            }
            RuntimeName::Smol => {
                let client = relayline_smol::http_client(network)?;
                Ok(smol::block_on(client.send(request)))
            }
        }
    }

    /// Starts a gateway on this runtime, and runs `host` with it to its end.
    pub(crate) fn host<F: Future>(
        self,
        config: Config,
        host: impl FnOnce(Relay, Inbox) -> F,
    ) -> io::Result<F::Output> {
        match self {
            RuntimeName::Tokio => {
                // The socket has a thread of its own: a host that blocks does not stop the pings.
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                let runtime = builder.worker_threads(1).enable_all().build()?;
                let output = runtime.block_on(async {
                    let (relay, inbox) = relayline_tokio::connect(config)?;
                    Ok(host(relay, inbox).await)
                });
                // Dropping it would wait for a name that is still being looked up.
                runtime.shutdown_background();
                output
            }
            RuntimeName::Smol => {
                let (relay, inbox) = relayline_smol::connect(config)?;
                Ok(smol::block_on(host(relay, inbox)))
            }
        }
    }
}
