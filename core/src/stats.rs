//! What was counted: every drop has a counter.

use crate::numbers::numbers;

numbers! {
    /// Counters since the machine was made. Each drop that the rules allow has one.
    Stats: u64,
    /// Dials begun.
    dials;
    /// Handshakes completed.
    handshakes;
    /// Auth refusals (L-7).
    refusals;
    /// Dials whose credentials were refused by something other than the connector (L-9).
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
    /// Acknowledgements, and copies that were to have one, too late for their connection: the entries come again.
    moot_acks;
    /// Lines that were no JSON object with a string `type` (W-3).
    malformed_lines;
    /// Lines over `max_line_bytes` (W-5).
    overlong_lines;
    /// Frames of an unknown type, or of one that only a gateway sends (W-4).
    unknown_frames;
    /// Frames of type `error`.
    error_frames;
    /// Input on a dial that is over (L-6).
    stale_inputs;
    /// Results that nobody waits for (O-1).
    stray_results;
    /// Descriptors beyond one per hello, or unusable after the handshake (D-8, L-17).
    extra_descriptors;
    /// Confirmations of an idleness that nobody waits for (L-12).
    stray_idle_acks;
    /// Interrupts without a session key (L-16).
    keyless_interrupts;
    /// `inbound` frames without an event, and `passthrough_forward` frames without a forward, to save.
    unusable_events;
    /// Ids of over a kibibyte, which are not kept: of an event's chat (M-1), of a request's answer.
    overlong_ids;
    /// Texts of answers that were cut: words of a failure over 16 KiB, names of chats over 1 KiB.
    cut_texts;
    /// Names of ops beyond the 256 that are kept of a descriptor (D-6).
    dropped_ops;
    /// Unknown fields of descriptors beyond the 256, or 64 KiB of JSON, that are kept of one.
    dropped_fields;
    /// Forwards whose body did not decode, and so reads as empty (P-1).
    undecodable_bodies;
    /// Discord forwards that are no event: pings, autocompletions, unknown types, no interaction at all (P-2, P-6).
    silent_interactions;
    /// Answers to prompts of other processes (I-3).
    foreign_answers;
    /// Answers to prompts that were answered already (I-3).
    late_answers;
    /// Answers to prompts of our own that are not open (I-3).
    stale_answers;
    /// Open prompts that made room for others, as many being open as `prompts` allows (I-2).
    prompts_evicted;
    /// Forwards that nobody asked for (P-2).
    unwanted_forwards;
    /// HTTP requests of any kind, health checks among them (H-6).
    http_requests;
    /// HTTP requests for a path or with a method that there is none of (H-6: 404, 405).
    unknown_http_requests;
    /// HTTP requests that no key of ours signed, or not lately (C-3, H-6: 401).
    unsigned_deliveries;
    /// Signed deliveries whose body did not come in time (H-6: 408).
    slow_deliveries;
    /// Signed deliveries whose body is over `delivery_body` (H-6: 413).
    overlong_deliveries;
    /// Signed deliveries whose body is no JSON, or holds nothing to deliver (H-6: 400).
    unusable_deliveries;
    /// Signed deliveries for which there was no room, or nobody to take them any more (H-6: 503).
    deliveries_turned_away;
    /// Signed deliveries on which the host said nothing in time (H-6: 503 or 504).
    deliveries_expired;
    /// Duplicates of what was taken already.
    duplicates;
    /// Duplicates of what is in flight beyond the eight that wait.
    waiters_dropped;
    /// Events that came before a handshake that then failed (L-17).
    early_dropped;
    /// Events that were still queued when it was over for good.
    dropped_at_end;
    /// Deliveries settled twice, or never handed out.
    stray_settles;
    /// Commands refused on the spot (O-6, O-8, O-9).
    not_accepted;
    /// Typing signs that could not go out; never an error (O).
    typing_dropped;
    /// Signs of turns that could not be asked for (O-15).
    turn_signs_dropped;
    /// Turns that made room for others, as many being open as `turns` allows (O-15).
    turns_evicted;
    /// Turns that were open for longer than `turn_timeout` (O-15).
    turns_timed_out;
}

impl Stats {
    /// What has gone up since then, and by how much.
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
    fn x_2_what_has_gone_up_since() {
        let before = Stats { dials: 3, acks: 1, ..Stats::default() };
        let now = Stats { dials: 5, acks: 1, duplicates: 1, ..Stats::default() };
        assert_eq!(now.since(&before).collect::<Vec<_>>(), [("dials", 2), ("duplicates", 1)]);
        assert_eq!(now.since(&now).count(), 0);
    }
}
