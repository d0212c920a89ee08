//! Chat memory: what was last seen of each chat, so that a reply finds its way.

use crate::command::{MAX_ID_BYTES, id_problem};
use crate::event::{CompactString, Event, UNNAMED_PLATFORM};
use crate::hash::{Seed, Table, table};
use crate::slack;

/// Memory of one chat, from the last message that was seen there. Its texts are copies.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Chat {
    /// Platform on which the chat was last seen; `relay` if unknown.
    pub platform: CompactString,
    /// Server or workspace of the chat.
    pub scope: Option<CompactString>,
    /// Id of the last author.
    pub author: Option<CompactString>,
    /// Agent profile of the chat.
    pub profile: Option<CompactString>,
    /// Parent chat, if the chat is a thread.
    pub parent: Option<CompactString>,
    /// Type of the chat, for instance `dm`; `None` if only the host has described the chat.
    pub chat_type: Option<CompactString>,
    /// Id of the last message that was seen in the chat. Kept for Slack only, where typing signs need it.
    pub message_id: Option<CompactString>,
    /// Last thread that the connector created for an answer in this chat.
    pub auto_thread_id: Option<CompactString>,
    /// Name of that thread.
    pub auto_thread_name: Option<CompactString>,
}

impl Chat {
    /// Creates the memory of a chat of which only its platform is known.
    pub fn new(platform: impl Into<CompactString>) -> Chat {
        Chat { platform: platform.into(), ..Chat::default() }
    }

    /// Returns whether the chat was seen as a direct message.
    pub(crate) fn is_dm(&self) -> bool {
        self.chat_type.as_deref() == Some("dm")
    }

    /// Returns all texts of a chat, each with the name of its field on the wire.
    fn texts<'a>(&'a self, chat_id: &'a str) -> [(&'static str, &'a str); 10] {
        let text = |text: &'a Option<CompactString>| text.as_deref().unwrap_or("");
        [
            ("chat_id", chat_id),
            ("platform", &self.platform),
            ("scope_id", text(&self.scope)),
            ("user_id", text(&self.author)),
            ("profile", text(&self.profile)),
            ("parent_chat_id", text(&self.parent)),
            ("chat_type", text(&self.chat_type)),
            ("message_id", text(&self.message_id)),
            ("auto_thread_id", text(&self.auto_thread_id)),
            ("auto_thread_name", text(&self.auto_thread_name)),
        ]
    }
}

/// Memory of one chat.
#[derive(Debug)]
struct Remembered {
    chat: Chat,
    /// Hash of the platform that was named last. Events without a platform do not change it.
    named: Option<u128>,
}

/// Key of a chat in the memory: the hash of its id.
pub(crate) type ChatKey = u128;

/// Bounded memory of chats. The least recently used chat is evicted (M-1).
#[derive(Debug)]
pub(crate) struct Chats {
    seen: Table<ChatKey, Remembered>,
    most: usize,
}

impl Chats {
    /// Creates an empty memory. A limit of zero counts as one, like all limits.
    pub(crate) fn new(most: usize) -> Self {
        Chats { seen: table(), most: most.max(1) }
    }

    /// Updates the memory of an event's chat. Nothing is allocated if nothing has changed. A text that is too long
    /// for an id is ignored, and `false` is returned then.
    pub(crate) fn note(&mut self, seed: &Seed, event: &Event) -> bool {
        let source = &event.source;
        let said = [
            source.scope_id.as_deref(),
            source.user_id.as_deref(),
            source.profile.as_deref(),
            source.parent_chat_id.as_deref(),
            Some(source.chat_type.name()),
            event.message_id.as_deref().filter(|_| slack::is_slack(&source.platform)),
            source.named_platform(),
        ];
        let fits = |text: &str| text.len() <= MAX_ID_BYTES;
        let [scope, author, profile, parent, chat_type, message_id, platform] =
            said.map(|text| text.filter(|text| fits(text)));
        let all_fit = said.into_iter().flatten().all(fits);
        if source.chat_id.is_empty() {
            return all_fit;
        }
        let key = Chats::key(seed, &source.chat_id);
        if let Some(Remembered { chat, named }) = self.seen.to_back(&key) {
            if let Some(platform) = platform.filter(|platform| chat.platform != **platform) {
                let of = name_of(seed, platform);
                // A chat with the same id on another platform is another chat.
                if named.is_some_and(|named| of.is_some_and(|of| of != named)) {
                    *chat = Chat::default();
                }
                chat.platform = platform.into();
                *named = of.or(*named);
            }
            update(&mut chat.scope, scope);
            update(&mut chat.author, author);
            update(&mut chat.profile, profile);
            update(&mut chat.parent, parent);
            update(&mut chat.chat_type, chat_type);
            update(&mut chat.message_id, message_id);
            return all_fit;
        }
        let own = |text: Option<&str>| text.map(CompactString::from);
        let platform = platform.unwrap_or(UNNAMED_PLATFORM);
        let chat = Chat {
            platform: platform.into(),
            scope: own(scope),
            author: own(author),
            profile: own(profile),
            parent: own(parent),
            chat_type: own(chat_type),
            message_id: own(message_id),
            ..Chat::default()
        };
        self.insert(key, Remembered { chat, named: name_of(seed, platform) });
        all_fit
    }

