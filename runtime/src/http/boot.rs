//! Boot of a gateway: access token, provisioning and policies before the dial (H-4, H-5).

use super::Client;
use crate::files;
use crate::shared::unix_s;
use relayline_control::config::GatewayConfig;
use relayline_control::http::access_token::TokenFile;
use relayline_control::http::boot::{Boot, KnownAlready, Plan, Report, Step};
use relayline_control::settings::Resolved;
use relayline_core::config::Credentials;
use relayline_core::secret::Secret;
use std::env::home_dir;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Result of a boot.
#[derive(Clone, PartialEq, Debug)]
pub struct Booted {
    /// Credentials for the dial: those that are set, or else the last that were issued.
    pub credentials: Option<Credentials>,
    /// Key of webhook requests, if one was issued.
    pub delivery_key: Option<Secret>,
    /// Platforms whose policy was not sent because there are no credentials.
    pub unsent: Vec<String>,
}

impl Client {
    /// Carries out the boot plan of a configuration as [`boot`](Self::boot) does, and returns the configuration for the
    /// dial. A step that fails is logged as `boot_failed`, and the boot continues. The dial may lack credentials then.
    ///
    /// # Errors
    /// The connector knows the gateway already and the gateway has no secret: every dial would be refused.
    pub async fn ready(
        &self,
        resolved: Resolved,
        run: impl AsyncFnMut(&str) -> Result<Zeroizing<Vec<u8>>, String>,
    ) -> Result<GatewayConfig, KnownAlready> {
        let Resolved { mut config, plan, .. } = resolved;
        let Some(plan) = plan else {
            return Ok(config);
        };
        let booted = self.boot(plan, run, log).await?;
        if !booted.unsent.is_empty() {
            tracing::warn!(platforms = booted.unsent.join(","), "policy_unsent");
        }
        config.machine.credentials = booted.credentials;
        // Keys that are set are kept: during a rotation both are in use.
        let keys = &mut config.machine.delivery_keys;
        keys.extend(booted.delivery_key.filter(|key| !keys.contains(key)));
        Ok(config)
    }

    /// Gets an access token, provisions credentials and sends policies, as far as the plan requires it.
    ///
    /// Calls `report` after each step. A step that fails does not stop the boot. `run` runs the command that prints an
    /// access token. Its output is wiped after use, and its error is reported.
    ///
    /// # Errors
    /// The connector knows the gateway already and the gateway has no secret: every dial would be refused.
    pub async fn boot(
        &self,
        plan: Plan,
        mut run: impl AsyncFnMut(&str) -> Result<Zeroizing<Vec<u8>>, String>,
        mut report: impl FnMut(Report),
    ) -> Result<Booted, KnownAlready> {
        let (mut boot, left_out) = Boot::new(plan);
        left_out.into_iter().for_each(&mut report);
        loop {
            report(match boot.next(unix_s()) {
                Step::Run(command) => {
                    let printed = run(command.expose()).await;
                    boot.printed(printed.as_ref().map(|bytes| bytes.as_slice()).map_err(Clone::clone))
                }
                Step::Read(file) => {
                    let content = read_token_file(&file);
                    boot.read(content.as_ref().map(|bytes| bytes.as_slice()).map_err(Clone::clone), unix_s())
                }
                Step::Send(request) => match self.send(&request).await {
                    Ok(answer) => boot.answered(Ok((answer.status, &answer.headers, &answer.body))),
                    Err(failure) => boot.answered(Err(failure)),
                },
                Step::Dial { credentials, delivery_key, unsent } => {
                    return Ok(Booted { credentials, delivery_key, unsent });
                }
                Step::Known(known) => return Err(known),
            });
        }
    }
}

/// Reads a file with an access token. Logs a warning if other users can read it.
///
/// # Errors
/// The file cannot be read, or is larger than 1 MiB.
pub fn read_token_file(file: &TokenFile) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = match (file.path().strip_prefix("~/"), home_dir()) {
        (Some(below), Some(home)) => home.join(below),
        _ => PathBuf::from(file.path()),
    };
    let contents = files::read(&path).map_err(|error| error.to_string())?;
    let what = format_args!("the access token file {file}");
    if let Some(warning) = contents.warning(what, Path::new(file.path())) {
        tracing::warn!(warning, "configuration");
    }
    Ok(contents.into_bytes())
}

fn log(report: Report) {
    match report {
        Report::AccessToken => tracing::info!("access_token"),
        Report::Provisioned(platform, secret_issued) => {
            tracing::info!(platform, secret_issued, "provisioned");
        }
        Report::Policy(platform) => tracing::info!(platform, "policy_taken"),
        Report::Failed { what, why } => tracing::warn!(what, why, "boot_failed"),
        Report::Nothing => {}
    }
}
