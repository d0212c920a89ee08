//! Values of settings and their sources.

use super::error::ConfigError;
use super::table::{Secrecy, Spec};
use relayline_core::secret::Secret;
use std::fmt::{self, Display};

/// Source of a setting, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A flag.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A variable of an env file.
    EnvFile {
        /// Name of the file, as it was given.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The variable.
        variable: &'static str,
    },
    /// The configuration file.
    ConfigFile {
        /// Name of the file, as it was given.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The key, with that of its table before it.
        key: String,
    },
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(name) | Source::Variable(name) => f.write_str(name),
            Source::EnvFile { file, line, variable } => write!(f, "{file}:{line}: {variable}"),
            Source::ConfigFile { file, line, key } => write!(f, "{file}:{line}: {key}"),
        }
    }
}

impl Source {
    /// Returns the precedence: a lower source overrides a higher one.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Source::Flag(_) => 0,
            Source::Variable(_) => 1,
            Source::EnvFile { .. } => 2,
            Source::ConfigFile { .. } => 3,
        }
    }

    /// Returns the name of a setting in sources of this kind.
    pub(super) fn name(&self, spec: &Spec) -> &'static str {
        match self {
            Source::Flag(_) | Source::Variable(_) | Source::EnvFile { .. } => {
                spec.variable().unwrap_or(spec.flag)
            }
            Source::ConfigFile { .. } => spec.key,
        }
    }
}

/// A setting's value, and its source. White space around the value does not count.
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

    /// Returns the text. Do not log or display that of a secret.
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

    /// Tells whether anything but white space was given (L-2).
    pub(super) fn is_set(&self) -> bool {
        !self.value.is_blank()
    }

    /// Returns the value in quotes, or a placeholder for one that may be secret (C-4).
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

    /// Returns an error that lists the words that the value may be.
    pub(super) fn none_of(&self, words: &[&str]) -> ConfigError {
        self.invalid(format_args!("{} is none of {}", self.quoted(), words.join(", ")))
    }

    /// Parses `true` or `false`.
    pub(super) fn bool(&self) -> Result<bool, ConfigError> {
        match self.text().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(self.none_of(&["true", "false", "on", "off"])),
        }
    }

    /// Checks for control characters: a file with two secrets must not become one that nobody knows.
    pub(super) fn on_one_line(self) -> Result<Setting, ConfigError> {
        match self.text().chars().any(char::is_control) {
            true => Err(ConfigError::Control(self.source)),
            false => Ok(self),
        }
    }
}
