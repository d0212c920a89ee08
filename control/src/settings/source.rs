//! Source of a setting, as messages name it.

use super::table::Spec;
use std::fmt::{self, Display};

/// Source of a setting, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Source {
    /// An argument: a flag, or a method of the builder.
    Argument(&'static str),
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
        /// The key, after the name of its table.
        key: String,
    },
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Argument(name) | Source::Variable(name) => f.write_str(name),
            Source::EnvFile { file, line, variable } => write!(f, "{file}:{line}: {variable}"),
            Source::ConfigFile { file, line, key } => write!(f, "{file}:{line}: {key}"),
        }
    }
}

impl Source {
    /// Returns the rank. A source of a lower rank overrides one of a higher rank.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Source::Argument(_) => 0,
            Source::Variable(_) => 1,
            Source::EnvFile { .. } => 2,
            Source::ConfigFile { .. } => 3,
        }
    }

    /// Returns the name of a setting in sources of this kind.
    pub(super) fn name(&self, spec: &Spec) -> &'static str {
        match self {
            Source::Argument(_) | Source::Variable(_) | Source::EnvFile { .. } => {
                spec.variable().unwrap_or(spec.flag)
            }
            Source::ConfigFile { .. } => spec.key,
        }
    }
}
