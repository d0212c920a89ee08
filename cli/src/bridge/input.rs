//! Reading the agent: a thread of its own, since a pipe can only be waited for by blocking.

use super::op::{self, Asked, Said};
use super::{Answer, Held};
use futures_channel::mpsc::Sender;
use futures_util::{FutureExt, SinkExt};
use relayline_core::command::{Command, Failure, FailureKind, Reply, Send};
use relayline_core::line::{Line, LineSplitter};
use relayline_runtime::Relay;
use serde_json::{Map, Value, json};
use std::io::{self, Read};

/// The longest line that is read from an agent.
const MAX_LINE_BYTES: usize = 16 << 20;
/// How much of a bad line is shown back.
const SHOWN: usize = 200;

pub(super) enum FromAgent {
    /// Something that has an answer, sooner or later.
    Asked(Answer),
    /// A line that nothing can be made of.
    Invalid { line: String, message: String },
    /// The op, with the id that its result is wanted under.
    Disconnect(Option<Value>),
    /// The end of its output.
    End,
}

/// Starts to read.
pub(super) fn start(
    mut from: Box<dyn Read + std::marker::Send>,
    relay: Relay,
    held: Held,
    mut sender: Sender<FromAgent>,
) -> io::Result<()> {
    let read = move || {
        let mut splitter = LineSplitter::new(MAX_LINE_BYTES);
        let mut buffer = vec![0; 64 << 10];
        let mut is_heard = true;
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(%error, "agent_unreadable");
                    break;
                }
            };
            let mut rest = &buffer[..count];
            // When the bridge has gone, the agent is still read to its end: a closed pipe could kill it on its way.
            while let Some(line) = splitter.next(&mut rest).filter(|_| is_heard) {
                if let Some(said) = heard(line, &relay, &held) {
                    is_heard = smol::block_on(sender.send(said)).is_ok();
                }
            }
        }
        let _ = smol::block_on(sender.send(FromAgent::End));
    };
    std::thread::Builder::new().name("agent".to_owned()).spawn(read).map(drop)
}

fn heard(line: Line<'_>, relay: &Relay, held: &Held) -> Option<FromAgent> {
    let line = match line {
        Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => return None,
        Line::Whole(line) => line,
        Line::TooLong => {
            let message = format!("a line of over {MAX_LINE_BYTES} bytes was discarded");
            return Some(FromAgent::Invalid { line: String::new(), message });
        }
    };
    let invalid = |message: String| {
        let shown: String = String::from_utf8_lossy(line).chars().take(SHOWN).collect();
        Some(FromAgent::Invalid { line: shown, message })
    };
    let Said { id, asked } = match op::read(line) {
        Ok(said) => said,
        Err(message) => return invalid(message),
    };
    match asked {
        Ok(Asked::Disconnect) => Some(FromAgent::Disconnect(id)),
        Ok(asked) => Some(FromAgent::Asked(answer(id, asked, relay, held))),
        Err(message) if id.is_none() => invalid(message),
        Err(message) => Some(ready(id, Err(definite(message)))),
    }
}

fn ready(id: Option<Value>, result: Result<Value, Failure>) -> FromAgent {
    FromAgent::Asked(std::future::ready((id, result)).boxed())
}

fn definite(message: String) -> Failure {
    Failure { kind: FailureKind::Definite, message, code: None }
}

/// Begins what is asked for, at once and in order; the answer may take its time.
fn answer(id: Option<Value>, asked: Asked, relay: &Relay, held: &Held) -> Answer {
    let done = |result: Result<Value, Failure>| std::future::ready((id.clone(), result)).boxed();
    match asked {
        Asked::Command(command) => match relay.submit(command) {
            Ok(answer) => async move { (id, answer.await.map(shown)) }.boxed(),
            Err(refused) => done(Err(refused.into_parts().1)),
        },
        Asked::SendParts(send) => {
            let sent = send_parts(relay.clone(), send);
            async move { (id, sent.await) }.boxed()
        }
        Asked::Settle { delivery, taken } => match held.take(delivery) {
            Ok(found) => {
                // A live one, or one settled before: harmless.
                if let Some(owed) = found {
                    owed.settle(taken);
                }
                done(Ok(Value::Object(Map::new())))
            }
            Err(message) => done(Err(definite(message))),
        },
        Asked::Split { chat_id, content } => done(Ok(Value::from(relay.split(&chat_id, &content)))),
        Asked::Capabilities { chat_id } => done(match relay.capabilities(&chat_id) {
            Some(descriptor) => Ok(serde_json::to_value(&*descriptor).unwrap_or_default()),
            None => Err(definite("nothing is known before the first handshake".to_owned())),
        }),
        Asked::Prime { chat_id, chat } => {
            relay.prime(&chat_id, chat);
            done(Ok(Value::Object(Map::new())))
        }
        Asked::Disconnect => done(Ok(Value::Object(Map::new()))),
    }
}

/// One message per part, each after the last was answered, so that they come in order; the first goes out at once,
/// ahead of what is asked for after it. It points at what it answers. When one fails, the ones before it are sent, and
/// the ones after it are not.
fn send_parts(relay: Relay, mut send: Send) -> impl Future<Output = Result<Value, Failure>> {
    let reply_to = send.reply_to.take();
    let mut parts = relay.split(&send.chat_id, &send.content).into_iter();
    let submit = move |content: String, reply_to: Option<String>| {
        let part = Send { content, reply_to, ..send.clone() };
        relay.submit(Command::Send(part)).map_err(|refused| refused.into_parts().1)
    };
    let mut next = parts.next().map(|content| submit(content, reply_to));
    async move {
        let (mut ids, mut last) = (Vec::new(), Map::new());
        while let Some(answer) = next {
            if let Value::Object(fields) = shown(answer?.await?) {
                ids.extend(fields.get("message_id").cloned());
                last = fields;
            }
            next = parts.next().map(|content| submit(content, None));
        }
        if ids.len() > 1 {
            last.insert("message_ids".to_owned(), Value::Array(ids));
        }
        Ok(Value::Object(last))
    }
}

/// A reply as the bridge shows it.
fn shown(reply: Reply) -> Value {
    match reply {
        Reply::Sent { message_id: Some(message_id) } => json!({ "message_id": message_id }),
        Reply::Prompted { prompt_id, message_id: Some(message_id) } => {
            json!({ "prompt_id": prompt_id, "message_id": message_id })
        }
        Reply::Prompted { prompt_id, message_id: None } => json!({ "prompt_id": prompt_id }),
        Reply::Streamed { message_ids } => {
            let mut fields = Map::new();
            if let Some(last) = message_ids.last() {
                fields.insert("message_id".to_owned(), last.as_str().into());
            }
            fields.insert("message_ids".to_owned(), message_ids.into());
            Value::Object(fields)
        }
        Reply::Thread { thread_id: Some(thread_id) } => json!({ "thread_id": thread_id }),
        Reply::ChatInfo { name, chat_type } => json!({ "name": name, "type": chat_type }),
        Reply::Idle { confirmed } => json!({ "confirmed": confirmed }),
        _ => json!({}),
    }
}
