//! Model of streamed replies (O-7, O-10, O-12 to O-14, M-7, M-8): bounds on each frame and on the end, independent of
//! how the text is split. Frames are assigned to streams by a name that the workload puts into their metadata.

use super::Model;
use super::places::{Anchor, Target};
use super::requests::{ExpectedResult, expected_result};
use crate::simulate::oracle::Oracle;
use relayline_core::command::{Command, Failure, FailureKind, Metadata, Reply};
use relayline_core::op::{StreamReply, Turn, TurnState};
use relayline_core::time::Time;
use relayline_core::usage::Usage;
use serde_json::Value;
use std::collections::BTreeSet;

/// Metadata field with the name of the stream.
pub(crate) const NAME: &str = "stream";

/// A frame without a result.
#[derive(Debug)]
struct FrameInFlight {
    request: u64,
    action: Value,
    /// Time of the request; `None` if it may have waited for the socket.
    asked: Option<Time>,
    /// True if it repeats a seal (O-13).
    repeats: bool,
}

impl FrameInFlight {
    fn op(&self) -> &str {
        self.action["op"].as_str().unwrap_or_default()
    }

    fn notifies(&self) -> bool {
        self.action["metadata"].get("notify").is_some()
    }
}

/// A streamed reply.
#[derive(Debug)]
pub(super) struct StreamModel {
    delivery: Option<u64>,
    chat: String,
    platform: Option<String>,
    /// Message that it answers, and thread of the whole reply.
    reply_to: Option<String>,
    thread: Option<String>,
    metadata: Metadata,
    /// True if the platform's features are known, because its chat was not forgotten.
    is_known: bool,
    /// Features at the start of the stream.
    is_slack: bool,
    drafts: bool,
    text: String,
    /// Request of its last state.
    last: Option<u64>,
    /// Draft that may be shown, and its text.
    draft: Option<(i64, String)>,
    sealed: BTreeSet<i64>,
    flight: Option<FrameInFlight>,
    /// Seal with an unknown outcome, to be repeated (O-13).
    unconfirmed_seal: Option<Value>,
    /// True if a seal was rejected, so that the text must be sent (O-13).
    must_send: bool,
    /// True if a draft was rejected, so that there are no more drafts (O-14).
    has_left_drafts: bool,
    /// True if the platform has not offered drafts at some time.
    may_lack_drafts: bool,
    /// True if shown messages cannot be edited any more.
    cannot_edit: bool,
    /// Request that stopped its turn.
    stopped: Option<u64>,
    /// True if its connection has ended since the last state, or nothing could be written for a while.
    is_held: bool,
    /// Rule that ends the stream, and the required failure.
    over: Option<(&'static str, FailureKind)>,
    /// Number of frames that completed the text and were not rejected.
    notified: u64,
    /// True if its last state does not complete the answer, and if its first message points at no message.
    is_interim: bool,
    continues: bool,
    /// Value of `notify` that the host has set.
    notify: Option<Value>,
    has_notified_in_vain: bool,
    /// True if the host was notified of its end.
    is_reported: bool,
    /// True if a result may have come too late, so that the consequences are unknown.
    is_unknown: bool,
}

impl StreamModel {
    /// Applies the result of a frame; `None` if it was lost.
    fn ended(&mut self, flight: &FrameInFlight, result: Option<ExpectedResult>) {
        let is_seal = flight.action["final"] == true;
        let is_well = matches!(result, Some(ExpectedResult::Success { .. }));
        let is_rejected = matches!(result, Some(ExpectedResult::Failure(FailureKind::Rejected)));
        if flight.notifies() && is_rejected && !flight.repeats {
            self.notified -= 1;
            self.has_notified_in_vain = true;
        }
        if result == Some(ExpectedResult::Failure(FailureKind::Declined)) {
            self.draft = None;
            self.over = Some(("O-7", FailureKind::Declined));
            return;
        }
        match flight.op() {
            "draft" if is_seal => {
                let draft = self.draft.take();
                if is_well {
                    self.sealed.extend(draft.map(|(id, _)| id));
                } else if flight.repeats {
                    self.over = Some(("O-13", FailureKind::Ambiguous));
                } else if is_rejected {
                    self.must_send = true;
                    self.has_left_drafts = true;
                } else {
                    self.draft = draft;
                    self.unconfirmed_seal = Some(flight.action.clone());
                }
            }
            "draft" if is_rejected => {
                self.draft = None;
                self.has_left_drafts = true;
            }
            "send" if is_rejected => self.over = Some(("O-10", FailureKind::Rejected)),
            "send" => {
                self.cannot_edit |= is_well && result == Some(ExpectedResult::Success { message_id: None });
            }
            "edit" => self.cannot_edit |= is_rejected,
            _ => {}
        }
    }

