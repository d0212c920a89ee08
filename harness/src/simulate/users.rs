//! Events and forwards of users. Each has a serial number that is recognizable in the delivery, whatever the machine
//! makes of it.

use super::setup::Chat;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Class of an event, which decides how the machine must handle it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum EventClass {
    /// A message.
    Message,
    /// An answer to the prompt of this id (I-3).
    Answer(String),
    /// A forward for hosts with passthrough (P-2).
    Raw,
    /// A forward without an event (P-6).
    Silent,
}

/// An event or a forward of a user.
#[derive(Clone, Debug)]
pub(crate) struct UserEvent {
    pub(crate) class: EventClass,
    /// Platform and chat in one text.
    pub(crate) chat: String,
    /// Id of the author.
    pub(crate) user: String,
    /// Key that identifies duplicates. A forward is identified by its entry.
    pub(crate) key: Option<String>,
    pub(crate) is_forward: bool,
    /// True if its body does not decode (P-1).
    pub(crate) is_undecodable: bool,
    /// Fields of the event or forward.
    pub(crate) content: Map<String, Value>,
}

impl UserEvent {
    /// Returns the prompt that it answers.
    pub(crate) fn prompt(&self) -> Option<&str> {
        match &self.class {
            EventClass::Answer(prompt) => Some(prompt),
            EventClass::Message | EventClass::Raw | EventClass::Silent => None,
        }
    }
}

/// Events of users, by serial number.
pub(crate) type UserEvents = BTreeMap<u64, UserEvent>;

/// The users' side.
#[derive(Debug, Default)]
pub(crate) struct Users {
    pub(crate) events: UserEvents,
    pub(crate) last_serial: u64,
}

/// Returns a message in a chat.
pub(crate) fn message(serial: u64, chat: &Chat, user: u64, has_id: bool, padding: usize) -> UserEvent {
    let text = format!("e{serial} {}", "la ".repeat(padding));
    let mut event = event(serial, chat, user, text.trim_end());
    if !has_id {
        event.remove("message_id");
    }
    let key = has_id.then(|| key_of(chat, &format!("m{serial}")));
    user_event(EventClass::Message, chat, user, key, event)
}

/// Returns the same message with another text. An edit is never a duplicate.
pub(crate) fn edit(serial: u64, of: &UserEvent) -> UserEvent {
    let mut content = of.content.clone();
    content.insert("text".to_owned(), format!("e{serial} edited").into());
    if let Some(Value::Object(source)) = content.get_mut("source") {
        source.insert("message_is_edit".to_owned(), true.into());
    }
    UserEvent { class: EventClass::Message, key: None, content, ..of.clone() }
}

/// Returns an answer to a prompt.
pub(crate) fn answer(serial: u64, chat: &Chat, user: u64, prompt_id: &str) -> UserEvent {
    let mut event = event(serial, chat, user, &format!("e{serial} yes"));
    event.insert(
        "prompt_response".to_owned(),
        json!({"prompt_id": prompt_id, "option_id": "yes", "label": "Yes"}),
    );
    let key = Some(key_of(chat, &format!("m{serial}")));
    user_event(EventClass::Answer(prompt_id.to_owned()), chat, user, key, event)
}

/// Kind of a forward.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ForwardKind {
    Command,
    Choice(String),
    Ping,
    BadBody,
    Raw,
}

/// Returns a forwarded platform request.
pub(crate) fn forward(serial: u64, chat: &Chat, user: u64, what: &ForwardKind) -> UserEvent {
    let kind = match what {
        ForwardKind::Command => 2,
        ForwardKind::Choice(_) => 3,
        ForwardKind::Ping | ForwardKind::BadBody | ForwardKind::Raw => 1,
    };
    // Spellings of other JSON writers (D-3).
    let spelled = match serial % 4 {
        0 => json!(f64::from(kind)),
        1 => json!(kind.to_string()),
        _ => json!(kind),
    };
    let mut body = json!({"id": format!("i{serial}"), "type": spelled, "channel_id": chat.id, "guild_id": "g",
        "member": {"user": {"id": format!("u{user}"), "username": "somebody"}}});
    match what {
        ForwardKind::Command => {
            body["data"] =
                json!({"name": "ask", "options": [{"name": "q", "type": 3, "value": format!("e{serial}")}]});
        }
        ForwardKind::Choice(prompt_id) => body["data"] = json!({"custom_id": format!("hp1:{prompt_id}:yes")}),
        ForwardKind::Ping | ForwardKind::BadBody | ForwardKind::Raw => {}
    }
    let platform = if *what == ForwardKind::Raw { "telegram" } else { "discord" };
    let mut body = body.to_string();
    if serial.is_multiple_of(3) {
        // W-11.
        body.insert_str(1, "\"n\":NaN,");
    }
    let encoded = BASE64.encode(body.as_bytes());
    let is_undecodable = *what == ForwardKind::BadBody;
    let content = json!({"platform": platform, "botId": "b", "method": "POST", "path": format!("/e{serial}"),
        "headers": [["a", "1"], "odd", ["a", "2"]],
        "bodyB64": if is_undecodable { format!("*{encoded}") } else { encoded }});
    let class = match what {
        ForwardKind::Command => EventClass::Message,
        ForwardKind::Choice(prompt_id) => EventClass::Answer(prompt_id.clone()),
        ForwardKind::Ping | ForwardKind::BadBody => EventClass::Silent,
        ForwardKind::Raw => EventClass::Raw,
    };
    let Value::Object(content) = content else { unreachable!("an object was written") };
    let chat = Chat { platform, ..chat.clone() };
    UserEvent { is_forward: true, is_undecodable, ..user_event(class, &chat, user, None, content) }
}

fn user_event(
    class: EventClass,
    chat: &Chat,
    user: u64,
    key: Option<String>,
    content: Map<String, Value>,
) -> UserEvent {
    let chat = format!("{} {}", chat.platform, chat.id);
    UserEvent {
        class,
        chat,
        user: format!("u{user}"),
        key,
        is_forward: false,
        is_undecodable: false,
        content,
    }
}

pub(crate) fn key_of(chat: &Chat, message_id: &str) -> String {
    format!("{} {} {message_id}", chat.platform, chat.id)
}

fn event(serial: u64, chat: &Chat, user: u64, text: &str) -> Map<String, Value> {
    let mut source = json!({"platform": chat.platform, "chat_id": chat.id, "chat_type": chat.kind,
        "user_id": format!("u{user}"), "user_name": "somebody", "scope_id": "s"});
    if chat.kind == "thread" {
        source["parent_chat_id"] = "c1".into();
    }
    // Some chats name their scope `guild_id`, some messages are in a thread, and some open one.
    if user % 3 == 2 {
        let scope = source["scope_id"].take();
        source["guild_id"] = scope;
    }
    match serial % 5 {
        0 => source["thread_id"] = format!("t{user}").into(),
        1 => source["prospective_thread_id"] = format!("t{user}").into(),
        _ => {}
    }
    let event =
        json!({"text": text, "message_type": "text", "message_id": format!("m{serial}"), "source": source});
    let Value::Object(event) = event else { unreachable!("an object was written") };
    event
}

/// Returns the serial number in a text: `e17 hello`, `/ask e17`, `i17`, `/e17`.
pub(crate) fn serial(text: &str) -> Option<u64> {
    text.split([' ', '/']).find_map(|word| {
        let digits = word.strip_prefix(['e', 'i'])?;
        digits.parse().ok()
    })
}
