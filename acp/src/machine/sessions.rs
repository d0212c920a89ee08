//! Opening and closing of sessions at the agent.

use super::AcpMachine;
use super::agent::RequestUse;
use crate::agent::AgentInfo;
use crate::config::Settling;
use crate::fields::MAX_ID_BYTES;
use crate::output::LogLevel;
use crate::rpc;
use crate::session::{Opening, Session, SessionPhase, WaitingMessage};
use crate::texts;
use agent_client_protocol_schema::{
    ClientRequest, CloseSessionRequest, Error, ErrorCode, LoadSessionRequest, NewSessionRequest,
    NewSessionResponse, ResumeSessionRequest,
};
use relayline_core::command::Command;
use relayline_core::op::ReplyMessage;
use relayline_core::output::{DeliveryId, Outcome};
use relayline_core::time::Time;
use serde_json::Value;
use std::collections::VecDeque;

impl AcpMachine {
    /// Begins the turns and opens the sessions that messages wait for, the oldest message first.
    pub(super) fn pump(&mut self, now: Time) {
        if self.agent().is_none() || self.is_stopping {
            return;
        }
        let waits = |session: &Session| {
            let first = session.waiting.front().filter(|_| session.turn.is_none())?;
            Some(first.arrival)
        };
        let waiting = self.sessions.iter().filter_map(|(key, session)| Some((waits(session)?, key.clone())));
        let mut waiting: Vec<(u64, String)> = waiting.collect();
        waiting.sort_unstable();
        for (_, key) in waiting {
            let Some(session) = self.sessions.get(&key) else { continue };
            match session.phase {
                SessionPhase::Open { .. } => self.begin_turn(now, &key),
                SessionPhase::Closed => {
                    if self.make_room(now) {
                        self.open(now, &key);
                    }
                }
                SessionPhase::Opening => {}
            }
        }
    }

    /// Returns true if another session can be opened. Closes the one that is idle for longest if there are too many.
    fn make_room(&mut self, now: Time) -> bool {
        let open = self.sessions.values().filter(|session| session.is_open()).count();
        if open < self.config.limits.acp_sessions {
            return true;
        }
        let idle = self.sessions.iter().filter(|(_, session)| session.id().is_some() && !session.is_busy());
        let Some(key) = idle.min_by_key(|(_, session)| session.used).map(|(key, _)| key.clone()) else {
            return false;
        };
        self.stats.sessions_closed += 1;
        self.close(now, &key);
        self.tidy(&key);
        true
    }

