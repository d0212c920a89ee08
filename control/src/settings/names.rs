//! Names of settings in messages, for those who can set them.

use super::table::Spec;

/// Naming of settings in messages. Names of environment variables and keys do not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Names {
    /// Methods of the runtimes' `Builder`, for hosts of the library.
    #[default]
    Methods,
    /// Flags, for users of a program.
    Flags,
}

impl Names {
    /// Returns the name of a setting.
    pub fn of(self, spec: &Spec) -> &'static str {
        self.choose(spec.method, spec.flag)
    }

    /// Returns the name of a setting, with a placeholder for its value if it is a flag: `--ca-file FILE`.
    pub fn with_value(self, spec: &Spec) -> String {
        match self {
            Names::Methods => spec.method.to_owned(),
            Names::Flags => format!("{} {}", spec.flag, spec.value),
        }
    }

    /// Returns the instruction for setting a setting, as in `give --url`.
    pub(crate) fn give(self, spec: &Spec) -> String {
        format!("{} {}", self.choose("call", "give"), self.of(spec))
    }

    /// Returns the instruction for setting an access token. The library runs no command that prints one.
    pub(crate) fn give_access_token(self) -> &'static str {
        self.choose("call Builder::access_token", "give --access-token-command or --access-token-file")
    }

    /// Returns `methods` or `flags`, according to the naming.
    pub(crate) fn choose(self, methods: &'static str, flags: &'static str) -> &'static str {
        match self {
            Names::Methods => methods,
            Names::Flags => flags,
        }
    }
}
