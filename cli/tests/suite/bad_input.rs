//! Errors in the command line, the environment or the files: each is one line on stderr and an exit code.

use crate::support::{Program, relayline};
use relayline_control::config::ServerLimits;
use relayline_core::config::{Limits, Timing};
use relayline_core::limits::NamedLimits;
use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

const URL: &str = "ws://127.0.0.1:9";
const ID: [(&str, &str); 1] = [("GATEWAY_RELAY_ID", "gw-1")];

/// Arguments, environment, exit code, and the line on stderr.
type Case = (Vec<String>, &'static [(&'static str, &'static str)], u8, String);

#[test]
fn l_1_l_2_c_6_each_error_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("bad.jsonl"), "{\"do\":\"drop\"}\n\n{\"do\":\"dance\"}\n").unwrap();
    fs::write(path("bad.demo"), "# a demo\ndiscord: hi\nirc: hi\n").unwrap();
    fs::write(path("secret"), "s3cret\n").unwrap();
    fs::write(path("bad.toml"), "url = \"ws://127.0.0.1:9\"\n[set]\nhandshake = \"1s\"\n").unwrap();
    let bad_toml = path("bad.toml");
    fs::write(path("binary"), [0xff, 0xfe]).unwrap();
    fs::write(path("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
    fs::write(path("two"), "old\nnew\n").unwrap();
    let (large, two) = (path("large"), path("two"));
    let (missing, bad_script, bad_demo) = (path("missing"), path("bad.jsonl"), path("bad.demo"));
    let bare = path("bare.json");
    fs::write(&bare, "[{}, 1]").unwrap();
    let (secret, binary) = (path("secret"), path("binary"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let nobody = "No such file or directory (os error 2)";

    let run = |flags: &[&str]| [&["run"], flags].concat().iter().map(|s| s.to_string()).collect::<Vec<_>>();
    let other = |words: &[&str]| words.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    let cases: Vec<Case> = vec![
        (
            run(&[]),
            &[],
            2,
            "relayline: no connector URL: give --url or set GATEWAY_RELAY_URL, as in wss://connector.example".into(),
        ),
        (
            run(&["--url", URL, "--command-manifest", &secret]),
            &[],
            2,
            format!("relayline: --command-manifest {secret}: it is not valid JSON: expected value at line 1 column 1"),
        ),
        (
            run(&["--url", URL, "--command-manifest", &bare]),
            &[],
            2,
            format!(
                "relayline: --command-manifest {bare}: it is not a list of objects: write [{{\"name\": \"ask\", \"description\": …}}, …]"
            ),
        ),
        (run(&["--url", "foo"]), &[], 2, r#"relayline: --url: "foo" is not a ws, wss, http or https URL"#.into()),
        (
            run(&[]),
            &[("GATEWAY_RELAY_URL", "ftp://x")],
            2,
            r#"relayline: GATEWAY_RELAY_URL: "ftp://x" is not a ws, wss, http or https URL"#.into(),
        ),
        (
            run(&["--url", "wss://me:hunter2@c.example"]),
            &[],
            2,
            "relayline: --url: the URL holds user-info (user:password@): leave it out, a gateway has an id and a \
             secret instead"
                .into(),
        ),
        (
            run(&["--url", URL]),
            &ID,
            2,
            "relayline: GATEWAY_RELAY_ID is set, but there is no secret for it: set GATEWAY_RELAY_SECRET or give \
             --secret-file, or unset the id"
                .into(),
        ),
        (
            run(&["--url", URL]),
            &[("GATEWAY_RELAY_SECRET", "hunter2")],
            2,
            "relayline: GATEWAY_RELAY_SECRET is set, but there is no id for it: set GATEWAY_RELAY_ID or give \
             --gateway-id, or unset the secret"
                .into(),
        ),
        (
            run(&["--url", "ws://c.example", "--secret-file", &secret]),
            &ID,
            2,
            "relayline: ws://c.example/relay is not a loopback address, and its scheme is not encrypted: use wss:// or \
             https://, or give --allow-insecure to send credentials in the clear"
                .into(),
        ),
        (
            run(&["--url", URL, "--set", "handshake=1s"]),
            &[],
            2,
            format!(
                "relayline: --set handshake=1s: no such setting; there are {}",
                settings()
            ),
        ),
        (
            run(&["--url", URL, "--set", "chats=many"]),
            &[],
            2,
            "relayline: --set chats=many: \"many\" is not a size: write a whole number, with KiB or MiB if you like"
                .into(),
        ),
        (
            run(&["--url", URL, "--identity", ":1"]),
            &[],
            2,
            "relayline: --identity: \":1\" names no platform: write PLATFORM or PLATFORM:BOT_ID".into(),
        ),
        (
            run(&["--url", URL, "--secret-file", &missing]),
            &ID,
            2,
            format!("relayline: --secret-file {missing}: {nobody}"),
        ),
        (
            run(&["--url", URL, "--secret-file", &binary]),
            &ID,
            2,
            format!("relayline: --secret-file {binary}: stream did not contain valid UTF-8"),
        ),
        (
            run(&["--url", URL, "--secret-file", &large]),
            &ID,
            2,
            format!("relayline: --secret-file {large}: it is larger than 1 MiB, the maximum"),
        ),
        (
            run(&["--url", URL, "--secret-file", &two]),
            &ID,
            2,
            "relayline: --secret-file holds a line break or another control character: write it on one line".into(),
        ),
        (run(&["--config", &missing]), &[], 2, format!("relayline: --config {missing}: {nobody}")),
        (
            run(&["--config", &bad_toml]),
            &[],
            2,
            format!(
                "relayline: {bad_toml}:3: set.handshake: no such setting; there are {}",
                settings()
            ),
        ),
        (
            run(&["--url", URL, "--policy", "{"]),
            &[],
            2,
            "relayline: --policy: EOF while parsing an object at line 1 column 1: write {\"platform\": \"discord\", \
             \"requireAddress\": true}, or an array of such"
                .into(),
        ),
        (
            run(&["--url", URL, "--exec", &missing, "--its-flag"]),
            &[],
            1,
            format!(
                "relayline: --exec {missing}: {nobody}; name a program on the PATH or a file with its folder, as in \
                 ./agent.py, whose #! line names one that is there"
            ),
        ),
        #[cfg(unix)]
        (
            run(&["--url", URL, "--exec", &secret]),
            &[],
            1,
            format!(
                "relayline: --exec {secret}: Permission denied (os error 13); make it executable, as in chmod +x \
                 agent.py"
            ),
        ),
        (
            other(&["connector", "--listen", &taken]),
            &[],
            1,
            format!(
                "relayline connector: cannot listen on {taken}: Address already in use (os error 98); choose another \
                 address with --listen"
            ),
        ),
        (
            other(&["connector", "--gateway", "gw-1"]),
            &[],
            2,
            "relayline connector: --gateway: write ID=SECRET, neither of them empty".into(),
        ),
        (
            other(&["connector", "--gateway", "gw-1=s", "--delivery-key", "gw-1="]),
            &[],
            2,
            "relayline connector: --delivery-key: write ID=KEY, neither of them empty".into(),
        ),
        (
            other(&["connector", "--gateway", "gw-1=s", "--wake-url", "gw-1=127.0.0.1:1"]),
            &[],
            2,
            "relayline connector: --wake-url gw-1: the URL must begin with http:// or https://".into(),
        ),
        (
            other(&["connector", "--wake-url", "gw-1=http://127.0.0.1:1/"]),
            &[],
            2,
            "relayline connector: --wake-url gw-1: no --gateway has that id: give one with the same id".into(),
        ),
        (
            other(&["connector", "--delivery-key", "hunter2=hunter2"]),
            &[],
            2,
            "relayline connector: --delivery-key: no --gateway has that id: give one with the same id".into(),
        ),
        (
            other(&["connector", "--access-token", "hunter2="]),
            &[],
            2,
            "relayline connector: --access-token: write TOKEN or TOKEN=TENANT, neither of them empty".into(),
        ),
        (
            other(&["connector", "--enroll-token", "hunter2", "--access-token", "hunter2=acme"]),
            &[],
            2,
            "relayline connector: --enroll-token: no gateway could use it: give an --access-token of the same tenant, too"
                .into(),
        ),
        (
            other(&["connector", "--script", &missing]),
            &[],
            1,
            format!("relayline connector: cannot read the script {missing}: {nobody}"),
        ),
        (
            other(&["demo", "--script", &missing]),
            &[],
            1,
            format!("relayline: --script {missing}: {nobody}"),
        ),
        (
            other(&["demo", "--script", &bad_demo]),
            &[],
            1,
            format!("relayline: {bad_demo}:3: there is no chat \"irc\": discord, telegram, slack or sms"),
        ),
    ];
    for (arguments, environment, code, expected) in cases {
        let mut command = relayline(&arguments);
        command.envs(environment.iter().copied());
        let ended = Program::start(command).ended();
        assert_eq!(ended.stderr, format!("{expected}\n"), "{arguments:?}");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code.into()), ""), "{arguments:?}");
    }
    // The error names the bad line, and nothing of the script is played.
    let ended = Program::start(relayline(["connector", "--script", &bad_script])).ended();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.lines().count()), (Some(1), "", 1));
    let start = format!("relayline connector: {bad_script}:3: unknown `do` `dance`");
    assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
}

