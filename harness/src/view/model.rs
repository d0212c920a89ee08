//! Values of a view, as the page reads them.

use super::problems::Problem;
use relayline_core::output::Phase;
use serde::{Serialize, Serializer};

/// A lane of the diagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The host, or its agent.
    Host,
    /// The gateway.
    Gateway,
    /// The connector.
    Connector,
}

/// Kind of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryKind {
    /// A frame, or a line that is not one.
    Frame,
    /// The beginning of a frame whose newline was not in its message.
    Part,
    /// A dial.
    Dial,
    /// A refused upgrade.
    Reject,
    /// A close frame.
    Close,
    /// The end of a connection without a close frame.
    Cut,
    /// A call of the host.
    Call,
    /// An event that the host observed.
    Event,
    /// A timer of the replayed machine.
    Timer,
    /// A note.
    Note,
    /// Lines that are missing.
    Gap,
    /// A line of an unknown kind.
    Other,
}

/// One row of the diagram.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct ViewEntry {
    /// Name for links: the number of the line, and `.2`, `.3`, … for further entries of that line.
    pub id: String,
    /// Milliseconds since the start.
    pub t: u64,
    /// Kind of the entry.
    pub kind: EntryKind,
    /// Lane in which its arrow begins.
    pub from: Lane,
    /// Lane in which its arrow ends; the same as `from` if it has no arrow.
    pub to: Lane,
    /// Number of the dial, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dial: Option<usize>,
    /// Type of the frame, or name of the call, event or timer.
    #[serde(rename = "type")]
    pub name: String,
    /// Op of a request, or of the request that a result answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Content in one line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gist: String,
    /// Id of the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// Platform of the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Session key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Entry id in the connector's buffer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<String>,
    /// Number of the turn, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<usize>,
    /// Duration of a call of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took: Option<u64>,
    /// Time from the last end of a connection to this dial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited: Option<u64>,
    /// Text of the frame, exact; else the line of the recording.
    pub raw: String,
}

/// A relation between two entries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Link {
    /// Earlier entry.
    pub from: usize,
    /// Later entry.
    pub to: usize,
    /// Relation.
    pub kind: LinkKind,
    /// Milliseconds between them.
    pub ms: u64,
}

/// Relation between an earlier and a later entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LinkKind {
    /// The later is the result of the earlier.
    Result,
    /// The later acknowledges the earlier.
    Ack,
    /// The later delivers the same entry again.
    Again,
    /// The later confirms the idleness that the earlier asks for.
    Idle,
    /// The later is the whole frame that the earlier begins.
    Rest,
    /// The later is the end of the dial that the earlier begins.
    End,
}

/// The state of the connection from an entry on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct StateSpan {
    /// First entry.
    pub at: usize,
    /// Milliseconds since the start.
    pub t: u64,
    /// State.
    #[serde(serialize_with = "phase_name")]
    pub state: Phase,
}

fn phase_name<S: Serializer>(phase: &Phase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(phase.name())
}

/// The frames of a turn, from the message that begins it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct TurnSpan {
    /// First entry.
    pub first: usize,
    /// Last entry.
    pub last: usize,
    /// Number of entries.
    pub entries: usize,
}

/// Addition to a view. Entries have positions, counted from 0 in the order in which they are added. As JSON it is an object
/// with one field, named after its kind.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ViewUpdate {
    /// The next entry.
    Entry(Box<ViewEntry>),
    /// A relation.
    Link(Link),
    /// A problem of this or of an earlier entry.
    Problem(Problem),
    /// A new state.
    State(StateSpan),
}
