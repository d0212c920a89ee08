//! What an op leads to: what is asked of the relay, and the result that the agent gets.

use super::held::{Held, settle};
use super::media::Media;
use super::op::{About, Asked};
use super::parts::{send_parts, split};
use futures_util::future::{BoxFuture, FutureExt};
use relayline_core::command::{AutoThread, Command, Failure, FailureKind, Reply};
use relayline_core::op::Op;
use relayline_runtime::Relay;
use serde_json::{Map, Value, json};

/// Result of an op, or its failure.
pub(super) type Outcome = Result<Value, Failure>;

/// The end of an op.
#[derive(Debug)]
pub(super) struct Answered {
    /// Id that the agent gave it; without one nobody is told.
    pub(super) id: Option<Value>,
    pub(super) about: About,
    pub(super) outcome: Outcome,
    /// Chat that waited for it, if one did, and the bytes that it kept.
    pub(super) kept: Option<(Option<String>, usize)>,
}

/// An op that is under way.
pub(super) type Answer = BoxFuture<'static, Answered>;

/// The beginning of an op.
pub(super) enum Begun {
    Done(Outcome),
    UnderWay(BoxFuture<'static, Outcome>),
    /// A text in parts: ops for the same chat wait for its end.
    Parts(String, BoxFuture<'static, Outcome>),
    /// A file on its way: it counts for what its op did until its end.
    Transfer(BoxFuture<'static, Outcome>),
    /// There is no room for it among the requests in flight.
    NoRoom(Asked),
}

pub(super) fn definite(message: String) -> Failure {
    Failure { kind: FailureKind::Definite, message, code: None }
}

/// A result that says nothing but that it went well.
pub(super) fn nothing() -> Outcome {
    Ok(Value::Object(Map::new()))
}

/// Begins what is asked for.
pub(super) fn begin(asked: Asked, relay: &Relay, held: &Held, media: &Media) -> Begun {
    Begun::Done(match asked {
        // What they show would not fail, but be passed over.
        Asked::Command(Command::Op(Op::Typing(_)) | Command::Turn(_)) if !relay.has_room() => {
            return Begun::NoRoom(asked);
        }
        Asked::Command(command) => return submit(command, relay),
        Asked::Download { url, path } => return media.download(relay, url, path),
        Asked::Upload(file) => return media.upload(relay, file),
        Asked::SendFile { path, send } => return media.send(relay, path, send),
        Asked::Parts(text) => return send_parts(relay, text),
        Asked::Settle { delivery, taken } => match held.take(delivery) {
            Ok(found) => {
                // A live one, or one settled before: harmless.
                if let Some(owed) = found {
                    settle(owed, taken);
                }
                nothing()
            }
            Err(message) => Err(definite(message)),
        },
        Asked::Split { chat_id, content } => return split(relay, chat_id, content),
        Asked::Capabilities { chat_id } => match relay.capabilities(&chat_id) {
            Some(descriptor) => Ok(serde_json::to_value(&*descriptor).unwrap_or_default()),
            None => Err(definite("nothing is known before the first handshake".to_owned())),
        },
        Asked::Prime { chat_id, chat } => relay.prime(&chat_id, chat).and_then(|()| nothing()),
        // It is the session's to do.
        Asked::Disconnect => nothing(),
    })
}

fn submit(command: Command, relay: &Relay) -> Begun {
    match relay.submit(command) {
        Ok(answer) => Begun::UnderWay(async move { answer.await.map(shown) }.boxed()),
        Err(refused) if refused.is_backpressure() => Begun::NoRoom(Asked::Command(refused.into_parts().0)),
        Err(refused) => Begun::Done(Err(refused.into_parts().1)),
    }
}

/// An object with those fields that there are.
fn said<const N: usize>(fields: [(&str, Option<String>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
    Value::Object(fields.collect())
}

/// A reply as the bridge shows it.
pub(super) fn shown(reply: Reply) -> Value {
    match reply {
        Reply::Sent { message_id, thread_id, auto_thread_name } => said([
            ("message_id", message_id),
            ("thread_id", thread_id),
            ("auto_thread_name", auto_thread_name),
        ]),
        Reply::Prompted { prompt_id, message_id: Some(message_id) } => {
            json!({ "prompt_id": prompt_id, "message_id": message_id })
        }
        Reply::Prompted { prompt_id, message_id: None } => json!({ "prompt_id": prompt_id }),
        Reply::Streamed { message_ids, auto_thread } => {
            let mut fields = Map::new();
            if let Some(last) = message_ids.last() {
                fields.insert("message_id".to_owned(), last.as_str().into());
            }
            fields.insert("message_ids".to_owned(), message_ids.into());
            if let Some(AutoThread { id, name }) = auto_thread {
                fields.insert("thread_id".to_owned(), id.into());
                fields.insert("auto_thread_name".to_owned(), name.into());
            }
            Value::Object(fields)
        }
        Reply::Thread { thread_id: Some(thread_id) } => json!({ "thread_id": thread_id }),
        Reply::ChatInfo { name, chat_type } => json!({ "name": name, "type": chat_type }),
        Reply::Raw { result } => Value::Object(result),
        Reply::Idle { confirmed } => json!({ "confirmed": confirmed }),
        _ => json!({}),
    }
}
