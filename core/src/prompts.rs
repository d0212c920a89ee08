//! Interactive prompts: their ids, and those that are open.

use crate::approver::{Approver, may_answer};
use crate::event::Source;
use crate::hash::{Table, table};
use crate::time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Default and maximum lifetime of a prompt.
pub const PROMPT_TTL: Duration = Duration::from_secs(3600);

/// Maximum length of the id of a prompt or an option, in ASCII characters (I-1).
const MOST_ID: usize = 32;
/// Maximum number of options of one prompt. No platform shows more.
pub const MAX_OPTIONS: usize = 100;
/// Maximum length of a `custom_id` that encodes a choice, in bytes (I-1).
pub(crate) const MOST_CUSTOM_ID: usize = 64;

/// Option of a prompt, encoded in a platform's component as `hp1:<prompt_id>:<option_id>`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PromptChoice {
    /// Id of the prompt.
    pub prompt_id: String,
    /// Id of the option.
    pub option_id: String,
}

impl PromptChoice {
    /// Reads a component's `custom_id`; `None` if it does not encode a choice.
    pub fn parse(custom_id: &str) -> Option<PromptChoice> {
        let (prompt_id, option_id) = custom_id.strip_prefix("hp1:")?.split_once(':')?;
        let fits = custom_id.len() <= MOST_CUSTOM_ID && is_id(prompt_id) && is_id(option_id);
        fits.then(|| PromptChoice { prompt_id: prompt_id.to_owned(), option_id: option_id.to_owned() })
    }
}

/// Shape of an id, for error messages.
pub(crate) const ID_SHAPE: &str = "write 1 to 32 of A-Z, a-z, 0-9, `_`, `.` and `-`";

pub(crate) fn custom_id_length(prompt_id: &str, option_id: &str) -> usize {
    "hp1::".len() + prompt_id.len() + option_id.len()
}

