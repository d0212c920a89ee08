//! Model of the host's requests (O).

use super::streams;
use relayline_core::command::{Command, Failure, FailureKind, Reply};
use relayline_core::op::Op;
use relayline_core::time::Time;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Kind of a request, which decides how it may end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RequestKind {
    /// Completed by the connector's result.
    Asked,
    /// Completed by the connector's result, and never an error.
    Typing,
    /// Completed by the connector's result, and opens a prompt.
    Prompt,
    /// Completed by the connector's result, or at once if the descriptor lists other ops (O-5).
    Info,
    /// Completed when written.
    Interrupt,
    /// A state of a stream, completed at once.
    State,
    /// The last state of a stream.
    Stream,
    GoIdle,
    GoDormant,
    Disconnect,
    /// Completed at once.
    Now,
}

impl RequestKind {
    pub(crate) fn of(command: &Command) -> RequestKind {
        match command {
            Command::Op(Op::Typing(_)) => RequestKind::Typing,
            Command::Op(Op::Prompt(_)) => RequestKind::Prompt,
            Command::Op(Op::GetChatInfo(_)) => RequestKind::Info,
            Command::Interrupt(_) => RequestKind::Interrupt,
            Command::Stream(state) if state.last => RequestKind::Stream,
            Command::Stream(_) => RequestKind::State,
            Command::GoIdle => RequestKind::GoIdle,
            Command::GoDormant => RequestKind::GoDormant,
            Command::Disconnect => RequestKind::Disconnect,
            Command::Hold(_) | Command::Resume | Command::Turn(_) => RequestKind::Now,
            _ => RequestKind::Asked,
        }
    }

    /// Returns true if the end of the connection fails the request (O-4).
    pub(super) fn needs_connection(self) -> bool {
        match self {
            RequestKind::Asked
            | RequestKind::Info
            | RequestKind::Typing
            | RequestKind::Prompt
            | RequestKind::Interrupt
            | RequestKind::GoIdle
            | RequestKind::GoDormant => true,
            RequestKind::State | RequestKind::Stream | RequestKind::Disconnect | RequestKind::Now => false,
        }
    }

    /// Returns true if the request is an op or an interrupt, which is one frame and completes with it.
    pub(super) fn is_op_or_interrupt(self) -> bool {
        match self {
            RequestKind::Asked
            | RequestKind::Info
            | RequestKind::Typing
            | RequestKind::Prompt
            | RequestKind::Interrupt => true,
            RequestKind::State
            | RequestKind::Stream
            | RequestKind::GoIdle
            | RequestKind::GoDormant
            | RequestKind::Disconnect
            | RequestKind::Now => false,
        }
    }

    /// Returns true if it counts against `max_in_flight`. A typing indicator and a chat query may complete at once.
    fn is_frame(self) -> bool {
        matches!(self, RequestKind::Asked | RequestKind::Prompt | RequestKind::Interrupt)
    }
}

/// Required result of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ExpectedResult {
    Success { message_id: Option<String> },
    Failure(FailureKind),
}

#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// Kind, which decides how the request may end.
    pub(crate) kind: RequestKind,
    pub(crate) since: Time,
    pub(crate) written: bool,
    pub(crate) due: Option<ExpectedResult>,
    /// Stream of which this is a state.
    pub(crate) stream: String,
    /// Whole text of the stream, for its last state.
    pub(crate) text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) pending: BTreeMap<u64, Pending>,
    last: u64,
    /// Times at which commands were accepted.
    accepted: BTreeMap<u64, Time>,
    /// Requests whose frame was written, including steps of streams.
    written: BTreeSet<u64>,
    /// Requests that ended as never written.
    pub(crate) never_written: BTreeSet<u64>,
}

/// Returns the meaning of the connector's `result` (O-2, O-7).
pub(crate) fn expected_result(result: Option<&Value>) -> ExpectedResult {
    let empty = Value::Object(serde_json::Map::new());
    let result = result.unwrap_or(&empty);
    let text = |name: &str| result.get(name).and_then(Value::as_str);
    if result.get("success") == Some(&Value::Bool(true)) {
        return ExpectedResult::Success { message_id: text("message_id").map(str::to_owned) };
    }
    let error = text("error").unwrap_or_default().to_lowercase();
    let code = result.get("code").filter(|code| code.is_string() || code.is_i64());
    let declined = text("code") == Some("egress_declined")
        || (error.contains("egress declined:") && (code.is_some() || !error.contains("ack lost")));
    ExpectedResult::Failure(if result.get("ambiguous") == Some(&Value::Bool(true)) {
        FailureKind::Ambiguous
    } else if declined {
        FailureKind::Declined
    } else {
        FailureKind::Rejected
    })
}

/// Returns true if a result describes a chat, with or without `success` (O-5).
fn is_chat_info(result: Option<&Value>) -> bool {
    let is_said =
        |name: &str| result.and_then(|result| result.get(name)).is_some_and(|value| !value.is_null());
    let field = |name: &str| result.and_then(|result| result.get(name));
    field("success") != Some(&Value::Bool(false))
        && (field("chat_info").is_some_and(Value::is_object) || is_said("name") || is_said("type"))
}

impl Requests {
    /// Adds an accepted command. Returns false if its number is not new (O-1).
    pub(crate) fn accepted(&mut self, id: u64, command: &Command, now: Time) -> bool {
        let is_new = id > self.last;
        self.last = self.last.max(id);
        self.accepted.insert(id, now);
        let text = match command {
            Command::Stream(state) if state.last => state.text.clone(),
            _ => String::new(),
        };
        let (kind, stream) = (RequestKind::of(command), streams::name_of(command));
        self.pending.insert(id, Pending { kind, since: now, written: false, due: None, stream, text });
        is_new
    }

