//! Coordination of turns (O-15): the reactions and typing signs that show what the agent does with a message.

use super::RelayMachine;
use super::replies::place;
use crate::command::{Failure, Metadata};
use crate::op::{Op, React, Turn, TurnState, Typing};
use crate::output::DeliveryId;
use crate::requests::Owner;
use crate::slack;
use crate::targets::Target;
use crate::time::clamp_timeout;
use crate::turns::OpenTurn;

/// Reaction on a message that an agent works on.
const WORKING: &str = "👀";

impl RelayMachine {
    /// Moves a turn to a state.
    pub(super) fn turn(&mut self, Turn { delivery, state }: Turn) -> Result<(), Failure> {
        // An open turn keeps its own target: it can be ended when its delivery is forgotten.
        if state != TurnState::Begin && !self.turns.contains(delivery.0) {
            self.target(delivery)?;
        }
        match state {
            TurnState::Begin => {
                let target = self.target(delivery)?;
                self.begin_turn(delivery, target);
            }
            TurnState::Done => self.end_turn(delivery, Some(true)),
            TurnState::Failed => self.end_turn(delivery, Some(false)),
            TurnState::Stopped => {
                self.end_turn(delivery, None);
                self.streams.stop(delivery);
            }
        }
        Ok(())
    }

    fn begin_turn(&mut self, delivery: DeliveryId, target: Target) {
        // Without a connection nothing can be shown, and the turn would end with the connection anyway.
        if !self.conn.state().is_up() || self.turns.contains(delivery.0) {
            return;
        }
        if self.turns.len() >= self.config.limits.turns
            && let Some(oldest) = self.turns.oldest()
        {
            self.stats.turns_evicted += 1;
            self.end_turn(DeliveryId(oldest), None);
        }
        let is_marked = self.mark(&target, WORKING, false);
        let ends = self.now + clamp_timeout(self.config.timing.turn_timeout);
        self.turns.open(delivery.0, OpenTurn { target, ends, is_marked });
        self.type_in_turn(delivery.0);
    }

    /// Ends a turn, as done or failed; `None` if it was stopped.
    fn end_turn(&mut self, delivery: DeliveryId, ended_well: Option<bool>) {
        let Some(OpenTurn { target, is_marked, .. }) = self.turns.close(delivery.0) else { return };
        if is_marked {
            self.mark(&target, WORKING, true);
            if let Some(ended_well) = ended_well {
                let emoji = self.closing_mark(&target, ended_well);
                self.mark(&target, emoji, false);
            }
        }
        if self.is_slacks(&target.chat_id, self.platform_of(&target).as_deref()) {
            self.type_to(&target, Some(String::new()));
        }
    }

    /// Adds a reaction to a turn's message, or removes it. Returns true if it could be requested.
    fn mark(&mut self, target: &Target, emoji: &str, remove: bool) -> bool {
        let Some(message_id) = target.message_id.clone().filter(|_| self.config.turn_reactions) else {
            return false;
        };
        let platform = self.platform_of(target);
        let offered = self
            .descriptor_for(self.chat(&target.chat_id), platform.as_deref())
            .is_some_and(|descriptor| descriptor.offers("react"));
        if !offered {
            return false;
        }
        let chat_id = target.chat_id.clone();
        let (emoji, metadata) = (emoji.to_owned(), placement(target));
        self.show(&Op::React(React { chat_id, message_id, emoji, remove, metadata, platform }))
    }

    fn closing_mark(&self, target: &Target, ended_well: bool) -> &'static str {
        let platform = self.platform_of(target);
        let descriptor = self.descriptor_for(self.chat(&target.chat_id), platform.as_deref());
        // Telegram has a fixed set of reactions without these two.
        let is_telegram = descriptor.is_some_and(|descriptor| descriptor.platform == "telegram");
        match (is_telegram, ended_well) {
            (true, true) => "👍",
            (true, false) => "👎",
            (false, true) => "✅",
            (false, false) => "❌",
        }
    }

    /// Shows the oldest due typing sign, or ends the oldest turn that timed out.
    pub(super) fn turn_due(&mut self) {
        if let Some(delivery) = self.turns.typing_due(self.now) {
            self.type_in_turn(delivery);
        }
        if let Some(delivery) = self.turns.timed_out(self.now) {
            self.stats.turns_timed_out += 1;
            self.end_turn(DeliveryId(delivery), None);
        }
    }

    /// Shows the typing sign of a turn and schedules the next one.
    fn type_in_turn(&mut self, delivery: u64) {
        let due = self.now + clamp_timeout(self.config.timing.typing_interval);
        if let Some(target) = self.turns.schedule_typing(delivery, due) {
            self.type_to(&target, None);
        }
    }

    fn type_to(&mut self, target: &Target, content: Option<String>) {
        let (chat_id, metadata) = (target.chat_id.clone(), placement(target));
        let platform = self.platform_of(target);
        self.show(&Op::Typing(Typing { chat_id, content, metadata, platform }));
    }

    /// Requests a sign of a turn without waiting for its result. Returns true if it will be written.
    fn show(&mut self, op: &Op) -> bool {
        let asked = self.request(op, Owner::Turn).is_ok();
        self.stats.turn_signs_dropped += u64::from(!asked);
        asked
    }

    fn platform_of(&self, target: &Target) -> Option<String> {
        target.platform.clone().filter(|platform| self.fronts(platform))
    }

    /// Returns whether an op for a chat goes to Slack, by the descriptor of its platform (D-9).
    pub(super) fn is_slacks(&self, chat_id: &str, platform: Option<&str>) -> bool {
        self.descriptor_for(self.chat(chat_id), platform)
            .is_some_and(|descriptor| slack::is_slack(&descriptor.platform))
    }
}

fn placement(target: &Target) -> Metadata {
    let mut metadata = Metadata::new();
    place(&mut metadata, "thread_id", target.thread_id.clone());
    metadata
}
