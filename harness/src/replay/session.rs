//! A recording, sorted by dial: lines, frames and end of each socket.

use super::ReplayError;
use super::frame_causes::{self, FrameCause};
use super::names::{self, Place};
use super::recorded_answers::RecordedAnswers;
use crate::recording::{Data, LineContent, Recording, Side};
use relayline_core::json;
use relayline_core::line::{Line, LineSplitter};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A frame, with the position of the line that completed it.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Position of the line in [`Recording::lines`].
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The frame as JSON; `Null` if it is not valid JSON.
    pub(crate) value: Value,
    /// Cause of a gateway's request.
    pub(crate) cause: Option<FrameCause>,
}

impl Frame {
    pub(crate) fn kind(&self) -> &str {
        self.value["type"].as_str().unwrap_or("")
    }

    /// Returns true if the gateway sent this message to a chat by itself.
    pub(crate) fn is_own_send_to(&self, chat_id: &str) -> bool {
        let action = &self.value["action"];
        let is_own = self.cause.as_ref().is_some_and(|cause| cause.call.is_none());
        is_own && action["op"] == "send" && action["chat_id"] == chat_id
    }
}

/// End of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DialEnd {
    /// A close frame.
    Closed { by: Side, code: Option<u16>, reason: String },
    /// No close frame.
    Cut,
    /// A refused upgrade, with its status.
    Rejected(u16),
}

/// A dial of the recorded gateway, and its socket.
#[derive(Debug)]
pub(crate) struct Dial {
    /// Position of its `connect` line.
    pub(crate) line: usize,
    /// Frames of the gateway.
    pub(crate) wrote: Vec<Frame>,
    /// Frames of the connector.
    pub(crate) heard: Vec<Frame>,
    /// End of the socket, with the position of its line.
    pub(crate) end: Option<(usize, DialEnd)>,
    /// Ranges of the connector's byte stream with ids of the gateway.
    pub(crate) names: Vec<Place>,
    /// Start of each message in the connector's byte stream, by the position of its line.
    starts: BTreeMap<usize, usize>,
}

impl Dial {
    /// Returns the start of a line's message in the connector's stream.
    pub(crate) fn start_of(&self, line: usize) -> usize {
        self.starts.get(&line).copied().unwrap_or(0)
    }

    /// Returns the position of the next line with a choice from a prompt in a chat.
    pub(crate) fn choice_after(&self, line: usize, chat_id: &str) -> Option<usize> {
        let mut later = self.heard.iter().filter(|frame| frame.line > line);
        let is_choice = |frame: &&Frame| names::choice(frame).is_some_and(|chosen| chosen.chat_id == chat_id);
        later.find(is_choice).map(|frame| frame.line)
    }

    /// Returns the entries that were not acknowledged on this dial.
    pub(crate) fn unacked(&self) -> BTreeSet<String> {
        let entry = |frame: &'_ Frame| frame.value["bufferId"].as_str().map(str::to_owned);
        let acked: BTreeSet<String> =
            self.wrote.iter().filter(|frame| frame.kind() == "inbound_ack").filter_map(entry).collect();
        self.heard.iter().filter_map(entry).filter(|entry| !acked.contains(entry)).collect()
    }

    /// Returns the gateway's close code and the position of its line, if it sent a close frame.
    pub(crate) fn closed_by_gateway(&self) -> Option<(usize, Option<u16>)> {
        match &self.end {
            Some((line, DialEnd::Closed { by: Side::Gateway, code, .. })) => Some((*line, *code)),
            Some((_, DialEnd::Closed { by: Side::Connector, .. } | DialEnd::Cut | DialEnd::Rejected(_)))
            | None => None,
        }
    }
}

/// Prefixes of `recorded_from` of recordings of the public gateway before October.
pub(crate) const EARLY: &[&str] = &[
    "python reference ws_transport",
    "python reference, June",
    "python reference, July",
    "python reference, August",
];

/// Returns true if a recording is of a public gateway before October. Its session keys hold no profile (S-1), and
/// fields that it did not add may be missing.
pub(crate) fn is_early(recording: &Recording) -> bool {
    EARLY.iter().any(|name| recording.header.recorded_from.starts_with(name))
}

/// A recording, sorted by dial.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) dials: Vec<Dial>,
    /// Dial of each line, if it belongs to one.
    pub(crate) dial_of: Vec<Option<usize>>,
    /// True if only the wire was recorded. The host's commands are then derived from the gateway's frames.
    pub(crate) wire_only: bool,
    /// Turns and answers of the recorded host.
    pub(crate) answers: RecordedAnswers,
}

