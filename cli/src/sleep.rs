//! Sleeping (`run --sleep-after`): a gateway without work goes dormant, so that its machine can be suspended or stopped, and
//! dials again when it is woken. The connector buffers events meanwhile.
//!
//! [`sleeper`] decides, without a clock or I/O, and [`task`] carries that out on a thread of its own. [`gate`] is shared with
//! those who submit ops: an op wakes the gateway, and waits for the connection. [`wake`] is the HTTP server of the wake URL.

mod command;
mod gate;
mod sleeper;
mod task;
mod wake;

use crate::bridge::Monitor;
use crate::signals::{self, Shutdown};
use clap::Args;
pub(crate) use gate::SleepGate;
use relayline_control::config::GatewayConfig;
use relayline_control::settings::parse_time;
use relayline_runtime::Relay;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

/// Reason of the shutdown with `--exit-on-sleep`.
pub(crate) const ASLEEP: &str = "asleep";

/// Flags of sleeping.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sleeping")]
pub(crate) struct SleepArguments {
    /// Time without work after which the gateway goes dormant, as in 10m; never by default.
    ///
    /// It goes dormant when no turn is open and nothing is unsettled. The connector buffers events until the gateway dials
    /// again: after a request to --wake-listen, SIGUSR1 or SIGCONT, with an op that needs the connection, or at the next start.
    #[arg(long, value_name = "TIME", value_parser = time)]
    sleep_after: Option<Duration>,

    /// Address at which a GET wakes the gateway, whatever its path, as in 0.0.0.0:8788.
    ///
    /// --wake-url tells the connector the URL that leads there.
    #[arg(long, value_name = "ADDR")]
    wake_listen: Option<String>,

    /// Command to run once the gateway is dormant and may be suspended. The shell runs it.
    #[arg(long, value_name = "CMD")]
    on_sleep: Option<String>,

    /// Exit with 0 once the gateway is dormant, after the command of --on-sleep.
    #[arg(long)]
    exit_on_sleep: bool,
}

impl SleepArguments {
    /// Changes the configuration of a gateway that sleeps: its hold has no bound (L-13).
    pub(crate) fn configure(&self, config: &mut GatewayConfig) {
        if self.sleep_after.is_some() {
            config.machine.timing.hold_most = Duration::MAX;
        }
    }

    /// Returns the options of sleeping, if it is requested. Opens the port of `--wake-listen`.
    ///
    /// # Errors
    /// The exit code, and the text for the user.
    pub(crate) fn options(&self) -> Result<Option<SleepOptions>, (u8, String)> {
        let Some(after) = self.sleep_after else {
            let given = [
                ("wake-listen", self.wake_listen.is_some()),
                ("on-sleep", self.on_sleep.is_some()),
                ("exit-on-sleep", self.exit_on_sleep),
            ];
            return match given.into_iter().find(|(_, is_given)| *is_given) {
                Some((name, _)) => Err((
                    2,
                    format!("{name} is set without sleep-after: set sleep-after, as in --sleep-after 10m"),
                )),
                None => Ok(None),
            };
        };
        let listener = self.wake_listen.as_deref().map(open).transpose().map_err(|error| (1, error))?;
        if listener.is_none() && !self.exit_on_sleep {
            let why = "sleep-after without wake-listen or exit-on-sleep: only a signal, an op or a restart wakes the gateway";
            tracing::warn!(why, "configuration");
        }
        let (on_sleep, exits) = (self.on_sleep.clone(), self.exit_on_sleep);
        Ok(Some(SleepOptions { after, listener, on_sleep, exits }))
    }
}

/// Opens the port of the wake URL.
fn open(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| {
        format!("--wake-listen {address}: {error}; name an address of this machine and a free port, as in 0.0.0.0:8788")
    })
}

/// Parses the value of `--sleep-after`.
fn time(text: &str) -> Result<Duration, String> {
    match parse_time(text) {
        Some(time) if !time.is_zero() => Ok(time),
        Some(_) => Err("write a time that is longer than 0, as in 10m".to_owned()),
        None => Err("write a whole number with a unit, as in 30s, 10m or 1h".to_owned()),
    }
}

/// Options of a gateway that sleeps.
#[derive(Debug)]
pub(crate) struct SleepOptions {
    after: Duration,
    /// Port of the wake URL.
    listener: Option<TcpListener>,
    on_sleep: Option<String>,
    /// True if the gateway ends once it is dormant.
    exits: bool,
}

impl SleepOptions {
    /// Starts the thread that lets the gateway sleep. It ends with the relay.
    ///
    /// # Errors
    /// Signals cannot be watched, or there is no thread.
    pub(crate) fn start(self, relay: &Relay, monitor: &Monitor, shutdown: &Shutdown) -> io::Result<()> {
        let gate = monitor.gate().clone();
        signals::watch_wakes(move || gate.request_wake())?;
        task::start(self, relay.clone(), monitor.clone(), shutdown.clone())
    }
}
