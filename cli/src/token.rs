//! `relayline token`: mints an upgrade token, as a gateway does for each dial.

use crate::gateway::{secret_file, variable};
use crate::{fail, print, unix_s};
use clap::Args;
use relayline_core::secret::Secret;
use relayline_core::token::{self, TOKEN_TTL_S};
use std::path::PathBuf;
use std::process::ExitCode;

/// Mint and print an upgrade token, as a gateway does for each dial.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  export GATEWAY_RELAY_SECRET=...
  curl -H \"Authorization: Bearer $(relayline token --gateway-id gw-1)\" https://connector.example/relay/media/7

The secret comes from GATEWAY_RELAY_SECRET or --secret-file, never from an argument, which ps shows. The token is a
credential until it expires.

Exit codes: 0 done; 2 flags or environment wrong.")]
pub(crate) struct TokenArguments {
    /// Id of the gateway; it may contain colons [env: GATEWAY_RELAY_ID]
    #[arg(long, value_name = "ID")]
    gateway_id: Option<String>,

    /// File that holds the gateway's secret and nothing else [env: GATEWAY_RELAY_SECRET, the secret itself]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Lifetime of the token, in seconds; 0 for no expiry
    #[arg(long, value_name = "SECONDS", default_value_t = TOKEN_TTL_S)]
    ttl: u64,

    /// Time to mint it at, in Unix seconds; now by default
    #[arg(long, value_name = "UNIX_S")]
    at: Option<u64>,
}

pub(crate) fn run(arguments: &TokenArguments) -> ExitCode {
    match mint(arguments) {
        Ok(token) => print(token.expose()),
        Err(code) => code,
    }
}

fn mint(arguments: &TokenArguments) -> Result<Secret, ExitCode> {
    let given = arguments.gateway_id.as_deref().map(Secret::from).filter(|id| !id.is_blank());
    let id = match given {
        Some(id) => id,
        None => variable("GATEWAY_RELAY_ID")?
            .ok_or_else(|| fail(2, "no gateway id: give --gateway-id or set GATEWAY_RELAY_ID"))?,
    };
    let secret = match &arguments.secret_file {
        Some(file) => Some(secret_file(file)?).filter(|secret| !secret.is_blank()),
        None => variable("GATEWAY_RELAY_SECRET")?,
    };
    let secret = secret.ok_or_else(|| {
        fail(2, "no secret: set GATEWAY_RELAY_SECRET, or give --secret-file with a file that is not empty")
    })?;
    // As a gateway reads it: a file or a shell may add a newline.
    let secret = Secret::from(secret.expose().trim());
    Ok(token::mint(id.expose().trim(), &secret, arguments.at.unwrap_or_else(unix_s), arguments.ttl))
}
