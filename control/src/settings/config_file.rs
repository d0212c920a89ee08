//! The configuration file: TOML whose keys are the names of the flags.
//!
//! ```toml
//! url = "wss://connector.example"
//! gateway-id = "gw-1"
//! secret = "…"                      # allowed here: keep the file readable by its owner only
//! # or: secret-file = "secret"      # a file beside this one
//! route-keys = ["acme", "acme-eu"]
//!
//! [[identity]]                      # or, for one alone: platform = "discord" and bot-id = "123" at the top
//! platform = "discord"
//! bot-id = "123"
//!
//! [[policy]]
//! platform = "discord"
//! require-address = true
//!
//! [idp]
//! token-url = "https://login.example/token"
//!
//! [set]
//! handshake_timeout = "1s"
//! ```

#[cfg(feature = "config-file")]
mod parse;

use super::setting::Setting;
use super::source::Source;
use super::table::{ALL, Secrecy, Spec};
use relayline_core::config::Identity;
use relayline_core::secret::Secret;
use std::collections::BTreeMap;

/// A parsed configuration file.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct ConfigFile {
    name: String,
    /// Value and line of each key.
    values: BTreeMap<&'static str, (Secret, usize)>,
    /// Tables of `[[identity]]`.
    pub(super) identities: Vec<Identity>,
    /// Names and values of `[set]`.
    pub(super) set: Vec<(String, Setting)>,
    host: Vec<HostSetting>,
}

/// A setting of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostSetting {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: HostValue,
    /// Its place in the file.
    pub source: Source,
}

/// Value of a host's setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostValue {
    /// `true` or `false`.
    Switch(bool),
    /// Text, or a whole number.
    Text(String),
    /// Array of texts and whole numbers.
    List(Vec<String>),
}

impl ConfigFile {
    /// Returns a setting, unless it is blank.
    pub fn setting(&self, spec: &Spec) -> Option<Setting> {
        self.value(spec, spec.key)
    }

    /// Returns the name of the file that holds a setting's value, if the configuration file names one.
    pub fn file_of(&self, spec: &Spec) -> Option<Setting> {
        self.value(spec, spec.file_key)
    }

    /// Sets a setting to the content of its file ([`file_of`](ConfigFile::file_of)).
    pub fn set_content(&mut self, spec: &'static Spec, content: Secret) {
        let line = self.values.get(spec.file_key).map_or(1, |(_, line)| *line);
        self.values.insert(spec.key, (content, line));
    }

    /// Returns the source of one of the secrets that the file holds, if it holds any.
    pub fn secret(&self) -> Option<Source> {
        let secrets = ALL.iter().filter(|spec| spec.secrecy == Secrecy::Credential);
        secrets.filter_map(|spec| self.setting(spec)).map(|setting| setting.source).next()
    }

    /// Returns the host's settings, in the order of the file.
    pub fn host(&self) -> &[HostSetting] {
        &self.host
    }

    fn value(&self, spec: &Spec, key: &str) -> Option<Setting> {
        let (value, line) = self.values.get(key)?;
        let source = Source::ConfigFile { file: self.name.clone(), line: *line, key: key.to_owned() };
        Some(Setting::new(spec, value.clone(), source)).filter(Setting::is_set)
    }
}