    /// Ends the connection: frames in flight become ambiguous, and a seal is not repeated on another connection.
    fn disconnected(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.ended(&flight, None);
        }
        if self.unconfirmed_seal.take().is_some() {
            self.draft = None;
            self.over = Some(("O-13", FailureKind::Ambiguous));
        }
        self.is_held = true;
    }
}

impl Model {
    /// Records an accepted state.
    pub(super) fn stream_updated(&mut self, oracle: &mut Oracle, id: u64, state: &StreamReply) {
        if !self.streams.contains_key(&state.stream) {
            let Some(begun) = self.begin_stream(oracle, state) else { return };
            self.streams.insert(state.stream.clone(), begun);
        }
        if let Some(stream) = self.streams.get_mut(&state.stream) {
            stream.text.clone_from(&state.text);
            stream.last = state.last.then_some(id);
            stream.is_interim = state.interim;
            if let Some(notify) = state.metadata.get("notify").filter(|_| state.last) {
                stream.notify = Some(notify.clone());
            }
            stream.is_held &= stream.stopped.is_some();
        }
        self.refresh_features();
    }

    fn begin_stream(&self, oracle: &mut Oracle, state: &StreamReply) -> Option<StreamModel> {
        let target = match state.delivery {
            None => Target {
                platform: state.platform.clone(),
                chat: state.chat_id.clone(),
                message: state.reply_to.clone(),
                thread: None,
            },
            Some(delivery) => {
                let known = self.places.target(delivery.number());
                oracle.check("M-7", "only-what-is-remembered-is-answered", known.is_some(), || {
                    format!("{delivery:?} was forgotten")
                });
                known?.clone()
            }
        };
        let offer = self.places.offer(&target.chat, target.platform.as_deref())?;
        let own = state.metadata.get("thread_id").and_then(Value::as_str).map(str::to_owned);
        let mut metadata = state.metadata.clone();
        let thread = own.or(target.thread.clone());
        metadata.extend(thread.clone().map(|thread| ("thread_id".to_owned(), thread.into())));
        let (platform, message) = (target.platform.as_deref(), target.message.as_deref());
        let anchor = self.places.anchor(&target.chat, platform, message, &metadata);
        let is_known = self.places.is_sure() || platform.is_some();
        Some(StreamModel {
            delivery: state.delivery.map(relayline_core::output::DeliveryId::number),
            is_known,
            is_slack: offer.is_slack(),
            drafts: offer.drafts(&state.metadata) || !is_known,
            cannot_edit: !offer.edits || !is_known,
            thread: thread.or(anchor.thread()),
            chat: target.chat,
            platform: target.platform,
            reply_to: target.message,
            metadata,
            text: String::new(),
            last: None,
            draft: None,
            sealed: BTreeSet::new(),
            flight: None,
            unconfirmed_seal: None,
            must_send: false,
            has_left_drafts: false,
            may_lack_drafts: !is_known,
            stopped: None,
            is_held: false,
            over: None,
            notified: 0,
            is_interim: false,
            continues: state.continues,
            notify: state.metadata.get("notify").cloned(),
            has_notified_in_vain: false,
            is_reported: false,
            is_unknown: false,
        })
    }

    /// Updates the features of all streams. A stream without drafts may continue without them.
    fn refresh_features(&mut self) {
        let Model { streams, places, dials, .. } = self;
        if dials.up.is_none() {
            return;
        }
        for stream in streams.values_mut() {
            let offer = places.offer(&stream.chat, stream.platform.as_deref());
            let is_unknown = stream.platform.is_none() && !places.is_sure();
            stream.cannot_edit |= is_unknown;
            stream.may_lack_drafts |=
                is_unknown || !offer.is_some_and(|offer| offer.drafts(&Metadata::new()));
            stream.cannot_edit |= !offer.is_some_and(|offer| offer.edits);
        }
    }

