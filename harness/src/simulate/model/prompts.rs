//! Prompts as the outside knows them (I).

use relayline_core::prompts::PROMPT_LIFE;
use relayline_core::time::Time;
use std::time::Duration;

/// One prompt.
#[derive(Debug)]
struct Asked {
    request: u64,
    /// Known once the frame that carries it is written.
    id: Option<String>,
    until: Time,
    answered: bool,
}

/// What an answer to it must come to (I-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Open,
    Answered,
    Foreign,
    Stale,
}

#[derive(Debug, Default)]
pub(crate) struct Prompts {
    asked: Vec<Asked>,
    /// The first half of this process's ids.
    prefix: Option<String>,
}

impl Prompts {
    pub(crate) fn ask(&mut self, request: u64, now: Time, timeout: Option<Duration>) {
        let until = now + timeout.unwrap_or(PROMPT_LIFE).min(PROMPT_LIFE);
        self.asked.push(Asked { request, id: None, until, answered: false });
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
    }

    pub(crate) fn id_of(&self, request: u64) -> Option<&str> {
        self.asked.iter().find(|asked| asked.request == request)?.id.as_deref()
    }

    pub(crate) fn standing(&self, id: &str, now: Time) -> Standing {
        let prefix = id.split_once('.').map(|(prefix, _)| prefix);
        if prefix.is_none() || prefix != self.prefix.as_deref() {
            return Standing::Foreign;
        }
        match self.asked.iter().find(|asked| asked.id.as_deref() == Some(id)) {
            Some(asked) if asked.answered => Standing::Answered,
            Some(asked) if now < asked.until => Standing::Open,
            Some(_) | None => Standing::Stale,
        }
    }

    pub(crate) fn answered(&mut self, id: &str, answered: bool) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.id.as_deref() == Some(id)) {
            asked.answered = answered;
        }
    }
}
