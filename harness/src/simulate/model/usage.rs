//! Resource usage of a machine, compared with its limits and with the model.

use super::Model;
use super::requests::RequestKind;
use crate::simulate::oracle::Oracle;
use relayline_core::machine::RelayMachine;
use relayline_core::usage::Usage;

/// Maximum size of an item of the workload, by which the read-ahead may exceed its limit.
const MAX_ITEM_BYTES: usize = 16 << 10;
/// Size of a stream without its text, in bytes: message ids and ends of segments.
const STREAM_OVERHEAD_BYTES: usize = 4 << 10;

impl Model {
    /// Checks the usage of a drained machine.
    pub(super) fn check_usage(&self, oracle: &mut Oracle, machine: &RelayMachine, held: &Usage) {
        self.check_bounds(oracle, held);
        if !self.is_over() {
            self.check_expected_usage(oracle, held);
            self.check_reading(oracle, machine, held);
        }
    }

    /// Checks the limits, at any time.
    pub(crate) fn check_bounds(&self, oracle: &mut Oracle, held: &Usage) {
        let limits = &self.config.limits;
        // Items from before a handshake have their own limit (L-17).
        let waiting_bytes = limits.host_queue_bytes.max(limits.read_ahead_bytes) + limits.read_ahead_bytes;
        let waiting_bytes = waiting_bytes + 2 * MAX_ITEM_BYTES;
        for (what, value, most) in [
            ("unfinished_line_bytes", held.unfinished_line_bytes, limits.max_line_bytes),
            ("waiting_event_bytes", held.waiting_event_bytes, waiting_bytes),
            ("host_queue_bytes", held.host_queue_bytes, held.waiting_event_bytes),
            ("early_event_bytes", held.early_event_bytes, limits.read_ahead_bytes + MAX_ITEM_BYTES),
            ("unsettled_deliveries", held.unsettled_deliveries, limits.dedupe),
            ("unsettled_bytes", held.unsettled_bytes, limits.unsettled_bytes + MAX_ITEM_BYTES),
            ("remembered_deliveries", held.remembered_deliveries, 2 * limits.dedupe),
            ("unanswered_deliveries", held.unanswered_deliveries, limits.deliveries),
            ("requests", held.requests, limits.max_in_flight),
            ("unwritten_bytes", held.unwritten_bytes, limits.write_queue_bytes),
            (
                "unwritten_acks",
                held.unwritten_acks,
                limits.dedupe + limits.dedupe * super::inbox::MAX_WAITERS,
            ),
            ("chats", held.chats, limits.chats),
            ("prompts", held.prompts, limits.prompts),
            ("streams", held.streams, limits.streams),
            ("turns", held.turns, limits.turns),
            ("reply_targets", held.reply_targets, limits.reply_targets),
            ("reply_target_bytes", held.reply_target_bytes, limits.reply_target_bytes.max(4 * 1024)),
            (
                "stream_bytes",
                held.stream_bytes,
                limits.write_queue_bytes + held.streams * STREAM_OVERHEAD_BYTES,
            ),
        ] {
            oracle
                .check("X-1", "all-is-bounded", value <= most, || format!("{what}: {value}, at most {most}"));
        }
    }

    /// Returns true if the host must settle a delivery before it gets another one whose sender waits.
    pub(super) fn has_too_many_unsettled(&self) -> bool {
        let limits = &self.config.limits;
        self.inbox.handed.len() >= limits.dedupe || self.inbox.unsettled_bytes() >= limits.unsettled_bytes
    }

    /// Returns true if the host's queue has room, with this size of waiting events.
    pub(super) fn has_room(&self, waiting: usize) -> bool {
        let limits = &self.config.limits;
        self.inbox.waiting.len() < limits.host_queue && waiting < limits.host_queue_bytes
    }

