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
    /// vanishes. The frame that completes the text has `metadata.notify`; it goes out even where all of the text is
    /// shown. Text beyond the platform's limit goes on in further messages, cut as [`crate::split::split`] cuts,
    /// without numbers. Until the last state, an unfinished line that may yet become a fence, and a code block with
    /// nothing in it, are not shown. The last state waits for nothing but the answer to the step before it; nor do
    /// further messages that it takes.
    ///
    /// A text need not begin as the one before it: what has become of the message under way is replaced as a whole.
    /// Messages that are finished stay as they are, and only what lies beyond their length goes on.
    ///
    /// # How it ends
    ///
    /// The last state completes once; until then the name takes no further state (definite). What may be shown already is
    /// never sent again:
    /// - A step that failed as **ambiguous** counts as shown, and what follows goes on. Unless the whole message was
    ///   replaced by a later step, the stream in the end fails as ambiguous, too: all was sent, and a part may be missing.
    /// - An edit that was **rejected**, or is **unsupported** by now: what is shown stays, and what lies beyond it goes on
    ///   as segments. One that was to replace what is shown ends the stream with that failure.
    /// - A draft that was rejected or is unsupported: the reply goes on as edits, or as segments. The same holds for
    ///   a seal.
    /// - A seal that failed as **ambiguous** is written once more; connectors treat it as idempotent. When that does
    ///   not help, the stream fails as ambiguous, and nothing else of it goes out.
    /// - A message that was rejected, and whatever was **declined**, ends the stream with that failure. Further
    ///   states of that name fail with it at once, until the last.
    /// - A **definite** failure, of a lost connection for instance, fails the last state if it has come, and leaves
    ///   the stream as it is. Nothing waits for the next connection: states are refused while there is none, and then
    ///   the next one goes on where the stream was. So the last state can be submitted again under its name, and
    ///   nothing is shown twice.
    ///
    /// After any other end the name is free, and a further state begins a new stream. A host that gives a stream up
    /// should still say its last state: at most `streams` are under way, the next is refused definitely. Only those
    /// of which the host knows that they failed make room. Together the texts may have `write_queue_bytes`.
    #[derive(Default)]
    pub struct StreamReply: "stream", gate Always, returns Message {
        /// The host's name for this reply.
        stream: String = Name as "stream",
        delivery,
        optional_chat_id,
        /// All of the text so far.
        text: String = Text as "text",
        /// Marks the last state.
        last: bool = Flag as "final",
        /// Marks the text so far as a complete segment. Of use only where nothing can be edited.
        segment: bool = Flag as "segment",
        reply_to,
        metadata,
        platform,
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
