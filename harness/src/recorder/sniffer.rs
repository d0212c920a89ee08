//! Reader of a copy of a WebSocket's bytes. It neither answers nor changes anything. It reports an unreadable stream once.

use crate::recording::Data;
use async_tungstenite::tungstenite::protocol::frame::FrameHeader;
use async_tungstenite::tungstenite::protocol::frame::coding::{Control, Data as Kind, OpCode};
use std::io::Cursor;

/// Maximum size of a recorded message. A longer one is forwarded, and recorded as a note.
pub(super) const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Maximum size of a frame header (RFC 6455, 5.2).
const MAX_FRAME_HEADER_BYTES: usize = 14;

/// An item read from the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SniffedMessage {
    /// A whole message, assembled from its frames.
    Message(Data),
    /// A message of this many bytes, too long to be recorded.
    TooLong(u64),
    /// A close frame. The code is absent if the frame had none.
    Close { code: Option<u16>, reason: String },
    /// The stream is unreadable from here on.
    Unreadable(&'static str),
}

/// Reader of one direction of one socket.
#[derive(Debug, Default)]
pub(super) struct FrameSniffer {
    header: Vec<u8>,
    frame: Option<Frame>,
    message: Message,
    /// Payload of a control frame, which may come between the frames of a message.
    control: Vec<u8>,
    is_broken: bool,
}

/// A frame whose payload is being read.
#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    at: u64,
    length: u64,
}

#[derive(Debug, Default)]
struct Message {
    is_text: bool,
    bytes: Vec<u8>,
    length: u64,
}

impl FrameSniffer {
    /// Reads the next bytes. They may be cut at any position.
    pub(super) fn read(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(SniffedMessage)) {
        while !self.is_broken {
            if self.frame.as_ref().is_some_and(|frame| frame.at == frame.length) {
                self.end_frame(emit);
            }
            let Some((first, rest)) = bytes.split_first() else { return };
            if let Some(frame) = &mut self.frame {
                let left = usize::try_from(frame.length - frame.at).unwrap_or(usize::MAX);
                let (payload, remaining) = bytes.split_at(left.min(bytes.len()));
                let into = match frame.opcode {
                    OpCode::Control(_) => &mut self.control,
                    OpCode::Data(_) => &mut self.message.bytes,
                };
                // A message that is too long is counted, and not stored.
                if into.len() + payload.len() <= MAX_MESSAGE_BYTES {
                    frame.unmask(payload, into);
                }
                frame.at += payload.len() as u64;
                if let OpCode::Data(_) = frame.opcode {
                    self.message.length += payload.len() as u64;
                }
                bytes = remaining;
            } else {
                self.header.push(*first);
                bytes = rest;
                if let Err(why) = self.begin_frame() {
                    self.is_broken = true;
                    emit(SniffedMessage::Unreadable(why));
                }
            }
        }
    }

    /// Starts a frame once its header is complete.
    fn begin_frame(&mut self) -> Result<(), &'static str> {
        let parsed = FrameHeader::parse(&mut Cursor::new(&self.header));
        let (header, length) = match parsed {
            Ok(Some(parsed)) => parsed,
            Ok(None) if self.header.len() < MAX_FRAME_HEADER_BYTES => return Ok(()),
            Ok(None) | Err(_) => return Err("a frame has no valid header"),
        };
        self.header.clear();
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err("a frame uses an extension");
        }
        match header.opcode {
            OpCode::Control(_) if length > 125 => return Err("a control frame is too long"),
            OpCode::Control(_) => self.control.clear(),
            OpCode::Data(Kind::Continue) => {}
            OpCode::Data(kind) => {
                self.message = Message { is_text: kind == Kind::Text, ..Message::default() };
            }
        }
        let mask = header.mask.unwrap_or_default();
        self.frame = Some(Frame { opcode: header.opcode, is_final: header.is_final, mask, at: 0, length });
        Ok(())
    }

    fn end_frame(&mut self, emit: &mut impl FnMut(SniffedMessage)) {
        match self.frame.take().map(|frame| (frame.opcode, frame.is_final)) {
            Some((OpCode::Data(_), true)) => emit(std::mem::take(&mut self.message).into_sniffed()),
            Some((OpCode::Control(Control::Close), _)) => {
                let (code, reason) = match self.control.split_first_chunk() {
                    Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason),
                    None => (None, [].as_slice()),
                };
                emit(SniffedMessage::Close { code, reason: String::from_utf8_lossy(reason).into_owned() });
            }
            // Pings and pongs belong to each hop. They are forwarded, and not recorded.
            Some((OpCode::Control(Control::Ping | Control::Pong | Control::Reserved(_)), _))
            | Some((OpCode::Data(_), false))
            | None => {}
        }
    }
}

impl Frame {
    fn unmask(&self, payload: &[u8], into: &mut Vec<u8>) {
        if self.mask == [0; 4] {
            into.extend_from_slice(payload);
        } else {
            let first = usize::try_from(self.at % 4).unwrap_or(0);
            let mask = self.mask.iter().cycle().skip(first);
            into.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        }
    }
}

