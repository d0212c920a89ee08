//! Permission requests: they are asked in the chat of their turn or in a chat for approvals, or decided by the
//! configuration.

use super::{AcpMachine, CommandResult, OpUse};
use crate::config::{AcpConfig, ApprovalPolicy};
use crate::delivery::AcpDelivery;
use crate::output::LogLevel;
use crate::permission::{Permission, automatic, outcome, split_number};
use crate::rpc;
use crate::texts;
use agent_client_protocol_schema::{PermissionOptionId, RequestId, RequestPermissionRequest};
use relayline_core::command::{Command, FailureKind};
use relayline_core::event::Source;
use relayline_core::op::ReplyMessage;
use relayline_core::output::Outcome;
use relayline_core::time::Time;

impl AcpMachine {
    pub(super) fn handle_permission(&mut self, now: Time, id: RequestId, asked: &RequestPermissionRequest) {
        let key = self.by_id.get(&*asked.session_id.0).cloned();
        let turn = key.as_ref().and_then(|key| self.sessions.get_mut(key)?.turn.as_mut());
        // Nothing is permitted once the turn was stopped, also without asking.
        let turn = turn.filter(|turn| turn.is_prompted() && !self.is_stopping);
        let (Some(key), Some(turn)) = (key, turn) else {
            self.stats.permissions_dropped += 1;
            return self.answer(&id, None);
        };
        turn.heard = now;
        match self.config.approvals.policy {
            ApprovalPolicy::Allow => return self.answer(&id, automatic(asked, true)),
            ApprovalPolicy::Deny => return self.answer(&id, automatic(asked, false)),
            ApprovalPolicy::Ask(_) => {}
        }
        let max = self.config.limits.acp_permissions;
        let expires = now + self.config.limits.acp_approval_timeout;
        let can_ask = self.is_connected && turn.permissions.len() < max;
        let number = self.next_prompt + 1;
        let permission = Permission::new(id.clone(), asked, number, expires).filter(|_| can_ask);
        let Some(mut permission) = permission else {
            self.stats.permissions_dropped += 1;
            return self.answer(&id, None);
        };
        self.next_prompt = number;
        let prompt_id = format!("{}-{number}", self.config.prompt_prefix);
        let origin = &turn.origin;
        let mut prompt = match self.config.approvals.chat() {
            Some(chat) => {
                permission.describe_turn(origin.description());
                let mut prompt = permission.prompt(&chat.chat_id, &prompt_id);
                (prompt.platform, prompt.metadata) = (Some(chat.platform.clone()), chat.metadata());
                prompt
            }
            None => {
                let mut prompt = permission.prompt(&origin.chat_id, &prompt_id);
                (prompt.platform, prompt.metadata) = (origin.platform(), origin.metadata());
                prompt.reply_to = origin.message_id();
                prompt
            }
        };
        prompt.timeout = Some(self.config.limits.acp_approval_timeout);
        turn.permissions.insert(prompt_id.clone(), permission);
        self.prompts.insert(prompt_id.clone(), key);
        self.command(prompt, OpUse::Prompt { prompt_id, is_text: false });
    }

    /// Answers a request of the agent: with an option, or as cancelled.
    fn answer(&mut self, request: &RequestId, option: Option<PermissionOptionId>) {
        self.write(rpc::response(request, Ok(outcome(option))));
    }

    /// Closes a prompt, and answers its request.
    fn close_prompt(&mut self, now: Time, prompt_id: &str, option: Option<PermissionOptionId>) {
        let Some(key) = self.prompts.remove(prompt_id) else { return };
        let Some(turn) = self.turn_mut(&key) else { return };
        turn.heard = now;
        let Some(permission) = turn.permissions.remove(prompt_id) else { return };
        self.answer(&permission.request, option);
    }

    /// Answers all open requests of a session's turn as cancelled.
    pub(super) fn cancel_permissions(&mut self, now: Time, key: &str) {
        let Some(turn) = self.turn_mut(key) else { return };
        let open: Vec<String> = turn.permissions.keys().cloned().collect();
        for prompt_id in open {
            self.close_prompt(now, &prompt_id, None);
        }
    }

