//! The simulated network. A link has an ordered pipe in each direction, and each packet an arrival time.

use super::random::Random;
use crate::recording::Rejection;
use relayline_core::output::Conn;
use relayline_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Size of a pipe in bytes. A writer waits while the pipe is full.
const WINDOW: usize = 16 << 10;

/// A packet in a pipe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Packet {
    /// Bytes of a WebSocket message, or a part of them.
    Bytes(Vec<u8>),
    Ping,
    Pong,
    Close {
        code: u16,
        reason: String,
    },
    /// The TCP connection ends without a close frame.
    Reset,
}

/// One direction of a link.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    queue: VecDeque<(Time, Packet)>,
    bytes: usize,
    /// Arrival time of the last packet. Later packets arrive no earlier.
    last: Time,
    /// True if the pipe drops every packet.
    pub(crate) dead: bool,
}

/// Settings of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkConfig {
    /// Maximum latency, in microseconds.
    pub(crate) latency_us: u64,
    /// Percentage of messages that are cut in two or more.
    pub(crate) split: u64,
    /// Percentage of messages that are merged with the one before.
    pub(crate) merge: u64,
}

impl Pipe {
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < WINDOW
    }

    /// Returns the next packet and its arrival time.
    pub(crate) fn next(&self) -> Option<(Time, &Packet)> {
        self.queue.front().map(|(at, packet)| (*at, packet))
    }

    pub(crate) fn pop(&mut self) -> Option<Packet> {
        let (_, packet) = self.queue.pop_front()?;
        if let Packet::Bytes(bytes) = &packet {
            self.bytes -= bytes.len();
        }
        Some(packet)
    }

    /// Puts back the rest of a packet that was not taken.
    pub(crate) fn push_front(&mut self, at: Time, rest: Vec<u8>) {
        self.bytes += rest.len();
        self.queue.push_front((at, Packet::Bytes(rest)));
    }

    /// Delays all packets until this time.
    pub(crate) fn stall(&mut self, until: Time) {
        self.last = self.last.max(until);
        for (at, _) in &mut self.queue {
            *at = (*at).max(until);
        }
    }

    pub(crate) fn put(&mut self, now: Time, packet: Packet, random: &mut Random, link_config: LinkConfig) {
        if self.dead {
            return;
        }
        match packet {
            Packet::Bytes(bytes) => self.put_bytes(now, bytes, random, link_config),
            Packet::Ping | Packet::Pong | Packet::Close { .. } | Packet::Reset => {
                self.push(now, packet, random, link_config);
            }
        }
    }

    fn put_bytes(&mut self, now: Time, bytes: Vec<u8>, random: &mut Random, link_config: LinkConfig) {
        if let Some((_, Packet::Bytes(last))) = self.queue.back_mut()
            && random.chance(link_config.merge)
        {
            self.bytes += bytes.len();
            last.extend_from_slice(&bytes);
            return;
        }
        let mut rest = bytes;
        while rest.len() > 1 && random.chance(link_config.split) {
            let behind = rest.split_off(1 + random.index(rest.len() - 1));
            self.push(now, Packet::Bytes(std::mem::replace(&mut rest, behind)), random, link_config);
        }
        self.push(now, Packet::Bytes(rest), random, link_config);
    }

    fn push(&mut self, now: Time, packet: Packet, random: &mut Random, link_config: LinkConfig) {
        if let Packet::Bytes(bytes) = &packet {
            self.bytes += bytes.len();
        }
        let latency = Duration::from_micros(50 + random.below(link_config.latency_us));
        self.last = self.last.max(now + latency);
        self.queue.push_back((self.last, packet));
    }

    /// Drops all packets in the pipe.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Stage of a dial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// The request arrives at that time, with this token.
    Asking { at: Time, token: Option<String> },
    /// The response arrives at that time.
    Answered { at: Time, answer: UpgradeResponse },
    /// No response ever arrives.
    Swallowed,
    /// The connection is open.
    Open,
}

/// Response to an upgrade request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum UpgradeResponse {
    Accepted,
    Unanswered(&'static str),
    Refused(Rejection),
}

/// The network between the two machines.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) links: Vec<Link>,
    /// Number of dials so far.
    pub(crate) dials: u32,
}

/// A dial and its connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// Id of the connection at the gateway.
    pub(crate) ours: Conn,
    /// Id of the connection at the connector.
    pub(crate) theirs: relayline_connector::ConnId,
    pub(crate) stage: Stage,
    /// True while the gateway's end is in use.
    pub(crate) gateway: bool,
    /// True while the connector's end is in use.
    pub(crate) connector: bool,
    pub(crate) to_gateway: Pipe,
    pub(crate) to_connector: Pipe,
    /// Reason of the 4401 close that the connector sends once the connection is open (L-9).
    pub(crate) refused: Option<String>,
    /// Times at which the connector last received something and last sent a ping. It detects dead links by its own
    /// keep-alive.
    pub(crate) heard: Time,
    pub(crate) pinged: Time,
    pub(crate) random: Random,
}

impl Link {
    pub(crate) fn new(
        ours: Conn,
        theirs: relayline_connector::ConnId,
        stage: Stage,
        now: Time,
        random: Random,
    ) -> Self {
        Link {
            ours,
            theirs,
            stage,
            gateway: true,
            connector: false,
            to_gateway: Pipe::default(),
            to_connector: Pipe::default(),
            refused: None,
            heard: now,
            pinged: now,
            random,
        }
    }

    /// Returns true if neither end is in use.
    pub(crate) fn is_over(&self) -> bool {
        !self.gateway && !self.connector && self.stage == Stage::Open
    }
}