#[test]
fn a_wrong_flag_prints_the_usage() {
    for (arguments, expected) in [
        (vec!["run", "--wrong"], "error: unexpected argument '--wrong' found"),
        (vec!["run", "--runtime", "java"], "error: invalid value 'java' for '--runtime <NAME>'"),
        (
            vec!["run", "--identity", "a", "--platform", "b"],
            "error: the argument '--identity <PLATFORM[:BOT_ID]>' cannot be used with '--platform <NAME>'",
        ),
        (vec!["dance"], "error: unrecognized subcommand 'dance'"),
        (
            vec!["connector", "--listen", "here"],
            "error: invalid value 'here' for '--listen <ADDR>': invalid socket address syntax: write IP:PORT, as \
             in 127.0.0.1:8765",
        ),
    ] {
        let ended = Program::start(relayline(&arguments)).ended();
        assert_eq!((ended.code, ended.stderr.lines().next()), (Some(2), Some(expected)), "{arguments:?}");
    }
}

/// C-4: a configuration file with a secret that others can read causes a warning with advice.
#[cfg(unix)]
#[test]
fn c_4_a_readable_file_with_a_secret_causes_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    let name = file.to_str().unwrap();
    for (text, mode, warned) in [
        ("secret = \"s\"", 0o644, true),
        ("secret = \"s\"", 0o600, false),
        ("platform = \"irc\"", 0o644, false),
    ] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        // The program ends at once: there is no policy to send.
        let command = relayline([
            "policy",
            "--url",
            URL,
            "--gateway-id",
            "gw-1",
            "--config",
            name,
            "--provision",
            "never",
        ]);
        let ended = Program::start(command).ended();
        let warning =
            format!("{name}:1: secret: others on this machine can read it (mode 0644): chmod 600 {name}");
        assert_eq!(
            (ended.code, ended.stderr.contains(&warning)),
            (Some(2), warned),
            "{text} {}",
            ended.stderr
        );
    }
}

