//! `relayline token`: an upgrade token, as a gateway mints one for each dial.

use crate::gateway::{secret_file, variable};
use crate::{fail, print, unix_s};
use clap::Args;
use relayline_core::secret::Secret;
use relayline_core::token::{self, TOKEN_TTL_S};
use std::path::PathBuf;
use std::process::ExitCode;

/// Mint an upgrade token, as a gateway does for each dial, and print it
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  export GATEWAY_RELAY_SECRET=...
  curl -H \"Authorization: Bearer $(relayline token --gateway-id gw-1)\" https://connector.example/relay/media/7

The secret comes from GATEWAY_RELAY_SECRET or --secret-file, never from an argument that ps shows. The token is a
credential too, for as long as it is good.

Exit codes: 0 done, 2 flags or environment wrong.")]
pub(crate) struct TokenArguments {
    /// Whose token it is; it may hold colons [env: GATEWAY_RELAY_ID]
    #[arg(long, value_name = "ID")]
    gateway_id: Option<String>,

    /// A file that holds the gateway's secret and nothing else [env: GATEWAY_RELAY_SECRET, the secret itself]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// How long the token is good for, in seconds; 0 is for ever
    #[arg(long, value_name = "SECONDS", default_value_t = TOKEN_TTL_S)]
    ttl: u64,

    /// Mint it as at this moment, in unix seconds, instead of now
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
    // As a gateway reads them: a file or a shell may leave a newline at the end.
    let secret = Secret::from(secret.expose().trim());
    Ok(token::mint(id.expose().trim(), &secret, arguments.at.unwrap_or_else(unix_s), arguments.ttl))
}
