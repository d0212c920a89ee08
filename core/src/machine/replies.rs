//! Answers to a delivery by its number (M-7).

use super::RelayMachine;
use crate::anchor::{Anchor, has_thread, is_set};
use crate::command::{Command, Failure, Metadata, NotAccepted, RequestId};
use crate::op::{Answers, Op, Placement, ReplyMessage, SendMessage};
use crate::output::DeliveryId;
use crate::requests::Owner;
use crate::streams::NOTIFY;
use crate::targets::Target;

impl RelayMachine {
    /// Answers a delivery.
    pub(super) fn reply(&mut self, reply: ReplyMessage) -> Result<RequestId, NotAccepted> {
        let sent = match self.answer_to(&reply) {
            Ok(send) => self.request(&Op::Send(send), Owner::Host),
            Err(failure) => Err(failure.into()),
        };
        sent.map_err(|refusal| NotAccepted::new(Command::Reply(reply), refusal))
    }

    fn answer_to(&self, reply: &ReplyMessage) -> Result<SendMessage, Failure> {
        let target = self.target(reply.delivery)?;
        let platform = target.platform.filter(|platform| self.fronts(platform));
        let mut metadata = reply.metadata.clone();
        place_in_thread(&mut metadata, target.thread_id);
        let (chat_id, message_id) = (target.chat_id, target.message_id);
        if reply.last {
            place(&mut metadata, NOTIFY, Some(true));
            place(&mut metadata, "reply_to_message_id", message_id.clone());
        } else {
            metadata.remove(NOTIFY);
        }
        let (content, continues) = (reply.content.clone(), reply.continues);
        Ok(SendMessage { chat_id, content, reply_to: message_id, metadata, platform, continues })
    }

    /// Requests an op of the connector. An op that answers a delivery goes to the delivery's place (M-7, O-16).
    pub(super) fn ask(&mut self, mut op: Op) -> Result<RequestId, NotAccepted> {
        let given = op.answers().is_some().then(|| op.clone());
        let sent = match self.place(&mut op) {
            Ok(()) => self.request(&op, Owner::Host),
            Err(failure) => Err(failure.into()),
        };
        sent.map_err(|refusal| NotAccepted::new(Command::Op(given.unwrap_or(op)), refusal))
    }

    /// Fills in the fields that the host has not set on an op that answers a delivery.
    fn place(&self, op: &mut Op) -> Result<(), Failure> {
        let Some(Answers { delivery, chat_id, reply_to, metadata, platform }) = op.answers() else {
            return Ok(());
        };
        let target = self.target(delivery)?;
        *chat_id = target.chat_of(delivery, chat_id)?;
        if platform.is_none() {
            *platform = target.platform.filter(|platform| self.fronts(platform));
        }
        if reply_to.is_none() {
            *reply_to = target.message_id;
        }
        place_in_thread(metadata, target.thread_id);
        Ok(())
    }

    /// Returns the origin of a delivery.
    pub(super) fn target(&self, delivery: DeliveryId) -> Result<Target, Failure> {
        self.targets.get(delivery.0).ok_or_else(|| {
            Failure::definite(format!(
                "delivery {} cannot be answered: it is not one of the last {} messages, `reply_targets` bounds them",
                delivery.0,
                self.targets.len()
            ))
        })
    }

    /// Returns the thread that Slack's connectors put an answer to `reply_to` in, unless the metadata names one
    /// (M-8).
    pub(super) fn thread_of(
        &self,
        chat_id: &str,
        platform: Option<&str>,
        reply_to: Option<&str>,
        metadata: &Metadata,
    ) -> Option<String> {
        let (chat, in_thread) = (self.chat(chat_id), self.config.slack_reply_in_thread);
        let anchor = Anchor::of(Placement::Continues(reply_to), metadata, platform, chat, in_thread);
        anchor.thread().map(str::to_owned)
    }
}

/// Sets the thread of an op if the host has set neither of its two names (M-7, M-8).
fn place_in_thread(metadata: &mut Metadata, thread_id: Option<String>) {
    if !has_thread(metadata) {
        place(metadata, "thread_id", thread_id);
    }
}

/// Sets a metadata field that the host has not set.
pub(super) fn place(metadata: &mut Metadata, name: &str, value: Option<impl Into<serde_json::Value>>) {
    if let Some(value) = value.filter(|_| !is_set(metadata, name)) {
        metadata.insert(name.to_owned(), value.into());
    }
}
