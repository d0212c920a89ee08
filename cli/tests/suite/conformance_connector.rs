//! `relayline conformance connector`: our connector passes, the connectors that it imitates get the verdicts of a snapshot,
//! and each bug of `cli/examples/mutant` is found by its scenario.

use crate::conformance::{bugs, example, findings, for_each_bug};
use crate::support::{Program, is_full, relayline};
use rcgen::{CertificateParams, KeyPair};
use relayline_connector::{ConnectorConfig, EmbeddedConnector, ServerConfig, ServerTls};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::{Command, Output};

/// Id and secret of the gateway.
const ACCOUNT: (&str, &str) = ("gw-1", "s3cret");

/// Runs the suite against a connector with these flags, and with this bug. Messages of users reach it by a named pipe.
fn judge(flags: &[&str], bug: Option<&str>, suite: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, ACCOUNT.1).unwrap();
    let inbound = folder.path().join("inbound");
    rustix::fs::mkfifoat(rustix::fs::CWD, &inbound, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let account = format!("{}={}", ACCOUNT.0, ACCOUNT.1);
    let mut connector = Program::start(relayline([&["connector", "--gateway", &account], flags].concat()));
    let listening: Value = serde_json::from_str(&connector.line().unwrap()).unwrap();
    let url = listening["url"].as_str().unwrap().to_owned();
    let mut mutant = bug.map(|bug| {
        let mut command = Command::new(example());
        command.args(["--connector", bug, &url]);
        Program::start(command)
    });
    let url = mutant.as_mut().map_or(url, |mutant| mutant.line().unwrap());
    // Both ends are open until the end, so that neither the reader nor the writers see an end in between.
    let pipe = std::fs::File::options().read(true).write(true).open(&inbound).unwrap();
    let stop = folder.path().join("stop");
    let ended = stop.clone();
    let reader = std::thread::spawn(move || {
        use std::io::BufRead;
        for line in std::io::BufReader::new(pipe).lines() {
            let line = line.unwrap();
            if ended.exists() {
                return;
            }
            connector.write(format!("{line}\n").as_bytes());
        }
    });
    let command = format!("cat > {}", inbound.display());
    let (url, secret) = (url.as_str(), secret.to_str().unwrap());
    let arguments = ["conformance", "connector", url, "--gateway-id", ACCOUNT.0, "--secret-file", secret];
    let output =
        relayline([&arguments[..], &["--inbound-command", &command], suite].concat()).output().unwrap();
    std::fs::write(stop, "").unwrap();
    std::fs::write(inbound, "\n").unwrap();
    reader.join().unwrap();
    output
}

/// Returns the names of all scenarios.
fn names() -> Vec<String> {
    let output = relayline(["conformance", "connector", "--list"]).output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    list.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

#[test]
fn our_connector_passes() {
    let output = judge(&[], None, &[]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.trim_end().ends_with(" pass, 0 fail, 0 warn, 0 skip"), "{stdout}");
    let refusing = judge(&["--refuse", "http"], None, &["--only", "token"]);
    assert_eq!(refusing.status.code(), Some(0), "{}", String::from_utf8_lossy(&refusing.stdout));
}

#[test]
fn without_a_command_messages_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, ACCOUNT.1).unwrap();
    let mut connector = Program::start(relayline(["connector", "--gateway", "gw-1=s3cret"]));
    let listening: Value = serde_json::from_str(&connector.line().unwrap()).unwrap();
    let output = relayline([
        "conformance",
        "connector",
        listening["url"].as_str().unwrap(),
        "--gateway-id",
        "gw-1",
        "--secret-file",
        secret.to_str().unwrap(),
        "--only",
        "a-live",
    ])
    .output()
    .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(
        stdout.contains("skip  a-live (E-1): no way to make the connector deliver a message"),
        "{stdout}"
    );
}

/// Verdicts other than `pass` on each imitated connector.
const VERDICTS: &str = "\
displacing:
errors:
  fail o-answered
