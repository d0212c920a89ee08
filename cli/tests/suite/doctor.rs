//! The output of `doctor`, with a reachable connector and with every fault before that.

use crate::support::http::{Answer, Request, Server, answer, answer_with};
use crate::support::{Ended, Program, relayline};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, UpgradeRefusal};
use std::net::TcpListener;

on_one_runtime! {
    a_step_that_waits_prints_its_time_out doctor_takes_every_flag_of_run,
    h_4_a_healthy_connector l_1_c_1_each_failed_step_has_advice,
}

const ID: (&str, &str) = ("GATEWAY_RELAY_ID", "gw-1");
const SECRET: (&str, &str) = ("GATEWAY_RELAY_SECRET", "s3cret");

fn doctor(runtime: &str, url: &str, environment: &[(&str, &str)]) -> Ended {
    let mut command =
        relayline(["doctor", "--runtime", runtime, "--url", url, "--set", "handshake_timeout=1s"]);
    if !environment.iter().any(|(name, _)| name.starts_with("GATEWAY_RELAY_PLATFORM")) {
        command.args(["--platform", "discord"]);
    }
    command.envs(environment.iter().copied());
    let ended = Program::start(command).ended();
    assert!(!ended.stdout.contains("s3cret") && !ended.stderr.contains("s3cret"), "C-4: {ended:?}");
    ended
}

/// Returns the verdict and the step of each line, except lines that announce a wait.
fn steps(ended: &Ended) -> String {
    let step = |line: &str| line.split(':').next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = ended.stdout.lines().filter(|line| !line.starts_with("wait "));
    lines.map(step).collect::<Vec<_>>().join(", ")
}

