//! The output of `enroll`, `provision`, `policy`, `doctor`, `token`, `verify` and `demo`.

use super::armed::{
    FORMATS, armed, echoing, generous, keyed, refused, server, swept, token_command, without,
};
use super::known::{ACCESS, ENROLLMENT, FILE_SECRET, ID, ISSUED_SECRET, SECRET, leak};
use crate::support::Program;
use crate::support::http::{Answer, Request};
use relayline_connector::{ConnectorConfig, EmbeddedConnector};
use relayline_core::token;
use std::process::Command;

on_one_runtime! {
    c_4_an_enrolment_prints_no_secret c_4_commands_run_by_hand_print_no_secret,
    c_4_the_demo_prints_no_secret,
}

/// Answers of a server.
type Answers = Box<dyn Fn(&Request) -> Answer + Send>;

/// Sets the source of the access token on a command.
type Source = fn(&mut Command, &str);

const SOURCES: [Source; 4] = [
    |_, _| {},
    |command, _| {
        without(command, &["ACCESS_TOKEN", "ENROLL_TOKEN"]);
        command.args(["--access-token", ACCESS, "--token", ENROLLMENT]);
    },
    |command, _| {
        without(command, &["ACCESS_TOKEN", "ACCESS_TOKEN_COMMAND"]);
        command.args(["--access-token-command", &token_command()]);
    },
    |command, url| {
        without(command, &["ACCESS_TOKEN", "ACCESS_TOKEN_COMMAND"]);
        command.env("GATEWAY_RELAY_IDP_TOKEN_URL", format!("{url}/token"));
    },
];

fn c_4_an_enrolment_prints_no_secret(runtime: &str) {
    let answers: [(Answers, i32); 4] = [
        (Box::new(generous), 0),
        (Box::new(echoing(401)), 1),
        (Box::new(echoing(403)), 1),
        (Box::new(echoing(302)), 1),
    ];
    for (at, (answers, code)) in answers.into_iter().enumerate() {
        let server = server(answers);
        for source in SOURCES {
            let folder = tempfile::tempdir().unwrap();
            let env_file = folder.path().join("env");
            let url = server.url();
            let mut command =
                armed(&["enroll", "--runtime", runtime, "--connector-url", &keyed(&url)], FORMATS[at % 2]);
            command.arg("--env-file").arg(&env_file);
            source(&mut command, &url);
            let ended = swept(command, "");
            assert_eq!(ended.code, Some(code), "{ended:?}");
            match code {
                0 => assert!(std::fs::read_to_string(env_file).unwrap().contains(&ISSUED_SECRET[..9])),
                _ => assert!(ended.stderr.contains("relayline: "), "{ended:?}"),
            }
        }
    }
}

fn c_4_commands_run_by_hand_print_no_secret(runtime: &str) {
    let policy = ["--policy", r#"{"allowOtherBots":true}"#];
    let (issuing, refusing, moved, nobody) =
        (server(generous), server(echoing(401)), server(echoing(307)), refused());
    let known = ConnectorConfig::default().gateway(ID, SECRET).identity(ACCESS, "default");
    let connector = EmbeddedConnector::start(known, "127.0.0.1:0").unwrap();
    let plain = |address: &str| format!("ws://{address}");
    let unknown: &[&str] = &["SECRET"];
    for (url, words, left_out, code, says) in [
        // The next command replaces the secret that this one dials with (H-4).
        (connector.url(), &["doctor"][..], &[][..], 0, "ok   handshake"),
        (connector.url(), &["provision"], unknown, 0, "provisioning slack: done"),
        (connector.url(), &["provision", "--gateway-id", "gw-new"], unknown, 0, "provisioning slack: done"),
        (issuing.url(), &["provision"], unknown, 0, "done, secret <hidden>"),
        (issuing.url(), &["policy"], unknown, 0, "accepted"),
        (refusing.url(), &["provision"], unknown, 1, "401: no: Bearer <hidden>"),
        (moved.url(), &["provision"], unknown, 1, "redirect"),
        (plain(&nobody), &["provision"], unknown, 1, "no connection"),
        // Without a secret of its own, from a provider that is reached through the environment's proxy.
        (issuing.url(), &["provision"], &["SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_COMMAND"], 1, "the proxy"),
        (refusing.url(), &["policy"], &[], 1, "401: no: Bearer <hidden>"),
        (moved.url(), &["policy"], &[], 1, "redirect"),
        (refusing.url(), &["doctor"], &[], 1, "refused (401)"),
        (moved.url(), &["doctor"], &[], 1, "redirect"),
        (plain(&nobody), &["doctor"], &[], 1, "fail tcp"),
        (format!("wss://{}", refusing.address), &["doctor"], &[], 1, "fail tls"),
        ("wss://c.example".to_owned(), &["doctor"], &[], 1, "(the proxy)"),
    ] {
        for format in FORMATS {
            let mut command = armed(words, format);
            command.args(["--runtime", runtime, "--platform", "slack", "--url", &keyed(&url)]);
            if words == ["policy"] {
                command.args(policy);
            }
            without(&mut command, left_out);
            let ended = swept(command, "");
            assert_eq!(ended.code, Some(code), "{words:?} {url}: {ended:?}");
            assert!(ended.stdout.contains(says), "{words:?} {url}: {ended:?}");
        }
    }
}

/// The demo's secrets are unknown to the test. But each secret and key has 64 digits, and each token a known beginning.
fn c_4_the_demo_prints_no_secret(runtime: &str) {
    let beginning = data_encoding::BASE64URL.encode(b"gw-demo:1");
    for format in FORMATS {
        let ended = swept(armed(&["demo", "--runtime", runtime], format), "");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("dial"), "its gateway logs, too: {}", ended.stderr);
        assert!(!ended.stderr.contains(&beginning[..11]) && !ended.stdout.contains(&beginning[..11]));
    }
}

/// `token` prints a token on stdout, as intended. Nothing else of it or of `verify` shows a token.
#[test]
fn c_4_tokens_are_shown_on_stdout_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, FILE_SECRET).unwrap();
    let minted = |secret: &str| token::mint(ID, &secret.into(), 1000, 300).expose().to_owned();
    let file = file.to_str().unwrap();
    for format in FORMATS {
        for (words, secret) in [(&["token"][..], SECRET), (&["token", "--secret-file", file], FILE_SECRET)] {
            let mut command = armed(words, format);
            command.args(["--at", "1000"]);
            let ended = Program::start(command).ended();
            assert_eq!((ended.code, ended.stdout.trim()), (Some(0), minted(secret).as_str()));
            assert_eq!(leak(&ended.stderr), None);
        }
        for (words, stdin, code) in [
            (&["verify", "--at", "1000"][..], minted(SECRET), 0),
            (&["verify", "--at", "9999"], minted(SECRET), 1),
            (&["verify", "--at", "1000"], minted(FILE_SECRET), 1),
            (&["verify", "--at", "1000", "--secret-file", file], minted(FILE_SECRET), 0),
            (&["verify", "--at", "1000"], SECRET.to_owned(), 1),
            (&["verify", "--signature", "00", "--timestamp", "1000"], SECRET.to_owned(), 1),
        ] {
            let mut program = Program::start(armed(words, format));
            program.write(stdin.as_bytes());
            program.close_stdin();
            let ended = program.ended();
            assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
            assert_eq!(leak(&format!("{}{}", ended.stdout, ended.stderr)), None, "{words:?}");
        }
    }
}
