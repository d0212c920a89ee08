//! Conversation with the echo agent: plays the connector's part, and shows the messages of both sides.

use super::agent::AgentEvent;
use super::script::{DemoChat, Step};
use super::stage::{ENDED, Stage, TIMEOUT, frame};
use relayline_connector::chats::Room;
use relayline_connector::{EmbeddedConnector, Observation};
use relayline_runtime::Relay;
use std::sync::mpsc::Receiver;
use std::time::Duration;

pub(super) struct Conversation {
    stage: Stage,
    agent: Receiver<AgentEvent>,
    relay: Relay,
}

impl Conversation {
    pub(super) fn new(connector: EmbeddedConnector, agent: Receiver<AgentEvent>, relay: Relay) -> Self {
        Conversation { stage: Stage::new(connector), agent, relay }
    }

    pub(super) fn remark(&mut self, text: &str) {
        self.stage.remark(text);
    }

    /// Waits for the gateway.
    pub(super) fn open(&mut self) -> Result<(), String> {
        self.stage.open(|| false)
    }

    /// Returns the reason for which a step cannot be performed now, and what to do instead.
    pub(super) fn problem(&mut self, step: &Step) -> Option<String> {
        let is_away = self.stage.is_away();
        match (step, &self.stage.question) {
            (Step::Press(DemoChat::Sms, _), _) => {
                Some("text messages have no buttons: answer with the number, as in `1`".to_owned())
            }
            (Step::Press(..), None) => {
                Some("nothing was asked that could be answered: say `deploy` first".to_owned())
            }
            (Step::Press(chat, _), Some(asked)) if asked.platform != chat.room().platform => {
                Some(format!("the question was asked in {}: answer it there", asked.platform))
            }
            (Step::Press(_, option), Some(asked)) if asked.option(option).is_none() => {
                Some(format!("the question has no option {option:?}: press {}", asked.ids()))
            }
            (Step::Command(_, name), _) if name.is_empty() => {
                Some("a slash command has a name, as in `/command status`".to_owned())
            }
            (Step::Interrupt(_), _) if is_away => {
                Some("the gateway is away and hears no interrupt: try again in a second".to_owned())
            }
            (Step::Drop, _) if is_away => {
                Some("the connection is cut already: say something, and it waits in the buffer".to_owned())
            }
            _ => None,
        }
    }

    pub(super) fn perform(&mut self, step: &Step) -> Result<(), String> {
        if let Some(why) = self.problem(step) {
            return Err(why);
        }
        let chat = match step {
            Step::Say(chat, text) => {
                self.stage.say(&chat.room(), text)?;
                chat
            }
            Step::Interrupt(chat) => {
                self.stage.interrupt(&chat.room())?;
                chat
            }
            Step::Press(chat, option) => {
                self.stage.press(*chat, option)?;
                chat
            }
            Step::Command(DemoChat::Discord, name) => {
                self.stage.command(&DemoChat::Discord.room(), name)?;
                &DemoChat::Discord
            }
            Step::Command(chat, name) => {
                self.stage.say(&chat.room(), &format!("/{name}"))?;
                chat
            }
            Step::Drop => return self.stage.cut(),
        };
        self.listen(&chat.room())
    }

    /// Waits until the agent is done, and shows its messages.
    fn listen(&mut self, room: &Room) -> Result<(), String> {
        let note =
            self.agent.recv_timeout(TIMEOUT).map_err(|_| "the agent did not answer in time".to_owned())?;
        // The agent reports an answer only after the connector has received the message.
        let mut acknowledged = false;
        while let Some(saw) = self.stage.connector.next_observation(Duration::ZERO) {
            acknowledged |= is_ack(&saw);
            self.show(room, &saw);
        }
        match note {
            AgentEvent::Answered { result: Err(failure), .. } => {
                Err(format!("the agent's answer failed: {failure}"))
            }
            // The acknowledgement may arrive shortly after the answer.
            AgentEvent::Answered { buffered: true, .. } if !acknowledged => {
                let ack = self.stage.wait_for(is_ack)?;
                self.show(room, &ack);
                Ok(())
            }
            AgentEvent::Answered { .. } => Ok(()),
            AgentEvent::Busy => {
                self.stage.transcript.aside("the agent has begun a turn that lasts");
                Ok(())
            }
            AgentEvent::Over => Err(ENDED.to_owned()),
        }
    }

    fn show(&mut self, room: &Room, saw: &Observation) {
        self.stage.show_return(saw);
        let Some(frame) = frame(saw) else { return };
        let action = &frame["action"];
        let transcript = &mut self.stage.transcript;
        match (frame["type"].as_str(), action["op"].as_str()) {
            (Some("outbound"), Some("send")) => {
                transcript.said(room, "agent", action["content"].as_str().unwrap_or_default());
            }
            (Some("outbound"), Some(op @ ("edit" | "draft"))) => {
                let last = action["final"] == true;
                let how = if op == "edit" {
                    "edited"
                } else if last {
                    "the draft, now a message"
                } else {
                    "a draft"
                };
                let text = format!("{}  ({how})", action["content"].as_str().unwrap_or_default());
                transcript.said(room, "agent", &text);
            }
            (Some("outbound"), Some("prompt")) => self.stage.show_question(room, action),
            (Some("outbound"), Some("follow_up")) => {
                let text = format!("{}  (a follow-up)", action["content"].as_str().unwrap_or_default());
                transcript.said(room, "agent", &text);
            }
            (Some("outbound"), Some("react")) => {
                let text = format!("reacts {}", action["emoji"].as_str().unwrap_or_default());
                transcript.said(room, "agent", &text);
            }
            (Some("outbound"), Some("typing")) => transcript.said(room, "agent", "is typing …"),
            (Some("inbound_ack"), _) => {
                transcript.aside("the agent has accepted it: acknowledged, and gone from the buffer");
            }
            _ => {}
        }
    }

    /// Shows the last observations and the summary, after the gateway has disconnected.
    pub(super) fn close(mut self) -> Result<(), String> {
        self.stage.close()?;
        let stats = self.relay.stats();
        self.remark(&format!(
            "{} dial{}, {} messages delivered, {} frames in, {} out, {} acknowledged",
            stats.dials,
            if stats.dials == 1 { "" } else { "s" },
            stats.delivered,
            stats.frames_in,
            stats.frames_out,
            stats.acks
        ));
        Ok(())
    }
}

fn is_ack(saw: &Observation) -> bool {
    frame(saw).is_some_and(|frame| frame["type"] == "inbound_ack")
}
