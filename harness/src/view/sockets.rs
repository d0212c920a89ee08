//! Dials and their connections: waits, refusals and ends.

use super::frame::ReadFrame;
use super::idle::Idleness;
use super::marks::{Marks, Place, duration};
use super::model::LinkKind;
use super::problems::ProblemKind;
use super::wire::WireStream;
use crate::recording::{Rejection, Side};
use relayline_core::descriptor::Descriptor;
use std::collections::VecDeque;
use std::time::Duration;

/// Maximum number of descriptors that are kept of a connection.
const MAX_DESCRIPTORS: usize = 64;
/// Number of dials that are remembered. The oldest leaves.
const MAX_DIALS: usize = 1024;
/// Time from a handshake after which the back-off begins anew.
const RESET_MS: u64 = 60_000;

/// One dial and its connection.
#[derive(Debug)]
pub(super) struct ViewedSocket {
    /// Number in the recording.
    pub(super) number: Option<u32>,
    pub(super) place: Place,
    from_gateway: WireStream,
    from_connector: WireStream,
    pub(super) idle: Idleness,
    /// Platforms of the hellos.
    hellos: Vec<String>,
    pub(super) descriptors: Vec<Descriptor>,
    handshake: Option<u64>,
    has_written: bool,
    pub(super) has_ended: bool,
}

impl ViewedSocket {
    /// Returns what one side has sent.
    pub(super) fn stream(&mut self, is_gateways: bool) -> &mut WireStream {
        if is_gateways { &mut self.from_gateway } else { &mut self.from_connector }
    }

    /// Notes a hello, or another frame of the gateway.
    pub(super) fn wrote(&mut self, frame: &ReadFrame, place: Place, marks: &mut Marks) {
        if frame.name == "hello" {
            if self.hellos.len() < MAX_DESCRIPTORS {
                self.hellos.push(frame.id("platform").unwrap_or_default());
            }
        } else if !self.has_written {
            marks.problem(place.at, ProblemKind::NoHello, "");
        }
        self.has_written = true;
    }

    /// Reads a descriptor.
    pub(super) fn descriptor(&mut self, frame: &ReadFrame, place: Place, marks: &mut Marks) {
        let raw = frame.fields.get("descriptor").map(ToString::to_string).unwrap_or_default();
        match Descriptor::read(&raw) {
            Ok(_) if self.handshake.is_some() && self.descriptors.len() >= self.hellos.len().max(1) => {
                marks.problem(place.at, ProblemKind::ExtraDescriptor, "");
            }
            Ok(descriptor) => {
                self.handshake.get_or_insert(place.t);
                if self.descriptors.len() < MAX_DESCRIPTORS {
                    self.descriptors.push(descriptor);
                }
            }
            Err(error) => {
                marks.problem(place.at, ProblemKind::BadDescriptor, format!("{error}."));
            }
        }
    }

    /// Returns the descriptor of a platform, else the default one.
    pub(super) fn descriptor_of(&self, platform: Option<&str>) -> Option<&Descriptor> {
        let named = |descriptor: &&Descriptor| Some(descriptor.platform.as_str()) == platform;
        self.descriptors.iter().find(named).or_else(|| self.descriptors.first())
    }

    /// Returns true if the gateway said hello for a platform, or for none that is known.
    pub(super) fn fronts(&self, platform: &str) -> bool {
        self.hellos.is_empty() || self.hellos.iter().any(|hello| hello == platform)
    }
}

/// End of a dial or connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum SocketEnd<'a> {
    Closed { by: Side, code: Option<u16>, reason: &'a str },
    Cut,
    Rejected(&'a Rejection),
}

/// Back-off of the gateway, as recorded.
#[derive(Debug)]
struct BackoffCheck {
    first_ms: u64,
    most_ms: u64,
    attempts: u32,
}

/// All dials of a session.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Newest dials.
    kept: VecDeque<ViewedSocket>,
    /// Number of dials that have left.
    left: usize,
    backoff: BackoffCheck,
    /// Time of the last end, and true if the back-off must follow it.
    last_end: Option<(u64, bool)>,
    was_connected: bool,
    /// A refusal after a handshake is not followed by a verdict yet.
    is_suspected: bool,
}

