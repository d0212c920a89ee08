//! `relayline connector`: it knows the secrets of all gateways, and prints their requests.

use super::armed::{FORMATS, armed, without};
use super::known::{
    ACCESS, DELIVERY_KEY, ENROLLMENT, FILE_SECRET, ID, ISSUED_KEY, ISSUED_SECRET, OLD_DELIVERY_KEY, SECRET,
    TOML_SECRET, is_clean,
};
use crate::support::{Program, relayline};
use serde_json::{Value, json};
use std::process::Command;

fn connector(format: &str) -> Command {
    let mut command = armed(&["connector"], format);
    for (flag, value) in [
        ("--gateway", format!("{ID}={SECRET}")),
        ("--delivery-key", format!("{ID}={DELIVERY_KEY}")),
        ("--enroll-token", format!("{ENROLLMENT}=acme")),
        ("--access-token", format!("{ACCESS}=acme")),
    ] {
        command.args([flag, &value]);
    }
    command
}

#[test]
fn c_4_the_connector_prints_no_secret() {
    for format in FORMATS {
        let mut program = Program::start(connector(format));
        let first: Value = serde_json::from_str(&program.line().unwrap()).unwrap();
        let url = first["url"].as_str().unwrap().to_owned();
        for line in [
            json!({ "do": "enroll_token", "token": TOML_SECRET, "tenant": "acme" }),
            json!({ "do": "rotate", "gateway": ID, "secret": ISSUED_SECRET, "delivery_key": ISSUED_KEY }),
            // The errors name the problem, and do not quote the value.
            json!({ "do": "rotate", "gateway": ID, "secret": [ISSUED_SECRET] }),
            json!({ "do": "rotate", "gateway": ID, "secret": "", "delivery_key": OLD_DELIVERY_KEY }),
            json!({ "do": "enroll_token", "token": { "is": FILE_SECRET } }),
            json!({ "do": "deliver", "gateway": ID, "key": [OLD_DELIVERY_KEY], "interrupt": {} }),
        ] {
            program.write(format!("{line}\n").as_bytes());
        }
        program.write(format!("{{\"do\":\"rotate\",\"secret\":\"{FILE_SECRET}\n").as_bytes());
        let said = program.logged("line 7: ");
        assert!(!said.is_empty());
        let stdout = ask(&mut program, &url);
        let log = program.log();
        for number in 3..=7 {
            assert!(log.contains(&format!("line {number}: ")), "{number}: {log}");
        }
        program.terminate();
        is_clean("the connector's stdout", &stdout);
        is_clean("the connector's stderr", &log);
    }
}

/// Makes every request that a gateway can make. The connector prints observations of them.
fn ask(program: &mut Program, url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut enroll = armed(&["enroll", "--connector-url", url, "--gateway-id", "gw-new"], "text");
    enroll.arg("--env-file").arg(folder.path().join("env"));
    let provision = |gateway: &str| {
        let mut provision = armed(&["provision", "--platform", "slack", "--url", url], "text");
        without(&mut provision, &["SECRET"]);
        provision.args(["--gateway-id", gateway]);
        provision
    };
    let mut policy = armed(&["policy", "--url", url, "--policy", r#"{"allowOtherBots":true}"#], "text");
    policy.env("GATEWAY_RELAY_SECRET", ISSUED_SECRET);
    let mut wrong = relayline(["doctor", "--url", url, "--gateway-id", ID]);
    wrong.env("GATEWAY_RELAY_SECRET", FILE_SECRET);
    let mut right = relayline(["doctor", "--url", url, "--gateway-id", ID]);
    right.env("GATEWAY_RELAY_SECRET", ISSUED_SECRET);
    for (command, code) in [(enroll, 0), (provision("gw-other"), 0), (policy, 0), (wrong, 1), (right, 0)] {
        let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let ended = Program::start(command).ended();
        assert_eq!(ended.code, Some(code), "{shown}: {ended:?}");
    }
    let mut stdout = String::new();
    while !stdout.contains("\"saw\":\"closed\"") {
        stdout += &program.line().unwrap();
        stdout.push('\n');
    }
    for path in ["/relay/enroll", "/relay/provision", "/relay/policy"] {
        assert!(stdout.contains(path), "{path}: {stdout}");
    }
    assert!(stdout.contains("<hidden>"), "{stdout}");
    stdout
}

/// A value that is given to the wrong flag may be a secret, too.
#[test]
fn c_4_a_wrong_flag_of_the_connector_is_not_repeated() {
    for (flag, value) in [
        ("--gateway", SECRET.to_owned()),
        ("--gateway", format!("={SECRET}")),
        ("--delivery-key", format!("{DELIVERY_KEY}=x")),
        ("--enroll-token", format!("{ENROLLMENT}= ")),
        ("--access-token", format!("={ACCESS}")),
    ] {
        let mut command = armed(&["connector"], "text");
        command.arg(flag).arg(value);
        let ended = Program::start(command).ended();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{flag}: {ended:?}");
        assert!(ended.stderr.contains(flag), "{ended:?}");
        is_clean(flag, &ended.stderr);
    }
}
