//! Logging on stderr: one line per event, with its name and fields.

mod json;

use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Logging flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct Arguments {
    /// Log more: -v for debug, -vv for trace.
    ///
    /// Logs go to stderr. RUST_LOG selects levels by target, as in RUST_LOG=relayline=debug.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Log errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Format of log lines, as in --log-format json.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Starts logging. `usual` is the level without flags.
pub(crate) fn start(arguments: &Arguments, usual: LevelFilter) {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => usual,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let filter = filter.and(filter_fn(is_clean));
    let color =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(color);
    let layer = match arguments.log_format {
        Format::Text => layer.boxed(),
        Format::Json => layer.json().event_format(json::JsonFormat).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}

/// C-4: the WebSocket, HTTP, TLS and NATS libraries log whole requests at debug and trace level, including bearer tokens and
/// messages. Those levels are always off.
fn is_clean(metadata: &Metadata<'_>) -> bool {
    const UNSAFE_TARGETS: [&str; 7] =
        ["async_nats", "tungstenite", "async_tungstenite", "hyper", "hyper_util", "rustls", "futures_rustls"];
    let root = metadata.target().split("::").next().unwrap_or_default();
    // Its news of connections are those that the queue logs, too.
    if root == "async_nats" {
        return *metadata.level() <= Level::WARN;
    }
    *metadata.level() <= Level::INFO || !UNSAFE_TARGETS.contains(&root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    pub(super) struct Written(pub(super) Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// C-4: whatever the filter allows, these levels stay off.
    #[test]
    fn c_4_verbose_levels_of_libraries_stay_off() {
        let written = Written::default();
        let writer = written.clone();
        let layer = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter_fn(is_clean)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "tungstenite::handshake::client", "hunter2");
            tracing::debug!(target: "async_tungstenite", "hunter2");
            tracing::debug!(target: "async_nats::jetstream::context", "hunter2");
            tracing::debug!(target: "hyper::proto::h1::io", "hunter2");
            tracing::trace!(target: "rustls::client", "hunter2");
            tracing::info!(target: "hyper", "a library's news");
            tracing::trace!(target: "relayline::trace", "our own");
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(written.contains("a library's news") && written.contains("our own"), "{written}");
        assert!(!written.contains("hunter2"), "{written}");
    }
}
