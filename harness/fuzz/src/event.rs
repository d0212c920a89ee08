//! Inbound events (E-1 to E-8, W-7 to W-9, W-11, D-3), compared with a simple reading of their rules.

use crate::json::{Object, filled, is_plain, text, whole, without_constants};
use relayline_core::event::Event;
use relayline_core::session_key::{SessionKeyOptions, session_key};
use serde_json::{Map, Value};

pub(crate) fn run(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else { return };
    let plainly = &without_constants(raw);
    let Some(event) = Event::read(raw) else {
        assert!(!is_plain(plainly) || Object::read(plainly).is_none(), "E-1: it is an object: {raw}");
        return;
    };
    assert!(!event.via_authenticated_relay, "E-9: nothing on the wire says so");
    // S-4: no id causes a panic.
    assert!(session_key(&event.source, SessionKeyOptions::default(), None).starts_with("agent:main:"));
    if is_plain(plainly) {
        let object = Object::read(plainly).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), expected(&object), "{raw}");
        let answer = event.prompt_response.map(|answer| (answer.prompt_id.into(), answer.option_id.into()));
        let response = object.object("prompt_response");
        assert_eq!(answer, response.text("prompt_id").zip(response.text("option_id")), "E-8: {raw}");
    }
}

/// Writer of fields that are present.
struct Out(Map<String, Value>);

impl Out {
    fn put(&mut self, name: &str, value: Option<impl Into<Value>>) -> &mut Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }
}

/// Returns the expected event, field by field.
fn expected(event: &Object) -> Value {
    let mut out = Out(Map::new());
    out.put("text", Some(event.text("text").unwrap_or_default()))
        .put("message_type", Some(filled(event.text("message_type")).unwrap_or_else(|| "text".into())))
        .put("message_id", filled(event.id("message_id")))
        .put("reply_to_message_id", filled(event.id("reply_to_message_id")))
        .put("source", Some(source(&event.object("source"))))
        .put("reply_to", reply(&event.object("reply_to")))
        .put("media", Some(media(event)).filter(|media| !media.is_empty()))
        .put("context", context(event))
        .put("context_error", event.flag("context_error").filter(|set| *set))
        .put("prompt_response", response(&event.object("prompt_response")));
    Value::Object(out.0)
}

/// E-8.
fn response(response: &Object) -> Option<Map<String, Value>> {
    let mut out = Out(Map::new());
    out.put("prompt_id", Some(response.text("prompt_id")?))
        .put("option_id", Some(response.text("option_id")?))
        .put("label", filled(response.text("label")))
        .put("prompt_message_id", filled(response.id("prompt_message_id")));
    Some(out.0)
}

fn source(source: &Object) -> Map<String, Value> {
    let text = |name: &str| filled(source.text(name));
    let id = |name: &str| filled(source.id(name));
    let mut out = Out(Map::new());
    out.put("platform", Some(text("platform").unwrap_or_else(|| "relay".into())))
        .put("chat_id", Some(source.id("chat_id").unwrap_or_default()))
        .put("chat_type", Some(text("chat_type").unwrap_or_else(|| "dm".into())))
        // E-4, E-5.
        .put("user_name", text("user_display_name").or(text("user_name")).or(text("user_handle")))
        .put("scope_id", id("scope_id").or(id("guild_id")))
        .put("auto_thread_created", source.flag("auto_thread_created").filter(|set| *set));
    for name in ["chat_name", "chat_topic", "profile", "auto_thread_initial_name"] {
        out.put(name, text(name));
    }
    for name in [
        "user_id",
        "user_id_alt",
        "chat_id_alt",
        "thread_id",
        "parent_chat_id",
        "message_id",
        "prospective_thread_id",
    ] {
        out.put(name, id(name));
    }
    for name in ["is_bot", "message_is_edit", "one_to_one_verified"] {
        out.put(name, source.flag(name));
    }
    out.0
}

fn reply(reply: &Object) -> Option<Map<String, Value>> {
    let mut out = Out(Map::new());
    out.put("text", filled(reply.text("text")))
        .put("author", filled(reply.text("author")))
        .put("is_own", reply.flag("is_own"));
    Some(out.0).filter(|fields| !fields.is_empty())
}

const MEDIA: [&str; 4] = ["kind", "mime", "filename", "caption"];

/// Returns the media of an event: each URL with its first unused entry that has a value (E-7).
fn media(event: &Object) -> Vec<Value> {
    let urls = event.items("media_urls").into_iter().filter_map(|raw| filled(text(raw.get())));
    let mut attached: Vec<(String, Option<Object>)> = urls.map(|url| (url, None)).collect();
    let says = |entry: &Object| size(entry).is_some() || MEDIA.iter().any(|name| entry.text(name).is_some());
    for raw in event.items("media") {
        let Some(entry) = Object::read(raw.get()).filter(says) else { continue };
        let Some(url) = entry.text("url") else { continue };
        if let Some((_, place)) = attached.iter_mut().find(|(other, taken)| *other == url && taken.is_none())
        {
            *place = Some(entry);
        }
    }
    let shown = |(url, entry): (String, Option<Object>)| {
        let mut out = Out(Map::new());
        out.put("url", Some(url));
        if let Some(entry) = entry {
            MEDIA.iter().for_each(|name| {
                out.put(name, filled(entry.text(name)));
            });
            out.put("size", size(&entry));
        }
        Value::Object(out.0)
    };
    attached.into_iter().map(shown).collect()
}

fn size(entry: &Object) -> Option<u64> {
    entry.raw("size").and_then(whole).and_then(|size| size.fits())
}

/// E-6.
fn context(event: &Object) -> Option<String> {
    let line = |item: Object| {
        let said = flat(&filled(item.text("text"))?);
        let source = item.object("source");
        let author = filled(source.text("user_name")).or(filled(source.id("user_id")));
        Some(author.map_or(said.clone(), |author| format!("{}: {said}", flat(&author))))
    };
    let items = event.items("context").into_iter().filter_map(|raw| Object::read(raw.get()));
    let lines: Vec<String> = items.filter_map(line).collect();
    (!lines.is_empty()).then(|| format!("[Recent channel messages]\n{}", lines.join("\n")))
}

fn flat(text: &str) -> String {
    let breaks =
        ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    text.replace("\r\n", " ").replace(breaks, " ")
}
