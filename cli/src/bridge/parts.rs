//! Texts that go out in parts, one message after another.

use super::answer::{Begun, Outcome, nothing, shown};
use super::op::Asked;
use futures_util::future::FutureExt;
use relayline_core::command::{Command, Failure, Reply};
use relayline_core::op::{ReplyMessage, SendMessage};
use relayline_runtime::Relay;
use serde_json::{Map, Value};
use std::vec::IntoIter;

/// A text that is sent in parts.
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

    /// Returns the chat that it goes to; `None` for a delivery that cannot be answered.
    fn chat(&self, relay: &Relay) -> Option<String> {
        match self {
            PartedText::Send(send) => Some(send.chat_id.clone()),
            PartedText::Reply(reply) => relay.chat_of(reply.delivery),
        }
    }

    /// Returns the command that sends one part. Only the first points at what it answers (M-7).
    fn part(&self, content: String, is_first: bool, is_last: bool) -> Command {
        match self {
            PartedText::Send(send) => {
                Command::from(SendMessage { content, continues: !is_first, ..send.clone() })
            }
            PartedText::Reply(reply) => {
                let (last, continues) = (reply.last && is_last, !is_first);
                Command::Reply(ReplyMessage { content, last, continues, ..reply.clone() })
            }
        }
    }
}

/// Longest text that is split at once, in bytes: a longer one would keep signals and other chats waiting.
const AT_ONCE: usize = 64 << 10;

/// Splits a text, a long one on another thread.
pub(super) fn split(relay: &Relay, chat_id: String, content: String) -> Begun {
    if content.len() <= AT_ONCE {
        return Begun::Done(Ok(Value::from(relay.split(&chat_id, &content))));
    }
    let relay = relay.clone();
    let parts = smol::unblock(move || relay.split(&chat_id, &content));
    Begun::UnderWay(async move { Ok(Value::from(parts.await)) }.boxed())
}

/// Sends one message per part, each after the last was answered, so that they come in order. Ops for the same chat wait
/// for all of them. When one fails, the ones before it are sent, and the ones after it are not.
pub(super) fn send_parts(relay: &Relay, mut text: PartedText) -> Begun {
    let chat_id = text.chat(relay).unwrap_or_default();
    let content = std::mem::take(text.content());
    if content.len() > AT_ONCE {
        let sent = send_long(relay.clone(), text, chat_id.clone(), content);
        return Begun::Parts(chat_id, sent.boxed());
    }
    let mut parts = relay.split(&chat_id, &content).into_iter();
    let Some(first) = parts.next() else { return Begun::Done(nothing()) };
    // The first goes out at once, ahead of what is asked for after it.
    let answer = match relay.submit(text.part(first, true, parts.len() == 0)) {
        Ok(answer) => answer,
        Err(refused) if refused.is_backpressure() => {
            *text.content() = content;
            return Begun::NoRoom(Asked::Parts(text));
        }
        Err(refused) => return Begun::Done(Err(refused.into_parts().1)),
    };
    if parts.len() == 0 {
        return Begun::UnderWay(async move { answer.await.map(shown) }.boxed());
    }
    let relay = relay.clone();
    Begun::Parts(chat_id, async move { send_rest(&relay, &text, answer.await?, parts).await }.boxed())
}

/// Sends a long text in parts, split on another thread.
async fn send_long(relay: Relay, text: PartedText, chat_id: String, content: String) -> Outcome {
    let splitter = relay.clone();
    let mut parts = smol::unblock(move || splitter.split(&chat_id, &content)).await.into_iter();
    let Some(first) = parts.next() else { return nothing() };
    let first = submit_with_patience(&relay, text.part(first, true, parts.len() == 0)).await?;
    if parts.len() == 0 {
        return Ok(shown(first));
    }
    send_rest(&relay, &text, first, parts).await
}

/// Sends the parts after the first, whose reply is there.
async fn send_rest(relay: &Relay, text: &PartedText, first: Reply, mut parts: IntoIter<String>) -> Outcome {
    let (mut ids, mut last, mut reply) = (Vec::new(), Map::new(), first);
    loop {
        if let Value::Object(fields) = shown(reply) {
            ids.extend(fields.get("message_id").cloned());
            last = fields;
        }
        let Some(content) = parts.next() else { break };
        reply = submit_with_patience(relay, text.part(content, false, parts.len() == 0)).await?;
    }
    last.insert("message_ids".to_owned(), Value::Array(ids));
    Ok(Value::Object(last))
}

/// Submits a command as soon as there is room for it, and waits for its answer.
pub(super) async fn submit_with_patience(relay: &Relay, mut command: Command) -> Result<Reply, Failure> {
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
