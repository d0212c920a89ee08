//! What a gateway does before it dials, done (H-4, H-5).

use super::{Client, borrowed};
use crate::shared::unix_s;
use relayline_core::config::{Config, Credentials};
use relayline_core::http::boot::{Boot, KnownAlready, Plan, Report, Step};
use relayline_core::http::identity::TokenFile;
use relayline_core::secret::Secret;
use relayline_core::settings::Resolved;
use std::env::home_dir;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Error returned when a boot cannot end in a configuration to dial with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// There is no runtime, or the configured certificates cannot be used.
    #[error(transparent)]
    Client(#[from] io::Error),
    /// The connector knows the gateway already, and the gateway has no secret (H-4).
    #[error(transparent)]
    KnownAlready(#[from] KnownAlready),
}

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
    ) -> Result<Config, KnownAlready> {
        let Resolved { mut config, plan, .. } = resolved;
        let Some(plan) = plan else {
            return Ok(config);
        };
        let booted = self.boot(plan, run, log).await?;
        if !booted.unsent.is_empty() {
            tracing::warn!(platforms = booted.unsent.join(","), "policy_unsent");
        }
        config.credentials = booted.credentials;
        // What was set is kept: during a rotation both are in use.
        config.delivery_keys.extend(booted.delivery_key.filter(|key| !config.delivery_keys.contains(key)));
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
                    Ok(answer) => {
                        boot.answered(Ok((answer.status, &borrowed(&answer.headers), &answer.body)))
                    }
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
    const MOST: u64 = 1 << 20;
    let path = match (file.path().strip_prefix("~/"), home_dir()) {
        (Some(below), Some(home)) => home.join(below),
        _ => PathBuf::from(file.path()),
    };
    let read = || {
        let open = File::open(&path)?;
        let metadata = open.metadata()?;
        // What grows leaves copies behind.
        let room = usize::try_from(metadata.len().min(MOST) + 1).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        open.take(MOST + 1).read_to_end(&mut bytes)?;
        Ok((bytes, metadata))
    };
    let (bytes, metadata) = read().map_err(|error: io::Error| error.to_string())?;
    if bytes.len() as u64 > MOST {
        return Err("it is larger than any such file: 1 MiB at most".to_owned());
    }
    warn_if_exposed(file, &metadata);
    Ok(bytes)
}

#[cfg(unix)]
fn warn_if_exposed(file: &TokenFile, metadata: &Metadata) {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o044 != 0 {
        let warning = format!(
            "the access token file {file}: others on this machine can read it (mode {mode:04o}): chmod 600 {file}"
        );
        tracing::warn!(warning, "configuration");
    }
}

/// Who can read a file is not known here.
#[cfg(not(unix))]
fn warn_if_exposed(_: &TokenFile, _: &Metadata) {}

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