flood:
  warn a-drain
lenient:
  fail o-result
silent:
  fail l-going-idle
strict:
  warn d-each-hello
  fail l-interrupt
  fail l-going-idle
";

#[test]
fn imitated_connectors_get_their_verdicts() {
    // Each waits for what never comes, some of them for ten seconds: two suffice where time matters.
    let all = ["displacing", "errors", "flood", "lenient", "silent", "strict"];
    let chosen: &[&str] = if is_full() { &all } else { &["flood", "strict"] };
    let verdicts = std::thread::scope(|scope| {
        let runs: Vec<_> = chosen
            .iter()
            .map(|like| {
                scope.spawn(move || {
                    let output = judge(&["--like", like], None, &["--json", "-"]);
                    let mut text = format!("{like}:\n");
                    for (name, verdict) in findings(like, &output) {
                        writeln!(text, "  {verdict} {name}").unwrap();
                    }
                    text
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect::<String>()
    });
    let is_chosen = |block: &&str| chosen.iter().any(|like| block.starts_with(&format!("{like}:")));
    let blocks = VERDICTS.split_inclusive('\n').fold(Vec::<String>::new(), |mut blocks, line| {
        if !line.starts_with(' ') {
            blocks.push(String::new());
        }
        blocks.last_mut().unwrap().push_str(line);
        blocks
    });
    let expected: String = blocks.iter().map(String::as_str).filter(is_chosen).collect();
    assert_eq!(verdicts, expected);
}

/// Bugs of the normal test run.
const SAMPLE_BUGS: [&str; 4] = ["no-newlines", "no-success", "refuses-with-4403", "forgets-what-it-has-sent"];

#[test]
fn each_bug_of_a_connector_is_found_by_one_scenario() {
    for_each_bug("connector", &SAMPLE_BUGS, |bug| {
        let output = judge(&[], Some(&bug.name), &["--json", "-"]);
        let found: BTreeSet<String> =
            findings(&bug.name, &output).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, bug.found_by, "{}", bug.name);
    });
}

#[test]
fn every_scenario_has_a_bug_of_a_connector() {
    let names: BTreeSet<String> = names().into_iter().collect();
    assert!(names.len() >= 30, "{names:?}");
    let found: BTreeSet<String> = bugs("connector").into_iter().flat_map(|bug| bug.found_by).collect();
    assert_eq!(found, names);
}

#[test]
fn a_frame_without_a_newline_is_named() {
    let output = judge(&[], Some("no-newlines"), &["--only", "handshake"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("a frame has no newline at its end"), "{stdout}");
}

/// C-6, C-7: a certificate of one's own is named by a flag, and tokens go unencrypted only to this machine.
#[test]
fn c_7_a_connector_with_tls_is_judged() {
    let key = KeyPair::generate().unwrap();
    let pem = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let tls = ServerTls::from_pem(&pem, &key.serialize_pem()).unwrap();
    let connector = ConnectorConfig::default().gateway(ACCOUNT.0, ACCOUNT.1);
    let config = ServerConfig::from(connector).tls(tls);
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (secret, file) = (folder.path().join("secret"), folder.path().join("ca.pem"));
    std::fs::write(&secret, ACCOUNT.1).unwrap();
    std::fs::write(&file, pem).unwrap();
    let judge = |url: &str, flags: &[&str]| {
        let secret = secret.to_str().unwrap();
        let arguments = ["conformance", "connector", url, "--gateway-id", ACCOUNT.0, "--secret-file", secret];
        let flags = [&arguments[..], &["--only", "handshake"], flags].concat();
        let output = relayline(flags).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let url = connector.url();
    let (code, text) = judge(&url, &["--ca-file", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = judge(&url, &[]);
    assert!(code == Some(1) && text.contains("trust its authority with --ca-file"), "{text}");
    let (code, text) = judge("ws://connector.example", &[]);
    assert!(code == Some(2) && text.contains("give --allow-insecure"), "{text}");
}
