//! Sessions that the agent may still know: their ids, to resume them after a restart. They are what a state file saves.

use crate::fields::MAX_ID_BYTES;
use agent_client_protocol_schema::AvailableCommand;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Version of the format of a state file.
const VERSION: u64 = 1;

/// State of a machine that outlives its process: the ids of its sessions, and the agent's commands.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SavedState {
    version: u64,
    #[serde(default)]
    sessions: BTreeMap<String, KnownSession>,
    #[serde(default)]
    commands: Vec<AvailableCommand>,
}

/// Error returned when a saved state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedStateError {
    /// It is not valid JSON, or has another form.
    #[error("it is not a saved state: {0}: name another file, or delete this one")]
    Malformed(serde_json::Error),
    /// A newer release wrote it.
    #[error(
        "a newer release wrote it (version {0}, and this one reads {VERSION}): use that release, or name another file"
    )]
    Version(u64),
}

impl SavedState {
    /// Reads what [`to_json`](Self::to_json) has written.
    ///
    /// # Errors
    /// It is not a saved state, or a newer release wrote it.
    pub fn parse(text: &str) -> Result<SavedState, SavedStateError> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let Version { version } = serde_json::from_str(text).map_err(SavedStateError::Malformed)?;
        if version != VERSION {
            return Err(SavedStateError::Version(version));
        }
        serde_json::from_str(text).map_err(SavedStateError::Malformed)
    }

    /// Writes the state as JSON.
    pub fn to_json(&self) -> String {
        // It has string keys only, so that this does not fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the commands that the agent last reported.
    pub fn commands(&self) -> &[AvailableCommand] {
        &self.commands
    }
}

/// Session that the agent may still know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct KnownSession {
    /// The agent's id; empty if the agent cannot continue the session.
    pub(crate) id: String,
    /// Working folder of the session.
    pub(crate) cwd: PathBuf,
    /// Number of its latest use.
    #[serde(default)]
    used: u64,
}

/// Known sessions by their keys, bounded.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct KnownSessions {
    sessions: BTreeMap<String, KnownSession>,
    /// Number of the latest use.
    used: u64,
    max: usize,
}

impl KnownSessions {
    pub(crate) fn new(saved: &SavedState, max: usize) -> KnownSessions {
        let sessions = saved.sessions.clone();
        let used = sessions.values().map(|session| session.used).max().unwrap_or(0);
        let mut known = KnownSessions { sessions, used, max };
        known.evict();
        known
    }

    pub(crate) fn get(&self, key: &str) -> Option<&KnownSession> {
        self.sessions.get(key)
    }

    /// Remembers a session. No other key keeps its id. Returns the number of sessions that were forgotten for it.
    pub(crate) fn insert(&mut self, key: &str, id: &str, cwd: PathBuf) -> u64 {
        if id.len() > MAX_ID_BYTES {
            self.sessions.remove(key);
            return 1;
        }
        // An agent that counts its sessions anew after a restart gives an id again: it is the latest key's.
        for (other, session) in &mut self.sessions {
            if other != key && session.id == id {
                session.id = String::new();
            }
        }
        self.used += 1;
        let session = KnownSession { id: id.to_owned(), cwd, used: self.used };
        self.sessions.insert(key.to_owned(), session);
        self.evict()
    }

    /// Marks a session as one that the agent cannot continue. The key stays known, so that the chat is informed.
    pub(crate) fn lose(&mut self, key: &str) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.id = String::new();
        }
    }

    fn evict(&mut self) -> u64 {
        let mut forgotten = 0;
        while self.sessions.len() > self.max {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            self.sessions.remove(&oldest);
            forgotten += 1;
        }
        forgotten
    }

    pub(crate) fn save(&self, commands: &[AvailableCommand]) -> SavedState {
        SavedState { version: VERSION, sessions: self.sessions.clone(), commands: commands.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_a_restart() {
        let mut known = KnownSessions::new(&SavedState::default(), 9);
        known.insert("k", "s-1", "/work".into());
        let command = AvailableCommand::new("plan", "Makes a plan");
        let saved = known.save(&[command]);
        let read = SavedState::parse(&saved.to_json()).unwrap();
        assert_eq!(read, saved);
        assert_eq!(KnownSessions::new(&read, 9).get("k").unwrap().id, "s-1");
        assert_eq!(read.commands()[0].name, "plan");
    }

    #[test]
    fn the_least_recently_used_session_is_forgotten_first() {
        let mut known = KnownSessions::new(&SavedState::default(), 2);
        for (key, forgotten) in [("a", 0), ("b", 0), ("a", 0), ("c", 1)] {
            assert_eq!(known.insert(key, key, "/".into()), forgotten, "{key}");
        }
        assert_eq!((known.get("a").is_some(), known.get("b").is_some()), (true, false));
        assert_eq!(KnownSessions::new(&known.save(&[]), 1).get("a"), None);
    }

    #[test]
    fn an_id_belongs_to_the_latest_key() {
        let mut known = KnownSessions::new(&SavedState::default(), 9);
        known.insert("a", "s", "/".into());
        known.insert("b", "s", "/".into());
        assert_eq!((known.get("a").unwrap().id.as_str(), known.get("b").unwrap().id.as_str()), ("", "s"));
    }

    #[test]
    fn a_file_that_is_not_a_state_says_what_to_do() {
        for text in ["", "[]", "{}", r#"{"version":1,"sessions":[]}"#] {
            let error = SavedState::parse(text).unwrap_err().to_string();
            assert!(error.contains("name another file"), "{text}: {error}");
        }
        let newer = SavedState::parse(r#"{"version":2,"sessions":3}"#).unwrap_err().to_string();
        assert!(newer.starts_with("a newer release wrote it (version 2"), "{newer}");
    }
}
