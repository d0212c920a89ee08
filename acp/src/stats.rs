//! Counters: every drop has one.

/// Declares the counters, and their names and values in order.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        /// Counters since the machine was created. Each drop has a counter.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[non_exhaustive]
        pub struct AcpStats { $($(#[doc = $doc])+ pub $name: u64,)* }

        impl AcpStats {
            /// Returns the name and the value of each counter.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
                self.described().map(|(name, _, value)| (name, value))
            }

            /// Returns the name, the description and the value of each counter.
            pub fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),+), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Prompts written to the agent.
    prompts;
    /// Turns that ended.
    turns_ended;
    /// Sessions opened, resumed ones included.
    sessions_opened;
    /// Sessions closed to make room for another.
    sessions_closed;
    /// Sessions that did not end a cancelled turn in time, and were abandoned.
    sessions_abandoned;
    /// Ids of sessions that were forgotten since more than `acp_known_sessions` were known.
    sessions_forgotten;
    /// Deaths of the agent.
    agent_deaths;
    /// Lines of the agent that are not a JSON-RPC 2.0 message.
    invalid_lines;
    /// Lines of the agent that are longer than the limit.
    overlong_lines;
    /// Parameters of the agent's requests and notifications that do not match the schema.
    invalid_payloads;
    /// Responses without a pending request.
    stray_responses;
    /// Requests of the agent for methods that this client does not offer.
    unknown_requests;
    /// Notifications of the agent that this client does not know.
    unknown_notifications;
    /// Updates of a session that is not open or has no turn in progress.
    stray_updates;
    /// Updates that a resumed session replayed.
    replayed_updates;
    /// Updates that arrived after their turn was cancelled or had ended.
    late_updates;
    /// Chunks of the agent's thoughts.
    thoughts;
    /// Reports of usage.
    usage_updates;
    /// Updates of other kinds, and updates that do not match the schema. They are shown with `verbose` only.
    other_updates;
    /// Content blocks of an answer that are not text.
    unshown_blocks;
    /// Bytes of answers beyond `acp_answer_bytes`.
    answer_bytes_dropped;
    /// Answers whose end could not be sent.
    answers_lost;
    /// Steps of turns that are not shown, since there are more than `acp_steps`.
    steps_dropped;
    /// Permission requests that were cancelled, since `acp_permissions` were open or no turn was in progress.
    permissions_dropped;
    /// Permission requests that nobody answered in time.
    permissions_expired;
    /// Answers to permission requests by users who may not give them.
    answers_unauthorized;
    /// Answers to permission requests that were no longer open.
    answers_stale;
    /// Messages that were answered with a line or refused, since the session was busy or too many messages waited.
    messages_rejected;
    /// Files of messages that were not fetched, since there are more than `acp_files`.
    files_dropped;
    /// Files of messages that could not be fetched.
    files_failed;
    /// Commands of the agent that were not declared: there are too many, or a name or a description is unusable.
    commands_dropped;
    /// Results of operations that nothing waits for.
    stray_results;
}