    /// Closes an open session. It can be resumed later, if the agent offers that.
    pub(super) fn close(&mut self, now: Time, key: &str) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let phase = std::mem::replace(&mut session.phase, SessionPhase::Closed);
        let SessionPhase::Open { id } = phase else { return };
        self.by_id.remove(&id);
        let closes =
            self.agent().is_some_and(|agent| agent.capabilities.session_capabilities.close.is_some());
        if closes {
            let request = ClientRequest::CloseSessionRequest(CloseSessionRequest::new(id));
            let expires = now + self.config.limits.acp_session_timeout;
            self.request(&request, RequestUse::Close, Some(expires));
        }
    }

    /// Opens the session of a key: resumes the known one where the agent offers it, else creates one.
    fn open(&mut self, now: Time, key: &str) {
        let Some(agent) = self.agent() else { return };
        let offered = &agent.capabilities;
        // An id that another chat has is that chat's conversation.
        let is_free = |id: &str| self.by_id.get(id).is_none_or(|other| other == key);
        let resumable = self.known.get(key).filter(|known| !known.id.is_empty() && is_free(&known.id));
        let how = match resumable {
            Some(_) if offered.session_capabilities.resume.is_some() => Opening::Resume,
            Some(_) if offered.load_session => Opening::Load,
            Some(_) | None => Opening::New,
        };
        self.open_by(now, key, how);
    }

    fn open_by(&mut self, now: Time, key: &str, how: Opening) {
        let known = self.known.get(key).cloned();
        let servers = self.config.mcp_servers.clone();
        let request = match (how, &known) {
            (Opening::Resume, Some(known)) => ClientRequest::ResumeSessionRequest(
                ResumeSessionRequest::new(known.id.clone(), known.cwd.clone()).mcp_servers(servers),
            ),
            (Opening::Load, Some(known)) => ClientRequest::LoadSessionRequest(
                LoadSessionRequest::new(known.id.clone(), known.cwd.clone()).mcp_servers(servers),
            ),
            (Opening::New | Opening::Resume | Opening::Load, _) => ClientRequest::NewSessionRequest(
                NewSessionRequest::new(self.config.cwd.clone()).mcp_servers(servers),
            ),
        };
        let how = if known.is_some() { how } else { Opening::New };
        if let (Opening::Resume | Opening::Load, Some(known)) = (how, &known) {
            // For the updates that the session replays.
            self.by_id.insert(known.id.clone(), key.to_owned());
        }
        let expires = now + self.config.limits.acp_session_timeout;
        self.request(&request, RequestUse::Open(key.to_owned(), how), Some(expires));
        if let Some(session) = self.sessions.get_mut(key) {
            session.phase = SessionPhase::Opening;
            session.announces_new |= how == Opening::New && known.is_some();
        }
    }

    pub(super) fn session_opened(
        &mut self,
        now: Time,
        key: &str,
        how: Opening,
        result: Result<Value, Error>,
    ) {
        let id = match (how, result) {
            (Opening::New, Ok(result)) => serde_json::from_value(result)
                .map(|opened: NewSessionResponse| opened.session_id.0.to_string())
                .map_err(|error| Error::internal_error().data(Value::from(error.to_string()))),
            (Opening::Resume | Opening::Load, Ok(_)) => {
                self.known.get(key).map(|known| known.id.clone()).ok_or_else(Error::internal_error)
            }
            (_, Err(error)) => Err(error),
        };
        let id = id.and_then(|id| {
            let is_usable = id.len() <= MAX_ID_BYTES && self.by_id.get(&id).is_none_or(|other| other == key);
            let unusable = || Error::internal_error().data(Value::from("the id of the session is unusable"));
            is_usable.then_some(id).ok_or_else(unusable)
        });
        match id {
            Ok(id) => {
                self.stats.sessions_opened += 1;
                self.by_id.insert(id.clone(), key.to_owned());
                let cwd = self.known.get(key).filter(|known| known.id == id).map(|known| known.cwd.clone());
                let cwd = cwd.unwrap_or_else(|| self.config.cwd.clone());
                self.stats.sessions_forgotten += self.known.insert(key, &id, cwd);
                self.is_unsaved = true;
                if let Some(session) = self.sessions.get_mut(key) {
                    session.phase = SessionPhase::Open { id };
                    session.used = now;
                }
                self.pump(now);
            }
            Err(error) => self.session_refused(now, key, how, &error),
        }
    }

    fn session_refused(&mut self, now: Time, key: &str, how: Opening, error: &Error) {
        if let Some(known) = self.known.get(key)
            && self.by_id.get(&known.id).is_some_and(|other| other == key)
        {
            self.by_id.remove(&known.id);
        }
        let why = rpc::error_text(error);
        if how != Opening::New {
            self.log(LogLevel::Info, "acp_not_resumed", &why);
            return self.open_by(now, key, Opening::New);
        }
        self.warn_cannot("session/new", error, &why);
        if let Some(session) = self.sessions.get_mut(key) {
            session.phase = SessionPhase::Closed;
        }
        // One line for all messages that wait: each would fail alike.
        let waiting = self.take_waiting(key);
        if let Some(first) = waiting.front() {
            self.say(first.delivery.id, texts::CANNOT);
        }
        self.settle_all(&waiting, self.failure_outcome());
        self.tidy(key);
        self.pump(now);
    }

    /// Logs that the agent could not do something, and what the operator can do.
    pub(super) fn warn_cannot(&mut self, what: &str, error: &Error, why: &str) {
        let methods = self.agent().map(AgentInfo::list_auth_methods).unwrap_or_default();
        let advice = if error.code == ErrorCode::AuthRequired {
            format!(
                "; log in with the agent's own command, or name one of its methods with --acp-auth: {methods}"
            )
        } else {
            "; `relayline doctor --acp` shows what is missing".to_owned()
        };
        self.log(LogLevel::Warn, "acp_failed", &format!("{what}: {why}{advice}"));
    }

    /// Returns the outcome of a message that the agent could not do: where a queue delivers it again, it is refused.
    fn failure_outcome(&self) -> Outcome {
        match self.config.settling {
            Settling::PromptWritten => Outcome::Accepted,
            Settling::TurnEnded => Outcome::Refused,
        }
    }

    /// Settles the messages of a queue that are not settled yet.
    fn settle_all(&mut self, waiting: &VecDeque<WaitingMessage>, outcome: Outcome) {
        for waiting in waiting.iter().filter(|waiting| !waiting.is_settled) {
            self.settle(waiting.delivery.id, outcome);
        }
    }

    /// Takes the messages that wait in a session. The caller settles their deliveries.
    fn take_waiting(&mut self, key: &str) -> VecDeque<WaitingMessage> {
        let Some(session) = self.sessions.get_mut(key) else { return VecDeque::new() };
        let waiting = std::mem::take(&mut session.waiting);
        for waiting in &waiting {
            self.waiting.0 -= 1;
            self.waiting.1 -= waiting.delivery.weight();
        }
        waiting
    }

    /// Refuses the messages that wait in a session. The chat is informed if one of them is not delivered again.
    pub(super) fn refuse_waiting(&mut self, key: &str) {
        let waiting = self.sessions.get(key).map(|session| &session.waiting);
        let is_lost = |waiting: &&WaitingMessage| waiting.is_settled || !waiting.delivery.is_buffered;
        let lost = waiting.and_then(|waiting| waiting.iter().find(is_lost));
        if let Some(delivery) = lost.map(|waiting| waiting.delivery.id) {
            self.say(delivery, texts::NOT_BEGUN);
        }
        let waiting = self.take_waiting(key);
        self.settle_all(&waiting, Outcome::Refused);
    }

    /// Answers a delivery with a line that completes its turn.
    pub(super) fn say(&mut self, delivery: DeliveryId, text: &str) {
        self.command(Command::Reply(ReplyMessage::new(delivery, text)), super::OpUse::BestEffort);
    }

    /// Answers a delivery with a line that does not complete its turn.
    pub(super) fn say_interim(&mut self, delivery: DeliveryId, text: &str) {
        let reply = ReplyMessage::new(delivery, text).last(false);
        self.command(Command::Reply(reply), super::OpUse::BestEffort);
    }
}
