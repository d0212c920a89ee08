//! `relayline record`: a proxy between gateways and a connector that records their sessions.

use crate::network::network;
use crate::{complain, fail, flags, print};
use clap::Args;
use relayline_control::settings::table;
use relayline_control::url::DialUrl;
use relayline_core::secret::Secret;
use relayline_harness::recorder::{
    Recorder, RecorderConfig, RecorderError, RecorderWarning, Redaction, Summary, Upstream,
};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Record the sessions of any gateway with any connector, as a proxy between them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  relayline record --listen 127.0.0.1:9000 --upstream wss://connector.example --out session.jsonl
  GATEWAY_RELAY_URL=http://127.0.0.1:9000 relayline run --platform discord --bot-id 1
  relayline replay --check session.jsonl

Gateways dial the recorder instead of the connector. It forwards upgrades and all other requests, and every byte after an
upgrade: text and binary messages, pings, closes. It changes Host only. It offers no extensions, and no compression of
answers that issue credentials. Several gateways may dial at once; the recording has the id of each, from its token.

Credentials are redacted as <hidden>: all but a few headers, the values of a query, and values whose name in JSON, in a
form or in a URL marks them as a credential (token, secret, password, signature, authorization, cookie, ...). Known
credentials are redacted in any encoding: those of Authorization headers, of answers that issue one, of this environment
and of --upstream. Bodies that are neither JSON nor a form are recorded as length and SHA-256.

Recordings contain message texts, names, ids, and any secret that is not labeled as one.

--redact-text replaces texts by filler of the same length, and ids by pseudonyms that are consistent within the recording.
It keeps words and numbers of the protocol, commands such as /status, spaces, line breaks, code fences, and times. Such a
recording replays with --check, and can be published.

Lines that cannot be written are counted and left out. They never delay the traffic. The first line on stdout has the
address that it listens on. Ctrl-C ends the recording.

Exit codes: 0 done; 1 the port or the file failed, or lines are missing; 2 wrong flags.")]
pub(crate) struct RecordArguments {
    /// Address that gateways dial, as IP:PORT. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,

    /// URL of the connector, as the gateway would have it.
    #[arg(long, value_name = "URL", value_parser = |url: &str| DialUrl::parse(url))]
    upstream: DialUrl,

    /// File of the recording, which must not exist or be empty.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Maximum size of a file, as in 500K, 64M or 1G. Further files are NAME.1.jsonl, NAME.2.jsonl, ...
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rotate: Option<u64>,

    /// Replace texts by filler, and ids by pseudonyms.
    #[arg(long)]
    redact_text: bool,

    /// Send credentials unencrypted to a connector on another machine.
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
            "--upstream: credentials would be sent unencrypted: use a wss URL, or give --allow-insecure",
        );
    }
    let network = match network(ca_file.as_deref()) {
        Ok(network) => network,
        Err(error) => return fail(2, error),
    };
    let file = out.clone();
    let report = move |warning| match warning {
        RecorderWarning::Unwritten(_) => complain(format_args!("{}: {warning}", file.display())),
        _ => complain(warning),
    };
    let mut config = RecorderConfig::new(listen, Upstream::new(upstream, network), out);
    config.rotate = rotate;
    config.redaction = if redact_text { Redaction::Text } else { Redaction::Secrets };
    config.secrets = secrets();
    // Installed before the line below is printed: its reader may send a signal at once.
    let signals = match StopSignals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(1, format_args!("cannot wait for signals: {error}")),
    };
    let recorder = match Recorder::start(config, report) {
        Ok(recorder) => recorder,
        Err(error) => return fail(1, error_line(&error)),
    };
    print(serde_json::json!({ "listening": format!("ws://{}", recorder.local_addr()) }));
    signals.wait();
    match recorder.finish() {
        Some(Summary { lines, lost: 0, parts, .. }) => {
            complain(format_args!("{lines} lines in {parts} file(s)"));
            ExitCode::SUCCESS
        }
        Some(Summary { lines, lost, parts, .. }) => {
            fail(1, format_args!("{lines} lines in {parts} file(s); {lost} lines are missing"))
        }
        None => fail(1, "the disk does not respond: the end of the recording may be missing"),
    }
}

/// Variables of a gateway that hold credentials. The delivery keys are a list.
const SECRETS: [&str; 5] = ["SECRET", "DELIVERY_KEY", "ENROLL_TOKEN", "ACCESS_TOKEN", "IDP_CLIENT_SECRET"];

/// Returns the credentials of the environment, which are redacted.
fn secrets() -> Vec<Secret> {
    let held = SECRETS.iter().filter_map(|name| std::env::var(format!("GATEWAY_RELAY_{name}")).ok());
    held.flat_map(|held| {
        let keys = held.split(',').map(|key| Secret::new(key.trim())).collect::<Vec<_>>();
        keys.into_iter().chain([Secret::new(held)])
    })
    .collect()
}

fn error_line(error: &RecorderError) -> String {
    match error {
        RecorderError::Listen { .. } => format!("--listen: {error}"),
        RecorderError::File { .. } => format!("--out: {error}"),
        _ => error.to_string(),
    }
}

/// Signals that end the recording: Ctrl-C, and SIGTERM on Unix.
struct StopSignals {
    runtime: tokio::runtime::Runtime,
    #[cfg(unix)]
    terminated: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> io::Result<StopSignals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        #[cfg(unix)]
        let terminated = {
            let _guard = runtime.enter();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?
        };
        Ok(StopSignals {
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

/// Minimum of `--rotate` in bytes. Less would be a file for each line.
const MIN_SIZE: u64 = 1000;

fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write a whole number of K, M or G, 1K at least, as in 500K, 64M or 1G".to_owned();
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
        Some(_) | None => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|size| *size >= MIN_SIZE).ok_or_else(wrong)
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
