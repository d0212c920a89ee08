//! Resource usage of a machine, compared with its limits and with the model.

use super::Model;
use super::inbox::MAX_DUPLICATES;
use crate::simulate::oracle::Oracle;
use relayline_core::machine::RelayMachine;
use relayline_core::usage::Usage;
use std::ops::RangeInclusive;

/// Maximum size of an item of the workload, in bytes. The last item may exceed a limit by it.
const MAX_ITEM_BYTES: usize = 16 << 10;
/// Maximum size of a stream without its text, in bytes: message ids and ends of segments.
const STREAM_OVERHEAD_BYTES: usize = 4 << 10;

impl Model {
    /// Checks the usage of a drained machine.
    pub(super) fn check_usage(&self, oracle: &mut Oracle, machine: &RelayMachine, usage: &Usage) {
        self.check_bounds(oracle, usage);
        if !self.is_over() {
            self.check_expected_usage(oracle, usage);
            check_waiting(oracle, usage);
            self.check_reading(oracle, machine, usage);
        }
    }

    /// Checks the usage against the limits. This holds at any time.
    pub(crate) fn check_bounds(&self, oracle: &mut Oracle, usage: &Usage) {
        let limits = &self.config.limits;
        // Items from before a handshake have a limit of their own (L-17).
        let max_waiting_bytes = limits.host_queue_bytes.max(limits.read_ahead_bytes)
            + limits.read_ahead_bytes
            + 2 * MAX_ITEM_BYTES;
        let max_acks = limits.dedupe + limits.dedupe * MAX_DUPLICATES;
        let max_stream_bytes = limits.write_queue_bytes + usage.streams * STREAM_OVERHEAD_BYTES;
        for (name, value, max) in [
            ("unfinished_line_bytes", usage.unfinished_line_bytes, limits.max_line_bytes),
            ("waiting_event_bytes", usage.waiting_event_bytes, max_waiting_bytes),
            ("host_queue_bytes", usage.host_queue_bytes, usage.waiting_event_bytes),
            ("early_event_bytes", usage.early_event_bytes, limits.read_ahead_bytes + MAX_ITEM_BYTES),
            ("unsettled_deliveries", usage.unsettled_deliveries, limits.dedupe),
            ("unsettled_bytes", usage.unsettled_bytes, limits.unsettled_bytes + MAX_ITEM_BYTES),
            ("remembered_deliveries", usage.remembered_deliveries, 2 * limits.dedupe),
            ("unanswered_deliveries", usage.unanswered_deliveries, limits.deliveries),
            ("requests", usage.requests, limits.max_in_flight),
            ("unwritten_bytes", usage.unwritten_bytes, limits.write_queue_bytes),
            ("unwritten_acks", usage.unwritten_acks, max_acks),
            ("chats", usage.chats, limits.chats),
            ("prompts", usage.prompts, limits.prompts),
            ("streams", usage.streams, limits.streams),
            ("turns", usage.turns, limits.turns),
            ("reply_targets", usage.reply_targets, limits.reply_targets),
            ("reply_target_bytes", usage.reply_target_bytes, limits.reply_target_bytes.max(4 * 1024)),
            ("stream_bytes", usage.stream_bytes, max_stream_bytes),
        ] {
            oracle.check("X-1", "all-is-bounded", value <= max, || format!("{name}: {value}, at most {max}"));
        }
    }

    /// Returns true if the host must settle a delivery before it gets another one whose sender waits.
    pub(super) fn has_too_many_unsettled(&self) -> bool {
        let limits = &self.config.limits;
        self.inbox.handed.len() >= limits.dedupe || self.inbox.unsettled_bytes() >= limits.unsettled_bytes
    }

    /// Returns true if the host's queue has room while events of `waiting_bytes` wait.
    pub(super) fn has_room(&self, waiting_bytes: usize) -> bool {
        let limits = &self.config.limits;
        self.inbox.waiting.len() < limits.host_queue && waiting_bytes < limits.host_queue_bytes
    }

    /// Returns true if the machine must stop reading while events of `waiting_bytes` wait. The events share a limit
    /// with the unsettled deliveries. The read-ahead is always read, because results may follow the events.
    pub(super) fn is_held_up(&self, waiting_bytes: usize) -> bool {
        let limits = &self.config.limits;
        let budget = limits.host_queue_bytes.max(limits.unsettled_bytes);
        let has_room = self.has_room(waiting_bytes) && waiting_bytes + self.inbox.unsettled_bytes() < budget;
        !has_room && waiting_bytes >= limits.read_ahead_bytes
    }

