//! Sources of settings, and their precedence: arguments, environment, env file, configuration file.

use super::arguments::Arguments;
use super::config_file::ConfigFile;
use super::env_file::EnvFile;
use super::error::ConfigError;
use super::setting::Setting;
use super::source::Source;
use super::table::{self, Spec};
use crate::http::{Base, Insecure};
use crate::network::Network;
use crate::url::DialUrl;
use relayline_core::secret::Secret;
use std::fmt;

/// Sources of settings. Each overrides those below it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Sources<'a> {
    /// Values of flags.
    pub arguments: &'a Arguments,
    /// Look-up of environment variables.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Env file.
    pub env_file: Option<&'a EnvFile>,
    /// Configuration file.
    pub config_file: Option<&'a ConfigFile>,
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sources { arguments, env_file, config_file, .. } = self;
        let mut sources = f.debug_struct("Sources");
        sources.field("arguments", arguments).field("env_file", env_file).field("config_file", config_file);
        sources.finish_non_exhaustive()
    }
}

impl<'a> Sources<'a> {
    /// Returns the sources of a gateway without files.
    pub fn new(arguments: &'a Arguments, environment: &'a dyn Fn(&str) -> Option<String>) -> Sources<'a> {
        Sources { arguments, environment, env_file: None, config_file: None }
    }

    /// Finds a setting. A blank value counts as unset (L-2), and the next source is used.
    pub(super) fn find(&self, spec: &Spec) -> Option<Setting> {
        let in_file = || self.config_file.and_then(|file| file.setting(spec));
        self.argument(spec).or_else(|| self.variable(spec)).or_else(in_file)
    }

    /// Returns the values of a setting's flag, in order.
    pub(super) fn arguments(&self, spec: &Spec) -> impl Iterator<Item = Setting> {
        let values = self.arguments.values(spec).iter().cloned();
        values.map(|value| Setting::new(spec, value, Source::Argument(self.arguments.names.of(spec))))
    }

    /// Returns the last value of a setting's flag, unless it is blank.
    pub(super) fn argument(&self, spec: &Spec) -> Option<Setting> {
        self.arguments(spec).last().filter(Setting::is_set)
    }

    /// Finds a setting in the environment, else in the env file.
    pub(super) fn variable(&self, spec: &Spec) -> Option<Setting> {
        let variable = spec.variable()?;
        let value = (self.environment)(variable).map(Secret::new);
        let setting = value.map(|value| Setting::new(spec, value, Source::Variable(variable)));
        setting.filter(Setting::is_set).or_else(|| self.in_env_file(spec))
    }

    fn in_env_file(&self, spec: &Spec) -> Option<Setting> {
        self.env_file.and_then(|file| file.setting(spec))
    }

    /// Finds the variable that belongs to another one: in the other's source, else in a source that overrides it.
    pub(super) fn beside(&self, other: &Setting, spec: &Spec) -> Option<Setting> {
        let rank = other.source.rank();
        let own = self.in_env_file(spec).filter(|own| own.source.rank() == rank);
        own.or_else(|| self.variable(spec).filter(|before| before.source.rank() <= rank))
    }

    /// Looks up a variable that is not a setting of the relay, for instance a proxy. An empty variable hides the one in
    /// the env file.
    pub(super) fn look_up(&self, variable: &str) -> Option<String> {
        let in_file = || self.env_file?.value(variable).map(|value| value.expose().to_owned());
        (self.environment)(variable).or_else(in_file)
    }

    /// Returns a warning for each variable whose value is in quotes. A shell removes quotes, other programs do not.
    pub(super) fn quote_warnings(&self) -> Vec<String> {
        let is_quoted = |setting: &Setting| {
            let text = setting.text();
            text.len() >= 2
                && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote))
        };
        let quoted = table::variables().filter_map(|spec| self.variable(spec)).filter(is_quoted);
        let warning = |setting: Setting| {
            format!(
                "{}: the quotes around its value are taken as a part of it: set it without them",
                setting.source
            )
        };
        quoted.map(warning).collect()
    }

    /// Resolves the URL of the connector (L-1).
    pub(super) fn url(&self, spec: &Spec) -> Result<DialUrl, ConfigError> {
        let setting =
            self.find(spec).ok_or_else(|| ConfigError::NoUrl { give: self.arguments.names.give(spec) })?;
        // The error leaves out the parts of the URL that may be secret.
        DialUrl::parse(setting.text()).map_err(|error| setting.invalid(error))
    }

    /// Returns the base of the connector's endpoints, if credentials may go there (C-6).
    pub(super) fn base(&self, url: &DialUrl, allow_insecure: bool) -> Result<Base, ConfigError> {
        let names = self.arguments.names;
        Base::new(url, allow_insecure).map_err(|insecure| Insecure { names, ..insecure }.into())
    }

    /// Resolves proxies and certificates.
    pub(super) fn network(&self) -> Result<Network, ConfigError> {
        let Arguments { ca_certificates, names, .. } = self.arguments;
        Ok(Network::resolve(ca_certificates.clone(), *names, &|variable| self.look_up(variable))?)
    }

    /// Returns the value of a switch, if it is given.
    pub(super) fn bool(&self, spec: &Spec) -> Result<Option<bool>, ConfigError> {
        self.find(spec).map(|setting| setting.bool()).transpose()
    }

    /// Returns a text without control characters.
    pub(super) fn line(&self, spec: &Spec) -> Result<Option<Setting>, ConfigError> {
        self.find(spec).map(Setting::on_one_line).transpose()
    }

    /// Returns true if the install is managed: by a file `.managed`, or by `HERMES_MANAGED` unless its value is false.
    /// The variable may name the manager.
    pub fn is_managed(&self) -> bool {
        let manager = self.look_up(table::MANAGED.variable).unwrap_or_default().trim().to_ascii_lowercase();
        self.arguments.managed || !matches!(manager.as_str(), "" | "0" | "false" | "no" | "off")
    }
}
