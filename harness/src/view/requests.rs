//! Requests of the gateway, joined with their results.

use super::frame::ReadFrame;
use super::marks::{Marks, Place, duration};
use super::model::LinkKind;
use super::problems::ProblemKind;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

/// Maximum number of requests that are remembered. The oldest leaves.
const MAX_REQUESTS: usize = 16_384;

/// A request, remembered for its result.
#[derive(Clone, Debug)]
struct Request {
    place: Place,
    op: String,
    chat: Option<String>,
    state: RequestState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RequestState {
    Pending,
    Answered,
    /// No result came in time, or before the end of its connection.
    Lost,
}

/// Content of a result's request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) at: usize,
    pub(super) op: String,
    pub(super) chat: Option<String>,
}

/// Requests by dial and id.
#[derive(Debug)]
pub(super) struct Requests {
    timeout_ms: u64,
    known: BTreeMap<(usize, String), Request>,
    /// Keys, oldest first: all have the same time-out, so the first is due first.
    order: VecDeque<(usize, String)>,
    /// Number of keys at the front of `order` whose time-out is over.
    expired: usize,
}

impl Requests {
    pub(super) fn new(timeout_ms: u64) -> Requests {
        Requests { timeout_ms, known: BTreeMap::new(), order: VecDeque::new(), expired: 0 }
    }

    /// Adds a request.
    pub(super) fn ask(&mut self, dial: usize, frame: &ReadFrame, place: Place, op: &str, chat: Option<&str>) {
        let Some(id) = frame.id("requestId") else { return };
        let request =
            Request { place, op: op.to_owned(), chat: chat.map(str::to_owned), state: RequestState::Pending };
        if self.known.insert((dial, id.clone()), request).is_none() {
            self.order.push_back((dial, id));
        }
        if self.order.len() > MAX_REQUESTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.expired = self.expired.saturating_sub(1);
            self.known.remove(&oldest);
        }
    }

    /// Joins a result with its request.
    pub(super) fn answer(
        &mut self,
        dial: usize,
        frame: &ReadFrame,
        place: Place,
        marks: &mut Marks,
    ) -> Option<Asked> {
        let key = (dial, frame.id("requestId").unwrap_or_default());
        let Some(request) = self.known.get_mut(&key) else {
            marks.problem(place.at, ProblemKind::StrayResult, "No request on this connection has this id.");
            return None;
        };
        let waited = place.t.saturating_sub(request.place.t);
        match request.state {
            RequestState::Answered => {
                marks.problem(place.at, ProblemKind::StrayResult, "The request has a result already.");
            }
            RequestState::Lost => {
                let detail = format!("It comes {} after the request.", duration(waited));
                marks.problem(place.at, ProblemKind::LateResult, detail);
                marks.link(request.place, place, LinkKind::Result);
            }
            RequestState::Pending => {
                marks.link(request.place, place, LinkKind::Result);
                if let Some((kind, detail)) = frame.object("result").map_or_else(
                    || Some((ProblemKind::NoSuccess, "The result is not an object.".to_owned())),
                    |result| outcome(result, &request.op),
                ) {
                    marks.problem(place.at, kind, detail);
                }
            }
        }
        request.state = RequestState::Answered;
        Some(Asked { at: request.place.at, op: request.op.clone(), chat: request.chat.clone() })
    }

    /// Marks the requests that have timed out.
    pub(super) fn expire(&mut self, now: u64, marks: &mut Marks) {
        while let Some(key) = self.order.get(self.expired) {
            let Some(request) = self.known.get_mut(key) else {
                self.expired += 1;
                continue;
            };
            if now <= request.place.t.saturating_add(self.timeout_ms) {
                return;
            }
            self.expired += 1;
            if request.state == RequestState::Pending {
                request.state = RequestState::Lost;
                let detail = format!("No result came within {}.", duration(self.timeout_ms));
                marks.problem(request.place.at, ProblemKind::NoResult, detail);
            }
        }
    }

    /// Marks the pending requests of a connection that has ended.
    pub(super) fn lose(&mut self, dial: usize, marks: &mut Marks) {
        for request in self.of_dial(dial).filter(|request| request.state == RequestState::Pending) {
            request.state = RequestState::Lost;
            marks.problem(request.place.at, ProblemKind::LostRequest, "");
        }
    }

    /// Marks the requests that are pending at the end of the recording.
    pub(super) fn end(&mut self, marks: &mut Marks) {
        for request in self.known.values().filter(|request| request.state == RequestState::Pending) {
            marks.problem(request.place.at, ProblemKind::Unanswered, "");
        }
    }

    fn of_dial(&mut self, dial: usize) -> impl Iterator<Item = &mut Request> {
        let (from, to) = ((dial, String::new()), (dial + 1, String::new()));
        self.known.range_mut(from..to).map(|(_, request)| request)
    }
}

/// Returns the problem that a result shows.
fn outcome(result: &Map<String, Value>, op: &str) -> Option<(ProblemKind, String)> {
    let error = result.get("error").and_then(Value::as_str).unwrap_or_default();
    let code = result.get("code").and_then(Value::as_str);
    let detail = match (error, code) {
        ("", None) => String::new(),
        ("", Some(code)) => super::gist::quoted(code, 200),
        (error, None) => super::gist::quoted(error, 200),
        (error, Some(code)) => {
            format!("{} ({})", super::gist::quoted(error, 200), super::gist::one_line(code, 60))
        }
    };
    let success = result.get("success");
    let is_chat = op == "get_chat_info"
        && success != Some(&Value::Bool(false))
        && ["chat_info", "name", "type"].iter().any(|name| result.contains_key(*name));
    if success == Some(&Value::Bool(true)) || is_chat {
        return None;
    }
    let lowered = error.to_ascii_lowercase();
    let is_decline = code.map_or_else(
        || lowered.contains("egress declined:") && !lowered.contains("ack lost"),
        |code| code == "egress_declined",
    );
    let kind = if result.get("ambiguous") == Some(&Value::Bool(true)) {
        ProblemKind::AmbiguousResult
    } else if is_decline {
        ProblemKind::Declined
    } else if success == Some(&Value::Bool(false)) {
        ProblemKind::Rejected
    } else {
        ProblemKind::NoSuccess
    };
    Some((kind, detail))
}
