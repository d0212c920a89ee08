//! `interrupt`: stops the turn of a session on the connector's side.

use super::Behavior;
use super::define::op;
use super::format::{OptionalText, Text};

op! {
    /// Stops the turn of a session on the connector's side. Completes with
    /// [`Reply::Done`](crate::command::Reply::Done) once the frame is written, since the connector does not answer
    /// it.
    pub struct Interrupt: "interrupt", gate Always, returns Written {
        /// Key of the session to stop.
        session_key: String = Text as "session_key",
        /// Reason, for people.
        reason?: Option<String> = OptionalText as "reason",
    }
}

impl Behavior for Interrupt {}
