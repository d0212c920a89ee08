//! *Replay*: recorded sessions played through the [`RelayMachine`](relayline_core::machine::RelayMachine) in virtual
//! time, traced, and compared with what was recorded.
//!
//! [`play`] feeds what the connector said and the host did, each at its recorded time, ticks the machine at its
//! deadlines in between, and drains it after every input. [`check`] compares what came of it. Where a rule makes us
//! differ from the recorded gateway, [`DEPARTURES`] says so.
//!
//! # How a recording drives the machine
//!
//! - The clock is the recording's. The fixed seed makes each run the same, byte for byte.
//! - The machine dials when it sees fit; its dial is answered when the recorded upgrade arrives, and until then its
//!   clock stands still. Where the recorded gateway has dialled sooner, its clock jumps ahead to its own dial. What it
//!   waits is checked against L-5, with the recorded back-off in place of the default where the header has one.
//! - `clock_unix_s` is the wall clock. A `connect` line that carries it counts from the dial that it answers.
//! - A recorded request id stands for that of our request of the same call, or else of one that says the same (O-1). What
//!   was answered later than ours is asked, or never, since nobody asked it then, is answered at once. The n-th prompt's
//!   id stands for our n-th (I-1).
//! - A turn of the recorded host is one of ours (O-15). What it streamed with drafts, sends and edits is one stream, what
//!   it answered in one piece a reply to the delivery (M-7). A segment that the answer goes on after is an answer of its
//!   own, which does not end the turn. What our host was told is declined it does not say again (O-7).
//! - The recorded gateway acknowledges answers to its prompts by itself; our host does, when our machine tells it of one.
//! - Where sockets overlap, `dial` says which of them a message is of.
//! - A recorded `inbound_ack` is the host taking that entry. One that was never acknowledged stays unsettled, unless the
//!   recorded host saw it.
//! - Our close frame and our pings are answered at once: recordings hold no pongs, and a recorded peer cannot answer a
//!   close that came at another time.
//! - When all lines are played, a host that disconnected is waited for; otherwise it ends there.
//! - Where only the wire was recorded (no line of the host), it shows what the host did. An `outbound` frame implies its
//!   submission: as a raw action, a prompt as one, so that its answers are known. An `interrupt` implies its own, a
//!   `going_idle` what its sequel shows it was for. A close of the gateway behind which there is another dial is a refusal
//!   of what was not acknowledged, else a resume where it had gone idle, else a disconnect; the last one is a disconnect.
//!   A gateway that dials after its end is a new process. Raw forwards are taken when they were acknowledged.
//!
//! What the wire does not show is not compared: what the host got, when it took something (so that acknowledgements only
//! have to be there), and dials that nobody answered.

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
pub use trace::{Entry, Happened, json_line};
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
