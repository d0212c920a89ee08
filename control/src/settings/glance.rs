//! What a caller must know of the files before it can resolve.

use super::sources::{Source, Sources};
use super::{ConfigError, Files, Name, names};

/// What the files say to the caller, which reads further files: nothing in this crate does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glance {
    /// The file of certificates that the configuration file names as `ca-file`, and where it does. `--ca-file` and
    /// `SSL_CERT_FILE` go before it.
    pub ca_file: Option<(String, Source)>,
    /// The file that it names as `secret-file`; its content goes into [`Files::secret`].
    pub secret_file: Option<(String, Source)>,
    /// The file that it names as `delivery-key-file`; its content goes into [`Files::delivery_key`].
    pub delivery_key_file: Option<(String, Source)>,
    /// One of the secrets that it holds: nobody but its owner should be able to read it.
    pub secret: Option<Source>,
    /// One of the secrets that the env file holds, likewise.
    pub env_file_secret: Option<Source>,
    /// The host's own settings in it, in the order in which they stand there.
    pub host: Vec<HostSetting>,
}

/// A setting under one of the [`Files::host_keys`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostSetting {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: HostValue,
    /// Where it stands.
    pub from: Source,
}

/// The value of a host's setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostValue {
    /// `true` or `false`.
    Switch(bool),
    /// A text, or a whole number as it is written.
    Text(String),
    /// An array of such.
    List(Vec<String>),
}

/// Looks into the files.
///
/// # Errors
/// When one of them is no such file.
pub fn glance(files: &Files<'_>) -> Result<Glance, ConfigError> {
    let sources = Sources::read(&|_| None, files)?;
    let variable = |name: &&Name| name.variable.and_then(|variable| sources.in_env_file(variable));
    let secret = names::SECRETS.iter().find_map(variable);
    Ok(Glance { env_file_secret: secret.map(|found| found.from), ..sources.file.glance() })
}
