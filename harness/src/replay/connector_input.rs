//! Input from the connector: live ids replace the recorded ones, messages are cut by the options, and each line is
//! traced.

use super::player::Player;
use super::run::{Cut, Drain};
use relayline_core::machine::IoEvent;
use relayline_core::output::Conn;
use serde_json::{Value, json};

impl Player<'_> {
    /// Queues a message of the connector, with live ids in place of the recorded ones.
    pub(super) fn connector_line(&mut self, at: usize, dial: usize, recorded: &[u8]) {
        let Some(conn) = self.conn(dial) else { return };
        let bytes = self.with_live_names(at, dial, recorded);
        self.trace_lines(dial, &bytes);
        if bytes.is_empty() {
            self.io(IoEvent::Alive { conn });
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(self.piece(rest.len()));
            self.sockets[dial].unread.extend_from_slice(piece);
            self.sockets[dial].is_within_line = !piece.ends_with(b"\n");
            self.read(dial, conn);
            if self.options.drain == Drain::Pieces {
                self.drain();
            }
            rest = behind;
        }
        self.drain();
        self.read_waiting();
        self.acknowledge_choices(at, dial);
    }

    /// Answers a request for which no recorded result will come. Returns true if there was one.
    pub(super) fn answer_unrecorded(&mut self) -> bool {
        let can_hear = |(dial, ..): &(usize, String, Value)| {
            self.sockets.get(*dial).is_some_and(|socket| !socket.is_within_line && socket.unread.is_empty())
        };
        let Some(place) = self.owed.iter().position(can_hear) else { return false };
        let (dial, id, result) = self.owed.remove(place);
        let Some(conn) = self.conn(dial) else { return true };
        let frame = json!({"type": "outbound_result", "requestId": id, "result": result});
        let bytes = format!("{frame}\n").into_bytes();
        self.trace_lines(dial, &bytes);
        self.sockets[dial].unread.extend_from_slice(&bytes);
        self.read(dial, conn);
        true
    }

    fn piece(&mut self, left: usize) -> usize {
        match self.options.cut {
            Cut::Whole => left,
            Cut::Bytes => 1,
            Cut::Random(_) => {
                // xorshift64 is random enough for cut positions.
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                left.min(usize::try_from(self.random % 16).unwrap_or(0) + 1)
            }
        }
    }

    /// Feeds the unread bytes, as far as the machine takes them.
    fn read(&mut self, dial: usize, conn: Conn) {
        let unread = std::mem::take(&mut self.sockets[dial].unread);
        let used = self.machine.handle_bytes(self.clock(), conn, &unread);
        self.sockets[dial].unread = unread[used.min(unread.len())..].to_vec();
    }

    /// Feeds the waiting bytes while the machine has room.
    pub(super) fn read_waiting(&mut self) {
        for dial in 0..self.sockets.len() {
            let Some(conn) = self.conn(dial) else { continue };
            while !self.sockets[dial].unread.is_empty() && self.machine.wants_read() {
                self.read(dial, conn);
                self.drain();
            }
        }
    }

    fn with_live_names(&self, at: usize, dial: usize, recorded: &[u8]) -> Vec<u8> {
        let dial = &self.session.dials[dial];
        let start = dial.start_of(at);
        let end = start + recorded.len();
        let mut bytes = Vec::with_capacity(recorded.len());
        let mut done = start;
        // The ranges are in order, so only those of this message are looked at.
        let first = dial.names.partition_point(|(range, _)| range.end <= start);
        for (range, name) in dial.names[first..].iter().take_while(|(range, _)| range.start < end) {
            let Some(live) = name.live(&self.live_ids) else { continue };
            // An id that two messages share is sent with the first.
            if range.start >= start {
                bytes.extend_from_slice(&recorded[done - start..range.start - start]);
                bytes.extend_from_slice(live.as_bytes());
            }
            done = range.end.min(end);
        }
        bytes.extend_from_slice(&recorded[done - start..]);
        bytes
    }

    /// Traces the lines that a message completes.
    fn trace_lines(&mut self, dial: usize, bytes: &[u8]) {
        if let Some(lines) = &mut self.sockets[dial].lines {
            self.run.trace.extend(lines.received(self.now, bytes));
        }
    }
}
