//! Stage of a conversation: the demo's connector with its chats and their users, and what is shown of it.

use super::script::DemoChat;
use super::transcript::Transcript;
use data_encoding::BASE64;
use relayline_connector::chats::{Ids, Room};
use relayline_connector::{Act, ClosedBy, EmbeddedConnector, Observation};
use relayline_core::event::Event;
use relayline_core::session_key::{SessionKeyOptions, session_key};
use relayline_core::time::Now;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Maximum time of a step before the demo ends with an error. A re-dial takes at most a second.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);

/// Interval of checks of whether the gateway runs.
pub(super) const CHECK: Duration = Duration::from_millis(50);
/// Error of a conversation whose gateway has ended.
pub(super) const ENDED: &str = "the gateway ended before its time";

pub(super) struct Stage {
    pub(super) connector: EmbeddedConnector,
    pub(super) transcript: Transcript,
    ids: Ids,
    /// The last question, until it is answered.
    pub(super) question: Option<Question>,
    /// Time at which the connection was cut, until the gateway is back.
    cut: Option<Instant>,
}

/// Question with buttons.
pub(super) struct Question {
    id: String,
    options: Vec<Choice>,
    pub(super) platform: &'static str,
}

/// Button of a question.
struct Choice {
    id: String,
    label: String,
}

impl Question {
    /// Reads the action of a `prompt`.
    fn read(room: &Room, action: &Value) -> Option<Question> {
        let options = action["options"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let choice =
            |option: &Value| Some(Choice { id: text(&option["id"])?, label: text(&option["label"])? });
        let options = options.iter().filter_map(choice).collect();
        Some(Question { id: text(&action["prompt_id"])?, options, platform: room.platform })
    }

    /// Returns the id of the option that a text names: by its id, or by its label.
    pub(super) fn option(&self, text: &str) -> Option<&str> {
        let is_meant = |choice: &&Choice| choice.id == text || choice.label.eq_ignore_ascii_case(text);
        self.options.iter().find(is_meant).map(|choice| choice.id.as_str())
    }

    /// Returns the ids of the options, for an error.
    pub(super) fn ids(&self) -> String {
        self.options.iter().map(|choice| choice.id.as_str()).collect::<Vec<_>>().join(" or ")
    }

    /// Returns the labels of the options, for an error.
    pub(super) fn labels(&self) -> String {
        self.options.iter().map(|choice| choice.label.as_str()).collect::<Vec<_>>().join(" or ")
    }
}

impl Stage {
    pub(super) fn new(connector: EmbeddedConnector) -> Self {
        let (transcript, ids) = (Transcript::new(), Ids::new([7; 32]));
        Stage { connector, transcript, ids, question: None, cut: None }
    }

    pub(super) fn remark(&mut self, text: &str) {
        self.transcript.remark(text);
    }

    /// Waits for the gateway. `has_ended` returns true once it has ended.
    pub(super) fn open(&mut self, has_ended: impl Fn() -> bool) -> Result<(), String> {
        self.remark(&format!("connector  {} (on this machine)", self.connector.url()));
        let is_enrollment =
            |saw: &Observation| matches!(saw, Observation::Http { path, .. } if path == "/relay/enroll");
        if let Observation::Http { gateway, answer: Some(issued), .. } =
            self.wait_for_gateway(&has_ended, is_enrollment)?
        {
            let shown = |name: &str| issued[name].as_str().unwrap_or("missing").to_owned();
            self.remark(&format!(
                "enrollment {gateway} enrolled over HTTP: secret {}, delivery key {}",
                shown("secret"),
                shown("deliveryKey")
            ));
        }
        let is_dial = |saw: &Observation| matches!(saw, Observation::Dial { .. });
        if let Observation::Dial { gateway, authenticated, status: None, .. } =
            self.wait_for_gateway(&has_ended, is_dial)?
        {
            let token = if authenticated { "its token is right" } else { "without a token" };
            self.remark(&format!("gateway    {gateway} dialed in over a WebSocket; {token}"));
        }
        let platforms = ["discord", "telegram", "slack", "sms"];
        for _ in platforms {
            self.wait_for_gateway(&has_ended, |saw| {
                frame(saw).is_some_and(|frame| frame["type"] == "hello")
            })?;
        }
        self.remark(&format!("handshake  one hello and one descriptor each: {}", platforms.join(", ")));
        Ok(())
    }

    /// Waits for an observation. The others are dropped.
    pub(super) fn wait_for(&self, wanted: impl FnMut(&Observation) -> bool) -> Result<Observation, String> {
        self.connector.wait_for(wanted, TIMEOUT).map_err(|missed| missed.to_string())
    }