    /// Stops the streams that answer the delivery of a stopped turn (O-13).
    pub(super) fn stops_streams(&mut self, id: u64, turn: Turn) {
        if turn.state != TurnState::Stopped {
            return;
        }
        let delivery = Some(turn.delivery.number());
        for stream in self.streams.values_mut().filter(|stream| stream.delivery == delivery) {
            stream.stopped.get_or_insert(id);
        }
    }

    /// Records a written frame.
    pub(super) fn stream_frame_written(
        &mut self,
        oracle: &mut Oracle,
        request: u64,
        name: &str,
        frame: &Value,
    ) {
        let Some(mut stream) = self.streams.remove(name) else {
            return oracle.fail("O-3", "only-what-was-asked-is-written", || frame.to_string());
        };
        let action = &frame["action"];
        let asked = Some(self.now).filter(|_| self.can_write);
        if let Some(before) = stream.flight.take() {
            let timeout = self.config.timing.request_timeout;
            let since = before.asked.filter(|_| asked.is_some());
            let is_over = since.is_none_or(|since| self.now.since(since) >= timeout);
            oracle.check("O-10", "a-stream-has-one-step-at-a-time", is_over, || {
                format!("{action}, while {before:?} waits for its answer")
            });
            stream.ended(&before, None);
        }
        let unconfirmed_seal = stream.unconfirmed_seal.take();
        match &unconfirmed_seal {
            Some(seal) => oracle.check("O-13", "a-seal-is-repeated-as-it-was", seal == action, || {
                format!("{action}, not {seal}")
            }),
            None => {
                self.check_frame(oracle, request, &mut stream, action);
                self.check_frame_place(oracle, &stream, frame);
            }
        }
        let flight =
            FrameInFlight { request, action: action.clone(), asked, repeats: unconfirmed_seal.is_some() };
        stream.flight = Some(flight);
        self.streams.insert(name.to_owned(), stream);
    }

    /// Checks a frame that does not repeat a seal.
    fn check_frame(&self, oracle: &mut Oracle, request: u64, stream: &mut StreamModel, action: &Value) {
        if stream.is_unknown {
            return;
        }
        if let Some((rule, _)) = stream.over {
            oracle.fail(rule, "nothing-follows-the-end-of-a-reply", || action.to_string());
        }
        let content = action["content"].as_str().unwrap_or_default();
        let is_seal = action["final"] == true;
        let is_stopped = stream.stopped.is_some_and(|stopped| request > stopped);
        if is_stopped {
            let shown = stream.draft.as_ref().map(|(_, content)| content.as_str());
            let fits = is_seal && shown == Some(content) && action["metadata"].get("notify").is_none();
            oracle.check("O-13", "a-stopped-reply-seals-what-is-shown", fits, || {
                format!("{action}, with {shown:?} shown")
            });
        }
        let op = action["op"].as_str().unwrap_or_default();
        let must_send = std::mem::take(&mut stream.must_send);
        oracle.check("O-13", "a-rejected-seal-is-sent", !must_send || op == "send", || action.to_string());
        if op == "draft" {
            let id = action["draft_id"].as_i64().unwrap_or_default();
            let allowed = stream.drafts && !stream.has_left_drafts;
            oracle.check("O-14", "drafts-go-where-they-are-taken", allowed, || action.to_string());
            oracle
                .check("O-13", "nothing-follows-a-seal", !stream.sealed.contains(&id), || action.to_string());
            let open = stream.draft.as_ref().map(|(open, _)| *open);
            oracle.check("O-12", "a-reply-has-one-draft", open.is_none_or(|open| open == id), || {
                format!("{action}, with {open:?} open")
            });
            oracle.check(
                "O-12",
                "only-slacks-drafts-are-sealed",
                !is_seal || ((stream.is_slack || !stream.is_known) && open.is_some()),
                || action.to_string(),
            );
            stream.draft = Some((id, content.to_owned()));
        } else {
            let must_seal = stream.is_slack && stream.draft.is_some() && !stream.may_lack_drafts;
            oracle.check("O-12", "an-open-draft-is-sealed", !must_seal, || action.to_string());
            stream.draft = None;
        }
        if let Some(notify) = action["metadata"].get("notify") {
            let is_last = stream.last.is_some_and(|last| request > last) && !is_stopped;
            let completes = without_whitespace(&stream.text).ends_with(&without_whitespace(content));
            let expected = stream.notify.as_ref().unwrap_or(&Value::Bool(true));
            let fits =
                is_last && completes && !stream.is_interim && stream.notified == 0 && notify == expected;
            oracle.check("M-7", "the-frame-that-completes-an-answer-notifies", fits, || {
                format!("{action}, of {:?}", stream.text)
            });
            stream.notified += 1;
        }
        if is_stopped {
            stream.over.get_or_insert(("O-13", FailureKind::Definite));
        }
    }

