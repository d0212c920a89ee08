//! Messages in the streams: entries, records, barriers, and what is too large for one message.

use crate::encoding::Bytes;
use async_nats::jetstream::message::PublishMessage;
use async_nats::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

/// Header with the number of an entry.
const ENTRY: &str = "Relay-Entry";
/// Header with the head of an entry.
const HEAD: &str = "Relay-Head";
/// Header with the parts of a head that does not fit into a header.
const HEAD_PARTS: &str = "Relay-Head-Parts";
/// Header with the parts of a body or of a record that do not fit into the message.
const PARTS: &str = "Relay-Parts";
/// Header of a part with the number of parts in its group.
const COUNT: &str = "Relay-Count";

/// Maximum number of bytes of a head in a header. Servers accept 64 KiB of headers.
const MAX_HEAD: usize = 32 << 10;

/// Bytes of a message that are kept free for its other headers.
pub(super) const HEADERS: usize = 1024;

/// Group of parts: something that is too large for one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Group {
    /// Two tokens of a subject.
    pub(super) name: String,
    pub(super) count: usize,
}

impl Group {
    fn encode(&self) -> String {
        format!("{} {}", self.name, self.count)
    }

    fn decode(text: &str) -> Option<Group> {
        let (name, count) = text.split_once(' ')?;
        let count = count.parse().ok().filter(|count| *count > 0)?;
        Some(Group { name: name.to_owned(), count })
    }
}

/// Place of some bytes: in the message, or in parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    Here(Bytes),
    Parts(Group),
}

impl Content {
    /// Returns the parts; `None` if the bytes are in the message.
    pub(super) fn group(&self) -> Option<&Group> {
        match self {
            Content::Here(_) => None,
            Content::Parts(group) => Some(group),
        }
    }
}

/// Message of an entry without its body.
#[derive(Clone, Debug)]
pub(super) struct EntryMessage {
    pub(super) number: u64,
    pub(super) head: Content,
    /// Parts of the body; `None` if it is in the message.
    pub(super) body: Option<Group>,
}

impl EntryMessage {
    /// Reads the headers of an entry.
    pub(super) fn decode(headers: &HeaderMap) -> Option<EntryMessage> {
        let header = |name: &str| headers.get(name).map(|value| value.as_str());
        let head = match header(HEAD) {
            Some(head) => Content::Here(head.as_bytes().into()),
            None => Content::Parts(Group::decode(header(HEAD_PARTS)?)?),
        };
        let body = match header(PARTS) {
            Some(parts) => Some(Group::decode(parts)?),
            None => None,
        };
        Some(EntryMessage { number: header(ENTRY)?.parse().ok()?, head, body })
    }
}

/// Returns true if a head can be a header as it is.
pub(super) fn fits_header(head: &[u8]) -> bool {
    let is_bare = |text: &str| !text.is_empty() && !text.contains(['\r', '\n']) && text.trim() == text;
    head.len() <= MAX_HEAD && std::str::from_utf8(head).is_ok_and(is_bare)
}

/// Returns the message of an entry.
pub(super) fn entry(number: u64, head: &Content, body: &Content) -> PublishMessage {
    let message = PublishMessage::build().header(ENTRY, HeaderValue::from(number));
    let message = match head {
        // It was checked that it can be a header.
        Content::Here(head) => message.header(HEAD, String::from_utf8_lossy(head).as_ref()),
        Content::Parts(group) => message.header(HEAD_PARTS, group.encode().as_str()),
    };
    with_content(message, body)
}

/// Returns the message of a record.
pub(super) fn record(content: &Content) -> PublishMessage {
    with_content(PublishMessage::build(), content)
}

fn with_content(message: PublishMessage, content: &Content) -> PublishMessage {
    match content {
        Content::Here(bytes) => message.payload(payload(bytes)),
        Content::Parts(group) => message.header(PARTS, group.encode().as_str()),
    }
}

/// Returns one part of a group.
pub(super) fn part(bytes: &[u8], count: usize) -> PublishMessage {
    PublishMessage::build().header(COUNT, HeaderValue::from(count)).payload(payload(bytes))
}

fn payload(bytes: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(bytes)
}

/// Returns the content of a record.
pub(super) fn record_content(headers: &HeaderMap, payload: &[u8]) -> Option<Content> {
    match headers.get(PARTS) {
        Some(parts) => Group::decode(parts.as_str()).map(Content::Parts),
        None => Some(Content::Here(payload.into())),
    }
}

/// Returns the number of parts in the group of a part.
pub(super) fn part_count(headers: &HeaderMap) -> Option<usize> {
    headers.get(COUNT)?.as_str().parse().ok()
}

/// Barrier between the entries of two leaders: entries of the earlier one are not stored after it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Barrier {
    /// Number of barriers so far, with this one.
    pub(super) count: u64,
    /// Place of the leader's first record.
    pub(super) record: u64,
    /// Random name of the leader's store.
    pub(super) owner: String,
}

impl Barrier {
    pub(super) fn message(&self) -> PublishMessage {
        // All keys are strings, so that writing to memory does not fail.
        PublishMessage::build().payload(serde_json::to_vec(self).unwrap_or_default().into())
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Barrier> {
        serde_json::from_slice(payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_text_is_a_header() {
        assert!(fits_header(r#"[1,{"session":"é:ü"}]"#.as_bytes()));
        for head in [&b""[..], b"a\r\nb", b" a", b"a\n", b"\xff", &[b'a'; MAX_HEAD + 1]] {
            assert!(!fits_header(head));
        }
    }

    #[test]
    fn wrong_headers_are_recognized() {
        let headers = |pairs: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            pairs.iter().for_each(|(name, value)| headers.insert(*name, *value));
            headers
        };
        let read = EntryMessage::decode(&headers(&[(ENTRY, "7"), (HEAD, "h"), (PARTS, "t.1 3")])).unwrap();
        assert_eq!((read.number, read.head), (7, Content::Here(b"h"[..].into())));
        assert_eq!(read.body, Some(Group { name: "t.1".to_owned(), count: 3 }));
        for wrong in [
            &[(ENTRY, "7")][..],
            &[(HEAD, "h")],
            &[(ENTRY, "x"), (HEAD, "h")],
            &[(ENTRY, "7"), (HEAD, "h"), (PARTS, "t.1 0")],
        ] {
            assert!(EntryMessage::decode(&headers(wrong)).is_none(), "{wrong:?}");
        }
        assert!(Barrier::decode(b"{}").is_none());
    }
}
