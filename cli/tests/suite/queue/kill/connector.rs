//! Connector of the kill run: a process, the messages that it may not have, the live ones that the gateway must have, and
//! what it accepted of gateways.

use super::super::relayline;
use super::accepted::Pair;
use super::{Message, append_to};
use crate::support::SOON;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Observation of the connector.
enum Observed {
    Listening {
        address: String,
    },
    /// A gateway was let in.
    Dialed {
        dial: u64,
    },
    /// A gateway is connected, by this dial.
    Hello {
        dial: u64,
        process: String,
    },
    Closed {
        dial: u64,
    },
    /// The next message that was to be buffered is on the disk.
    Buffered {
        buffer_id: String,
    },
    Acknowledged {
        dial: u64,
        buffer_id: String,
    },
    /// An answer to a message arrived.
    Reply {
        message: Message,
        attempt: u32,
    },
}

/// Message that was written to the connector.
struct Sent {
    message: Message,
    /// True if it was not written before: the gateway cannot know it.
    is_new: bool,
}

/// New message in the connector's buffer, whose acknowledgement on a connection shows that what was live there before it is
/// stored.
struct Marker {
    dial: u64,
    buffer_id: String,
    live: Vec<usize>,
}

/// Open connection.
struct Open {
    dial: u64,
    /// Name of its gateway, once it has said it.
    process: String,
    /// Names of the gateways whose connections were open when it began.
    others: Vec<String>,
}

/// Process of the connector.
pub(super) struct Connector {
    process: Child,
    reader: Option<JoinHandle<()>>,
    saw: Receiver<Observed>,
    pub(super) address: String,
    /// Messages on their way into the connector, in order.
    sent: VecDeque<Sent>,
    /// Dial of the newest open connection.
    connection: Option<u64>,
    /// Open connections, oldest first.
    open: Vec<Open>,
    /// Name of the gateway that connected last.
    last_process: String,
    /// Time at which it went on after a stop.
    resumed: Option<Instant>,
    /// That dial when the last message was buffered.
    connection_before: Option<u64>,
    markers: VecDeque<Marker>,
    /// Live messages that the gateway has stored.
    stored: BTreeSet<usize>,
    replies: Vec<(Message, u32)>,
    pairs: Vec<Pair>,
}

