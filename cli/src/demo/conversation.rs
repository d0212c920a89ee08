//! Plays the connector's part of a conversation, and shows the messages of both sides.

use super::agent::AgentEvent;
use super::script::{DemoChat, Step};
use super::transcript::Transcript;
use data_encoding::BASE64;
use relayline_connector::chats::{Ids, Room};
use relayline_connector::{Act, ClosedBy, EmbeddedConnector, Observation};
use relayline_core::event::Event;
use relayline_core::session_key::{SessionKeyOptions, session_key};
use relayline_core::time::Now;
use relayline_runtime::Relay;
use serde_json::{Map, Value, json};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Maximum time of a step before the demo ends with an error. A re-dial takes at most a second.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct Conversation {
    connector: EmbeddedConnector,
    agent: Receiver<AgentEvent>,
    relay: Relay,
    transcript: Transcript,
    ids: Ids,
    /// The last question, until it is answered.
    question: Option<Question>,
    /// Time at which the connection was cut, until the gateway is back.
    cut: Option<Instant>,
}

struct Question {
    id: String,
    options: Vec<String>,
    platform: &'static str,
}

impl Conversation {
    pub(super) fn new(connector: EmbeddedConnector, agent: Receiver<AgentEvent>, relay: Relay) -> Self {
        let transcript = Transcript::new();
        Conversation {
            connector,
            agent,
            relay,
            transcript,
            ids: Ids::new([7; 32]),
            question: None,
            cut: None,
        }
    }

    pub(super) fn remark(&mut self, text: &str) {
        self.transcript.remark(text);
    }

    /// Waits for the gateway.
    pub(super) fn open(&mut self) -> Result<(), String> {
        self.remark(&format!("connector  {} (on this machine)", self.connector.url()));
        let is_enrollment =
            |saw: &Observation| matches!(saw, Observation::Http { path, .. } if path == "/relay/enroll");
        let enrollment =
            self.connector.wait_for(is_enrollment, TIMEOUT).map_err(|missed| missed.to_string())?;
        if let Observation::Http { gateway, answer: Some(issued), .. } = enrollment {
            let shown = |name: &str| issued[name].as_str().unwrap_or("missing").to_owned();
            self.remark(&format!(
                "enrollment {gateway} enrolled over HTTP: secret {}, delivery key {}",
                shown("secret"),
                shown("deliveryKey")
            ));
        }
        let is_dial = |saw: &Observation| matches!(saw, Observation::Dial { .. });
        let dial = self.connector.wait_for(is_dial, TIMEOUT).map_err(|missed| missed.to_string())?;
        if let Observation::Dial { gateway, authenticated, status: None, .. } = dial {
            let token = if authenticated { "its token is right" } else { "without a token" };
            self.remark(&format!("gateway    {gateway} dialed in over a WebSocket; {token}"));
        }
        let platforms = ["discord", "telegram", "slack", "sms"];
        for _ in platforms {
            let hello = |saw: &Observation| frame(saw).is_some_and(|frame| frame["type"] == "hello");
            self.connector.wait_for(hello, TIMEOUT).map_err(|missed| missed.to_string())?;
        }
        self.remark(&format!("handshake  one hello and one descriptor each: {}", platforms.join(", ")));
        Ok(())
    }

