//! Encoder of the frames that a gateway writes: compact, with a fixed order of fields and a trailing newline (W-6).

use crate::anchor::Anchor;
use crate::chats::Chat;
use crate::command::Metadata;
use crate::config::Identity;
use crate::json::Write;
use crate::op::{Context, Op};
use serde_json::{Map, Value};

/// Writer of one object, field by field.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, empty: true }
    }

    /// Writes a key of the protocol, none of which needs an escape. The caller writes the value.
    pub(crate) fn key(&mut self, name: &'static str) -> &mut Vec<u8> {
        debug_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn separate(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }

    pub(crate) fn field(&mut self, name: &'static str, content: impl Write) -> &mut Self {
        content.write(self.key(name));
        self
    }

    /// Writes a field of the host, whose name may need escapes.
    pub(crate) fn host_field(&mut self, name: &str, content: &Value) {
        self.separate();
        name.write(self.out);
        self.out.push(b':');
        content.write(self.out);
    }

    /// Writes a field, unless it is `None`.
    pub(crate) fn optional(&mut self, name: &'static str, content: Option<impl Write>) -> &mut Self {
        match content {
            Some(content) => self.field(name, content),
            None => self,
        }
    }

    pub(crate) fn close(self) {
        self.out.push(b'}');
    }
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

/// Fields of a `hello` that the host's fields never replace (X-6).
const HELLO: [&str; 4] = ["type", "platform", "botId", "command_manifest"];

pub(crate) fn hello(
    out: &mut Vec<u8>,
    identity: &Identity,
    manifest: Option<&Vec<Value>>,
    extra: &Map<String, Value>,
) {
    let mut frame = Object::open(out);
    frame.field("type", "hello").field("platform", &identity.platform).field("botId", &identity.bot_id);
    if let Some(manifest) = manifest.filter(|_| identity.platform == "discord") {
        frame.field("command_manifest", manifest);
    }
    for (name, content) in extra.iter().filter(|(name, _)| !HELLO.contains(&name.as_str())) {
        frame.host_field(name, content);
    }
    end(out);
}

pub(crate) fn going_idle(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"going_idle\"}\n");
}

pub(crate) fn ack(out: &mut Vec<u8>, buffer_id: &str) {
    Object::open(out).field("type", "inbound_ack").field("bufferId", buffer_id);
    end(out);
}

pub(crate) fn interrupt(out: &mut Vec<u8>, session_key: &str, reason: Option<&str>) {
    Object::open(out).field("type", "interrupt").field("session_key", session_key).field("reason", reason);
    end(out);
}

/// Writes an `outbound` frame. `id` is the request's id on the wire, `tag` the identity it goes out as (M-3).
pub(crate) fn outbound(
    out: &mut Vec<u8>,
    id: &(impl Write + ?Sized),
    op: &Op,
    tag: Option<&Identity>,
    context: &Context<'_>,
) {
    let mut frame = Object::open(out);
    frame.field("type", "outbound").field("requestId", id);
    let mut action = Object::open(frame.key("action"));
    op.write(&mut action, context);
    action.close();
    if let Some(identity) = tag {
        frame.field("platform", &identity.platform);
        if !identity.bot_id.is_empty() {
            frame.field("botId", &identity.bot_id);
        }
    }
    end(out);
}

/// Writes the caller's metadata, with what is remembered of the chat where the caller has not set it (M-2).
pub(crate) fn metadata(
    out: &mut Vec<u8>,
    own: &Metadata,
    chat: Option<&Chat>,
    profile: Option<&str>,
    anchor: Anchor<'_>,
) {
    let set = |name: &str| own.get(name).filter(|v| !v.is_null() && v.as_str() != Some(""));
    let scope = set("scope_id").or(set("guild_id")).map(Fill::Own).or_else(|| fill(chat?.scope.as_deref()));
    let user = fill(chat.and_then(|chat| chat.author.as_deref()));
    let profile = fill(profile);
    let thread = fill(anchor.thread());
    let fills = [
        ("thread_id", thread),
        ("thread_ts", fill(anchor.thread_ts())),
        ("scope_id", scope),
        ("guild_id", scope),
        ("user_id", user),
        ("profile", profile),
    ];
    let missing = |name: &str| {
        fills
            .iter()
            .find(|(known, _)| *known == name)
            .and_then(|(_, fill)| *fill)
            .filter(|_| set(name).is_none())
    };
    let mut object = Object::open(out);
    let is_dropped = |name: &str| anchor == Anchor::Flat && name == "reply_to_message_id";
    for (name, content) in own.iter().filter(|(name, _)| !is_dropped(name)) {
        if missing(name).is_none() {
            object.host_field(name, content);
        }
    }
    for (name, _) in fills {
        if let Some(fill) = missing(name) {
            object.field(name, fill);
        }
    }
    object.close();
}

/// Value of a field that the caller has not set.
#[derive(Clone, Copy)]
enum Fill<'a> {
    Own(&'a Value),
    Remembered(&'a str),
}

impl Write for Fill<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Fill::Own(value) => value.write(out),
            Fill::Remembered(text) => text.write(out),
        }
    }
}