/// A variable that is not UTF-8 must not count as unset.
#[cfg(unix)]
#[test]
fn h_9_a_variable_that_is_not_utf_8_is_an_error() {
    let mut command = relayline(["run", "--url", URL]);
    command
        .env("GATEWAY_RELAY_PLATFORM", std::os::unix::ffi::OsStrExt::from_bytes(b"\xff") as &std::ffi::OsStr);
    let ended = Program::start(command).ended();
    assert_eq!(ended.stderr, "relayline: GATEWAY_RELAY_PLATFORM is not UTF-8: set it again, or unset it\n");
    assert_eq!(ended.code, Some(2));
}

/// A closed stderr causes no panic: the exit code is the same.
#[test]
fn a_closed_stderr_changes_nothing() {
    for (arguments, code) in [
        (vec!["run", "--url", "foo"], 2),
        (vec!["run", "--url", URL, "--exec", "sh", "-c", "exit 7"], 1),
        (vec!["run", "--runtime", "smol", "--url", URL, "--exec", "sh", "-c", "exit 7"], 1),
        (vec!["demo", "--script", "missing"], 1),
        (vec!["demo", "--runtime", "smol", "--script", "missing"], 1),
        (vec!["connector", "--script", "missing"], 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = relayline(&arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}");
    }
}

/// Returns the names that `--set` accepts: first those of the library, then those of the program.
fn settings() -> String {
    const OWN: &str = "agent_events, agent_event_bytes, agent_result_bytes, waiting_ops, waiting_op_bytes, \
                       media_transfers, agent_read_warning, agent_read_timeout, agent_restart_first, agent_restart_most, agent_deaths, \
                       agent_deaths_within, \
                       queue_entries, queue_bytes, dead_letters, max_attempts, session_window, agent_window, \
                       agent_window_bytes, sticky_sessions, workers, lease, pending_entries, pending_bytes, body_cache_bytes, \
                       dedupe_for, dedupe_keys, memory_items, memory_bytes, queue_media_bytes, \
                       queue_media_timeout, error_bytes, redeliver_after, redeliver_after_most, snapshot_records, \
                       batch_size, batch_bytes, store_timeout, store_retry, store_patience, \
                       acp_sessions, acp_known_sessions, acp_session_waiting, acp_waiting, \
                       acp_waiting_bytes, acp_answer_bytes, acp_steps, acp_permissions, acp_files, \
                       acp_inline_bytes, acp_file_bytes, acp_commands, acp_start_timeout, acp_fetch_timeout, \
                       acp_session_timeout, acp_silence_timeout, acp_approval_timeout, acp_cancel_timeout, \
                       acp_answer_interval, acp_progress_interval, acp_answer_patience, control_clients, \
                       control_line_bytes, control_in_flight, control_waiting_ops, control_waiting_op_bytes, \
                       control_streams, control_result_bytes, control_read_timeout";
    let names =
        [Limits::default().names(), Timing::default().names(), ServerLimits::default().names()].concat();
    format!("{}, {OWN}", names.join(", "))
}
