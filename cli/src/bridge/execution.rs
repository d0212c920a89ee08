//! Execution of ops: commands to the relay, and results for the agent.

use super::delivery::AgentSettlement;
use super::media::Media;
use super::monitor::Monitor;
use super::op::{OpLabel, OpRequest};
use super::parts::{send_parts, split};
use super::queue_prompts::QueuePrompts;
use super::status::GatewayStatus;
use super::unsettled::{Unsettled, settle};
use futures_util::future::{BoxFuture, FutureExt, join, ready};
use relayline_core::approver::Approver;
use relayline_core::chats::Chat;
use relayline_core::command::{AutoThread, Command, Failure, FailureKind, Reply};
use relayline_core::event::UNNAMED_PLATFORM;
use relayline_core::op::Op;
use relayline_core::op::TurnState;
use relayline_queue::fleet::NOT_LEADING;
use relayline_queue::inbox::QueueSettlement;
use relayline_queue::output::NotSettled;
use relayline_runtime::Relay;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Parts that the execution of ops needs.
#[derive(Clone, Debug)]
pub(crate) struct OpContext {
    pub(crate) relay: Relay,
    /// Prompts of the queue; `None` without one.
    pub(crate) queue: Option<QueuePrompts>,
    pub(crate) media: Media,
    pub(crate) monitor: Monitor,
    /// Users who may answer prompts that are shown in another chat than their own; everybody if it is empty.
    pub(crate) approvers: Arc<[Approver]>,
}

/// Result of an op, or its failure.
pub(crate) type OpResult = Result<Value, Failure>;

/// Completed op.
#[derive(Debug)]
pub(super) struct CompletedOp {
    /// Id that the agent gave it; without one it gets no result.
    pub(super) id: Option<Value>,
    pub(super) about: OpLabel,
    pub(super) outcome: OpResult,
    /// Part of the queue's budget that it took up until now, if any.
    pub(super) budget: Option<Budget>,
    /// Size in the budget, in bytes.
    pub(super) weight: usize,
}

/// Part of the queue's budget that an op in flight takes up.
#[derive(Debug)]
pub(super) enum Budget {
    /// Text in parts for this chat, which is blocked.
    Parts(String),
    /// File in transfer.
    Transfer,
}

/// Op in flight.
pub(super) type PendingOp = BoxFuture<'static, CompletedOp>;

