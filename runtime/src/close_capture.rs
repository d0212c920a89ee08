//! Capture of the peer's close frame as it was sent, from the bytes under a WebSocket.
//!
//! The WebSocket library replaces close codes that it does not allow (below 1000, 1004 to 1006, 1014 to 2999, 5000 and
//! above) by 1002. Logs and notices report the code that was sent.

/// Maximum size of a control frame's payload, in bytes (RFC 6455, 5.5).
const MAX_CONTROL_PAYLOAD: usize = 125;
/// Opcode of a close frame.
const CLOSE_OPCODE: u8 = 8;

/// Parser of a server's frames. It parses their heads, skips their payloads, and keeps that of a close frame.
#[derive(Debug, Default)]
pub(crate) struct CloseCapture {
    /// Head of the current frame. It has at most 10 bytes, since a server does not mask.
    head: [u8; 10],
    /// Number of received bytes of the head.
    head_len: usize,
    /// Number of bytes of the current payload that are not received yet.
    payload_left: u64,
    /// Received payload of the close frame.
    close_payload: Vec<u8>,
    /// True once the head of a close frame was received. Later frames are not parsed.
    is_close: bool,
}

impl CloseCapture {
    /// Parses the next bytes of the stream.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let length = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
                let (payload, rest) = bytes.split_at(length);
                self.read_payload(payload);
                bytes = rest;
            } else if self.is_close {
                return;
            } else {
                self.read_head(bytes[0]);
                bytes = &bytes[1..];
            }
        }
    }

    fn read_payload(&mut self, payload: &[u8]) {
        if self.is_close {
            let room = MAX_CONTROL_PAYLOAD - self.close_payload.len();
            self.close_payload.extend_from_slice(&payload[..payload.len().min(room)]);
        }
        self.payload_left -= payload.len() as u64;
    }

    fn read_head(&mut self, byte: u8) {
        self.head[self.head_len] = byte;
        self.head_len += 1;
        if let Some(length) = self.payload_length() {
            self.payload_left = length;
            self.is_close = self.head[0] & 0x0f == CLOSE_OPCODE;
            self.head_len = 0;
        }
    }

    /// Returns the length of the payload; `None` until the head is complete.
    fn payload_length(&self) -> Option<u64> {
        let head = &self.head[..self.head_len];
        match (head.get(1)? & 0x7f, head.len()) {
            (126, 4..) => Some(u64::from(u16::from_be_bytes([head[2], head[3]]))),
            (127, 10..) => head[2..].try_into().ok().map(u64::from_be_bytes),
            (126 | 127, _) => None,
            (short, _) => Some(u64::from(short)),
        }
    }

    /// Returns the code and the reason of the peer's close frame; `None` until the frame is complete, or if it has no
    /// code.
    pub(crate) fn peer_close(&self) -> Option<(u16, String)> {
        let (code, reason) = self.close_payload.split_first_chunk().filter(|_| self.payload_left == 0)?;
        Some((u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len();
        let head = match length {
            0..126 => vec![0x80 | opcode, length as u8],
            126..65536 => [&[0x80 | opcode, 126][..], &(length as u16).to_be_bytes()].concat(),
            _ => [&[0x80 | opcode, 127][..], &(length as u64).to_be_bytes()].concat(),
        };
        [head, payload.to_vec()].concat()
    }

    #[test]
    fn l_18_a_close_frame_is_found_in_any_pieces() {
        let close =
            |code: u16, reason: &str| frame(8, &[&code.to_be_bytes()[..], reason.as_bytes()].concat());
        for (bytes, expected) in [
            ([frame(1, b"text"), close(5000, "why")].concat(), Some((5000, "why".to_owned()))),
            ([frame(1, &[b'x'; 300]), close(999, "")].concat(), Some((999, String::new()))),
            (
                [frame(2, &[8; 70_000]), frame(9, b""), close(1005, "é")].concat(),
                Some((1005, "é".to_owned())),
            ),
            // A frame after the close frame is ignored.
            ([close(1006, "a"), close(1000, "b")].concat(), Some((1006, "a".to_owned()))),
            (frame(8, b""), None),
            (frame(8, b"x"), None),
            (close(4000, "cut")[..6].to_vec(), None),
            (frame(1, &close(5000, "in a text")), None),
        ] {
            for piece in [1, 2, 7, 4096, usize::MAX] {
                let mut parser = CloseCapture::default();
                bytes.chunks(piece.min(bytes.len())).for_each(|piece| parser.read(piece));
                assert_eq!(parser.peer_close(), expected, "pieces of {piece}");
            }
        }
    }
}
