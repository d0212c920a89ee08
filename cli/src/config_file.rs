//! Configuration file of the command line.
//!
//! Each flag of `run` is a key of the file. The library resolves the keys that are settings of a gateway. A key that is
//! a flag of this program alone, such as `exec`, becomes the default value of the flag.

use crate::gateway::{Unresolved, unreadable};
use crate::queue::QueueLocation;
use crate::{Program, fail, flags, usage};
use clap::builder::OsStr;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use relayline_control::settings::{ConfigFile, HostSetting, HostValue, table};
use relayline_core::secret::Secret;
use relayline_runtime::files::{self, Contents};
use std::any::TypeId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Flags of `run` that are not keys of the file.
const NO_KEYS: [&str; 3] = ["config", "help", "version"];
/// Pairs of a key and a flag that excludes it. If the flag is on the command line, the key is ignored.
const OPPOSITES: [(&str, &str); 10] = [
    ("verbose", "quiet"),
    ("quiet", "verbose"),
    ("exec", "acp"),
    ("acp", "exec"),
    ("auto-ack", "acp"),
    ("auto-ack", "queue"),
    ("passthrough", "acp"),
    ("media-anywhere", "acp"),
    ("approve", "approval-chat"),
    ("approval-chat", "approve"),
];
/// Pairs of a key and the limit that it sets. If `--set` on the command line sets the limit, the key is ignored.
const LIMIT_KEYS: [(&str, &str); 5] = [
    ("max-sessions", "acp_sessions"),
    ("approval-timeout", "acp_approval_timeout"),
    ("session-window", "session_window"),
    ("max-attempts", "max_attempts"),
    ("dedupe-for", "dedupe_for"),
];

/// Parsed configuration file.
#[derive(Debug)]
pub(crate) struct LoadedConfig {
    pub(crate) path: PathBuf,
    /// Contents of the file, and its mode if other users can read it.
    pub(crate) contents: Contents,
    /// Settings of the file.
    pub(crate) file: ConfigFile,
}

impl LoadedConfig {
    /// Reads and parses a file.
    fn load(path: &Path) -> Result<LoadedConfig, Unresolved> {
        let contents = files::read(path).map_err(|error| unreadable("--config", path, &error))?;
        let text = contents.text().map_err(|error| unreadable("--config", path, &error))?;
        let file = ConfigFile::parse(&path.display().to_string(), text, &host_keys())?;
        Ok(LoadedConfig { path: path.to_owned(), contents, file })
    }

    /// Returns the folder that paths in the file are relative to.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path.with_file_name("")
    }
}

/// Reads the command line, and the configuration file that it names. Exits the process if one of them is wrong.
pub(crate) fn program() -> Program {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match parse(&arguments) {
        Ok(program) => program,
        Err(CommandLineError::Usage(error)) => usage::end(error),
        Err(CommandLineError::Setting(reason)) => {
            fail(2, reason);
            std::process::exit(2)
        }
    }
}

/// Error returned when the command line or a key of the file cannot be used.
#[derive(Debug)]
enum CommandLineError {
    /// Error in the flags.
    Usage(clap::Error),
    /// Error in a key of the file, with its place.
    Setting(String),
}

impl From<clap::Error> for CommandLineError {
    fn from(error: clap::Error) -> CommandLineError {
        CommandLineError::Usage(error)
    }
}

/// Parses the command line twice: for the path of the file, and then with the file's keys as defaults.
fn parse(arguments: &[OsString]) -> Result<Program, CommandLineError> {
    let mut matches = Program::command().try_get_matches_from(arguments)?;
    let loaded = load(&matches);
    if let (Some((name, given)), Some(Ok(config))) = (matches.subcommand(), &loaded) {
        matches = with_defaults(name, given, config)?.try_get_matches_from(arguments)?;
    }
    let mut program = Program::from_arg_matches(&matches)?;
    // An error in the file is passed on to the command, which reports it.
    if let Some(network) = program.command.network() {
        network.loaded = loaded;
    }
    Ok(program)
}

/// Loads the configuration file that the command line names, if it names one.
fn load(matches: &ArgMatches) -> Option<Result<LoadedConfig, Unresolved>> {
    let path = matches.subcommand()?.1.try_get_one::<PathBuf>("config").ok()??;
    Some(LoadedConfig::load(path))
}

