//! Slack's peculiarities: its one slash command, and threads of top-level messages.

use crate::event::{Event, MessageType};
use crate::session_key::known_platform;
use std::collections::BTreeMap;

/// Slash command of the gateway in a Slack workspace.
const COMMAND: &str = "/hermes";

/// Protocol name of Slack.
const PLATFORM: &str = "slack";

/// Returns whether a platform is Slack, whose rules of threads and drafts are its own (O-12, M-8).
pub(crate) fn is_slack(platform: &str) -> bool {
    platform == PLATFORM
}

/// Meanings of the host's sub-commands, for instance `ask` → `/ask`.
pub type Subcommands = BTreeMap<String, String>;

/// Rewrites a Slack message that begins with `/hermes` (E-11). Other messages are unchanged.
pub(crate) fn rewrite(event: &mut Event, subcommands: &Subcommands) {
    if !is_slack(&event.source.platform) {
        return;
    }
    let text = event.text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if word != COMMAND {
        return;
    }
    let rest = rest.trim();
    let (name, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let text = match subcommands.get(name) {
        _ if rest.is_empty() => "/help".to_owned(),
        Some(known) if after.is_empty() => known.clone(),
        Some(known) => format!("{known} {}", after.trim_start()),
        None => rest.to_owned(),
    };
    let kind = if text.starts_with('/') { MessageType::Command } else { MessageType::Text };
    event.say(&text, kind);
}

/// Makes a Slack message without a thread the beginning of a thread (S-7), so that every top-level message is a
/// session of its own. An answer to a prompt does not begin one.
pub(crate) fn begin_thread(event: &mut Event) {
    if known_platform(&event.source.platform) == "slack" && event.prompt_response.is_none() {
        event.begin_thread();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_key::{SessionKeyOptions, session_key};

    #[test]
    fn s_7_a_top_level_message_begins_a_thread() {
        for (event, thread, key) in [
            (
                r#"{"message_id":"1.2","source":{"platform":"slack","chat_id":"D1","scope_id":"T9"}}"#,
                Some("1.2"),
                "slack:dm:T9:D1:1.2",
            ),
            (
                r#"{"message_id":"1.2","source":{"platform":"Slack ","chat_type":"channel","chat_id":"C1","user_id":"U"}}"#,
                Some("1.2"),
                "slack:channel:C1:1.2",
            ),
            // An empty thread counts as none, and the source's message id is sufficient.
            (
                r#"{"source":{"platform":"slack","chat_id":"D1","thread_id":"","message_id":12}}"#,
                Some("12"),
                "slack:dm:D1:12",
            ),
            (
                r#"{"message_id":"1.2","source":{"platform":"slack","chat_id":"D1","thread_id":"1.1"}}"#,
                Some("1.1"),
                "slack:dm:D1:1.1",
            ),
            (r#"{"source":{"platform":"slack","chat_id":"D1"}}"#, None, "slack:dm:D1"),
            (r#"{"message_id":"1.2","source":{"platform":"discord","chat_id":"D1"}}"#, None, "discord:dm:D1"),
            (
                r#"{"message_id":"1.2","prompt_response":{"prompt_id":"p","option_id":"o"},"source":{"platform":"slack","chat_id":"D1"}}"#,
                None,
                "slack:dm:D1",
            ),
        ] {
            let mut read = Event::read(event).unwrap();
            begin_thread(&mut read);
            assert_eq!(read.source.thread_id.as_deref(), thread, "{event}");
            let of = session_key(&read.source, SessionKeyOptions::default(), None);
            assert_eq!(of.strip_prefix("agent:main:"), Some(key), "{event}");
        }
    }

    #[test]
    fn e_11_sub_commands_of_slacks_one_command_are_rewritten() {
        let subcommands: Subcommands = [("ask", "/ask"), ("hi", "hello there")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into();
        for (platform, text, expected, kind) in [
            ("slack", "/hermes ask why  so?", "/ask why  so?", "command"),
            ("slack", "/hermes ask", "/ask", "command"),
            ("slack", "/hermes", "/help", "command"),
            ("slack", "  /hermes   ", "/help", "command"),
            ("slack", "/hermes /status now", "/status now", "command"),
            ("slack", "/hermes tell me", "tell me", "text"),
            ("slack", "/hermes hi", "hello there", "text"),
            ("slack", "/hermes\nask x", "/ask x", "command"),
            ("slack", "/hermesx ask", "/hermesx ask", "photo"),
            ("slack", "do /hermes ask", "do /hermes ask", "photo"),
            ("discord", "/hermes ask", "/hermes ask", "photo"),
        ] {
            let raw =
                serde_json::json!({"text": text, "message_type": "photo", "source": {"platform": platform}});
            let mut event = Event::read(&raw.to_string()).unwrap();
            rewrite(&mut event, &subcommands);
            assert_eq!((&*event.text, event.message_type.name()), (expected, kind), "{platform} {text:?}");
            assert_eq!(event.source.platform, platform);
        }
    }
}
