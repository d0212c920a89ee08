//! Turns: their beginning, their cancellation and their end.

use super::agent::RequestUse;
use super::{AcpMachine, OpUse};
use crate::config::AcpLimits;
use crate::output::{Fetched, HostOp, LogLevel, OpId, Output};
use crate::prompt::{blocks, takes};
use crate::rpc;
use crate::session::{SessionPhase, WaitingMessage};
use crate::texts;
use crate::turn::{Closing, MessageFile, Turn, TurnEnd, TurnPhase};
use agent_client_protocol_schema::{
    CancelNotification, ClientNotification, ClientRequest, Error, ErrorCode, PromptCapabilities,
    PromptRequest, PromptResponse,
};
use relayline_core::command::Command;
use relayline_core::op::{Turn as Bracket, TurnState};
use relayline_core::output::Outcome;
use relayline_core::time::Time;
use serde_json::Value;

impl AcpMachine {
    /// Begins the turn of the first message that waits in an open session.
    pub(super) fn begin_turn(&mut self, now: Time, key: &str) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(WaitingMessage { delivery, is_settled, .. }) = session.waiting.pop_front() else { return };
        self.waiting.0 -= 1;
        self.waiting.1 -= delivery.weight();
        let announces_new = std::mem::take(&mut session.announces_new);
        let (id, mut media) = (delivery.id, delivery.event.media.clone());
        session.turn = Some(Turn { is_settled, ..Turn::new(now, delivery, &self.config.platforms) });
        self.command(Command::Turn(Bracket::new(id, TurnState::Begin)), OpUse::BestEffort);
        if announces_new {
            self.say_interim(id, texts::NEW_SESSION);
        }
        let max = self.config.limits.acp_files;
        self.stats.files_dropped += media.len().saturating_sub(max) as u64;
        let beyond = media.split_off(media.len().min(max));
        let prompt = self.prompt_capabilities();
        let inline = self.config.limits.acp_inline_bytes;
        let (mut files, mut pending): (Vec<MessageFile>, Vec<(OpId, usize)>) = (Vec::new(), Vec::new());
        for (at, media) in media.into_iter().enumerate() {
            let inline = if takes(&prompt, &media) { inline } else { 0 };
            let op = HostOp::Fetch { media: Box::new(media.clone()), inline };
            pending.push((self.perform(op, OpUse::File { session: key.to_owned() }), at));
            files.push((media, None));
        }
        files.extend(beyond.into_iter().map(|media| (media, Some(None))));
        if let Some(Turn { phase: TurnPhase::Fetching { files: all, pending: ops, .. }, .. }) =
            self.turn_mut(key)
        {
            *all = files;
            ops.extend(pending);
        }
        self.prompt_when_fetched(now, key);
    }

    fn prompt_capabilities(&self) -> PromptCapabilities {
        self.agent().map(|agent| agent.capabilities.prompt_capabilities.clone()).unwrap_or_default()
    }

    pub(super) fn file_fetched(&mut self, now: Time, key: &str, id: OpId, result: Result<Fetched, String>) {
        let budget = self.config.limits.acp_inline_bytes;
        let fetching = self.turn_mut(key).and_then(|turn| match &mut turn.phase {
            TurnPhase::Fetching { files, pending, inlined, .. } => {
                let at = pending.remove(&id)?;
                Some((files.get_mut(at)?, inlined))
            }
            _ => None,
        });
        let Some((file, inlined)) = fetching else {
            self.stats.stray_results += 1;
            return;
        };
        match result {
            Ok(mut fetched) => {
                let used = *inlined + fetched.content.as_ref().map_or(0, Vec::len);
                match used <= budget {
                    true => *inlined = used,
                    false => fetched.content = None,
                }
                file.1 = Some(Some(fetched));
            }
            Err(why) => {
                file.1 = Some(None);
                self.stats.files_failed += 1;
                self.log(LogLevel::Warn, "acp_file_failed", &why);
            }
        }
        self.prompt_when_fetched(now, key);
    }

    /// Gives up the files that are not fetched in time: the prompt names them.
    fn expire_files(&mut self, now: Time, key: &str) {
        let Some(turn) = self.turn_mut(key) else { return };
        let TurnPhase::Fetching { pending, .. } = &mut turn.phase else { return };
        let late = std::mem::take(pending).len() as u64;
        self.stats.files_failed += late;
        self.log(LogLevel::Warn, "acp_file_failed", &format!("{late} files were not fetched in time"));
        self.prompt_when_fetched(now, key);
    }

    /// Writes the prompt once all files are fetched.
    fn prompt_when_fetched(&mut self, now: Time, key: &str) {
        let agent = self.prompt_capabilities();
        let Some(session) = self.sessions.get_mut(key) else { return };
        let SessionPhase::Open { id } = &session.phase else { return };
        let Some(turn) = &mut session.turn else { return };
        let is_settled = turn.is_settled;
        let TurnPhase::Fetching { delivery, files, pending, .. } = &mut turn.phase else { return };
        if !pending.is_empty() {
            return;
        }
        let files = std::mem::take(files).into_iter().map(|(media, file)| (media, file.flatten())).collect();
        let (request, delivery) =
            (PromptRequest::new(id.clone(), blocks(&delivery.event, files, &agent)), delivery.id);
        let purpose = RequestUse::Prompt(key.to_owned());
        let line = self.prepare(&ClientRequest::PromptRequest(request), purpose, None);
        self.stats.prompts += 1;
        let settles = (!self.settles_at_end() && !is_settled).then_some(delivery);
        if let Some(turn) = self.turn_mut(key) {
            turn.phase = TurnPhase::Prompted;
            turn.heard = now;
            turn.is_settled |= settles.is_some();
        }
        self.outputs.push_back(Output::Write { line, settles });
    }

    pub(super) fn prompt_answered(&mut self, now: Time, key: &str, result: Result<Value, Error>) {
        let Some(turn) = self.turn_mut(key) else { return };
        let cancelled = match turn.phase {
            TurnPhase::Cancelling { end, .. } => Some(end),
            _ => None,
        };
        let result = result.and_then(|result| {
            serde_json::from_value(result)
                .map(|response: PromptResponse| response.stop_reason)
                .map_err(|error| Error::internal_error().data(Value::from(error.to_string())))
        });
        let end = match (cancelled, result) {
            (Some(end), _) => end,
            (None, Ok(reason)) => TurnEnd::Finished(reason),
            (None, Err(error)) => {
                let why = rpc::error_text(&error);
                self.warn_cannot("session/prompt", &error, &why);
                if error.code == ErrorCode::ResourceNotFound {
                    // The agent has forgotten the session: the next message gets a new one.
                    self.close(now, key);
                }
                TurnEnd::Failed
            }
        };
        self.turn_ended(now, key, end);
    }

    /// Ends a turn. Whatever ends one comes through here, once: the rest of the answer is sent, and then the next
    /// message has its turn.
    pub(super) fn turn_ended(&mut self, now: Time, key: &str, end: TurnEnd) {
        self.cancel_permissions(now, key);
        let is_redelivered = self.settles_at_end();
        let until = now + self.config.limits.acp_answer_patience;
        let Some(turn) = self.turn_mut(key) else { return };
        if turn.ended().is_some() {
            return;
        }
        let has_text = turn.answer.has_text();
        let line = match end.line(is_redelivered) {
            None if end == TurnEnd::Cancelled => None,
            None if turn.answer.is_cut() => Some(texts::CUT),
            None if !has_text => Some(texts::NO_TEXT),
            line => line,
        };
        // A text ends with the line, so that one message completes the turn.
        let line = match line {
            Some(line) if has_text => {
                turn.answer.end_with(line);
                None
            }
            line => line,
        };
        turn.phase = TurnPhase::Closing(Closing { end, line, is_line_sent: false, until });
        self.advance_turn(now, key);
    }

    /// Cancels the turn in progress. Returns true if there was one to cancel.
    pub(super) fn cancel_turn(&mut self, now: Time, key: &str) -> bool {
        self.cancel_turn_as(now, key, TurnEnd::Cancelled)
    }

    fn cancel_turn_as(&mut self, now: Time, key: &str, end: TurnEnd) -> bool {
        let until = now + self.config.limits.acp_cancel_timeout;
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let id = session.id().map(str::to_owned);
        let Some(turn) = &mut session.turn else { return self.withdraw_first(key) };
        let delivery = turn.origin.delivery;
        match (&turn.phase, id) {
            (TurnPhase::Fetching { .. }, _) => {
                turn.answer.drop_rest();
                self.turn_ended(now, key, end);
                true
            }
            (TurnPhase::Prompted, Some(id)) => {
                turn.phase = TurnPhase::Cancelling { end, until };
                if end == TurnEnd::Cancelled {
                    turn.answer.drop_rest();
                    turn.is_bracket_closed = true;
                    // Streams end with what is shown (O-13).
                    self.command(Bracket::new(delivery, TurnState::Stopped), OpUse::BestEffort);
                }
                let cancel = ClientNotification::CancelNotification(CancelNotification::new(id));
                self.write(rpc::notification(&cancel));
                self.cancel_permissions(now, key);
                true
            }
            (TurnPhase::Prompted | TurnPhase::Cancelling { .. } | TurnPhase::Closing(_), _) => false,
        }
    }

    /// Settles the first message that waits, without a turn: its session is not open yet. Returns true if there is one.
    fn withdraw_first(&mut self, key: &str) -> bool {
        let first = self.sessions.get_mut(key).and_then(|session| session.waiting.pop_front());
        let Some(WaitingMessage { delivery, is_settled, .. }) = first else { return false };
        self.waiting.0 -= 1;
        self.waiting.1 -= delivery.weight();
        if !is_settled {
            self.settle(delivery.id, Outcome::Accepted);
        }
        self.tidy(key);
        true
    }

    /// Cancels a turn, and ends it without waiting for the agent.
    pub(super) fn shut_down_turn(&mut self, now: Time, key: &str) {
        self.cancel_turn_as(now, key, TurnEnd::Shutdown);
        let cancelled = self.turn_mut(key).and_then(|turn| match turn.phase {
            TurnPhase::Cancelling { end, .. } => Some(end),
            _ => None,
        });
        if let Some(end) = cancelled {
            self.turn_ended(now, key, end);
        }
    }

    /// Begins the bracket of a turn again, after a connection that ended took it down.
    pub(super) fn resume_bracket(&mut self, key: &str) {
        let Some(turn) = self.turn_mut(key) else { return };
        if turn.is_prompted() {
            let bracket = Bracket::new(turn.origin.delivery, TurnState::Begin);
            self.command(bracket, OpUse::BestEffort);
        }
    }

    pub(super) fn tick_turn(&mut self, now: Time, key: &str) {
        let AcpLimits { acp_silence_timeout: silence, acp_fetch_timeout, .. } = self.config.limits;
        let Some(turn) = self.turn_mut(key) else { return };
        if turn.retry_at.is_some_and(|at| at <= now) {
            turn.retry_at = None;
        }
        let is_silent = turn.permissions.is_empty() && turn.heard + silence <= now;
        match &turn.phase {
            TurnPhase::Fetching { .. } if turn.heard + acp_fetch_timeout <= now => {
                self.expire_files(now, key)
            }
            TurnPhase::Prompted if is_silent => {
                // The line follows when the agent has stopped, or has been given up.
                self.cancel_turn_as(now, key, TurnEnd::Silent);
            }
            &TurnPhase::Cancelling { until, end } if until <= now => self.abandon(now, key, end),
            TurnPhase::Closing(closing) if closing.until <= now => self.give_up_answer(now, key),
            _ => self.advance_turn(now, key),
        }
    }

    /// Abandons a session that does not end its cancelled turn: the next message gets another session.
    fn abandon(&mut self, now: Time, key: &str, end: TurnEnd) {
        self.stats.sessions_abandoned += 1;
        self.log(LogLevel::Warn, "acp_session_abandoned", "the agent did not end a cancelled turn in time");
        self.requests.retain(|_, sent| sent.purpose != RequestUse::Prompt(key.to_owned()));
        self.close(now, key);
        self.known.lose(key);
        self.is_unsaved = true;
        self.turn_ended(now, key, end);
    }
}
