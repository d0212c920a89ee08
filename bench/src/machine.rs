//! A connected machine, and one call for each thing that is measured.

use crate::events::Frame;
use crate::requests::{request_id, send, write_result};
use relayline_core::command::Command;
use relayline_core::config::{Config, Identity};
use relayline_core::event::Event;
use relayline_core::machine::{IoEvent, RelayMachine};
use relayline_core::op::{Prompt, PromptOption, StreamReply};
use relayline_core::output::{Action, Conn, Content, Delivery, Outcome};
use relayline_core::time::{Now, Time};
use std::fmt;
use std::sync::Arc;

/// Time of all inputs.
const NOW: Now = Now { mono: Time::ZERO, unix_s: 1_800_000_000 };

/// Descriptor of the platform, as a line without its newline.
pub const DESCRIPTOR: &str = r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"discord","label":"Discord","max_message_length":2000,"supports_draft_streaming":false,"supports_edit":true,"supports_threads":true,"markdown_dialect":"discord","len_unit":"chars","supported_ops":["send","edit","prompt"]}}"#;

/// Something of which a machine keeps many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// Remembered chats, from which the events come in turn.
    Chats,
    /// Requests without a result.
    Requests,
    /// Open prompts.
    Prompts,
    /// Unfinished streamed replies.
    Streams,
    /// Buffered deliveries that the host has not settled.
    Unsettled,
}

impl Load {
    /// All loads.
    pub const ALL: [Load; 5] = [Load::Chats, Load::Requests, Load::Prompts, Load::Streams, Load::Unsettled];

    /// Returns the name of the bench of events under this load.
    pub fn name(self) -> &'static str {
        match self {
            Load::Chats => "chats",
            Load::Requests => "requests",
            Load::Prompts => "prompts",
            Load::Streams => "streams",
            Load::Unsettled => "unsettled",
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A connected machine with its driver's buffers. All tables are warm.
#[derive(Debug)]
pub struct Gateway {
    machine: RelayMachine,
    conn: Conn,
    live: Frame,
    buffered: Frame,
    /// Frame that was written last.
    written: Vec<u8>,
    spare: Vec<u8>,
    answer: Vec<u8>,
    number: u64,
    /// Number of chats that events come from, in turn.
    chats: u64,
}

impl Gateway {
    /// Connects a gateway whose events come from ten chats.
    pub fn new() -> Gateway {
        Gateway::under(Load::Chats, 10)
    }

    /// Connects a gateway that keeps `count` of something.
    pub fn under(load: Load, count: usize) -> Gateway {
        let mut config = Config::new(Identity::new("discord", "1"));
        let limits = &mut config.limits;
        // Other tables keep their usual size, and their usual cost.
        let limit = match load {
            Load::Chats => &mut limits.chats,
            Load::Requests => &mut limits.max_in_flight,
            Load::Prompts => &mut limits.prompts,
            Load::Streams => &mut limits.streams,
            Load::Unsettled => &mut limits.dedupe,
        };
        // One more, for what is measured.
        *limit = (*limit).max(count + 1);
        (limits.unsettled_bytes, limits.write_queue_bytes) = (1 << 30, 1 << 30);
        let mut machine = RelayMachine::new(Arc::new(config), [7; 32], NOW);
        let Some(Action::Dial { conn, .. }) = machine.poll_action() else { unreachable!("it dials first") };
        machine.handle_io(NOW, IoEvent::Opened { conn });
        let mut gateway = Gateway {
            machine,
            conn,
            live: Frame::new(false),
            buffered: Frame::new(true),
            written: Vec::new(),
            spare: Vec::new(),
            answer: Vec::new(),
            number: 0,
            chats: if load == Load::Chats { count as u64 } else { 10 },
        };
        gateway.write();
        gateway.read(format!("{DESCRIPTOR}\n").as_bytes());
        while gateway.machine.poll_action().is_some() {}
        gateway.keep(load, count);
        // Fills the memories of messages and of chats, which stay full from here on.
        for _ in 0..gateway.chats.max(5000) {
            gateway.event();
            gateway.buffered_event();
            gateway.request(send());
        }
        gateway
    }

    fn keep(&mut self, load: Load, count: usize) {
        for number in 0..count {
            match load {
                Load::Chats => {}
                Load::Requests => {
                    self.submit(send());
                    self.write();
                }
                Load::Prompts => {
                    let options = vec![PromptOption::new("yes", "Yes"), PromptOption::new("no", "No")];
                    self.submit(Prompt::new("1000001", "Go on?", options).into());
                    self.write();
                    self.answer();
                    self.machine.poll_action();
                }
                Load::Streams => {
                    let text = "The beginning of an answer";
                    self.submit(StreamReply::new(number.to_string(), text).chat_id("1000001").into());
                    self.write();
                    self.answer();
                    self.machine.poll_action();
                }
                Load::Unsettled => {
                    self.arrive(true);
                }
            }
        }
    }

    /// Passes an event from its bytes to the host, which accepts it.
    pub fn event(&mut self) -> Box<Event> {
        let delivery = self.arrive(false);
        self.machine.settle(NOW, delivery.id, Outcome::Accepted);
        message(delivery)
    }

    /// Passes an entry of the connector's buffer to the host, which accepts it, and writes the acknowledgement.
    pub fn buffered_event(&mut self) -> Box<Event> {
        let delivery = self.arrive(true);
        self.machine.settle(NOW, delivery.id, Outcome::Accepted);
        self.write();
        message(delivery)
    }

    fn arrive(&mut self, buffered: bool) -> Delivery {
        self.number += 1;
        let frame = if buffered { &mut self.buffered } else { &mut self.live };
        let bytes = frame.with(self.number, 1_000_000 + self.number % self.chats);
        self.machine.handle_bytes(NOW, self.conn, bytes);
        self.machine.poll_delivery(NOW).unwrap()
    }

    /// Submits a message, writes it, and hands the host its result.
    pub fn request(&mut self, message: Command) -> Action {
        self.submit(message);
        self.write();
        self.answer();
        self.machine.poll_action().unwrap()
    }

    fn submit(&mut self, command: Command) {
        self.machine.submit(NOW, command).unwrap();
    }

    /// Writes all frames. The last one is kept.
    fn write(&mut self) {
        let mut out = std::mem::take(&mut self.spare);
        while self.machine.poll_transmit(NOW, &mut out).is_some() {
            std::mem::swap(&mut out, &mut self.written);
        }
        self.spare = out;
    }

    /// Answers the request that was written last.
    fn answer(&mut self) {
        let mut answer = std::mem::take(&mut self.answer);
        write_result(request_id(&self.written).unwrap(), &mut answer);
        self.read(&answer);
        self.answer = answer;
    }

    fn read(&mut self, bytes: &[u8]) {
        assert_eq!(self.machine.handle_bytes(NOW, self.conn, bytes), bytes.len());
    }
}

impl Default for Gateway {
    fn default() -> Gateway {
        Gateway::new()
    }
}

fn message(delivery: Delivery) -> Box<Event> {
    match delivery.content {
        Content::Message(event) => event,
        _ => unreachable!("it is a message"),
    }
}
