//! Content of a frame, or of another line, in one line of text.

use super::frame::{ReadFrame, id};
use data_encoding::BASE64;
use relayline_core::json;
use serde_json::{Map, Value};

/// Maximum length of a gist, in characters.
const MAX_GIST: usize = 160;

/// Returns a text in one line of at most `most` characters. White space becomes a space; control characters and those
/// that change the direction of text are escaped, so that a text cannot disguise what stands beside it.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    let mut was_space = true;
    for c in text.chars() {
        if length >= most {
            line.push('…');
            break;
        }
        let is_space = c.is_whitespace();
        if is_space && was_space {
            continue;
        }
        was_space = is_space;
        length += 1;
        match c {
            _ if is_space => line.push(' '),
            _ if c.is_control() || changes_direction(c) => {
                line.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => line.push(c),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Returns true if a character changes the direction of text.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text in quotation marks, in one line.
pub(super) fn quoted(text: &str, most: usize) -> String {
    format!("“{}”", one_line(text, most))
}

/// Parts of a gist, joined by a middle dot.
#[derive(Default)]
struct GistParts(Vec<String>);

impl GistParts {
    fn add(&mut self, text: impl Into<String>) -> &mut Self {
        let text = text.into();
        if !text.is_empty() {
            self.0.push(text);
        }
        self
    }

    fn text(&self) -> String {
        one_line(&self.0.join(" · "), MAX_GIST)
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the value of an id field, or nothing.
fn id_text(fields: &Map<String, Value>, name: &str) -> String {
    id(fields.get(name)).unwrap_or_default()
}

/// Returns the gist of a frame.
pub(super) fn of_frame(frame: &ReadFrame) -> String {
    let fields = &frame.fields;
    let mut parts = GistParts::default();
    match frame.name.as_str() {
        "hello" => {
            parts.add(format!("{} {}", text(fields, "platform"), id_text(fields, "botId")).trim().to_owned());
            if let Some(commands) = fields.get("command_manifest").and_then(Value::as_array) {
                parts.add(format!("{} commands", commands.len()));
            }
        }
        "descriptor" => {
            if let Some(descriptor) = frame.object("descriptor") {
                of_descriptor(descriptor, &mut parts);
            }
        }
        "inbound" => {
            if let Some(event) = frame.object("event") {
                of_event(event, &mut parts);
            }
        }
        "passthrough_forward" => {
            if let Some(forward) = frame.object("forward") {
                of_forward(forward, &mut parts);
            }
        }
        "outbound" => {
            if let Some(action) = frame.object("action") {
                of_action(action, &mut parts);
            }
        }
        "outbound_result" => {
            parts.add(frame.object("result").map_or_else(|| "no result object".to_owned(), of_result));
        }
        "interrupt" | "interrupt_inbound" => {
            parts.add(id_text(fields, "session_key")).add(text(fields, "reason"));
        }
        "inbound_ack" => {
            parts.add(id_text(fields, "bufferId"));
        }
        "error" => {
            parts.add(error_text(fields));
        }
        "malformed" => return one_line(&frame.text, MAX_GIST),
        "going_idle" | "going_idle_ack" => {}
        _ => return one_line(&frame.text, MAX_GIST),
    }
    parts.text()
}

/// Returns the text of an error frame.
pub(super) fn error_text(fields: &Map<String, Value>) -> String {
    let nested = fields.get("error").and_then(Value::as_object).map(|error| text(error, "message"));
    let plain = ["error", "message", "reason"].iter().map(|name| text(fields, name));
    nested.into_iter().chain(plain).find(|text| !text.is_empty()).unwrap_or_default().to_owned()
}

fn of_descriptor(descriptor: &Map<String, Value>, parts: &mut GistParts) {
    let label = text(descriptor, "label");
    parts.add(if label.is_empty() { text(descriptor, "platform") } else { label });
    if let Some(most) = descriptor.get("max_message_length") {
        parts.add(format!("{most} {}", text(descriptor, "len_unit")));
    }
    let can = |name: &str| descriptor.get(name) == Some(&Value::Bool(true));
    for (field, word) in
        [("supports_edit", "edit"), ("supports_threads", "threads"), ("supports_draft_streaming", "drafts")]
    {
        parts.add(if can(field) { word } else { "" });
    }
    if let Some(ops) = descriptor.get("supported_ops").and_then(Value::as_array) {
        parts.add(format!("{} ops", ops.len()));
    }
}

fn of_event(event: &Map<String, Value>, parts: &mut GistParts) {
    let empty = Map::new();
    let source = event.get("source").and_then(Value::as_object).unwrap_or(&empty);
    let names = ["user_display_name", "user_name", "user_handle", "user_id"];
    parts.add(
        names.iter().map(|name| id_text(source, name)).find(|name| !name.is_empty()).unwrap_or_default(),
    );
    let kind = text(event, "message_type");
    parts.add(if matches!(kind, "" | "text") { "" } else { kind });
    if let Some(chosen) = event.get("prompt_response").and_then(Value::as_object) {
        parts.add(format!("chooses {}", id_text(chosen, "option_id")));
    }
    parts.add(quoted(text(event, "text"), MAX_GIST));
    if let Some(urls) = event.get("media_urls").and_then(Value::as_array).filter(|urls| !urls.is_empty()) {
        parts.add(format!("{} files", urls.len()));
    }
}

/// Types of Discord's interactions.
const INTERACTIONS: [&str; 6] = ["", "ping", "command", "component", "autocompletion", "modal"];

fn of_forward(forward: &Map<String, Value>, parts: &mut GistParts) {
    parts.add(text(forward, "platform"));
    let body = BASE64.decode(text(forward, "bodyB64").as_bytes()).unwrap_or_default();
    let body = std::str::from_utf8(&body).ok().and_then(|body| json::parse(body).ok()).unwrap_or_default();
    let kind = body["type"].as_u64().and_then(|kind| usize::try_from(kind).ok());
    match kind.and_then(|kind| INTERACTIONS.get(kind)).filter(|_| text(forward, "platform") == "discord") {
        Some(name) => {
            let data = &body["data"];
            let called = data["name"].as_str().map(|name| format!("/{name}"));
            let custom = data["custom_id"].as_str().map(str::to_owned);
            parts.add(*name).add(called.or(custom).unwrap_or_default());
        }
        None => {
            parts.add(format!("{} {}", text(forward, "method"), text(forward, "path")).trim().to_owned());
        }
    }
}

fn of_action(action: &Map<String, Value>, parts: &mut GistParts) {
    let op = text(action, "op");
    for name in ["emoji", "thread_name", "kind", "media_kind", "prompt_kind", "session_key"] {
        parts.add(id_text(action, name));
    }
    if action.get("remove") == Some(&Value::Bool(true)) {
        parts.add("remove");
    }
    if matches!(op, "edit" | "delete" | "react") {
        parts.add(id_text(action, "message_id"));
    }
    if action.get("final") == Some(&Value::Bool(true)) {
        parts.add("final");
    }
    match action.get("content").and_then(Value::as_str) {
        Some("") if op == "typing" => {
            parts.add("clear");
        }
        Some(content) => {
            parts.add(quoted(content, MAX_GIST));
        }
        None => {}
    }
    if let Some(options) = action.get("options").and_then(Value::as_array) {
        let labels = options.iter().filter_map(|option| option["label"].as_str()).collect::<Vec<_>>();
        parts.add(labels.join(" / "));
    }
    parts.add(text(action, "source_url"));
    if action.get("metadata").is_some_and(|metadata| metadata["notify"] == true) {
        parts.add("ends the turn");
    }
    if parts.0.is_empty() {
        parts.add(id_text(action, "chat_id"));
    }
}

fn of_result(result: &Map<String, Value>) -> String {
    let mut parts = GistParts::default();
    let is_success = result.get("success") == Some(&Value::Bool(true));
    let chat = result.get("chat_info").and_then(Value::as_object);
    if is_success {
        parts.add("ok");
    } else if chat.is_none() {
        parts.add("failed");
    }
    parts.add(text(result, "code")).add(one_line(text(result, "error"), MAX_GIST));
    parts.add(id_text(result, "message_id"));
    parts.add(match id_text(result, "thread_id") {
        thread if thread.is_empty() => thread,
        thread => format!("thread {thread}"),
    });
    if let Some(chat) = chat {
        parts.add(format!("{} {}", text(chat, "name"), text(chat, "type")).trim().to_owned());
    }
    parts.text()
}

/// Returns the gist of a call of the host, or of an event that it observed.
pub(super) fn of_values(values: &Map<String, Value>) -> String {
    let mut parts = GistParts::default();
    if let Some(action) = values.get("action").and_then(Value::as_object) {
        parts.add(text(action, "op"));
        of_action(action, &mut parts);
        return parts.text();
    }
    for name in ["text", "content", "message"] {
        if let Some(content) = values.get(name).and_then(Value::as_str) {
            parts.add(quoted(content, MAX_GIST));
        }
    }
    for name in ["code", "session_key", "chat_id", "reason", "logger", "level", "platform"] {
        parts.add(id_text(values, name));
    }
    parts.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gist_is_one_line_that_cannot_disguise_itself() {
        for (given, shown) in [
            ("a\n\n b\t", "a b"),
            ("\u{202e}gnp.exe", "\\u202egnp.exe"),
            ("a\u{0}b\u{2069}", "a\\u0000b\\u2069"),
            ("", ""),
        ] {
            assert_eq!(one_line(given, 20), shown);
        }
        assert_eq!(one_line(&"ä".repeat(9), 4), "ääää…");
        assert!(one_line(&"\u{202e}".repeat(1 << 16), MAX_GIST).len() < 8 * MAX_GIST);
    }
}
