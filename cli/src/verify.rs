//! `relayline verify`: verifies an upgrade token or a webhook request, as a connector or a gateway does.

use crate::gateway::{secret_file, variable};
use crate::{fail, print, unix_s};
use clap::Args;
use relayline_core::secret::Secret;
use relayline_core::{signature, token};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Verify an upgrade token, or with --signature a webhook request.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  relayline token --gateway-id gw-1 | relayline verify
  GATEWAY_RELAY_DELIVERY_KEY=new,old relayline verify --timestamp 1782554400 --signature ce72... --body body.json

A token is read from stdin, since it is a credential, and verified with GATEWAY_RELAY_SECRET. A webhook request
is its exact body, on stdin or in --body, with the values of its headers x-relay-timestamp and x-relay-signature. It is
verified with GATEWAY_RELAY_DELIVERY_KEY, which is a comma-separated list during a rotation. --secret-file overrides both
variables.

Exit codes: 0 valid; 1 not valid or not readable; 2 flags or environment wrong.")]
pub(crate) struct VerifyArguments {
    /// Signature of a webhook request: its header x-relay-signature
    #[arg(long, value_name = "HEX", requires = "timestamp")]
    signature: Option<String>,

    /// Time of the signature: its header x-relay-timestamp
    #[arg(long, value_name = "UNIX_S", requires = "signature", allow_hyphen_values = true)]
    timestamp: Option<String>,

    /// File with the exact body of the webhook request; stdin by default
    #[arg(long, value_name = "FILE", requires = "signature")]
    body: Option<PathBuf>,

    /// File that holds a secret or delivery key and nothing else. Repeatable: any may match
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,

    /// Time to verify it at, in Unix seconds; now by default
    #[arg(long, value_name = "UNIX_S")]
    at: Option<u64>,
}

pub(crate) fn run(arguments: &VerifyArguments) -> ExitCode {
    verdict(arguments).unwrap_or_else(|code| code)
}

fn verdict(arguments: &VerifyArguments) -> Result<ExitCode, ExitCode> {
    let unix_s = arguments.at.unwrap_or_else(unix_s);
    Ok(match (&arguments.signature, &arguments.timestamp) {
        (Some(signature), Some(timestamp)) => {
            let keys = secrets(arguments, "GATEWAY_RELAY_DELIVERY_KEY", signature::keys)?;
            let body = body(arguments.body.as_deref())?;
            match signature::verify(&body, Some(timestamp), Some(signature), &keys, unix_s) {
                Ok(()) => print(format_args!("valid: a delivery of {} bytes", body.len())),
                Err(reason) => fail(1, format_args!("not valid: {reason}")),
            }
        }
        // The flags require each other.
        (Some(_), None) | (None, Some(_)) | (None, None) => {
            let secrets = secrets(arguments, "GATEWAY_RELAY_SECRET", |secret| {
                vec![Secret::from(secret.expose().trim())]
            })?;
            check_token(&read_token()?, &secrets, unix_s)
        }
    })
}

fn check_token(token: &Secret, secrets: &[Secret], unix_s: u64) -> ExitCode {
    let token = token.expose().trim();
    if let Some(id) = token::verify(token, secrets, unix_s) {
        // Quoted: the id of a token may contain line breaks.
        return print(format_args!("valid: a token of gateway {id:?}"));
    }
    // At time 0 no token has expired.
    if token::verify(token, secrets, 0).is_some() {
        return fail(
            1,
            "not valid: the token has expired: mint a new one, and check the clocks of both sides",
        );
    }
    fail(1, "not valid: it is not a token, or another secret signed it")
}

/// Returns the secrets to verify with, without blank ones.
fn secrets(
    arguments: &VerifyArguments,
    name: &str,
    of_variable: impl Fn(&Secret) -> Vec<Secret>,
) -> Result<Vec<Secret>, ExitCode> {
    let mut secrets = Vec::new();
    for file in &arguments.secret_file {
        secrets.push(Secret::from(secret_file(file)?.expose().trim()));
    }
    if arguments.secret_file.is_empty() {
        secrets = variable(name)?.as_ref().map(of_variable).unwrap_or_default();
    }
    secrets.retain(|secret| !secret.is_blank());
    if secrets.is_empty() {
        let message = format_args!(
            "no secret to check with: set {name}, or give --secret-file with a file that is not empty"
        );
        return Err(fail(2, message));
    }
    Ok(secrets)
}

fn body(file: Option<&Path>) -> Result<Vec<u8>, ExitCode> {
    let Some(file) = file else {
        let mut bytes = Vec::new();
        io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|error| fail(1, format_args!("standard input: {error}")))?;
        return Ok(bytes);
    };
    std::fs::read(file).map_err(|error| fail(1, format_args!("--body {}: {error}", file.display())))
}

fn read_token() -> Result<Secret, ExitCode> {
    let mut text = String::new();
    match io::stdin().read_to_string(&mut text) {
        Ok(_) => Ok(Secret::new(text)),
        Err(error) => Err(fail(1, format_args!("standard input: {error}"))),
    }
}
