//! Env file as a source of settings: it overrides the configuration file, and the environment overrides it.

use super::error::ConfigError;
use super::setting::Setting;
use super::source::Source;
use super::table::{self, Secrecy, Spec};
use crate::env_file::{self, Variable};
use relayline_core::secret::Secret;
use std::collections::BTreeMap;

/// An env file that was read.
#[derive(Clone, PartialEq, Debug)]
pub struct EnvFile {
    name: String,
    /// Value and line of each variable.
    variables: BTreeMap<String, (Secret, usize)>,
}

impl EnvFile {
    /// Parses an env file's text. `name` is its name in messages.
    ///
    /// # Errors
    /// A setting's value was not UTF-8: the text then contains a replacement character.
    pub fn parse(name: &str, text: &str) -> Result<EnvFile, ConfigError> {
        let mut file = EnvFile { name: name.to_owned(), variables: BTreeMap::new() };
        for Variable { name: variable, value, line } in env_file::read(text) {
            // Lines of other programs may contain anything.
            if value.expose().contains(char::REPLACEMENT_CHARACTER)
                && table::variables().any(|spec| spec.variable == variable)
            {
                return Err(ConfigError::NotText(format!("{name}:{line}: {variable}")));
            }
            file.variables.insert(variable, (value, line));
        }
        Ok(file)
    }

    /// Returns the source of one of the secrets that the file holds, if it holds any.
    pub fn secret(&self) -> Option<Source> {
        let secrets = table::variables().filter(|spec| spec.secrecy == Secrecy::Credential);
        secrets.filter_map(|spec| self.setting(spec)).map(|setting| setting.source).next()
    }

    /// Returns a setting, unless it is blank.
    pub(super) fn setting(&self, spec: &Spec) -> Option<Setting> {
        let variable = spec.variable()?;
        let (value, line) = self.variables.get(variable)?;
        let source = Source::EnvFile { file: self.name.clone(), line: *line, variable };
        Some(Setting::new(spec, value.clone(), source)).filter(Setting::is_set)
    }

    /// Returns the value of any variable.
    pub(super) fn value(&self, variable: &str) -> Option<&Secret> {
        self.variables.get(variable).map(|(value, _)| value)
    }
}
