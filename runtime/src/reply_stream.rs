//! Streamed replies.

use crate::relay::Relay;
use crate::request::PendingReply;
use relayline_core::command::{Command, Failure, FailureKind, Reply};
use relayline_core::op::StreamReply;
use std::future::Future;

/// Streamed reply: a text that grows. Pass all of the text so far to [`update`](Self::update), at any rate: it is shown at
/// most once per `stream_interval`. [`finish`](Self::finish) always sends the last text. Dropping the stream finishes it
/// with its latest text.
#[derive(Debug)]
#[must_use = "a reply that is not finished may be shown in part"]
pub struct ReplyStream {
    relay: Relay,
    state: StreamReply,
    /// True once the last state was submitted.
    finished: bool,
}

impl ReplyStream {
    pub(crate) fn new(relay: Relay, state: StreamReply) -> Self {
        ReplyStream { relay, state, finished: false }
    }

    /// Updates the reply to `text`, which is all of the text so far.
    ///
    /// # Errors
    /// A definite failure if there is no connection. No text is lost: the next update contains it.
    pub fn update(&mut self, text: impl Into<String>) -> Result<(), Failure> {
        self.submit_text(text.into(), false)
    }

    /// Updates the reply to `text`, all of the text so far, and marks the end of a segment. Platforms that cannot edit
    /// messages show the segment now.
    ///
    /// # Errors
    /// As for [`update`](Self::update).
    pub fn segment(&mut self, text: impl Into<String>) -> Result<(), Failure> {
        self.submit_text(text.into(), true)
    }

    /// Finishes the reply with `text`, which is all of the text. Returns the ids of its messages.
    ///
    /// Cancel-safe: dropped before its first poll, it leaves the text to the stream, which sends it when dropped. Dropped
    /// later it discards the reply only.
    ///
    /// # Errors
    /// The last text could not be sent; the text shown so far stays. After a definite failure, for instance a lost
    /// connection, call it again: the reply continues, and no text is shown twice.
    pub fn finish(
        &mut self,
        text: impl Into<String>,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        self.state.text = text.into();
        async {
            let answer = self.submit(self.state.clone().last(true))?;
            self.finished = true;
            match answer.await {
                Ok(Reply::Streamed { message_ids, .. }) => Ok(message_ids),
                Ok(_) => Ok(Vec::new()),
                Err(failure) => {
                    self.finished = failure.kind != FailureKind::Definite;
                    Err(failure)
                }
            }
        }
    }

    fn submit_text(&mut self, text: String, segment: bool) -> Result<(), Failure> {
        self.state.text = text;
        // The result of an update does not matter: the next one contains its text.
        self.submit(self.state.clone().segment(segment)).map(drop)
    }

    fn submit(&self, state: StreamReply) -> Result<PendingReply, Failure> {
        if self.finished {
            let message = "this reply is finished: start another one".to_owned();
            return Err(Failure::new(FailureKind::Definite, message));
        }
        self.relay.submit(Command::Stream(state)).map_err(|refused| refused.into_parts().1)
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        if !self.finished && !self.state.text.is_empty() {
            // Nobody waits for the result.
            let _ = self.submit(self.state.clone().last(true));
        }
    }
}
