//! Value of a setting, with its source.

use super::error::ConfigError;
use super::source::Source;
use super::table::{Secrecy, Spec};
use relayline_core::secret::Secret;
use std::fmt::Display;

/// Value of a setting, with its source. White space around the value is ignored.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    pub(super) value: Secret,
    pub(super) secrecy: Secrecy,
    /// Source of the value.
    pub source: Source,
}

impl Setting {
    pub(super) fn new(spec: &Spec, value: Secret, source: Source) -> Setting {
        Setting { value, secrecy: spec.secrecy, source }
    }

    /// Returns the text. Do not log or display it if the setting is a secret.
    pub fn text(&self) -> &str {
        self.value.expose().trim()
    }

    /// Returns the value without white space around it.
    pub(super) fn secret(&self) -> Secret {
        Secret::from(self.text())
    }

    /// Returns the parts of a comma-separated list, except empty ones.
    pub(super) fn list(&self) -> impl Iterator<Item = &str> {
        self.text().split(',').map(str::trim).filter(|part| !part.is_empty())
    }

    /// Returns true if the value is not only white space (L-2).
    pub(super) fn is_set(&self) -> bool {
        !self.value.is_blank()
    }

    /// Returns the value in quotes, or a placeholder if it may be secret (C-4).
    pub(super) fn quoted(&self) -> String {
        match self.secrecy {
            Secrecy::Public => format!("{:?}", self.text()),
            Secrecy::Sensitive | Secrecy::Credential => "<hidden>".to_owned(),
        }
    }

    /// Returns an error about the value.
    pub(super) fn invalid(&self, problem: impl Display) -> ConfigError {
        ConfigError::invalid(&self.source, problem)
    }

    /// Returns an error that lists the allowed words.
    pub(super) fn none_of(&self, words: &[&str]) -> ConfigError {
        self.invalid(format_args!("{} is not one of {}", self.quoted(), words.join(", ")))
    }

    /// Parses `true` or `false`.
    pub(super) fn bool(&self) -> Result<bool, ConfigError> {
        match self.text().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(self.none_of(&["true", "false", "on", "off"])),
        }
    }

    /// Checks for control characters: a file with two secrets must not be read as one secret.
    pub(super) fn on_one_line(self) -> Result<Setting, ConfigError> {
        match self.text().chars().any(char::is_control) {
            true => Err(ConfigError::Control(self.source)),
            false => Ok(self),
        }
    }
}
