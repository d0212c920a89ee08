//! Configuration from the environment of the process and from the machine.

use crate::tls;
use relayline_control::network::CaCertificates;
use relayline_control::settings::{self, Arguments, ConfigError, Resolved, Sources};
use std::cell::Cell;
use std::env::VarError;
use std::path::{Path, PathBuf};

/// Resolves the configuration from the environment (`GATEWAY_RELAY_URL` and so on). Pass the result to the runtime's `boot`,
/// which provisions credentials if there are none.
///
/// # Errors
/// A variable is missing or malformed. The error names it.
pub fn config_from_env() -> Result<Resolved, ConfigError> {
    resolve_with_environment(&mut Arguments::default())
}

/// Resolves the configuration from arguments, and from the environment for settings without an argument.
///
/// # Errors
/// An argument or a variable is missing or malformed. The error names it.
pub(crate) fn resolve_with_environment(arguments: &mut Arguments) -> Result<Resolved, ConfigError> {
    if arguments.ca_certificates.is_none() {
        arguments.ca_certificates = ca_certificates(None)?;
    }
    detect_host(arguments, default_env_file().as_deref());
    with_environment(|environment| settings::resolve(&Sources::new(arguments, environment)))
}

/// Calls `resolve` with a look-up of environment variables.
///
/// # Errors
/// `resolve` fails, or a variable that it looks up is not UTF-8: such a variable must not count as unset.
pub fn with_environment<T>(
    resolve: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let unreadable = Cell::new(None);
    let resolved = resolve(&|name| match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => {
            unreadable.set(Some(name.to_owned()));
            None
        }
    });
    match unreadable.take() {
        Some(name) => Err(ConfigError::NotText(name)),
        None => resolved,
    }
}

/// Sets the name of the machine, and detects a managed install by a file `.managed` beside the env file.
pub fn detect_host(arguments: &mut Arguments, env_file: Option<&Path>) {
    arguments.hostname = gethostname::gethostname().into_string().ok();
    arguments.managed = env_file.is_some_and(|file| file.with_file_name(".managed").exists());
}

/// Returns the default path of the env file: `~/.hermes/.env`.
pub fn default_env_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".hermes").join(".env"))
}

/// Reads certificates to trust: from `file`, which `--ca-file` names, else from the file that `SSL_CERT_FILE` names.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn ca_certificates(file: Option<&Path>) -> Result<Option<CaCertificates>, ConfigError> {
    let variable =
        || std::env::var_os("SSL_CERT_FILE").filter(|file| !file.to_string_lossy().trim().is_empty());
    match (file, variable()) {
        (Some(file), _) => read_certificates("--ca-file", file).map(Some),
        (None, Some(file)) => read_certificates("SSL_CERT_FILE", file.as_ref()).map(Some),
        (None, None) => Ok(None),
    }
}

/// Reads the certificates of a file. `name` is the setting's name, for errors.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn read_certificates(name: &str, file: &Path) -> Result<CaCertificates, ConfigError> {
    let from = format!("{name} {}", file.display());
    let read = std::fs::read(file).map_err(|error| error.to_string());
    match read.and_then(|bytes| tls::add(&mut rustls::RootCertStore::empty(), &bytes).map(|_| bytes)) {
        Ok(bytes) => Ok(CaCertificates::new(from, bytes)),
        Err(problem) => Err(ConfigError::invalid(from, problem)),
    }
}
