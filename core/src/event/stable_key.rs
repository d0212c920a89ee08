//! Keys of duplicates that are the same in every process (A-4).

use super::Event;
use sha2::{Digest, Sha256};

/// Bytes of a stable key.
pub type StableKey = [u8; 16];

impl Event {
    /// Returns the key that duplicates of this event have in common in every process; `None` if it cannot have any.
    ///
    /// `buffer_id` is the id of its entry in the connector's buffer. Messages are known by platform, chat and message,
    /// interactions and answers to prompts without a message by their entry. An edit is never a duplicate.
    pub fn stable_key(&self, buffer_id: Option<&str>) -> Option<StableKey> {
        if self.is_interaction {
            return Some(hash("forward", &[buffer_id?]));
        }
        let source = &self.source;
        match self.any_message_id().filter(|_| source.message_is_edit != Some(true)) {
            Some(message_id) => Some(hash("message", &[&source.platform, &source.chat_id, message_id])),
            None if self.prompt_response.is_some() => Some(hash("answer", &[buffer_id?])),
            None => None,
        }
    }
}

/// Hashes texts of one kind. Where one ends and the next begins counts.
fn hash(kind: &str, texts: &[&str]) -> StableKey {
    let mut hasher = Sha256::new();
    for text in [kind].iter().chain(texts) {
        // As 64 bits, so that the key is the same on every machine.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut key = StableKey::default();
    for (to, from) in key.iter_mut().zip(hasher.finalize()) {
        *to = from;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(event: &str, buffer_id: Option<&str>) -> Option<StableKey> {
        Event::read(event).unwrap().stable_key(buffer_id)
    }

    #[test]
    fn a_4_a_stable_key_is_the_same_for_each_sighting() {
        let event = r#"{"message_id":"1","text":"a","source":{"platform":"p","chat_id":"c"}}"#;
        let live = key(event, None).unwrap();
        assert_eq!(key(&event.replace("\"a\"", "\"b\""), Some("7")), Some(live));
        let by_source = r#"{"source":{"platform":"p","chat_id":"c","message_id":"1"}}"#;
        assert_eq!(key(by_source, None), Some(live));
        for other in [
            event.replace("\"p\"", "\"q\""),
            event.replace("\"c\"", "\"d\""),
            event.replace("\"1\"", "\"2\""),
        ] {
            assert_ne!(key(&other, None), Some(live), "{other}");
        }
        let moved = r#"{"message_id":"1","source":{"platform":"pc","chat_id":""}}"#;
        assert_ne!(key(moved, None), Some(live));
    }

    #[test]
    fn a_4_edits_and_nameless_events_have_no_stable_key() {
        let edit = r#"{"message_id":"1","source":{"platform":"p","chat_id":"c","message_is_edit":true}}"#;
        assert_eq!((key(edit, Some("7")), key(r#"{"text":"a"}"#, Some("7"))), (None, None));
    }

    #[test]
    fn a_4_interactions_and_answers_are_known_by_their_entry() {
        let answer = r#"{"prompt_response":{"prompt_id":"1","option_id":"2"}}"#;
        assert_eq!(key(answer, None), None);
        assert!(key(answer, Some("7")).is_some() && key(answer, Some("7")) != key(answer, Some("8")));
        let mut interaction = Event::read(r#"{"message_id":"1","source":{"chat_id":"c"}}"#).unwrap();
        interaction.is_interaction = true;
        assert_eq!(interaction.stable_key(None), None);
        let forward = interaction.stable_key(Some("7"));
        assert!(forward.is_some() && forward != key(answer, Some("7")));
    }

    /// Keys are in people's files: they must not change.
    #[test]
    fn a_4_the_stable_key_of_a_message_is_fixed() {
        let event = r#"{"message_id":"1","source":{"platform":"p","chat_id":"c"}}"#;
        let key = data_encoding::HEXLOWER.encode(&key(event, None).unwrap());
        assert_eq!(key, "bc5b2b04e369ed7828b01e7c47fb4926");
    }
}