    /// Returns true if this size of waiting events stops reading. They share a limit with the unsettled deliveries.
    /// The read-ahead is always read, because results may follow the events.
    pub(super) fn is_held_up(&self, waiting: usize) -> bool {
        let limits = &self.config.limits;
        let budget = limits.host_queue_bytes.max(limits.unsettled_bytes);
        let has_room = self.has_room(waiting) && waiting + self.inbox.unsettled_bytes() < budget;
        !has_room && waiting >= limits.read_ahead_bytes
    }

    fn check_expected_usage(&self, oracle: &mut Oracle, held: &Usage) {
        let frames = self.requests.pending.values().filter(|pending| match pending.sort {
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
        });
        let (frames, signs) = (frames.count(), self.turns.in_flight.len());
        let writes = self.dials.open().is_none() || (self.can_write && self.dials.closing.is_none());
        for (what, value, least, most) in [
            ("unfinished_line_bytes", held.unfinished_line_bytes, self.line.len(), self.line.len()),
            ("waiting_events", held.waiting_events, self.inbox.waiting(), self.inbox.waiting()),
            ("host_queue", held.host_queue, self.inbox.waiting.len(), self.inbox.waiting.len()),
            (
                "unsettled_deliveries",
                held.unsettled_deliveries,
                self.inbox.handed.len(),
                self.inbox.handed.len(),
            ),
            (
                "unsettled_bytes",
                held.unsettled_bytes,
                self.inbox.unsettled_bytes(),
                self.inbox.unsettled_bytes(),
            ),
            (
                "unanswered_deliveries",
                held.unanswered_deliveries,
                self.inbox.posts.len(),
                self.inbox.posts.len(),
            ),
            ("actions", held.actions, 0, 0),
            ("action_bytes", held.action_bytes, 0, 0),
            // Each stream may have a step in flight, and turns have their indicators.
            (
                "requests",
                held.requests,
                frames,
                if writes { frames + held.streams + signs } else { usize::MAX },
            ),
            ("turns", held.turns, self.turns.len(), self.turns.len()),
            ("reply_targets", held.reply_targets, self.places.targets(), self.places.targets()),
            (
                "reply_target_bytes",
                held.reply_target_bytes,
                self.places.target_bytes(),
                self.places.target_bytes(),
            ),
            ("unwritten_bytes", held.unwritten_bytes, 0, if writes { 0 } else { usize::MAX }),
            ("unwritten_acks", held.unwritten_acks, 0, if writes { 0 } else { usize::MAX }),
        ] {
            oracle.check("X-1", "nothing-is-held-but-what-must-be", (least..=most).contains(&value), || {
                format!("{what}: {value}, not {least} to {most}")
            });
        }
        let copies =
            (held.waiting_events - held.host_queue, held.waiting_event_bytes - held.host_queue_bytes);
        let fits =
            (copies.0 == 0) == (copies.1 == 0) && (held.host_queue == 0) == (held.host_queue_bytes == 0);
        oracle.check("X-1", "the-hosts-queue-is-a-part-of-what-waits", fits, || format!("{held:?}"));
        let empty = held.waiting_events == 0;
        oracle.check("A-6", "what-left-weighs-nothing", empty == (held.waiting_event_bytes == 0), || {
            format!("{} events of {} bytes wait", held.waiting_events, held.waiting_event_bytes)
        });
    }

    /// Checks that it stops reading only when a limit is reached.
    fn check_reading(&self, oracle: &mut Oracle, machine: &RelayMachine, held: &Usage) {
        if self.dials.open().is_none() {
            return;
        }
        let limits = &self.config.limits;
        let (full, keys) = match self.early() {
            // Items of earlier connections do not hold up a handshake.
            Some(_) => (held.early_event_bytes >= limits.read_ahead_bytes, self.inbox.early_keys),
            None => (self.is_held_up(held.waiting_event_bytes), self.inbox.in_flight()),
        };
        let full = full || keys >= limits.dedupe || held.unwritten_acks >= limits.dedupe;
        oracle.check("A-6", "reads-unless-full", machine.wants_read() != full, || {
            format!("it reads: {}, with {held:?}", machine.wants_read())
        });
    }
}