    /// Returns the reason for which a step cannot be performed now, and what to do instead.
    pub(super) fn problem(&mut self, step: &Step) -> Option<String> {
        let is_away = self.is_away();
        match (step, &self.question) {
            (Step::Press(DemoChat::Sms, _), _) => {
                Some("text messages have no buttons: answer with the number, as in `1`".to_owned())
            }
            (Step::Press(..), None) => {
                Some("nothing was asked that could be answered: say `deploy` first".to_owned())
            }
            (Step::Press(chat, _), Some(asked)) if asked.platform != chat.room().platform => {
                Some(format!("the question was asked in {}: answer it there", asked.platform))
            }
            (Step::Press(_, option), Some(asked)) if !asked.options.contains(option) => {
                Some(format!("the question has no option {option:?}: press {}", asked.options.join(" or ")))
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

    /// Discards observations until the gateway has dialed again, and shows that it has. Returns true if it has not.
    fn is_away(&mut self) -> bool {
        while self.cut.is_some() {
            match self.connector.next_observation(Duration::ZERO) {
                Some(Observation::Dial { dial, authenticated: true, .. }) => {
                    // The duration is unknown, since the return was not observed.
                    self.cut = None;
                    self.transcript
                        .aside(&format!("the gateway is back meanwhile (dial {dial}), with a fresh token"));
                }
                Some(_) => {}
                None => return true,
            }
        }
        false
    }

    pub(super) fn perform(&mut self, step: &Step) -> Result<(), String> {
        if let Some(why) = self.problem(step) {
            return Err(why);
        }
        match step {
            Step::Say(chat, text) => self.say(*chat, text),
            Step::Interrupt(chat) => self.interrupt(*chat),
            Step::Press(chat, option) => self.press(*chat, option),
            Step::Command(chat, name) => self.command(*chat, name),
            Step::Drop => self.cut(),
        }
    }

    fn say(&mut self, chat: DemoChat, text: &str) -> Result<(), String> {
        let room = chat.room();
        let event = self.event(&room, text);
        self.transcript.said(&room, room.person.name, text);
        if self.is_away() {
            self.transcript.aside("the gateway is away: the connector keeps that in its buffer");
        }
        self.control(Act::Inbound { event, buffered: None })?;
        self.listen(&room)
    }

    /// Presses a button of the last question, in the form of the room's platform.
    fn press(&mut self, chat: DemoChat, option: &str) -> Result<(), String> {
        let room = chat.room();
        let prompt_id = self.question.take().ok_or("nothing was asked that could be answered")?.id;
        self.transcript.aside(&format!("{} presses {option:?}", room.person.name));
        if chat == DemoChat::Discord {
            let data = json!({ "custom_id": format!("hp1:{prompt_id}:{option}") });
            self.interaction(&room, 3, &data)?;
        } else {
            let mut event = self.event(&room, &format!("/{option}"));
            event
                .insert("prompt_response".to_owned(), json!({ "prompt_id": prompt_id, "option_id": option }));
            self.control(Act::Inbound { event, buffered: None })?;
        }
        self.listen(&room)
    }

    /// Sends a slash command: an interaction if the platform has them, else a message.
    fn command(&mut self, chat: DemoChat, name: &str) -> Result<(), String> {
        if chat != DemoChat::Discord {
            return self.say(chat, &format!("/{name}"));
        }
        let room = chat.room();
        self.transcript.said(&room, room.person.name, &format!("/{name}"));
        self.transcript.aside("Discord forwards that as an interaction");
        self.interaction(&room, 2, &json!({ "name": name }))?;
        self.listen(&room)
    }

    fn interaction(&mut self, room: &Room, kind: u8, data: &Value) -> Result<(), String> {
        let message_id = self.event(room, "")["message_id"].clone();
        let body = json!({
            "id": message_id, "type": kind, "channel_id": room.chat_id, "guild_id": room.scope_id, "data": data,
            "member": { "user": { "id": room.person.id, "username": room.person.name } },
        });
        let body = BASE64.encode(body.to_string().as_bytes());
        let forward =
            json!({ "platform": room.platform, "method": "POST", "path": "/interactions", "bodyB64": body });
        let forward = forward.as_object().cloned().unwrap_or_default();
        self.control(Act::Passthrough { forward, buffered: None })
    }

    fn interrupt(&mut self, chat: DemoChat) -> Result<(), String> {
        let room = chat.room();
        let event = Value::Object(self.event(&room, ""));
        let event = Event::read(&event.to_string()).ok_or("the interrupt has no session")?;
        let session_key = session_key(&event.source, SessionKeyOptions::default(), None);
        self.transcript.aside(&format!("{} interrupts {session_key}", room.person.name));
        self.control(Act::Interrupt { session_key, chat_id: room.chat_id.to_owned() })?;
        self.listen(&room)
    }

    fn cut(&mut self) -> Result<(), String> {
        self.control(Act::Drop)?;
        let closed = |saw: &Observation| matches!(saw, Observation::Closed { .. });
        self.connector.wait_for(closed, TIMEOUT).map_err(|missed| missed.to_string())?;
        self.cut = Some(Instant::now());
        self.remark("the connection is cut, without a close frame");
        Ok(())
    }

    fn control(&mut self, act: Act) -> Result<(), String> {
        self.connector.control(act).map_err(|error| error.to_string())
    }

    /// Waits until the agent is done, and shows its messages.
    fn listen(&mut self, room: &Room) -> Result<(), String> {
        let note =
            self.agent.recv_timeout(TIMEOUT).map_err(|_| "the agent did not answer in time".to_owned())?;
        // The agent reports an answer only after the connector has received the message.
        let mut acknowledged = false;
        while let Some(saw) = self.connector.next_observation(Duration::ZERO) {
            acknowledged |= is_ack(&saw);
            self.show(room, &saw);
        }
        match note {
            AgentEvent::Answered { result: Err(failure), .. } => {
                Err(format!("the agent's answer failed: {failure}"))
            }
            // The acknowledgement may arrive shortly after the answer.
            AgentEvent::Answered { buffered: true, .. } if !acknowledged => {
                let ack = self.connector.wait_for(is_ack, TIMEOUT).map_err(|missed| missed.to_string())?;
                self.show(room, &ack);
                Ok(())
            }
            AgentEvent::Answered { .. } => Ok(()),
            AgentEvent::Busy => {
                self.transcript.aside("the agent has begun a turn that lasts");
                Ok(())
            }
            AgentEvent::Over => Err("the gateway ended before its time".to_owned()),
        }
    }

    fn show(&mut self, room: &Room, saw: &Observation) {
        if let (Observation::Dial { dial, authenticated: true, .. }, Some(cut)) = (saw, self.cut) {
            self.cut = None;
            let after = cut.elapsed().as_secs_f32();
            self.transcript
                .aside(&format!("the gateway is back after {after:.1} s (dial {dial}), with a fresh token"));
        }
        let Some(frame) = frame(saw) else { return };
        let action = &frame["action"];
        match (frame["type"].as_str(), action["op"].as_str()) {
            (Some("outbound"), Some("send")) => {
                self.transcript.said(room, "agent", action["content"].as_str().unwrap_or_default());
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
                self.transcript.said(room, "agent", &text);
            }
            (Some("outbound"), Some("prompt")) => {
                let options = action["options"].as_array().map(Vec::as_slice).unwrap_or_default();
                let ids = options.iter().filter_map(|option| option["id"].as_str());
                self.question = action["prompt_id"].as_str().map(|id| Question {
                    id: id.to_owned(),
                    options: ids.map(str::to_owned).collect(),
                    platform: room.platform,
                });
                let buttons: String = options
                    .iter()
                    .filter_map(|option| option["label"].as_str())
                    .map(|label| format!("  [{label}]"))
                    .collect();
                let text = format!("{}{buttons}", action["content"].as_str().unwrap_or_default());
                self.transcript.said(room, "agent", &text);
            }
            (Some("outbound"), Some("follow_up")) => {
                let text = format!("{}  (a follow-up)", action["content"].as_str().unwrap_or_default());
                self.transcript.said(room, "agent", &text);
            }
            (Some("outbound"), Some("react")) => {
                let text = format!("reacts {}", action["emoji"].as_str().unwrap_or_default());
                self.transcript.said(room, "agent", &text);
            }
            (Some("outbound"), Some("typing")) => self.transcript.said(room, "agent", "is typing …"),
            (Some("inbound_ack"), _) => {
                self.transcript.aside("the agent has accepted it: acknowledged, and gone from the buffer");
            }
            _ => {}
        }
    }

    /// Shows the last observations and the summary, after the gateway has disconnected.
    pub(super) fn close(mut self) -> Result<(), String> {
        let idle = |saw: &Observation| frame(saw).is_some_and(|frame| frame["type"] == "going_idle");
        self.connector.wait_for(idle, TIMEOUT).map_err(|missed| missed.to_string())?;
        let closed = |saw: &Observation| {
            matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. })
        };
        self.connector.wait_for(closed, TIMEOUT).map_err(|missed| missed.to_string())?;
        self.remark("the gateway went idle and closed with 1000");
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

    fn event(&mut self, room: &Room, text: &str) -> Map<String, Value> {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        room.message(&mut self.ids, Now { unix_s, ..Now::default() }, text)
    }
}

fn is_ack(saw: &Observation) -> bool {
    frame(saw).is_some_and(|frame| frame["type"] == "inbound_ack")
}

fn frame(saw: &Observation) -> Option<&Value> {
    if let Observation::Frame { frame, .. } = saw { Some(frame) } else { None }
}
