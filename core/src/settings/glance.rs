//! What a caller must know of a configuration file before it can resolve.

use super::file::File;
use super::layers::Origin;
use super::{ConfigError, FileText, names};

/// What a configuration file says to who reads files: nothing in this crate does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glance {
    /// The file of certificates that it names as `ca-file`, and where it does. `--ca-file` and `SSL_CERT_FILE` go
    /// before it.
    pub ca_file: Option<(String, Origin)>,
    /// One of the secrets that it holds: nobody but its owner should be able to read it.
    pub secret: Option<Origin>,
}

/// Looks into a configuration file.
///
/// # Errors
/// When it is no such file.
pub fn glance(file: FileText<'_>) -> Result<Glance, ConfigError> {
    let file = File::parse(&file)?;
    let secrets = [
        &names::SECRET,
        &names::DELIVERY_KEY,
        &names::ENROLL_TOKEN,
        &names::ACCESS_TOKEN,
        &names::IDP_CLIENT_SECRET,
    ];
    let given = |key| file.value(key).filter(|found| !found.value.is_blank());
    Ok(Glance {
        ca_file: given(names::CA_FILE.key).map(|found| (found.text().to_owned(), found.from)),
        secret: secrets.iter().find_map(|name| given(name.key)).map(|found| found.from),
    })
}