    /// Checks the sizes that the model predicts.
    fn check_expected_usage(&self, oracle: &mut Oracle, usage: &Usage) {
        let frames =
            self.requests.pending.values().filter(|pending| pending.kind.is_op_or_interrupt()).count();
        // Each stream may have a step in flight, and turns have their indicators.
        let max_requests = frames + usage.streams + self.turns.in_flight.len();
        // Without room in the socket, or after a close frame, requests and acknowledgements stay unwritten.
        let is_writing = self.dials.open().is_none() || (self.can_write && self.dials.closing.is_none());
        let if_writing = |max: usize| if is_writing { max } else { usize::MAX };
        let exactly = |size: usize| size..=size;
        let rows: [(&str, usize, RangeInclusive<usize>); 14] = [
            ("unfinished_line_bytes", usage.unfinished_line_bytes, exactly(self.line.len())),
            ("waiting_events", usage.waiting_events, exactly(self.inbox.waiting())),
            ("host_queue", usage.host_queue, exactly(self.inbox.waiting.len())),
            ("unsettled_deliveries", usage.unsettled_deliveries, exactly(self.inbox.handed.len())),
            ("unsettled_bytes", usage.unsettled_bytes, exactly(self.inbox.unsettled_bytes())),
            ("unanswered_deliveries", usage.unanswered_deliveries, exactly(self.inbox.posts.len())),
            ("actions", usage.actions, exactly(0)),
            ("action_bytes", usage.action_bytes, exactly(0)),
            ("requests", usage.requests, frames..=if_writing(max_requests)),
            ("turns", usage.turns, exactly(self.turns.len())),
            ("reply_targets", usage.reply_targets, exactly(self.places.targets())),
            ("reply_target_bytes", usage.reply_target_bytes, exactly(self.places.target_bytes())),
            ("unwritten_bytes", usage.unwritten_bytes, 0..=if_writing(0)),
            ("unwritten_acks", usage.unwritten_acks, 0..=if_writing(0)),
        ];
        for (name, value, expected) in rows {
            oracle.check("X-1", "nothing-is-held-but-what-must-be", expected.contains(&value), || {
                format!("{name}: {value}, not {} to {}", expected.start(), expected.end())
            });
        }
    }

    /// Checks that the machine stops reading if and only if a limit is reached.
    fn check_reading(&self, oracle: &mut Oracle, machine: &RelayMachine, usage: &Usage) {
        if self.dials.open().is_none() {
            return;
        }
        let limits = &self.config.limits;
        let (is_held_up, keys) = match self.early() {
            // Items of earlier connections do not hold up a handshake.
            Some(_) => (usage.early_event_bytes >= limits.read_ahead_bytes, self.inbox.early_keys),
            None => (self.is_held_up(usage.waiting_event_bytes), self.inbox.in_flight()),
        };
        let is_full = is_held_up || keys >= limits.dedupe || usage.unwritten_acks >= limits.dedupe;
        oracle.check("A-6", "reads-unless-full", machine.wants_read() != is_full, || {
            format!("it reads: {}, with {usage:?}", machine.wants_read())
        });
    }
}

/// Checks that the numbers and the bytes of waiting events agree.
fn check_waiting(oracle: &mut Oracle, usage: &Usage) {
    let duplicates = usage.waiting_events - usage.host_queue;
    let duplicate_bytes = usage.waiting_event_bytes - usage.host_queue_bytes;
    let agree = |number: usize, bytes: usize| (number == 0) == (bytes == 0);
    let do_parts_agree =
        agree(duplicates, duplicate_bytes) && agree(usage.host_queue, usage.host_queue_bytes);
    oracle.check("X-1", "the-hosts-queue-is-a-part-of-what-waits", do_parts_agree, || format!("{usage:?}"));
    let does_sum_agree = agree(usage.waiting_events, usage.waiting_event_bytes);
    oracle.check("A-6", "what-left-weighs-nothing", does_sum_agree, || {
        format!("{} events of {} bytes wait", usage.waiting_events, usage.waiting_event_bytes)
    });
}
