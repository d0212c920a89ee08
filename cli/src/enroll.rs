//! `relayline enroll`: exchanges a single-use token for a gateway's credentials, and writes them to its env file (H-1 to
//! H-3).

use crate::env_file::EnvFile;
use crate::flags::{EnrollCommand, Given, SettingFlags};
use crate::gateway::{EnvFiles, NetworkArguments, RuntimeName};
use crate::{boot, fail, print};
use clap::Args;
use relayline_control::http::Issued;
use relayline_control::http::enroll::Enroll;
use relayline_control::settings::{self, Enrollment, table};
use relayline_control::url::without_query;
use relayline_core::secret::Secret;
use relayline_runtime::default_env_file;
use relayline_runtime::http::Client;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Enroll this gateway with a connector, and write its credentials to an env file.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  relayline enroll --connector-url https://connector.example --token ENROLLMENT_TOKEN \\
    --access-token-command 'gcloud auth print-identity-token'
  GATEWAY_RELAY_ENROLL_TOKEN=... GATEWAY_RELAY_ACCESS_TOKEN=... \\
    relayline enroll --connector-url https://connector.example --env-file ./gateway.env

The connector's operator issues the enrollment token, which works once. The access token says whose gateway it is. Its
sources are --access-token, --access-token-command, --access-token-file (~/.hermes/auth.json#providers.nous.access_token
is the login of the public agent), GATEWAY_RELAY_ACCESS_TOKEN, and an identity provider (GATEWAY_RELAY_IDP_TOKEN_URL,
_CLIENT_ID, _CLIENT_SECRET, _SCOPE; without a client the URL is requested with a plain GET). Other users of this machine
can see --token and --access-token in ps. They cannot see the environment.

The command sets GATEWAY_RELAY_ID, _SECRET and _DELIVERY_KEY in the env file, and _URL and _WAKE_URL if their flags are
given. It keeps the rest of the file, and does not change the file if it fails. The last line of its output is the command
that runs the gateway.

The env file must belong to you: a regular file with one name, in folders that only you and root can change. Otherwise
the command requests and writes nothing, unless --force is given. With --force it follows symbolic links.

Exit codes: 0 done; 1 refused, unreachable or not written; 2 flags, environment or config file wrong.")]
pub(crate) struct EnrollArguments {
    #[command(flatten)]
    settings: SettingFlags<EnrollCommand>,

    /// Env file to write [default: ~/.hermes/.env]
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    env_file: Option<PathBuf>,

    /// Write the env file even if other users could read or replace it
    #[arg(long, help_heading = "Configuration")]
    force: bool,

    #[command(flatten)]
    pub(crate) network: NetworkArguments,
}

pub(crate) fn run(arguments: &EnrollArguments) -> ExitCode {
    match enroll(arguments) {
        Ok(said) => print(said),
        Err(code) => code,
    }
}

fn enroll(arguments: &EnrollArguments) -> Result<String, ExitCode> {
    let path = arguments.env_file.clone().or_else(default_env_file);
    let path = path.ok_or_else(|| fail(2, "there is no home folder: give --env-file"))?;
    let given = &arguments.settings.given;
    let env_files = EnvFiles { managed_by: Some(&path), ..EnvFiles::default() };
    let resolved = arguments.network.resolve(given.clone(), env_files, |sources| {
        // H-3: a managed install cannot enroll, whatever else is set.
        if sources.is_managed() { Ok(None) } else { settings::enrollment(sources).map(Some) }
    });
    let (Some(enrollment), of_files) = resolved.map_err(|error| error.end())? else {
        return Err(fail(1, managed(&path)));
    };
    for warning in of_files.iter().chain(&enrollment.warnings) {
        tracing::warn!(warning, "configuration");
    }
    // An env file that cannot be written must not use up the token.
    EnvFile::remove_drafts_on_signals()
        .map_err(|error| fail(1, format_args!("cannot wait for signals: {error}")))?;
    let env_file = EnvFile::open(&path, arguments.force).map_err(|error| fail(1, error))?;
    let (url, wake_url) = (enrollment.url.clone(), enrollment.wake_url.clone());
    let next = next_step(&path, given, &arguments.network);
    let network = enrollment.network.clone();
    let issued = arguments
        .network
        .runtime
        .with_client(&network, |client| async move { ask(&client, enrollment).await });
    let issued = issued.map_err(|error| fail(1, error))?.map_err(|why| fail(1, why))?;
    let written = write(env_file, &issued, url.map(Secret::new), wake_url.map(Secret::new))?;
    Ok(format!("{written}\n{next}"))
}

