//! Prompts of an agent that is served from a queue: they outlive the gateway's process.

use relayline_core::command::FailureKind;
use relayline_core::op::Prompt;
use relayline_queue::inbox::DurableQueue;

use super::execution::OpResult;

/// Prompts of one agent, or of the clients of the control socket.
#[derive(Clone, Debug)]
pub(crate) struct QueuePrompts {
    queue: DurableQueue,
    /// Id of the agent; `None` for clients of the control socket.
    agent: Option<String>,
}

impl QueuePrompts {
    pub(crate) fn new(queue: DurableQueue, agent: Option<&str>) -> QueuePrompts {
        QueuePrompts { queue, agent: agent.map(str::to_owned) }
    }

    /// Opens a prompt for the session of the chat that asks, before it is sent, and gives it an id of the queue if it has none.
    /// Returns the id.
    ///
    /// # Errors
    /// A prompt with its id is open (I-6).
    pub(crate) fn open(&self, prompt: &mut Prompt) -> Result<String, String> {
        let session = self.queue.session_of(self.agent.as_deref(), &prompt.chat_id);
        let id = self.queue.open_prompt(session.as_deref(), prompt)?;
        prompt.prompt_id = Some(id.clone());
        Ok(id)
    }

    /// Forgets a prompt that was certainly not shown.
    pub(crate) fn close_failed(&self, id: &str, outcome: &OpResult) {
        if outcome.as_ref().is_err_and(|failure| failure.kind != FailureKind::Ambiguous) {
            self.queue.close_prompt(id);
        }
    }
}
