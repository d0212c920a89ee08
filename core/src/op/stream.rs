//! `stream`: shows a growing reply.

use super::Behavior;
use super::define::op;
use super::format::{Flag, Name, Text};
use super::task_card::chat_or_delivery;

op! {
    /// Shows the next state of a reply that grows under the host's own name for it, as the chat's platform allows: as a
    /// draft, as a message that is edited, or as a message per segment. Completes with
    /// [`Reply::Done`](crate::command::Reply::Done) at once, the one with [`StreamReply::last`] with
    /// [`Reply::Streamed`](crate::command::Reply::Streamed) when all is out.
    ///
    /// # What is shown
    ///
    /// The first state is shown at once, then at most one per `stream_interval`, and never two at a time: of states
    /// that come faster the newest counts. Where the chat's platform offers drafts the reply grows as a draft, else
    /// as a message that is edited, else nothing is shown until a segment is complete. Only on Slack does a draft
    /// become the message, by a last frame that seals it; elsewhere the message is sent beside it, and the draft
    /// vanishes. The frame that completes the text has `metadata.notify`; it is written even if all of the text is
    /// already shown. Text beyond the platform's limit continues in further messages, cut like those of
    /// [`crate::split::split`], without numbers. Until the last state, an unfinished line that may yet become a fence,
    /// and an empty code block, are not shown. The last state, and further messages that it needs, wait only for the
    /// answer to the step before them.
    ///
    /// A text may begin differently from the one before it: the unfinished message is replaced as a whole. Finished
    /// messages do not change, and only the text beyond their length continues.
    ///
    /// # How it ends
    ///
    /// The last state completes once; until then further states of that name are refused (definite). Text that may be
    /// shown already is never sent again:
    /// - A step that failed as **ambiguous** counts as shown, and the stream continues. Unless a later step replaced
    ///   the whole message, the stream finally fails as ambiguous, too: all was sent, and a part may be missing.
    /// - After an edit that was **rejected**, or is now **unsupported**, the shown text stays, and the rest continues
    ///   as segments. If the edit was meant to replace shown text, the stream ends with that failure.
    /// - After a draft or a seal that was rejected or is unsupported, the reply continues as edits or as segments.
    /// - A seal that failed as **ambiguous** is written once more; connectors treat it as idempotent. If this fails,
    ///   too, the stream fails as ambiguous, and no further frame of it is written.
    /// - A rejected message, and any **declined** step, ends the stream with that failure. Further states of that name
    ///   fail with it at once, up to the last.
    /// - A **definite** failure, for example of a lost connection, fails the last state if it was submitted, and does
    ///   not change the stream. No state waits for the next connection: states are refused while there is none, and
    ///   the next state continues the stream. So the last state can be submitted again under its name, and nothing is
    ///   shown twice.
    ///
    /// After any other end the name is free, and a further state begins a new stream. A host that abandons a stream
    /// should still submit its last state: at most `streams` are open, and the next one is refused definitely. Only
    /// streams whose failure the host knows make room. Together the texts may have `write_queue_bytes`.
    pub struct StreamReply: "stream", gate Always, returns Message {
        /// The host's name for this reply.
        stream: String = Name as "stream",
        delivery,
        optional_chat_id,
        /// All of the text so far.
        text: String = Text as "text",
        /// Marks the last state.
        last?: bool = Flag as "final",
        /// Marks the text so far as a complete segment. Of use only where nothing can be edited.
        segment?: bool = Flag as "segment",
        reply_to,
        metadata,
        platform,
    } and {
        /// Marks a last state that does not complete the turn's answer, since another message follows: it has no
        /// `metadata.notify`.
        interim: bool,
        /// Continues an answer: its first message does not point at the message that it answers, but is placed as if it
        /// did.
        continues: bool,
    }
}

impl Behavior for StreamReply {
    fn problem_as_given(&self) -> Option<String> {
        chat_or_delivery(&self.chat_id, self.delivery)
    }

    fn is_cut(&self) -> bool {
        true
    }
}
