//! Reports of the agent: `session/update`.

use super::AcpMachine;
use crate::answer::ChunkKind;
use crate::manifest::usable;
use crate::output::{LogLevel, Output};
use crate::session::SessionPhase;
use agent_client_protocol_schema::{
    AvailableCommandsUpdate, ContentBlock, ContentChunk, MessageId, SessionNotification, SessionUpdate,
    UsageUpdate,
};
use relayline_core::time::Time;
use serde_json::Value;

impl AcpMachine {
    pub(super) fn handle_update(&mut self, now: Time, params: Value) {
        let session_id = params.get("sessionId").and_then(Value::as_str).map(str::to_owned);
        let kind =
            params.get("update").and_then(|update| update.get("sessionUpdate")).and_then(Value::as_str);
        let kind = kind.map(str::to_owned);
        let update = serde_json::from_value(params).map(|read: SessionNotification| read.update);
        let (Some(session_id), Some(kind)) = (session_id, kind) else {
            self.stats.invalid_payloads += 1;
            return;
        };
        let update = match update {
            // Commands are the agent's, not a turn's.
            Ok(SessionUpdate::AvailableCommandsUpdate(update)) => return self.commands_reported(update),
            Ok(update) => Some(update),
            Err(_) => None,
        };
        let Some(key) = self.by_id.get(&session_id).cloned() else {
            self.stats.stray_updates += 1;
            return;
        };
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if matches!(session.phase, SessionPhase::Opening) {
            self.stats.replayed_updates += 1;
            return;
        }
        let Some(turn) = &mut session.turn else {
            self.stats.stray_updates += 1;
            return;
        };
        if !turn.is_prompted() {
            self.stats.late_updates += 1;
            return;
        }
        turn.heard = now;
        self.show(&key, update, &kind);
        self.advance_turn(now, &key);
    }

    /// Adds an update to what its turn shows. `None` is an update of a kind that the schema does not have.
    fn show(&mut self, key: &str, update: Option<SessionUpdate>, kind: &str) {
        match update {
            Some(SessionUpdate::AgentMessageChunk(chunk)) => self.chunk(key, ChunkKind::Text, &chunk),
            Some(SessionUpdate::AgentThoughtChunk(chunk)) => {
                self.stats.thoughts += 1;
                if self.config.verbose {
                    self.chunk(key, ChunkKind::Thought, &chunk);
                }
            }
            Some(SessionUpdate::ToolCall(call)) => {
                self.step(key, |progress, limits| progress.tool_call(&call, limits))
            }
            Some(SessionUpdate::ToolCallUpdate(update)) => {
                self.step(key, |progress, limits| progress.tool_update(&update, limits));
            }
            Some(SessionUpdate::Plan(plan)) => {
                self.step(key, |progress, limits| progress.plan(&plan, limits))
            }
            Some(SessionUpdate::UsageUpdate(UsageUpdate { used, size, .. })) => {
                self.stats.usage_updates += 1;
                self.note(key, &format!("{used} of {size} tokens of context are used."));
            }
            // The user's own message.
            Some(SessionUpdate::UserMessageChunk(_)) => {}
            Some(_) | None => {
                self.stats.other_updates += 1;
                self.log(LogLevel::Debug, "acp_update", kind);
                self.note(key, &crate::texts::one_line(&format!("Update: {kind}"), 100));
            }
        }
    }

    /// Shows a line in verbose mode.
    fn note(&mut self, key: &str, text: &str) {
        if self.config.verbose {
            let chunk = ContentChunk::new(text.to_owned().into()).message_id(MessageId::new(text));
            self.chunk(key, ChunkKind::Thought, &chunk);
        }
    }

    fn chunk(&mut self, key: &str, kind: ChunkKind, chunk: &ContentChunk) {
        let text = match &chunk.content {
            ContentBlock::Text(text) => text.text.clone(),
            ContentBlock::ResourceLink(link) => format!("[{}]({})", link.name, link.uri),
            _ => {
                self.stats.unshown_blocks += 1;
                return;
            }
        };
        let limits = self.config.limits.clone();
        let id =
            chunk.message_id.as_ref().map(|id| &*id.0).filter(|id| id.len() <= crate::fields::MAX_ID_BYTES);
        let Some(turn) = self.turn_mut(key) else { return };
        self.stats.answer_bytes_dropped += turn.answer.push(kind, id, &text, &limits) as u64;
    }

    fn step(
        &mut self,
        key: &str,
        change: impl FnOnce(&mut crate::progress::TurnProgress, &crate::config::AcpLimits) -> u64,
    ) {
        let limits = self.config.limits.clone();
        let Some(turn) = self.turn_mut(key) else { return };
        turn.answer.note_step();
        self.stats.steps_dropped += change(&mut turn.progress, &limits);
    }

    fn commands_reported(&mut self, update: AvailableCommandsUpdate) {
        let reported = update.available_commands;
        let count = reported.len();
        let commands = usable(reported, self.config.limits.acp_commands);
        self.stats.commands_dropped += (count - commands.len()) as u64;
        if commands != self.commands {
            self.commands = commands;
            self.is_unsaved = true;
            self.outputs.push_back(Output::Declare);
        }
    }
}
