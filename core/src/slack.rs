//! Slack's one slash command, and the commands behind it (E-11).

use crate::event::Event;
use std::collections::BTreeMap;

/// The slash command that a Slack workspace knows.
const COMMAND: &str = "/hermes";

/// Slack's protocol name.
const PLATFORM: &str = "slack";

/// Returns whether a platform is Slack, whose rules of threads and drafts are its own (O-12, M-8).
pub(crate) fn is_slack(platform: &str) -> bool {
    platform == PLATFORM
}

/// What the host's sub-commands stand for: `ask` → `/ask`, say.
pub type Subcommands = BTreeMap<String, String>;

/// Rewrites a Slack message that begins with `/hermes` (E-11). Any other is left alone.
pub(crate) fn rewrite(event: &mut Event, subcommands: &Subcommands) {
    if !is_slack(event.source().platform()) {
        return;
    }
    let text = event.text().trim_start();
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
    let kind = if text.starts_with('/') { "command" } else { "text" };
    event.say(&text, kind);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_11_what_stands_behind_slacks_one_command() {
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
            assert_eq!((event.text(), event.message_type_name()), (expected, kind), "{platform} {text:?}");
            assert_eq!(event.source().platform(), platform);
        }
    }
}
