//! Random ops of the simulated host, built from their definitions.

use super::random::Random;
use super::world::World;
use relayline_core::command::Command;
use relayline_core::op::{Definition, Kind, OPS, Raw, definition};
use serde_json::{Map, Value, json};

/// Frequent ops, repeated by weight. One op in sixteen is not in this list.
const FREQUENT_OPS: [&str; 15] = [
    "send",
    "send",
    "send",
    "send",
    "send",
    "edit",
    "edit",
    "delete",
    "typing",
    "follow_up",
    "get_chat_info",
    "send_media",
    "react",
    "thread_create",
    "thread_rename",
];

/// Rare ops with a weight of their own, and ops with an action of their own.
const OTHER_OPS: [&str; 5] = ["draft", "task_card", "task_card_stop", "raw", "prompt"];

/// Field values that fit the state of a run.
struct Values {
    chat_id: String,
    message_id: String,
    platform: Option<String>,
    reply_to: Option<String>,
    size: usize,
}

impl World<'_> {
    /// Returns a random op for a chat.
    pub(super) fn random_op(&mut self, random: &mut Random) -> Command {
        let chat_id = random.pick(&self.setup.chats).id.clone();
        let message_id = self.host.messages.last().cloned().unwrap_or_else(|| "m1".to_owned());
        let platform = match random.below(20) {
            0 => Some("signal".to_owned()),
            1..4 => Some(self.setup.config.identities[0].platform.clone()),
            _ => None,
        };
        let size = if random.chance(5) { random.index(5000) } else { random.index(80) };
        let reply_to = random.chance(20).then(|| "m1".to_owned());
        let values = Values { chat_id, message_id, platform, reply_to, size };
        let name = match FREQUENT_OPS.get(random.index(FREQUENT_OPS.len() + 1)) {
            Some(name) => name,
            None => {
                let is_other = |name: &&str| !FREQUENT_OPS.contains(name) && !OTHER_OPS.contains(name);
                let others: Vec<&str> = OPS.iter().map(|op| op.name).filter(is_other).collect();
                match random.index(4 + others.len()) {
                    0 | 1 => "draft",
                    2 if random.chance(50) => "task_card",
                    2 => "task_card_stop",
                    3 => return Raw::new(Map::new()).into(),
                    at => others[at - 4],
                }
            }
        };
        let asked = definition(name).map(|op| (op.read)(&mut values.fields(op, random)));
        // The test below checks that every definition reads its own kinds of values.
        asked.and_then(Result::ok).unwrap_or_else(|| Raw::new(Map::new()).into())
    }
}

impl Values {
    /// Returns the fields of an op: all required ones, and some optional ones.
    fn fields(&self, op: &Definition, random: &mut Random) -> Map<String, Value> {
        let mut fields = Map::new();
        for field in op.fields {
            let value = match (field.name, field.kind) {
                ("chat_id", _) => Some(json!(self.chat_id)),
                ("platform", _) => self.platform.clone().map(Value::from),
                ("reply_to", _) => self.reply_to.clone().map(Value::from),
                ("metadata" | "delivery", _) => None,
                ("session_key", _) => Some(json!("agent:main:0")),
                ("kind", _) => Some(json!("discord.interaction_token")),
                ("content", Kind::Text) if field.required => Some(json!("x".repeat(self.size))),
                (_, Kind::Id) => field.required.then(|| json!(self.message_id)),
                (_, Kind::Text) if field.required => {
                    Some(json!(if random.chance(90) { "other" } else { " " }))
                }
                (_, Kind::Flag | Kind::Text) if random.chance(50) => None,
                (_, Kind::Text) => Some(json!("x")),
                (_, Kind::Flag) => Some(json!(true)),
                (_, Kind::Integer | Kind::Unsigned) => field.required.then(|| json!(77)),
                (_, Kind::OneOf(names)) => Some(json!(*random.pick(names))),
                (_, Kind::Object) => Some(json!({})),
                (_, Kind::Objects) => Some(json!(vec![Map::new(); self.size])),
                (_, Kind::Options) => Some(json!([{"id": "yes", "label": "yes"}])),
            };
            fields.extend(value.map(|value| (field.name.to_owned(), value)));
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_reads_its_generated_values() {
        let values = Values {
            chat_id: "c".to_owned(),
            message_id: "m".to_owned(),
            platform: Some("discord".to_owned()),
            reply_to: Some("m1".to_owned()),
            size: 3,
        };
        for op in OPS {
            for draw in 0..20 {
                let mut fields = values.fields(op, &mut Random::new(draw, 9));
                let read = (op.read)(&mut fields);
                assert!(read.is_ok() && fields.is_empty(), "{}: {read:?}, {fields:?}", op.name);
            }
        }
        assert!(FREQUENT_OPS.iter().chain(&OTHER_OPS).all(|name| definition(name).is_some()));
    }
}
