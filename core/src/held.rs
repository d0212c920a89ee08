//! What a machine holds at the moment: every queue and table has its number here, and its limit.

use crate::numbers::numbers;

numbers! {
    /// How full a machine is: for status pages and alarms. Each has a bound among the [`Limits`](crate::config::Limits)
    /// which its line names.
    Held: usize,
    /// Bytes of a line whose end has not come; at most `max_line_bytes` (W-5).
    unfinished_line_bytes;
    /// Events that wait for the host, and copies that wait for another's fate; bounded by their bytes.
    waiting_events;
    /// Bytes of those events; `host_queue_bytes`, or `read_ahead_bytes` if that is more, and whatever went over it last
    /// with `early_event_bytes` on top.
    waiting_event_bytes;
    /// Bytes of what has come on the present connection before its handshake is complete; `read_ahead_bytes`, and
    /// whatever went over it last (L-17).
    early_event_bytes;
    /// Events that wait for the host, copies apart; at most `host_queue`, or as many as `read_ahead_bytes` hold.
    host_queue;
    /// Bytes of those; bounded as `waiting_event_bytes` is, of which they are a part.
    host_queue_bytes;
    /// Deliveries in the host's hands on whose fate somebody waits; at most `dedupe` (A-1, H-6).
    unsettled_deliveries;
    /// Bytes of those deliveries, whose content is the host's alone; `unsettled_bytes`, and whatever went over it last
    ///
    unsettled_bytes;
    /// Deliveries that are remembered, in flight or taken, to know their duplicates; at most `dedupe`, and once more what is early.
    remembered_deliveries;
    /// Signed deliveries whose senders wait for their answer; at most `deliveries` (H-6).
    unanswered_deliveries;
    /// Requests that wait to be answered, or at least to be written; at most `max_in_flight` (O-6).
    requests;
    /// Bytes of requests that wait to be written; at most `write_queue_bytes`.
    unwritten_bytes;
    /// Acknowledgements that wait to be written; about `dedupe`.
    unwritten_acks;
    /// Chats that are remembered; at most `chats` (M-1).
    chats;
    /// Prompts that are open, or were when last looked at; at most `prompts` (I-2).
    prompts;
    /// Streamed replies that are under way; at most `streams`.
    streams;
    /// Bytes of their texts; at most `write_queue_bytes` when taken.
    stream_bytes;
    /// Deliveries that a reply or a turn can name; at most `reply_targets` (M-7).
    reply_targets;
    /// Bytes of what is remembered of those; at most `reply_target_bytes`.
    reply_target_bytes;
    /// Turns that are open; at most `turns` (O-15).
    turns;
    /// Actions that the driver has not taken; none when it is done with them.
    actions;
    /// Bytes of what the connector said in those actions; `read_ahead_bytes`, and whatever went over it last.
    action_bytes;
}
