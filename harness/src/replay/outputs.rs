//! Outputs of the machine: taken, traced, and answered if a peer answers at once.

use super::frame_causes::FrameCause;
use super::player::Player;
use super::recorded_answers::CURSOR;
use super::run::{MachineChange, ReplayedDial, Wait, WaitCause, WrittenFrame};
use super::session::{Frame, is_early};
use super::trace;
use relayline_core::event::Event;
use relayline_core::machine::IoEvent;
use relayline_core::output::{Action, Conn, Content, Delivery, DeliveryId, Notice, Outcome, Transmit};
use relayline_core::session_key::session_key;
use relayline_core::trace::Entry;
use serde_json::{Value, json};
use std::time::Duration;

/// Counters that need no trace entry: their events have one, or they depend on how messages were cut (W-1).
const TRACED_ELSEWHERE: [&str; 12] = [
    "stale_inputs",
    "dials",
    "handshakes",
    "refusals",
    "credentials_refused",
    "error_frames",
    "frames_in",
    "frames_out",
    "delivered",
    "refused",
    "acks",
    "not_accepted",
];

/// Returns true if two actions send the same content to the same place.
fn is_same_request(recorded: &Value, ours: &Value) -> bool {
    const FIELDS: [&str; 8] =
        ["chat_id", "session_key", "message_id", "emoji", "remove", "thread_name", "source_url", "final"];
    let text = |action: &Value| {
        let content = action["content"].as_str().unwrap_or_default();
        content.strip_suffix(CURSOR).unwrap_or(content).trim_end().to_owned()
    };
    FIELDS.iter().all(|name| recorded[name] == ours[name]) && text(recorded) == text(ours)
}

