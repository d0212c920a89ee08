//! Open prompts, which outlive a gateway's process: each has the session that asked.

use relayline_core::approver::{Approver, may_answer};
use relayline_core::event::Source;
use relayline_core::op::Prompt;
use relayline_core::prompts::PROMPT_TTL;
use relayline_core::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Beginning of the keys of prompts in the host memory.
const PROMPT: &str = "prompt/";

/// Key of the first half of all ids in the host memory.
pub(super) const PREFIX_KEY: &str = "prompt-prefix";

/// Bits of an id's second half that count the prompts of a leader. The others are those of its epoch, so that the ids of
/// two leaders differ.
const COUNTER_BITS: u32 = 20;

/// Returns the key of a prompt in the host memory.
pub(super) fn prompt_key(id: &str) -> String {
    format!("{PROMPT}{id}")
}

/// Returns the prompt of a key; `None` if it is the key of something else.
pub(super) fn prompt_of_key(key: &str) -> Option<&str> {
    key.strip_prefix(PROMPT)
}

/// Prompt in the host memory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Record {
    /// Session that asked; `None` for the session of whoever answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Box<str>>,
    /// Time for which it is open, in seconds. It begins anew with each leader, since no two clocks are compared.
    seconds: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    answered: bool,
    /// Users who may answer; everybody if it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
    approvers: Vec<Approver>,
}

/// Approvers as they are stored: a pair for each, of its platform and its user.
mod pairs {
    use relayline_core::approver::Approver;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(approvers: &[Approver], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(approvers.iter().map(|approver| (&approver.platform, &approver.user_id)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Approver>, D::Error> {
        let pairs = Vec::<(Option<String>, String)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().map(|(platform, user_id)| Approver { platform, user_id }).collect())
    }
}

#[derive(Debug)]
struct Known {
    record: Record,
    until: Time,
    place: u64,
}

/// Meaning of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    /// Of an open prompt, which is answered now. The session that asked, and the value of the host memory.
    Open { session: Option<Box<str>>, value: String },
    /// Of an open prompt, by a user who may not answer it.
    Unauthorized,
    /// Of a prompt that was answered before.
    Late,
    /// Of a prompt of this queue that is no longer open.
    Stale,
    /// Of a prompt of others.
    Foreign,
}

/// Prompt that was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Opened {
    /// Value of the host memory.
    pub(super) value: String,
    /// Prompt that was forgotten for it, and whether that was open.
    pub(super) evicted: Option<(Box<str>, bool)>,
}

/// Prompts of a queue, bounded in number: those that are open or were answered.
#[derive(Debug)]
pub(super) struct Prompts {
    /// First half of every id.
    prefix: Box<str>,
    /// Second half of the next id.
    next: u32,
    known: BTreeMap<Box<str>, Known>,
    /// Prompts in the order in which they were opened.
    order: BTreeMap<u64, Box<str>>,
    next_place: u64,
    most: usize,
}

impl Prompts {
    /// Creates prompts of a leader. `most` is the maximum number of open ones.
    pub(super) fn new(prefix: &str, epoch: u64, most: usize) -> Prompts {
        // The bits that are cut off are of epochs that are long over.
        let epoch = u32::try_from(epoch % (1 << (32 - COUNTER_BITS))).unwrap_or(0);
        let next = epoch << COUNTER_BITS;
        let (known, order) = (BTreeMap::new(), BTreeMap::new());
        // As many answered ones.
        Prompts { prefix: prefix.into(), next, known, order, next_place: 0, most: most.saturating_mul(2) }
    }

    /// Returns an id that no prompt of this queue has.
    pub(super) fn next_id(&mut self) -> String {
        let id = format!("{}.{:08x}", self.prefix, self.next);
        self.next = self.next.wrapping_add(1);
        id
    }

    /// Restores a prompt of the host memory. Values that cannot be read are ignored.
    pub(super) fn restore(&mut self, now: Time, id: &str, value: &str) {
        if let Ok(record) = serde_json::from_str::<Record>(value) {
            self.add(now, id, record);
        }
    }

    /// Opens a prompt.
    ///
    /// # Errors
    /// A prompt with this id is open.
    pub(super) fn open(
        &mut self,
        now: Time,
        id: &str,
        session: Option<&str>,
        prompt: &Prompt,
    ) -> Result<Opened, String> {
        if self.known.get(id).is_some_and(|known| !known.record.answered && now < known.until) {
            return Err(format!(
                "a prompt with the id {id:?} is open: choose another, or wait for its answer"
            ));
        }
        let seconds = prompt.timeout.map_or(PROMPT_TTL, |time| time.min(PROMPT_TTL));
        let seconds = seconds.as_secs() + u64::from(seconds.subsec_nanos() > 0);
        let approvers = prompt.approvers.to_vec();
        let record = Record { session: session.map(Into::into), seconds, answered: false, approvers };
        let value = value(&record);
        let evicted = self.add(now, id, record);
        Ok(Opened { value, evicted })
    }