    /// Returns the time of the last command before a request, a lower bound for the request's own time.
    pub(crate) fn accepted_before(&self, id: u64) -> Option<Time> {
        self.accepted.range(..id).next_back().map(|(_, at)| *at)
    }

    /// Records a written frame. Returns false if it was written before, or had failed as never written.
    pub(crate) fn written(&mut self, id: u64) -> bool {
        self.last = self.last.max(id);
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.written = true;
        }
        self.written.insert(id) && !self.never_written.contains(&id)
    }

    /// Records a written interrupt: the oldest pending one.
    pub(crate) fn interrupt_written(&mut self) -> bool {
        let waits = |pending: &&mut Pending| pending.kind == RequestKind::Interrupt && pending.due.is_none();
        let Some(pending) = self.pending.values_mut().find(waits) else { return false };
        pending.due = Some(ExpectedResult::Success { message_id: None });
        true
    }

    /// Records a result on the open connection.
    pub(crate) fn answered(&mut self, id: u64, result: Option<&Value>) -> bool {
        match self.pending.get_mut(&id) {
            Some(pending) if pending.written && pending.due.is_none() => {
                pending.due = Some(match pending.kind {
                    RequestKind::Typing => ExpectedResult::Success { message_id: None },
                    RequestKind::Info if is_chat_info(result) => ExpectedResult::Success { message_id: None },
                    RequestKind::Asked
                    | RequestKind::Info
                    | RequestKind::Prompt
                    | RequestKind::Interrupt
                    | RequestKind::State
                    | RequestKind::Stream
                    | RequestKind::GoIdle
                    | RequestKind::GoDormant
                    | RequestKind::Disconnect
                    | RequestKind::Now => expected_result(result),
                });
                true
            }
            Some(_) | None => false,
        }
    }

    /// Returns true if it is a prompt that must end without being shown.
    pub(crate) fn is_unasked(&self, id: u64) -> bool {
        self.pending.get(&id).is_some_and(|pending| {
            // An ambiguous prompt may have been shown.
            let was_asked = matches!(
                pending.due,
                None | Some(ExpectedResult::Success { .. } | ExpectedResult::Failure(FailureKind::Ambiguous))
            );
            pending.kind == RequestKind::Prompt && !was_asked
        })
    }

    /// Returns the number of pending frames, at most `max_in_flight` (O-6).
    pub(crate) fn in_flight(&self) -> usize {
        self.pending.values().filter(|pending| pending.kind.is_frame()).count()
    }

    /// Completes a request. The error describes a wrong result.
    pub(crate) fn completed(
        &mut self,
        id: u64,
        result: &Result<Reply, Failure>,
    ) -> Result<Pending, (&'static str, String)> {
        let Some(pending) = self.pending.remove(&id) else {
            return Err(("completes-once", format!("request {id} completed, and did not wait: {result:?}")));
        };
        match result {
            Err(failure) if matches!(failure.kind, FailureKind::Definite | FailureKind::Unsupported) => {
                // The result of a stream is about its last state. Earlier ones may have been shown.
                if pending.kind != RequestKind::Stream && pending.kind != RequestKind::State {
                    self.never_written.insert(id);
                }
                if self.written.contains(&id) {
                    return Err((
                        "definite-was-never-written",
                        format!("request {id} was written: {failure:?}"),
                    ));
                }
            }
            Err(Failure { kind: FailureKind::Ambiguous, .. })
                if !pending.written && !matches!(pending.kind, RequestKind::Stream | RequestKind::State) =>
            {
                return Err(("ambiguous-was-written", format!("request {id} was not written: {result:?}")));
            }
            Ok(_) | Err(_) => {}
        }
        let fits = match (&pending.due, result) {
            (Some(ExpectedResult::Success { message_id }), Ok(reply)) => match reply {
                Reply::Sent { message_id: told, .. } | Reply::Prompted { message_id: told, .. } => {
                    told == message_id
                }
                Reply::Done
                | Reply::Thread { .. }
                | Reply::ChatInfo { .. }
                | Reply::Streamed { .. }
                | Reply::Idle { .. } => true,
                _ => true,
            },
            (Some(ExpectedResult::Failure(kind)), Err(failure)) => failure.kind == *kind,
            (Some(_), Ok(_) | Err(_)) => false,
            (None, Ok(Reply::ChatInfo { chat_type, .. })) => {
                pending.kind == RequestKind::Info && !pending.written && chat_type == "dm"
            }
            (None, Ok(_)) => !matches!(
                pending.kind,
                RequestKind::Asked | RequestKind::Info | RequestKind::Prompt | RequestKind::Interrupt
            ),
            (None, Err(failure)) => match failure.kind {
                FailureKind::Definite | FailureKind::Ambiguous => pending.kind != RequestKind::Typing,
                FailureKind::Unsupported => matches!(pending.kind, RequestKind::Stream | RequestKind::State),
                FailureKind::Declined | FailureKind::Rejected => {
                    matches!(pending.kind, RequestKind::Stream | RequestKind::State)
                }
            },
        };
        match fits {
            true => Ok(pending),
            false => Err((
                "completes-as-answered",
                format!("request {id} must end as {:?}: {result:?}", pending.due),
            )),
        }
    }
}
