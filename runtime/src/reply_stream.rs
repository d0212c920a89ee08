//! A reply that grows, as the host says it piece by piece.

use crate::relay::Relay;
use crate::request::Answer;
use relayline_core::command::{Command, Failure, FailureKind, Reply};
use relayline_core::op::StreamReply;
use std::future::Future;

/// A reply that grows. Say all of the text so far with [`update`](Self::update), as often as you like: it is shown at
/// most once per `stream_interval`. The last text always arrives, with [`finish`](Self::finish); dropping the stream
/// instead says what it was told as the last.
#[derive(Debug)]
#[must_use = "a reply that is not finished may be shown in part"]
pub struct ReplyStream {
    relay: Relay,
    state: StreamReply,
    /// The last state is said.
    finished: bool,
}

impl ReplyStream {
    pub(crate) fn new(relay: Relay, state: StreamReply) -> Self {
        ReplyStream { relay, state, finished: false }
    }

    /// All of the text so far.
    ///
    /// # Errors
    /// Definite, when there is no connection: nothing is lost, the next text holds this one too.
    pub fn update(&mut self, text: impl Into<String>) -> Result<(), Failure> {
        self.say(text.into(), false)
    }

    /// All of the text so far, which is a complete segment: where nothing can be edited it is shown now.
    ///
    /// # Errors
    /// As for [`update`](Self::update).
    pub fn segment(&mut self, text: impl Into<String>) -> Result<(), Failure> {
        self.say(text.into(), true)
    }

    /// All there will be. Gives the ids of the messages that it took.
    ///
    /// Cancel-safe: dropped before it was polled, it leaves the text to the stream, whose destructor says it; dropped
    /// later it gives up on the answer only.
    ///
    /// # Errors
    /// In one of the five ways of O-3; what is shown by then stays. After a definite failure, of a lost connection for
    /// instance, it can be called again: the reply goes on where it was, and nothing is shown twice.
    pub fn finish(
        &mut self,
        text: impl Into<String>,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        self.state.text = text.into();
        async {
            let answer = self.submit(StreamReply { last: true, ..self.state.clone() })?;
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

    fn say(&mut self, text: String, segment: bool) -> Result<(), Failure> {
        self.state.text = text;
        // An update has no answer worth waiting for: its fate is the last one's.
        self.submit(StreamReply { segment, ..self.state.clone() }).map(drop)
    }

    fn submit(&self, state: StreamReply) -> Result<Answer, Failure> {
        if self.finished {
            let message = "this reply is finished: begin another".to_owned();
            return Err(Failure { kind: FailureKind::Definite, message, code: None });
        }
        self.relay.submit(Command::Stream(state)).map_err(|refused| refused.into_parts().1)
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        if !self.finished && !self.state.text.is_empty() {
            // Nobody is left to hear of its fate.
            let _ = self.submit(StreamReply { last: true, ..self.state.clone() });
        }
    }
}
