//! Flags of the gateway's settings, made from the table of settings.

#[cfg(test)]
mod docs;

use clap::builder::{BoolValueParser, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use relayline_control::settings::table::{self, Kind, Spec};
use relayline_control::settings::{Arguments, Names};
use relayline_core::secret::Secret;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Settings that are flags of `enroll`, in the order of its help.
const ENROLL: [&Spec; 9] = [
    &table::ENROLL_TOKEN,
    &table::CONNECTOR_URL,
    &table::GATEWAY_ID,
    &table::WAKE_URL,
    &table::ACCESS_TOKEN,
    &table::ACCESS_TOKEN_COMMAND,
    &table::ACCESS_TOKEN_FILE,
    &table::ALLOW_INSECURE,
    &table::CA_FILE,
];

/// Returns true if a setting is a flag of `enroll` only. A gateway reads it from sources that `ps` does not show.
fn is_enroll_only(spec: &Spec) -> bool {
    [table::ENROLL_TOKEN.flag, table::ACCESS_TOKEN.flag].contains(&spec.flag)
}

/// Settings that the command line gives.
#[derive(Clone, Default, Debug)]
pub(crate) struct Given {
    /// Values of the settings, except those that files hold.
    pub(crate) arguments: Arguments,
    /// Files that flags name.
    pub(crate) files: Vec<(&'static Spec, PathBuf)>,
}

impl Given {
    /// Returns the file that a setting's flag names.
    pub(crate) fn file(&self, spec: &Spec) -> Option<&Path> {
        self.files.iter().find(|(known, _)| known.flag == spec.flag).map(|(_, path)| path.as_path())
    }
}

/// Command, or group of commands, with flags of settings.
pub(crate) trait FlagSet: 'static {
    /// Returns the settings that have a flag.
    fn specs() -> Vec<&'static Spec>;
}

/// Command `enroll`.
#[derive(Debug)]
pub(crate) struct EnrollCommand;

impl FlagSet for EnrollCommand {
    fn specs() -> Vec<&'static Spec> {
        ENROLL.to_vec()
    }
}

/// Commands that act as a gateway: `run`, `provision`, `policy` and `doctor`.
#[derive(Debug)]
pub(crate) struct GatewayCommands;

impl FlagSet for GatewayCommands {
    fn specs() -> Vec<&'static Spec> {
        let has_flag = |spec: &&Spec| !spec.flag.is_empty() && !is_enroll_only(spec);
        table::ALL.iter().copied().filter(has_flag).collect()
    }
}

/// Flags of settings of the commands `S`, for clap.
#[derive(Debug)]
pub(crate) struct SettingFlags<S> {
    pub(crate) given: Given,
    commands: PhantomData<S>,
}

impl<S: FlagSet> Args for SettingFlags<S> {
    fn augment_args(command: Command) -> Command {
        command.args(S::specs().into_iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: FlagSet> FromArgMatches for SettingFlags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Given::default();
        given.arguments.names = Names::Flags;
        for spec in S::specs() {
            if spec.kind == Kind::Presence {
                if matches.get_flag(name(spec)) {
                    given.arguments.push(spec, "true");
                }
            } else if is_path(spec) {
                let path = matches.get_one::<PathBuf>(name(spec)).cloned();
                given.files.extend(path.map(|path| (spec, path)));
            } else {
                let values = matches.get_many::<Secret>(name(spec)).unwrap_or_default();
                values.for_each(|value| given.arguments.push(spec, value.clone()));
            }
        }
        Ok(SettingFlags { given, commands: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Returns a flag's name without its dashes.
pub(crate) fn name(spec: &Spec) -> &'static str {
    spec.flag.trim_start_matches('-')
}

/// Returns true if the flag's value is the path of a file.
fn is_path(spec: &Spec) -> bool {
    spec.kind == Kind::File || !spec.file_key.is_empty()
}

/// Creates the flag of a setting.
fn arg(spec: &'static Spec) -> Arg {
    let arg = Arg::new(name(spec))
        .long(name(spec))
        .help(summary(spec))
        .long_help(help(spec))
        .help_heading(spec.heading);
    if spec.kind == Kind::Presence {
        return arg.action(ArgAction::SetTrue);
    }
    let arg = arg.value_name(spec.value);
    let bool_parser = || BoolValueParser::new().map(|on| Secret::new(on.to_string()));
    let word_parser = |words: &'static [&'static str]| PossibleValuesParser::new(words).map(Secret::new);
    match spec.kind {
        _ if is_path(spec) => arg.value_parser(value_parser!(PathBuf)),
        Kind::Bool => arg.value_parser(bool_parser()),
        Kind::Switch => {
            arg.value_parser(bool_parser()).num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        Kind::OnOff => arg.value_parser(word_parser(&["on", "off"])),
        Kind::Word(known) => arg.value_parser(word_parser(known)),
        _ => {
            let arg = arg.value_parser(StringValueParser::new().map(Secret::new));
            let is_repeated = spec.kind == Kind::Entries;
            let arg = arg.action(if is_repeated { ArgAction::Append } else { ArgAction::Set });
            let is_identity = spec.flag == table::IDENTITY.flag;
            let excluded = [&table::PLATFORM, &table::BOT_ID].map(name);
            if is_identity { arg.conflicts_with_all(excluded) } else { arg }
        }
    }
}

/// Returns the short help of a setting's flag, for `-h`: the first sentence.
fn summary(spec: &Spec) -> String {
    with_sources(spec, spec.help.split(". ").next().unwrap_or_default())
}

/// Returns the help of a setting's flag.
pub(crate) fn help(spec: &Spec) -> String {
    with_sources(spec, spec.help)
}

/// Appends the default and the variable of a setting to a text.
fn with_sources(spec: &Spec, text: &str) -> String {
    let mut help = text.trim_end_matches('.').to_owned();
    if !spec.default.is_empty() && spec.kind != Kind::Presence {
        help += &format!(" [default: {}]", spec.default);
    }
    match (spec.variable, spec.file_key) {
        ("", _) => {}
        (variable, "") => help += &format!(" [env: {variable}]"),
        (variable, _) => help += &format!(" [env: {variable}, the value itself]"),
    }
    help
}
