//! What a gateway does before it dials, done (H-4, H-5).

use super::Client;
use crate::files;
use crate::shared::unix_s;
use relayline_control::config::GatewayConfig;
use relayline_control::http::boot::{Boot, KnownAlready, Plan, Report, Step};
use relayline_control::http::identity::TokenFile;
use relayline_control::settings::Resolved;
use relayline_core::config::Credentials;
use relayline_core::secret::Secret;
use std::env::home_dir;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a boot has come to.
#[derive(Clone, PartialEq, Debug)]
pub struct Booted {
    /// What to dial with: what was set, or else the last that was issued (H-4).
    pub credentials: Option<Credentials>,
    /// What signs deliveries, if any was issued.
    pub delivery_key: Option<Secret>,
    /// The platforms whose policy was not sent, for want of credentials.
    pub unsent: Vec<String>,
}

impl Client {
    /// Makes a resolved configuration ready to dial with: carries out its plan, if it has one, as [`boot`](Self::boot)
    /// does. What fails is logged as `boot_failed`, and stops nothing: then the dial has no credentials.
    ///
    /// # Errors
    /// When the connector knows the gateway already and the gateway has no secret: every dial would be refused.
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
        // What was set is kept: during a rotation both are in use.
        let keys = &mut config.machine.delivery_keys;
        keys.extend(booted.delivery_key.filter(|key| !keys.contains(key)));
        Ok(config)
    }

    /// Gets an identity token, provisions and sends policies, as far as the plan asks for it. Nothing that goes wrong
    /// stops it: `report` hears of each step, as it is done. `run` runs the command that prints an identity token; what
    /// it gives is wiped, an error's text is shown.
    ///
    /// # Errors
    /// When the connector knows the gateway already and the gateway has no secret: every dial would be refused.
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

/// Reads the file that holds an access token. One that other users can read is warned of.
///
/// # Errors
/// When it cannot be read, or is larger than any such file.
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
        Report::Identity => tracing::info!("identity_token"),
        Report::Provisioned(platform, secret_issued) => {
            tracing::info!(platform, secret_issued, "provisioned");
        }
        Report::Policy(platform) => tracing::info!(platform, "policy_taken"),
        Report::Failed { what, why } => tracing::warn!(what, why, "boot_failed"),
        Report::Nothing => {}
    }
}
