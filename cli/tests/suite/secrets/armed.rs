//! Commands with every secret in their environment, and servers for them.

use super::known::{
    ACCESS, CLIENT_SECRET, COMMAND_PASSWORD, DELIVERY_KEY, ENROLLMENT, FROM_IDP, ID, ISSUED_KEY,
    ISSUED_SECRET, OLD_DELIVERY_KEY, PRINTED, PROXY_PASSWORD, QUERY_KEY, SECRET, is_clean,
};
use crate::support::http::{Answer, Request, Server, answer, answer_with};
use crate::support::{Ended, Program, relayline};
use serde_json::json;
use std::net::TcpListener;
use std::process::Command;

pub(crate) const FORMATS: [&str; 2] = ["text", "json"];

/// Returns the command that prints an access token. It contains a password.
pub(crate) fn token_command() -> String {
    format!("echo '{PRINTED}'; : {COMMAND_PASSWORD}")
}

/// Returns the URL of a proxy that is not there.
pub(crate) fn proxy() -> String {
    let password = PROXY_PASSWORD.replace('/', "%2F").replace('"', "%22");
    format!("http://proxy-user:{password}@{}", refused())
}

/// Returns an address on which nobody listens.
pub(crate) fn refused() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Returns `relayline` with these arguments, at trace level, with every secret in its environment.
pub(crate) fn armed(words: &[&str], format: &str) -> Command {
    let mut command = relayline(words);
    command.args(["-vvv", "--log-format", format]).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    for (name, value) in [
        ("ID", ID),
        ("SECRET", SECRET),
        ("DELIVERY_KEY", &format!("{DELIVERY_KEY},{OLD_DELIVERY_KEY}")),
        ("ENROLL_TOKEN", ENROLLMENT),
        ("ACCESS_TOKEN", ACCESS),
        ("ACCESS_TOKEN_COMMAND", &token_command()),
        ("IDP_CLIENT_ID", "the-client"),
        ("IDP_CLIENT_SECRET", CLIENT_SECRET),
        ("IDP_TOKEN_URL", "https://idp.example/token"),
    ] {
        command.env(format!("GATEWAY_RELAY_{name}"), value);
    }
    for name in ["HTTPS_PROXY", "ALL_PROXY", "http_proxy"] {
        command.env(name, proxy());
    }
    command
}

/// Returns a connector's URL with a key in its query.
pub(crate) fn keyed(url: &str) -> String {
    format!("{url}?key={QUERY_KEY}")
}

/// Removes variables of the gateway from a command.
pub(crate) fn without(command: &mut Command, names: &[&str]) {
    for name in names {
        command.env_remove(format!("GATEWAY_RELAY_{name}"));
    }
}

/// Runs a command to its end, and checks all of its output. Its input is closed once its output contains these words.
#[track_caller]
pub(crate) fn swept(mut command: Command, until: &str) -> Ended {
    command.env("RUST_BACKTRACE", "full");
    let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let mut program = Program::start(command);
    let mut stdout = String::new();
    while !until.is_empty() && !stdout.contains(until) {
        let line = program
            .line()
            .unwrap_or_else(|| panic!("{shown} ended without {until:?}:\n{stdout}{}", program.log()));
        stdout += &line;
        stdout.push('\n');
    }
    program.close_stdin();
    let mut ended = program.ended();
    ended.stdout.insert_str(0, &stdout);
    is_clean(&format!("{shown}, stderr"), &ended.stderr);
    is_clean(&format!("{shown}, stdout"), &ended.stdout);
    ended
}

/// A server that issues credentials and tokens.
pub(crate) fn generous(request: &Request) -> Answer {
    match request.path() {
        "/relay/provision" | "/relay/enroll" => {
            let issued = json!({ "secret": ISSUED_SECRET, "deliveryKey": ISSUED_KEY, "gatewayId": ID });
            answer(200, issued.to_string())
        }
        "/relay/policy" => answer(200, "{}"),
        "/token" => answer(200, json!({ "access_token": FROM_IDP }).to_string()),
        _ => echoing(401)(request),
    }
}

/// A server that refuses, and repeats everything that it received where possible.
pub(crate) fn echoing(status: u16) -> impl Fn(&Request) -> Answer + Clone + Send + 'static {
    move |request| {
        let sent: Vec<&str> = request.headers.iter().map(|(_, value)| value.as_str()).collect();
        let token = request.header("authorization").unwrap_or_default();
        // The body as received, and without its JSON escapes.
        let body = &request.body;
        let all = format!("{token} {body} {} {}", body.replace('\\', ""), sent.join(" "));
        let echo = json!({ "error": format!("no: {all}"), "error_description": all }).to_string();
        let headers = format!("X-Echo: {token}\r\nLocation: https://elsewhere.example/{token}\r\n");
        answer_with(status, &headers, echo)
    }
}

pub(crate) fn server(answers: impl Fn(&Request) -> Answer + Send + 'static) -> Server {
    Server::start(answers)
}
