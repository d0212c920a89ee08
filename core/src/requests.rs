//! Requests that wait to be written or answered, and how each ends (O).

use crate::command::{Failure, FailureKind, Reply, RequestId};
use crate::hash::{Table, table};
use crate::json::Write;
use crate::result::{self, Expected};
use crate::time::Time;
use std::fmt;

/// Stream of replies, by the hash of its name.
pub(crate) type StreamKey = u128;

/// Index of an identity in [`Config::identities`](crate::config::Config::identities).
pub(crate) type IdentityIndex = usize;

/// Party that a request's end is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// The host.
    Host,
    /// The stream that the request is a step of.
    Stream(StreamKey),
    /// Nobody: the request is a sign of a turn, which is best effort (O-15).
    Turn,
}

/// A pending request.
#[derive(Debug)]
struct Pending {
    expected: Expected,
    written: bool,
    until: Time,
    owner: Owner,
    /// Chat that the request is for, as a key of the chat memory.
    chat: Option<u128>,
}

/// End of a request.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: RequestId,
    pub(crate) owner: Owner,
    pub(crate) result: Result<Reply, Failure>,
    /// Prompt that was certainly not shown, so it is not open.
    pub(crate) unshown_prompt: Option<String>,
}

/// Answer that ends a request.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) ended: Ended,
    pub(crate) chat: Option<u128>,
    /// Parts of the answer that exceeded a bound.
    pub(crate) overlong: result::Overlong,
}

/// Effect of handing a frame to the socket.
#[derive(Debug)]
pub(crate) enum Written {
    /// The request waits for its answer.
    Waits,
    /// The request is complete.
    Ends(Ended),
    /// The request has already ended, as never written. The frame must not be written.
    Stale,
}

/// Request id on the wire: 32 hex digits, written without an allocation.
pub(crate) struct WireId(u64, u64);

impl fmt::Display for WireId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

impl Write for WireId {
    fn write(&self, out: &mut Vec<u8>) {
        let mut id = [0; 32];
        let halves = [self.0.to_be_bytes(), self.1.to_be_bytes()];
        data_encoding::HEXLOWER.encode_mut(halves.as_flattened(), &mut id);
        out.push(b'"');
        out.extend_from_slice(&id);
        out.push(b'"');
    }
}

/// Pending requests, oldest first. All have the same time-out, so the first is always the next to expire.
#[derive(Debug)]
pub(crate) struct Requests {
    /// First half of every id on the wire (O-1).
    prefix: u64,
    next: u64,
    pending: Table<u64, Pending>,
}

impl Requests {
    pub(crate) fn new(prefix: u64) -> Self {
        Requests { prefix, next: 1, pending: table() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.pending.front().map(|(_, pending)| pending.until)
    }

    pub(crate) fn wire_id(&self, id: RequestId) -> WireId {
        WireId(self.prefix, id.0)
    }

    /// Returns the id that [`add`](Self::add) or [`take_id`](Self::take_id) gives next.
    pub(crate) fn next_id(&self) -> RequestId {
        RequestId(self.next)
    }

    /// Takes the next id, for a command that waits elsewhere or not at all.
    pub(crate) fn take_id(&mut self) -> RequestId {
        let id = self.next_id();
        self.next += 1;
        id
    }

    /// Adds a request whose frame is queued.
    pub(crate) fn add(
        &mut self,
        expected: Expected,
        owner: Owner,
        until: Time,
        chat: Option<u128>,
    ) -> RequestId {
        let id = self.take_id();
        self.pending.insert(id.0, Pending { expected, written: false, until, owner, chat });
        id
    }

    /// Notes that a request's frame is handed to the socket.
    pub(crate) fn written(&mut self, id: RequestId) -> Written {
        match self.pending.get_mut(&id.0) {
            Some(Pending { expected: Expected::Written, .. }) => {
                self.end(id.0, Ok(Reply::Done)).map_or(Written::Stale, Written::Ends)
            }
            Some(pending) => {
                pending.written = true;
                Written::Waits
            }
            None => Written::Stale,
        }
    }

    /// Ends the request of a wire id with its answer (O-1, O-2). Returns `None` if no written request waits for it.
    pub(crate) fn answer(&mut self, wire_id: &str, answer: Option<&str>) -> Option<Answered> {
        let id = self.find(wire_id)?;
        let Pending { expected, chat, .. } = self.pending.get(&id).filter(|pending| pending.written)?;
        let chat = *chat;
        let mut result = result::read(answer, expected);
        let overlong = result::bound(&mut result);
        let ended = self.end(id, result)?;
        Some(Answered { ended, chat, overlong })
    }

    /// Returns the number of the request of a wire id, if the id is ours.
    fn find(&self, wire_id: &str) -> Option<u64> {
        let digits: &[u8; 32] = wire_id.as_bytes().try_into().ok()?;
        let mut halves = [[0; 8]; 2];
        data_encoding::HEXLOWER.decode_mut(digits, halves.as_flattened_mut()).ok()?;
        let [prefix, number] = halves.map(u64::from_be_bytes);
        (prefix == self.prefix).then_some(number)
    }

    /// Ends the oldest request, which timed out (O-4).
    pub(crate) fn time_out(&mut self) -> Option<Ended> {
        let (id, pending) = self.pending.front()?;
        let failure = if pending.written {
            Failure::new(FailureKind::Ambiguous, "no answer came in time")
        } else {
            Failure::definite("it could not be written in time")
        };
        let id = *id;
        self.end(id, Err(failure))
    }

    /// Ends all requests that were never written (O-3, O-8).
    pub(crate) fn fail_unwritten(&mut self, why: &str) -> Vec<Ended> {
        let unwritten = self.pending.iter().filter(|(_, pending)| !pending.written).map(|(id, _)| *id);
        let unwritten: Vec<u64> = unwritten.collect();
        unwritten.into_iter().filter_map(|id| self.end(id, Err(Failure::definite(why)))).collect()
    }

    /// Ends the oldest request as lost after it was written (O-4).
    pub(crate) fn fail_written(&mut self, why: &str) -> Option<Ended> {
        let id = self.pending.front().map(|(id, _)| *id)?;
        self.end(id, Err(Failure::new(FailureKind::Ambiguous, why)))
    }

    /// Ends a request. Each request ends once.
    fn end(&mut self, id: u64, result: Result<Reply, Failure>) -> Option<Ended> {
        let Pending { expected, owner, .. } = self.pending.remove(&id)?;
        let (result, unshown_prompt) = match expected {
            // The outcome does not matter: the host's sign was shown, or it was not.
            Expected::Ignore => (Ok(Reply::Done), None),
            Expected::Prompted(prompt_id) => {
                // A prompt that may have been shown stays open, since its answer may come.
                let unshown = result.as_ref().is_err_and(|failure| failure.kind != FailureKind::Ambiguous);
                (result, unshown.then_some(prompt_id))
            }
            Expected::Sent
            | Expected::Done
            | Expected::Thread
            | Expected::ChatInfo(_)
            | Expected::Raw
            | Expected::Written => (result, None),
        };
        Some(Ended { id: RequestId(id), owner, result, unshown_prompt })
    }
}