fn h_4_a_healthy_connector(runtime: &str) {
    let known = ConnectorConfig::default().gateway("gw-1", "s3cret");
    let provisioning = ConnectorConfig::default().identity("acc3ss", "acme");
    let token = ("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss");
    let reached = "ok settings, ok dns, ok tcp";
    let over_http = known.clone().upgrade_refusal(UpgradeRefusal::Http);
    for (config, environment, code, expected) in [
        (known.clone(), &[ID, SECRET][..], 0, "ok tls, ok upgrade, ok clock, ok credentials, ok handshake"),
        (ConnectorConfig::default(), &[], 0, "ok tls, ok upgrade, ok clock, warn credentials, ok handshake"),
        (
            provisioning,
            &[token],
            0,
            "ok provisioning, ok tls, ok upgrade, ok clock, ok credentials, ok handshake",
        ),
        (
            known.clone(),
            &[ID, ("GATEWAY_RELAY_SECRET", "wrong")],
            1,
            "ok tls, ok upgrade, ok clock, fail credentials",
        ),
        (known, &[], 1, "ok tls, ok upgrade, ok clock, fail credentials"),
        (
            over_http.clone(),
            &[ID, ("GATEWAY_RELAY_SECRET", "wrong")],
            1,
            "ok tls, ok upgrade, ok clock, fail credentials",
        ),
        (over_http, &[], 1, "ok tls, ok upgrade, ok clock, fail credentials"),
    ] {
        let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
        let ended = doctor(runtime, &connector.url(), environment);
        assert_eq!(steps(&ended), format!("{reached}, {expected}"), "{ended:?}");
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
    // A connector that admits everybody and then stays silent.
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    connector.control(Act::Mute { on: true }).unwrap();
    let ended = doctor(runtime, &connector.url(), &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.starts_with("fail handshake: "), "{ended:?}");
}

fn l_1_c_1_each_failed_step_has_advice(runtime: &str) {
    type Answers = fn(&Request) -> Answer;
    const LONG_AGO: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let reached = "ok settings, ok dns, ok tcp";
    let cases: [(Answers, &str, &str); 9] = [
        (
            |_| answer(404, ""),
            "ok tls, fail upgrade",
            "404: not the answer of a connector: check the URL's host, port and path",
        ),
        (
            |_| answer_with(302, "Location: https://x.example\r\n", ""),
            "ok tls, fail upgrade",
            "302: a redirect, which is not followed",
        ),
        (
            |_| answer(503, ""),
            "ok tls, fail upgrade",
            "503: the connector or a proxy before it is unavailable: try again",
        ),
        (
            |_| answer_with(401, LONG_AGO, r#"{"error":"unauthorized"}"#),
            "ok tls, ok upgrade, fail clock, fail credentials",
            "refused (401): check the gateway's id and secret, and enroll again if they were revoked (the connector \
             answered 401 Unauthorized: unauthorized)",
        ),
        // L-9: this is not the connector's own verdict.
        (
            |_| answer_with(401, LONG_AGO, ""),
            "ok tls, ok upgrade, fail clock, fail credentials",
            "refused (401), but not by a connector: ask the operator of the proxy",
        ),
        (
            |_| answer_with(401, "WWW-Authenticate: Basic\r\n", r#"{"error":"unauthorized"}"#),
            "ok tls, ok upgrade, warn clock, fail credentials",
            "refused (401), but not by a connector: ask the operator of the proxy",
        ),
        (
            |_| answer(403, "<h1>no</h1>"),
            "ok tls, ok upgrade, warn clock, fail credentials",
            "refused (403), but not by a connector: ask the operator of the proxy or load balancer before it, and check \
             the gateway's id and secret (the answer was 403 Forbidden: <h1>no</h1>)",
        ),
        (
            |_| Answer::Raw(b"SSH-2.0-x\r\n".to_vec()),
            "fail upgrade",
            "could not reach HOST: the upgrade failed: the connection broke (",
        ),
        // It accepts the upgrade and closes the connection.
        (
            |_| answer_with(101, "Connection: Upgrade\r\nUpgrade: websocket\r\n", ""),
            "fail upgrade",
            "could not reach HOST: the upgrade failed: it was answered 101, but without `Sec-WebSocket-Accept`",
        ),
    ];
    for (answers, expected, what) in cases {
        let server = Server::start(answers);
        let ended = doctor(runtime, &server.url(), &[ID, SECRET]);
        assert_eq!(steps(&ended), format!("{reached}, {expected}"), "{ended:?}");
        let last = ended.stdout.lines().last().unwrap().split_once(": ").unwrap().1;
        let what = what.replace("HOST", &server.address.to_string());
        assert!(last.starts_with(&what), "{what}: {ended:?}");
        assert_eq!(ended.code, Some(1), "{ended:?}");
    }

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plain = Server::start(|_| answer(400, ""));
    for (url, environment, code, expected, what) in [
        (
            format!("http://{gone}"),
            &[][..],
            1,
            "ok settings, ok dns, fail tcp",
            "is the connector running, and the port right?",
        ),
        (
            "wss://no-such-host.invalid".into(),
            &[],
            1,
            "ok settings, fail dns",
            "check the URL and the network's DNS",
        ),
        (format!("https://{}", plain.address), &[], 1, "ok settings, ok dns, ok tcp, fail tls", "TLS failed"),
        ("ftp://x".into(), &[], 2, "fail settings", "is not a ws, wss, http or https URL"),
        ("wss://x".into(), &[ID], 2, "fail settings", "there is no secret for it"),
        ("wss://x".into(), &[("GATEWAY_RELAY_ENABLED", "0")], 0, "warn settings", "switches the relay off"),
        (
            "wss://connector.example".into(),
            &[("HTTPS_PROXY", "http://no-such-proxy.invalid:3128")],
            1,
            "ok settings, fail dns",
            "no-such-proxy.invalid (the proxy): ",
        ),
    ] {
        let ended = doctor(runtime, &url, environment);
        assert_eq!((steps(&ended).as_str(), ended.code), (expected, Some(code)), "{ended:?}");
        assert!(ended.stdout.lines().last().unwrap().contains(what), "{what}: {ended:?}");
    }
}

/// Each step that waits is preceded by a line with its time-out.
fn a_step_that_waits_prints_its_time_out(runtime: &str) {
    let config = ConnectorConfig::default().identity("acc3ss", "acme");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let ended = doctor(runtime, &connector.url(), &[("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss")]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    for (step, seconds) in
        [("dns", 15), ("tcp", 15), ("provisioning", 15), ("upgrade", 15), ("handshake", 16)]
    {
        let expected = format!("wait {step}: waiting up to {seconds} s");
        let at = lines.iter().position(|line| *line == expected);
        let at = at.unwrap_or_else(|| panic!("{expected}: {ended:?}"));
        // The result of the step follows.
        assert!(
            lines[at + 1..].iter().any(|line| line.starts_with(&format!("ok   {step}: "))),
            "{step}: {ended:?}"
        );
    }
}

fn doctor_takes_every_flag_of_run(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let url = connector.url();
    let line = |flags: &[&str]| {
        let mut command = relayline(["doctor", "--runtime", runtime, "--url", &url]);
        command.args(flags);
        Program::start(command).ended()
    };
    // The same flags as for `run`: nothing of them is started or opened.
    let run = [
        "--platform",
        "discord",
        "--auto-ack",
        "--passthrough",
        "--slack-subcommand",
        "ask=/ask",
        "--metrics",
        "not-an-address",
        "--exec",
        "./no-such-agent",
        "--its-flag",
    ];
    let ended = line(&run);
    assert_eq!((ended.code, ended.stdout.contains("platform is set")), (Some(0), false), "{ended:?}");
    let ended = line(&[]);
    assert!(ended.stdout.contains("warn settings: no platform is set, "), "{ended:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut quoted = relayline(["doctor", "--runtime", runtime, "--url", &url]);
    quoted.env("GATEWAY_RELAY_PLATFORM", "\"discord\"");
    let ended = Program::start(quoted).ended();
    let warning =
        "warn settings: GATEWAY_RELAY_PLATFORM: the quotes around its value are taken as a part of it";
    assert!(ended.stdout.contains(warning), "{ended:?}");

    // A connector that answers with the descriptor of another platform.
    let irc = serde_json::json!({
        "contract_version": 1, "platform": "irc", "label": "IRC", "markdown_dialect": "plain", "len_unit": "chars",
        "max_message_length": 400, "supports_draft_streaming": false, "supports_edit": false, "supports_threads": false,
    });
    let descriptor = irc.as_object().unwrap().clone();
    connector.control(Act::Descriptor { descriptor, platform: Some("discord".into()) }).unwrap();
    let ended = line(&["--platform", "discord"]);
    let expected = "warn handshake: the descriptor is for \"irc\", and this gateway is configured for discord: check --platform";
    assert!(ended.stdout.contains(expected), "{ended:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
