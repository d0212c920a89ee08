//! The analyzer: takes lines of a recording, and returns entries, joins and problems. It divides the work among its
//! components: sockets, requests, deliveries, turns. The files below it read frames, and lines of the host.

mod frames;
mod host;

use super::deliveries::Deliveries;
use super::frame::ReadFrame;
use super::gist::{self, one_line};
use super::marks::{Marks, Place, duration};
use super::model::{EntryKind, Lane, LinkKind, StateSpan, ViewEntry, ViewUpdate};
use super::problems::ProblemKind;
use super::requests::Requests;
use super::sockets::{SocketEnd, Sockets, closing};
use super::turns::Turns;
use crate::recorder::hidden_upgrade;
use crate::recording::{Data, Gateway, LineContent, RecordedLine, Side};
use relayline_core::output::{Phase, Timer};
use std::time::Duration;

/// Time-out of a request, unless the recording has another.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a session line by line, and describes it.
///
/// It can be fed a recording, or a session that is going on. Its memory is bounded: it remembers requests and deliveries
/// only for a while, and returns entries instead of keeping them.
#[derive(Debug)]
pub struct Analyzer {
    sockets: Sockets,
    requests: Requests,
    deliveries: Deliveries,
    turns: Turns,
    /// Number of entries so far.
    count: usize,
    /// First entry of the last line, or the last timer: a new state begins there.
    anchor: usize,
    /// Turn of recent entries that others refer to: requests and buffered deliveries.
    turn_of: TurnMemory,
}

/// Turns of the last entries, by position.
#[derive(Debug, Default)]
struct TurnMemory {
    first: usize,
    turns: std::collections::VecDeque<Option<usize>>,
}

impl TurnMemory {
    const MOST: usize = 1 << 16;

    fn push(&mut self, turn: Option<usize>) {
        self.turns.push_back(turn);
        if self.turns.len() > Self::MOST {
            self.turns.pop_front();
            self.first += 1;
        }
    }

    fn get(&self, at: usize) -> Option<usize> {
        self.turns.get(at.checked_sub(self.first)?).copied().flatten()
    }
}