fn fill(remembered: Option<&str>) -> Option<Fill<'_>> {
    remembered.filter(|text| !text.is_empty()).map(Fill::Remembered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{EditMessage, FollowUp, GetChatInfo, Raw, SendMessage, Typing};
    use serde_json::json;

    fn encoded(op: &Op, tag: Option<&Identity>, chat: Option<&Chat>) -> String {
        let mut out = Vec::new();
        outbound(&mut out, "id", op, tag, &Context { chat, anchor: Anchor::AsGiven, prompt_id: "p.1" });
        String::from_utf8(out).unwrap()
    }

    fn own(value: Value) -> Metadata {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn w_6_frames_are_compact_with_a_fixed_order() {
        let identity = |platform: &str, bot_id: &str| Identity::new(platform, bot_id);
        let manifest = vec![json!({"name": "ask"})];
        let frame = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8(out).unwrap()
        };
        for (written, expected) in [
            (
                frame(&|out| hello(out, &identity("discord", "1"), Some(&manifest), &Map::new())),
                r#"{"type":"hello","platform":"discord","botId":"1","command_manifest":[{"name":"ask"}]}"#,
            ),
            (
                frame(&|out| hello(out, &identity("slack", ""), Some(&manifest), &Map::new())),
                r#"{"type":"hello","platform":"slack","botId":""}"#,
            ),
            (frame(&going_idle), r#"{"type":"going_idle"}"#),
            (frame(&|out| ack(out, "b\"1")), r#"{"type":"inbound_ack","bufferId":"b\"1"}"#),
            (
                frame(&|out| interrupt(out, "k", None)),
                r#"{"type":"interrupt","session_key":"k","reason":null}"#,
            ),
            (
                encoded(&Op::from(SendMessage::new("c", "é\n😀")), Some(&identity("discord", "1")), None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"send","chat_id":"c","content":"é\n😀","reply_to":null,"metadata":{}},"platform":"discord","botId":"1"}"#,
            ),
            (
                encoded(&Op::from(EditMessage::new("", "7", "")), Some(&identity("p", "")), None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"edit","chat_id":"","message_id":"7","content":"","metadata":{}},"platform":"p"}"#,
            ),
            (
                encoded(&Op::from(Typing::new("c")), None, None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"typing","chat_id":"c","metadata":{}}}"#,
            ),
            (
                encoded(&Op::from(FollowUp::new("", "k", "")), None, None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"follow_up","session_key":"","kind":"k","content":"","metadata":{}}}"#,
            ),
            (
                encoded(&Op::from(GetChatInfo::new("c")), None, None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"get_chat_info","chat_id":"c"}}"#,
            ),
            (
                encoded(&Op::from(Raw::new(own(json!({"op": "x"})))), None, None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"x"}}"#,
            ),
        ] {
            assert_eq!(written, format!("{expected}\n"));
        }
    }

    #[test]
    fn x_6_hello_extra_replaces_no_field() {
        let identity = Identity::new("slack", "1");
        let extra = own(json!({"agent": {"v": [1]}, "type": "x", "platform": "y", "botId": "z",
            "command_manifest": [], "z": null}));
        let mut out = Vec::new();
        hello(&mut out, &identity, Some(&vec![json!({"name": "ask"})]), &extra);
        let expected = r#"{"type":"hello","platform":"slack","botId":"1","agent":{"v":[1]},"z":null}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn m_4_a_follow_up_names_its_sessions_profile() {
        for (key, set, expected) in [
            ("agent:ops:discord:group:1:2", json!({}), json!({"profile": "ops"})),
            ("agent:main~:discord:group:1:2", json!({}), json!({"profile": "main"})),
            ("agent:main:discord:group:1:2", json!({}), json!({})),
            ("agent:ops:discord:group:1:2", json!({"profile": "set"}), json!({"profile": "set"})),
            ("agent:ops:discord:group:1:2", json!({"profile": ""}), json!({"profile": "ops"})),
            // The key does not belong to an agent.
            ("ops:discord:group:1", json!({}), json!({})),
            ("agent:ops", json!({}), json!({})),
            ("agent::discord:dm:1", json!({}), json!({})),
            ("", json!({}), json!({})),
        ] {
            let follow_up = FollowUp::new(key, "", "").metadata(own(set));
            let frame: Value = serde_json::from_str(&encoded(&follow_up.into(), None, None)).unwrap();
            assert_eq!(frame["action"]["metadata"], expected, "{key}");
        }
    }

    #[test]
    fn m_2_chat_memory_fills_missing_metadata() {
        let chat = Chat {
            platform: "discord".into(),
            scope: Some("S".into()),
            author: Some("U".into()),
            profile: Some("coder".into()),
            ..Chat::default()
        };
        let plain = Chat { profile: Some("default".into()), ..Chat::default() };
        for (own_metadata, chat, expected) in [
            (
                json!({}),
                Some(&chat),
                json!({"scope_id": "S", "guild_id": "S", "user_id": "U", "profile": "coder"}),
            ),
            (json!({"x": 1}), Some(&plain), json!({"x": 1})),
            (json!({}), None, json!({})),
            (
                json!({"scope_id": "own", "user_id": "me", "profile": "p"}),
                Some(&chat),
                json!({"scope_id": "own", "guild_id": "own", "user_id": "me", "profile": "p"}),
            ),
            (json!({"guild_id": 5}), None, json!({"scope_id": 5, "guild_id": 5})),
            (
                json!({"scope_id": "a", "guild_id": "b"}),
                Some(&plain),
                json!({"scope_id": "a", "guild_id": "b"}),
            ),
            (
                json!({"scope_id": "", "user_id": null, "profile": ""}),
                Some(&chat),
                json!({"scope_id": "S", "guild_id": "S", "user_id": "U", "profile": "coder"}),
            ),
            (json!({"scope_id": "", "user_id": ""}), Some(&plain), json!({"scope_id": "", "user_id": ""})),
        ] {
            let op = SendMessage::new("", "").metadata(own(own_metadata.clone()));
            let written: Value = serde_json::from_str(&encoded(&op.into(), None, chat)).unwrap();
            assert_eq!(written["action"]["metadata"], expected, "{own_metadata}");
        }
    }
}
