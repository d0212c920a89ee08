//! Where a setting may come from, and where it did: argument, else environment, else env file, else configuration file
//! (H-9).

use super::file::File;
use super::{ConfigError, FileText, Files, names};
use crate::env_file;
use relayline_core::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// Where a setting came from, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A flag.
    Argument(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A variable of an env file.
    EnvFile {
        /// Its name, as it was given.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The variable.
        variable: &'static str,
    },
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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Argument(flag) => f.write_str(flag),
            Source::Variable(variable) => f.write_str(variable),
            Source::EnvFile { file, line, variable } => write!(f, "{file}:{line}: {variable}"),
            Source::File { file, line, key } => write!(f, "{file}:{line}: {key}"),
        }
    }
}

impl Source {
    /// The lower goes first.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Source::Argument(_) => 0,
            Source::Variable(_) => 1,
            Source::EnvFile { .. } => 2,
            Source::File { .. } => 3,
        }
    }

    /// What a setting is called where this one came from.
    pub(crate) fn calls(&self, name: &Name) -> &'static str {
        match self {
            Source::Argument(_) | Source::Variable(_) | Source::EnvFile { .. } => {
                name.variable.unwrap_or(name.flag)
            }
            Source::File { .. } => name.key,
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
    /// `"on"` or `"off"`, or `true` or `false`.
    OnOff,
    /// An array of texts, or one text with commas.
    List,
}

/// A setting that was found; white space around it does not count.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) value: Secret,
    pub(crate) from: Source,
}

impl Setting {
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

/// An env file, read: each variable's value and line.
#[derive(Default)]
struct EnvFile {
    name: String,
    variables: BTreeMap<String, (Secret, usize)>,
}

impl EnvFile {
    fn read(file: &FileText<'_>) -> Result<EnvFile, ConfigError> {
        let mut read = EnvFile { name: file.name.to_owned(), variables: BTreeMap::new() };
        for env_file::Variable { name, value, line } in env_file::read(file.text) {
            // Lines that are not ours may be anything.
            if value.expose().contains(char::REPLACEMENT_CHARACTER)
                && names::variables().any(|known| known == name)
            {
                return Err(ConfigError::NotText(format!("{}:{line}: {name}", file.name)));
            }
            read.variables.insert(name, (value, line));
        }
        Ok(read)
    }

    fn value(&self, variable: &'static str) -> Option<Setting> {
        let (value, line) = self.variables.get(variable)?;
        let from = Source::EnvFile { file: self.name.clone(), line: *line, variable };
        Some(Setting { value: value.clone(), from })
    }
}

/// Environment, env file and configuration file, in the order in which they count.
pub(crate) struct Sources<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    env_file: EnvFile,
    pub(super) file: File,
}

impl<'a> Sources<'a> {
    /// Reads the files.
    pub(super) fn read(
        environment: &'a dyn Fn(&str) -> Option<String>,
        files: &Files<'_>,
    ) -> Result<Sources<'a>, ConfigError> {
        let env_file = files.env_file.map(|file| EnvFile::read(&file)).transpose()?.unwrap_or_default();
        let file = File::parse(files)?;
        Ok(Sources { environment, env_file, file })
    }

    /// A setting: argument, else environment, else env file, else configuration file. What is blank is unset (L-2), and
    /// the next layer counts.
    pub(crate) fn find(&self, argument: Option<&str>, name: &Name) -> Option<Setting> {
        let argument =
            argument.map(|text| Setting { value: Secret::from(text), from: Source::Argument(name.flag) });
        let in_file = || self.file.value(name.key);
        argument.filter(is_set).or_else(|| self.variable(name.variable?)).or_else(in_file).filter(is_set)
    }

    /// What the environment says, else the env file, unless it is blank.
    pub(super) fn variable(&self, variable: &'static str) -> Option<Setting> {
        let said = (self.environment)(variable);
        let said = said.map(|text| Setting { value: Secret::new(text), from: Source::Variable(variable) });
        said.filter(is_set).or_else(|| self.in_env_file(variable))
    }

    /// What the env file says, unless it is blank.
    pub(super) fn in_env_file(&self, variable: &'static str) -> Option<Setting> {
        self.env_file.value(variable).filter(is_set)
    }

    /// What goes with a variable that was found: that of its own layer, else of one before it.
    pub(super) fn beside(&self, found: &Setting, variable: &'static str) -> Option<Setting> {
        let own = self.in_env_file(variable).filter(|own| own.from.rank() == found.from.rank());
        own.or_else(|| self.variable(variable).filter(|before| before.from.rank() <= found.from.rank()))
    }

    /// A variable that is no setting of the relay, such as a proxy: one that is set and empty hides the env file's.
    pub(super) fn look_up(&self, variable: &str) -> Option<String> {
        let in_file = || Some(self.env_file.variables.get(variable)?.0.expose().to_owned());
        (self.environment)(variable).or_else(in_file)
    }

    /// A sentence on each variable whose value stands in quotes, which a shell takes away and others do not.
    pub(super) fn quoted(&self) -> Vec<String> {
        let is_quoted = |found: &Setting| {
            let text = found.text();
            text.len() >= 2
                && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote))
        };
        let found = names::variables().filter_map(|variable| self.variable(variable)).filter(is_quoted);
        let sentence = |found: Setting| {
            format!(
                "{}: the quotes around its value are taken as a part of it: set it without them",
                found.from
            )
        };
        found.map(sentence).collect()
    }
}

fn is_set(found: &Setting) -> bool {
    !found.value.is_blank()
}
