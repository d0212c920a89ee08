//! The steps of `run` before the dial, and the commands that perform them (H-3, H-4, H-5), over real sockets.

use crate::support::http::{Answer, Request, Server, answer};
use crate::support::{Program, SOON, relayline};
use relayline_connector::{ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::secret::Secret;
use relayline_core::token;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

on_one_runtime! {
    h_4_h_5_a_gateway_is_provisioned_and_served h_4_a_second_start_is_provisioned_anew,
    h_4_known_already_without_a_secret_is_an_error h_4_h_5_nothing_that_fails_stops_the_boot,
    h_4_h_5_by_hand_each_identity_has_its_line h_9_a_relay_that_is_off_is_not_dialled,
}

/// H-4, H-5: with the embedded connector, an access token is enough for an authenticated hello.
fn h_4_h_5_a_gateway_is_provisioned_and_served(runtime: &str) {
    let config = ConnectorConfig::default().identity("acc3ss", "acme");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relayline.toml");
    let text = "access-token = \"acc3ss\"\n[[identity]]\nplatform = \"discord\"\nbot-id = 1\n[[identity]]\n\
                platform = \"slack\"\nbot-id = \"B1\"\n[[policy]]\nplatform = \"slack\"\nallow-other-bots = true\n";
    std::fs::write(&file, text).unwrap();
    let mut command = relayline(["run", "-vv", "--runtime", runtime, "--gateway-id", "gw-1", "--config"]);
    command.arg(&file).env("GATEWAY_RELAY_URL", connector.url()).env("RUST_LOG", "trace");
    let mut program = Program::start(command);
    let mut asked = Vec::new();
    let dial = connector.wait_for(
        |saw| {
            if let Observation::Http { path, status, .. } = saw {
                asked.push(format!("{path} {}", status.unwrap_or_default()));
            }
            matches!(saw, Observation::Dial { .. })
        },
        SOON,
    );
    let Observation::Dial { gateway, authenticated, .. } = dial.unwrap() else { panic!("a dial") };
    assert_eq!((gateway.as_str(), authenticated), ("gw-1", true));
    assert_eq!(asked, ["/relay/provision 200", "/relay/provision 200", "/relay/policy 200"]);
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["platform"] == "slack");
    connector.wait_for(hello, SOON).unwrap();
    program.close_stdin();
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for event in [
        "provisioned platform=\"discord\"",
        "provisioned platform=\"slack\"",
        "policy_taken platform=\"slack\"",
    ] {
        assert!(ended.stderr.contains(event), "{event}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("acc3ss"), "C-4: {}", ended.stderr);
}

/// H-4: the connector issues new credentials, so a gateway that has lost its secret connects.
fn h_4_a_second_start_is_provisioned_anew(runtime: &str) {
    let config = ConnectorConfig::default().identity("acc3ss", "acme");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    for start in 1..=2 {
        let mut command = relayline(["run", "--runtime", runtime, "--gateway-id", "gw-1"]);
        command.args(["--identity", "discord:1", "--identity", "slack:B1", "--url", &connector.url()]);
        command.env("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss");
        let mut program = Program::start(command);
        let hello = |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["platform"] == "slack");
        connector.wait_for(hello, SOON).unwrap_or_else(|missed| panic!("start {start}: {missed}"));
        program.close_stdin();
        let ended = program.ended();
        assert_eq!(ended.code, Some(0), "start {start}: {}", ended.stderr);
    }
}

/// H-4: every dial would be refused, so the program prints advice and does not dial.
fn h_4_known_already_without_a_secret_is_an_error(runtime: &str) {
    let stubborn = |request: &Request| match request.path() {
        "/relay/provision" if request.body.contains("slack") => answer(500, ""),
        "/relay/provision" => answer(200, r#"{"secretIssued":false,"gatewayId":"gw-1"}"#),
        _ => answer(503, ""),
    };
    for words in [&["run"][..], &["provision"], &["policy", "--policy", r#"{"allowOtherBots":true}"#]] {
        let server = Server::start(stubborn);
        let mut command = relayline(words.iter().copied());
        command.args(["--runtime", runtime, "--identity", "discord:1", "--identity", "slack:B1"]);
        command.args(["--gateway-id", "gw-1", "--url", &server.url()]);
        command.env("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss");
        let ended = Program::start(command).ended();
        assert_eq!(ended.code, Some(1), "{words:?}: {}", ended.stderr);
        let last = ended.stderr.lines().last().unwrap_or_default();
        let host = server.url().replace("http://", "");
        let (said, rest) = last.split_once(" knows the gateway ").expect(last);
        assert_eq!(said, format!("relayline: {host}"));
        assert_eq!(
            rest,
            "\"gw-1\" already and has issued no new secret, and none is set: set \
             GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET (or --gateway-id and --secret-file) to the ones that were issued \
             to it, have the connector rotate its secret, enroll it again, or choose another id with --gateway-id",
            "{words:?}"
        );
        let asked: Vec<_> = server.seen.try_iter().map(|request| request.path().to_owned()).collect();
        assert_eq!(asked, ["/relay/provision"; 2], "{words:?}: nothing is dialled");
    }
}

const SECRET: &str = "1ssued-secret";
const ISSUED: &str = r#"{"secret":"1ssued-secret","deliveryKey":"d3livery"}"#;

/// A connector that issues a secret for slack, refuses discord, accepts no policy, and admits nobody.
fn moody(request: &Request) -> Answer {
    match request.path() {
        "/relay/provision" if request.body.contains("slack") => answer(200, ISSUED),
        "/relay/provision" => answer(500, r#"{"error":"out of order"}"#),
        "/token" => answer(200, r#"{"access_token":"acc3ss"}"#),
        "/relay/policy" => answer(404, ""),
        _ => answer(503, ""),
    }
}

/// Returns the kind of a request's token: signed with the `issued` or the `pinned` secret, the `access` token, any
/// `other` token, or `nobody` if there is none.
fn bearer(request: &Request) -> &'static str {
    let Some(token) = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "))
    else {
        return "nobody";
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let issued_to = |secret: &str| token::verify(token, &[Secret::from(secret)], now).is_some();
    match () {
        () if issued_to(SECRET) => "issued",
        () if issued_to("pinned") => "pinned",
        () if token == "acc3ss" => "access",
        () => "other",
    }
}

fn h_4_h_5_nothing_that_fails_stops_the_boot(runtime: &str) {
    let token = ("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss");
    let id = ("GATEWAY_RELAY_ID", "gw-1");
    let secret = ("GATEWAY_RELAY_SECRET", "pinned");
    let policy = ("GATEWAY_RELAY_POLICY", r#"{"platform":"slack","allowOtherBots":true}"#);
    let command = ("GATEWAY_RELAY_ACCESS_TOKEN_COMMAND", "exit 1");
    let client = [("GATEWAY_RELAY_IDP_CLIENT_ID", "me"), ("GATEWAY_RELAY_IDP_CLIENT_SECRET", "acc3ss")];
    let full = "provision access, provision access, policy issued, dial issued";
    for (environment, flags, expected, logged) in [
        // The failure of one platform stops neither the other nor the dial. The failure of a policy stops nothing.
        (&[id, token, policy][..], &[][..], full, &["provisioning discord", "the policy for slack"][..]),
        (&[token], &[], "provision access, provision access, dial issued", &["provisioning discord"]),
        (&client, &[], "token nobody, provision access, provision access, dial issued", &["access_token"]),
        // A configured secret is respected, whatever is requested.
        (
            &[id, secret, token, policy],
            &["--provision", "always"],
            "policy pinned, dial pinned",
            &["the policy for slack"],
        ),
        (&[id, secret], &[], "dial pinned", &[]),
        (&[token, policy], &["--provision", "never"], "dial nobody", &[]),
        // Without an access token nothing can be requested, and this is reported.
        (
            &[id, command, policy],
            &[],
            "dial nobody",
            &["the access token command: it ended with exit status: 1", "policy_unsent"],
        ),
        (&[id, ("HERMES_MANAGED", "true")], &[], "dial nobody", &["there is no access token"]),
        (&[], &[], "dial nobody", &[]),
    ] {
        let server = Server::start(moody);
        let mut command =
            relayline(["run", "--identity", "discord:1", "--identity", "slack:B1", "--runtime", runtime]);
        command.args(flags).env("GATEWAY_RELAY_URL", server.url()).envs(environment.iter().copied());
        if environment == client {
            command.env("GATEWAY_RELAY_IDP_TOKEN_URL", format!("{}/token", server.url()));
        }
        let mut program = Program::start(command);
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|last: &String| last.starts_with("dial")) {
            let request = server.seen.recv_timeout(SOON).unwrap();
            let what = match request.path() {
                "/relay" => "dial",
                path => path.rsplit('/').next().unwrap(),
            };
            seen.push(format!("{what} {}", bearer(&request)));
        }
        assert_eq!(seen.join(", "), expected, "{environment:?} {flags:?}");
        program.close_stdin();
        let ended = program.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for logged in logged {
            assert!(ended.stderr.contains(logged), "{logged}: {}", ended.stderr);
        }
        for secret in [SECRET, "acc3ss", "pinned", "d3livery"] {
            assert!(!ended.stderr.contains(secret), "C-4: {}", ended.stderr);
        }
    }
}

/// H-9: nothing is requested of a relay that is switched off, and the program succeeds.
fn h_9_a_relay_that_is_off_is_not_dialled(runtime: &str) {
    let server = Server::start(moody);
    for words in [&["run"][..], &["provision"], &["policy"]] {
        let mut command = relayline(words);
        command.args(["--runtime", runtime, "--url", &server.url()]).env("GATEWAY_RELAY_ENABLED", "false");
        command.env("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss");
        let ended = Program::start(command).ended();
        let expected = "relayline: GATEWAY_RELAY_ENABLED switches the relay off: set it to true, or leave it out, to \
                        use the relay\n";
        assert_eq!((ended.code, ended.stderr.as_str(), ended.stdout.as_str()), (Some(0), expected, ""));
    }
    assert_eq!(server.came().len(), 0);
}

fn h_4_h_5_by_hand_each_identity_has_its_line(runtime: &str) {
    let server = Server::start(moody);
    let host = server.address.to_string();
    let by_hand = |words: &[&str], environment: &[(&str, &str)]| -> Command {
        let mut command = relayline(words);
        command.args(["--url", &server.url(), "--runtime", runtime]).envs(environment.iter().copied());
        command
    };
    let token = ("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss");
    let pinned = [("GATEWAY_RELAY_ID", "gw-1"), ("GATEWAY_RELAY_SECRET", "pinned")];
    let open = ["--policy", r#"{"allowOtherBots":true}"#];
    let two = ["--identity", "discord:1", "--identity", "slack"];
    for (command, code, stdout) in [
        (
            by_hand(&[&["provision"][..], &two].concat(), &[token]),
            1,
            format!("provisioning discord: failed: {host} answered with status 500: out of order\nprovisioning slack: done, secret <hidden>\n"),
        ),
        (by_hand(&["provision", "--platform", "slack"], &[token]), 0, "provisioning slack: done, secret <hidden>\n".into()),
        (
            by_hand(&["provision", "--platform", "slack"], &[]),
            1,
            "provisioning: failed: there is no access token: give --access-token-command or --access-token-file, or set \
             GATEWAY_RELAY_ACCESS_TOKEN or GATEWAY_RELAY_IDP_TOKEN_URL\n"
                .into(),
        ),
        (
            by_hand(&["provision"], &pinned),
            0,
            "nothing to provision: an id and a secret are set; unset them to request new ones\n".into(),
        ),
        (
            by_hand(&[&["policy", "--platform", "slack"][..], &open].concat(), &pinned),
            1,
            format!("the policy for slack: failed: {host} answered with status 404\n"),
        ),
        (
            by_hand(&[&["policy", "--platform", "slack"][..], &open].concat(), &[token]),
            1,
            format!("provisioning slack: done, secret <hidden>\nthe policy for slack: failed: {host} answered with status 404\n"),
        ),
        (
            by_hand(&[&["policy", "--platform", "discord"][..], &open].concat(), &[token]),
            1,
            format!("provisioning discord: failed: {host} answered with status 500: out of order\nthe policy for discord: not sent, since there are no credentials\n"),
        ),
        (by_hand(&["policy"], &pinned), 2, String::new()),
        (by_hand(&[&["policy"][..], &open].concat(), &[]), 2, String::new()),
    ] {
        let shown = format!("{command:?}");
        let ended = Program::start(command).ended();
        assert_eq!((ended.code, ended.stdout), (Some(code), stdout), "{shown}: {}", ended.stderr);
    }

    // The same with an accepted policy.
    let config = ConnectorConfig::default().gateway("gw-1", "pinned");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let mut command =
        relayline(["policy", "--platform", "slack", "--runtime", runtime, "--url", &connector.url()]);
    command.args(open).envs(pinned);
    let ended = Program::start(command).ended();
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "the policy for slack: accepted\n"),
        "{}",
        ended.stderr
    );
}
