//! Counters: every drop has one.

use crate::numbers::numbers;

numbers! {
    /// Counters since the machine was created. Each drop that the protocol allows has a counter.
    Stats: u64,
    /// Dials started.
    dials;
    /// Handshakes completed.
    handshakes;
    /// Dials and connections that the connector refused for their credentials.
    refusals;
    /// Dials whose credentials were refused by something other than the connector.
    credentials_refused;
    /// Frames read, of any type.
    frames_in;
    /// Frames written.
    frames_out;
    /// Events handed to the host.
    delivered;
    /// Deliveries that the host refused or dropped.
    refused;
    /// Acknowledgements written.
    acks;
    /// Acknowledgements, also of duplicates, that were too late for their connection; the entries are redelivered.
    late_acks as "moot_acks";
    /// Lines that are not a JSON object with a string `type`.
    malformed_lines;
    /// Lines longer than `max_line_bytes`.
    overlong_lines;
    /// Frames of an unknown type, or of a type that only a gateway sends.
    unknown_frames;
    /// Frames of type `error`.
    error_frames;
    /// Inputs of a dial that has ended.
    stale_inputs;
    /// Results without a pending request.
    stray_results;
    /// Descriptors beyond one per hello, and unusable descriptors after the handshake.
    extra_descriptors;
    /// Confirmations of idleness without a pending `going_idle`.
    stray_idle_acks;
    /// Interrupts without a session key.
    keyless_interrupts;
    /// `inbound` frames without an event, and `passthrough_forward` frames without a forward.
    unusable_events;
    /// Chat ids of events and ids in results that are longer than 1 KiB. They are not kept.
    overlong_ids;
    /// Texts in results that were truncated: failure messages at 16 KiB, chat names at 1 KiB.
    cut_texts;
    /// Op names beyond the 256 that are kept of a descriptor.
    dropped_ops;
    /// Unknown fields beyond the 256 fields, or 64 KiB of JSON, that are kept of a descriptor.
    dropped_fields;
    /// Forwards whose body could not be decoded. It is read as empty.
    undecodable_bodies;
    /// Discord forwards that are not an event: pings, autocompletions, unknown types, bodies that are not an
    /// interaction.
    silent_interactions;
    /// Answers to prompts of other processes.
    foreign_answers;
    /// Answers to prompts that were answered before.
    late_answers;
    /// Answers to prompts of this process that are no longer open.
    stale_answers;
    /// Answers to open prompts by users who may not answer them.
    unauthorized_answers;
    /// Open prompts that were evicted because more than `prompts` were open.
    prompts_evicted;
    /// Forwards that were dropped because the host does not want them.
    unwanted_forwards;
    /// HTTP requests of any kind, including health checks.
    http_requests;
    /// HTTP requests for an unknown path or with a method that is not allowed (404, 405).
    unknown_http_requests;
    /// HTTP requests without a valid, recent signature (401).
    unsigned_deliveries;
    /// Signed webhook requests whose body timed out (408).
    slow_deliveries;
    /// Signed webhook requests whose body is larger than `delivery_body` (413).
    overlong_deliveries;
    /// Signed webhook requests whose body is not a JSON object or has nothing to deliver (400).
    unusable_deliveries;
    /// Signed webhook requests that were rejected because the inbox was full or the relay has ended (503).
    deliveries_turned_away;
    /// Signed webhook requests that the host did not settle in time (503 or 504).
    deliveries_expired;
    /// Duplicates of accepted deliveries.
    duplicates;
    /// Duplicates of a delivery in flight beyond the eight that wait for it to be settled.
    waiters_dropped;
    /// Events that arrived before a handshake that failed.
    early_dropped;
    /// Events that were queued when the relay ended for good.
    dropped_at_end;
    /// Settlements of deliveries that were settled before or never handed out.
    stray_settles;
    /// Commands that were refused on submission.
    not_accepted;
    /// Typing signs that could not be sent.
    typing_dropped;
    /// Signs of turns that could not be requested.
    turn_signs_dropped;
    /// Turns that were evicted because more than `turns` were open.
    turns_evicted;
    /// Turns that were open for longer than `turn_timeout`.
    turns_timed_out;
}

impl Stats {
    /// Returns the counters that have grown since `before`, each with its difference.
    pub fn since(&self, before: &Stats) -> impl Iterator<Item = (&'static str, u64)> {
        let grown =
            |((name, now), (_, before)): ((_, u64), (_, u64))| (now > before).then(|| (name, now - before));
        self.iter().zip(before.iter()).filter_map(grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_2_since_lists_the_counters_that_grew() {
        let before = Stats { dials: 3, acks: 1, ..Stats::default() };
        let now = Stats { dials: 5, acks: 1, duplicates: 1, ..Stats::default() };
        assert_eq!(now.since(&before).collect::<Vec<_>>(), [("dials", 2), ("duplicates", 1)]);
        assert_eq!(now.since(&now).count(), 0);
    }
}