impl Analyzer {
    /// Creates the analyzer of a session with these settings of its gateway.
    pub fn new(gateway: &Gateway) -> Analyzer {
        let timeout = gateway.outbound_timeout.unwrap_or(REQUEST_TIMEOUT);
        Analyzer {
            sockets: Sockets::new(gateway.reconnect_backoff, gateway.reconnect_max_backoff),
            requests: Requests::new(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            deliveries: Deliveries::default(),
            turns: Turns::default(),
            count: 0,
            anchor: 0,
            turn_of: TurnMemory::default(),
        }
    }

    /// Reads the next line.
    pub fn line(&mut self, line: &RecordedLine) -> Vec<ViewUpdate> {
        let mut out = Output { line, entries: 0, marks: Marks::default() };
        self.expire(line.t_ms, &mut out.marks);
        self.anchor = self.count;
        match &line.what {
            LineContent::Connect { .. } => self.dial(&mut out),
            LineContent::Gateway(data) => self.message(data, true, &mut out),
            LineContent::Connector(data) => self.message(data, false, &mut out),
            LineContent::Reject { answer, .. } => {
                let status = answer.refusal().describe(&[]);
                self.end(EntryKind::Reject, Side::Connector, status, SocketEnd::Rejected(answer), &mut out);
            }
            LineContent::Close { by, code, reason, .. } => {
                let end = SocketEnd::Closed { by: *by, code: *code, reason };
                self.end(EntryKind::Close, *by, closing(*code, reason), end, &mut out);
            }
            LineContent::Drop { by, .. } => {
                self.end(EntryKind::Cut, *by, "no close frame".to_owned(), SocketEnd::Cut, &mut out);
            }
            LineContent::HostCall { call, args, ended, done_ms } => {
                self.host_call(call, args, ended, *done_ms, &mut out);
            }
            LineContent::HostEvent { kind, event, .. } => self.host_event(kind, event, &mut out),
            LineContent::Note(text) => {
                let entry = out.entry(EntryKind::Note, Lane::Gateway, Lane::Gateway, "note");
                self.add(ViewEntry { gist: one_line(text, 160), ..entry }, &mut out);
            }
            LineContent::Other(kind) => match line.gap() {
                Some(lines) => {
                    let entry = out.entry(EntryKind::Gap, Lane::Gateway, Lane::Gateway, "gap");
                    let place = self.add(ViewEntry { gist: format!("{lines} lines"), ..entry }, &mut out);
                    out.marks.problem(place.at, ProblemKind::Gap, format!("Lines: {lines}."));
                }
                None => {
                    let entry = out.entry(EntryKind::Other, Lane::Gateway, Lane::Gateway, kind);
                    self.add(entry, &mut out);
                }
            },
        }
        out.marks.0
    }

    /// Notes a new state of the connection.
    pub fn state(&mut self, t_ms: u64, state: Phase) -> Vec<ViewUpdate> {
        vec![ViewUpdate::State(StateSpan { at: self.anchor, t: t_ms, state })]
    }

    /// Adds a timer that fired. Pings and the steps of streams and turns are not shown, nor is the wait for a dial, which
    /// the dial shows.
    pub fn timer(&mut self, t_ms: u64, timer: Timer) -> Vec<ViewUpdate> {
        let gist = match timer {
            Timer::Ping | Timer::Stream | Timer::Turn | Timer::Redial => return Vec::new(),
            Timer::Dial => "the dial timed out",
            Timer::Handshake => "the handshake timed out",
            Timer::Close => "the close frame was not answered in time",
            Timer::Silence => "nothing was received for too long",
            Timer::Request => "a request timed out",
            Timer::Idle => "idleness was not confirmed in time",
            Timer::Disconnect => "the next step of the disconnect",
            Timer::Webhook => "a webhook request timed out",
        };
        let name = format!("{timer:?}").to_lowercase();
        let id = format!("t{}", self.count);
        self.anchor = self.count;
        self.count += 1;
        self.turn_of.push(None);
        let mut entry = blank(id, t_ms, EntryKind::Timer, Lane::Gateway, Lane::Gateway, "timer");
        entry.op = Some(name.clone());
        entry.gist = gist.to_owned();
        entry.raw = format!("{{\"timer\":\"{name}\"}}");
        vec![ViewUpdate::Entry(Box::new(entry))]
    }

    /// Notes that a counter of the machine has increased, and marks the last entry if that is a drop.
    pub fn counted(&mut self, counter: &str) -> Vec<ViewUpdate> {
        let mut marks = Marks::default();
        if let (Some(kind), Some(at)) = (ProblemKind::of_counter(counter), self.count.checked_sub(1)) {
            marks.problem(at, kind, format!("Counter: {counter}."));
        }
        marks.0
    }

    /// Marks what is overdue at a time, for a session that is going on. A line does so for its own time.
    pub fn overdue(&mut self, t_ms: u64) -> Vec<ViewUpdate> {
        let mut marks = Marks::default();
        self.expire(t_ms, &mut marks);
        marks.0
    }

    /// Ends the session: marks what is unfinished.
    pub fn end_of_session(&mut self) -> Vec<ViewUpdate> {
        let mut marks = Marks::default();
        self.sockets.finish(&mut marks);
        self.requests.end(&mut marks);
        self.deliveries.end(&mut marks);
        marks.0
    }

    fn expire(&mut self, now: u64, marks: &mut Marks) {
        self.requests.expire(now, marks);
        self.deliveries.expire(now, marks);
        self.sockets.expire(now, marks);
    }

    fn add(&mut self, entry: ViewEntry, out: &mut Output<'_>) -> Place {
        let place = Place { at: self.count, t: entry.t };
        self.count += 1;
        self.turn_of.push(entry.turn);
        out.entries += 1;
        // The entry comes before what is said about it.
        out.marks.0.push(ViewUpdate::Entry(Box::new(entry)));
        place
    }

    fn dial(&mut self, out: &mut Output<'_>) {
        let (text, gist) = hidden_upgrade(out.line);
        let place = Place { at: self.count, t: out.line.t_ms };
        let mut marks = Marks::default();
        let waited = self.sockets.dial(out.line.dial(), place, &mut marks);
        let dial = self.sockets.count();
        let mut entry = out.entry(EntryKind::Dial, Lane::Gateway, Lane::Connector, "dial");
        (entry.dial, entry.waited, entry.raw) = (Some(dial), waited, text);
        entry.gist = match waited {
            Some(waited) => format!("attempt {dial} · {gist} · waited {}", duration(waited)),
            None => format!("attempt {dial} · {gist}"),
        };
        self.add(entry, out);
        out.marks.0.append(&mut marks.0);
    }

    fn end(&mut self, kind: EntryKind, by: Side, gist: String, end: SocketEnd<'_>, out: &mut Output<'_>) {
        let (from, to) = lanes(by == Side::Gateway);
        let name = match kind {
            EntryKind::Reject => "rejected",
            EntryKind::Close => "close",
            _ => "cut",
        };
        let dial = self.sockets.find(out.line.dial());
        let mut entry = out.entry(kind, from, to, name);
        (entry.dial, entry.gist) = (dial.map(|dial| dial + 1), gist);
        let place = self.add(entry, out);
        if let Some(dial) = dial
            && self.sockets.end(dial, end, place, &mut out.marks)
        {
            self.requests.lose(dial, &mut out.marks);
            self.deliveries.lose(dial, &mut out.marks);
        }
    }

    fn message(&mut self, data: &Data, is_gateways: bool, out: &mut Output<'_>) {
        let (from, to) = lanes(is_gateways);
        let Some(dial) = self.sockets.find(out.line.dial()) else {
            let mut entry = out.entry(EntryKind::Other, from, to, "message");
            entry.gist = "there is no dial that it could belong to".to_owned();
            self.add(entry, out);
            return;
        };
        let Some(socket) = self.sockets.get_mut(dial) else { return };
        let lines = socket.stream(is_gateways).push(data.bytes());
        for line in lines {
            let frame = ReadFrame::read(&line.bytes, is_gateways);
            let place = self.frame(dial, frame, is_gateways, out);
            if let Some(begun) = line.begun {
                out.marks.link(begun, place, LinkKind::Rest);
            }
        }
        let Some(socket) = self.sockets.get_mut(dial) else { return };
        let stream = socket.stream(is_gateways);
        let Some(tail) = stream.unfinished().filter(|_| !stream.is_shown()) else { return };
        let text = String::from_utf8_lossy(tail).into_owned();
        let mut entry = out.entry(EntryKind::Part, from, to, "part of a frame");
        entry.gist = format!("{} bytes, no newline yet · {}", tail.len(), one_line(&text, 100));
        (entry.dial, entry.raw) = (Some(dial + 1), text);
        stream.begin(Place { at: self.count, t: out.line.t_ms });
        self.add(entry, out);
    }

    /// Adds a frame, and passes it to the components.
    fn frame(&mut self, dial: usize, frame: ReadFrame, is_gateways: bool, out: &mut Output<'_>) -> Place {
        let (from, to) = lanes(is_gateways);
        let mut entry = out.entry(EntryKind::Frame, from, to, &frame.name);
        entry.dial = Some(dial + 1);
        entry.gist = gist::of_frame(&frame);
        let place = Place { at: self.count, t: entry.t };
        let mut marks = Marks::default();
        if let Some((kind, detail)) = &frame.problem {
            marks.problem(place.at, *kind, detail.as_str());
        }
        if is_gateways {
            self.of_gateway(dial, &frame, place, &mut entry, &mut marks);
        } else {
            if self.sockets.is_replaced(dial) {
                marks.problem(place.at, ProblemKind::StaleInput, format!("Dial {} has begun.", dial + 2));
            }
            self.of_connector(dial, &frame, place, &mut entry, &mut marks);
        }
        entry.raw = frame.text;
        self.add(entry, out);
        out.marks.0.append(&mut marks.0);
        place
    }
}

/// The line that is read, and what it adds.
struct Output<'l> {
    line: &'l RecordedLine,
    /// Number of entries that it has added.
    entries: usize,
    marks: Marks,
}

