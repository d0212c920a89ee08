//! Where a setting may come from, and where it did: argument, else environment, else file (H-9).

use super::file::File;
use super::{ConfigError, FileText};
use crate::secret::Secret;
use std::fmt;

/// Where a setting came from, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A flag.
    Argument(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// The configuration file.
    File {
        /// Its name, as it was given.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The key, with that of its table before it.
        key: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Argument(flag) => f.write_str(flag),
            Origin::Variable(variable) => f.write_str(variable),
            Origin::File { file, line, key } => write!(f, "{file}:{line}: {key}"),
        }
    }
}

impl Origin {
    /// The lower goes first.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Origin::Argument(_) => 0,
            Origin::Variable(_) => 1,
            Origin::File { .. } => 2,
        }
    }

    /// What a setting is called where this one came from.
    pub(crate) fn calls(&self, name: &Name) -> &'static str {
        match self {
            Origin::Argument(_) | Origin::Variable(_) => name.variable.unwrap_or(name.flag),
            Origin::File { .. } => name.key,
        }
    }
}

/// What a setting is called in each place.
#[derive(Debug)]
pub(crate) struct Name {
    /// The flag that gives it, or gives the file that holds it.
    pub(crate) flag: &'static str,
    /// The environment variable, if there is one.
    pub(crate) variable: Option<&'static str>,
    /// The key in the configuration file; behind the dot is that of a table.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
}

/// How the configuration file writes a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A text, or a whole number.
    Id,
    /// `true` or `false`.
    Switch,
    /// An array of texts, or one text with commas.
    List,
}

/// A setting that was found; white space around it does not count.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) value: Secret,
    pub(crate) from: Origin,
}

impl Found {
    /// Its text. Whoever calls this answers for where it goes.
    pub(crate) fn text(&self) -> &str {
        self.value.expose().trim()
    }

    /// Without the white space that a file or a shell may leave around it.
    pub(crate) fn secret(&self) -> Secret {
        Secret::from(self.text())
    }

    /// The parts of a comma list; empty ones do not count.
    pub(crate) fn list(&self) -> impl Iterator<Item = &str> {
        self.text().split(',').map(str::trim).filter(|part| !part.is_empty())
    }
}

/// Environment and file, one behind the other.
pub(crate) struct Layers<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) file: File,
}

impl<'a> Layers<'a> {
    /// What the environment says, and what the file says behind it.
    pub(super) fn read(
        environment: &'a dyn Fn(&str) -> Option<String>,
        file: Option<FileText<'_>>,
    ) -> Result<Layers<'a>, ConfigError> {
        let file = file.map(|file| File::parse(&file)).transpose()?.unwrap_or_default();
        Ok(Layers { environment, file })
    }

    /// A setting: argument, else environment, else file. What is blank is unset (L-2), and the next layer counts.
    pub(crate) fn find(&self, argument: Option<&str>, name: &Name) -> Option<Found> {
        let argument =
            argument.map(|text| Found { value: Secret::from(text), from: Origin::Argument(name.flag) });
        let usable = |found: &Found| !found.value.is_blank();
        let in_file = || self.file.value(name.key);
        argument.filter(usable).or_else(|| self.variable(name.variable?)).or_else(in_file).filter(usable)
    }

    /// What the environment says, unless it is blank.
    pub(super) fn variable(&self, variable: &'static str) -> Option<Found> {
        let value = Secret::new((self.environment)(variable)?);
        (!value.is_blank()).then_some(Found { value, from: Origin::Variable(variable) })
    }
}
