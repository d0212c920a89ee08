//! The frames that a gateway writes: compact, with a fixed order of fields, a newline at the end (W-6).

use crate::anchor::Anchor;
use crate::chats::Chat;
use crate::command::{Command, Metadata, TaskCardStop, Wire};
use crate::config::Identity;
use crate::session_key::profile_of;
use serde::Serialize;
use serde_json::{Map, Value};

/// Writes one object, field by field.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, empty: true }
    }

    /// The key; the value is the caller's to write.
    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        value(self.out, name);
        self.out.push(b':');
        self.out
    }

    fn field(&mut self, name: &str, content: impl Serialize) -> &mut Self {
        value(self.key(name), content);
        self
    }

    /// A field that is left out where there is nothing.
    fn optional(&mut self, name: &str, content: Option<impl Serialize>) -> &mut Self {
        match content {
            Some(content) => self.field(name, content),
            None => self,
        }
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

fn value(out: &mut Vec<u8>, content: impl Serialize) {
    // Writing to memory cannot fail, and nothing written here has keys that are no strings.
    let written = serde_json::to_writer(&mut *out, &content);
    debug_assert!(written.is_ok());
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

/// Fields that a `hello` has of its own: the host's never take their place (X-6).
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
        frame.field(name, content);
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

/// An `outbound` frame. `id` is the request's id on the wire, `tag` the identity it goes out as (M-3), `chat` what
/// is remembered of its chat (M-2), `anchor` its placement (M-8), `prompt_id` a prompt's.
pub(crate) fn outbound(
    out: &mut Vec<u8>,
    id: &impl Serialize,
    command: &Command,
    prompt_id: &str,
    tag: Option<&Identity>,
    chat: Option<&Chat>,
    anchor: Anchor<'_>,
) {
    let mut frame = Object::open(out);
    frame.field("type", "outbound").field("requestId", id);
    action(frame.key("action"), command, prompt_id, chat, anchor);
    if let Some(identity) = tag {
        frame.field("platform", &identity.platform);
        if !identity.bot_id.is_empty() {
            frame.field("botId", &identity.bot_id);
        }
    }
    end(out);
}

fn action(out: &mut Vec<u8>, command: &Command, prompt_id: &str, chat: Option<&Chat>, anchor: Anchor<'_>) {
    let mut action = Object::open(out);
    if let Wire::Op { op, chat_id, .. } = command.wire() {
        action.field("op", op).field("chat_id", chat_id);
    }
    let own = match command {
        Command::Send(send) => {
            action.field("content", &send.content).field("reply_to", anchored(&send.reply_to, anchor));
            Some(&send.metadata)
        }
        Command::Edit(edit) => {
            action.field("message_id", &edit.message_id).field("content", &edit.content);
            Some(&edit.metadata)
        }
        Command::Delete(delete) => {
            action.field("message_id", &delete.message_id);
            Some(&delete.metadata)
        }
        Command::Typing(typing) => {
            action.optional("content", typing.content.as_ref());
            Some(&typing.metadata)
        }
        Command::FollowUp(follow_up) => {
            action
                .field("op", "follow_up")
                .field("session_key", &follow_up.session_key)
                .field("kind", &follow_up.kind)
                .field("content", &follow_up.content);
            Some(&follow_up.metadata)
        }
        Command::SendMedia(media) => {
            action
                .field("media_kind", media.kind)
                .field("source_url", &media.source_url)
                .field("content", &media.caption)
                .optional("filename", media.filename.as_ref())
                .field("reply_to", anchored(&media.reply_to, anchor));
            Some(&media.metadata)
        }
        Command::Prompt(prompt) => {
            action
                .field("prompt_kind", prompt.kind)
                .field("prompt_id", prompt_id)
                .field("content", &prompt.content)
                .field("options", &prompt.options)
                .optional("timeout_s", prompt.seconds())
                .field("reply_to", &prompt.reply_to);
            Some(&prompt.metadata)
        }
        Command::React(react) => {
            action
                .field("message_id", &react.message_id)
                .field("emoji", &react.emoji)
                .field("remove", react.remove);
            Some(&react.metadata)
        }
        Command::ThreadCreate(thread) => {
            action
                .field("thread_name", thread_name(&thread.name))
                .optional("message_id", thread.message_id.as_ref());
            Some(&thread.metadata)
        }
        Command::ThreadRename(thread) => {
            action.field("message_id", &thread.thread_id).field("thread_name", cut(&collapsed(&thread.name)));
            // The guard to prefer goes out alone (O-17).
            match thread.only_if_connector_created {
                true => action.field("only_if_connector_created", true),
                false => action.optional("only_if_current_name", thread.only_if_current_name.as_ref()),
            };
            Some(&thread.metadata)
        }
        Command::Draft(draft) => {
            action
                .field("draft_id", draft.draft_id)
                .field("content", &draft.content)
                .field("final", draft.last);
            Some(&draft.metadata)
        }
        Command::TaskCard(task) => {
            action.field("card_id", task.card.id()).field("chunks", &task.chunks);
            Some(&task.card.metadata)
        }
        Command::TaskCardStop(TaskCardStop { card }) => {
            action.field("card_id", card.id());
            Some(&card.metadata)
        }
        Command::Raw(raw) => {
            verbatim(&mut action, &raw.action, chat);
            None
        }
        // One has no metadata; the others are no ops: they have frames of their own, or none.
        Command::ChatInfo(_)
        | Command::Interrupt(_)
        | Command::GoIdle
        | Command::GoDormant
        | Command::Hold(_)
        | Command::Resume
        | Command::Stream(_)
        | Command::Reply(_)
        | Command::Turn(_)
        | Command::Disconnect => None,
    };
    if let Some(own) = own {
        metadata(action.key("metadata"), own, chat, profile(command, chat), anchor);
    }
    action.close();
}

/// The action's own fields. What is remembered of its chat goes into its metadata (X-3).
fn verbatim(out: &mut Object<'_>, action: &Metadata, chat: Option<&Chat>) {
    let profile = chat.and_then(|chat| chat.profile.as_deref()).filter(|name| *name != "default");
    let filled = |own: &Metadata| {
        let mut text = Vec::new();
        metadata(&mut text, own, chat, profile, Anchor::AsGiven);
        text
    };
    for (name, content) in action {
        match content {
            Value::Object(own) if name == "metadata" && chat.is_some() => {
                out.key(name).extend(filled(own));
            }
            _ => {
                out.field(name, content);
            }
        }
    }
    if !action.contains_key("metadata") {
        let text = filled(&Metadata::new());
        if text != b"{}" {
            out.key("metadata").extend(text);
        }
    }
}

/// The message that an op answers, which one that is placed flat does not name (M-8).
fn anchored<'a>(reply_to: &'a Option<String>, anchor: Anchor<'_>) -> Option<&'a str> {
    reply_to.as_deref().filter(|_| anchor != Anchor::Flat)
}

/// A thread's name: trimmed, of at most 100 characters, `handoff` when there is nothing left (O).
fn thread_name(name: &str) -> &str {
    let name = name.trim();
    if name.is_empty() { "handoff" } else { cut(name) }
}

/// A name of at most 100 characters.
fn cut(name: &str) -> &str {
    let end = name.char_indices().nth(100).map_or(name.len(), |(at, _)| at);
    name[..end].trim_end()
}

/// A name with one space where there is white space. No more is looked at than can be written (O-17).
fn collapsed(name: &str) -> String {
    let mut short = String::new();
    let mut characters = 0;
    for word in name.split_whitespace() {
        if characters > 100 {
            break;
        }
        if characters > 0 {
            short.push(' ');
        }
        short.extend(word.chars().take(101));
        characters += 1 + word.chars().take(101).count();
    }
    short
}

/// The agent profile that a command is of: its chat's, or that of a follow-up's session (M-4).
fn profile<'a>(command: &'a Command, chat: Option<&'a Chat>) -> Option<&'a str> {
    let profile = match command {
        Command::FollowUp(follow_up) => profile_of(&follow_up.session_key),
        _ => chat.and_then(|chat| chat.profile.as_deref()),
    };
    profile.filter(|name| *name != "default")
}

/// The caller's metadata, with what is remembered of the chat where the caller has not set it (M-2).
fn metadata(
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
            object.field(name, content);
        }
    }
    for (name, _) in fills {
        if let Some(fill) = missing(name) {
            object.field(name, fill);
        }
    }
    object.close();
}

