//! Plausible results of a gateway's ops, as the platforms would give them.

use crate::chats::{IdStyle, Ids, rooms};
use crate::config::Limits;
use crate::frame::whole;
use crate::recent::Recent;
use relayline_core::op::{Definition, Field, InFrame, Kind, OPS, Returns};
use relayline_core::time::Now;
use serde_json::{Map, Value, json};

/// The platforms' side of the chats: message ids, sent messages and drafts.
#[derive(Debug)]
pub(crate) struct Responder {
    ids: Ids,
    /// Message id → chat id of messages that gateways sent. Only these can be edited. A follow-up's chat is empty.
    sent: Recent<String, String>,
    /// (chat, draft id) → message id: every state of one draft is one message.
    drafts: Recent<(String, i64), String>,
}

impl Responder {
    pub(crate) fn new(seed: [u8; 32], limits: &Limits) -> Self {
        Responder {
            ids: Ids::new(seed),
            sent: Recent::new(limits.sent_messages),
            drafts: Recent::new(limits.sent_messages),
        }
    }

    /// Returns the `result` of `action` on a platform with this style of ids and this descriptor.
    pub(crate) fn answer(
        &mut self,
        now: Now,
        style: IdStyle,
        descriptor: &Map<String, Value>,
        action: &Value,
    ) -> Value {
        self.try_answer(now, style, descriptor, action)
            .unwrap_or_else(|error| json!({"success": false, "error": error}))
    }

    /// Returns the source of message ids, which users' messages share.
    pub(crate) fn ids(&mut self) -> &mut Ids {
        &mut self.ids
    }

    /// Remembers the message of a scripted result, so that it can be edited.
    pub(crate) fn note_scripted(&mut self, action: &Value, result: &Value) {
        if let Some(id) = result.get("message_id").and_then(Value::as_str) {
            let chat = action.get("chat_id").and_then(Value::as_str).unwrap_or_default();
            self.sent.insert(id.to_owned(), chat.to_owned());
        }
    }

    fn try_answer(
        &mut self,
        now: Now,
        style: IdStyle,
        descriptor: &Map<String, Value>,
        action: &Value,
    ) -> Result<Value, String> {
        let name = action.get("op").and_then(Value::as_str).ok_or("`action` needs a string `op`")?;
        let op = OPS
            .iter()
            .find(|op| op.name == name && op.returns != Returns::Raw)
            .ok_or_else(|| format!("unknown op `{name}`"))?;
        if !offers(descriptor, op) {
            return Err(format!("the descriptor does not offer `{name}`"));
        }
        let text = |field: &str| action.get(field).and_then(Value::as_str);
        let mut needed = op.fields.iter().filter(|field| is_required_text(field));
        if let Some(missing) = needed.find(|field| text(field.name).is_none()) {
            return Err(format!("`{name}` needs a string `{}`", missing.name));
        }
        let chat = text("chat_id").unwrap_or_default();
        let message = text("message_id").unwrap_or_default();
        check_length(descriptor, text("content").unwrap_or_default())?;
        match (op.name, op.returns) {
            ("draft", _) => {
                let draft = action
                    .get("draft_id")
                    .and_then(whole)
                    .and_then(|draft| i64::try_from(draft).ok())
                    .ok_or("`draft` needs an integer `draft_id`")?;
                let key = (chat.to_owned(), draft);
                let id = match self.drafts.get(&key) {
                    Some(id) => id.clone(),
                    None => self.post(now, style, chat),
                };
                if action.get("final").and_then(Value::as_bool) == Some(true) {
                    self.drafts.remove(&key);
                } else {
                    self.drafts.insert(key, id.clone());
                }
                Ok(json!({"success": true, "message_id": id}))
            }
            ("edit", _) => match self.sent.get(&message.to_owned()) {
                Some(owner) if owner == chat || owner.is_empty() => Ok(json!({"success": true})),
                Some(_) | None => Err("message not found".to_owned()),
            },
            ("delete", _) => {
                self.sent.remove(&message.to_owned());
                Ok(json!({"success": true}))
            }
            ("task_card", _) => match action.get("chunks").and_then(Value::as_array) {
                Some(chunks) if chunks.iter().all(Value::is_object) => {
                    Ok(json!({"success": true, "message_id": null}))
                }
                Some(_) | None => Err("`task_card` needs `chunks`, a list of objects".to_owned()),
            },
            (_, Returns::Message | Returns::Prompt) => {
                Ok(json!({"success": true, "message_id": self.post(now, style, chat)}))
            }
            (_, Returns::Thread) => Ok(json!({"success": true, "thread_id": self.ids.next(style, now)})),
            (_, Returns::ChatInfo) => {
                let room = rooms().into_iter().find(|room| room.chat_id == chat);
                let name = room.as_ref().and_then(|room| room.chat_name).unwrap_or(chat);
                let kind = room.as_ref().map_or("dm", |room| room.chat_type);
                Ok(json!({"success": true, "chat_info": {"name": name, "type": kind}}))
            }
            (_, Returns::Nothing | Returns::NeverFails | Returns::Raw | Returns::Written) => {
                Ok(json!({"success": true}))
            }
        }
    }

