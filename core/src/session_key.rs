//! Session keys (S): which conversation of the agent an event belongs to.

use crate::event::Source;
use std::borrow::Cow;

/// Whether people share a conversation (S-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionKeyOptions {
    /// In groups and channels each user has a conversation of their own; true by default.
    pub group_sessions_per_user: bool,
    /// And so it is in threads; false by default. Counts only with the other (S-3).
    pub thread_sessions_per_user: bool,
}

impl Default for SessionKeyOptions {
    fn default() -> Self {
        SessionKeyOptions { group_sessions_per_user: true, thread_sessions_per_user: false }
    }
}

/// The platforms that have a name of their own in a key. Any other counts as `relay`, as it does for the
/// connectors that build the same key for an interrupt.
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
    "relay",
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

/// The session key of an event's source under `profile` (S-1 to S-5).
///
/// The profile is the host's, `None` for its default one; what the event's own `profile` says is the host's to pass.
pub fn session_key(source: Source<'_>, options: SessionKeyOptions, profile: Option<&str>) -> String {
    let named = source.platform().trim();
    let platform = PLATFORMS.iter().find(|known| named.eq_ignore_ascii_case(known)).unwrap_or(&"relay");
    let chat_type = source.chat_type_name();
    let is_dm = chat_type == "dm";
    let whatsapp = *platform == "whatsapp";
    let participant = source.user_id_alt().or(source.user_id()).map(|raw| {
        let id = if whatsapp { canonical(raw) } else { raw.into() };
        // A participant that becomes empty keeps its raw form (S-4).
        if id.is_empty() { raw.into() } else { id }
    });
    let chat = source.chat_id();
    let chat = if whatsapp && is_dm { canonical(chat) } else { chat.into() };
    let chat = Some(chat).filter(|id| !id.is_empty());
    let thread = source.thread_id().or(if is_dm { None } else { source.prospective_thread_id() });

    let mut key = String::with_capacity(96);
    key.push_str("agent:");
    key.push_str(profile.filter(|name| !name.is_empty() && *name != "default").unwrap_or("main"));
    let mut part = |text: Option<&str>| {
        if let Some(text) = text {
            key.push(':');
            key.push_str(text);
        }
    };
    part(Some(platform));
    part(Some(chat_type));
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

/// A WhatsApp id without its decorations: trimmed, one `+` dropped wherever it stands, cut at the first `:` and
/// at the first `@`, and that twice over (S-4).
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

    /// S-1, S-2, S-3, S-4: every vector.
    #[test]
    fn s_1_s_2_s_3_s_4_vectors() {
        let file: Value = serde_json::from_str(include_str!("../../vectors/session-keys.json")).unwrap();
        let known: Vec<&str> =
            file["known_platforms"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(known, PLATFORMS);
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 40);
        for vector in vectors {
            let event = Event::read(&format!(r#"{{"source":{}}}"#, vector["source"])).unwrap();
            let options = SessionKeyOptions {
                group_sessions_per_user: vector["group_sessions_per_user"].as_bool().unwrap(),
                thread_sessions_per_user: vector["thread_sessions_per_user"].as_bool().unwrap(),
            };
            let key = session_key(event.source(), options, vector["profile"].as_str());
            assert_eq!(key, vector["key"].as_str().unwrap(), "{vector}");
        }
    }

    #[track_caller]
    fn check(source: &str, profile: Option<&str>, expected: &str) {
        let event = Event::read(&format!(r#"{{"source":{source}}}"#)).unwrap();
        assert_eq!(session_key(event.source(), SessionKeyOptions::default(), profile), expected, "{source}");
    }

    #[test]
    fn s_1_the_profile_names_the_agent() {
        let source = r#"{"platform":"discord","chat_id":"1"}"#;
        check(source, Some("coder"), "agent:coder:discord:dm:1");
        check(source, Some("default"), "agent:main:discord:dm:1");
    }

    #[test]
    fn s_4_odd_ids_do_not_raise() {
        let dm = |chat: &str| format!(r#"{{"platform":"whatsapp","chat_id":"{chat}","user_id":"+@"}}"#);
        // An empty dm chat falls through to the participant, which keeps its raw form when it becomes empty.
        check(&dm("@s.whatsapp.net"), None, "agent:main:whatsapp:dm:+@");
        check(&dm("+++1"), None, "agent:main:whatsapp:dm:+1");
        check(&dm("1@a:2"), None, "agent:main:whatsapp:dm:1");
        check(&dm(r"/\\..\u0000"), None, "agent:main:whatsapp:dm:/\\..\0");
    }

    #[test]
    fn s_5_a_prospective_thread_stands_in_outside_dms() {
        check(
            r#"{"platform":"slack","chat_type":"channel","chat_id":"C1","user_id":"U","prospective_thread_id":"9.1"}"#,
            None,
            "agent:main:slack:channel:C1:9.1",
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
}
