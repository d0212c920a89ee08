//! Agents on the official SDKs for Python and TypeScript. They run if `RELAYLINE_ACP_SDKS` names the folder below which
//! the SDKs are installed, as `.ci/run` does: `python` is a folder of pip, `node` one of npm.

use super::{Acp, command};
use crate::support::Program;
use relayline_connector::{ConnectorConfig, EmbeddedConnector, Observation};
use std::path::{Path, PathBuf};

/// Returns the folder of an SDK, or says why the test is skipped.
fn sdk(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("RELAYLINE_ACP_SDKS") else {
        eprintln!("skipped: RELAYLINE_ACP_SDKS is not set; .ci/run installs the SDKs and sets it");
        return None;
    };
    let folder = Path::new(&folder).join(name);
    assert!(folder.exists(), "{} is missing: .ci/run installs it", folder.display());
    Some(folder)
}

/// Lets an agent echo, with a press of its button.
fn echoes(variable: (&str, &Path), agent: &[&str], answer: &str) {
    let connector =
        EmbeddedConnector::start(ConnectorConfig::default().gateway("gw-1", "SECRET"), "127.0.0.1:0")
            .unwrap();
    let mut command = command(&connector.url(), "tokio", &[]);
    command.env(variable.0, variable.1).args(["--acp", "--"]).args(agent);
    let mut acp = Acp { program: Program::start(command), connector, messages: 0 };
    acp.sees(|saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
    acp.say("hello");
    acp.actions_until(|action| action["op"] == "prompt");
    acp.press("Go", "u1");
    assert_eq!(acp.last_text(), answer);
}

#[test]
fn an_agent_on_the_python_sdk_works() {
    let Some(folder) = sdk("python") else { return };
    let agent = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agents/echo.py");
    echoes(("PYTHONPATH", &folder), &["python3", agent], "python: hello (selected)");
}

#[test]
fn an_agent_on_the_typescript_sdk_works() {
    let Some(folder) = sdk("node") else { return };
    // Modules are searched beside the script.
    let script = folder.join("echo.mjs");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agents/echo.mjs"), &script).unwrap();
    echoes(("UNUSED", &folder), &["node", script.to_str().unwrap()], "node: hello (selected)");
}
