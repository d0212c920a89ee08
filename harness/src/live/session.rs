//! One gateway's session that is going on: its events as lines of a recording, and what a view says about them.

use super::feed::FeedContent;
use super::line_ring::LineRing;
use crate::recorder::{Encoder, Redactor, SniffedMessage, WireEvent};
use crate::recording::{Data, Gateway, LineContent, RecordedLine, Side};
use crate::view::{Analyzer, ViewUpdate};
use relayline_core::output::Phase;
use relayline_core::secret::Secret;
use serde::Serialize;

/// Additions of an event to the view of a session.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct LiveUpdate {
    /// Position of its first entry; the number of entries so far if it adds none.
    pub at: usize,
    /// State of the connection before it, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// Additions.
    #[serde(rename = "u")]
    pub updates: Vec<ViewUpdate>,
}

/// A session that is going on.
#[derive(Debug)]
pub(super) struct LiveSession {
    number: usize,
    encoder: Encoder,
    analyzer: Analyzer,
    /// Number of entries so far.
    entries: usize,
    /// Number of lines so far. The header of a recording is line 1.
    lines: usize,
    state: Option<Phase>,
}

impl LiveSession {
    pub(super) fn new(number: usize, redactor: Redactor, gateway: &Gateway) -> LiveSession {
        LiveSession {
            number,
            encoder: Encoder::new(redactor),
            analyzer: Analyzer::new(gateway),
            entries: 0,
            lines: 1,
            state: None,
        }
    }

    /// Adds an event of a dial.
    pub(super) fn add(
        &mut self,
        t_ms: u64,
        dial: u32,
        what: FeedContent,
        ring: &mut LineRing,
    ) -> Vec<LiveUpdate> {
        let (event, end) = match what {
            FeedContent::Dial { target, gateway_id, has_token } => {
                let connect = WireEvent::Connect { path: target, headers: Vec::new(), gateway_id };
                let mut lines = self.encoder.encode(t_ms, dial, connect);
                if has_token {
                    lines.iter_mut().for_each(mark_token);
                }
                return self.take(lines, ring);
            }
            FeedContent::Message { by, bytes } => {
                let data = match std::str::from_utf8(&bytes) {
                    Ok(text) => Data::Text(text.to_owned()),
                    Err(_) => Data::Binary(bytes.to_vec()),
                };
                (WireEvent::Sent { by, seen: SniffedMessage::Message(data) }, None)
            }
            FeedContent::Close { by, code, reason } => {
                (WireEvent::Sent { by, seen: SniffedMessage::Close { code, reason } }, None)
            }
            FeedContent::Cut { by, reason } => (WireEvent::Cut { by }, Some(reason)),
            FeedContent::Refused(refused) => (WireEvent::Reject(refused), Some(String::new())),
            FeedContent::Unanswered(why) => (WireEvent::Cut { by: Side::Connector }, Some(why)),
            FeedContent::Phase(state) => {
                let updates = self.analyzer.state(t_ms, state);
                let before = self.state.replace(state);
                return vec![self.update(before, updates)];
            }
            FeedContent::Timer(timer) => {
                let updates = self.analyzer.timer(t_ms, timer);
                return self.updates(updates);
            }
            FeedContent::Counted(counter) => {
                let updates = self.analyzer.counted(counter);
                return self.updates(updates);
            }
            FeedContent::Unknown => return Vec::new(),
        };
        let mut lines = self.encoder.encode(t_ms, dial, event);
        if let Some(why) = end {
            if !why.is_empty() {
                lines.extend(self.encoder.encode(t_ms, dial, WireEvent::Note(why)));
            }
            lines.extend(self.encoder.encode(t_ms, dial, WireEvent::Over { note: None }));
        }
        self.take(lines, ring)
    }

    /// Notes that events were lost.
    pub(super) fn lose(&mut self, t_ms: u64, lost: u64, ring: &mut LineRing) -> Vec<LiveUpdate> {
        let lines = self.encoder.encode(t_ms, 0, WireEvent::Lost(lost));
        self.take(lines, ring)
    }

    /// Marks what is overdue at this time.
    pub(super) fn tick(&mut self, t_ms: u64, ring: &mut LineRing) -> Vec<LiveUpdate> {
        let lines = self.encoder.expire(t_ms);
        let mut updates = self.take(lines, ring);
        let overdue = self.analyzer.overdue(t_ms);
        updates.extend(self.updates(overdue));
        updates
    }

    fn take(&mut self, lines: Vec<RecordedLine>, ring: &mut LineRing) -> Vec<LiveUpdate> {
        let mut all = Vec::new();
        for mut line in lines {
            self.lines += 1;
            line.number = self.lines;
            ring.push(self.number, &line);
            let updates = self.analyzer.line(&line);
            all.extend(self.updates(updates));
        }
        all
    }

    fn updates(&mut self, updates: Vec<ViewUpdate>) -> Vec<LiveUpdate> {
        if updates.is_empty() { Vec::new() } else { vec![self.update(self.state, updates)] }
    }

    fn update(&mut self, state: Option<Phase>, updates: Vec<ViewUpdate>) -> LiveUpdate {
        let at = self.entries;
        self.entries += updates.iter().filter(|update| matches!(update, ViewUpdate::Entry(_))).count();
        LiveUpdate { at, state: state.map(Phase::name), updates }
    }
}

/// Notes in an upgrade's line that it had a token, as a recorder does.
fn mark_token(line: &mut RecordedLine) {
    if let LineContent::Connect { authorization, .. } = &mut line.what {
        *authorization = Some(Secret::from("Bearer <hidden>"));
    }
}
