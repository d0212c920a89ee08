//! Showing of a turn: its answer, its progress and its last line, one operation after another.

use super::{AcpMachine, CommandResult, OpUse};
use crate::output::LogLevel;
use crate::turn::{Closing, Turn, TurnEnd, TurnPhase};
use relayline_core::command::{Command, Failure, FailureKind, Reply};
use relayline_core::op::{ReplyMessage, Turn as Bracket};
use relayline_core::output::{DeliveryId, Outcome};
use relayline_core::time::Time;

impl AcpMachine {
    /// Drops the rest of an answer that could not be sent in time.
    pub(super) fn give_up_answer(&mut self, now: Time, key: &str) {
        let Some(turn) = self.turn_mut(key) else { return };
        let is_lost = turn.answer.drop_rest();
        if let TurnPhase::Closing(closing) = &mut turn.phase {
            closing.line = None;
        }
        self.stats.answers_lost += u64::from(is_lost);
        self.log(LogLevel::Warn, "acp_answer_lost", "the end of an answer could not be sent in time");
        self.finish_turn(now, key);
    }

    /// Shows what is new of a turn, and finishes one that has ended once all is sent.
    pub(super) fn advance_turn(&mut self, now: Time, key: &str) {
        while let Some((command, purpose)) = self.next_command(now, key) {
            self.command(command, purpose);
        }
        let Some(turn) = self.turn_mut(key) else { return };
        let TurnPhase::Closing(closing) = &turn.phase else { return };
        if turn.answer.is_over() && closing.line.is_none() && turn.progress.is_over() {
            self.finish_turn(now, key);
        }
    }

    /// Returns the next command that shows a turn.
    fn next_command(&mut self, now: Time, key: &str) -> Option<(Command, OpUse)> {
        let (limits, is_connected) = (self.config.limits.clone(), self.is_connected);
        let turn = self.turn_mut(key)?;
        let delivery = turn.origin.delivery;
        let ended = turn.ended().map(|(_, succeeded)| succeeded);
        let is_shown = turn.is_prompted() || ended.is_some();
        if !is_shown || !is_connected || !turn.may_send(now) {
            return None;
        }
        let owner = || (key.to_owned(), delivery);
        if let Some(state) = turn.answer.next(now, &limits, ended.is_some()) {
            let name = match state.number {
                0 => format!("acp {}", delivery.number()),
                number => format!("acp {} {number}", delivery.number()),
            };
            let by_place = turn.names_place && state.is_last;
            let stream = turn.origin.stream(name, state.text, by_place).last(state.is_last);
            let stream = stream.interim(state.is_interim).continues(state.number > 0);
            let (session, delivery) = owner();
            let purpose = if state.is_last { OpUse::Answer { session, delivery } } else { OpUse::BestEffort };
            return Some((Command::Stream(stream), purpose));
        }
        if let Some(command) = turn.progress.next(now, &limits, &turn.origin, ended) {
            let (session, delivery) = owner();
            return Some((command, OpUse::Progress { session, delivery }));
        }
        let TurnPhase::Closing(closing) = &mut turn.phase else { return None };
        let line = closing.line.filter(|_| !closing.is_line_sent)?;
        closing.is_line_sent = true;
        let command = if turn.names_place {
            let name = format!("acp line {}", delivery.number());
            Command::Stream(turn.origin.stream(name, line.to_owned(), true).last(true))
        } else {
            Command::Reply(ReplyMessage::new(delivery, line))
        };
        let (session, delivery) = owner();
        Some((command, OpUse::Line { session, delivery }))
    }

    /// Returns the turn of a session if it is still that of this delivery.
    fn turn_of(&mut self, key: &str, delivery: DeliveryId) -> Option<&mut Turn> {
        self.turn_mut(key).filter(|turn| turn.origin.delivery == delivery)
    }

    pub(super) fn answer_sent(&mut self, now: Time, key: &str, delivery: DeliveryId, result: CommandResult) {
        let Some(turn) = self.turn_of(key, delivery) else { return };
        match result {
            // Nothing of it was lost: the stream continues where it was.
            Err(failure) if failure.kind == FailureKind::Definite => {
                turn.answer.finished(true);
                turn.note_unsent(now);
            }
            Err(failure) => {
                turn.answer.finished(false);
                self.stats.answers_lost += u64::from(failure.kind != FailureKind::Ambiguous);
                let why = describe(&failure);
                self.log(LogLevel::Warn, "acp_answer_failed", &why);
            }
            Ok(_) => turn.answer.finished(false),
        }
        self.advance_turn(now, key);
    }

    pub(super) fn progress_shown(
        &mut self,
        now: Time,
        key: &str,
        delivery: DeliveryId,
        result: CommandResult,
    ) {
        let Some(turn) = self.turn_of(key, delivery) else { return };
        let message_id = match result {
            Ok(Reply::Sent { message_id, .. }) => message_id,
            Ok(_) => None,
            Err(failure) => {
                let why = describe(&failure);
                turn.progress.finished(None);
                self.log(LogLevel::Debug, "acp_progress_failed", &why);
                return self.advance_turn(now, key);
            }
        };
        turn.progress.finished(message_id);
        self.advance_turn(now, key);
    }

    pub(super) fn line_sent(&mut self, now: Time, key: &str, delivery: DeliveryId, result: CommandResult) {
        let Some(turn) = self.turn_of(key, delivery) else { return };
        let TurnPhase::Closing(closing) = &mut turn.phase else { return };
        match result {
            Err(failure) if failure.kind == FailureKind::Definite => {
                closing.is_line_sent = false;
                turn.note_unsent(now);
            }
            Err(failure) => {
                closing.line = None;
                let why = describe(&failure);
                self.log(LogLevel::Warn, "acp_answer_failed", &why);
            }
            Ok(_) => closing.line = None,
        }
        self.advance_turn(now, key);
    }

    /// Ends the bracket of a turn whose answer is complete, settles its delivery, and begins the next turn.
    fn finish_turn(&mut self, now: Time, key: &str) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.used = now;
        let Some(turn) = session.turn.take() else { return };
        self.stats.turns_ended += 1;
        let TurnPhase::Closing(Closing { end, .. }) = &turn.phase else { return };
        if let Some((state, _)) = turn.ended().filter(|_| !turn.is_bracket_closed) {
            self.command(Bracket::new(turn.origin.delivery, state), OpUse::BestEffort);
        }
        if !turn.is_settled {
            // A message that was never prompted is done unless it is to be delivered again.
            let at_end = self.settles_at_end() || *end == TurnEnd::Shutdown;
            let outcome = if at_end { end.outcome() } else { Outcome::Accepted };
            self.settle(turn.origin.delivery, outcome);
        }
        self.tidy(key);
        self.pump(now);
    }
}

/// Returns a failure for the log.
fn describe(failure: &Failure) -> String {
    format!("{}: {}", failure.kind.name(), failure.message)
}