    /// Waits for an observation, up to the end of the gateway.
    fn wait_for_gateway(
        &self,
        has_ended: impl Fn() -> bool,
        mut wanted: impl FnMut(&Observation) -> bool,
    ) -> Result<Observation, String> {
        let until = Instant::now() + TIMEOUT;
        loop {
            match self.connector.wait_for(&mut wanted, CHECK) {
                Ok(saw) => return Ok(saw),
                Err(_) if has_ended() => return Err(ENDED.to_owned()),
                Err(missed) if Instant::now() >= until => return Err(missed.to_string()),
                Err(_) => {}
            }
        }
    }

    /// Discards observations until the gateway has dialed again, and shows that it has. Returns true if it has not.
    pub(super) fn is_away(&mut self) -> bool {
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

    /// Returns true if the connection was cut, and the gateway is not back as far as is known.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Delivers a message of the room's person.
    pub(super) fn say(&mut self, room: &Room, text: &str) -> Result<(), String> {
        let event = self.event(room, text);
        self.transcript.said(room, room.person.name, text);
        if self.is_away() {
            self.transcript.aside("the gateway is away: the connector keeps that in its buffer");
        }
        self.control(Act::Inbound { event, buffered: None })
    }

    /// Presses a button of the last question, in the form of the room's platform.
    pub(super) fn press(&mut self, chat: DemoChat, option: &str) -> Result<(), String> {
        let room = chat.room();
        let question = self.question.take().ok_or("nothing was asked that could be answered")?;
        let option_id = question.option(option).ok_or("the question has no such option")?;
        let prompt_id = &question.id;
        self.transcript.aside(&format!("{} presses {option:?}", room.person.name));
        if chat == DemoChat::Discord {
            let data = json!({ "custom_id": format!("hp1:{prompt_id}:{option_id}") });
            return self.interaction(&room, 3, &data);
        }
        let mut event = self.event(&room, &format!("/{option_id}"));
        let response = json!({ "prompt_id": prompt_id, "option_id": option_id });
        event.insert("prompt_response".to_owned(), response);
        self.control(Act::Inbound { event, buffered: None })
    }

    /// Sends a slash command on Discord.
    pub(super) fn command(&mut self, room: &Room, name: &str) -> Result<(), String> {
        self.transcript.said(room, room.person.name, &format!("/{name}"));
        self.transcript.aside("Discord forwards that as an interaction");
        self.interaction(room, 2, &json!({ "name": name }))
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

    pub(super) fn interrupt(&mut self, room: &Room) -> Result<(), String> {
        let event = Value::Object(self.event(room, ""));
        let event = Event::read(&event.to_string()).ok_or("the interrupt has no session")?;
        let session_key = session_key(&event.source, SessionKeyOptions::default(), None);
        self.transcript.aside(&format!("{} interrupts {session_key}", room.person.name));
        self.control(Act::Interrupt { session_key, chat_id: room.chat_id.to_owned() })
    }

    /// Cuts the connection.
    pub(super) fn cut(&mut self) -> Result<(), String> {
        self.control(Act::Drop)?;
        self.wait_for(|saw| matches!(saw, Observation::Closed { .. }))?;
        self.cut = Some(Instant::now());
        self.remark("the connection is cut, without a close frame");
        Ok(())
    }

    fn control(&mut self, act: Act) -> Result<(), String> {
        self.connector.control(act).map_err(|error| error.to_string())
    }

    /// Shows the return of a gateway whose connection was cut.
    pub(super) fn show_return(&mut self, saw: &Observation) {
        if let (Observation::Dial { dial, authenticated: true, .. }, Some(cut)) = (saw, self.cut) {
            self.cut = None;
            let after = cut.elapsed().as_secs_f32();
            self.transcript
                .aside(&format!("the gateway is back after {after:.1} s (dial {dial}), with a fresh token"));
        }
    }

    /// Shows a question with its buttons, and remembers it.
    pub(super) fn show_question(&mut self, room: &Room, action: &Value) {
        self.question = Question::read(room, action);
        let options = self.question.iter().flat_map(|question| &question.options);
        let buttons: String = options.map(|choice| format!("  [{}]", choice.label)).collect();
        let text = format!("{}{buttons}", action["content"].as_str().unwrap_or_default());
        self.transcript.said(room, "agent", &text);
    }

    /// Waits until the gateway has disconnected.
    pub(super) fn close(&mut self) -> Result<(), String> {
        self.wait_for(|saw| frame(saw).is_some_and(|frame| frame["type"] == "going_idle"))?;
        self.wait_for(|saw| {
            matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. })
        })?;
        self.remark("the gateway went idle and closed with 1000");
        Ok(())
    }

    fn event(&mut self, room: &Room, text: &str) -> Map<String, Value> {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        room.message(&mut self.ids, Now { unix_s, ..Now::default() }, text)
    }
}

/// Returns the frame of an observation.
pub(super) fn frame(saw: &Observation) -> Option<&Value> {
    if let Observation::Frame { frame, .. } = saw { Some(frame) } else { None }
}
