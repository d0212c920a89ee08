//! The common parts of every `--help`, and the names that scripts rely on.

use std::process::Command;

/// Each command, and those of its flags that must not change.
const COMMANDS: &[(&str, &str)] = &[
    ("demo", "--script --acp --durable --web --open --runtime"),
    (
        "dev",
        "--listen --open --watch --no-watch --auto-ack --passthrough --command-manifest --media-dir --media-anywhere --set \
         --runtime --exec --acp",
    ),
    (
        "run",
        "--url --gateway-id --secret-file --platform --bot-id --identity --auto-ack --passthrough --control --exec --set --config --runtime \
         --queue --jobs --session-window --max-attempts --dedupe-for --queue-media --standby \
         --sleep-after --wake-listen --on-sleep --exit-on-sleep \
         --acp --acp-auth --cwd --mcp-servers --acp-state --max-sessions --acp-verbose --approval-chat --approver --approval-timeout --approve --busy",
    ),
    (
        "send",
        "--control --chat-id --text --stdin --attach --platform --scope-id --user-id --thread-id --reply-to --op --json \
         --timeout",
    ),
    ("status", "--control --json --watch --interval --timeout"),
    ("queue", "--help"),
    ("work", "--queue --gateway-id --jobs --restart --metrics --set --exec"),
    (
        "enroll",
        "--token --connector-url --gateway-id --wake-url --access-token --access-token-command --env-file",
    ),
    ("provision", "--url --platform --bot-id"),
    ("policy", "--url --platform --policy"),
    ("doctor", "--url --gateway-id --secret-file"),
    ("connector", "--listen --gateway --platform --wake-url --script --refuse --like --state"),
    ("record", "--listen --upstream --out --rotate"),
    ("replay", "--json --check --speed --from --until"),
    ("view", "--out --svg --open"),
    ("simulate", "--seeds --profile"),
    ("conformance", "--help"),
    ("token", "--gateway-id --secret-file"),
    ("verify", "--secret-file"),
];

/// Commands below a command, with their flags in the same way.
const SUBCOMMANDS: &[(&str, &str)] = &[
    (
        "conformance gateway",
        "--jobs --timings --quick --json --junit --markdown --html --expected-failures --list --only --skip --rule \
         --level --manifest",
    ),
    (
        "conformance connector",
        "--gateway-id --secret-file --inbound-command --json --junit --markdown --html --expected-failures --list \
         --only --skip --rule --level --manifest",
    ),
    ("queue status", "--queue --gateway-id --json"),
    ("queue list", "--queue --gateway-id --json --text"),
    ("queue dead", "--queue --gateway-id --json --text"),
    ("queue retry", "--queue --gateway-id --json"),
    ("queue drop", "--queue --gateway-id --json"),
];

/// Flags that override a variable, in every command that has them.
const VARIABLES: &[(&str, &str)] = &[
    ("--url", "GATEWAY_RELAY_URL"),
    ("--connector-url", "GATEWAY_RELAY_URL"),
    ("--gateway-id", "GATEWAY_RELAY_ID"),
    ("--bot-id", "GATEWAY_RELAY_BOT_ID"),
    ("--identity", "GATEWAY_RELAY_PLATFORMS"),
    ("--token", "GATEWAY_RELAY_ENROLL_TOKEN"),
    ("--access-token-command", "GATEWAY_RELAY_ACCESS_TOKEN_COMMAND"),
    ("--access-token-file", "GATEWAY_RELAY_ACCESS_TOKEN_FILE"),
    ("--endpoint", "GATEWAY_RELAY_ENDPOINT"),
    ("--route-keys", "GATEWAY_RELAY_ROUTE_KEYS"),
    ("--instance-id", "GATEWAY_RELAY_INSTANCE_ID"),
    ("--display-name", "GATEWAY_RELAY_DISPLAY_NAME"),
    ("--policy", "GATEWAY_RELAY_POLICY"),
    ("--inbound-listen", "GATEWAY_RELAY_INBOUND_LISTEN"),
    ("--delivery-key-file", "GATEWAY_RELAY_DELIVERY_KEY"),
    ("--turn-reactions", "GATEWAY_RELAY_TURN_REACTIONS"),
    ("--raw-events", "GATEWAY_RELAY_RAW_EVENTS"),
    ("--unknown-frames", "GATEWAY_RELAY_UNKNOWN_FRAMES"),
    ("--prompts", "GATEWAY_RELAY_PROMPTS"),
    ("--enabled", "GATEWAY_RELAY_ENABLED"),
    ("--ca-file", "SSL_CERT_FILE"),
];