impl Session {
    pub(crate) fn new(recording: &Recording) -> Result<Session, ReplayError> {
        let mut builder = Builder::default();
        for at in 0..recording.lines.len() {
            builder.line(recording, at).map_err(|problem| ReplayError::Line {
                file: recording.file.clone(),
                line: recording.lines[at].number,
                problem: problem.to_owned(),
            })?;
        }
        let wire_only = !recording
            .lines
            .iter()
            .any(|line| matches!(line.what, LineContent::HostCall { .. } | LineContent::HostEvent { .. }));
        let Builder { mut dials, dial_of, streams, .. } = builder;
        names::find(&mut dials, &streams);
        frame_causes::find(recording, &mut dials);
        let answers = RecordedAnswers::of(recording);
        Ok(Session { dials, dial_of, wire_only, answers })
    }
}

#[derive(Default)]
struct Builder {
    dials: Vec<Dial>,
    dial_of: Vec<Option<usize>>,
    /// Numbers of the dials in the file.
    numbers: Vec<Option<u32>>,
    /// Byte streams of the connector, by dial.
    streams: Vec<Vec<u8>>,
    splitters: Vec<[LineSplitter; 2]>,
}

const ORPHAN: &str =
    "there is no `connect` line before it that it could belong to: put one first, or mend its `dial`";

impl Builder {
    fn line(&mut self, recording: &Recording, at: usize) -> Result<(), &'static str> {
        let dial_of = match &recording.lines[at].what {
            LineContent::Connect { dial, .. } => {
                self.dials.push(Dial {
                    line: at,
                    wrote: Vec::new(),
                    heard: Vec::new(),
                    end: None,
                    names: Vec::new(),
                    starts: BTreeMap::new(),
                });
                self.numbers.push(*dial);
                self.streams.push(Vec::new());
                // No limit here, because the machine must detect lines that are too long.
                self.splitters.push([LineSplitter::new(usize::MAX - 1), LineSplitter::new(usize::MAX - 1)]);
                Some(self.dials.len() - 1)
            }
            LineContent::Gateway(data) => {
                let dial = self.find(recording.lines[at].dial())?;
                let frames = frames(&mut self.splitters[dial][0], at, data);
                self.dials[dial].wrote.extend(frames);
                Some(dial)
            }
            LineContent::Connector(data) => {
                let dial = self.find(recording.lines[at].dial())?;
                let frames = frames(&mut self.splitters[dial][1], at, data);
                self.dials[dial].heard.extend(frames);
                self.dials[dial].starts.insert(at, self.streams[dial].len());
                self.streams[dial].extend_from_slice(data.bytes());
                Some(dial)
            }
            LineContent::Close { by, dial, code, reason } => {
                let end = DialEnd::Closed { by: *by, code: *code, reason: reason.clone() };
                Some(self.end(*dial, at, end)?)
            }
            LineContent::Drop { dial, .. } => Some(self.end(*dial, at, DialEnd::Cut)?),
            LineContent::Reject { dial, answer } => {
                Some(self.end(*dial, at, DialEnd::Rejected(answer.status))?)
            }
            LineContent::HostCall { .. }
            | LineContent::HostEvent { .. }
            | LineContent::Note(_)
            | LineContent::Other(_) => None,
        };
        self.dial_of.push(dial_of);
        Ok(())
    }

    /// Returns the dial of that number; the newest without a number.
    fn find(&self, number: Option<u32>) -> Result<usize, &'static str> {
        let named = number.and_then(|_| self.numbers.iter().position(|known| *known == number));
        let found = match (number, named) {
            (Some(_), Some(found)) => Some(found),
            // In a session with one dial some lines may have its number, and others not.
            (Some(1), None) if self.dials.len() == 1 => Some(0),
            (Some(_), None) => None,
            (None, _) => self.dials.len().checked_sub(1),
        };
        found.ok_or(ORPHAN)
    }

    fn end(&mut self, number: Option<u32>, at: usize, end: DialEnd) -> Result<usize, &'static str> {
        let dial = self.find(number)?;
        // The first end counts. A cut after a close frame adds nothing.
        self.dials[dial].end.get_or_insert((at, end));
        Ok(dial)
    }
}

fn frames(splitter: &mut LineSplitter, line: usize, data: &Data) -> Vec<Frame> {
    let mut rest = data.bytes();
    let mut found = Vec::new();
    while let Some(next) = splitter.next(&mut rest) {
        let bytes = match next {
            Line::Whole(bytes) => bytes.trim_ascii(),
            Line::TooLong => continue,
        };
        if !bytes.is_empty() {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let plain = serde_json::from_str(&text);
            let repaired = || json::repair(&text).and_then(|repaired| serde_json::from_str(&repaired).ok());
            let value = plain.ok().or_else(repaired).unwrap_or_default();
            found.push(Frame { line, text, value, cause: None });
        }
    }
    found
}
