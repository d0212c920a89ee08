//! `relayline record`: a pass-through between a gateway and a connector that writes what passes as a recording.

use crate::{complain, fail, flags, print};
use clap::Args;
use relayline_control::network::Network;
use relayline_control::settings::{ConfigError, table};
use relayline_control::url::DialUrl;
use relayline_core::secret::Secret;
use relayline_harness::recorder::{
    HTTP_BOUNDS, Recorder, RecorderConfig, RecorderError, RecorderWarning, Redaction, Summary, Upstream,
};
use relayline_runtime::ca_certificates;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Record the sessions of any gateway with any connector: dial this instead of the connector.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  relayline record --listen 127.0.0.1:9000 --upstream wss://connector.example --out session.jsonl
  GATEWAY_RELAY_URL=http://127.0.0.1:9000 relayline run --platform discord --bot-id 1
  relayline replay --check session.jsonl

Upgrades and all other requests pass to the connector, and so does every byte behind an upgrade: text and binary
messages, pings, closes. Only Host is changed, and no extension is offered, nor the compression of an answer that
issues credentials. Several gateways may dial at once; they are told apart by the id in their token.

<hidden> stands in the place of credentials: all but a few headers, the values of a query, and what a name calls one in
JSON, in a form or in a URL that is a whole string (token, secret, password, signature, authorization, cookie, ...).
So it does for every credential that is known, in any encoding: from Authorization headers, from answers that issue
one, from this environment and --upstream. Bodies that are neither JSON nor a form are written as length and SHA-256.
Message texts, names and ids remain, and so does a secret in a text that is neither labelled nor known.

With --redact-text they do not: words of the protocol, commands such as /status, numbers of the protocol, spaces, line
breaks and fences of code remain, and when things happened. Every other text becomes filler of the same length, and
every id a pseudonym, the same throughout the recording. It replays with --check, and can be published.

What cannot be written is counted and left out, and never holds up the traffic. The first line on stdout says where
it listens. Ctrl-C ends it.

Exit codes: 0 done, 1 the port or the file failed, or lines are missing, 2 wrong flags.")]
pub(crate) struct RecordArguments {
    /// Where gateways dial it, as IP:PORT; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,

    /// The connector: the URL that the gateway would have
    #[arg(long, value_name = "URL", value_parser = |url: &str| DialUrl::parse(url))]
    upstream: DialUrl,

    /// The recording, which must not exist yet, or be empty
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Go on in NAME.1.jsonl, NAME.2.jsonl, ... when a file has grown to this size, as in 500K, 64M or 1G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rotate: Option<u64>,

    /// Take out what people wrote, too: filler for texts, pseudonyms for ids
    #[arg(long)]
    redact_text: bool,

    /// Pass credentials in the clear to a connector that is not on this machine
    #[arg(long)]
    allow_insecure: bool,

    #[arg(long, value_name = "FILE", help = flags::help(&table::CA_FILE))]
    ca_file: Option<PathBuf>,
}

pub(crate) fn run(arguments: RecordArguments) -> ExitCode {
    let RecordArguments { listen, upstream, out, rotate, redact_text, allow_insecure, ca_file } = arguments;
    if !upstream.is_secure() && !upstream.is_loopback() && !allow_insecure {
        return fail(
            2,
            "--upstream: credentials would pass in the clear: use a wss URL, or say --allow-insecure",
        );
    }
    let network = match network(ca_file.as_deref()) {
        Ok(network) => network,
        Err(error) => return fail(2, error),
    };
    let file = out.clone();
    let told_of = move |warning| match warning {
        RecorderWarning::Unwritten(_) => complain(format_args!("{}: {warning}", file.display())),
        _ => complain(warning),
    };
    let config = RecorderConfig {
        listen,
        upstream: Upstream::new(upstream, network),
        file: out,
        rotate,
        redaction: if redact_text { Redaction::Text } else { Redaction::Secrets },
        secrets: secrets(),
        http: HTTP_BOUNDS,
    };
    // Before anybody can dial: whoever waits for the line below may end this at once.
    let ended = match Ended::new() {
        Ok(ended) => ended,
        Err(error) => return fail(1, format_args!("cannot wait for signals: {error}")),
    };
    let recorder = match Recorder::start(config, told_of) {
        Ok(recorder) => recorder,
        Err(error) => return fail(1, told(&error)),
    };
    print(serde_json::json!({ "listening": format!("ws://{}", recorder.local_addr()) }));
    ended.wait();
    match recorder.finish() {
        Some(Summary { lines, lost: 0, parts }) => {
            complain(format_args!("{lines} lines in {parts} file(s)"));
            ExitCode::SUCCESS
        }
        Some(Summary { lines, lost, parts }) => {
            fail(1, format_args!("{lines} lines in {parts} file(s); {lost} lines are missing"))
        }
        None => fail(1, "the disk does not answer: the recording may lack its end"),
    }
}

/// Variables of a gateway that hold credentials, of which the delivery keys are a list.
const SECRETS: [&str; 5] = ["SECRET", "DELIVERY_KEY", "ENROLL_TOKEN", "ACCESS_TOKEN", "IDP_CLIENT_SECRET"];

/// Returns the credentials of a gateway that the environment holds: none of them may reach the file.
fn secrets() -> Vec<Secret> {
    let held = SECRETS.iter().filter_map(|name| std::env::var(format!("GATEWAY_RELAY_{name}")).ok());
    held.flat_map(|held| {
        let keys = held.split(',').map(|key| Secret::new(key.trim())).collect::<Vec<_>>();
        keys.into_iter().chain([Secret::new(held)])
    })
    .collect()
}

/// The environment's proxies, and whom to trust.
fn network(ca_file: Option<&Path>) -> Result<Network, ConfigError> {
    let certificates = ca_certificates(ca_file)?;
    Ok(Network::resolve(certificates, &|name| std::env::var(name).ok())?)
}

fn told(error: &RecorderError) -> String {
    match error {
        RecorderError::Listen { .. } => format!("--listen: {error}"),
        RecorderError::File { .. } => format!("--out: {error}"),
        _ => error.to_string(),
    }
}

/// Ctrl-C, or SIGTERM where there is such a thing. A second one ends the program where it stands.
struct Ended {
    runtime: tokio::runtime::Runtime,
    #[cfg(unix)]
    terminated: tokio::signal::unix::Signal,
}

impl Ended {
    fn new() -> io::Result<Ended> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        #[cfg(unix)]
        let terminated = {
            let _guard = runtime.enter();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?
        };
        Ok(Ended {
            runtime,
            #[cfg(unix)]
            terminated,
        })
    }

    fn wait(mut self) {
        self.runtime.block_on(async {
            #[cfg(unix)]
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = self.terminated.recv() => {}
            }
            #[cfg(not(unix))]
            let _ = tokio::signal::ctrl_c().await;
        });
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|error| format!("{error}: write IP:PORT, as in 127.0.0.1:9000"))
}

/// The least that a file holds before the next is begun: less would be a file for each line.
const LEAST_SIZE: u64 = 1000;

fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write a whole number of K, M or G, 1K at least, as in 500K, 64M or 1G".to_owned();
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
        Some(_) | None => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|size| *size >= LEAST_SIZE).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("1000", Some(1000)),
            ("500K", Some(500_000)),
            ("64m", Some(64_000_000)),
            ("1G", Some(1_000_000_000)),
            ("999", None),
            ("", None),
            ("K", None),
            ("1.5M", None),
            ("-1K", None),
            ("1T", None),
            ("99999999999999999999G", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }
}
