//! All sessions of a wire: one per gateway, and the last lines of all.

use super::feed::{FeedContent, FeedEvent};
use super::line_ring::{LineRing, RingLimits};
use super::session::{LiveSession, LiveUpdate};
use crate::recorder::{REDACTED_TITLE, Redactor};
use crate::recording::parts::{PART, STARTED};
use crate::recording::{Gateway, Header};
use relayline_core::secret::Secret;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;

/// Maximum number of sessions. Further gateways share the last one.
const MAX_SESSIONS: usize = 64;
/// Maximum number of dials in progress whose session is remembered.
const MAX_DIALS: usize = 1024;

/// Options of the sessions.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LiveOptions {
    /// True to replace texts with filler and ids with pseudonyms.
    pub hides_text: bool,
    /// Credentials to redact, besides those that are labeled.
    pub secrets: Vec<Secret>,
    /// Limits of the lines that are kept.
    pub ring: RingLimits,
    /// Settings of the gateways, as far as they are known.
    pub gateway: Gateway,
    /// Source of a recording, such as `relayline record 1.0`.
    pub recorded_from: String,
    /// Start in Unix milliseconds.
    pub started_unix_ms: u64,
}

/// Effect of an event.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct LiveStep {
    /// Number of the session.
    pub session: usize,
    /// True if it is new.
    pub is_new: bool,
    /// Additions to its view.
    pub updates: Vec<LiveUpdate>,
}

#[derive(Debug)]
struct OpenSession {
    gateway_id: String,
    name: String,
    live: LiveSession,
}

/// Sessions that are going on.
#[derive(Debug)]
pub struct LiveSessions {
    options: LiveOptions,
    sessions: Vec<OpenSession>,
    ring: LineRing,
    session_of: BTreeMap<u32, usize>,
    /// Session of the last event, for events of unknown dials.
    last: usize,
}

impl LiveSessions {
    /// Creates no sessions yet.
    pub fn new(options: LiveOptions) -> LiveSessions {
        let ring = LineRing::new(options.ring);
        LiveSessions { options, sessions: Vec::new(), ring, session_of: BTreeMap::new(), last: 0 }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// The system has no randomness for the pseudonyms of a new session.
    pub fn add(&mut self, event: FeedEvent) -> io::Result<LiveStep> {
        let FeedEvent { t_ms, dial, what, lost_before } = event;
        let (session, is_new) = self.session_of(dial, &what)?;
        if what.ends_dial() {
            self.session_of.remove(&dial);
        }
        self.last = session;
        let mut updates = Vec::new();
        if let Some(OpenSession { live, .. }) = self.sessions.get_mut(session) {
            if lost_before > 0 {
                updates.extend(live.lose(t_ms, lost_before, &mut self.ring));
            }
            updates.extend(live.add(t_ms, dial, what, &mut self.ring));
        }
        Ok(LiveStep { session, is_new, updates })
    }

    /// Marks what is overdue. `t_ms` is the time since the start.
    pub fn tick(&mut self, t_ms: u64) -> Vec<LiveStep> {
        let ring = &mut self.ring;
        let step = |(session, open): (usize, &mut OpenSession)| {
            let updates = open.live.tick(t_ms, ring);
            (!updates.is_empty()).then_some(LiveStep { session, is_new: false, updates })
        };
        self.sessions.iter_mut().enumerate().filter_map(step).collect()
    }

    /// Returns the names of the sessions: the ids of their gateways, unless ids are hidden.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sessions.iter().map(|open| open.name.as_str())
    }

    /// Drops the lines that are kept.
    pub fn clear(&mut self) {
        self.ring.clear();
    }

    /// Returns the number of lines that left for newer ones, or were cleared.
    pub fn dropped(&self) -> u64 {
        self.ring.left()
    }

    /// Returns the lines of a session that are kept, as the text of a recording.
    pub fn recording(&self, session: usize) -> Option<String> {
        let OpenSession { name, .. } = self.sessions.get(session)?;
        let title = if self.options.hides_text { REDACTED_TITLE.to_owned() } else { format!("{name}, live") };
        let mut header =
            Header { title, recorded_from: self.options.recorded_from.clone(), ..Header::default() };
        header.rest.insert(PART.to_owned(), json!(0));
        header.rest.insert(STARTED.to_owned(), json!(self.options.started_unix_ms));
        Some(self.ring.recording(session, &header))
    }

    /// Returns the session of an event, and true if it is new.
    fn session_of(&mut self, dial: u32, what: &FeedContent) -> io::Result<(usize, bool)> {
        let FeedContent::Dial { gateway_id, .. } = what else {
            return match self.session_of.get(&dial) {
                Some(session) => Ok((*session, false)),
                None if self.sessions.is_empty() => Ok((self.open("gateway")?, true)),
                None => Ok((self.last, false)),
            };
        };
        let id = gateway_id.as_deref().filter(|id| !id.is_empty()).unwrap_or("gateway");
        let known = self.sessions.iter().position(|open| open.gateway_id == id);
        let (session, is_new) = match known {
            Some(known) => (known, false),
            None if self.sessions.len() >= MAX_SESSIONS => (MAX_SESSIONS - 1, false),
            None => (self.open(id)?, true),
        };
        self.session_of.insert(dial, session);
        if self.session_of.len() > MAX_DIALS {
            self.session_of.pop_first();
        }
        Ok((session, is_new))
    }

    /// Opens a session.
    fn open(&mut self, gateway_id: &str) -> io::Result<usize> {
        let mut redactor = Redactor::new(&self.options.secrets);
        if self.options.hides_text {
            redactor.redact_text()?;
        }
        let number = self.sessions.len();
        let name =
            if self.options.hides_text { format!("gateway {}", number + 1) } else { gateway_id.to_owned() };
        let live = LiveSession::new(number, redactor, &self.options.gateway);
        self.sessions.push(OpenSession { gateway_id: gateway_id.to_owned(), name, live });
        Ok(number)
    }
}