/// What stands in for a value that the caller has not set.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum Fill<'a> {
    Own(&'a Value),
    Remembered(&'a str),
}

fn fill(remembered: Option<&str>) -> Option<Fill<'_>> {
    remembered.filter(|text| !text.is_empty()).map(Fill::Remembered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{ChatInfo, Edit, FollowUp, Raw, Send, Typing};
    use serde_json::json;

    fn encoded(command: &Command, tag: Option<&Identity>, chat: Option<&Chat>) -> String {
        let mut out = Vec::new();
        outbound(&mut out, &"id", command, "p.1", tag, chat, Anchor::AsGiven);
        String::from_utf8(out).unwrap()
    }

    fn own(value: Value) -> Metadata {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn w_06_frames_are_compact_with_a_fixed_order() {
        let identity =
            |platform: &str, bot_id: &str| Identity { platform: platform.into(), bot_id: bot_id.into() };
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
                encoded(
                    &Command::Send(Send {
                        chat_id: "c".into(), content: "é\n😀".into(), ..Send::default()
                    }),
                    Some(&identity("discord", "1")),
                    None,
                ),
                r#"{"type":"outbound","requestId":"id","action":{"op":"send","chat_id":"c","content":"é\n😀","reply_to":null,"metadata":{}},"platform":"discord","botId":"1"}"#,
            ),
            (
                encoded(
                    &Command::Edit(Edit { message_id: "7".into(), ..Edit::default() }),
                    Some(&identity("p", "")),
                    None,
                ),
                r#"{"type":"outbound","requestId":"id","action":{"op":"edit","chat_id":"","message_id":"7","content":"","metadata":{}},"platform":"p"}"#,
            ),
            (
                encoded(&Command::Typing(Typing { chat_id: "c".into(), ..Typing::default() }), None, None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"typing","chat_id":"c","metadata":{}}}"#,
            ),
            (
                encoded(&Command::FollowUp(FollowUp { kind: "k".into(), ..FollowUp::default() }), None, None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"follow_up","session_key":"","kind":"k","content":"","metadata":{}}}"#,
            ),
            (
                encoded(
                    &Command::ChatInfo(ChatInfo { chat_id: "c".into(), ..ChatInfo::default() }),
                    None,
                    None,
                ),
                r#"{"type":"outbound","requestId":"id","action":{"op":"get_chat_info","chat_id":"c"}}"#,
            ),
            (
                encoded(&Command::Raw(Raw { action: own(json!({"op": "x"})), ..Raw::default() }), None, None),
                r#"{"type":"outbound","requestId":"id","action":{"op":"x"}}"#,
            ),
        ] {
            assert_eq!(written, format!("{expected}\n"));
        }
    }

    #[test]
    fn x_6_further_fields_of_a_hello_replace_none() {
        let identity = Identity { platform: "slack".into(), bot_id: "1".into() };
        let extra = own(json!({"agent": {"v": [1]}, "type": "x", "platform": "y", "botId": "z",
            "command_manifest": [], "z": null}));
        let mut out = Vec::new();
        hello(&mut out, &identity, Some(&vec![json!({"name": "ask"})]), &extra);
        let expected = r#"{"type":"hello","platform":"slack","botId":"1","agent":{"v":[1]},"z":null}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn m_4_a_follow_up_is_of_its_sessions_profile() {
        for (key, set, expected) in [
            ("agent:ops:discord:group:1:2", json!({}), json!({"profile": "ops"})),
            ("agent:main~:discord:group:1:2", json!({}), json!({"profile": "main"})),
            ("agent:main:discord:group:1:2", json!({}), json!({})),
            ("agent:ops:discord:group:1:2", json!({"profile": "set"}), json!({"profile": "set"})),
            ("agent:ops:discord:group:1:2", json!({"profile": ""}), json!({"profile": "ops"})),
            // No key of an agent's.
            ("ops:discord:group:1", json!({}), json!({})),
            ("agent:ops", json!({}), json!({})),
            ("agent::discord:dm:1", json!({}), json!({})),
            ("", json!({}), json!({})),
        ] {
            let follow_up = FollowUp { session_key: key.into(), metadata: own(set), ..FollowUp::default() };
            let frame: Value =
                serde_json::from_str(&encoded(&Command::FollowUp(follow_up), None, None)).unwrap();
            assert_eq!(frame["action"]["metadata"], expected, "{key}");
        }
    }

    #[test]
    fn m_2_what_is_remembered_fills_what_the_caller_left_out() {
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
            let mut out = Vec::new();
            let of = Command::Send(Send::default());
            metadata(&mut out, &own(own_metadata.clone()), chat, profile(&of, chat), Anchor::AsGiven);
            let written: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(written, expected, "{own_metadata}");
        }
    }
}