    pub(super) fn expire_permissions(&mut self, now: Time, key: &str) {
        let Some(turn) = self.turn_mut(key) else { return };
        let due = turn.permissions.iter().filter(|(_, permission)| permission.expires <= now);
        let due: Vec<String> = due.map(|(prompt_id, _)| prompt_id.clone()).collect();
        for prompt_id in due {
            self.stats.permissions_expired += 1;
            self.close_prompt(now, &prompt_id, None);
        }
    }

    /// Handles the agent's notice that it does not need an answer any more. It still gets one.
    pub(super) fn permission_withdrawn(&mut self, now: Time, request: &RequestId) {
        let turns = self.sessions.values().filter_map(|session| session.turn.as_ref());
        let mut open = turns.flat_map(|turn| &turn.permissions);
        let withdrawn = open.find(|(_, permission)| permission.request == *request);
        if let Some(prompt_id) = withdrawn.map(|(prompt_id, _)| prompt_id.clone()) {
            self.close_prompt(now, &prompt_id, None);
        }
    }

    /// Handles the result of a prompt. Where prompts are not offered, the same is asked as text.
    pub(super) fn prompt_sent(&mut self, now: Time, prompt_id: &str, is_text: bool, result: CommandResult) {
        let Err(failure) = result else { return self.announce(prompt_id) };
        let Some(key) = self.prompts.get(prompt_id).cloned() else { return };
        let chat = self.config.approvals.chat().cloned();
        let why = format!("{}: {}", failure.kind.name(), failure.message);
        // Users of that chat cannot see what is wrong with it.
        let level = if chat.is_some() { LogLevel::Warn } else { LogLevel::Debug };
        self.log(level, "acp_prompt_failed", &why);
        match failure.kind {
            // It may have been shown.
            FailureKind::Ambiguous => self.announce(prompt_id),
            FailureKind::Unsupported | FailureKind::Rejected if !is_text => {
                let Some(turn) = self.turn_mut(&key) else { return };
                let Some(permission) = turn.permissions.get(prompt_id) else { return };
                let (text, delivery) = (permission.as_text(), turn.origin.delivery);
                let command = match chat {
                    Some(chat) => chat.send(text).into(),
                    None => Command::Reply(ReplyMessage::new(delivery, text).last(false)),
                };
                let purpose = OpUse::Prompt { prompt_id: prompt_id.to_owned(), is_text: true };
                self.command(command, purpose);
            }
            // A decline has no fallback (I-5), and without a connection nobody can answer.
            _ => self.close_prompt(now, prompt_id, None),
        }
    }

    /// Informs the chat of a turn, once, that other people are asked.
    fn announce(&mut self, prompt_id: &str) {
        let Some(chat) = self.config.approvals.chat().cloned() else { return };
        let Some(key) = self.prompts.get(prompt_id).cloned() else { return };
        let Some(turn) = self.turn_mut(&key) else { return };
        let is_known = turn.permissions.values().any(|permission| permission.is_announced);
        let Some(permission) = turn.permissions.get_mut(prompt_id) else { return };
        permission.is_announced = true;
        let (delivery, is_elsewhere) = (turn.origin.delivery, !turn.origin.is_in(&chat));
        if is_elsewhere && !is_known {
            self.say_interim(delivery, texts::ASKED_ELSEWHERE);
        }
    }

