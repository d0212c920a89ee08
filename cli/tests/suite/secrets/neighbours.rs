//! The files of gateway and guard that an agent of the same user can read.

use super::armed::{armed, keyed};
use super::known::{DELIVERY_KEY, ID, QUERY_KEY, SECRET, is_clean};
use crate::support::{Program, SOON, copy_program};
use relayline_connector::{ConnectorConfig, EmbeddedConnector};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

on_one_runtime! {
    c_4_an_agent_cannot_read_the_gateways_memory,
}

/// Prints which files of guard and gateway can be opened, and the output of `ps` about them.
const LOOK_AROUND: &str = r#"
    guard=$PPID
    gateway=$(sed 's/.*) . \([0-9]*\) .*/\1/' /proc/$guard/stat)
    for who in guard gateway; do
      eval pid=\$$who
      for file in environ mem; do
        if (: < /proc/$pid/$file) 2>/dev/null; then echo "$who $file open"; else echo "$who $file closed"; fi
      done
      echo "$who command: $(tr '\0' ' ' < /proc/$pid/cmdline)"
    done > "$FOLDER/seen"
    tr '\0' '\n' < /proc/$gateway/environ > "$FOLDER/environ" 2>/dev/null
    env > "$FOLDER/own"
    exit 0"#;

/// Returns why the test cannot run as another user, if so.
fn cannot_drop() -> Option<&'static str> {
    let user = Command::new("id").arg("-u").output().unwrap();
    if !cfg!(target_os = "linux") {
        return Some("only Linux has /proc and dumpable processes");
    }
    if user.stdout.trim_ascii() != b"0" {
        return Some("only root can become another user");
    }
    let setpriv = Command::new("setpriv").arg("--version").output();
    if setpriv.is_ok_and(|output| output.status.success()) { None } else { Some("there is no setpriv") }
}

/// Returns the same command as the user `nobody`, who can reach the program in this folder.
fn as_nobody(command: &Command, folder: &std::path::Path) -> Command {
    let program = copy_program(folder);
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).unwrap();
    let mut dropped = Command::new("setpriv");
    dropped.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    dropped.arg(program).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => dropped.env(name, value),
            None => dropped.env_remove(name),
        };
    }
    dropped.env("FOLDER", folder);
    dropped
}

/// Root can read everything, so gateway and agent run as another user.
fn c_4_an_agent_cannot_read_the_gateways_memory(runtime: &str) {
    if let Some(why) = cannot_drop() {
        eprintln!("skipped: {why}");
        return;
    }
    // If only descendants may be traced, no such debugger can read memory anyway.
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let memory = if matches!(scope.trim(), "" | "0") { "open" } else { "closed" };
    for (debuggable, environ, mem) in
        [(None, "closed", "closed"), (Some("0"), "closed", "closed"), (Some("1"), "open", memory)]
    {
        let folder = tempfile::tempdir().unwrap();
        let config = ConnectorConfig::default().gateway(ID, SECRET);
        let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
        let mut command = armed(&["run", "--runtime", runtime, "--platform", "discord"], "text");
        command.args(["--exec", "sh", "-c", LOOK_AROUND]).env("GATEWAY_RELAY_URL", keyed(&connector.url()));
        command.env("RELAYLINE_DEBUGGABLE", debuggable.unwrap_or_default());
        let ended = Program::start(as_nobody(&command, folder.path())).ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap_or_default();
        let seen = read("seen");
        for (who, file, state) in [
            ("guard", "environ", environ),
            ("guard", "mem", mem),
            ("gateway", "environ", environ),
            ("gateway", "mem", mem),
        ] {
            assert!(
                seen.contains(&format!("{who} {file} {state}\n")),
                "{debuggable:?}: {who} {file}: {seen}"
            );
        }
        is_clean("what ps shows", &seen);
        let own = read("own");
        is_clean("the agent's environment", &own);
        let url = format!("GATEWAY_RELAY_URL={}\n", connector.url());
        assert!(own.contains(&url), "the agent keeps the URL: {own}");
        // The test is effective: a readable file would show the secrets.
        let environ = read("environ");
        for secret in [SECRET, DELIVERY_KEY, QUERY_KEY] {
            assert_eq!(environ.contains(secret), debuggable == Some("1"), "{debuggable:?}: {environ}");
        }
        let warned = ended.stderr.lines().filter(|line| line.contains("RELAYLINE_DEBUGGABLE=1")).count();
        assert_eq!(warned, usize::from(debuggable == Some("1")), "{}", ended.stderr);
    }
}

/// Every command that is given secrets, while it waits.
#[test]
fn c_4_commands_with_secrets_cannot_be_read_by_their_user() {
    if let Some(why) = cannot_drop() {
        eprintln!("skipped: {why}");
        return;
    }
    // It accepts connections and sends nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let env_file = folder.path().join("env");
    let env_file = env_file.to_str().unwrap();
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    for words in [
        &["run", "--url", &url][..],
        &["enroll", "--connector-url", &url, "--env-file", env_file, "--force"],
        &["provision", "--platform", "slack", "--url", &url],
        &["policy", "--platform", "slack", "--policy", "{}", "--url", &url],
        &["doctor", "--url", &url],
        &["connector", "--gateway", "gw-1=s3cret"],
        &["record", "--upstream", &url, "--out", out],
        &["verify"],
    ] {
        let mut command = armed(words, "text");
        if matches!(words[0], "provision" | "policy") {
            command.env_remove("GATEWAY_RELAY_SECRET").env_remove("GATEWAY_RELAY_ID");
        }
        let program = Program::start(as_nobody(&command, folder.path()));
        let pid = program.id();
        // Until then the process is `setpriv`, or has only just started.
        let until = std::time::Instant::now() + SOON;
        let look = || {
            let script = format!(
                "(: < /proc/{pid}/environ) 2>/dev/null && echo open; readlink /proc/{pid}/exe >/dev/null && echo open; \
                 tr '\\0' ' ' < /proc/{pid}/cmdline"
            );
            let mut look = Command::new("setpriv");
            look.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", "sh", "-c", &script]);
            String::from_utf8(look.output().unwrap().stdout).unwrap()
        };
        loop {
            let seen = look();
            if seen.contains(words[0]) && !seen.contains("open\n") && !seen.contains("setpriv") {
                break;
            }
            assert!(std::time::Instant::now() < until, "{words:?}: {seen}: {}", program.log());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
