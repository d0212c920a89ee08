//! The environment of the program's children: the agent of `--exec`, and the access token command.

use super::armed::{armed, generous, server, swept, without};
use super::known::{ID, PROXY_PASSWORD, SECRET, is_clean};
use relayline_connector::{ConnectorConfig, EmbeddedConnector};

#[test]
fn c_4_an_agent_gets_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("environment");
    let config = ConnectorConfig::default().gateway(ID, SECRET);
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let script = format!("env > {}", seen.display());
    let mut command = armed(&["run", "--url", &connector.url()], "text");
    command.args(["--exec", "sh", "-c", &script]);
    let ended = swept(command, "");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    gets_everything_but_secrets(&std::fs::read_to_string(seen).unwrap());
}

#[test]
fn c_4_the_access_token_command_gets_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("environment");
    let server = server(generous);
    let mut command = armed(&["provision", "--platform", "slack", "--url", &server.url()], "text");
    without(&mut command, &["SECRET", "ACCESS_TOKEN"]);
    let script = format!("env > {}; echo t0ken", seen.display());
    command.args(["--access-token-command", &script]);
    let ended = swept(command, "");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    gets_everything_but_secrets(&std::fs::read_to_string(seen).unwrap());
}

#[track_caller]
fn gets_everything_but_secrets(environment: &str) {
    assert!(environment.contains(&format!("GATEWAY_RELAY_ID={ID}\n")), "{environment}");
    // The proxy is kept, without its user.
    assert!(environment.contains("HTTPS_PROXY=http://127.0.0.1:"), "{environment}");
    assert!(
        !environment.contains("proxy-user") && !environment.contains(&PROXY_PASSWORD[..5]),
        "{environment}"
    );
    is_clean("a child's environment", environment);
}