/// Returns how to run the enrolled gateway. The last line is the command.
fn next_step(env_file: &Path, given: &Given, network: &NetworkArguments) -> String {
    let is_smol = network.runtime == RuntimeName::Smol;
    let is_insecure = !given.arguments.values(&table::ALLOW_INSECURE).is_empty();
    let flags = [
        ("--env-file", Some(env_file.as_os_str())),
        ("--config", network.config.as_deref().map(Path::as_os_str)),
        (table::ALLOW_INSECURE.flag, is_insecure.then_some(OsStr::new(""))),
        (table::CA_FILE.flag, given.file(&table::CA_FILE).map(Path::as_os_str)),
        ("--runtime", is_smol.then_some(OsStr::new("smol"))),
    ];
    let mut command = "relayline run".to_owned();
    for (flag, value) in flags.into_iter().filter_map(|(flag, value)| Some((flag, value?))) {
        command += &format!(" {flag}");
        if !value.is_empty() {
            command += &format!(" {}", shell_word(value));
        }
    }
    format!("run it, with --platform for your platform and --exec for your agent:\n{command}")
}

/// Quotes a word for a shell, if necessary.
fn shell_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn managed(path: &Path) -> String {
    let marker = path.with_file_name(".managed");
    let by = if marker.exists() { marker.display().to_string() } else { "HERMES_MANAGED".to_owned() };
    format!(
        "this install is managed ({by} says so): its secret comes from the hosting platform, and it cannot \
         be enrolled"
    )
}

async fn ask(client: &Client, enrollment: Enrollment) -> Result<Issued, String> {
    let access_token = boot::identity(client, enrollment.source).await?;
    let exchange = Enroll::new(enrollment.base, access_token, enrollment.token, enrollment.gateway_id);
    let answer = client.send(&exchange.request()).await.map_err(|failure| failure.to_string())?;
    answer
        .read(|status, headers, body| exchange.read(status, headers, body))
        .map_err(|error| error.to_string())
}

/// Writes the issued credentials, and returns the summary to print.
fn write(
    env_file: EnvFile,
    issued: &Issued,
    url: Option<Secret>,
    wake_url: Option<Secret>,
) -> Result<String, ExitCode> {
    let id = Secret::from(issued.credentials.gateway_id.as_str());
    let values = [
        ("GATEWAY_RELAY_URL", url.as_ref(), false),
        ("GATEWAY_RELAY_ID", Some(&id), false),
        ("GATEWAY_RELAY_SECRET", Some(&issued.credentials.secret), true),
        ("GATEWAY_RELAY_DELIVERY_KEY", issued.delivery_key.as_ref(), true),
        ("GATEWAY_RELAY_WAKE_URL", wake_url.as_ref(), false),
    ];
    let given: Vec<(&str, &Secret)> =
        values.iter().filter_map(|(name, value, _)| Some((*name, (*value)?))).collect();
    let path = env_file.path().display().to_string();
    let changed = env_file.set(&given).map_err(|error| {
        fail(1, format_args!("{error}; the enrollment token is used up by now: ask for another one"))
    })?;
    let tenant = issued.tenant.as_ref().map(|tenant| format!(" for {tenant}")).unwrap_or_default();
    let mut said = format!("enrolled {}{tenant}", id.expose());
    for (name, value, is_secret) in values {
        if let Some(value) = value {
            // A query may hold a secret that a reader of the output must not see.
            let shown = if is_secret { "<hidden>".to_owned() } else { without_query(value.expose()) };
            said.push_str(&format!("\n{name}={shown}"));
        }
    }
    said.push_str(&format!("\n{} {path}", if changed { "written to" } else { "nothing to change in" }));
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_for_a_shell() {
        for (word, expected) in [
            ("gateway.env", "gateway.env"),
            ("my env", "'my env'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("$HOME/x", "'$HOME/x'"),
        ] {
            assert_eq!(shell_word(OsStr::new(word)), expected);
        }
    }
}
