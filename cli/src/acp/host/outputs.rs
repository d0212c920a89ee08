//! Performs the outputs of the machine.

use super::{AcpHost, Pipes};
use crate::bridge::{AgentSettlement, Cause, OpLabel, settle, submit_when_room};
use futures_util::future::{FutureExt, ready};
use relayline_acp::{HostOp, HostResult, LogEntry, LogLevel, OpId, Output};
use relayline_core::command::Command;
use relayline_core::op::Op;
use relayline_core::output::Outcome;
use std::io;

/// Error of an entry whose turn has failed.
const TURN_FAILED: &str = "the agent could not answer it";

impl AcpHost {
    pub(super) fn perform_outputs(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Write { line, settles } => {
                let settlement = settles.and_then(|delivery| self.settlements.remove(&delivery.number()));
                // Without an agent the delivery is refused as the settlement is dropped.
                let Some(Pipes { writer, .. }) = &self.agent else { return };
                match settlement {
                    Some(settlement) => writer.event(line, settlement),
                    None => writer.urgent(line),
                }
            }
            Output::Perform { id, op: HostOp::Command(command) } => self.submit(id, *command),
            Output::Perform { id, op: HostOp::Fetch { media, inline } } => {
                let fetched = self.files.fetch(&self.gateway.relay, &media, inline);
                self.fetches.push(fetched.map(move |file| (id, HostResult::Fetch(file))).boxed());
            }
            Output::Settle { delivery, outcome } => {
                if let Some(settlement) = self.settlements.remove(&delivery.number()) {
                    self.settle(settlement, outcome == Outcome::Accepted);
                }
            }
            Output::Save => {
                self.is_unsaved = self.state.is_some();
                self.save();
            }
            Output::Declare if self.declares_commands => {
                self.gateway.relay.set_command_manifest(self.machine.command_manifest());
            }
            // The user has named other commands.
            Output::Declare => {}
            Output::Log(log) => write_log(&log),
            Output::EndAgent => self.kill_agent(),
            Output::Stop(cause) => {
                self.unusable = Some(cause);
                self.stop(Cause::Requested);
            }
        }
    }

    /// Settles a delivery at the end of its turn.
    fn settle(&self, settlement: AgentSettlement, is_accepted: bool) {
        match settlement {
            // It is submitted at once. A failure means that another gateway has the queue.
            AgentSettlement::Queue(_, settlement) if is_accepted => drop(settlement.ack()),
            // The end of the gateway is not the turn's failure: the entry goes to the next one, uncharged.
            AgentSettlement::Queue(..) if self.stopping.is_some() => {}
            AgentSettlement::Queue(_, settlement) => drop(settlement.refuse(TURN_FAILED)),
            settlement @ AgentSettlement::Relay(_) => settle(settlement, is_accepted),
        }
    }

    /// Submits a command at once, so that commands keep their order, or as soon as there is room for it.
    fn submit(&mut self, id: OpId, mut command: Command) {
        if let (Some(prompts), Command::Op(Op::Prompt(prompt))) = (&self.prompts, &mut command) {
            // The machine's ids are new ones, so none of them is open.
            let _ = prompts.open(prompt);
        }
        let relay = self.gateway.relay.clone();
        let monitor = self.gateway.monitor.clone();
        let about = OpLabel::of_command(&command);
        let result = match relay.submit(command) {
            Ok(answer) => answer.boxed(),
            Err(refused) if refused.is_backpressure() => {
                let (command, _) = refused.into_parts();
                async move { submit_when_room(&relay, command).await }.boxed()
            }
            Err(refused) => ready(Err(refused.into_parts().1)).boxed(),
        };
        let completed = result.map(move |result| {
            if let Err(failure) = &result {
                monitor.note_failure(&about, failure);
            }
            (id, HostResult::Command(result))
        });
        self.in_flight.push(completed.boxed());
    }

    /// Begins to save the state, unless it is being saved.
    fn save(&mut self) {
        if self.saving.is_some() || !self.is_unsaved {
            return;
        }
        let Some(file) = self.state.clone() else { return };
        self.is_unsaved = false;
        let text = self.machine.state().to_json();
        self.saving = Some(smol::unblock(move || file.write(&text)).boxed());
    }

    pub(super) fn saved(&mut self, result: io::Result<()>) {
        self.saving = None;
        let (Err(error), Some(file)) = (result, &self.state) else { return self.save() };
        let advice = "sessions of this run are lost at the next start: free space, or name another file";
        tracing::warn!(path = %file.path().display(), %error, advice, "acp_state_not_saved");
        // It is repeated with the next change, and in the end.
        self.is_unsaved = true;
    }

    pub(super) async fn save_at_the_end(&mut self) {
        while let Some(saving) = self.saving.take() {
            let result = saving.await;
            self.saved(result);
        }
        // Once more, if it failed.
        self.save();
        if let Some(saving) = self.saving.take() {
            let result = saving.await;
            self.saved(result);
        }
    }

    /// Kills the agent, on another thread: it can take some time.
    pub(super) fn kill_agent(&self) {
        let current = self.current.clone();
        smol::unblock(move || current.kill()).detach();
    }
}

fn write_log(log: &LogEntry) {
    let LogEntry { level, event, why } = log;
    match level {
        LogLevel::Debug => tracing::debug!(why, "{event}"),
        LogLevel::Info => tracing::info!(why, "{event}"),
        LogLevel::Warn => tracing::warn!(why, "{event}"),
    }
}
