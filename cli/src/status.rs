//! `relayline status`: shows the status of a running gateway.

mod text;

use crate::bridge::GatewayStatus;
use crate::control::{AskError, Connection, ControlArguments, op, parse_time};
use crate::fail;
use clap::Args;
use serde::Deserialize;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Show the status of a running gateway: its phase, descriptors, queues, counters and last errors.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  relayline status --control relayline.sock
  RELAYLINE_CONTROL=relayline.sock relayline status --watch
  relayline status --json | jq .phase

The gateway runs with run --control. The status has no text of a message and no secret. Counters that are 0 are shown with
--json only. The last errors are failed dials, ends of connections and failed ops, at most 16. schema/status.schema.json
describes the JSON.

Exit codes: 0 shown; 1 no gateway there, or it does not answer; 2 flags wrong.")]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    control: ControlArguments,

    /// Print the status as one JSON object.
    #[arg(long)]
    json: bool,

    /// Repeat it until the gateway ends: in place on a terminal, else one after another.
    #[arg(long)]
    watch: bool,

    /// Time between two repetitions, as in 5s.
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "1s", requires = "watch")]
    interval: Duration,

    /// Maximum time to wait for the gateway, as in 500ms.
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "10s")]
    timeout: Duration,
}

/// Moves the cursor to the upper left corner.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line, and goes to the next one.
const END_OF_LINE: &str = "\x1b[K\n";
/// Clears the screen from the cursor on.
const CLEAR_BELOW: &str = "\x1b[J";

pub(crate) fn run(arguments: &StatusArguments) -> ExitCode {
    let path = match arguments.control.path() {
        Ok(path) => path,
        Err(code) => return code,
    };
    let is_redrawn = arguments.watch && !arguments.json && io::stdout().is_terminal();
    if is_redrawn {
        let _ = write!(io::stdout(), "{HOME}{CLEAR_BELOW}");
    }
    let mut is_first = true;
    loop {
        let shown = match ask(&path, arguments) {
            Ok(shown) => shown,
            Err(error) => return fail(1, error),
        };
        let printed = if is_redrawn {
            redraw(&shown)
        } else if is_first || arguments.json {
            writeln!(io::stdout(), "{shown}")
        } else {
            writeln!(io::stdout(), "\n{shown}")
        };
        match printed {
            Ok(()) if arguments.watch => {}
            Ok(()) => return ExitCode::SUCCESS,
            // The reader has what it wants.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Err(error) => return fail(1, format_args!("standard output: {error}")),
        }
        is_first = false;
        std::thread::sleep(arguments.interval);
    }
}

/// Asks for the status, and returns it as it is to be printed. Each time it connects anew: an idle client may be closed.
fn ask(path: &Path, arguments: &StatusArguments) -> Result<String, AskError> {
    let status = Connection::open(path, arguments.timeout)?.ask(op("status", []))?;
    if arguments.json {
        return Ok(status.to_string());
    }
    let strange = |error| AskError::NoAnswer(format!("the gateway at {}: {error}", path.display()));
    Ok(text::of(&GatewayStatus::deserialize(status).map_err(strange)?))
}

/// Replaces what is on the terminal.
fn redraw(shown: &str) -> io::Result<()> {
    let lines = shown.lines().flat_map(|line| [line, END_OF_LINE]);
    let screen: String = [HOME].into_iter().chain(lines).chain([CLEAR_BELOW]).collect();
    let mut out = io::stdout();
    out.write_all(screen.as_bytes())?;
    out.flush()
}