/// Returns true if a text can be the id of a prompt or an option: `[A-Za-z0-9_.-]{1,32}`.
pub fn is_id(text: &str) -> bool {
    (1..=MOST_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Status of the prompt that an answer names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PromptStatus {
    /// Open, under this number.
    Open(u64),
    /// Answered already.
    Answered,
    /// Of another process.
    Foreign,
    /// Of this process, but unknown or expired.
    Stale,
}

/// A prompt of this process.
#[derive(Debug)]
struct Asked {
    /// Expiry of the prompt.
    until: Time,
    /// Id that the host gave it (I-6).
    id: Option<Box<str>>,
    /// Users who may answer (I-8); everybody if it is empty.
    approvers: Arc<[Approver]>,
}

/// Prompts of this process, bounded in number (I-2): the open ones by number, oldest first, and as many answered ones,
/// which take no room from open ones.
#[derive(Debug)]
pub(crate) struct Prompts {
    /// First half of every id (I-1).
    prefix: u32,
    open: Table<u64, Asked>,
    answered: Table<u64, Asked>,
    /// Numbers of open prompts by the host's own ids.
    by_id: BTreeMap<Box<str>, u64>,
    next: u64,
    most: usize,
}

impl Prompts {
    pub(crate) fn new(draw: u64, most: usize) -> Self {
        // The top 24 bits: six hex digits.
        let prefix = u32::try_from(draw >> 40).unwrap_or(0);
        let (open, answered, by_id) = (table(), table(), BTreeMap::new());
        Prompts { prefix, open, answered, by_id, next: 0, most: most.max(1) }
    }

    /// Returns the id of the next prompt.
    pub(crate) fn next_id(&self) -> String {
        format!("{:06x}.{:08x}", self.prefix, self.next)
    }

    /// Returns what is wrong with a host's own id for the next prompt (I-6).
    pub(crate) fn problem(&self, now: Time, id: &str) -> Option<String> {
        if self.shaped(id).is_some() {
            return Some(format!("{id:?} is an id of the kind that this gateway gives: choose another"));
        }
        let number = self.by_id.get(id)?;
        let is_open = self.open.get(number).is_some_and(|asked| now < asked.until);
        is_open
            .then(|| format!("a prompt with the id {id:?} is open: choose another, or wait for its answer"))
    }

    /// Opens a prompt, under the host's own id if it has one. The oldest is evicted at the bound; returns true if
    /// that one was open.
    pub(crate) fn open(
        &mut self,
        now: Time,
        timeout: Option<Duration>,
        id: Option<&str>,
        approvers: Arc<[Approver]>,
    ) -> bool {
        if let Some(former) = id.and_then(|id| self.by_id.get(id).copied()) {
            // The former prompt has expired or was answered, so its id is free.
            self.forget(former);
        }
        let evicted = self.make_room(now);
        let until = now + timeout.map_or(PROMPT_TTL, |time| time.min(PROMPT_TTL));
        let id: Option<Box<str>> = id.map(Box::from);
        if let Some(id) = &id {
            self.by_id.insert(id.clone(), self.next);
        }
        self.open.insert(self.next, Asked { until, id, approvers });
        self.pass();
        evicted
    }

    /// Skips an id, since the host handles the answers itself (I-6).
    pub(crate) fn pass(&mut self) {
        self.next = (self.next + 1) & 0xFFFF_FFFF;
    }

    /// Evicts expired prompts at the bound, else the oldest. Returns true if that one was open.
    fn make_room(&mut self, now: Time) -> bool {
        let by_id = &mut self.by_id;
        if self.open.len() >= self.most {
            self.open.retain(|_, asked| {
                let stays = asked.until > now;
                if !stays {
                    remove_id(by_id, asked);
                }
                stays
            });
        }
        if self.open.len() < self.most {
            return false;
        }
        let oldest = self.open.pop_front();
        if let Some((_, asked)) = &oldest {
            remove_id(by_id, asked);
        }
        oldest.is_some()
    }

    /// Forgets a prompt and its id.
    fn forget(&mut self, number: u64) {
        for asked in [self.open.remove(&number), self.answered.remove(&number)].into_iter().flatten() {
            remove_id(&mut self.by_id, &asked);
        }
    }

    /// Returns the number of prompts that are open or were when last looked up.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Closes a prompt that was never shown.
    pub(crate) fn close(&mut self, prompt_id: &str) {
        if let Some(number) = self.own(prompt_id) {
            self.forget(number);
        }
    }

    pub(crate) fn status(&self, prompt_id: &str, now: Time) -> PromptStatus {
        // An id of another shape is foreign, like one of another process.
        let Some(number) = self.own(prompt_id) else { return PromptStatus::Foreign };
        if self.answered.contains_key(&number) {
            return PromptStatus::Answered;
        }
        match self.open.get(&number) {
            Some(asked) if now < asked.until => PromptStatus::Open(number),
            Some(_) | None => PromptStatus::Stale,
        }
    }

    /// Returns true if the author of an event may answer an open prompt (I-8). `platform` is the platform of the event.
    pub(crate) fn may_answer(&self, number: u64, source: &Source, platform: Option<&str>) -> bool {
        self.open.get(&number).is_some_and(|asked| may_answer(&asked.approvers, source, platform))
    }

    /// Marks a prompt as answered.
    pub(crate) fn answer(&mut self, number: u64) {
        if let Some(asked) = self.open.remove(&number) {
            if self.answered.len() >= self.most
                && let Some((_, oldest)) = self.answered.pop_front()
            {
                remove_id(&mut self.by_id, &oldest);
            }
            self.answered.insert(number, asked);
        }
    }

    /// Reopens a prompt whose answer was not accepted, unless it has expired. The oldest open prompt is evicted at
    /// the bound; returns true then.
    pub(crate) fn reopen(&mut self, now: Time, number: u64) -> bool {
        let Some(asked) = self.answered.remove(&number) else { return false };
        if asked.until <= now {
            remove_id(&mut self.by_id, &asked);
            return false;
        }
        let evicted = self.make_room(now);
        self.open.insert(number, asked);
        evicted
    }

    /// Returns the number of an id of this process, the host's own or a generated one.
    fn own(&self, prompt_id: &str) -> Option<u64> {
        self.by_id.get(prompt_id).copied().or_else(|| self.shaped(prompt_id))
    }

    /// Returns the number that a generated id of this process encodes.
    fn shaped(&self, prompt_id: &str) -> Option<u64> {
        let (prefix, number) = prompt_id.split_once('.')?;
        let hex = |text: &str, digits: usize| {
            let shape = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            shape.then(|| u64::from_str_radix(text, 16).ok()).flatten()
        };
        (hex(prefix, 6)? == u64::from(self.prefix)).then(|| hex(number, 8)).flatten()
    }
}

/// Removes the host's own id of a prompt that is forgotten.
fn remove_id(by_id: &mut BTreeMap<Box<str>, u64>, asked: &Asked) {
    if let Some(id) = &asked.id {
        by_id.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i_1_ids_have_one_shape() {
        let mut prompts = Prompts::new(u64::MAX, 4);
        let first = prompts.next_id();
        assert!(!prompts.open(Time::ZERO, None, None, Arc::default()));
        let second = prompts.next_id();
        assert_eq!((first.as_str(), second.as_str()), ("ffffff.00000000", "ffffff.00000001"));
        assert!(is_id(&first) && format!("hp1:{first}:{}", "o".repeat(32)).len() <= MOST_CUSTOM_ID);
        for (text, expected) in [
            ("a", true),
            ("A-z_0.9", true),
            ("", false),
            ("a b", false),
            ("é", false),
            (&"a".repeat(33), false),
        ] {
            assert_eq!(is_id(text), expected, "{text:?}");
        }
    }

    #[test]
    fn i_2_i_3_open_for_an_hour_or_less_and_answered_once() {
        let at = |s: u64| Time::from_millis(s * 1000);
        let mut prompts = Prompts::new(0xABCDEF << 40, 2);
        let open = |prompts: &mut Prompts, s: u64, timeout: Option<u64>| {
            let id = prompts.next_id();
            (id, prompts.open(at(s), timeout.map(Duration::from_secs), None, Arc::default()))
        };
        let (number, (id, _)) = (0, open(&mut prompts, 0, None));
        assert_eq!(prompts.status(&id, at(3599)), PromptStatus::Open(number));
        assert_eq!(prompts.status(&id, at(3600)), PromptStatus::Stale);
        prompts.answer(number);
        assert_eq!(prompts.status(&id, at(1)), PromptStatus::Answered);
        assert!(!prompts.reopen(at(1), number));
        assert_eq!(prompts.status(&id, at(1)), PromptStatus::Open(number));
        let (short, _) = open(&mut prompts, 0, Some(5));
        assert_eq!(prompts.status(&short, at(5)), PromptStatus::Stale);
        // At the bound an expired or answered prompt leaves, else the oldest.
        let (long, evicted) = open(&mut prompts, 6, Some(9999));
        assert_eq!((prompts.status(&id, at(7)), evicted), (PromptStatus::Open(number), false));
        assert_eq!(prompts.status(&long, at(3606)), PromptStatus::Stale);
        assert!(open(&mut prompts, 8, None).1);
        assert_eq!(prompts.status(&id, at(9)), PromptStatus::Stale);
        for foreign in ["abcdee.00000000", "abcdef", "abcdef.0", "ABCDEF.00000000", "", "x.y"] {
            assert_eq!(prompts.status(foreign, at(1)), PromptStatus::Foreign, "{foreign}");
        }
        prompts.close(&long);
        assert_eq!(prompts.status(&long, at(1)), PromptStatus::Stale);
    }

    #[test]
    fn i_2_expired_prompts_are_evicted_before_open_ones() {
        let at = |s: u64| Time::from_millis(s * 1000);
        let mut prompts = Prompts::new(0, 2);
        for timeout in [9, 5] {
            assert!(!prompts.open(at(0), Some(Duration::from_secs(timeout)), None, Arc::default()));
        }
        assert_eq!(prompts.len(), 2);
        assert!(!prompts.open(at(5), None, None, Arc::default()));
        assert_eq!((prompts.status("000000.00000000", at(8)), prompts.len()), (PromptStatus::Open(0), 2));
    }

    #[test]
    fn i_3_answered_prompts_are_remembered_up_to_the_limit() {
        let mut prompts = Prompts::new(0, 2);
        for number in 0..3 {
            prompts.open(Time::ZERO, None, None, Arc::default());
            prompts.answer(number);
        }
        let status = |number: u64| prompts.status(&format!("000000.{number:08x}"), Time::ZERO);
        assert_eq!(
            [0, 1, 2].map(status),
            [PromptStatus::Stale, PromptStatus::Answered, PromptStatus::Answered]
        );
    }

    /// A reopened prompt takes no room from open ones, unless it is open itself.
    #[test]
    fn i_2_i_3_an_evicted_or_expired_prompt_is_not_reopened() {
        let at = |s: u64| Time::from_millis(s * 1000);
        let mut prompts = Prompts::new(0, 1);
        let open = |prompts: &mut Prompts, s: u64, timeout: u64| {
            let id = prompts.next_id();
            prompts.open(at(s), Some(Duration::from_secs(timeout)), None, Arc::default());
            id
        };
        let first = open(&mut prompts, 0, 5);
        prompts.answer(0);
        let second = open(&mut prompts, 1, 9);
        assert!(!prompts.reopen(at(6), 0));
        assert_eq!(prompts.status(&first, at(6)), PromptStatus::Stale);
        assert_eq!(prompts.status(&second, at(6)), PromptStatus::Open(1));
        // Evicting a prompt that is over is not counted.
        prompts.answer(1);
        open(&mut prompts, 1, 2);
        assert!(!prompts.reopen(at(6), 1));
        assert_eq!(prompts.status(&second, at(6)), PromptStatus::Open(1));
    }

    /// The host's own ids are kept as long as their prompts are remembered, and no longer.
    #[test]
    fn i_6_a_hosts_ids_are_forgotten_with_their_prompts() {
        let at = |s: u64| Time::from_millis(s * 1000);
        let life = |s: u64| Some(Duration::from_secs(s));
        let mut prompts = Prompts::new(0xABCDEF << 40, 2);
        prompts.open(at(0), life(10), Some("order-7"), Arc::default());
        assert_eq!(prompts.status("order-7", at(1)), PromptStatus::Open(0));
        let open = "a prompt with the id \"order-7\" is open: choose another, or wait for its answer";
        assert_eq!(prompts.problem(at(9), "order-7").as_deref(), Some(open));
        assert_eq!(prompts.problem(at(10), "order-7"), None);
        assert!(
            prompts
                .problem(at(0), "abcdef.00000009")
                .unwrap()
                .ends_with("this gateway gives: choose another")
        );
        assert_eq!(prompts.problem(at(0), "abcdee.00000009"), None);
        // Once it is answered, its id can be used again. If the host then refuses the first answer, the first prompt
        // stays closed.
        prompts.answer(0);
        assert_eq!(prompts.status("order-7", at(1)), PromptStatus::Answered);
        assert_eq!(prompts.problem(at(1), "order-7"), None);
        prompts.open(at(1), life(10), Some("order-7"), Arc::default());
        assert_eq!(prompts.status("order-7", at(1)), PromptStatus::Open(1));
        assert!(!prompts.reopen(at(1), 0));
        prompts.answer(1);
        assert!(!prompts.reopen(at(2), 1));
        assert_eq!(prompts.status("order-7", at(2)), PromptStatus::Open(1));
        // An evicted, closed or expired prompt takes its id along.
        for n in 0..20 {
            let id = format!("id-{n}");
            prompts.open(at(20 + n), life(5), Some(&id), Arc::default());
            match n % 3 {
                0 => prompts.close(&id),
                1 => {
                    let number = prompts.own(&id).unwrap();
                    prompts.answer(number);
                    prompts.reopen(at(90), if n % 2 == 0 { number } else { 0 });
                }
                _ => {}
            }
            let known = prompts.open.len() + prompts.answered.len();
            assert!(prompts.by_id.len() <= known && known <= 4, "{prompts:?}");
        }
        assert_eq!(prompts.status("order-7", at(50)), PromptStatus::Foreign);
    }
}