    /// Adds a message to a chat, and returns its id.
    fn post(&mut self, now: Now, style: IdStyle, chat: &str) -> String {
        let id = self.ids.next(style, now);
        self.sent.insert(id.clone(), chat.to_owned());
        id
    }
}

/// Returns whether an action cannot be carried out without this string.
fn is_required_text(field: &Field) -> bool {
    field.in_frame == InFrame::Always && matches!(field.kind, Kind::Id | Kind::Text | Kind::OneOf(_))
}

/// Returns whether the descriptor that was sent to the gateway offers the op (O-9).
fn offers(descriptor: &Map<String, Value>, op: &Definition) -> bool {
    let flag = |field: &str| descriptor.get(field).and_then(Value::as_bool) == Some(true);
    let names = |name: &str| {
        let ops = descriptor.get("supported_ops").and_then(Value::as_array);
        ops.is_some_and(|ops| ops.iter().any(|known| known == name))
    };
    op.is_offered(names, flag("supports_edit"), flag("supports_draft_streaming"))
}

/// Checks the length of a text in the descriptor's unit (D-3, D-4).
fn check_length(descriptor: &Map<String, Value>, text: &str) -> Result<(), String> {
    let limit = descriptor.get("max_message_length").and_then(whole).filter(|limit| *limit > 0);
    let limit = limit.map_or(4096, |limit| u64::try_from(limit).unwrap_or(u64::MAX));
    let (unit, length) = match descriptor.get("len_unit").and_then(Value::as_str) {
        Some("utf16") => ("UTF-16 code units", text.encode_utf16().count()),
        Some(_) | None => ("characters", text.chars().count()),
    };
    match length as u64 > limit {
        true => Err(format!("the text has {length} {unit}, the limit is {limit}")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chats::Platform;

    fn platform(name: &str) -> (Responder, Platform) {
        (Responder::new([0; 32], &Limits::default()), Platform::named(name))
    }

    fn now() -> Now {
        Now { unix_s: 1_718_900_000, ..Now::default() }
    }

    #[test]
    fn o_2_every_op_gets_a_plausible_result() {
        let (mut responder, telegram) = platform("telegram");
        let mut check = |action: Value, expected: Value| {
            let got = responder.answer(now(), telegram.ids, &telegram.descriptor, &action);
            assert_eq!(got, expected, "{action}");
        };
        let ok = || json!({"success": true});
        let failed = |error: &str| json!({"success": false, "error": error});
        check(
            json!({"op": "send", "chat_id": "1", "content": "x"}),
            json!({"success": true, "message_id": "1001"}),
        );
        check(json!({"op": "edit", "chat_id": "1", "message_id": "1001", "content": "y"}), ok());
        check(
            json!({"op": "edit", "chat_id": "2", "message_id": "1001", "content": "y"}),
            failed("message not found"),
        );
        check(
            json!({"op": "edit", "chat_id": "1", "message_id": "7", "content": "y"}),
            failed("message not found"),
        );
        check(json!({"op": "delete", "chat_id": "1", "message_id": "1001"}), ok());
        check(
            json!({"op": "edit", "chat_id": "1", "message_id": "1001", "content": "y"}),
            failed("message not found"),
        );
        check(json!({"op": "typing", "chat_id": "1"}), ok());
        check(
            json!({"op": "react", "chat_id": "1", "message_id": "7", "emoji": "👍", "remove": false}),
            ok(),
        );
        check(
            json!({"op": "follow_up", "session_key": "k", "kind": "x.y", "content": "z"}),
            json!({"success": true, "message_id": "1002"}),
        );
        check(
            json!({"op": "send_media", "chat_id": "1", "media_kind": "image", "source_url": "https://e/x.png"}),
            json!({"success": true, "message_id": "1003"}),
        );
        check(
            json!({"op": "prompt", "chat_id": "1", "prompt_id": "p", "content": "?", "options": []}),
            json!({"success": true, "message_id": "1004"}),
        );
        check(
            json!({"op": "thread_create", "chat_id": "1", "thread_name": "t"}),
            json!({"success": true, "thread_id": "1005"}),
        );
        check(json!({"op": "thread_rename", "chat_id": "1", "message_id": "1005", "thread_name": "u"}), ok());
        let draft = |draft_id: i64, last: bool| json!({"op": "draft", "chat_id": "1", "draft_id": draft_id, "content": "…", "final": last});
        // All states of one draft share one message.
        check(draft(9, false), json!({"success": true, "message_id": "1006"}));
        check(draft(9, true), json!({"success": true, "message_id": "1006"}));
        check(draft(9, false), json!({"success": true, "message_id": "1007"}));
        check(
            json!({"op": "get_chat_info", "chat_id": "-1001987654321"}),
            json!({"success": true, "chat_info": {"name": "Команда 🚀", "type": "forum"}}),
        );
        check(
            json!({"op": "get_chat_info", "chat_id": "x"}),
            json!({"success": true, "chat_info": {"name": "x", "type": "dm"}}),
        );
        check(json!({"op": "dance", "chat_id": "1"}), failed("unknown op `dance`"));
        check(json!({"op": "send", "chat_id": "1"}), failed("`send` needs a string `content`"));
        check(json!({"chat_id": "1"}), failed("`action` needs a string `op`"));
        check(json!(7), failed("`action` needs a string `op`"));
    }

    #[test]
    fn d_4_a_text_over_the_limit_is_refused_in_the_platforms_unit() {
        let check = |name: &str, text: String, expected: Option<&str>| {
            let (mut responder, platform) = platform(name);
            let action = json!({"op": "send", "chat_id": "1", "content": text});
            let got = responder.answer(now(), platform.ids, &platform.descriptor, &action);
            assert_eq!(got.get("error").and_then(Value::as_str), expected, "{name}");
        };
        check("discord", "😀".repeat(2000), None);
        check("discord", "😀".repeat(2001), Some("the text has 2001 characters, the limit is 2000"));
        check("telegram", "😀".repeat(2048), None);
        check("telegram", "😀".repeat(2049), Some("the text has 4098 UTF-16 code units, the limit is 4096"));
        check("slack", "a".repeat(40_000), None);
        check("slack", "a".repeat(40_001), Some("the text has 40001 characters, the limit is 40000"));
    }

    #[test]
    fn d_3_numbers_are_read_in_every_spelling() {
        let (mut responder, mut platform) = platform("telegram");
        let mut answer = |descriptor: &Map<String, Value>, action: &str| {
            let action = serde_json::from_str(action).unwrap();
            responder.answer(now(), platform.ids, descriptor, &action)
        };
        for id in ["9", "9.0", "90e-1", "\"9\""] {
            let action = format!(r#"{{"op":"draft","chat_id":"1","draft_id":{id},"content":"x"}}"#);
            let expected = json!({"success": true, "message_id": "1001"});
            assert_eq!(answer(&platform.descriptor, &action), expected, "{id}");
        }
        for id in ["9.5", "\"nine\"", "null"] {
            let action = format!(r#"{{"op":"draft","chat_id":"1","draft_id":{id},"content":"x"}}"#);
            assert_eq!(answer(&platform.descriptor, &action)["success"], false, "{id}");
        }
        for (limit, fits) in
            [("3", true), ("3.0", true), ("3e0", true), ("\"3\"", true), ("2e0", false), ("2.5", true)]
        {
            let limit = serde_json::from_str(limit).unwrap();
            platform.descriptor.insert("max_message_length".into(), limit);
            let got = answer(&platform.descriptor, r#"{"op":"send","chat_id":"1","content":"abc"}"#);
            assert_eq!(got["success"], fits, "{got}");
        }
    }

    #[test]
    fn o_9_an_op_that_the_descriptor_does_not_offer_is_refused() {
        let check = |name: &str, action: Value, offered: bool| {
            let (mut responder, platform) = platform(name);
            let got = responder.answer(now(), platform.ids, &platform.descriptor, &action);
            assert_eq!(got["success"], offered, "{name} {action}");
        };
        let react = json!({"op": "react", "chat_id": "1", "message_id": "2", "emoji": "👍"});
        check("discord", react.clone(), true);
        check("matrix", react, false); // the legacy set (D-6)
        check("matrix", json!({"op": "typing", "chat_id": "1"}), true);
        let draft = json!({"op": "draft", "chat_id": "1", "draft_id": 1, "content": "x", "final": false});
        check("telegram", draft.clone(), true);
        check("discord", draft, false);
    }

    #[test]
    fn o_16_task_cards_are_answered_where_they_are_offered() {
        let card = json!({"op": "task_card", "chat_id": "1", "card_id": "turn:2", "chunks": [{"id": "a"}]});
        let stop = json!({"op": "task_card_stop", "chat_id": "1", "card_id": "turn:2"});
        let bad = json!({"op": "task_card", "chat_id": "1", "card_id": "turn:2", "chunks": ["a"]});
        for (name, action, expected) in [
            ("slack", &card, true),
            ("slack", &stop, true),
            ("slack", &bad, false),
            ("discord", &card, false),
            ("discord", &stop, false),
        ] {
            let (mut responder, platform) = platform(name);
            let got = responder.answer(now(), platform.ids, &platform.descriptor, action);
            assert_eq!(got["success"], expected, "{name} {action} {got}");
        }
    }
}
