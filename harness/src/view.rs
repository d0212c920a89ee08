//! The view of a recorded session: frames with their meaning, joins between them, states of the connection, and
//! problems with the rule that each is about; as one page, or as a still picture.
//!
//! [`Analyzer`] takes lines of a recording one by one, and returns what each adds: so it serves a session that is still
//! going on, too. [`SessionView::of`] feeds it a whole recording and the states, timers and counters of a replay of it.
//! It only describes what it has read: the decisions of the protocol are those of `RelayMachine`.

mod analyzer;
mod deliveries;
mod forward;
mod frame;
mod gist;
mod idle;
mod marks;
mod model;
mod page;
mod problems;
mod requests;
mod session;
mod sockets;
mod svg;
#[cfg(test)]
mod tests;
mod turns;
mod wire;

pub use analyzer::Analyzer;
pub use model::{EntryKind, Lane, Link, LinkKind, StateSpan, TurnSpan, ViewEntry, ViewUpdate};
pub use page::{Page, PageSize, rules};
pub use problems::{Problem, ProblemKind, Severity};
pub use session::SessionView;
pub use svg::svg;
