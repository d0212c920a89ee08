//! Lines that wait for the rest of a frame, and the byte streams of frames.

use crate::recorder::redactor::{Progress, Redactor};
use crate::recording::{Data, LineContent, RecordedLine, Side};
use std::collections::VecDeque;
use std::fmt;

/// Maximum size of waiting lines. Beyond it the oldest incomplete frame is given up.
const MAX_BYTES: usize = 32 << 20;
/// Approximate size of a line without its message.
const LINE_BYTES: usize = 256;
/// Maximum time that lines wait for the rest of a frame.
const MAX_HOLD_MS: u64 = 10_000;
/// Byte that replaces each byte of a frame that was given up.
const FILLER: u8 = b'x';

/// Lines ordered by time. The first one waits for the rest of a frame.
#[derive(Debug, Default)]
pub(super) struct HeldLines {
    lines: VecDeque<Waiting>,
    /// Number of the first line.
    first: u64,
    bytes: usize,
}

/// A line, and the stream whose message it is.
#[derive(Debug)]
pub(super) struct Waiting {
    line: RecordedLine,
    pub(super) of: Option<(u32, Side)>,
    /// Redacted part of its message.
    clean: Vec<u8>,
    is_ready: bool,
}

impl HeldLines {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line that waits only for the lines before it.
    pub(super) fn push(&mut self, line: RecordedLine) {
        self.add(Waiting { line, of: None, clean: Vec::new(), is_ready: true });
    }

    fn add(&mut self, waiting: Waiting) -> u64 {
        self.bytes += LINE_BYTES;
        self.lines.push_back(waiting);
        self.first + self.lines.len() as u64 - 1
    }

    fn get(&mut self, number: u64) -> Option<&mut Waiting> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.lines.get_mut(at)
    }

    fn extend(&mut self, number: u64, clean: &[u8]) {
        if let Some(waiting) = self.get(number) {
            waiting.clean.extend_from_slice(clean);
            self.bytes += clean.len();
        }
    }

    fn set_ready(&mut self, number: u64, is_ready: bool) {
        if let Some(waiting) = self.get(number) {
            waiting.is_ready = is_ready;
        }
    }

    /// Returns the line that the others wait for.
    pub(super) fn first(&self) -> Option<&Waiting> {
        self.lines.front()
    }

    /// Returns true if a line has waited too long, or too many bytes wait.
    pub(super) fn is_over(&self, first: &Waiting, now_ms: u64) -> bool {
        self.bytes > MAX_BYTES || now_ms.saturating_sub(first.line.t_ms) >= MAX_HOLD_MS
    }

    /// Releases the first line as it is.
    pub(super) fn release(&mut self) {
        self.set_ready(self.first, true);
    }

    /// Takes the lines that no longer wait.
    pub(super) fn ready(&mut self) -> Vec<RecordedLine> {
        let mut lines = Vec::new();
        while self.lines.front().is_some_and(|waiting| waiting.is_ready)
            && let Some(waiting) = self.lines.pop_front()
        {
            self.first += 1;
            self.bytes -= LINE_BYTES + waiting.clean.len();
            lines.push(waiting.line());
        }
        lines
    }
}

impl Waiting {
    fn line(self) -> RecordedLine {
        let Waiting { mut line, of, clean, .. } = self;
        // A message that is cut within a character is not valid text.
        let is_text =
            matches!(&line.what, LineContent::Gateway(Data::Text(_)) | LineContent::Connector(Data::Text(_)));
        let data = |clean: Vec<u8>| {
            if !is_text {
                return Data::Binary(clean);
            }
            String::from_utf8(clean).map_or_else(|error| Data::Binary(error.into_bytes()), Data::Text)
        };
        match of {
            Some((_, Side::Gateway)) => line.what = LineContent::Gateway(data(clean)),
            Some((_, Side::Connector)) => line.what = LineContent::Connector(data(clean)),
            None => {}
        }
        line
    }
}

/// Byte stream of one side of a dial.
#[derive(Default)]
pub(super) struct Stream {
    /// The incomplete frame.
    frame: Vec<u8>,
    progress: Progress,
    /// Messages of the frame, and the positions of their parts in it.
    parts: Vec<(u64, usize)>,
    /// True if the rest of the frame is no longer expected.
    is_given_up: bool,
}

/// The frame holds credentials (C-4).
impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("bytes", &self.frame.len()).finish_non_exhaustive()
    }
}

impl Stream {
    /// Adds a message, whose line is empty so far.
    pub(super) fn message(
        &mut self,
        redactor: &Redactor,
        held: &mut HeldLines,
        line: RecordedLine,
        of: (u32, Side),
        bytes: &[u8],
    ) {
        let number = held.add(Waiting { line, of: Some(of), clean: Vec::new(), is_ready: false });
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let has_end = piece.ends_with(b"\n");
            if self.is_given_up {
                let (inside, end) = piece.split_at(piece.len() - usize::from(has_end));
                held.extend(number, &vec![FILLER; inside.len()]);
                held.extend(number, end);
                self.is_given_up = !has_end;
                continue;
            }
            self.parts.push((number, self.frame.len()));
            self.frame.extend_from_slice(piece);
            held.bytes += piece.len();
            self.progress.read(piece);
            if has_end {
                self.settle(redactor, held);
            }
        }
        // Some peers do not end a frame with a newline.
        if self.progress.is_whole() {
            self.settle(redactor, held);
        }
        held.set_ready(number, self.parts.last().is_none_or(|(last, _)| *last != number));
    }

    /// Redacts the received part of the frame.
    pub(super) fn settle(&mut self, redactor: &Redactor, held: &mut HeldLines) {
        let Stream { frame, parts, .. } = std::mem::take(self);
        held.bytes -= frame.len();
        let mut edits = redactor.line(&frame).into_iter().peekable();
        // A replacement stands in the message in which the value began.
        let mut done = 0;
        for (at, (number, _)) in parts.iter().enumerate() {
            let end = parts.get(at + 1).map_or(frame.len(), |(_, next)| *next);
            while let Some(edit) = edits.next_if(|edit| edit.range.start < end) {
                held.extend(*number, &frame[done..edit.range.start]);
                held.extend(*number, &edit.with);
                done = edit.range.end;
            }
            if done < end {
                held.extend(*number, &frame[done..end]);
                done = end;
            }
            held.set_ready(*number, true);
        }
    }

    /// Redacts the received part of the frame, and replaces the rest up to the next line break with filler.
    pub(super) fn give_up(&mut self, redactor: &Redactor, held: &mut HeldLines) {
        self.settle(redactor, held);
        self.is_given_up = true;
    }
}
