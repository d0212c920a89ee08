//! Expected places of the frames that the host's commands cause (M-3, M-7, M-8).

use super::Model;
use super::places::Anchor;
use crate::simulate::oracle::Oracle;
use relayline_core::command::{Command, Metadata, NotAccepted};
use relayline_core::op::{Op, ReplyMessage};
use serde_json::Value;

/// Expected place of a frame.
#[derive(Debug)]
pub(super) struct ExpectedPlace {
    chat: String,
    /// Platform tag; `None` if it is not known for sure.
    tag: Option<Option<String>>,
    anchor: Option<ExpectedAnchor>,
    notify: Option<Value>,
}

/// Anchor that M-8 requires.
#[derive(PartialEq, Eq, Debug)]
struct ExpectedAnchor {
    reply_to: Option<String>,
    thread: Option<String>,
    /// Answered message, as metadata names it.
    message: Option<String>,
}

impl Model {
    /// Records the expected place of a command's frame.
    pub(super) fn expect_placement(&mut self, oracle: &mut Oracle, id: u64, command: &Command) {
        let own =
            |metadata: &Metadata, name: &str| metadata.get(name).and_then(Value::as_str).map(str::to_owned);
        let places = &self.places;
        let (chat, platform, anchor, notify) = match command {
            Command::Reply(reply) => {
                if let Some(placed) = self.reply_place(oracle, reply) {
                    self.placed.insert(id, placed);
                }
                return;
            }
            Command::Op(Op::Send(send)) => {
                let (platform, to) = (send.platform.as_deref(), send.reply_to.as_deref());
                let anchor = places.anchor(&send.chat_id, platform, to, &send.metadata);
                let anchored = expected_anchor(anchor, to, own(&send.metadata, "thread_id"), None);
                (send.chat_id.as_str(), platform, Some(anchored), send.metadata.get("notify"))
            }
            Command::Op(Op::SendMedia(media)) => {
                let (platform, to) = (media.platform.as_deref(), media.reply_to.as_deref());
                let anchor = places.anchor(&media.chat_id, platform, to, &media.metadata);
                let anchored = expected_anchor(anchor, to, own(&media.metadata, "thread_id"), None);
                (media.chat_id.as_str(), platform, Some(anchored), media.metadata.get("notify"))
            }
            Command::Op(Op::Typing(typing)) => {
                let thread = own(&typing.metadata, "thread_id")
                    .or_else(|| places.typing_thread(&typing.chat_id, typing.platform.as_deref()));
                let anchored = ExpectedAnchor { reply_to: None, thread, message: None };
                (typing.chat_id.as_str(), typing.platform.as_deref(), Some(anchored), None)
            }
            Command::Op(op) => match op.chat_id() {
                Some(chat) => (chat, op.platform(), None, None),
                None => return,
            },
            _ => return,
        };
        let is_sure = places.is_sure();
        let tag = (is_sure || platform.is_some()).then(|| places.tag(chat, platform));
        let placed = ExpectedPlace {
            chat: chat.to_owned(),
            tag,
            anchor: anchor.filter(|_| is_sure),
            notify: notify.cloned(),
        };
        self.placed.insert(id, placed);
    }

    fn reply_place(&self, oracle: &mut Oracle, reply: &ReplyMessage) -> Option<ExpectedPlace> {
        let (places, delivery) = (&self.places, reply.delivery.number());
        let target = places.target(delivery);
        oracle.check("M-7", "only-what-is-remembered-is-answered", target.is_some(), || {
            format!("delivery {delivery} was forgotten")
        });
        let target = target?;
        let (platform, message) = (target.platform.as_deref(), target.message.as_deref());
        let mut metadata = reply.metadata.clone();
        let own = metadata.get("thread_id").and_then(Value::as_str).map(str::to_owned);
        let thread = own.or(target.thread.clone());
        metadata.extend(thread.clone().map(|thread| ("thread_id".to_owned(), thread.into())));
        let anchor = places.anchor(&target.chat, platform, message, &metadata);
        let named = target.message.clone().filter(|_| reply.last);
        let mut anchored = expected_anchor(anchor.clone(), message, thread, named);
        if reply.continues {
            // A further part replies to no message, and has the place of the first.
            anchored.reply_to = None;
            anchored.message = target.message.clone().filter(|_| reply.last);
        }
        let is_sure = places.is_sure();
        let notify = reply.metadata.get("notify").cloned().unwrap_or(Value::Bool(true));
        Some(ExpectedPlace {
            chat: target.chat.clone(),
            tag: (is_sure || platform.is_some()).then(|| places.tag(&target.chat, platform)),
            anchor: Some(anchored).filter(|_| is_sure),
            notify: reply.last.then_some(notify),
        })
    }

    /// Checks that an answer was refused as unknown only if its delivery was forgotten (M-7).
    pub(super) fn check_refused_answer(&self, oracle: &mut Oracle, command: &Command, refused: &NotAccepted) {
        let delivery = match command {
            Command::Reply(reply) => Some(reply.delivery),
            Command::Turn(turn) => Some(turn.delivery),
            Command::Stream(state) => state.delivery,
            _ => None,
        };
        if let Some(delivery) = delivery
            && refused.failure().message.contains("cannot be answered")
        {
            let ends_turn = matches!(command, Command::Turn(turn) if self.ends_open_turn(turn));
            let is_known = ends_turn || self.places.target(delivery.number()).is_some();
            oracle.check("M-7", "what-is-remembered-is-answered", !is_known, || {
                refused.failure().message.clone()
            });
        }
    }

    /// Checks the place of a written frame.
    pub(super) fn check_placement(&mut self, oracle: &mut Oracle, id: u64, frame: &Value) {
        let (action, metadata) = (&frame["action"], &frame["action"]["metadata"]);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let placed = self.placed.remove(&id);
        let notify = placed.as_ref().and_then(|placed| placed.notify.as_ref());
        oracle.check(
            "M-7",
            "only-what-completes-an-answer-notifies",
            metadata.get("notify") == notify,
            || format!("{frame}, not {notify:?}"),
        );
        let Some(placed) = placed else { return };
        oracle.check("M-7", "an-answer-goes-to-its-chat", action["chat_id"] == *placed.chat, || {
            format!("{frame}, not {placed:?}")
        });
        if let Some(tag) = &placed.tag {
            oracle.check("M-3", "an-op-goes-out-as-its-platform", text(&frame["platform"]) == *tag, || {
                format!("{frame}, not {placed:?}")
            });
        }
        if let Some(expected) = &placed.anchor {
            let found = ExpectedAnchor {
                reply_to: text(&action["reply_to"]),
                thread: text(&metadata["thread_id"]),
                message: text(&metadata["reply_to_message_id"]),
            };
            oracle.check("M-8", "an-answer-is-anchored", found == *expected, || {
                format!("{frame}, not {placed:?}")
            });
        }
    }
}

fn expected_anchor(
    anchor: Anchor,
    reply_to: Option<&str>,
    thread: Option<String>,
    message: Option<String>,
) -> ExpectedAnchor {
    let is_flat = anchor == Anchor::Flat;
    ExpectedAnchor {
        reply_to: reply_to.map(str::to_owned).filter(|_| !is_flat),
        thread: thread.or(anchor.thread()),
        message: message.filter(|_| !is_flat),
    }
}