/// State of an op after its start.
pub(super) enum StartedOp {
    Done(OpResult),
    UnderWay(BoxFuture<'static, OpResult>),
    /// Text in parts. Ops for the same chat wait for its end.
    Parts(String, BoxFuture<'static, OpResult>),
    /// File in transfer. It counts against the budget until its end.
    Transfer(BoxFuture<'static, OpResult>),
    /// No room among the requests in flight.
    NoRoom(OpRequest),
}

pub(super) fn definite(message: String) -> Failure {
    Failure::new(FailureKind::Definite, message)
}

/// Returns the result of an op that has no data.
pub(super) fn empty_result() -> OpResult {
    Ok(Value::Object(Map::new()))
}

/// Starts an op.
pub(super) fn begin(asked: OpRequest, context: &OpContext, unsettled: Option<&Unsettled>) -> StartedOp {
    let OpContext { relay, media, monitor, queue: _, approvers } = context;
    StartedOp::Done(match asked {
        // Without room they would be dropped without an error.
        OpRequest::Command(Command::Op(Op::Typing(_)) | Command::Turn(_)) if !relay.has_room() => {
            return StartedOp::NoRoom(asked);
        }
        OpRequest::Command(Command::Turn(turn)) => {
            let number = turn.delivery.number();
            let is_end = turn.state != TurnState::Begin;
            let queued = unsettled.filter(|_| is_end).and_then(|unsettled| unsettled.take_queued(number));
            let has_failed = turn.state == TurnState::Failed;
            let started = submit(Command::Turn(turn), relay);
            return match (started, queued) {
                // The end of the turn settles its entry, whether or not people can see it.
                (started, Some(AgentSettlement::Queue(_, settlement))) => {
                    with_settlement(started, &settlement, has_failed)
                }
                (started, _) => started,
            };
        }
        OpRequest::Command(command) => return submit(command, relay),
        OpRequest::Prompt(mut prompt) => {
            prompt.restrict(approvers);
            let opened = match &context.queue {
                Some(queue) if !prompt.is_text => match queue.open(&mut prompt.prompt) {
                    Ok(id) => Some(id),
                    Err(message) => return StartedOp::Done(Err(definite(message))),
                },
                _ => None,
            };
            let started = match prompt.place(relay) {
                Ok(placed) => begin(placed, context, unsettled),
                Err(failure) => StartedOp::Done(Err(failure)),
            };
            return match (&context.queue, opened) {
                (Some(queue), Some(id)) => closing_prompt(started, queue.clone(), id),
                _ => started,
            };
        }
        OpRequest::Download { url, path } => return media.download(relay, url, path),
        OpRequest::Upload(file) => return media.upload(relay, file),
        OpRequest::SendFile { path, send } => return media.send(relay, path, send),
        OpRequest::Parts(text) => return send_parts(relay, text),
        OpRequest::Settle { delivery, taken } => match settlement_of(unsettled, delivery) {
            Ok(Some(AgentSettlement::Queue(_, settlement))) => {
                return StartedOp::UnderWay(settled(&settlement, !taken, REFUSED));
            }
            Ok(Some(settlement)) => {
                settle(settlement, taken);
                empty_result()
            }
            // A live delivery, or one settled before.
            Ok(None) => empty_result(),
            Err(message) => Err(definite(message)),
        },
        OpRequest::Split { chat_id, content } => return split(relay, chat_id, content),
        OpRequest::Capabilities { chat_id } => match relay.capabilities(&chat_id) {
            Some(descriptor) => Ok(serde_json::to_value(&*descriptor).unwrap_or_default()),
            None => Err(definite("nothing is known before the first handshake".to_owned())),
        },
        OpRequest::Chat { chat_id } => Ok(chat_json(relay.chat(&chat_id).filter(is_known))),
        OpRequest::Status => Ok(serde_json::to_value(GatewayStatus::of(relay, monitor)).unwrap_or_default()),
        OpRequest::Prime { chat_id, chat } => relay.prime(&chat_id, chat).and_then(|()| empty_result()),
        // It is handled by those who own the gateway.
        OpRequest::Disconnect => empty_result(),
    })
}

/// Takes a delivery of the agent by its number; `Ok(None)` if it is settled already.
fn settlement_of(unsettled: Option<&Unsettled>, delivery: u64) -> Result<Option<AgentSettlement>, String> {
    match unsettled {
        Some(unsettled) => unsettled.take(delivery),
        None => Err("`ack` and `refuse` are the agent's: it settles the deliveries that it has".to_owned()),
    }
}

/// Error of an entry that its agent refuses.
const REFUSED: &str = "the agent refused it";
/// Error of an entry whose turn has failed.
const TURN_FAILED: &str = "the agent says that its turn failed";

/// Settles an entry of the queue. The result comes after the commit.
fn settled(settlement: &QueueSettlement, refuses: bool, why: &str) -> BoxFuture<'static, OpResult> {
    let answer = match refuses {
        true => settlement.refuse(why).boxed(),
        false => settlement.ack().boxed(),
    };
    async move {
        match answer.await {
            // An operator has dropped it, or it was settled before.
            Ok(()) | Err(NotSettled::Late) => empty_result(),
            Err(error @ NotSettled::NotLeading) => {
                let mut failure = definite(error.to_string());
                // A worker settles with the next leader.
                failure.code = Some(NOT_LEADING.to_owned());
                Err(failure)
            }
            Err(error) => Err(definite(error.to_string())),
        }
    }
    .boxed()
}

/// Settles an entry with the end of its turn. The result is that of the settlement, and then that of the turn.
fn with_settlement(started: StartedOp, settlement: &QueueSettlement, has_failed: bool) -> StartedOp {
    let settled = settled(settlement, has_failed, TURN_FAILED);
    let shown = match started {
        StartedOp::UnderWay(shown) => shown,
        StartedOp::Done(shown) => ready(shown).boxed(),
        other => return other,
    };
    StartedOp::UnderWay(
        async move {
            let (settled, shown) = join(settled, shown).await;
            settled.and(shown)
        }
        .boxed(),
    )
}

/// Forgets the prompt if its op fails.
fn closing_prompt(started: StartedOp, queue: QueuePrompts, id: String) -> StartedOp {
    match started {
        StartedOp::Done(outcome) => {
            queue.close_failed(&id, &outcome);
            StartedOp::Done(outcome)
        }
        StartedOp::UnderWay(outcome) => StartedOp::UnderWay(
            async move {
                let outcome = outcome.await;
                queue.close_failed(&id, &outcome);
                outcome
            }
            .boxed(),
        ),
        other => other,
    }
}

fn submit(command: Command, relay: &Relay) -> StartedOp {
    match relay.submit(command) {
        Ok(answer) => StartedOp::UnderWay(async move { answer.await.map(reply_json) }.boxed()),
        Err(refused) if refused.is_backpressure() => {
            StartedOp::NoRoom(OpRequest::Command(refused.into_parts().0))
        }
        Err(refused) => StartedOp::Done(Err(refused.into_parts().1)),
    }
}

/// Returns true if somebody wrote in a chat or the host has described it. Of other chats only a thread can be remembered
/// that the connector made for an answer (O-18).
pub(super) fn is_known(chat: &Chat) -> bool {
    let is_named = chat.platform != UNNAMED_PLATFORM;
    is_named || chat.chat_type.is_some() || chat.scope.is_some() || chat.author.is_some()
}

/// Returns what is remembered of a chat as JSON, under the names that `prime` has for it.
fn chat_json(chat: Option<Chat>) -> Value {
    let Some(chat) = chat else { return json!({ "known": false }) };
    let Chat { platform, scope, author, profile, parent, chat_type, .. } = chat;
    let mut shown = object_of([
        ("platform", Some(platform.into())),
        ("scope_id", scope.map(String::from)),
        ("user_id", author.map(String::from)),
        ("profile", profile.map(String::from)),
        ("parent_chat_id", parent.map(String::from)),
        ("chat_type", chat_type.map(String::from)),
    ]);
    shown["known"] = true.into();
    shown
}

/// Returns an object of the fields that have a value.
fn object_of<const N: usize>(fields: [(&str, Option<String>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
    Value::Object(fields.collect())
}

/// Returns a reply as JSON for the agent.
pub(super) fn reply_json(reply: Reply) -> Value {
    match reply {
        Reply::Sent { message_id, thread_id, auto_thread_name } => object_of([
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
            if let Some(AutoThread { id, name, .. }) = auto_thread {
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