    /// Checks the place of a frame (M-3, M-7, M-8).
    fn check_frame_place(&self, oracle: &mut Oracle, stream: &StreamModel, frame: &Value) {
        let action = &frame["action"];
        oracle.check("M-7", "an-answer-goes-to-its-chat", action["chat_id"] == *stream.chat, || {
            frame.to_string()
        });
        // A frame that waited for the socket was placed by older knowledge.
        if !self.places.is_sure() || !self.can_write {
            return;
        }
        let platform = stream.platform.as_deref();
        let tag = self.places.tag(&stream.chat, platform);
        oracle.check(
            "M-3",
            "an-answer-goes-out-as-its-platform",
            frame["platform"].as_str() == tag.as_deref(),
            || format!("{frame}, not as {tag:?}"),
        );
        let is_send = action["op"] == "send";
        let answers = stream.reply_to.as_deref();
        let mut placed = stream.metadata.clone();
        placed.extend(stream.thread.clone().map(|thread| ("thread_id".to_owned(), thread.into())));
        let anchor = self.places.anchor(&stream.chat, platform, answers.filter(|_| is_send), &placed);
        let (points, metadata) = (action["reply_to"].as_str(), &action["metadata"]);
        // A further message of the reply replies to no message, and is anchored only by the stream's thread.
        let thread = match points {
            None => stream.thread.clone(),
            Some(_) => stream.thread.clone().or(anchor.thread()),
        };
        let mut fits = metadata["thread_id"].as_str() == thread.as_deref();
        fits &= points.is_none() || (points == answers && anchor != Anchor::Flat && !stream.continues);
        oracle.check("M-8", "a-streamed-reply-is-anchored", fits, || {
            format!("{frame}: {thread:?}, {anchor:?}, answers {answers:?}")
        });
        let is_flat = anchor == Anchor::Flat && metadata.get("reply_to_message_id").is_none();
        let names = metadata["reply_to_message_id"].as_str() == answers || is_flat;
        oracle.check("M-7", "an-answer-names-its-message", names || metadata.get("notify").is_none(), || {
            frame.to_string()
        });
    }

    /// Applies a result of the connector.
    pub(super) fn stream_frame_answered(&mut self, request: u64, result: Option<&Value>) {
        let waits = |stream: &&mut StreamModel| {
            stream.flight.as_ref().is_some_and(|flight| flight.request == request)
        };
        if let Some(stream) = self.streams.values_mut().find(waits)
            && let Some(flight) = stream.flight.take()
        {
            // A frame that waited for the socket was requested after the command before it.
            let earliest = flight.asked.or_else(|| self.requests.accepted_before(request));
            let timeout = self.config.timing.request_timeout;
            let may_be_late = earliest.is_none_or(|earliest| self.now.since(earliest) >= timeout);
            stream.is_unknown |= flight.asked.is_none() && may_be_late;
            stream.ended(&flight, Some(expected_result(result)));
            self.refresh_features();
        }
    }

    /// Expires frames without a result before a tick (O-4).
    pub(super) fn expire_stream_frames(&mut self) {
        let (now, timeout) = (self.now, self.config.timing.request_timeout);
        for stream in self.streams.values_mut() {
            let asked = stream.flight.as_ref().and_then(|flight| flight.asked);
            if asked.is_some_and(|asked| now.since(asked) >= timeout)
                && let Some(flight) = stream.flight.take()
            {
                stream.ended(&flight, None);
            }
        }
    }

    pub(super) fn streams_disconnected(&mut self) {
        self.streams.values_mut().for_each(StreamModel::disconnected);
    }