fn help(command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_relayline"))
        .args(command.split(' ').chain(["--help"]))
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}");
    unwrapped(&String::from_utf8(output.stdout).unwrap())
}

/// Returns a help text with each flag and command on one line, however wide the lines are.
fn unwrapped(help: &str) -> String {
    let mut text = String::new();
    for line in help.lines() {
        let inside = line.trim_start();
        let goes_on = line.len() - inside.len() >= 10 && !inside.starts_with('-') && !inside.is_empty();
        text.push_str(if goes_on { " " } else { "\n" });
        text.push_str(if goes_on { inside } else { line });
    }
    text
}

/// Returns the flag at the beginning of a line.
fn flag(line: &str) -> Option<&str> {
    line.split_whitespace()
        .take(2)
        .find(|word| word.starts_with("--"))
        .map(|word| word.trim_end_matches("..."))
}

#[test]
fn every_help_has_an_example_exit_codes_and_log_flags() {
    for (command, flags) in COMMANDS.iter().chain(SUBCOMMANDS) {
        let help = help(command);
        assert!(help.contains("\nExample") && help.contains(&format!("relayline {command} ")), "{command}");
        assert!(help.contains("\nExit codes: 0 "), "{command}");
        let (own, logs) = help.split_once("\nLogging:\n").unwrap_or_else(|| panic!("{command}"));
        for name in flags.split(' ') {
            assert!(own.lines().any(|line| flag(line) == Some(name)), "{command} has no {name}");
        }
        for name in ["--verbose", "--quiet", "--log-format"] {
            assert!(logs.lines().any(|line| flag(line) == Some(name)), "{command} {name}");
            assert!(!own.contains(name), "{command} {name}");
        }
    }
}

#[test]
fn h_9_a_flag_that_overrides_a_variable_names_it() {
    let mut seen = 0;
    for (command, _) in COMMANDS {
        let help = help(command);
        let (flags, _) = help.split_once("\nExample").unwrap();
        // The description of a flag may continue below it, and may be wrapped anywhere.
        let starts = flags.lines().map(|line| line.trim_start().starts_with('-') && flag(line).is_some());
        let lines: Vec<(bool, &str)> = starts.zip(flags.lines()).collect();
        for entry in lines.chunk_by(|_, (starts, _)| !starts) {
            let text: Vec<&str> = entry.iter().flat_map(|(_, line)| line.split_whitespace()).collect();
            let text = text.join(" ");
            for (_, variable) in VARIABLES.iter().filter(|(name, _)| flag(&text) == Some(name)) {
                assert!(text.contains(&format!("[env: {variable}")), "{command}: {text}");
                seen += 1;
            }
        }
    }
    assert!(seen > VARIABLES.len(), "{seen}");
}

#[test]
fn every_command_is_listed() {
    let output = Command::new(env!("CARGO_BIN_EXE_relayline")).arg("--help").output().unwrap();
    let help = unwrapped(&String::from_utf8(output.stdout).unwrap());
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let listed: Vec<_> = rest.lines().map_while(|line| line.split_whitespace().next()).collect();
    let known: Vec<_> = COMMANDS.iter().map(|(name, _)| *name).chain(["help"]).collect();
    assert_eq!(listed, known);
}