impl Message {
    fn into_sniffed(self) -> SniffedMessage {
        if self.length > self.bytes.len() as u64 {
            return SniffedMessage::TooLong(self.length);
        }
        if !self.is_text {
            return SniffedMessage::Message(Data::Binary(self.bytes));
        }
        // A text message must be UTF-8. Otherwise its bytes are kept.
        SniffedMessage::Message(match String::from_utf8(self.bytes) {
            Ok(text) => Data::Text(text),
            Err(error) => Data::Binary(error.into_bytes()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};

    fn bytes(frames: Vec<Frame>, masked: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for mut frame in frames {
            if masked {
                frame.header_mut().mask = Some([7, 0, 0xFF, 0x80]);
            }
            frame.format(&mut bytes).unwrap();
        }
        bytes
    }

    fn text(text: &str, kind: Kind, is_final: bool) -> Frame {
        Frame::message(text.as_bytes().to_vec(), OpCode::Data(kind), is_final)
    }

    fn seen(bytes: &[u8], cut: usize) -> Vec<SniffedMessage> {
        let (mut sniffer, mut all) = (FrameSniffer::default(), Vec::new());
        for piece in bytes.chunks(cut) {
            sniffer.read(piece, &mut |message| all.push(message));
        }
        all
    }

    #[test]
    fn messages_are_read_in_any_framing() {
        let message = |text: &str| SniffedMessage::Message(Data::Text(text.to_owned()));
        let long = "é".repeat(40_000);
        let close = |code: u16, reason: &str| {
            let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
            Frame::close(Some(frame))
        };
        let rows: Vec<(Vec<Frame>, Vec<SniffedMessage>)> = vec![
            (vec![text("", Kind::Text, true)], vec![message("")]),
            (
                vec![text("a\nb", Kind::Text, true), text("c", Kind::Text, true)],
                vec![message("a\nb"), message("c")],
            ),
            (vec![text(&long, Kind::Text, true)], vec![message(&long)]),
            (
                vec![
                    text("one ", Kind::Text, false),
                    Frame::ping(vec![1]),
                    text("", Kind::Continue, false),
                    Frame::pong(vec![]),
                    text("two", Kind::Continue, true),
                ],
                vec![message("one two")],
            ),
            (
                vec![Frame::message(vec![0, 255], OpCode::Data(Kind::Binary), true)],
                vec![SniffedMessage::Message(Data::Binary(vec![0, 255]))],
            ),
            (
                vec![Frame::message(vec![255], OpCode::Data(Kind::Text), true)],
                vec![SniffedMessage::Message(Data::Binary(vec![255]))],
            ),
            (
                vec![text("x", Kind::Text, false), close(4401, "expired"), text("y", Kind::Continue, true)],
                vec![SniffedMessage::Close { code: Some(4401), reason: "expired".into() }, message("xy")],
            ),
            (vec![Frame::close(None)], vec![SniffedMessage::Close { code: None, reason: String::new() }]),
            (vec![text("half", Kind::Text, false)], vec![]),
        ];
        for (frames, expected) in rows {
            for masked in [false, true] {
                let bytes = bytes(frames.clone(), masked);
                for cut in [1, 3, 4096, bytes.len()] {
                    assert_eq!(seen(&bytes, cut), expected, "{masked} {cut}");
                }
            }
        }
    }

    #[test]
    fn an_unreadable_stream_is_reported_once() {
        let mut compressed = text("x", Kind::Text, true);
        compressed.header_mut().rsv1 = true;
        for (mut bytes, why) in [
            (bytes(vec![compressed], true), "a frame uses an extension"),
            (vec![0x83, 0], "a frame has no valid header"),
            (vec![0x89, 126, 0, 126], "a control frame is too long"),
        ] {
            bytes.extend_from_slice(&[0x81, 1, b'x', 0x83, 0]);
            assert_eq!(seen(&bytes, 1), [SniffedMessage::Unreadable(why)]);
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_counted_and_not_kept() {
        let piece = vec![b'x'; MAX_MESSAGE_BYTES];
        let frames = vec![
            Frame::message(piece, OpCode::Data(Kind::Text), false),
            Frame::message(vec![b'x'; 9], OpCode::Data(Kind::Continue), true),
            text("next", Kind::Text, true),
        ];
        let mut sniffer = FrameSniffer::default();
        let mut all = Vec::new();
        for piece in bytes(frames, false).chunks(1 << 16) {
            sniffer.read(piece, &mut |message| all.push(message));
            assert!(sniffer.message.bytes.len() <= MAX_MESSAGE_BYTES);
        }
        let next = SniffedMessage::Message(Data::Text("next".into()));
        assert_eq!(all, [SniffedMessage::TooLong(MAX_MESSAGE_BYTES as u64 + 9), next]);
    }
}