    /// Checks the end of a stream. Returns true if its whole text must be shown.
    pub(super) fn stream_completed(
        &mut self,
        oracle: &mut Oracle,
        name: &str,
        result: &Result<Reply, Failure>,
    ) -> bool {
        let Some(stream) = self.streams.get(name) else { return false };
        let failed = result.as_ref().err().map(|failure| failure.kind);
        let is_stopped = stream.stopped.is_some();
        let must_fail = match (stream.over, &stream.unconfirmed_seal) {
            (Some((rule, kind)), _) => Some((rule, kind)),
            (None, Some(_)) => Some(("O-13", FailureKind::Ambiguous)),
            (None, None) => None,
        };
        let is_checked = !is_stopped && !stream.is_unknown;
        if let Some((rule, kind)) = must_fail.filter(|_| is_checked) {
            oracle.check(rule, "a-reply-ends-as-it-went", failed == Some(kind), || {
                format!("{name}: {result:?}, not {kind:?}")
            });
        }
        if failed.is_none() && is_checked {
            let may_be_silent = stream.cannot_edit
                || stream.has_notified_in_vain
                || without_whitespace(&stream.text).is_empty()
                || stream.is_interim;
            let fits = stream.notified == 1 || (stream.notified == 0 && may_be_silent);
            oracle.check("M-7", "a-finished-answer-has-notified-once", fits, || format!("{stream:?}"));
        }
        if let Some(stream) = self.streams.get_mut(name)
            && (failed != Some(FailureKind::Definite) || is_stopped)
        {
            // Missing frames show once everything is written.
            stream.is_reported = true;
        }
        is_checked
    }

    /// Checks that a state before the last fails only after the end of the reply.
    pub(super) fn stream_state_completed(
        &self,
        oracle: &mut Oracle,
        name: &str,
        result: &Result<Reply, Failure>,
    ) {
        let Err(failure) = result else { return };
        let stream = self.streams.get(name);
        let over = stream.and_then(|stream| stream.over).map(|(_, kind)| kind);
        let is_excused = stream.is_some_and(|stream| stream.stopped.is_some() || stream.is_unknown);
        let fits = over == Some(failure.kind) || is_excused;
        oracle.check("O-10", "a-state-fails-after-the-end-alone", fits, || {
            format!("{failure:?} of {stream:?}")
        });
    }

    /// Checks the seals of a drained machine.
    pub(super) fn check_seals(&mut self, oracle: &mut Oracle, held: &Usage) {
        if self.streams.is_empty() {
            return;
        }
        self.refresh_features();
        if !self.can_write {
            // A frame that waits for the socket may be given up (O-4).
            self.streams.values_mut().for_each(|stream| stream.is_held = true);
        }
        self.check_each_seal(oracle, held);
        self.streams.retain(|_, stream| !stream.is_reported);
    }

    fn check_each_seal(&self, oracle: &mut Oracle, held: &Usage) {
        let limits = &self.config.limits;
        let has_room = self.can_write && held.requests < limits.max_in_flight && held.unwritten_bytes == 0;
        let is_served =
            self.dials.up.is_some() && self.dials.closing.is_none() && self.dials.leaving.is_none();
        // A seal larger than the write queue can never be written.
        if !has_room || !is_served || limits.write_queue_bytes < 1 << 20 {
            return;
        }
        for (name, stream) in &self.streams {
            let waits =
                stream.flight.is_some() || stream.over.is_some() || stream.is_held || stream.is_unknown;
            oracle.check(
                "O-13",
                "an-unsure-seal-is-repeated",
                stream.unconfirmed_seal.is_none() || waits,
                || format!("{name}: {stream:?}"),
            );
            let is_open = stream.is_slack && stream.draft.is_some() && !stream.may_lack_drafts;
            let must_seal = stream.stopped.is_some() && is_open && !waits;
            oracle.check("O-13", "a-stopped-reply-is-sealed", !must_seal, || format!("{name}: {stream:?}"));
        }
    }
}

/// Returns the name of a command's stream.
pub(super) fn name_of(command: &Command) -> String {
    match command {
        Command::Stream(state) => state.stream.clone(),
        _ => String::new(),
    }
}

/// Returns the text without white space.
fn without_whitespace(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_whitespace()).collect()
}
