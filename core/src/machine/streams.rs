//! Coordination of streamed replies (O-10): their destinations, and the requests of their steps.

use super::RelayMachine;
use super::replies::place;
use crate::anchor;
use crate::command::{Command, Failure, NotAccepted, Refusal, Reply, RequestId};
use crate::op::StreamReply;
use crate::requests::{Owner, StreamKey};
use crate::slack;
use crate::stream::Abilities;
use crate::streams::{Advance, StreamTarget};
use crate::time::clamp_timeout;

impl RelayMachine {
    /// Adds the next state of a stream, or its first.
    pub(super) fn stream(&mut self, state: StreamReply) -> Result<RequestId, NotAccepted> {
        let key = self.seed.hash(&[&state.stream]);
        if let Some(failure) = self.streams.failure(key, state.last) {
            let id = self.requests.take_id();
            self.complete(id, Err(failure));
            return Ok(id);
        }
        if let Err(refusal) = self.admit(key, &state) {
            return Err(NotAccepted::new(Command::Stream(state), refusal));
        }
        let id = self.requests.take_id();
        self.streams.push(key, &state, id);
        if !state.last {
            self.complete(id, Ok(Reply::Done));
        }
        Ok(id)
    }

    /// Checks that a state can be accepted. The first state of a name begins a stream.
    fn admit(&mut self, key: StreamKey, state: &StreamReply) -> Result<(), Refusal> {
        self.check_connected()?;
        let limits = &self.config.limits;
        self.streams.check(key, state, limits.write_queue_bytes)?;
        if !self.streams.contains(key) {
            let target = self.stream_target(state)?;
            self.streams.begin(key, state, target, self.config.limits.streams)?;
        }
        Ok(())
    }

    /// Returns the destination of a new stream, and the fields of each of its frames (M-7).
    fn stream_target(&self, state: &StreamReply) -> Result<StreamTarget, Failure> {
        let (mut metadata, mut reply_to) = (state.metadata.clone(), state.reply_to.clone());
        let (mut chat_id, mut platform) = (state.chat_id.clone(), state.platform.clone());
        if let Some(delivery) = state.delivery {
            let target = self.target(delivery)?;
            chat_id = target.chat_of(delivery, &chat_id)?;
            platform = platform.or(target.platform.filter(|platform| self.fronts(platform)));
            reply_to = reply_to.or(target.message_id);
            place(&mut metadata, "thread_id", target.thread_id);
        }
        let chat = self.chat(&chat_id);
        self.identity_for_chat(chat, platform.as_deref())?;
        if let Some(thread) = self.thread_of(&chat_id, platform.as_deref(), reply_to.as_deref(), &metadata) {
            metadata.insert("thread_id".to_owned(), thread.into());
        }
        place(&mut metadata, "reply_to_message_id", reply_to.clone());
        let unfurls = ["unfurl_links", "unfurl_media"].iter().any(|name| anchor::is_set(&metadata, name));
        let Some(descriptor) = self.descriptor_for(chat, platform.as_deref()) else {
            return Err(Failure::definite("the relay is not connected"));
        };
        let drafts = !(unfurls && slack::is_slack(&descriptor.platform));
        let abilities = Abilities::of(descriptor, drafts);
        Ok(StreamTarget { chat_id, reply_to, metadata, platform, abilities })
    }

    /// Takes the next step of every stream that has a new input.
    pub(super) fn advance_streams(&mut self) {
        while let Some(key) = self.streams.take_ready() {
            self.advance_stream(key);
        }
        while let Some(key) = self.streams.crowded()
            && self.has_room_for(key)
        {
            self.streams.take_crowded();
            self.advance_stream(key);
        }
    }

    fn has_room_for(&self, key: StreamKey) -> bool {
        !self.lacks_room(self.streams.weight(key))
    }

    fn advance_stream(&mut self, key: StreamKey) {
        loop {
            let has_room = self.has_room_for(key);
            match self.streams.advance(key, has_room) {
                Advance::Wait => return,
                Advance::Ask(op) => match self.request(&op, Owner::Stream(key)) {
                    Ok(_) => {
                        let due = self.now + clamp_timeout(self.config.timing.stream_interval);
                        return self.streams.step_asked(key, due);
                    }
                    Err(Refusal { failure, .. }) => self.streams.step_refused(key, failure),
                },
                Advance::Over(finishes, result) => {
                    if let Some(id) = finishes {
                        self.complete(id, result);
                    }
                    return;
                }
            }
        }
    }

    /// Holds all streams, since the connection has ended and all requests on it have failed (O-8).
    pub(super) fn hold_streams(&mut self, why: &str) {
        for key in self.streams.hold(why) {
            self.advance_stream(key);
        }
    }
}
