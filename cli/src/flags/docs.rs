//! Tables of `docs/settings.md`, made from the tables of settings and limits. `UPDATE_DOCS=1 cargo test --workspace
//! settings_table` writes them.

use super::{is_enroll_only, name};
use crate::Program;
use crate::bridge::{AgentSettings, ControlSettings};
use clap::{Arg, CommandFactory};
use relayline_acp::AcpLimits;
use relayline_control::config::ServerLimits;
use relayline_control::settings::table::{self, Kind, Spec};
use relayline_core::config::{Limits, Timing};
use relayline_core::limits::{NamedLimits, Slot};
use relayline_queue::config::QueueLimits;
use relayline_queue::fleet::worker::WorkerLimits;
use std::fs;
use std::path::Path;

/// Returns a row of the table, with names in backticks.
fn row(flag: &str, variable: &str, keys: &[&str], meaning: &str) -> String {
    let cell = |names: &[&str]| {
        let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        names.map(|name| format!("`{name}` ")).collect::<Vec<_>>().join("or ")
    };
    format!("| {}| {}| {}| {meaning} |\n", cell(&[flag]), cell(&[variable]), cell(keys))
}

/// Returns the row of a setting.
fn setting_row(spec: &'static Spec) -> String {
    let command = if is_enroll_only(spec) { "enroll " } else { "" };
    let flag = match spec.kind {
        Kind::Switch => format!("{command}{}[={}]", spec.flag, spec.value),
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

/// Returns the row of a flag of `run` that is not a setting of the table.
fn own_row(arg: &Arg) -> String {
    let long = arg.get_long().unwrap();
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let takes_values = arg.get_action().takes_values();
    let value = arg.get_value_names().filter(|_| takes_values).map(|names| names.join(" "));
    let flag = format!("{short}--{long} {}", value.unwrap_or_default());
    let mut meaning = format!("{}.", arg.get_help().unwrap());
    if takes_values {
        let words: Vec<_> = arg.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
        let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy());
        if !words.is_empty() {
            meaning += &format!(" One of {}.", words.join(", "));
        }
        meaning.extend(defaults.map(|value| format!(" Default: `{value}`.")));
    }
    row(&flag, "", &[if long == "config" { "" } else { long }], &meaning)
}

/// Returns the table of all settings.
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

/// Returns the table of `--set`. A default is shown as `--set` accepts it.
fn limits_table() -> String {
    let mut table = "| name | default | meaning |\n|---|---|---|\n".to_owned();
    let all: [&mut dyn NamedLimits; 8] = [
        &mut Limits::default(),
        &mut Timing::default(),
        &mut ServerLimits::default(),
        &mut AgentSettings::default(),
        &mut QueueLimits::default(),
        &mut WorkerLimits::default(),
        &mut ControlSettings::default(),
        &mut AcpLimits::default(),
    ];
    for limits in all {
        for (name, doc) in limits.names().iter().zip(limits.docs()) {
            let slot = limits.slot(name).unwrap();
            let doc = without_rules(doc);
            let meaning = doc.strip_suffix(&default_in_prose(&slot)).unwrap();
            table += &format!("| `{name}` | `{}` | {meaning}. |\n", default_as_value(&slot));
        }
    }
    table
}

/// Returns a default as `--set NAME=VALUE` accepts it.
fn default_as_value(slot: &Slot<'_>) -> String {
    match slot {
        Slot::Size(size, _) if **size > 0 && size.is_multiple_of(1 << 20) => format!("{}MiB", **size >> 20),
        Slot::Size(size, _) => size.to_string(),
        Slot::Time(time, _) => match (time.as_secs(), time.subsec_millis()) {
            (0, ms) => format!("{ms}ms"),
            (s, _) if s > 60 && s % 60 == 0 => format!("{}m", s / 60),
            (s, _) => format!("{s}s"),
        },
    }
}

/// Returns the end of a limit's documentation, which names its default.
fn default_in_prose(slot: &Slot<'_>) -> String {
    let value = default_as_value(slot);
    let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
    let unit = match unit {
        "" => String::new(),
        "m" => " min".to_owned(),
        unit => format!(" {unit}"),
    };
    format!("; {number}{unit} by default.")
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
        assert!(
            page == current,
            "docs/settings.md is stale: renew it with UPDATE_DOCS=1 cargo test --workspace settings_table"
        );
    }
}

/// `--set` could not reach the second one of two.
#[test]
fn each_limit_has_a_name_of_its_own() {
    let table = limits_table();
    let names: Vec<&str> = table.lines().skip(2).filter_map(|row| row.split('`').nth(1)).collect();
    let unique: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
}

#[test]
fn the_documentation_of_limits_ends_with_their_defaults() {
    fn check(mut limits: impl NamedLimits) {
        for (name, doc) in limits.names().iter().zip(limits.docs()) {
            let end = default_in_prose(&limits.slot(name).unwrap());
            assert!(without_rules(doc).ends_with(&end), "{name}: {doc} {end}");
        }
    }
    check(Limits::default());
    check(Timing::default());
    check(ServerLimits::default());
    check(AgentSettings::default());
    check(QueueLimits::default());
    check(ControlSettings::default());
    check(AcpLimits::default());
}
