//! Replay of recorded sessions through the [`RelayMachine`](relayline_core::machine::RelayMachine) in virtual time,
//! with a trace and a comparison.
//!
//! [`play`] feeds the recorded input of the connector and the host at the recorded times, ticks the machine at its
//! deadlines, and drains it after every input. [`check`] compares the result with the recording. [`DEPARTURES`] lists
//! the differences from recorded gateways that rules require.
//!
//! # How a recording drives the machine
//!
//! - The clock is that of the recording. The seed is fixed, so each run is the same, byte for byte.
//! - The machine decides when to dial. Its dial is answered at the time of the recorded upgrade, and its clock stands
//!   still until then. If the recorded gateway dialed earlier, the machine's clock jumps ahead to its own dial. The
//!   waits are checked against L-5, with the recorded back-off if the header has one.
//! - `clock_unix_s` is the wall clock. On a `connect` line it applies from the dial that the line answers.
//! - A recorded request id is replaced with that of the machine's request of the same call, or else of one with the
//!   same content (O-1). A request gets its result at once if the result was recorded earlier, or if none was
//!   recorded. The id of the n-th prompt is replaced with that of the machine's n-th prompt (I-1).
//! - A turn of the recorded host is played as a turn (O-15). Drafts, sends and edits of one answer are played as one
//!   stream, and an answer in one message as a reply to the delivery (M-7). A segment with more of the answer after
//!   it is an answer of its own, which does not end the turn. A declined answer is not repeated (O-7).
//! - The recorded gateway acknowledges answers to its prompts by itself. In a replay the host does, when the machine
//!   notifies it.
//! - If sockets overlap, `dial` assigns a message to its socket.
//! - A recorded `inbound_ack` means that the host took the entry. An entry without one stays unsettled, unless the
//!   recorded host received it.
//! - The machine's close frame and its pings are answered at once: recordings hold no pongs, and the recorded peer
//!   did not answer a close at another time.
//! - After the last line the replay waits for a host that has disconnected. Otherwise it ends.
//! - If only the wire was recorded (no line of the host), the host's commands are derived from it. An `outbound`
//!   frame implies a raw action, or a prompt so that its answers are recognized. An `interrupt` implies an interrupt,
//!   and a `going_idle` the purpose that its sequel shows. A close of the gateway with a further dial after it
//!   implies a refusal of the unacknowledged entries, else a resume if the gateway was idle, else a disconnect. The
//!   last close implies a disconnect. A gateway that dials after its end is a new process. Raw forwards are taken
//!   when they were acknowledged.
//!
//! Not compared is what the wire does not show: the host's events and the times at which it took them (so only the
//! presence of acknowledgements counts), and dials without an answer.

mod calls;
mod check;
mod config;
mod connector_input;
mod departures;
mod diff;
mod frame_causes;
mod host;
mod names;
mod outputs;
mod player;
mod recorded_answers;
mod run;
mod session;
mod trace;
mod turns;
mod value_diff;
mod verdict;

pub use check::check;
pub use departures::{DEPARTURES, Departure};
pub use player::play;
pub use run::{Cut, Drain, ReplayOptions, ReplayRun};
pub(crate) use run::{MachineChange, MachineStep};
pub use trace::{Entry, json_line};
pub use verdict::{AppliedDeparture, ComparedEvent, Difference, DifferenceKind, Verdict};

/// Error returned when a recording cannot be played. The message has the file, the line and the fix.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The recording has no hello, so the gateway's identity is unknown.
    #[error(
        "{file}: no gateway said hello in it, so that there is nothing to play (a recording whose first line names \
         `platform` and `bot_id` under `gateway` is played all the same)"
    )]
    Silent {
        /// Name of the file, as the caller gave it.
        file: String,
    },
    /// A line is not valid at its position.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// Name of the file, as the caller gave it.
        file: String,
        /// Number of the line, counted from 1.
        line: usize,
        /// Problem, and its fix.
        problem: String,
    },
}
