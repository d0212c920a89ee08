//! Sizes of a machine's queues and tables.

use crate::numbers::numbers;

numbers! {
    /// Sizes of all queues and tables of a machine. Each is bounded by the [`Limits`](crate::config::Limits) that its
    /// documentation names.
    Usage: usize,
    /// Bytes of an unterminated line; at most `max_line_bytes`.
    unfinished_line_bytes;
    /// Events that wait for the host, and duplicates that wait for a settlement; bounded by their bytes.
    waiting_events;
    /// Bytes of these events; at most `host_queue_bytes` or, if larger, `read_ahead_bytes`, exceeded by one event at
    /// most, and `early_event_bytes` in addition.
    waiting_event_bytes;
    /// Bytes of events that arrived on the current connection before its handshake completed; at most
    /// `read_ahead_bytes`, exceeded by one event at most.
    early_event_bytes;
    /// Events that wait for the host, without duplicates; at most `host_queue`, or as many as fit into
    /// `read_ahead_bytes`.
    host_queue;
    /// Bytes of these events; a part of `waiting_event_bytes`.
    host_queue_bytes;
    /// Deliveries that the host has received but not settled, and whose senders wait; at most `dedupe`.
    unsettled_deliveries;
    /// Bytes of these deliveries; at most `unsettled_bytes`, exceeded by one delivery at most.
    unsettled_bytes;
    /// Deliveries that are remembered to detect duplicates, in flight or accepted; at most `dedupe`, and as many
    /// again for early events.
    remembered_deliveries;
    /// Webhook requests that wait for their response; at most `deliveries`.
    unanswered_deliveries;
    /// Requests that are unwritten or unanswered; at most `max_in_flight`.
    requests;
    /// Bytes of unwritten requests; at most `write_queue_bytes`.
    unwritten_bytes;
    /// Unwritten acknowledgements; about `dedupe`.
    unwritten_acks;
    /// Chats that are remembered; at most `chats`.
    chats;
    /// Prompts that are open or expired without being looked up since; at most `prompts`.
    prompts;
    /// Streamed replies in progress; at most `streams`.
    streams;
    /// Bytes of their texts; at most `write_queue_bytes` when they are submitted.
    stream_bytes;
    /// Deliveries that a reply or a turn can name; at most `reply_targets`.
    reply_targets;
    /// Bytes that are remembered of these deliveries; at most `reply_target_bytes`.
    reply_target_bytes;
    /// Open turns; at most `turns`.
    turns;
    /// Actions that the driver has not polled; none while the driver keeps up.
    actions;
    /// Bytes that the connector sent in these actions; at most `read_ahead_bytes`, exceeded by one action at most.
    action_bytes;
}
