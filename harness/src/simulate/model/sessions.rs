//! Session of a message (S), derived from its JSON.

use relayline_core::config::Config;
use serde_json::Value;

/// Returns the thread and the session key of an event under the default profile.
pub(super) fn session(config: &Config, event: &Value) -> (Option<String>, String) {
    let source = &event["source"];
    let platform = text(&source["platform"]).unwrap_or_else(|| "relay".to_owned());
    let kind = text(&source["chat_type"]).unwrap_or_else(|| "dm".to_owned());
    let is_slack = platform == "slack";
    let begins_threads = config.slack_reply_in_thread && config.slack_thread_sessions;
    let mut thread = text(&source["thread_id"]);
    // S-7: a top-level message of Slack begins a thread, unless it answers a prompt.
    if thread.is_none() && is_slack && begins_threads && event["prompt_response"].is_null() {
        thread = text(&event["message_id"]).or_else(|| text(&source["message_id"]));
    }
    let mut parts = vec!["agent:main".to_owned(), platform];
    let scope = text(&source["scope_id"]).filter(|_| is_slack);
    let chat = text(&source["chat_id"]);
    let user = text(&source["user_id_alt"]).or_else(|| text(&source["user_id"]));
    if kind == "dm" {
        parts.push(kind);
        parts.extend(scope);
        parts.extend(chat.or(user));
        parts.extend(thread.clone());
        return (thread, parts.join(":"));
    }
    let opens = text(&source["prospective_thread_id"]).filter(|_| thread.is_none());
    parts.push(if opens.is_some() { "thread".to_owned() } else { kind });
    parts.extend(scope);
    parts.extend(chat);
    let in_thread = thread.is_some() || opens.is_some();
    parts.extend(thread.clone().or(opens));
    let apart = match in_thread {
        true => config.sessions.group_sessions_per_user && config.sessions.thread_sessions_per_user,
        false => config.sessions.group_sessions_per_user,
    };
    parts.extend(user.filter(|_| apart));
    (thread, parts.join(":"))
}

/// Returns an id: a non-empty string, or an integer (W-8).
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}