impl Player<'_> {
    /// Takes all outputs, and gives the immediate answers of a peer.
    pub(super) fn drain(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(action) = self.machine.poll_action() {
                quiet = false;
                self.act(action);
            }
            while let Some(delivery) = self.machine.poll_delivery(self.clock()) {
                quiet = false;
                self.deliver(delivery);
            }
            let mut frame = Vec::new();
            while let Some(transmit) = self.machine.poll_transmit(self.clock(), &mut frame) {
                quiet = false;
                self.transmit(&transmit, &frame);
            }
            self.note_phase();
            if quiet && !self.answer_unrecorded() {
                return self.trace_counters();
            }
        }
    }

    /// Traces the counters of ignored input, which shows nowhere else.
    fn trace_counters(&mut self) {
        let counted = self.machine.stats().clone();
        let before = std::mem::replace(&mut self.counted, counted.clone());
        for (counter, by) in counted.since(&before).filter(|(counter, _)| !TRACED_ELSEWHERE.contains(counter))
        {
            self.trace(trace::counter_increase(self.now, counter, by));
            self.step(MachineChange::Counted(counter));
        }
    }

    fn act(&mut self, action: Action) {
        self.trace(Entry::action(self.now, &action));
        match action {
            Action::Dial { conn, token } => {
                self.run.dials.push(ReplayedDial {
                    conn,
                    at: self.now,
                    after: self.last_end,
                    answered: None,
                    token_is_right: None,
                    frames: Vec::new(),
                    closed: None,
                });
                self.dialing = Some((self.run.dials.len() - 1, token));
                self.refused = false;
            }
            Action::Drop { .. } => {
                self.dialing = None;
            }
            Action::Complete { id, result } => self.turns.complete(id, &result),
            // The trace has it already.
            Action::Respond { .. } => {}
            Action::Interrupt { session_key, chat_id } => {
                let value = json!({"session_key": session_key, "chat_id": chat_id});
                self.run.interrupts.push((self.now, value));
            }
            Action::Notify(notice) => {
                self.count_attempts(&notice);
            }
            Action::Fatal(fatal) => {
                self.disconnecting = false;
                self.run.fatal = Some((self.now, fatal.clone()));
            }
        }
    }

    /// Checks every wait against L-5.
    fn count_attempts(&mut self, notice: &Notice) {
        match notice {
            Notice::StalePrompt { answer } | Notice::UnauthorizedAnswer { answer } => {
                self.turns.choose(answer)
            }
            Notice::Connected { .. } => self.up_since = Some(self.now),
            Notice::Disconnected { retry_in, .. } => {
                let at_once = *retry_in == Some(Duration::ZERO);
                self.last_end = if self.refused && at_once { WaitCause::Refusal } else { WaitCause::Loss };
                let timing = &self.config.timing;
                let held =
                    self.up_since.take().is_some_and(|since| self.now.since(since) >= timing.backoff_reset);
                if held {
                    self.attempts = 0;
                }
                if let Some(wait) = retry_in.filter(|wait| *wait > Duration::ZERO) {
                    self.attempts = self.attempts.saturating_add(1);
                    let doubled = timing.backoff_first.saturating_mul(1 << (self.attempts - 1).min(31));
                    let longest = match std::mem::take(&mut self.is_foreign) {
                        true => timing.backoff_refused_most,
                        false => timing.backoff_most,
                    };
                    let asked = std::mem::take(&mut self.retry_after).min(timing.retry_after_most);
                    let most = doubled.min(longest).max(Duration::from_millis(1));
                    let (least, most) = ((most / 2).max(asked), most.max(asked));
                    self.run.waits.push(Wait { at: self.now, wait, least, most });
                }
            }
            // The wait was that of a dormant gateway (L-13), not a back-off.
            Notice::Dormant { .. } => {
                self.run.waits.pop();
                self.attempts = self.attempts.saturating_sub(1);
            }
            Notice::Stopped => self.disconnecting = false,
            _ => {}
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        self.trace(Entry::delivery(self.now, &delivery, self.config.sessions));
        let message = match &delivery.content {
            Content::Message(message) => {
                let source = &message.source;
                let profile = source.profile.as_deref().filter(|_| !is_early(self.recording));
                let value = json!({
                    "text": message.text,
                    "chat_id": source.chat_id,
                    "user_id": source.user_id,
                    "message_id": message.message_id,
                    "session_key": session_key(source, self.config.sessions, profile),
                });
                self.run.messages.push((self.now, value));
                if !self.session.wire_only {
                    self.turns.deliver(delivery.id, message);
                }
                Some(&**message)
            }
            Content::PromptAnswer(answer) => {
                self.turns.choose(answer);
                None
            }
            _ => None,
        };
        self.track_delivery(delivery.id, message);
    }

    /// Remembers the entry of a delivery until the recorded host's outcome. If the recorded host took it without an
    /// acknowledgement, it is settled at once.
    fn track_delivery(&mut self, delivery: DeliveryId, message: Option<&Event>) {
        let entry = self.machine.buffer_id(delivery).map(str::to_owned);
        let conn = self.run.dials.last().map(|dialed| dialed.conn);
        let (Some(entry), Some(conn)) = (entry, conn) else { return };
        let is_known = !self.session.wire_only && !is_early(self.recording);
        if is_known && self.took_without_ack(&entry, message) {
            self.trace(Entry::settled(self.now, delivery, Outcome::Accepted));
            self.machine.settle(self.clock(), delivery, Outcome::Accepted);
        } else {
            self.handed.push((entry, delivery, conn));
        }
    }

    /// Gives an immediate answer of a peer. The caller continues to drain.
    fn answer(&mut self, event: IoEvent<'_>) {
        self.trace(Entry::io(self.now, &event));
        self.machine.handle_io(self.clock(), event);
    }

    fn transmit(&mut self, transmit: &Transmit, frame: &[u8]) {
        self.trace(Entry::transmit(self.now, transmit, frame, &self.shown));
        match transmit {
            Transmit::Frame { conn } => {
                let text = String::from_utf8_lossy(frame).trim_end().to_owned();
                let frame = serde_json::from_str::<Value>(&text).unwrap_or_default();
                let action = &frame["action"];
                let is_indicator = self.is_turn && action["op"] == "typing";
                let mut counterpart = None;
                if let (Some("outbound"), Some(id)) = (frame["type"].as_str(), frame["requestId"].as_str()) {
                    counterpart = self.find_counterpart(*conn, action, id, is_indicator);
                }
                if action["op"] == "prompt" {
                    self.live_ids.prompts.push(action["prompt_id"].as_str().unwrap_or_default().to_owned());
                }
                let at = self.now;
                if let Some(dialed) = self.dialed(*conn) {
                    dialed.frames.push(WrittenFrame { at, text, counterpart, is_indicator });
                }
            }
            Transmit::Ping { conn } => {
                self.answer(IoEvent::Alive { conn: *conn });
            }
            Transmit::Close { conn, code, .. } => {
                let at = self.now;
                if let Some(dialed) = self.dialed(*conn) {
                    dialed.closed = Some((at, *code));
                }
                self.refused = false;
                self.answer(IoEvent::Closed { conn: *conn, code: Some(*code), reason: "" });
            }
        }
    }

    /// Finds the recorded request that corresponds to a live one, so that it gets the recorded result: a request of
    /// the same call, else one with the same content. Without a match the request gets a made-up result.
    fn find_counterpart(
        &mut self,
        conn: Conn,
        action: &Value,
        id: &str,
        is_indicator: bool,
    ) -> Option<usize> {
        let dial = self.run.dials.iter().rev().find(|dialed| dialed.conn == conn)?.answered?;
        let session = self.session.clone();
        let mut wrote = &session.dials[dial].wrote[..];
        if let (true, Some(line)) = (session.wire_only, self.call) {
            // A request of the call exists, and corresponds to it.
            wrote = &wrote[wrote.partition_point(|frame| frame.line < line)..];
            wrote = &wrote[..wrote.partition_point(|frame| frame.line == line)];
        }
        let asked = wrote.iter().filter_map(|frame| Some((frame, frame.cause.as_ref()?)));
        let is_free = |cause: &FrameCause| !is_indicator && !self.paired.contains(&cause.number);
        let free: Vec<(&Frame, &FrameCause)> = asked
            .filter(|(frame, cause)| is_free(cause) && frame.value["action"]["op"] == action["op"])
            .collect();
        let of_call = |(_, cause): &&(&Frame, &FrameCause)| {
            self.call.is_some_and(|call| session.wire_only || cause.call == Some(call))
        };
        let same = |(frame, _): &&(&Frame, &FrameCause)| is_same_request(&frame.value["action"], action);
        let elsewhere = |(_, cause): &&(&Frame, &FrameCause)| self.call.is_none() || cause.call.is_none();
        let mut candidates = free.iter().filter(of_call).filter(same).chain(free.iter().filter(of_call));
        let found = candidates.next().or_else(|| free.iter().filter(elsewhere).find(same));
        let Some((_, cause)) = found.copied() else {
            if !session.wire_only {
                let message_id = format!("unrecorded-{}", self.run.trace.len());
                let result = json!({"success": true, "message_id": message_id});
                self.owed.push((dial, id.to_owned(), result));
            }
            return None;
        };
        self.paired.insert(cause.number);
        self.live_ids.requests.insert(cause.number, id.to_owned());
        // The live request may be written later than the recorded one, after its result.
        if let Some((_, result)) = cause.result.as_ref().filter(|(line, _)| *line <= self.line) {
            self.owed.push((dial, id.to_owned(), result.clone()));
        }
        Some(cause.number)
    }

    fn dialed(&mut self, conn: Conn) -> Option<&mut ReplayedDial> {
        self.run.dials.iter_mut().rev().find(|dialed| dialed.conn == conn)
    }
}
