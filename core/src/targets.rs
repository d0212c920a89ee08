//! Deliveries that a reply or a turn can name, by number, with their origin (M-7, O-15).

use crate::command::{Failure, MAX_ID_BYTES};
use crate::event::Event;
use crate::output::DeliveryId;
use std::collections::VecDeque;

/// Destination of an answer to a delivery.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Target {
    /// Platform of the event; `None` where the event names none.
    pub(crate) platform: Option<String>,
    pub(crate) chat_id: String,
    pub(crate) thread_id: Option<String>,
    /// Message that the answer points at; `None` for an interaction.
    pub(crate) message_id: Option<String>,
}

impl Target {
    /// Returns the chat of a delivery. `named` is the chat that the host named beside it.
    ///
    /// # Errors
    /// Returns a definite failure if `named` is another chat.
    pub(crate) fn chat_of(&self, delivery: DeliveryId, named: &str) -> Result<String, Failure> {
        if named.is_empty() || named == self.chat_id {
            return Ok(self.chat_id.clone());
        }
        let (number, chat) = (delivery.number(), &self.chat_id);
        Err(Failure::definite(format!(
            "delivery {number} is of chat {chat}, not of {named}: leave out the chat"
        )))
    }
}

/// Texts of one target.
const TEXTS: usize = 4;

/// Lengths of one target's texts, which follow each other in [`Targets::texts`].
#[derive(Debug)]
struct Entry {
    delivery: u64,
    /// Position of the first text, counted from the first text that was ever kept.
    start: u64,
    lengths: [u16; TEXTS],
}

impl Entry {
    fn len(&self) -> usize {
        self.lengths.iter().map(|length| usize::from(*length)).sum()
    }
}

/// Targets of the last deliveries, bounded in number and bytes. The oldest leave first.
///
/// Their texts share one ring of bytes, so that an event costs no allocation here once the ring is warm.
#[derive(Debug)]
pub(crate) struct Targets {
    entries: VecDeque<Entry>,
    texts: VecDeque<u8>,
    /// Bytes that have left the ring.
    gone: u64,
    most: usize,
    most_bytes: usize,
}

impl Targets {
    pub(crate) fn new(most: usize, most_bytes: usize) -> Self {
        Targets { entries: VecDeque::new(), texts: VecDeque::new(), gone: 0, most, most_bytes }
    }

    /// Remembers the origin of a delivery. Deliveries come in the order of their numbers. Returns `false` if an id is
    /// too long to be kept: such a delivery cannot be named.
    pub(crate) fn note(&mut self, delivery: u64, event: &Event) -> bool {
        let source = &event.source;
        let texts = [
            source.named_platform().unwrap_or(""),
            &source.chat_id,
            source.thread_id.as_deref().unwrap_or(""),
            event.message_id.as_deref().unwrap_or(""),
        ];
        if texts.iter().any(|text| text.len() > MAX_ID_BYTES) {
            return false;
        }
        // No text is longer than `MAX_ID_BYTES`.
        let lengths = texts.map(|text| u16::try_from(text.len()).unwrap_or(0));
        let entry = Entry { delivery, start: self.gone + self.texts.len() as u64, lengths };
        while self.entries.len() >= self.most
            || (self.texts.len() + entry.len() > self.most_bytes && !self.entries.is_empty())
        {
            self.forget_oldest();
        }
        for text in texts {
            self.texts.extend(text.as_bytes());
        }
        self.entries.push_back(entry);
        true
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.texts.drain(..oldest.len());
            self.gone += oldest.len() as u64;
        }
    }

    /// Returns the target of a delivery that is still remembered.
    pub(crate) fn get(&self, delivery: u64) -> Option<Target> {
        let at = self.entries.binary_search_by_key(&delivery, |entry| entry.delivery).ok()?;
        let entry = self.entries.get(at)?;
        let mut at = usize::try_from(entry.start - self.gone).ok()?;
        let [platform, chat_id, thread_id, message_id] = entry.lengths.map(|length| {
            let end = at + usize::from(length);
            let text: Vec<u8> = self.texts.range(at..end).copied().collect();
            at = end;
            String::from_utf8(text).unwrap_or_default()
        });
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Some(Target {
            platform: some(platform),
            chat_id,
            thread_id: some(thread_id),
            message_id: some(message_id),
        })
    }

    /// Returns the number of targets.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the bytes of their texts.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(chat: &str, message: &str) -> Event {
        let text = format!(
            r#"{{"message_id":"{message}","source":{{"platform":"discord","chat_id":"{chat}","thread_id":"t"}}}}"#
        );
        Event::read(&text).unwrap()
    }

    #[test]
    fn m_7_a_target_is_the_place_of_its_delivery() {
        let mut targets = Targets::new(4, 1024);
        assert!(targets.note(1, &event("c", "m")));
        assert!(targets.note(3, &Event::read(r#"{"source":{"chat_id":"é"}}"#).unwrap()));
        let expected = Target {
            platform: Some("discord".into()),
            chat_id: "c".into(),
            thread_id: Some("t".into()),
            message_id: Some("m".into()),
        };
        assert_eq!(targets.get(1), Some(expected));
        assert_eq!(targets.get(3), Some(Target { chat_id: "é".into(), ..Target::default() }));
        assert_eq!((targets.get(2), targets.get(0), targets.get(4)), (None, None, None));
    }

    #[test]
    fn x_1_targets_are_bounded_in_number_and_bytes() {
        let mut targets = Targets::new(3, 1024);
        for n in 1..=5_u64 {
            targets.note(n, &event(&n.to_string(), "m"));
        }
        let known: Vec<u64> = (0..=6).filter(|n| targets.get(*n).is_some()).collect();
        assert_eq!((known, targets.len()), (vec![3, 4, 5], 3));
        // The texts are "discord", the chat, "t" and the message.
        let mut targets = Targets::new(100, 40);
        for n in 1..=9_u64 {
            targets.note(n, &event(&"c".repeat(n as usize), "m"));
            assert!(targets.bytes() <= 40, "{n}");
            let longest = "c".repeat(n as usize);
            assert_eq!(targets.get(n).map(|target| target.chat_id), Some(longest));
        }
        assert_eq!(targets.get(7), None);
        assert!(!targets.note(10, &event(&"c".repeat(MAX_ID_BYTES + 1), "m")));
        assert_eq!(targets.get(10), None);
        // Exactly two targets of twenty bytes fit.
        let mut targets = Targets::new(100, 40);
        for n in 1..=2 {
            targets.note(n, &event(&"c".repeat(11), "m"));
        }
        assert_eq!((targets.len(), targets.bytes()), (2, 40));
        // A single target may exceed the bound.
        assert!(targets.note(11, &event(&"c".repeat(100), "m")));
        assert_eq!((targets.len(), targets.get(11).is_some()), (1, true));
    }
}
