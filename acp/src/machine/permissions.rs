//! Permission requests: they are asked in the chat of their turn, or decided by the configuration.

use super::{AcpMachine, CommandResult, OpUse};
use crate::config::{ApprovalPolicy, ApprovalRoute};
use crate::delivery::AcpDelivery;
use crate::output::LogLevel;
use crate::permission::{Permission, automatic, outcome};
use crate::rpc;
use crate::texts;
use agent_client_protocol_schema::{PermissionOptionId, RequestId, RequestPermissionRequest};
use relayline_core::command::{Command, FailureKind};
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
        let route = match self.config.approvals.policy {
            ApprovalPolicy::Allow => return self.answer(&id, automatic(asked, true)),
            ApprovalPolicy::Deny => return self.answer(&id, automatic(asked, false)),
            ApprovalPolicy::Ask(route) => route,
        };
        let max = self.config.limits.acp_permissions;
        let expires = now + self.config.limits.acp_approval_timeout;
        let can_ask = self.is_connected && turn.permissions.len() < max;
        let Some(permission) = Permission::new(id.clone(), asked, expires).filter(|_| can_ask) else {
            self.stats.permissions_dropped += 1;
            return self.answer(&id, None);
        };
        self.next_prompt += 1;
        let prompt_id = format!("{}-{}", self.config.prompt_prefix, self.next_prompt);
        let origin = &turn.origin;
        let chat_id = match route {
            ApprovalRoute::TurnChat => origin.chat_id.as_str(),
        };
        let mut prompt = permission.prompt(chat_id, &prompt_id);
        prompt.platform = origin.platform();
        prompt.metadata = origin.metadata();
        prompt.reply_to = origin.message_id();
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
        let Err(failure) = result else { return };
        let Some(key) = self.prompts.get(prompt_id).cloned() else { return };
        let why = format!("{}: {}", failure.kind.name(), failure.message);
        self.log(LogLevel::Debug, "acp_prompt_failed", &why);
        match failure.kind {
            // It may have been shown.
            FailureKind::Ambiguous => {}
            FailureKind::Unsupported | FailureKind::Rejected if !is_text => {
                let Some(turn) = self.turn_mut(&key) else { return };
                let Some(permission) = turn.permissions.get(prompt_id) else { return };
                let reply = ReplyMessage::new(turn.origin.delivery, permission.as_text()).last(false);
                let purpose = OpUse::Prompt { prompt_id: prompt_id.to_owned(), is_text: true };
                self.command(Command::Reply(reply), purpose);
            }
            // A decline has no fallback (I-5), and without a connection nobody can answer.
            _ => self.close_prompt(now, prompt_id, None),
        }
    }

    /// Handles an answer by a button.
    pub(super) fn handle_press(&mut self, now: Time, delivery: &AcpDelivery) {
        self.settle(delivery.id, Outcome::Accepted);
        let Some(response) = &delivery.event.prompt_response else { return };
        let source = &delivery.event.source;
        let (prompt_id, option_id) = (response.prompt_id.as_str(), response.option_id.as_str());
        let approvers = self.config.approvals.approvers.clone();
        let key = self.prompts.get(prompt_id).cloned();
        let turn = key.and_then(|key| self.sessions.get_mut(&key)?.turn.as_mut());
        let Some((turn, choice)) = turn.and_then(|turn| {
            let choice = turn.permissions.get(prompt_id)?.choice(option_id)?;
            Some((turn, choice))
        }) else {
            self.stats.answers_stale += 1;
            return self.say(delivery.id, texts::NOT_OPEN);
        };
        if turn.may_answer(source, &approvers) {
            return self.close_prompt(now, prompt_id, Some(choice));
        }
        let user = source.user_id.as_deref().unwrap_or_default();
        let informs =
            turn.permissions.get_mut(prompt_id).is_some_and(|permission| permission.note_informed(user));
        self.stats.answers_unauthorized += 1;
        if informs {
            self.say_interim(delivery.id, texts::NOT_YOURS);
        }
    }

    /// Handles a message that answers the oldest open request of its session by its text. Returns true if it does.
    pub(super) fn answers_permission(&mut self, now: Time, delivery: &AcpDelivery) -> bool {
        // A file is for the agent, also one with a number as its caption.
        if !delivery.event.media.is_empty() {
            return false;
        }
        let approvers = &self.config.approvals.approvers;
        let session = self.sessions.get(&delivery.session_key);
        let Some(turn) = session.and_then(|session| session.turn.as_ref()) else { return false };
        // Ids grow in length, so that their order is not that of the requests.
        let oldest = turn.permissions.iter().min_by_key(|(id, _)| (id.len(), (*id).clone()));
        let Some((prompt_id, permission)) = oldest else { return false };
        let choice = permission.choice(&delivery.event.text);
        let Some(choice) = choice.filter(|_| turn.may_answer(&delivery.event.source, approvers)) else {
            return false;
        };
        let prompt_id = prompt_id.clone();
        self.close_prompt(now, &prompt_id, Some(choice));
        true
    }
}
