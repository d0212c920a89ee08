//! Answers to a delivery by its number (M-7): where they go.

use super::RelayMachine;
use super::requests::Owner;
use super::streams::NOTIFY;
use crate::anchor::{has_thread, is_on_slack, is_set};
use crate::chats::Chat;
use crate::command::{
    Card, Command, Failure, Metadata, NotAccepted, ReplyMessage, RequestId, Send, TaskCard, TaskCardStop,
};
use crate::output::DeliveryId;
use crate::targets::Target;

impl RelayMachine {
    /// Answers a delivery.
    pub(super) fn reply(&mut self, reply: ReplyMessage) -> Result<RequestId, NotAccepted> {
        let sent = match self.answer_to(&reply) {
            Ok(send) => self.request(&Command::Send(send), Owner::Host),
            Err(failure) => Err(failure.into()),
        };
        sent.map_err(|refusal| NotAccepted::new(Command::Reply(reply), refusal))
    }

    fn answer_to(&self, reply: &ReplyMessage) -> Result<Send, Failure> {
        let target = self.target(reply.delivery)?;
        let platform = target.platform.filter(|platform| self.fronts(platform));
        let mut metadata = reply.metadata.clone();
        place(&mut metadata, "thread_id", target.thread_id);
        let (chat_id, message_id) = (target.chat_id, target.message_id);
        if reply.continues
            && let Some(thread) =
                self.thread_of(&chat_id, platform.as_deref(), message_id.as_deref(), &metadata)
        {
            // What does not point at the message is threaded with it all the same.
            metadata.insert("thread_id".to_owned(), thread.into());
        }
        if reply.last {
            place(&mut metadata, NOTIFY, Some(true));
            place(&mut metadata, "reply_to_message_id", message_id.clone());
        } else {
            metadata.remove(NOTIFY);
        }
        let reply_to = message_id.filter(|_| !reply.continues);
        Ok(Send { chat_id, content: reply.content.clone(), reply_to, metadata, platform })
    }

    /// Shows or ends a task card (O-16).
    pub(super) fn task_card(&mut self, command: Command) -> Result<RequestId, NotAccepted> {
        let placed = match &command {
            Command::TaskCard(TaskCard { card, chunks }) if card.delivery.is_some() => {
                let chunks = chunks.clone();
                self.placed(card).map(|card| Some(Command::TaskCard(TaskCard { card, chunks })))
            }
            Command::TaskCardStop(TaskCardStop { card }) if card.delivery.is_some() => {
                self.placed(card).map(|card| Some(Command::TaskCardStop(TaskCardStop { card })))
            }
            _ => Ok(None),
        };
        let sent = match placed {
            Ok(placed) => self.request(placed.as_ref().unwrap_or(&command), Owner::Host),
            Err(failure) => Err(failure.into()),
        };
        sent.map_err(|refusal| NotAccepted::new(command, refusal))
    }

    /// The card where its delivery came from.
    fn placed(&self, card: &Card) -> Result<Card, Failure> {
        let mut card = card.clone();
        let Some(delivery) = card.delivery else { return Ok(card) };
        let target = self.target(delivery)?;
        card.chat_id = target.chat_of(delivery, &card.chat_id)?;
        card.platform = card.platform.or(target.platform.filter(|platform| self.fronts(platform)));
        card.reply_to = card.reply_to.or(target.message_id);
        place(&mut card.metadata, "thread_id", target.thread_id);
        Ok(card)
    }

    /// Where a delivery came from.
    pub(super) fn target(&self, delivery: DeliveryId) -> Result<Target, Failure> {
        self.targets.get(delivery.0).ok_or_else(|| {
            Failure::definite(format!(
                "delivery {} cannot be answered: it is none of the last {} messages, `reply_targets` bounds them",
                delivery.0,
                self.targets.len()
            ))
        })
    }

    /// The thread that Slack's connectors put an answer to `reply_to` in, where metadata names none (M-8).
    pub(super) fn thread_of(
        &self,
        chat_id: &str,
        platform: Option<&str>,
        reply_to: Option<&str>,
        metadata: &Metadata,
    ) -> Option<String> {
        let chat = self.chats.get(&self.seed, chat_id);
        if !is_on_slack(platform, chat) || has_thread(metadata) {
            return None;
        }
        let is_flat = chat.is_some_and(Chat::is_dm) && !self.config.slack_reply_in_thread;
        reply_to.filter(|_| !is_flat).map(str::to_owned)
    }
}

/// Sets a metadata field that the host has not set.
pub(super) fn place(metadata: &mut Metadata, name: &str, value: Option<impl Into<serde_json::Value>>) {
    if let Some(value) = value.filter(|_| !is_set(metadata, name)) {
        metadata.insert(name.to_owned(), value.into());
    }
}