    /// Remembers the thread that the connector made for an answer in the chat of this key (O-18). Both texts fit into
    /// an id.
    pub(crate) fn note_auto_thread(&mut self, key: ChatKey, thread_id: &str, name: &str) {
        if !self.seen.contains_key(&key) {
            let chat = Chat { platform: UNNAMED_PLATFORM.into(), ..Chat::default() };
            self.insert(key, Remembered { chat, named: None });
        }
        if let Some(Remembered { chat, .. }) = self.seen.to_back(&key) {
            update(&mut chat.auto_thread_id, Some(thread_id));
            update(&mut chat.auto_thread_name, Some(name));
        }
    }

    /// Remembers a chat that the host describes (M-6). The error names the text that is too long to be remembered
    /// (X-1).
    pub(crate) fn prime(&mut self, seed: &Seed, chat_id: &str, chat: Chat) -> Result<(), String> {
        if let Some(problem) = chat.texts(chat_id).into_iter().find_map(|(name, text)| id_problem(name, text))
        {
            return Err(problem);
        }
        if chat_id.is_empty() {
            return Ok(());
        }
        let key = Chats::key(seed, chat_id);
        let named = name_of(seed, &chat.platform);
        self.insert(key, Remembered { chat, named });
        Ok(())
    }

    /// Adds or replaces a chat. The least recently used chat is evicted if there is no room (M-1).
    fn insert(&mut self, key: ChatKey, remembered: Remembered) {
        if !self.seen.contains_key(&key) && self.seen.len() >= self.most {
            self.seen.pop_front();
        }
        self.seen.insert(key, remembered);
    }

    /// Returns the key of a chat.
    pub(crate) fn key(seed: &Seed, chat_id: &str) -> ChatKey {
        seed.hash(&[chat_id])
    }

    /// Returns the memory of a chat, without marking the chat as used.
    pub(crate) fn get(&self, key: ChatKey) -> Option<&Chat> {
        self.seen.get(&key).map(|seen| &seen.chat)
    }

    /// Marks a chat as used.
    pub(crate) fn touch(&mut self, key: ChatKey) {
        self.seen.to_back(&key);
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }
}

fn name_of(seed: &Seed, platform: &str) -> Option<u128> {
    (!platform.is_empty() && platform != UNNAMED_PLATFORM).then(|| seed.hash(&[platform]))
}

