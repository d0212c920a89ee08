//! Session keys: names of an agent's conversations.

use crate::event::{ChatType, Source, UNNAMED_PLATFORM};
use std::borrow::Cow;

/// Options for sharing a conversation between users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SessionKeyOptions {
    /// Gives each user of a group or channel a conversation of their own; true by default.
    pub group_sessions_per_user: bool,
    /// Gives each user of a thread a conversation of their own; false by default. Needs `group_sessions_per_user`, too.
    pub thread_sessions_per_user: bool,
}

impl Default for SessionKeyOptions {
    fn default() -> Self {
        SessionKeyOptions { group_sessions_per_user: true, thread_sessions_per_user: false }
    }
}

/// Platforms with a name of their own in a key. Any other counts as `relay`, as it does for the connectors that build
/// the same key for an interrupt.
const PLATFORMS: [&str; 32] = [
    "api_server",
    "bluebubbles",
    "dingtalk",
    "discord",
    "email",
    "feishu",
    "google_chat",
    "homeassistant",
    "irc",
    "line",
    "local",
    "matrix",
    "mattermost",
    "msgraph_webhook",
    "ntfy",
    "photon",
    "qqbot",
    "raft",
    UNNAMED_PLATFORM,
    "signal",
    "simplex",
    "slack",
    "sms",
    "teams",
    "telegram",
    "webhook",
    "wecom",
    "wecom_callback",
    "weixin",
    "whatsapp",
    "whatsapp_cloud",
    "yuanbao",
];

/// Returns the session key of an event's source under `profile`.
///
/// `profile` is the host's agent profile, `None` for the default one; the profile that the event names is
/// [`Source::profile`](crate::event::Source::profile).
pub fn session_key(source: &Source, options: SessionKeyOptions, profile: Option<&str>) -> String {
    let platform = known_platform(&source.platform);
    let is_dm = source.chat_type == ChatType::Dm;
    let whatsapp = platform == "whatsapp";
    let participant = source.user_id_alt.as_deref().or(source.user_id.as_deref()).map(|raw| {
        let id = if whatsapp { canonical(raw) } else { raw.into() };
        // A participant that becomes empty keeps its raw form (S-4).
        if id.is_empty() { raw.into() } else { id }
    });
    let chat = &*source.chat_id;
    let chat = if whatsapp && is_dm { canonical(chat) } else { chat.into() };
    let chat = Some(chat).filter(|id| !id.is_empty());
    // S-5: the slot names the chat that the answer opens, so that follow-ups in it have the same key.
    let (thread, chat_type) = match (source.thread_id.as_deref(), source.prospective_thread_id.as_deref()) {
        (None, Some(prospective)) if !is_dm => (Some(prospective), "thread"),
        (thread, _) => (thread, source.chat_type.name()),
    };

    let mut key = String::with_capacity(96);
    key.push_str("agent:");
    key.push_str(namespace(profile));
    let mut part = |text: Option<&str>| {
        if let Some(text) = text {
            key.push(':');
            key.push_str(text);
        }
    };
    part(Some(platform));
    part(Some(chat_type));
    part(source.own_scope_id().filter(|_| platform == "slack"));
    if is_dm {
        part(chat.or(participant).as_deref());
        part(thread);
    } else {
        let apart = options.group_sessions_per_user && (thread.is_none() || options.thread_sessions_per_user);
        part(chat.as_deref());
        part(thread);
        part(participant.filter(|_| apart).as_deref());
    }
    key
}

/// Returns the name that a platform has in a key: white space around it and its case do not count.
pub(crate) fn known_platform(name: &str) -> &'static str {
    let name = name.trim();
    PLATFORMS.iter().find(|known| name.eq_ignore_ascii_case(known)).unwrap_or(&UNNAMED_PLATFORM)
}

/// Returns the agent's part of a key (S-1). A profile that is named `main` must not share the sessions of the default.
fn namespace(profile: Option<&str>) -> &str {
    match profile {
        None | Some("" | "default") => "main",
        Some("main") => "main~",
        Some(name) => name,
    }
}

/// Returns the profile of a session key; `None` for the default profile, and for a text that is not an agent's
/// session key.
pub(crate) fn profile_of(key: &str) -> Option<&str> {
    let (namespace, _) = key.strip_prefix("agent:")?.split_once(':')?;
    match namespace {
        "" | "main" => None,
        "main~" => Some("main"),
        name => Some(name),
    }
}

