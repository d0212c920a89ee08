//! The README's agent, as it is written there, with the README's connector and the program.

use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

on_both_runtimes! { the_agent_of_the_readme_echoes }

const PATIENCE: Duration = Duration::from_secs(30);

/// The same agent for machines without Python: one line in, one line out.
const SH_AGENT: &str = r#"#!/bin/sh
while read -r line; do
  case "$line" in
    '{"event":"message"'*)
      number=$(printf '%s' "$line" | sed 's/.*"delivery":\([0-9]*\).*/\1/')
      text=$(printf '%s' "$line" | sed 's/.*"message":{"text":"\([^"]*\)".*/\1/')
      printf '{"op":"ack","delivery":%s}\n' "$number"
      printf '{"op":"reply","delivery":%s,"content":"you said: %s","split":true}\n' "$number" "$text"
      ;;
  esac
done
"#;

/// Reads a document by its path from the root.
fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

/// Returns the first code block of a page that begins with this line.
fn block(page: &str, start: &str) -> String {
    let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("there is no {start:?}"));
    rest.split_once("```").unwrap().0.trim_start().to_owned()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn the_agent_of_the_readme_echoes(runtime: &str) {
    let has_python =
        Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let (name, text) = if has_python.is_ok_and(|status| status.success()) {
        let agent = block(&page("README.md"), "```python");
        assert!(agent.lines().count() <= 11, "ten lines, and how to run it");
        ("agent.py", agent)
    } else {
        eprintln!("there is no python3 here: the same agent in sh");
        ("agent.sh", SH_AGENT.to_owned())
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();

    let config = ConnectorConfig::default().gateway("gw-1", "SECRET");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let mut run = Killed(
        Command::new(env!("CARGO_BIN_EXE_relayline"))
            .args(["run", "--runtime", runtime, "--platform", "discord", "--bot-id", "1", "--exec"])
            .arg(&file)
            .env("GATEWAY_RELAY_URL", connector.url().replace("ws://", "http://"))
            .env("GATEWAY_RELAY_ID", "gw-1")
            .env("GATEWAY_RELAY_SECRET", "SECRET")
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let frame = |saw: &Observation, kind: &str| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == kind);
    connector.wait_for(|saw| frame(saw, "hello"), PATIENCE).unwrap();

    // The README's line, as a user would paste it.
    let line: Value = serde_json::from_str(&block(&page("README.md"), "```json")).unwrap();
    let event = line["event"].as_object().unwrap().clone();
    connector.control(Act::Inbound { event: event.clone(), buffered: None }).unwrap();
    let answer = connector.wait_for(|saw| frame(saw, "outbound"), PATIENCE).unwrap();
    let Observation::Frame { frame: answer, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(answer["action"]["content"], json!("you said: hello"));
    assert_eq!(answer["action"]["chat_id"], json!("1234"));
    // M-7: it completes the turn's answer.
    assert_eq!(answer["action"]["metadata"]["notify"], json!(true));

    // A-1: a buffered delivery is acknowledged, since the agent acknowledges it.
    connector.control(Act::Inbound { event, buffered: Some(true) }).unwrap();
    connector.wait_for(|saw| frame(saw, "inbound_ack"), PATIENCE).unwrap();

    // A revoked gateway ends with 3, and its agent with it.
    connector.control(Act::Revoke { on: true }).unwrap();
    assert_eq!(run.0.wait().unwrap().code(), Some(3));
}

/// H-1: the enrollment of docs/settings.md, but for the connector's place and an agent that is there.
#[cfg(unix)]
#[test]
fn h_1_the_enrolment_of_the_documents_runs() {
    let config = ConnectorConfig::default().enroll_token("once", "default").identity("let-me-in", "default");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let settings = page("docs/settings.md");
    assert!(
        settings.contains("connector --listen 127.0.0.1:8765 --enroll-token once --access-token let-me-in")
    );
    let script =
        format!("GATEWAY_RELAY_ACCESS_TOKEN{}", block(&settings, "```sh\nGATEWAY_RELAY_ACCESS_TOKEN"));
    // With `exec`, killing the shell also ends the gateway.
    let script = script.replace("\nrelayline run", "\nexec relayline run").replace("./agent.py", "cat");
    let script = script.replace("http://127.0.0.1:8765", &connector.url().replace("ws://", "http://"));
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_relayline")).parent().unwrap().display();
    let mut shell = Killed(
        Command::new("sh")
            .args(["-ec", &script])
            .current_dir(folder.path())
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
    connector.wait_for(hello, PATIENCE).unwrap();
    connector.control(Act::Revoke { on: true }).unwrap();
    assert_eq!(shell.0.wait().unwrap().code(), Some(3));
}

/// Returns the words of `run --help` between two of its words.
fn listed(help: &str, from: &str, to: &str) -> Vec<String> {
    let (_, rest) = help.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {help}"));
    let (list, _) = rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} in {rest}"));
    list.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_documents_name_every_line_op_and_flag_of_the_bridge() {
    let output = Command::new(env!("CARGO_BIN_EXE_relayline")).args(["run", "--help"]).output().unwrap();
    // The line breaks depend on how clap was built.
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let agents = page("docs/agents.md");
    let settings = page("docs/settings.md");
    let lines = listed(&help, "with `event` first:", ". It writes");
    let ops = listed(&help, "ops, one JSON object per line:", ". An op with");
    assert!(lines.len() > 8 && ops.len() > 20, "{lines:?} {ops:?}");
    for name in lines.iter().chain(&ops) {
        assert!(agents.contains(&format!("`{name}`")), "docs/agents.md does not name `{name}`");
    }
    let flags = help.split_whitespace().filter(|word| word.starts_with("--"));
    for flag in flags.map(|flag| flag.split('[').next().unwrap().trim_end_matches([',', '.', ';', ']', '>']))
    {
        // Flags that every command has, or that need no documentation.
        let known = ["--help", "--version", "--verbose", "--quiet"];
        let is_named = agents.contains(flag) || settings.contains(flag);
        assert!(known.contains(&flag) || is_named, "neither document names {flag}");
    }
}

#[test]
fn the_architecture_names_existing_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let map = page("ARCHITECTURE.md");
    let mut seen = 0;
    for line in map.lines() {
        // In the first cell of a row, a path without a folder is in the folder of the path before it.
        let (first, rest) = match line.strip_prefix("| `") {
            Some(row) => row.split_once(" | ").unwrap_or((row, "")),
            None => ("", line),
        };
        let mut folder = root.clone();
        for place in format!("`{first}").split('`').filter(|text| text.contains(['.', '/'])) {
            let whole = root.join(place);
            let path = if whole.exists() { whole } else { folder.join(place) };
            assert!(path.exists(), "ARCHITECTURE.md names {place}, which is not there");
            folder = path.parent().unwrap().to_owned();
            seen += 1;
        }
        // Elsewhere a path is complete.
        let is_path = |text: &&str| text.ends_with(".rs") && text.contains("/src/");
        for place in rest.split('`').filter(is_path) {
            assert!(root.join(place).exists(), "ARCHITECTURE.md names {place}, which is not there");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

/// Each link in a document leads to a file.
#[test]
fn links_of_the_documents_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/agents.md",
        "docs/connectors.md",
        "docs/settings.md",
    ] {
        let folder = root.join(name).parent().unwrap().to_owned();
        for link in page(name).split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = link.split('#').next().unwrap();
            let is_there = file.is_empty() || file.starts_with("https://") || folder.join(file).exists();
            assert!(is_there, "{name} links to {link}");
        }
    }
}