/// Replaces a text by the one seen last. A text that an event lacks is kept: a message without an author does not
/// take the chat out of its server.
fn update(slot: &mut Option<CompactString>, seen: Option<&str>) {
    match (slot, seen) {
        (Some(known), Some(seen)) if known == seen => {}
        (Some(known), Some(seen)) => {
            // Reuses the buffer, since the id of the last message changes each time.
            known.clear();
            known.push_str(seen);
        }
        (slot @ None, Some(seen)) => *slot = Some(seen.into()),
        (_, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(chat: &str, rest: &str) -> Event {
        Event::read(&format!(r#"{{"source":{{"chat_id":"{chat}"{rest}}}}}"#)).unwrap()
    }

    #[test]
    fn m_1_the_last_seen_wins_and_the_least_used_is_evicted() {
        let seed = Seed::new(&[1; 32]);
        let mut chats = Chats::new(2);
        chats.note(&seed, &event("a", r#","platform":"discord","guild_id":"g","user_id":"u","profile":"p""#));
        chats.note(&seed, &event("b", ""));
        chats.note(&seed, &event("a", r#","platform":"discord","user_id":"v","parent_chat_id":"z""#));
        let expected = Chat {
            platform: "discord".into(),
            scope: Some("g".into()),
            author: Some("v".into()),
            profile: Some("p".into()),
            parent: Some("z".into()),
            chat_type: Some("dm".into()),
            ..Chat::default()
        };
        assert_eq!(chats.get(Chats::key(&seed, "a")), Some(&expected));
        chats.note(&seed, &event("c", ""));
        assert_eq!((chats.get(Chats::key(&seed, "b")), chats.len()), (None, 2));
        assert_eq!(chats.get(Chats::key(&seed, "c")).map(|chat| chat.platform.as_str()), Some("relay"));
        // A reply is a use, too.
        chats.touch(Chats::key(&seed, "a"));
        chats.note(&seed, &event("d", ""));
        assert!(chats.get(Chats::key(&seed, "a")).is_some() && chats.get(Chats::key(&seed, "c")).is_none());
        // An event without a chat evicts none.
        chats.note(&seed, &event("", ""));
        assert!(
            chats.get(Chats::key(&seed, "a")).is_some()
                && chats.get(Chats::key(&seed, "d")).is_some()
                && chats.len() == 2
        );
    }

    #[test]
    fn m_6_a_primed_chat_takes_the_place_of_the_oldest() {
        let seed = Seed::new(&[1; 32]);
        let mut chats = Chats::new(2);
        for chat in ["a", "b", "b", "c"] {
            assert_eq!(chats.prime(&seed, chat, Chat::default()), Ok(()));
        }
        let known = |chats: &Chats| ["a", "b", "c"].map(|chat| chats.get(Chats::key(&seed, chat)).is_some());
        assert_eq!(known(&chats), [false, true, true]);
        // A known chat evicts none, and becomes the newest.
        assert_eq!(chats.prime(&seed, "b", Chat::default()), Ok(()));
        assert_eq!(known(&chats), [false, true, true]);
        chats.note(&seed, &event("d", ""));
        assert_eq!(known(&chats), [false, true, false]);
        assert_eq!(chats.prime(&seed, "", Chat::default()), Ok(()));
        assert_eq!((known(&chats), chats.len()), ([false, true, false], 2));
    }

    /// Typing signs on Slack are shown under the chat's last message, which may be its first.
    #[test]
    fn m_1_on_slack_the_last_message_is_remembered() {
        let seed = Seed::new(&[1; 32]);
        let mut chats = Chats::new(2);
        let message = |chats: &mut Chats, platform: &str, id: &str| {
            let event = format!(
                r#"{{"message_id":"{id}","source":{{"platform":"{platform}","chat_id":"{platform}"}}}}"#
            );
            chats.note(&seed, &Event::read(&event).unwrap());
            chats.get(Chats::key(&seed, platform)).and_then(|chat| chat.message_id.clone())
        };
        assert_eq!(message(&mut chats, "slack", "1.1").as_deref(), Some("1.1"));
        assert_eq!(message(&mut chats, "slack", "1.2").as_deref(), Some("1.2"));
        assert_eq!(message(&mut chats, "discord", "7"), None);
    }

    #[test]
    fn o_18_a_thread_in_an_unknown_chat_names_no_platform() {
        let seed = Seed::new(&[1; 32]);
        let mut chats = Chats::new(1);
        for chat in ["a", "b"] {
            chats.note_auto_thread(seed.hash(&[chat]), "t", "Title");
        }
        let expected = Chat {
            platform: "relay".into(),
            auto_thread_id: Some("t".into()),
            auto_thread_name: Some("Title".into()),
            ..Chat::default()
        };
        assert_eq!(
            (chats.get(Chats::key(&seed, "a")), chats.get(Chats::key(&seed, "b"))),
            (None, Some(&expected))
        );
    }

    /// Chat ids are unique within one platform only.
    #[test]
    fn m_1_chats_of_two_platforms_are_distinct() {
        let (seed, mut chats) = (Seed::new(&[1; 32]), Chats::new(2));
        let discord =
            r#","platform":"discord","guild_id":"g","user_id":"u","profile":"p","parent_chat_id":"z""#;
        for (then, kept) in [("telegram", false), ("discord", true), ("relay", true)] {
            chats.note(&seed, &event("7", discord));
            chats.note(&seed, &event("7", &format!(r#","platform":"{then}","user_id":"v""#)));
            let chat = chats.get(Chats::key(&seed, "7")).unwrap();
            assert_eq!((chat.platform.as_str(), chat.author.as_deref()), (then, Some("v")));
            let rest = [&chat.scope, &chat.profile, &chat.parent];
            assert!(rest.into_iter().all(|known| known.is_some() == kept), "{chat:?}");
        }
        // An event without a platform changes nothing. What a host primes without a platform applies to any.
        chats.note(&seed, &event("7", discord));
        chats.note(&seed, &event("7", ""));
        chats.note(&seed, &event("7", r#","platform":"telegram""#));
        let expected = Chat { platform: "telegram".into(), chat_type: Some("dm".into()), ..Chat::default() };
        assert_eq!(chats.get(Chats::key(&seed, "7")), Some(&expected));
        for (primed, kept) in [("", true), ("relay", true), ("discord", false)] {
            let scope = Some("g".into());
            let chat = Chat { platform: primed.into(), scope, ..Chat::default() };
            assert_eq!(chats.prime(&seed, "7", chat), Ok(()));
            chats.note(&seed, &event("7", r#","platform":"telegram""#));
            assert_eq!(
                chats.get(Chats::key(&seed, "7")).is_some_and(|chat| chat.scope.is_some()),
                kept,
                "{primed}"
            );
        }
    }

    #[test]
    fn m_6_x_1_a_primed_text_is_at_most_a_kibibyte() {
        let seed = Seed::new(&[1; 32]);
        let mut chats = Chats::new(2);
        let text = |length: usize| Some("x".repeat(length).into());
        type Make = fn(Option<CompactString>) -> Chat;
        let rows: [(&str, Make); 5] = [
            ("platform", |text| Chat { platform: text.unwrap_or_default(), ..Chat::default() }),
            ("scope_id", |scope| Chat { scope, ..Chat::default() }),
            ("user_id", |author| Chat { author, ..Chat::default() }),
            ("profile", |profile| Chat { profile, ..Chat::default() }),
            ("parent_chat_id", |parent| Chat { parent, ..Chat::default() }),
        ];
        for (name, make) in rows {
            let problem = format!("`{name}` is 1025 bytes long: 1024 at most");
            assert_eq!(chats.prime(&seed, "7", make(text(1025))), Err(problem));
            assert_eq!((chats.prime(&seed, "7", make(text(1024))), chats.len()), (Ok(()), 1));
        }
        let long = "7".repeat(1025);
        assert!(
            chats.prime(&seed, &long, Chat::default()).is_err()
                && chats.get(Chats::key(&seed, &long)).is_none()
        );
    }

    #[test]
    fn m_1_x_1_a_text_too_long_for_an_id_is_not_remembered() {
        let seed = Seed::new(&[1; 32]);
        let mut chats = Chats::new(2);
        let long = "x".repeat(MAX_ID_BYTES + 1);
        assert!(chats.note(&seed, &event("a", r#","platform":"discord","guild_id":"g""#)));
        for field in ["platform", "scope_id", "user_id", "profile", "parent_chat_id"] {
            let said = format!(r#","platform":"discord","{field}":"{long}""#);
            assert!(!chats.note(&seed, &event("a", &said)), "{field}");
            assert!(!chats.note(&seed, &event("b", &said)), "{field}");
        }
        let (platform, scope) = ("discord".into(), Some("g".into()));
        let expected = Chat { platform, scope, chat_type: Some("dm".into()), ..Chat::default() };
        assert_eq!(chats.get(Chats::key(&seed, "a")), Some(&expected));
        assert!(chats.note(&seed, &event("b", &format!(r#","user_id":"{}""#, &long[1..]))));
        assert_eq!(
            chats
                .get(Chats::key(&seed, "b"))
                .and_then(|chat| chat.author.as_ref())
                .map(|author| author.len()),
            Some(MAX_ID_BYTES)
        );
    }
}
