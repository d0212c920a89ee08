//! Interactive prompts (I): ids, and what a host has asked and not been answered.

use crate::hash::{Table, table};
use crate::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a prompt is open unless the host says less (I-2).
pub const PROMPT_LIFE: Duration = Duration::from_secs(3600);

/// Most scalar values, all ASCII, that a prompt's or an option's id may have (I-1).
const MOST_ID: usize = 32;
/// Maximum number of options of one prompt (I-1). No platform shows more.
pub const MAX_OPTIONS: usize = 100;
/// The most bytes of a `custom_id` that carries a choice (I-1).
pub(crate) const MOST_CUSTOM_ID: usize = 64;

/// One option of one prompt, as a platform's component carries it: `hp1:<prompt_id>:<option_id>` (I-1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromptChoice {
    /// The prompt.
    pub prompt_id: String,
    /// The option.
    pub option_id: String,
}

impl PromptChoice {
    /// Reads a component's `custom_id`; `None` when it is another's.
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

/// Whether a text can be a prompt's or an option's id: `[A-Za-z0-9_.-]{1,32}` (I-1).
pub fn is_id(text: &str) -> bool {
    (1..=MOST_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// What an answer's prompt is to this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Open, under this number.
    Open(u64),
    /// Answered already.
    Answered,
    /// Another process's.
    Foreign,
    /// Our own, but unknown or expired.
    Stale,
}

/// A prompt of this process.
#[derive(Debug)]
struct Asked {
    /// End of its time.
    until: Time,
    /// The host's own id for it (I-6).
    id: Option<Box<str>>,
}

/// The prompts of this process, and bounded (I-2): the open ones by their number, each with its end, the oldest first;
/// and as many that were answered, so that those take no room from what is open.
#[derive(Debug)]
pub(crate) struct Prompts {
    /// The first half of every id (I-1).
    prefix: u32,
    open: Table<u64, Asked>,
    answered: Table<u64, Asked>,
    /// The numbers of those, by the host's own ids.
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

    /// The id of the next.
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

    /// Opens it, under the host's own id if it has one. The oldest makes room; whether one that was open had to.
    pub(crate) fn open(&mut self, now: Time, timeout: Option<Duration>, id: Option<&str>) -> bool {
        if let Some(former) = id.and_then(|id| self.by_id.get(id).copied()) {
            // It is over or answered: its id is the new one's.
            self.forget(former);
        }
        let evicted = self.make_room(now);
        let until = now + timeout.map_or(PROMPT_LIFE, |time| time.min(PROMPT_LIFE));
        let id: Option<Box<str>> = id.map(Box::from);
        if let Some(id) = &id {
            self.by_id.insert(id.clone(), self.next);
        }
        self.open.insert(self.next, Asked { until, id });
        self.pass();
        evicted
    }

    /// Passes over an id: the host handles the answers itself (I-6).
    pub(crate) fn pass(&mut self) {
        self.next = (self.next + 1) & 0xFFFF_FFFF;
    }

    /// At the bound what is over goes, else the oldest: whether one that was open had to.
    fn make_room(&mut self, now: Time) -> bool {
        let by_id = &mut self.by_id;
        if self.open.len() >= self.most {
            self.open.retain(|_, asked| {
                let stays = asked.until > now;
                if !stays {
                    unname(by_id, asked);
                }
                stays
            });
        }
        if self.open.len() < self.most {
            return false;
        }
        let oldest = self.open.pop_front();
        if let Some((_, asked)) = &oldest {
            unname(by_id, asked);
        }
        oldest.is_some()
    }

    /// Forgets a prompt and its id.
    fn forget(&mut self, number: u64) {
        for asked in [self.open.remove(&number), self.answered.remove(&number)].into_iter().flatten() {
            unname(&mut self.by_id, &asked);
        }
    }

    /// How many are open, or were when last looked at.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// It was never asked after all.
    pub(crate) fn close(&mut self, prompt_id: &str) {
        if let Some(number) = self.own(prompt_id) {
            self.forget(number);
        }
    }

    pub(crate) fn standing(&self, prompt_id: &str, now: Time) -> Standing {
        // An id of another shape is nobody's of this kind: as foreign as another process's.
        let Some(number) = self.own(prompt_id) else { return Standing::Foreign };
        if self.answered.contains_key(&number) {
            return Standing::Answered;
        }
        match self.open.get(&number) {
            Some(asked) if now < asked.until => Standing::Open(number),
            Some(_) | None => Standing::Stale,
        }
    }

    /// An answer is given.
    pub(crate) fn answer(&mut self, number: u64) {
        if let Some(asked) = self.open.remove(&number) {
            if self.answered.len() >= self.most
                && let Some((_, oldest)) = self.answered.pop_front()
            {
                unname(&mut self.by_id, &oldest);
            }
            self.answered.insert(number, asked);
        }
    }

    /// It is not taken after all. What is over by now stays so; else the oldest that is open makes room; whether one
    /// had to.
    pub(crate) fn reopen(&mut self, now: Time, number: u64) -> bool {
        let Some(asked) = self.answered.remove(&number) else { return false };
        if asked.until <= now {
            unname(&mut self.by_id, &asked);
            return false;
        }
        let evicted = self.make_room(now);
        self.open.insert(number, asked);
        evicted
    }

    /// The number of an id of this process: of the host's own, or of one that it was given.
    fn own(&self, prompt_id: &str) -> Option<u64> {
        self.by_id.get(prompt_id).copied().or_else(|| self.shaped(prompt_id))
    }

    /// The number that an id of this process holds.
    fn shaped(&self, prompt_id: &str) -> Option<u64> {
        let (prefix, number) = prompt_id.split_once('.')?;
        let hex = |text: &str, digits: usize| {
            let shape = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            shape.then(|| u64::from_str_radix(text, 16).ok()).flatten()
        };
        (hex(prefix, 6)? == u64::from(self.prefix)).then(|| hex(number, 8)).flatten()
    }
}

/// Forgets the host's own id for a prompt that is forgotten.
fn unname(by_id: &mut BTreeMap<Box<str>, u64>, asked: &Asked) {
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
        assert!(!prompts.open(Time::ZERO, None, None));
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
            (id, prompts.open(at(s), timeout.map(Duration::from_secs), None))
        };
        let (number, (id, _)) = (0, open(&mut prompts, 0, None));
        assert_eq!(prompts.standing(&id, at(3599)), Standing::Open(number));
        assert_eq!(prompts.standing(&id, at(3600)), Standing::Stale);
        prompts.answer(number);
        assert_eq!(prompts.standing(&id, at(1)), Standing::Answered);
        assert!(!prompts.reopen(at(1), number));
        assert_eq!(prompts.standing(&id, at(1)), Standing::Open(number));
        let (short, _) = open(&mut prompts, 0, Some(5));
        assert_eq!(prompts.standing(&short, at(5)), Standing::Stale);
        // At the bound what is over goes, else the oldest.
        let (long, evicted) = open(&mut prompts, 6, Some(9999));
        assert_eq!((prompts.standing(&id, at(7)), evicted), (Standing::Open(number), false));
        assert_eq!(prompts.standing(&long, at(3606)), Standing::Stale);
        assert!(open(&mut prompts, 8, None).1);
        assert_eq!(prompts.standing(&id, at(9)), Standing::Stale);
        for foreign in ["abcdee.00000000", "abcdef", "abcdef.0", "ABCDEF.00000000", "", "x.y"] {
            assert_eq!(prompts.standing(foreign, at(1)), Standing::Foreign, "{foreign}");
        }
        prompts.close(&long);
        assert_eq!(prompts.standing(&long, at(1)), Standing::Stale);
    }