/// Returns a WhatsApp id without its decorations: trimmed, the first `+` removed, cut at the first `:` and at the
/// first `@`, all of it twice (S-4).
fn canonical(id: &str) -> Cow<'_, str> {
    fn once(id: &str) -> Cow<'_, str> {
        let id = id.trim();
        let end = id.find([':', '@']).unwrap_or(id.len());
        match id.find('+') {
            Some(plus) if plus < end => Cow::Owned([&id[..plus], &id[plus + 1..end]].concat()),
            Some(_) | None => Cow::Borrowed(&id[..end]),
        }
    }
    match once(id) {
        Cow::Borrowed(id) => once(id),
        Cow::Owned(id) => Cow::Owned(once(&id).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use serde_json::Value;

    /// Returns the rule and the key of a vector in which the newest rules differ from an older implementation on
    /// purpose.
    fn departure(vector: &Value) -> Option<(&'static str, &'static str)> {
        match vector["key"].as_str()? {
            // S-1 introduced `main~`. Before, a profile named `main` shared the default's sessions.
            "agent:main:discord:dm:1234567890123456789" if vector["profile"] == "main" => {
                Some(("S-1", "agent:main~:discord:dm:1234567890123456789"))
            }
            _ => None,
        }
    }

    /// Checks every vector of a file, and returns the rules of the departures met.
    fn check_vectors(file: &Value, departs: bool) -> Vec<&'static str> {
        let mut rules = Vec::new();
        for vector in file["vectors"].as_array().unwrap() {
            let event = Event::read(&format!(r#"{{"source":{}}}"#, vector["source"])).unwrap();
            let options = SessionKeyOptions {
                group_sessions_per_user: vector["group_sessions_per_user"].as_bool().unwrap(),
                thread_sessions_per_user: vector["thread_sessions_per_user"].as_bool().unwrap(),
            };
            let key = session_key(&event.source, options, vector["profile"].as_str());
            let recorded = vector["key"].as_str().unwrap();
            match departure(vector).filter(|_| departs) {
                Some((rule, expected)) => {
                    assert_eq!(key, expected, "{rule}: {vector}");
                    rules.push(rule);
                }
                None => assert_eq!(key, recorded, "{vector}"),
            }
        }
        rules
    }

    /// S-1, S-2, S-3, S-4: every older vector gives its key, except for the departures listed by rule.
    #[test]
    fn s_1_s_2_s_3_s_4_older_vectors() {
        let file: Value =
            serde_json::from_str(include_str!("../../harness/vectors/session-keys.json")).unwrap();
        let known: Vec<&str> =
            file["known_platforms"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(known, PLATFORMS);
        assert_eq!(file["vectors"].as_array().unwrap().len(), 40);
        assert_eq!(check_vectors(&file, true), ["S-1"]);
    }

    /// S-1, S-2, S-3, S-4, S-5, S-6: every vector of the newest implementation gives its key.
    #[test]
    fn s_1_s_5_s_6_newest_vectors() {
        let file: Value =
            serde_json::from_str(include_str!("../../harness/vectors/session-keys-newest.json")).unwrap();
        assert_eq!(file["vectors"].as_array().unwrap().len(), 320);
        assert!(check_vectors(&file, false).is_empty());
    }

    #[track_caller]
    fn check(source: &str, profile: Option<&str>, expected: &str) {
        let event = Event::read(&format!(r#"{{"source":{source}}}"#)).unwrap();
        assert_eq!(session_key(&event.source, SessionKeyOptions::default(), profile), expected, "{source}");
    }

    #[test]
    fn s_1_the_profile_names_the_agent() {
        let source = r#"{"platform":"discord","chat_id":"1"}"#;
        check(source, Some("coder"), "agent:coder:discord:dm:1");
        check(source, Some("default"), "agent:main:discord:dm:1");
        check(source, Some(""), "agent:main:discord:dm:1");
        check(source, Some("main"), "agent:main~:discord:dm:1");
        check(source, Some("main~"), "agent:main~:discord:dm:1");
    }

    #[test]
    fn s_4_odd_ids_do_not_raise() {
        let dm = |chat: &str| format!(r#"{{"platform":"whatsapp","chat_id":"{chat}","user_id":"+@"}}"#);
        // An empty chat of a direct message falls back to the participant, which keeps its raw form if it becomes
        // empty.
        check(&dm("@s.whatsapp.net"), None, "agent:main:whatsapp:dm:+@");
        check(&dm("+++1"), None, "agent:main:whatsapp:dm:+1");
        check(&dm("1@a:2"), None, "agent:main:whatsapp:dm:1");
        check(&dm("1@a+2"), None, "agent:main:whatsapp:dm:1");
        check(&dm(r"/\\..\u0000"), None, "agent:main:whatsapp:dm:/\\..\0");
    }

    #[test]
    fn s_5_a_prospective_thread_stands_in_outside_dms() {
        check(
            r#"{"platform":"slack","chat_type":"channel","chat_id":"C1","user_id":"U","prospective_thread_id":"9.1"}"#,
            None,
            "agent:main:slack:thread:C1:9.1",
        );
        check(
            r#"{"platform":"slack","chat_type":"channel","chat_id":"C1","thread_id":"8","prospective_thread_id":"9.1"}"#,
            None,
            "agent:main:slack:channel:C1:8",
        );
        check(
            r#"{"platform":"slack","chat_id":"D1","prospective_thread_id":"9.1"}"#,
            None,
            "agent:main:slack:dm:D1",
        );
    }

    #[test]
    fn s_6_only_slacks_own_scope_is_in_a_key() {
        let source = |platform: &str, scope: &str| {
            format!(r#"{{"platform":"{platform}","chat_type":"channel","chat_id":"C1",{scope}}}"#)
        };
        let scope = r#""scope_id":"T9""#;
        check(&source("slack", scope), None, "agent:main:slack:channel:T9:C1");
        check(&source(" Slack", scope), None, "agent:main:slack:channel:T9:C1");
        check(&source("slack", r#""guild_id":"T9""#), None, "agent:main:slack:channel:C1");
        check(&source("slack", r#""scope_id":"","guild_id":"T9""#), None, "agent:main:slack:channel:C1");
        check(&source("discord", scope), None, "agent:main:discord:channel:C1");
        let dm = r#"{"platform":"slack","chat_id":"D01","scope_id":"T9"}"#;
        check(dm, None, "agent:main:slack:dm:T9:D01");
        check(r#"{"platform":"slack","user_id":"U","scope_id":"T9"}"#, None, "agent:main:slack:dm:T9:U");
    }
}