    /// Handles an answer by a button.
    pub(super) fn handle_press(&mut self, now: Time, delivery: &AcpDelivery) {
        self.settle(delivery.id, Outcome::Accepted);
        let Some(response) = &delivery.event.prompt_response else { return };
        let source = &delivery.event.source;
        let (prompt_id, option_id) = (response.prompt_id.as_str(), response.option_id.as_str());
        let AcpConfig { approvals, platforms, .. } = &self.config;
        let key = self.prompts.get(prompt_id).cloned();
        let turn = key.and_then(|key| self.sessions.get_mut(&key)?.turn.as_mut());
        let Some((turn, choice)) = turn.and_then(|turn| {
            let choice = turn.permissions.get(prompt_id)?.choice(option_id)?;
            Some((turn, choice))
        }) else {
            self.stats.answers_stale += 1;
            return self.say(delivery.id, texts::NOT_OPEN);
        };
        if approvals.may_answer(source, &turn.origin, platforms) {
            return self.close_prompt(now, prompt_id, Some(choice));
        }
        let text = if approvals.chat().is_some() { texts::NOT_THEIRS } else { texts::NOT_YOURS };
        let user = source.user_id.as_deref().unwrap_or_default();
        let informs =
            turn.permissions.get_mut(prompt_id).is_some_and(|permission| permission.note_informed(user));
        self.stats.answers_unauthorized += 1;
        if informs {
            self.say_interim(delivery.id, text);
        }
    }

    /// Handles a message that answers an open request by its text. Returns true if it does.
    ///
    /// A request of the message's own session comes first, the oldest one. Else it is the only one that is asked in this
    /// chat and that the author may answer. If there are several, the message must name the number of one of them.
    pub(super) fn answers_permission(&mut self, now: Time, delivery: &AcpDelivery) -> bool {
        // A file is for the agent, also one with a number as its caption.
        if !delivery.event.media.is_empty() {
            return false;
        }
        let (answer, number) = split_number(&delivery.event.text);
        let own = self.sessions.get(&delivery.session_key).and_then(|session| session.turn.as_ref());
        let is_own_first = number.is_none() && self.config.approvals.chat().is_none();
        if let Some(turn) = own.filter(|turn| is_own_first && !turn.permissions.is_empty()) {
            let oldest = turn.permissions.iter().min_by_key(|(_, permission)| permission.number);
            let choice = oldest.and_then(|(id, permission)| Some((id.clone(), permission.choice(answer)?)));
            let AcpConfig { approvals, platforms, .. } = &self.config;
            let may_answer = approvals.may_answer(&delivery.event.source, &turn.origin, platforms);
            let Some((prompt_id, choice)) = choice.filter(|_| may_answer) else { return false };
            self.close_prompt(now, &prompt_id, Some(choice));
            return true;
        }
        let mut fitting = self.fitting_requests(&delivery.event.source, answer, number);
        match fitting.as_mut_slice() {
            [] => return false,
            [(_, prompt_id, choice, _)] => {
                let (prompt_id, choice) = (std::mem::take(prompt_id), choice.clone());
                self.close_prompt(now, &prompt_id, Some(choice));
            }
            several => {
                several.sort_by_key(|(number, ..)| *number);
                let shown = several.iter().take(MAX_LISTED);
                let lines = shown.map(|(number, _, _, title)| format!("\n#{number} {title}"));
                let text = std::iter::once(texts::WHICH.to_owned()).chain(lines).collect::<String>();
                self.say(delivery.id, &text);
            }
        }
        true
    }

    /// Returns the open requests that a text answers: those that are asked in its chat and that its author may answer.
    fn fitting_requests(&self, source: &Source, answer: &str, number: Option<u64>) -> Vec<FittingRequest> {
        let AcpConfig { approvals, platforms, .. } = &self.config;
        let turns = self.sessions.values().filter_map(|session| session.turn.as_ref());
        let turns = turns.filter(|turn| approvals.may_answer_by_text(source, &turn.origin, platforms));
        let open = turns.flat_map(|turn| &turn.permissions);
        open.filter(|(_, permission)| number.is_none_or(|number| number == permission.number))
            .filter_map(|(prompt_id, permission)| {
                let choice = permission.choice(answer)?;
                Some((permission.number, prompt_id.clone(), choice, permission.title.clone()))
            })
            .collect()
    }
}

/// Open request that a text answers: its number, the id of its prompt, the option, and its title.
type FittingRequest = (u64, String, PermissionOptionId, String);

/// Maximum number of requests that are listed for one answer.
const MAX_LISTED: usize = 8;