impl Sockets {
    pub(super) fn new(first: Option<Duration>, most: Option<Duration>) -> Sockets {
        let ms = |time: Option<Duration>, usual: u64| {
            time.map_or(usual, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        Sockets {
            kept: VecDeque::new(),
            left: 0,
            backoff: BackoffCheck { first_ms: ms(first, 1000), most_ms: ms(most, 30_000), attempts: 0 },
            last_end: None,
            was_connected: false,
            is_suspected: false,
        }
    }

    /// Adds a dial. Returns the wait before it.
    pub(super) fn dial(&mut self, number: Option<u32>, place: Place, marks: &mut Marks) -> Option<u64> {
        let last_end = self.last_end.take();
        let waited = last_end.map(|(end, _)| place.t.saturating_sub(end));
        if let (Some((_, true)), Some(waited)) = (last_end, waited) {
            let factor = 1_u64.checked_shl(self.backoff.attempts.saturating_sub(1)).unwrap_or(u64::MAX);
            let least = self.backoff.first_ms.saturating_mul(factor).min(self.backoff.most_ms) / 2;
            if waited.saturating_add(20) < least {
                let detail = format!(
                    "Attempt {} waited {}; the least is {}.",
                    self.backoff.attempts,
                    duration(waited),
                    duration(least)
                );
                marks.problem(place.at, ProblemKind::EarlyDial, detail);
            }
        }
        if self.kept.len() >= MAX_DIALS && self.kept.pop_front().is_some() {
            self.left += 1;
        }
        self.kept.push_back(ViewedSocket {
            number,
            place,
            from_gateway: WireStream::default(),
            from_connector: WireStream::default(),
            idle: Idleness::default(),
            hellos: Vec::new(),
            descriptors: Vec::new(),
            handshake: None,
            has_written: false,
            has_ended: false,
        });
        waited
    }

    /// Returns the position of the dial with a number; of the newest one without a number.
    pub(super) fn find(&self, number: Option<u32>) -> Option<usize> {
        let named = number.and_then(|_| self.kept.iter().rposition(|socket| socket.number == number));
        named.map(|at| self.left + at).or_else(|| self.count().checked_sub(1))
    }

    /// Returns the number of dials so far.
    pub(super) fn count(&self) -> usize {
        self.left + self.kept.len()
    }

    /// Returns the dial at a position, unless it has left.
    pub(super) fn get(&self, dial: usize) -> Option<&ViewedSocket> {
        self.kept.get(dial.checked_sub(self.left)?)
    }

    /// Returns the dial at a position, unless it has left.
    pub(super) fn get_mut(&mut self, dial: usize) -> Option<&mut ViewedSocket> {
        self.kept.get_mut(dial.checked_sub(self.left)?)
    }

    /// Marks what is overdue on the newest dials.
    pub(super) fn expire(&mut self, now: u64, marks: &mut Marks) {
        for socket in self.kept.iter_mut().rev().take(2) {
            socket.idle.expire(now, marks);
        }
    }

    /// Notes that the handshake of a dial is complete.
    pub(super) fn note_handshake(&mut self, dial: usize) {
        self.was_connected |= self.get(dial).is_some_and(|socket| socket.handshake.is_some());
    }

    /// Ends a dial, and marks what is wrong with the end. Returns false if it had ended before.
    pub(super) fn end(&mut self, dial: usize, end: SocketEnd<'_>, place: Place, marks: &mut Marks) -> bool {
        let Some(socket) = self.get_mut(dial) else { return false };
        if std::mem::replace(&mut socket.has_ended, true) {
            return false;
        }
        marks.link(socket.place, place, LinkKind::End);
        let handshake = socket.handshake;
        for stream in [&mut socket.from_connector, &mut socket.from_gateway] {
            if let Some((begun, length)) = stream.end() {
                let detail =
                    format!("{length} bytes without a newline are pending when the connection ends.");
                marks.problem(begun.at, ProblemKind::MissingNewline, detail);
            }
        }
        socket.idle.end(marks);
        let was_idle = socket.idle.is_confirmed();
        // Nothing is compared with them any more, and a session may have many dials.
        (socket.hellos, socket.descriptors) = (Vec::new(), Vec::new());
        let is_loss = match end {
            SocketEnd::Closed { by: Side::Connector, code: Some(4401), reason } => {
                self.refused(reason, place, marks);
                false
            }
            SocketEnd::Closed { by: Side::Connector, code, reason } => {
                if !matches!(code, Some(1000 | 1001)) {
                    marks.problem(place.at, ProblemKind::ClosedByPeer, closing(code, reason));
                }
                true
            }
            SocketEnd::Closed { by: Side::Gateway, code, reason } => {
                if matches!(code, Some(1002 | 1007 | 1009)) {
                    marks.problem(place.at, ProblemKind::ProtocolError, closing(code, reason));
                }
                false
            }
            SocketEnd::Cut => {
                marks.problem(place.at, ProblemKind::Cut, "");
                true
            }
            SocketEnd::Rejected(answer) => match answer.refusal().verdict() {
                Some(reason) => {
                    self.refused(&reason, place, marks);
                    false
                }
                None => {
                    let refusal = answer.refusal();
                    let kind = if refusal.is_foreign() {
                        ProblemKind::RefusedElsewhere
                    } else {
                        ProblemKind::DialRejected
                    };
                    marks.problem(place.at, kind, format!("{}.", refusal.describe(&[])));
                    true
                }
            },
        };
        let is_refusal = matches!(end, SocketEnd::Rejected(_) | SocketEnd::Closed { code: Some(4401), .. });
        if handshake.is_none() && !is_refusal {
            let waited = duration(place.t.saturating_sub(self.get(dial).map_or(0, |one| one.place.t)));
            marks.problem(place.at, ProblemKind::NoHandshake, format!("No descriptor came within {waited}."));
        }
        // A dial that was served uses the suspicion up (L-9).
        self.is_suspected &= is_refusal || handshake.is_none();
        if handshake.is_some_and(|up| place.t.saturating_sub(up) >= RESET_MS) {
            self.backoff.attempts = 0;
        }
        self.backoff.attempts = self.backoff.attempts.saturating_add(1);
        self.last_end = Some((place.t, is_loss && !was_idle));
        true
    }

    /// Marks a refusal of the credentials by the connector.
    fn refused(&mut self, reason: &str, place: Place, marks: &mut Marks) {
        let kind = if reason == "expired" {
            ProblemKind::Expired
        } else if !self.was_connected {
            ProblemKind::RefusedAtStart
        } else if std::mem::replace(&mut self.is_suspected, true) {
            ProblemKind::Revoked
        } else {
            ProblemKind::Suspected
        };
        let quoted = super::gist::quoted(reason, 120);
        marks.problem(
            place.at,
            kind,
            if reason.is_empty() { String::new() } else { format!("The reason is {quoted}.") },
        );
    }

    /// Marks what is unfinished at the end of the recording.
    pub(super) fn finish(&mut self, marks: &mut Marks) {
        for socket in self.kept.iter_mut().filter(|socket| !socket.has_ended) {
            for stream in [&mut socket.from_connector, &mut socket.from_gateway] {
                if let Some((begun, length)) = stream.end() {
                    let detail =
                        format!("{length} bytes without a newline are pending when the recording ends.");
                    marks.problem(begun.at, ProblemKind::MissingNewline, detail);
                }
            }
        }
    }

    /// Returns true if a later dial exists than this one.
    pub(super) fn is_replaced(&self, dial: usize) -> bool {
        dial + 1 < self.count()
    }
}

/// Returns a close's code and reason in words.
pub(super) fn closing(code: Option<u16>, reason: &str) -> String {
    let code = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
    if reason.is_empty() { code } else { format!("{code} {}", super::gist::quoted(reason, 120)) }
}
