//! Session of a message (S), derived from the JSON of its event.

use super::places::id;
use relayline_core::config::Config;
use serde_json::Value;

/// Expected session of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ModelSession {
    /// Thread in which the event is delivered.
    pub(super) thread: Option<String>,
    /// Session key under the default profile.
    pub(super) key: String,
}

/// Returns the expected session of an event.
pub(super) fn session(config: &Config, event: &Value) -> ModelSession {
    let source = &event["source"];
    let platform = id(&source["platform"]).unwrap_or_else(|| "relay".to_owned());
    let kind = id(&source["chat_type"]).unwrap_or_else(|| "dm".to_owned());
    let is_slack = platform == "slack";
    let messages_begin_threads = is_slack && config.slack_reply_in_thread && config.slack_thread_sessions;
    let mut thread = id(&source["thread_id"]);
    // S-7: a top-level message of Slack begins a thread, unless it answers a prompt.
    if thread.is_none() && messages_begin_threads && event["prompt_response"].is_null() {
        thread = id(&event["message_id"]).or_else(|| id(&source["message_id"]));
    }
    let mut parts = vec!["agent:main".to_owned(), platform];
    let scope = id(&source["scope_id"]).filter(|_| is_slack);
    let chat = id(&source["chat_id"]);
    let user = id(&source["user_id_alt"]).or_else(|| id(&source["user_id"]));
    if kind == "dm" {
        parts.push(kind);
        parts.extend(scope);
        parts.extend(chat.or(user));
        parts.extend(thread.clone());
        return ModelSession { thread, key: parts.join(":") };
    }
    // Thread that a reply would open.
    let prospective = id(&source["prospective_thread_id"]).filter(|_| thread.is_none());
    parts.push(if prospective.is_some() { "thread".to_owned() } else { kind });
    parts.extend(scope);
    parts.extend(chat);
    let session_thread = thread.clone().or(prospective);
    let is_in_thread = session_thread.is_some();
    parts.extend(session_thread);
    let options = &config.sessions;
    let is_per_user = options.group_sessions_per_user && (!is_in_thread || options.thread_sessions_per_user);
    parts.extend(user.filter(|_| is_per_user));
    ModelSession { thread, key: parts.join(":") }
}