impl Connector {
    /// Starts a connector at an address, with the state of the one before.
    pub(super) fn start(folder: &Path, address: &str) -> Connector {
        let until = Instant::now() + SOON;
        loop {
            if let Some(connector) = Connector::try_start(folder, address) {
                return connector;
            }
            // Another process may have taken the port since the last connector was killed.
            assert!(Instant::now() < until, "the connector does not start: see {folder:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_start(folder: &Path, address: &str) -> Option<Connector> {
        let mut command = relayline(["connector", "--listen", address, "--platform", "discord"]);
        command.args(["--gateway", "gw-1=s3cret", "--state"]).arg(folder.join("connector.json"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(append_to(folder, "connector.log"));
        let mut process = command.spawn().unwrap();
        let (stdout, (sender, saw)) = (process.stdout.take().unwrap(), channel());
        let reader = std::thread::spawn(move || read(BufReader::new(stdout), &sender));
        // The channel ends with the process.
        let Ok(Observed::Listening { address }) = saw.recv_timeout(SOON) else {
            let _ = (process.kill(), process.wait());
            return None;
        };
        Some(Connector {
            process,
            reader: Some(reader),
            saw,
            address,
            sent: VecDeque::new(),
            connection: None,
            open: Vec::new(),
            last_process: String::new(),
            resumed: None,
            connection_before: None,
            markers: VecDeque::new(),
            stored: BTreeSet::new(),
            replies: Vec::new(),
            pairs: Vec::new(),
        })
    }

    /// Starts it again at its address, after it was killed.
    pub(super) fn start_again(&mut self, folder: &Path) {
        let mut connector = Connector::start(folder, &self.address);
        connector.last_process = std::mem::take(&mut self.last_process);
        *self = connector;
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Returns the live messages that the gateway must have by now.
    pub(super) fn take_stored(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.stored)
    }

    /// Returns the name of the gateway that connected last.
    pub(super) fn last_process(&self) -> &str {
        &self.last_process
    }

    /// Notes that it goes on after a stop.
    pub(super) fn resumed(&mut self) {
        self.resumed = Some(Instant::now());
    }

    /// Returns the answers that arrived, with their attempts.
    pub(super) fn take_replies(&mut self) -> Vec<(Message, u32)> {
        std::mem::take(&mut self.replies)
    }

    /// Returns the connections that were open at the same time.
    pub(super) fn take_pairs(&mut self) -> Vec<Pair> {
        std::mem::take(&mut self.pairs)
    }

    /// Handles what the connector has observed.
    pub(super) fn observe(&mut self) {
        while let Ok(saw) = self.saw.try_recv() {
            match saw {
                Observed::Listening { .. } => {}
                Observed::Dialed { dial } => {
                    let others = self.open.iter().map(|open| open.process.clone()).collect();
                    self.open.push(Open { dial, process: String::new(), others });
                }
                Observed::Hello { dial, process } => self.connected(dial, process),
                Observed::Closed { dial } => {
                    self.connection = self.connection.filter(|open| *open != dial);
                    self.open.retain(|open| open.dial != dial);
                }
                Observed::Buffered { buffer_id } => self.buffered(buffer_id),
                Observed::Acknowledged { dial, buffer_id } => self.acknowledged(dial, &buffer_id),
                Observed::Reply { message, attempt } => self.replies.push((message, attempt)),
            }
        }
    }

    fn connected(&mut self, dial: u64, process: String) {
        self.connection = Some(dial);
        if let Some(open) = self.open.iter_mut().find(|open| open.dial == dial) {
            open.process.clone_from(&process);
            for old in open.others.drain(..) {
                self.pairs.push(Pair { old, new: process.clone(), resumed: self.resumed });
            }
        }
        self.last_process = process;
    }

    /// Handles a message that is in the buffer, after the live ones that were written before it.
    fn buffered(&mut self, buffer_id: String) {
        let mut live = Vec::new();
        let is_new = loop {
            let sent = self.sent.pop_front().expect("what is buffered was written");
            match sent.message {
                Message::Live(number) => live.push(number),
                Message::Buffered(_) => break sent.is_new,
            }
        };
        // The live ones went over this connection, if it was open all the time. One that is not new may be acknowledged
        // as a duplicate, before they are stored.
        let before = std::mem::replace(&mut self.connection_before, self.connection);
        if let Some(dial) = self.connection.filter(|open| is_new && before == Some(*open)) {
            self.markers.push_back(Marker { dial, buffer_id, live });
        }
    }

    /// Handles an acknowledgement. The gateway stores what arrives in its order.
    fn acknowledged(&mut self, dial: u64, buffer_id: &str) {
        self.markers.retain(|marker| marker.dial >= dial);
        let Some(at) = self.markers.iter().position(|marker| marker.buffer_id == buffer_id) else { return };
        if self.markers[at].dial == dial {
            self.stored.extend(self.markers.drain(..=at).flat_map(|marker| marker.live));
        }
    }

    /// Writes messages. An error means that it was killed.
    pub(super) fn write(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
        sessions: usize,
        is_new: bool,
    ) {
        let stdin = self.process.stdin.as_mut().unwrap();
        for message in messages {
            self.sent.push_back(Sent { message, is_new });
            let (text, chat) = (message.text(), message.number() % sessions);
            let event = json!({
                "text": text, "message_type": "text", "message_id": text,
                "source": {"platform": "discord", "chat_id": format!("c{chat}"), "chat_type": "dm", "user_id": "u"},
            });
            let buffered = matches!(message, Message::Buffered(_));
            let line = json!({"do": "inbound", "event": event, "buffered": buffered, "gateway": "gw-1"});
            if writeln!(stdin, "{line}").is_err() {
                return;
            }
        }
    }

    /// Kills the process. Returns the messages that were to be buffered and may not be, in order.
    pub(super) fn kill(&mut self) -> Vec<Message> {
        let _ = self.process.kill();
        self.process.wait().unwrap();
        // What it has said before counts.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.observe();
        let lost = self.sent.drain(..).map(|sent| sent.message);
        lost.filter(|message| matches!(message, Message::Buffered(_))).collect()
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

/// Reads the connector's lines to the end of its stdout.
fn read(stdout: impl BufRead, saw: &Sender<Observed>) {
    for line in stdout.lines().map_while(Result::ok) {
        // A line that was cut off by a kill was not said.
        let Ok(line) = serde_json::from_str::<Value>(&line) else { return };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let dial = line["dial"].as_u64().unwrap_or_default();
        let observed = match (line["saw"].as_str(), line["frame"]["type"].as_str()) {
            (Some("listening"), _) => {
                Observed::Listening { address: text(&line["url"]).replace("ws://", "") }
            }
            (Some("buffered"), _) => Observed::Buffered { buffer_id: text(&line["buffer_id"]) },
            (Some("dial"), _) if line["error"].is_null() => Observed::Dialed { dial },
            (Some("closed"), _) => Observed::Closed { dial },
            (Some("frame"), Some("hello")) => {
                Observed::Hello { dial, process: text(&line["frame"]["process"]) }
            }
            (Some("frame"), Some("inbound_ack")) => {
                Observed::Acknowledged { dial, buffer_id: text(&line["frame"]["bufferId"]) }
            }
            (Some("frame"), Some("outbound")) => match parse_reply(&line["frame"]["action"]["content"]) {
                Some((message, attempt)) => Observed::Reply { message, attempt },
                None => continue,
            },
            _ => continue,
        };
        if saw.send(observed).is_err() {
            return;
        }
    }
}

/// Reads the content of an agent's answer.
fn parse_reply(content: &Value) -> Option<(Message, u32)> {
    let (text, attempt) = content.as_str()?.strip_prefix("re ")?.split_once(' ')?;
    Some((Message::parse(text)?, attempt.parse().ok()?))
}
