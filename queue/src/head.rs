//! Head of an entry: everything that the dispatcher knows of it besides its body.

use crate::encoding::{Bytes, DecodeError, Draft, decode};
use crate::id::{DedupeKey, EntryId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Head of an entry. The store keeps it beside the body, and returns all heads at start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryHead {
    /// Epoch of the leader that stored the entry.
    pub epoch: u64,
    /// Session of the entry.
    pub session: Box<str>,
    /// Size of the body in bytes.
    pub size: u64,
    /// Key of its duplicates, if it can have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<DedupeKey>,
    /// Host memory that the entry carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryItem>,
}

impl EntryHead {
    /// Encodes the head for the store.
    pub fn encode(&self) -> Bytes {
        let EntryHead { epoch, session, size, key, memory } = self;
        let mut draft = Draft::new();
        draft.raw(r#"{"epoch":"#).number(*epoch).raw(r#","session":"#).value(session);
        draft.raw(r#","size":"#).number(*size);
        if let Some(DedupeKey(key)) = key {
            draft.raw(r#","key":"#).hex(key);
        }
        if let Some(memory) = memory {
            draft.raw(r#","memory":"#).value(memory);
        }
        draft.raw("}").finish()
    }

    /// Decodes the head of an entry.
    ///
    /// # Errors
    /// The head is damaged, or a newer version wrote it.
    pub fn decode(id: EntryId, bytes: &[u8]) -> Result<EntryHead, DecodeError> {
        decode(&format!("the head of entry {id}"), bytes, &[])
    }
}

/// A thing that the host remembers across restarts, for instance of a chat. The last value of a key wins. `Debug` does not
/// print the value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Box<str>, Box<str>)", into = "(Box<str>, Box<str>)")]
pub struct MemoryItem {
    /// Key, for instance `chat/42`.
    pub key: Box<str>,
    /// Value, which only the host interprets.
    pub value: Box<str>,
}

impl fmt::Debug for MemoryItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryItem").field("key", &self.key).finish_non_exhaustive()
    }
}

impl From<(Box<str>, Box<str>)> for MemoryItem {
    fn from((key, value): (Box<str>, Box<str>)) -> MemoryItem {
        MemoryItem { key, value }
    }
}

impl From<MemoryItem> for (Box<str>, Box<str>) {
    fn from(item: MemoryItem) -> (Box<str>, Box<str>) {
        (item.key, item.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::encode;

    #[test]
    fn heads_of_version_1_are_read() {
        let key = DedupeKey(*b"0123456789abcdef");
        let memory = MemoryItem { key: "chat/1".into(), value: "{}".into() };
        let full =
            EntryHead { epoch: 3, session: "a:b".into(), size: 12, key: Some(key), memory: Some(memory) };
        let bare = EntryHead { key: None, memory: None, ..full.clone() };
        for (head, text) in [
            (
                full,
                r#"[1,{"epoch":3,"session":"a:b","size":12,"key":"30313233343536373839616263646566","memory":["chat/1","{}"]}]"#,
            ),
            (bare, r#"[1,{"epoch":3,"session":"a:b","size":12}]"#),
        ] {
            assert_eq!(EntryHead::decode(EntryId(1), text.as_bytes()).unwrap(), head);
            assert_eq!(&*head.encode(), text.as_bytes());
            assert_eq!(head.encode(), encode(&head));
        }
        for (session, size) in [("", 0), ("a\"b\\\u{1}\u{2028}é", 9), ("x", 10), ("x", u64::MAX)] {
            let head = EntryHead { epoch: size, session: session.into(), size, key: None, memory: None };
            assert_eq!(head.encode(), encode(&head));
        }
    }

    #[test]
    fn damaged_and_newer_heads_are_distinguished() {
        let error = |text: &str| EntryHead::decode(EntryId(7), text.as_bytes()).unwrap_err().to_string();
        assert!(
            error(r#"[2,["any"]]"#).starts_with("the head of entry 7 has version 2 of the format"),
            "{}",
            error("[2]")
        );
        for text in
            ["", "[]", "[1]", "{}", r#"[1,{"epoch":3}]"#, r#"[1,{"epoch":3,"session":"a","size":1,"x":2}]"#]
        {
            assert!(error(text).starts_with("the head of entry 7 is damaged"), "{text}: {}", error(text));
        }
    }
}
