//! No exchange sends its credentials after a redirect, or unencrypted to another machine.

use super::armed::{armed, swept, without};
use super::known::{ID, SECRET};
use crate::support::http::{Request, Server, answer, answer_with};
use relayline_core::secret::Secret;
use relayline_core::token;
use std::process::Command;

on_one_runtime! {
    c_4_h_no_exchange_follows_a_redirect,
}

/// Name of an exchange, its arguments, and the variables to remove.
type Exchange = (&'static str, &'static [&'static str], &'static [&'static str]);

const EXCHANGES: [Exchange; 6] = [
    ("/relay/enroll", &["enroll"], &[]),
    ("/token", &["provision"], &["SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_COMMAND"]),
    ("/relay/provision", &["provision"], &["SECRET"]),
    ("/relay/policy", &["policy", "--policy", r#"{"allowOtherBots":true}"#], &[]),
    ("/relay", &["doctor"], &[]),
    ("/relay", &["run", "--set", "backoff_first=10s"], &[]),
];

fn command((_, words, left_out): Exchange, url: &str) -> Command {
    let mut command = armed(words, "text");
    let flag = if words[0] == "enroll" { "--connector-url" } else { "--url" };
    command.args([flag, url]);
    without(&mut command, left_out);
    command
}

/// Asserts that the request carried the exchange's credentials: otherwise the test would prove nothing.
fn is_authorized(request: &Request) -> bool {
    let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    let minted = |token| token::verify(token, &[Secret::from(SECRET)], 0).as_deref() == Some(ID);
    bearer.is_some_and(|token| minted(token) || token.starts_with('a'))
        || request.body.contains("client_secret=")
}

fn c_4_h_no_exchange_follows_a_redirect(runtime: &str) {
    for exchange in EXCHANGES {
        for status in [301, 302, 303, 307, 308] {
            let elsewhere = Server::start(|_| answer(200, "{}"));
            let location = format!("Location: {}{}\r\n", elsewhere.url(), exchange.0);
            let server = Server::start(move |_| answer_with(status, &location, ""));
            let folder = tempfile::tempdir().unwrap();
            let mut command = command(exchange, &server.url());
            command.args(["--runtime", runtime]);
            command.env("GATEWAY_RELAY_IDP_TOKEN_URL", format!("{}/token", server.url()));
            if exchange.1[0] == "enroll" {
                command.arg("--env-file").arg(folder.path().join("env"));
            }
            let until = if exchange.1[0] == "run" { "\"disconnected\"" } else { "" };
            let ended = swept(command, until);
            let came = server.came();
            assert!(
                came.iter().any(|request| request.path() == exchange.0 && is_authorized(request)),
                "{came:?}"
            );
            assert_eq!(elsewhere.came().len(), 0, "{exchange:?} {status}: {ended:?}");
        }
    }
}

/// C-6: not even a name is looked up.
#[test]
fn c_6_no_exchange_is_unencrypted_to_another_machine() {
    for exchange in EXCHANGES {
        let mut command = command(exchange, "http://c.example");
        if exchange.0 == "/token" {
            command = self::command(exchange, "https://c.example");
            command.env("GATEWAY_RELAY_IDP_TOKEN_URL", "http://idp.example/token");
        }
        let ended = swept(command, "");
        assert_eq!(ended.code, Some(2), "{exchange:?}: {ended:?}");
        let said = ended.stdout + &ended.stderr;
        assert!(said.contains("--allow-insecure"), "{exchange:?}: {said}");
    }
}
