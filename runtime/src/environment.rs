//! Configuration from where the process stands: its environment, and the machine.

use crate::tls;
use relayline_control::network::CaCertificates;
use relayline_control::settings::{self, Arguments, ConfigError, Files, Resolved};
use std::cell::Cell;
use std::env::VarError;
use std::path::{Path, PathBuf};

/// The configuration that the process's environment describes (`GATEWAY_RELAY_URL` and so on, H-9). It is for the
/// runtime's `boot`, which does what comes before the dial: one that is dialled with as it is has no credentials where
/// they are still to be provisioned (H-4).
///
/// # Errors
/// Names the variable that is wrong, and what is wrong with it.
pub fn config_from_env() -> Result<Resolved, ConfigError> {
    let mut arguments = Arguments { ca_certificates: ca_certificates(None)?, ..Arguments::default() };
    detect_host(&mut arguments, default_env_file().as_deref());
    with_environment(|environment| settings::resolve(&arguments, environment, &Files::default()))
}

/// Resolves with the process's environment.
///
/// # Errors
/// Those of `how`, and a variable that it asks for and that is no text: it must not count as unset.
pub fn with_environment<T>(
    how: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let unreadable = Cell::new(None);
    let resolved = how(&|name| match std::env::var(name) {
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

/// Detects the name of the machine, and whether a `.managed` beside the env file says that the install is managed (H-3).
pub fn detect_host(arguments: &mut Arguments, env_file: Option<&Path>) {
    arguments.hostname = gethostname::gethostname().into_string().ok();
    arguments.managed = env_file.is_some_and(|file| file.with_file_name(".managed").exists());
}

/// Where an agent host keeps its environment when nobody says otherwise.
pub fn default_env_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".hermes").join(".env"))
}

/// Reads the certificates of authorities that are to be trusted, too: from this file, which `--ca-file` names, or else
/// from the one that the environment names as `SSL_CERT_FILE`, if it does.
///
/// # Errors
/// When the file cannot be read, or holds no certificate.
pub fn ca_certificates(file: Option<&Path>) -> Result<Option<CaCertificates>, ConfigError> {
    let variable =
        || std::env::var_os("SSL_CERT_FILE").filter(|file| !file.to_string_lossy().trim().is_empty());
    match (file, variable()) {
        (Some(file), _) => read_certificates("--ca-file", file).map(Some),
        (None, Some(file)) => read_certificates("SSL_CERT_FILE", file.as_ref()).map(Some),
        (None, None) => Ok(None),
    }
}

/// Reads the certificates of a file, which `name` names.
///
/// # Errors
/// When the file cannot be read, or holds no certificate.
pub fn read_certificates(name: &str, file: &Path) -> Result<CaCertificates, ConfigError> {
    let from = format!("{name} {}", file.display());
    let read = std::fs::read(file).map_err(|error| error.to_string());
    match read.and_then(|bytes| tls::add(&mut rustls::RootCertStore::empty(), &bytes).map(|_| bytes)) {
        Ok(bytes) => Ok(CaCertificates { from, bytes }),
        Err(problem) => Err(ConfigError::CaFile { from, problem }),
    }
}