impl Output<'_> {
    /// Returns the next entry of the line. Its text is the line, unless that may contain credentials.
    fn entry(&self, kind: EntryKind, from: Lane, to: Lane, name: &str) -> ViewEntry {
        let number = self.line.number;
        let id =
            if self.entries == 0 { number.to_string() } else { format!("{number}.{}", self.entries + 1) };
        let mut entry = blank(id, self.line.t_ms, kind, from, to, &one_line(name, 60));
        let is_plain = !matches!(kind, EntryKind::Dial | EntryKind::Frame | EntryKind::Part);
        if is_plain && !matches!(self.line.what, LineContent::Connect { .. }) {
            entry.raw = self.line.to_json();
        }
        entry
    }
}

fn blank(id: String, t: u64, kind: EntryKind, from: Lane, to: Lane, name: &str) -> ViewEntry {
    ViewEntry {
        id,
        t,
        kind,
        from,
        to,
        dial: None,
        name: name.to_owned(),
        op: None,
        gist: String::new(),
        chat: None,
        platform: None,
        session: None,
        buffer: None,
        turn: None,
        took: None,
        waited: None,
        raw: String::new(),
    }
}

fn lanes(is_gateways: bool) -> (Lane, Lane) {
    if is_gateways { (Lane::Gateway, Lane::Connector) } else { (Lane::Connector, Lane::Gateway) }
}
