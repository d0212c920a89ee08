//! Model of prompts (I).

use relayline_core::op::Prompt;
use relayline_core::prompts::PROMPT_TTL;
use relayline_core::time::Time;
use std::collections::VecDeque;

/// A prompt.
#[derive(Debug)]
struct AskedPrompt {
    request: u64,
    /// Id, once its frame is written.
    id: Option<String>,
    until: Time,
    /// Users who may answer, each perhaps with a platform; everybody if it is empty (I-8).
    approvers: Vec<(Option<String>, String)>,
}

/// State of a prompt, which decides about an answer (I-3).
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
    /// Requests of open and of answered prompts, longest in that state first.
    open: VecDeque<u64>,
    answered: VecDeque<u64>,
    /// Maximum number of each.
    most: usize,
    /// First half of the process's prompt ids.
    prefix: Option<String>,
}

impl Prompts {
    pub(crate) fn new(most: usize) -> Self {
        Prompts { asked: Vec::new(), open: VecDeque::new(), answered: VecDeque::new(), most, prefix: None }
    }

    /// Adds a prompt. Returns the number of evicted ones that could have been answered.
    pub(crate) fn ask(&mut self, request: u64, now: Time, prompt: &Prompt) -> u64 {
        self.forget_over(now);
        let until = now + prompt.timeout.unwrap_or(PROMPT_TTL).min(PROMPT_TTL);
        let approvers = prompt.approvers.iter();
        let approvers = approvers.map(|known| (known.platform.clone(), known.user_id.clone())).collect();
        self.asked.push(AskedPrompt { request, id: None, until, approvers });
        push(&mut self.open, request, self.most)
    }

    /// Removes expired prompts.
    fn forget_over(&mut self, now: Time) {
        let asked = &self.asked;
        self.open.retain(|open| asked.iter().any(|asked| asked.request == *open && asked.until > now));
    }

    /// Records the id of a written prompt. Returns true if the id is new.
    pub(crate) fn written(&mut self, request: u64, id: &str) -> bool {
        let is_new = self.asked.iter().all(|asked| asked.id.as_deref() != Some(id));
        self.prefix = id.split_once('.').map(|(prefix, _)| prefix.to_owned());
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.request == request) {
            asked.id = Some(id.to_owned());
        }
        is_new
    }

    /// Removes a prompt that failed.
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

    /// Returns true if a user of a platform may answer a prompt (I-8).
    pub(crate) fn may_answer(&self, id: &str, (platform, user): (&str, &str)) -> bool {
        let Some(asked) = self.find(id) else { return true };
        let is_named = |(on, named): &(Option<String>, String)| {
            named == user && on.as_ref().is_none_or(|on| on == platform)
        };
        asked.approvers.is_empty() || asked.approvers.iter().any(is_named)
    }

    /// Marks a prompt as answered.
    pub(crate) fn answer(&mut self, id: &str) {
        let Some(request) = self.find(id).map(|asked| asked.request) else { return };
        if remove(&mut self.open, request) {
            push(&mut self.answered, request, self.most);
        }
    }

    /// Reopens a prompt. Returns the number of evicted ones that could have been answered.
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

/// Adds a request, and evicts the first beyond the maximum. Returns the number of evictions.
fn push(to: &mut VecDeque<u64>, request: u64, most: usize) -> u64 {
    let evicted = to.len() >= most && to.pop_front().is_some();
    to.push_back(request);
    u64::from(evicted)
}