/// Returns the program's flags for the command `name`. The keys of the file are the defaults of flags that are not
/// given.
fn with_defaults(name: &str, given: &ArgMatches, config: &LoadedConfig) -> Result<Command, CommandLineError> {
    let mut command = Program::command();
    for setting in config.file.host() {
        let is_flag = |arg: &&Arg| arg.get_long() == Some(&setting.key);
        let global = command.get_arguments().find(is_flag);
        let own = command.find_subcommand(name).and_then(|own| own.get_arguments().find(is_flag));
        let is_global = global.is_some();
        // A command without the flag ignores the key.
        let Some(arg) = own.or(global).cloned() else { continue };
        if is_excluded(&setting.key, given) {
            continue;
        }
        let values = values(&arg, setting, &config.folder()).map_err(CommandLineError::Setting)?;
        check(name, &arg, setting, &values).map_err(CommandLineError::Setting)?;
        let id = arg.get_id().clone();
        let set_default = |arg: Arg| arg.default_values(values.into_iter().map(OsStr::from));
        command = if is_global {
            command.mut_arg(id, set_default)
        } else {
            command.mut_subcommand(name, |own| own.mut_arg(id, set_default))
        };
    }
    Ok(command)
}

/// Returns true if the command line has a flag that excludes this key.
fn is_excluded(key: &str, given: &ArgMatches) -> bool {
    let is_given = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
    let sets = |limit: &str| {
        let values =
            given.try_get_many::<Secret>(flags::name(&table::SET)).ok().flatten().unwrap_or_default();
        values.filter_map(|value| value.expose().split_once('=')).any(|(name, _)| name.trim() == limit)
    };
    OPPOSITES.iter().any(|(excluded, flag)| *excluded == key && is_given(flag))
        || LIMIT_KEYS.iter().any(|(excluded, limit)| *excluded == key && sets(limit))
}

/// Returns the values of a key as they would be written on the command line. Paths are relative to `folder`.
fn values(arg: &Arg, setting: &HostSetting, folder: &Path) -> Result<Vec<OsString>, String> {
    let wrong = |wanted: &str| format!("{}: write {wanted}", setting.source);
    let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let is_queue = arg.get_value_parser().type_id() == TypeId::of::<QueueLocation>();
    let text = |text: &String| match QueueLocation::parse(text) {
        Ok(location) if is_queue => location.within(folder).expose().into(),
        _ if is_path => folder.join(text).into_os_string(),
        // An error of a queue's URL is that of the flag.
        _ => text.into(),
    };
    match (arg.get_action(), &setting.value) {
        (ArgAction::SetTrue, HostValue::Switch(on)) => Ok(vec![on.to_string().into()]),
        (ArgAction::SetTrue, _) => Err(wrong("true or false")),
        (ArgAction::Count, HostValue::Switch(on)) => Ok(vec![u8::from(*on).to_string().into()]),
        (ArgAction::Count, HostValue::Text(count)) if count.parse::<u8>().is_ok() => Ok(vec![count.into()]),
        (ArgAction::Count, _) => Err(wrong("true, false or a small number")),
        (_, HostValue::Text(value)) => Ok(vec![text(value)]),
        (_, HostValue::Switch(on)) => Ok(vec![on.to_string().into()]),
        (ArgAction::Append, HostValue::List(list)) => Ok(list.iter().map(text).collect()),
        (_, HostValue::List(list)) if takes_several(arg) => Ok(list.iter().map(text).collect()),
        (_, HostValue::List(_)) => Err(wrong("one text")),
    }
}

/// Validates the values of a key by parsing a command line that has them. An error names their place in the file.
fn check(name: &str, arg: &Arg, setting: &HostSetting, values: &[OsString]) -> Result<(), String> {
    if !arg.get_action().takes_values() {
        return Ok(());
    }
    let flag = OsString::from(format!("--{}", setting.key));
    let mut line = vec![OsString::from("relayline"), name.into()];
    match arg.get_action() {
        ArgAction::Append if !takes_several(arg) => {
            line.extend(values.iter().flat_map(|value| [flag.clone(), value.clone()]));
        }
        _ => line.extend([flag].into_iter().chain(values.iter().cloned())),
    }
    match Program::command().try_get_matches_from(line) {
        // Required flags may be missing, since this line has one flag only.
        Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => {
            let text = error.to_string();
            let text = text.split("\n\nFor more").next().unwrap_or_default().trim_start_matches("error: ");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(format!("{}: {text}", setting.source))
        }
        _ => Ok(()),
    }
}

/// Returns true if the flag takes several values at once.
fn takes_several(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.max_values() > 1)
}

