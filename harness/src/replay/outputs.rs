//! What the machine puts out: taken, traced, and answered where a peer answers at once.

use super::player::Player;
use super::run::{Before, Dialed, Wait};
use super::trace;
use relayline_core::machine::IoEvent;
use relayline_core::output::{Action, Conn, Content, Delivery, DeliveryId, Notice, Transmit};
use relayline_core::session_key::session_key;
use relayline_core::trace::Entry;
use serde_json::{Value, json};
use std::time::Duration;

/// Counters of what has a line of its own in the trace; and of pieces on a socket that is over, which say how messages
/// were cut (W-1).
const SHOWN: [&str; 12] = [
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

impl Player<'_> {
    /// Takes all that the machine puts out, and answers what a peer answers at once.
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
            if quiet {
                return self.tell_what_was_counted();
            }
        }
    }

    /// What the machine passes over is nowhere else to be seen.
    fn tell_what_was_counted(&mut self) {
        let counted = self.machine.stats().clone();
        let before = std::mem::replace(&mut self.counted, counted.clone());
        for (counter, by) in counted.since(&before).filter(|(counter, _)| !SHOWN.contains(counter)) {
            self.trace(trace::counted(self.now, counter, by));
        }
    }

    fn act(&mut self, action: Action) {
        self.trace(Entry::action(self.now, &action));
        match action {
            Action::Dial { conn, token } => {
                self.run.dials.push(Dialed {
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
            // The trace has it already.
            Action::Complete { .. } | Action::Respond { .. } => {}
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

    /// L-5 as a second opinion on every wait.
    fn count_attempts(&mut self, notice: &Notice) {
        match notice {
            Notice::Connected { .. } => self.up_since = Some(self.now),
            Notice::Disconnected { retry_in, .. } => {
                let at_once = *retry_in == Some(Duration::ZERO);
                self.last_end = if self.refused && at_once { Before::Refusal } else { Before::Loss };
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
            // That wait was the dormant one (L-13), not a back-off.
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
        self.hand_over(delivery.id);
        if let Content::Message(message) = &delivery.content {
            let source = message.source();
            let value = json!({
                "text": message.text(),
                "chat_id": source.chat_id(),
                "user_id": source.user_id(),
                "message_id": message.message_id(),
                "session_key": session_key(source, self.config.sessions, None),
            });
            self.run.messages.push((self.now, value));
        }
    }

    /// Remembers which entry a delivery is, until the recorded host says what became of it.
    fn hand_over(&mut self, delivery: DeliveryId) {
        let entry = self.machine.buffer_id(delivery).map(str::to_owned);
        let conn = self.run.dials.last().map(|dialed| dialed.conn);
        if let (Some(entry), Some(conn)) = (entry, conn) {
            self.handed.push((entry, delivery, conn));
        }
    }

    /// What a peer answers at once. It is drained by who is draining.
    fn answer(&mut self, event: IoEvent<'_>) {
        self.trace(Entry::io(self.now, &event));
        self.machine.handle_io(self.clock(), event);
    }

    fn transmit(&mut self, transmit: &Transmit, frame: &[u8]) {
        self.trace(Entry::transmit(self.now, transmit, frame, &self.shown));
        match transmit {
            Transmit::Frame { conn } => {
                let line = String::from_utf8_lossy(frame).trim_end().to_owned();
                let frame = serde_json::from_str::<Value>(&line).unwrap_or_default();
                if let (Some("outbound"), Some(id)) = (frame["type"].as_str(), frame["requestId"].as_str()) {
                    self.made.requests.push(id.to_owned());
                }
                let action = &frame["action"];
                if action["op"] == "prompt" {
                    self.made.prompts.push(action["prompt_id"].as_str().unwrap_or_default().to_owned());
                }
                let at = self.now;
                if let Some(dialed) = self.dialed(*conn) {
                    dialed.frames.push((at, line));
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

    fn dialed(&mut self, conn: Conn) -> Option<&mut Dialed> {
        self.run.dials.iter_mut().rev().find(|dialed| dialed.conn == conn)
    }
}
