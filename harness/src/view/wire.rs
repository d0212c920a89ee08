//! The byte stream of one side of a connection, divided into lines.

use super::marks::Place;
use memchr::memchr;

/// Maximum length of a line that is kept whole. A longer one is cut, so that memory stays bounded.
const MAX_KEPT: usize = 64 << 20;

/// A complete line.
#[derive(Debug)]
pub(super) struct WireLine {
    /// Bytes without the newline.
    pub(super) bytes: Vec<u8>,
    /// Entry of the first part, if the line came in several messages.
    pub(super) begun: Option<Place>,
}

/// Assembler of lines.
#[derive(Debug, Default)]
pub(super) struct WireStream {
    tail: Vec<u8>,
    /// Entry of the tail's beginning.
    begun: Option<Place>,
}

impl WireStream {
    /// Adds the bytes of a message, and returns the lines that they complete, without blank ones.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Vec<WireLine> {
        let mut lines = Vec::new();
        while let Some(end) = memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = WireLine { bytes: std::mem::take(&mut self.tail), begun: self.begun.take() };
            if !line.bytes.trim_ascii().is_empty() {
                lines.push(line);
            }
        }
        self.keep(bytes);
        lines
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_KEPT.saturating_sub(self.tail.len());
        self.tail.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Returns the unfinished line, unless it is blank.
    pub(super) fn unfinished(&self) -> Option<&[u8]> {
        Some(self.tail.as_slice()).filter(|tail| !tail.trim_ascii().is_empty())
    }

    /// Returns true if the unfinished line has an entry.
    pub(super) fn is_shown(&self) -> bool {
        self.begun.is_some()
    }

    /// Sets the entry of the unfinished line.
    pub(super) fn begin(&mut self, place: Place) {
        self.begun = Some(place);
    }

    /// Returns the entry of the unfinished line and its length, and forgets the line.
    pub(super) fn end(&mut self) -> Option<(Place, usize)> {
        let length = self.unfinished()?.len();
        self.tail = Vec::new();
        self.begun.take().map(|place| (place, length))
    }
}
