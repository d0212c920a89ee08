//! Texts that are sent in parts, one message after another.

use super::execution::{OpResult, StartedOp, empty_result, reply_json};
use super::op::OpRequest;
use futures_util::future::FutureExt;
use relayline_core::command::{Command, Failure, Reply};
use relayline_core::op::{ReplyMessage, SendMessage};
use relayline_runtime::Relay;
use serde_json::{Map, Value};
use std::vec::IntoIter;

/// Text that is sent in parts.
#[derive(Debug)]
pub(super) enum PartedText {
    Send(SendMessage),
    Reply(ReplyMessage),
}

impl PartedText {
    fn content(&mut self) -> &mut String {
        match self {
            PartedText::Send(send) => &mut send.content,
            PartedText::Reply(reply) => &mut reply.content,
        }
    }

    /// Returns the chat of the text; `None` for a delivery that cannot be answered.
    fn chat(&self, relay: &Relay) -> Option<String> {
        match self {
            PartedText::Send(send) => Some(send.chat_id.clone()),
            PartedText::Reply(reply) => relay.chat_of(reply.delivery),
        }
    }

    /// Returns the command that sends one part. Only the first part refers to the message that it answers (M-7).
    fn part(&self, content: String, is_first: bool, is_last: bool) -> Command {
        match self {
            PartedText::Send(send) => {
                let mut part = send.clone().continues(!is_first);
                part.content = content;
                Command::from(part)
            }
            PartedText::Reply(reply) => {
                let mut part = reply.clone().last(reply.last && is_last).continues(!is_first);
                part.content = content;
                Command::Reply(part)
            }
        }
    }
}

/// Maximum length of a text that is split on this thread, in bytes. A longer one would delay signals and other chats.
const AT_ONCE: usize = 64 << 10;

/// Splits a text, a long one on another thread.
pub(super) fn split(relay: &Relay, chat_id: String, content: String) -> StartedOp {
    if content.len() <= AT_ONCE {
        return StartedOp::Done(Ok(Value::from(relay.split(&chat_id, &content))));
    }
    let relay = relay.clone();
    let parts = smol::unblock(move || relay.split(&chat_id, &content));
    StartedOp::UnderWay(async move { Ok(Value::from(parts.await)) }.boxed())
}

/// Sends one message per part, each after the reply to the previous one, to keep their order. Ops for the same chat wait for
/// all of them. If a part fails, the parts after it are not sent.
pub(super) fn send_parts(relay: &Relay, mut text: PartedText) -> StartedOp {
    let chat_id = text.chat(relay).unwrap_or_default();
    let content = std::mem::take(text.content());
    if content.len() > AT_ONCE {
        let sent = send_long(relay.clone(), text, chat_id.clone(), content);
        return StartedOp::Parts(chat_id, sent.boxed());
    }
    let mut parts = relay.split(&chat_id, &content).into_iter();
    let Some(first) = parts.next() else { return StartedOp::Done(empty_result()) };
    // The first part is submitted at once, before later ops.
    let answer = match relay.submit(text.part(first, true, parts.len() == 0)) {
        Ok(answer) => answer,
        Err(refused) if refused.is_backpressure() => {
            *text.content() = content;
            return StartedOp::NoRoom(OpRequest::Parts(text));
        }
        Err(refused) => return StartedOp::Done(Err(refused.into_parts().1)),
    };
    if parts.len() == 0 {
        return StartedOp::UnderWay(async move { answer.await.map(reply_json) }.boxed());
    }
    let relay = relay.clone();
    StartedOp::Parts(chat_id, async move { send_rest(&relay, &text, answer.await?, parts).await }.boxed())
}

/// Sends a long text in parts, split on another thread.
async fn send_long(relay: Relay, text: PartedText, chat_id: String, content: String) -> OpResult {
    let splitter = relay.clone();
    let mut parts = smol::unblock(move || splitter.split(&chat_id, &content)).await.into_iter();
    let Some(first) = parts.next() else { return empty_result() };
    let first = submit_when_room(&relay, text.part(first, true, parts.len() == 0)).await?;
    if parts.len() == 0 {
        return Ok(reply_json(first));
    }
    send_rest(&relay, &text, first, parts).await
}

/// Sends the parts after the first one.
async fn send_rest(relay: &Relay, text: &PartedText, first: Reply, mut parts: IntoIter<String>) -> OpResult {
    let (mut ids, mut last, mut reply) = (Vec::new(), Map::new(), first);
    loop {
        if let Value::Object(fields) = reply_json(reply) {
            ids.extend(fields.get("message_id").cloned());
            last = fields;
        }
        let Some(content) = parts.next() else { break };
        reply = submit_when_room(relay, text.part(content, false, parts.len() == 0)).await?;
    }
    last.insert("message_ids".to_owned(), Value::Array(ids));
    Ok(Value::Object(last))
}

/// Submits a command as soon as there is room for it, and waits for its answer.
pub(crate) async fn submit_when_room(relay: &Relay, mut command: Command) -> Result<Reply, Failure> {
    loop {
        let room = relay.room();
        match relay.submit(command) {
            Ok(answer) => return answer.await,
            Err(refused) if refused.is_backpressure() => command = refused.into_parts().0,
            Err(refused) => return Err(refused.into_parts().1),
        }
        room.await;
    }
}
