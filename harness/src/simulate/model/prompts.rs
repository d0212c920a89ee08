//! Prompts as the outside knows them (I).

use relayline_core::prompts::PROMPT_LIFE;
use relayline_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// One prompt.
#[derive(Debug)]
struct AskedPrompt {
    request: u64,
    /// Known once the frame that carries it is written.
    id: Option<String>,
    until: Time,
}

/// What an answer to it must come to (I-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PromptState {
    Open,
    Answered,
    Foreign,
    Stale,
}

#[derive(Debug)]
pub(crate) struct Prompts {
    asked: Vec<AskedPrompt>,
    /// Requests whose prompts are open, and whose are answered; who has been so for longest first.
    open: VecDeque<u64>,
    answered: VecDeque<u64>,
    /// How many may be either.
    most: usize,
    /// The first half of this process's ids.
    prefix: Option<String>,
}

impl Prompts {
    pub(crate) fn new(most: usize) -> Self {
        Prompts { asked: Vec::new(), open: VecDeque::new(), answered: VecDeque::new(), most, prefix: None }
    }

    /// One is asked: how many that could have been answered had to make room.
    pub(crate) fn ask(&mut self, request: u64, now: Time, timeout: Option<Duration>) -> u64 {
        self.forget_over(now);
        let until = now + timeout.unwrap_or(PROMPT_LIFE).min(PROMPT_LIFE);
        self.asked.push(AskedPrompt { request, id: None, until });
        push(&mut self.open, request, self.most)
    }

    /// What is over takes no room.
    fn forget_over(&mut self, now: Time) {
        let asked = &self.asked;
        self.open.retain(|open| asked.iter().any(|asked| asked.request == *open && asked.until > now));
    }

    /// Its frame is written; the id must be new.
    pub(crate) fn written(&mut self, request: u64, id: &str) -> bool {
        let is_new = self.asked.iter().all(|asked| asked.id.as_deref() != Some(id));
        self.prefix = id.split_once('.').map(|(prefix, _)| prefix.to_owned());
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.request == request) {
            asked.id = Some(id.to_owned());
        }
        is_new
    }

    /// It failed, and was never asked.
    pub(crate) fn failed(&mut self, request: u64) {
        self.asked.retain(|asked| asked.request != request);
        self.open.retain(|open| *open != request);
        self.answered.retain(|answered| *answered != request);
    }

    pub(crate) fn id_of(&self, request: u64) -> Option<&str> {
        self.asked.iter().find(|asked| asked.request == request)?.id.as_deref()
    }

    fn find(&self, id: &str) -> Option<&AskedPrompt> {
        self.asked.iter().find(|asked| asked.id.as_deref() == Some(id))
    }

    pub(crate) fn state_of(&self, id: &str, now: Time) -> PromptState {
        let prefix = id.split_once('.').map(|(prefix, _)| prefix);
        if prefix.is_none() || prefix != self.prefix.as_deref() {
            return PromptState::Foreign;
        }
        match self.find(id) {
            Some(asked) if self.answered.contains(&asked.request) => PromptState::Answered,
            Some(asked) if self.open.contains(&asked.request) && now < asked.until => PromptState::Open,
            Some(_) | None => PromptState::Stale,
        }
    }

    /// An answer is given.
    pub(crate) fn answer(&mut self, id: &str) {
        let Some(request) = self.find(id).map(|asked| asked.request) else { return };
        if remove(&mut self.open, request) {
            push(&mut self.answered, request, self.most);
        }
    }

    /// It is not taken after all: how many that could have been answered had to make room.
    pub(crate) fn reopen(&mut self, id: &str, now: Time) -> u64 {
        let Some((request, until)) = self.find(id).map(|asked| (asked.request, asked.until)) else {
            return 0;
        };
        if !remove(&mut self.answered, request) || until <= now {
            return 0;
        }
        self.forget_over(now);
        push(&mut self.open, request, self.most)
    }
}

fn remove(from: &mut VecDeque<u64>, request: u64) -> bool {
    let at = from.iter().position(|known| *known == request);
    at.and_then(|at| from.remove(at)).is_some()
}

/// Of too many the first goes: how many did.
fn push(to: &mut VecDeque<u64>, request: u64, most: usize) -> u64 {
    let evicted = to.len() >= most && to.pop_front().is_some();
    to.push_back(request);
    u64::from(evicted)
}