/// Returns the keys that are flags of this program alone: the flags of `run` that are not settings of the library.
fn host_keys() -> Vec<String> {
    let mut command = Program::command();
    command.build();
    let run = command.find_subcommand("run").map(|run| run.get_arguments().filter_map(Arg::get_long));
    let is_ours = |flag: &&str| !NO_KEYS.contains(flag) && !table::file_keys().any(|known| known == *flag);
    run.into_iter().flatten().filter(is_ours).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every flag of `run` is a key with the same meaning.
    #[test]
    fn h_9_every_flag_of_run_is_a_key() {
        let mut command = Program::command();
        command.build();
        let run = command.find_subcommand("run").unwrap();
        let keys: Vec<String> = table::file_keys().map(str::to_owned).chain(host_keys()).collect();
        let mut flags = 0;
        for arg in run.get_arguments() {
            let flag = arg.get_long().expect("every flag of run has a long name");
            let is_apart = matches!(flag, "config" | "help" | "version");
            assert!(is_apart || keys.iter().any(|key| key == flag), "{flag} is not a key");
            flags += 1;
        }
        assert!(flags > 30, "{flags}");
    }

    /// A file with each of the host's keys sets the flags.
    #[test]
    fn h_9_the_file_sets_defaults_of_flags() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("relayline.toml");
        let matches = |text: &str, line: &[&str]| {
            std::fs::write(&file, text).unwrap();
            let mut line: Vec<OsString> = line.iter().map(OsString::from).collect();
            line.splice(2..2, [OsString::from("--config"), file.clone().into()]);
            let given = Program::command().try_get_matches_from(&line).unwrap();
            let (name, given) = given.subcommand().unwrap();
            let command = with_defaults(name, given, &LoadedConfig::load(&file).unwrap())?;
            let (_, matches) = command.try_get_matches_from(&line).unwrap().remove_subcommand().unwrap();
            Ok::<ArgMatches, CommandLineError>(matches)
        };
        // One key of each kind. A key for a new flag needs nothing here.
        let text = "auto-ack = true\npassthrough = false\nmetrics = \"127.0.0.1:0\"\nruntime = \"smol\"\nverbose = 2\n\
                    slack-subcommand = [\"a=/a\", \"b=/b\"]\nexec = [\"./agent\", \"--flag\"]\nenv-file = \"gw.env\"\n";
        let run = matches(text, &["relayline", "run"]).unwrap();
        assert!(run.get_flag("auto_ack") && !run.get_flag("passthrough"));
        assert_eq!(
            (run.get_count("verbose"), run.get_one::<String>("metrics").unwrap().as_str()),
            (2, "127.0.0.1:0")
        );
        let exec: Vec<_> = run.get_many::<String>("exec").unwrap().collect();
        assert_eq!(exec, ["./agent", "--flag"]);
        assert_eq!(run.get_many::<(String, String)>("slack_subcommand").unwrap().count(), 2);
        // Paths are relative to the file's folder.
        assert_eq!(*run.get_one::<PathBuf>("env_file").unwrap(), folder.path().join("gw.env"));
        // A flag overrides the file, and so does its opposite.
        let line =
            ["relayline", "run", "-q", "--runtime", "tokio", "--metrics", "127.0.0.1:1", "--exec", "cat"];
        let run = matches(text, &line).unwrap();
        assert_eq!(
            (run.get_count("verbose"), run.get_one::<String>("metrics").unwrap().as_str()),
            (0, "127.0.0.1:1")
        );
        assert_eq!(run.get_many::<String>("exec").unwrap().collect::<Vec<_>>(), ["cat"]);
        // So does a limit of the command line, and what an ACP agent excludes.
        let text =
            "max-sessions = \"4\"\napproval-timeout = \"5m\"\nmedia-anywhere = true\nacp = [\"agent\"]\n";
        let line = ["relayline", "run", "--set", "acp_sessions=2", "--acp", "cat"];
        let run = matches(text, &line).unwrap();
        assert_eq!(run.get_one::<String>("max_sessions"), None);
        assert_eq!(run.get_one::<String>("approval_timeout").unwrap(), "5m");
        assert!(!run.get_flag("media_anywhere"));
        // Commands without a flag ignore its key.
        let policy = matches("env-file = \"gw.env\"\nexec = [\"cat\"]", &["relayline", "policy"]).unwrap();
        assert_eq!(policy.get_one::<PathBuf>("env_file").unwrap().file_name().unwrap(), "gw.env");

        let wrong = |text: &str| match matches(text, &["relayline", "run"]) {
            Err(CommandLineError::Setting(what)) => {
                what.strip_prefix(&file.display().to_string()).unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong("auto-ack = 1"), ":1: auto-ack: write true or false");
        assert_eq!(wrong("\nmetrics = [\"a\"]"), ":2: metrics: write one text");
        assert_eq!(wrong("verbose = \"x\""), ":1: verbose: write true, false or a small number");
        assert!(
            wrong("runtime = \"async-std\"")
                .starts_with(":1: runtime: invalid value 'async-std' for '--runtime")
        );
        assert!(wrong("slack-subcommand = \"x\"").contains("write WORD=TEXT"));
    }
}
