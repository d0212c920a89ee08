//! Arguments of a program.

use super::names::Names;
use super::table::Spec;
use crate::network::CaCertificates;
use relayline_core::secret::Secret;
use std::collections::BTreeMap;

/// Values of flags, which override all other sources, and facts about the machine.
#[derive(Clone, Default, Debug)]
pub struct Arguments {
    /// Values by the setting's flag and variable. Each setting has at least one of the two, so the pair identifies it.
    pub(super) values: BTreeMap<[&'static str; 2], Vec<Secret>>,
    /// Names of settings in messages: those of the builder's methods by default.
    pub names: Names,
    /// Certificates from the file of `--ca-file` or `SSL_CERT_FILE`.
    pub ca_certificates: Option<CaCertificates>,
    /// True if a file `.managed` is beside the env file.
    pub managed: bool,
    /// Host name of the machine. The default id of the gateway is derived from it.
    pub hostname: Option<String>,
}

impl Arguments {
    /// Adds the value of a setting's flag. If the flag names a file with a secret, the value is the file's content.
    pub fn push(&mut self, spec: &Spec, value: impl Into<Secret>) {
        self.values.entry(key(spec)).or_default().push(value.into());
    }

    /// Adds a value as [`push`](Arguments::push) does.
    #[must_use]
    pub fn with(mut self, spec: &Spec, value: impl Into<Secret>) -> Arguments {
        self.push(spec, value);
        self
    }

    /// Returns the values of a setting's flag, in order.
    pub fn values(&self, spec: &Spec) -> &[Secret] {
        self.values.get(&key(spec)).map_or(&[], Vec::as_slice)
    }
}

fn key(spec: &Spec) -> [&'static str; 2] {
    [spec.flag, spec.variable]
}
