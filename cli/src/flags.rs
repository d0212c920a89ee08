//! Flags of the gateway's settings, made from the table of settings.

use clap::builder::{BoolValueParser, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use relayline_control::settings::table::{self, Kind, Spec};
use relayline_control::settings::{Arguments, Names};
use relayline_core::secret::Secret;
use std::path::{Path, PathBuf};

/// Settings that are flags of `enroll`.
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
/// Settings that are flags of `enroll` only. A gateway reads them from sources that `ps` does not show.
const ENROLL_ALONE: [&str; 2] = [table::ENROLL_TOKEN.flag, table::ACCESS_TOKEN.flag];

/// Settings that the command line gives.
#[derive(Clone, Default, Debug)]
pub(crate) struct Given {
    /// Their values, except those that files hold.
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

/// Flags of settings: those of `enroll`, or those of the commands that act as a gateway.
#[derive(Debug)]
pub(crate) struct SettingFlags<const IS_ENROLL: bool>(pub(crate) Given);

impl<const IS_ENROLL: bool> SettingFlags<IS_ENROLL> {
    fn specs() -> Vec<&'static Spec> {
        let has_flag = |spec: &&Spec| !spec.flag.is_empty() && !ENROLL_ALONE.contains(&spec.flag);
        if IS_ENROLL { ENROLL.to_vec() } else { table::ALL.iter().copied().filter(has_flag).collect() }
    }
}

impl<const IS_ENROLL: bool> Args for SettingFlags<IS_ENROLL> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::specs().into_iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const IS_ENROLL: bool> FromArgMatches for SettingFlags<IS_ENROLL> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Given::default();
        given.arguments.names = Names::Flags;
        for spec in Self::specs() {
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
        Ok(SettingFlags(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Returns a flag's name without its dashes.
fn name(spec: &Spec) -> &'static str {
    spec.flag.trim_start_matches('-')
}

fn is_path(spec: &Spec) -> bool {
    spec.kind == Kind::File || !spec.file_key.is_empty()
}

fn arg(spec: &'static Spec) -> Arg {
    let arg = Arg::new(name(spec))
        .long(name(spec))
        .help(summary(spec))
        .long_help(help(spec))
        .help_heading(heading(spec));
    if spec.kind == Kind::Presence {
        return arg.action(ArgAction::SetTrue);
    }
    let arg = arg.value_name(spec.value);
    let bool = || BoolValueParser::new().map(|on| Secret::new(on.to_string()));
    let words = |words: &'static [&'static str]| PossibleValuesParser::new(words).map(Secret::new);
    match spec.kind {
        _ if is_path(spec) => arg.value_parser(value_parser!(PathBuf)),
        Kind::Bool => arg.value_parser(bool()),
        Kind::Switch => {
            arg.value_parser(bool()).num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        Kind::OnOff => arg.value_parser(words(&["on", "off"])),
        Kind::Word(known) => arg.value_parser(words(known)),
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

/// Headings of the help, and the flags under each.
const HEADINGS: [(&str, &[&Spec]); 7] = [
    (
        "Connection",
        &[&table::URL, &table::CONNECTOR_URL, &table::ENABLED, &table::ALLOW_INSECURE, &table::CA_FILE],
    ),
    ("Identity", &[&table::PLATFORM, &table::BOT_ID, &table::IDENTITY]),
    (
        "Credentials",
        &[
            &table::GATEWAY_ID,
            &table::SECRET,
            &table::ENROLL_TOKEN,
            &table::ACCESS_TOKEN,
            &table::ACCESS_TOKEN_COMMAND,
            &table::ACCESS_TOKEN_FILE,
        ],
    ),
    (
        "Provisioning",
        &[
            &table::PROVISION,
            &table::ENDPOINT,
            &table::ROUTE_KEYS,
            &table::INSTANCE_ID,
            &table::WAKE_URL,
            &table::DISPLAY_NAME,
            &table::POLICY,
        ],
    ),
    ("Webhooks", &[&table::INBOUND_LISTEN, &table::DELIVERY_KEY]),
    (
        "Sessions",
        &[
            &table::SLACK_REPLY_IN_THREAD,
            &table::SLACK_THREAD_SESSIONS,
            &table::GROUP_SESSIONS_PER_USER,
            &table::THREAD_SESSIONS_PER_USER,
        ],
    ),
    ("Agent", &[&table::TURN_REACTIONS, &table::RAW_EVENTS, &table::UNKNOWN_FRAMES, &table::PROMPTS]),
];

/// Returns the heading of a setting's flag in the help.
fn heading(spec: &Spec) -> &'static str {
    let has = |specs: &[&Spec]| specs.iter().any(|known| known.flag == spec.flag);
    HEADINGS.iter().find(|(_, specs)| has(specs)).map_or("Configuration", |(heading, _)| heading)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Program;
    use crate::bridge::AgentSettings;
    use clap::CommandFactory;
    use relayline_control::config::ServerLimits;
    use relayline_core::config::{Limits, Timing};
    use relayline_core::limits::{NamedLimits, Slot};
    use std::fs;

    /// Returns a row of the table, with names in backticks.
    fn row(flag: &str, variable: &str, keys: &[&str], meaning: &str) -> String {
        let cell = |names: &[&str]| {
            let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
            names.map(|name| format!("`{name}` ")).collect::<Vec<_>>().join("or ")
        };
        format!("| {}| {}| {}| {meaning} |\n", cell(&[flag]), cell(&[variable]), cell(keys))
    }

    fn setting_row(spec: &'static Spec) -> String {
        let command = if ENROLL_ALONE.contains(&spec.flag) { "enroll " } else { "" };
        let flag = match spec.kind {
            Kind::Switch => format!("{}[={}]", spec.flag, spec.value),
            _ => format!("{command}{} {}", spec.flag, spec.value),
        };
        let key = match spec.kind {
            Kind::Entries if spec.flag == table::SET.flag => format!("[{}]", spec.key),
            _ if spec.kind == Kind::Entries || spec.flag == table::POLICY.flag => {
                format!("[[{}]]", spec.key)
            }
            _ => spec.key.to_owned(),
        };
        let mut meaning = spec.help.to_owned();
        if !spec.file_key.is_empty() {
            meaning += &format!(" The variable and the key `{key}` hold the value itself.");
        }
        if let Kind::Word(words) = spec.kind {
            meaning += &format!(" One of {}.", words.join(", "));
        }
        if !spec.default.is_empty() {
            meaning += &format!(" Default: `{}`.", spec.default);
        }
        row(&flag, spec.variable, &[&key, spec.file_key], &meaning)
    }

    /// Returns the row of a flag that is the program's own.
    fn own_row(arg: &Arg) -> String {
        let long = arg.get_long().unwrap();
        let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let takes_values = arg.get_action().takes_values();
        let value = arg.get_value_names().filter(|_| takes_values).map(|names| names.join(" "));
        let flag = format!("{short}--{long} {}", value.unwrap_or_default());
        let mut meaning = format!("{}.", arg.get_help().unwrap());
        if takes_values {
            let words: Vec<_> =
                arg.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
            let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy());
            if !words.is_empty() {
                meaning += &format!(" One of {}.", words.join(", "));
            }
            meaning.extend(defaults.map(|value| format!(" Default: `{value}`.")));
        }
        row(&flag, "", &[if long == "config" { "" } else { long }], &meaning)
    }

    fn settings_table() -> String {
        let mut command = Program::command();
        command.build();
        let run = command.find_subcommand("run").unwrap();
        let is_setting = |arg: &&Arg| table::ALL.iter().any(|spec| name(spec) == arg.get_id().as_str());
        let is_own = |arg: &&Arg| !is_setting(arg) && !matches!(arg.get_id().as_str(), "help" | "version");
        let rows = table::ALL.iter().map(|spec| setting_row(spec));
        let rows = rows.chain(run.get_arguments().filter(is_own).map(own_row)).collect::<String>();
        format!("| flag | environment | key | meaning |\n|---|---|---|---|\n{rows}")
    }

    /// Returns the table of `--set`.
    fn limits_table() -> String {
        let all: [&dyn NamedLimits; 4] =
            [&Limits::default(), &Timing::default(), &ServerLimits::default(), &AgentSettings::default()];
        let rows = all.into_iter().flat_map(|limits| limits.names().iter().zip(limits.docs()));
        let rows = rows.map(|(name, doc)| format!("| `{name}` | {} |\n", without_rules(doc)));
        format!("| name | meaning |\n|---|---|\n{}", rows.collect::<String>())
    }

    /// Returns a text without ids of rules in parentheses.
    fn without_rules(text: &str) -> String {
        let mut parts = text.split(" (");
        let mut bare = parts.next().unwrap().to_owned();
        for part in parts {
            let (inside, after) = part.split_once(')').unwrap();
            let is_rule = inside.split_once('-').is_some_and(|(_, number)| number.parse::<u8>().is_ok());
            bare += &if is_rule { after.to_owned() } else { format!(" ({part}") };
        }
        bare
    }

    #[test]
    fn settings_table_of_the_page_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
        let page = fs::read_to_string(&path).unwrap();
        let mut current = page.clone();
        for (name, table) in [("settings", settings_table()), ("limits", limits_table())] {
            let begin =
                format!("<!-- {name}: written by UPDATE_DOCS=1 cargo test --workspace settings_table -->\n");
            let end = format!("<!-- end of the {name} -->");
            let (before, rest) = current.split_once(&begin).unwrap();
            let (_, after) = rest.split_once(&end).unwrap();
            current = [before, &begin, "\n", &table, "\n", &end, after].concat();
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(path, current).unwrap();
        } else {
            assert!(page == current, "write it anew: UPDATE_DOCS=1 cargo test --workspace settings_table");
        }
    }

    #[test]
    fn the_documentation_of_limits_ends_with_their_defaults() {
        fn check(mut limits: impl NamedLimits) {
            for (name, doc) in limits.names().iter().zip(limits.docs()) {
                let default = match limits.slot(name).unwrap() {
                    Slot::Size(size, _) if size.is_multiple_of(1 << 20) => format!("{} MiB", *size >> 20),
                    Slot::Size(size, _) => size.to_string(),
                    Slot::Time(time, _) => match (time.as_secs(), time.subsec_millis()) {
                        (0, ms) => format!("{ms} ms"),
                        (s, _) if s > 60 && s % 60 == 0 => format!("{} min", s / 60),
                        (s, _) => format!("{s} s"),
                    },
                };
                let end = format!("; {default} by default.");
                assert!(without_rules(doc).ends_with(&end), "{name}: {doc} {end}");
            }
        }
        check(Limits::default());
        check(Timing::default());
        check(ServerLimits::default());
        check(AgentSettings::default());
    }
}