    /// Adds a prompt. Returns the one that makes room for it.
    fn add(&mut self, now: Time, id: &str, record: Record) -> Option<(Box<str>, bool)> {
        self.close(id);
        let mut evicted = None;
        if self.known.len() >= self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            let was_open =
                self.known.remove(&oldest).is_some_and(|known| !known.record.answered && now < known.until);
            evicted = Some((oldest, was_open));
        }
        let (until, place) = (now + Duration::from_secs(record.seconds), self.next_place);
        self.next_place += 1;
        self.order.insert(place, id.into());
        self.known.insert(id.into(), Known { record, until, place });
        evicted
    }

    /// Forgets a prompt. Returns true if it was known.
    pub(super) fn close(&mut self, id: &str) -> bool {
        let known = self.known.remove(id);
        if let Some(known) = &known {
            self.order.remove(&known.place);
        }
        known.is_some()
    }

    /// Handles an answer by the author of an event: an open prompt is answered now, if they may answer it. `platform` is the
    /// platform of the event.
    pub(super) fn answer(
        &mut self,
        now: Time,
        id: &str,
        source: &Source,
        platform: Option<&str>,
    ) -> Answered {
        match self.known.get_mut(id) {
            Some(known) if known.record.answered => Answered::Late,
            Some(known) if known.until <= now => Answered::Stale,
            Some(known) if may_answer(&known.record.approvers, source, platform) => {
                known.record.answered = true;
                Answered::Open { session: known.record.session.clone(), value: value(&known.record) }
            }
            Some(_) => Answered::Unauthorized,
            None if id.split_once('.').is_some_and(|(prefix, _)| prefix == &*self.prefix) => Answered::Stale,
            None => Answered::Foreign,
        }
    }

    /// Returns the session that asked; `None` if it is not known.
    pub(super) fn session_of(&self, id: &str) -> Option<Box<str>> {
        self.known.get(id)?.record.session.clone()
    }

    /// Returns the number of prompts that are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

fn value(record: &Record) -> String {
    // All keys are strings, so writing to memory does not fail.
    serde_json::to_string(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn open(session: &str) -> Answered {
        let value = format!(r#"{{"session":"{session}","seconds":3600,"answered":true}}"#);
        Answered::Open { session: Some(session.into()), value }
    }

    #[test]
    fn i_3_an_answer_after_a_restart_reaches_its_session() {
        let mut first = Prompts::new("abcdef", 1, 4);
        let id = first.next_id();
        assert_eq!(id, "abcdef.00100000");
        let Opened { value, evicted } = first.open(at(0), &id, Some("s"), &Prompt::new("", "", [])).unwrap();
        assert_eq!((value.as_str(), evicted), (r#"{"session":"s","seconds":3600}"#, None));
        let mut second = Prompts::new("abcdef", 2, 4);
        second.restore(at(0), &id, &value);
        assert_ne!(second.next_id(), id);
        assert_eq!(second.answer(at(3599), &id, &Source::default(), None), open("s"));
        assert_eq!(second.answer(at(1), &id, &Source::default(), None), Answered::Late);
        assert_eq!(second.answer(at(1), "abcdef.00000009", &Source::default(), None), Answered::Stale);
        assert_eq!(second.answer(at(1), "fedcba.00000009", &Source::default(), None), Answered::Foreign);
    }

    #[test]
    fn i_2_a_prompt_is_open_for_its_time() {
        let mut prompts = Prompts::new("abcdef", 1, 4);
        prompts
            .open(at(0), "own", None, &Prompt::new("", "", []).timeout(Duration::from_millis(1500)))
            .unwrap();
        assert!(prompts.open(at(1), "own", None, &Prompt::new("", "", [])).unwrap_err().contains("is open"));
        assert_eq!(prompts.answer(at(2), "own", &Source::default(), None), Answered::Stale);
        prompts.open(at(2), "own", Some("s"), &Prompt::new("", "", [])).unwrap();
        assert_eq!(prompts.answer(at(3), "own", &Source::default(), None), open("s"));
        assert!(prompts.close("own") && !prompts.close("own"));
        assert_eq!(prompts.answer(at(3), "own", &Source::default(), None), Answered::Foreign);
    }

    #[test]
    fn x_1_the_oldest_prompt_makes_room() {
        let mut prompts = Prompts::new("abcdef", 1, 1);
        for id in ["a", "b"] {
            assert_eq!(prompts.open(at(0), id, None, &Prompt::new("", "", [])).unwrap().evicted, None);
        }
        prompts.answer(at(0), "a", &Source::default(), None);
        assert_eq!(
            prompts.open(at(0), "c", None, &Prompt::new("", "", [])).unwrap().evicted,
            Some(("a".into(), false))
        );
        assert_eq!(
            prompts.open(at(0), "d", None, &Prompt::new("", "", [])).unwrap().evicted,
            Some(("b".into(), true))
        );
        assert_eq!(prompts.len(), 2);
    }

    #[test]
    fn i_8_an_answer_of_another_user_leaves_a_prompt_open_also_after_a_restart() {
        let mut first = Prompts::new("abcdef", 1, 4);
        let approver = Approver { platform: Some("slack".to_owned()), user_id: "boss".to_owned() };
        let prompt = Prompt::new("", "", []).approvers([approver].into());
        let Opened { value, .. } = first.open(at(0), "own", Some("s"), &prompt).unwrap();
        assert_eq!(value, r#"{"session":"s","seconds":3600,"approvers":[["slack","boss"]]}"#);
        let mut second = Prompts::new("abcdef", 2, 4);
        second.restore(at(0), "own", &value);
        let mut source = Source::default();
        for (user, platform) in [("eve", "slack"), ("boss", "discord")] {
            source.user_id = Some(user.into());
            assert_eq!(second.answer(at(1), "own", &source, Some(platform)), Answered::Unauthorized);
        }
        assert!(matches!(second.answer(at(1), "own", &source, Some("slack")), Answered::Open { .. }));
    }
}