    /// What comes back takes no room from what is open unless it is open itself.
    #[test]
    fn i_2_i_3_one_that_is_over_is_not_opened_again() {
        let at = |s: u64| Time::from_millis(s * 1000);
        let mut prompts = Prompts::new(0, 1);
        let open = |prompts: &mut Prompts, s: u64, timeout: u64| {
            let id = prompts.next_id();
            prompts.open(at(s), Some(Duration::from_secs(timeout)), None);
            id
        };
        let first = open(&mut prompts, 0, 5);
        prompts.answer(0);
        let second = open(&mut prompts, 1, 9);
        assert!(!prompts.reopen(at(6), 0));
        assert_eq!(prompts.standing(&first, at(6)), Standing::Stale);
        assert_eq!(prompts.standing(&second, at(6)), Standing::Open(1));
        // One that was over made no room that counts.
        prompts.answer(1);
        open(&mut prompts, 1, 2);
        assert!(!prompts.reopen(at(6), 1));
        assert_eq!(prompts.standing(&second, at(6)), Standing::Open(1));
    }

    /// Ids of the host's own live as long as what is known of their prompts, and no longer.
    #[test]
    fn i_6_ids_of_the_hosts_own_are_forgotten_with_their_prompts() {
        let at = |s: u64| Time::from_millis(s * 1000);
        let life = |s: u64| Some(Duration::from_secs(s));
        let mut prompts = Prompts::new(0xABCDEF << 40, 2);
        prompts.open(at(0), life(10), Some("order-7"));
        assert_eq!(prompts.standing("order-7", at(1)), Standing::Open(0));
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
        // Answered, it may be asked again; the first one's answer, refused, does not open the first again.
        prompts.answer(0);
        assert_eq!(prompts.standing("order-7", at(1)), Standing::Answered);
        assert_eq!(prompts.problem(at(1), "order-7"), None);
        prompts.open(at(1), life(10), Some("order-7"));
        assert_eq!(prompts.standing("order-7", at(1)), Standing::Open(1));
        assert!(!prompts.reopen(at(1), 0));
        prompts.answer(1);
        assert!(!prompts.reopen(at(2), 1));
        assert_eq!(prompts.standing("order-7", at(2)), Standing::Open(1));
        // What makes room, is closed, or is over, takes its id along.
        for n in 0..20 {
            let id = format!("id-{n}");
            prompts.open(at(20 + n), life(5), Some(&id));
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
        assert_eq!(prompts.standing("order-7", at(50)), Standing::Foreign);
    }
}
