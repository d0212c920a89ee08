//! Roles of the connector: it accepts one gateway, and sends frames that are encoded in advance.

use crate::{Result, report};
use async_tungstenite::tungstenite::protocol::Role;
use async_tungstenite::tungstenite::{Message, WebSocket, accept};
use relayline_bench::events::{Frame, write_digits};
use relayline_bench::machine::DESCRIPTOR;
use relayline_bench::reports::Listening;
use relayline_bench::requests::{request_id, write_result};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;

/// Number of chats that events come from, in turn.
const CHATS: u64 = 100;
/// Number of events in a block, which is written at once, and the number of digits that count them.
const BLOCK: u64 = 1000;
const BLOCK_DIGITS: usize = 3;

/// Sends at least `count` events, each a message of its own, as fast as the gateway reads.
pub(crate) fn send(count: u64) -> Result<()> {
    let mut stream = accept_gateway()?.into_inner();
    let mut block = Block::new();
    for number in 0..count.div_ceil(BLOCK) {
        if stream.write_all(block.with(number)).is_err() {
            // The gateway has all that it wanted, and left.
            return Ok(());
        }
    }
    // Until the gateway leaves.
    while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    Ok(())
}

/// Answers each request at once, until the gateway leaves.
pub(crate) fn answer() -> Result<()> {
    let answering = Answering { stream: accept_gateway()?.into_inner(), results: Vec::new() };
    // No bytes are lost with the former socket: until now the gateway has waited for the descriptor.
    let mut socket = WebSocket::from_raw_socket(answering, Role::Server, None);
    let mut result = Vec::new();
    while let Ok(message) = socket.read() {
        // A frame without an id needs no result.
        if let Message::Text(text) = message
            && let Some(id) = request_id(text.as_bytes())
        {
            write_result(id, &mut result);
            encode(&result, &mut socket.get_mut().results);
        }
    }
    Ok(())
}

/// Stream that writes the results of all requests that it has read before it reads further ones.
struct Answering {
    stream: TcpStream,
    /// Results that are not written yet, as the bytes of WebSocket frames.
    results: Vec<u8>,
}

impl Read for Answering {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.results.is_empty() {
            self.stream.write_all(&self.results)?;
            self.results.clear();
        }
        self.stream.read(buffer)
    }
}

impl Write for Answering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Reports the port, accepts a gateway, and answers its hello.
fn accept_gateway() -> Result<WebSocket<TcpStream>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    report(&Listening { port: listener.local_addr()?.port(), certificate: None })?;
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut socket = accept(stream).map_err(|error| error.to_string())?;
    let hello = socket.read()?;
    if !hello.to_text()?.contains("\"hello\"") {
        return Err(format!("the gateway says no hello: {hello}").into());
    }
    socket.send(Message::text(format!("{DESCRIPTOR}\n")))?;
    Ok(socket)
}

/// Events as the bytes of WebSocket frames. Their message ids are replaced in place.
struct Block {
    bytes: Vec<u8>,
    /// Places of the message ids without the digits that count the events of the block.
    prefixes: Vec<Range<usize>>,
}

impl Block {
    fn new() -> Block {
        let (mut bytes, mut prefixes, mut event) = (Vec::new(), Vec::new(), Frame::long());
        for number in 0..BLOCK {
            encode(event.with(number, number % CHATS), &mut bytes);
            let start = bytes.len() - event.with(number, number % CHATS).len();
            let places = event.message_ids().map(|id| start + id.start..start + id.end - BLOCK_DIGITS);
            prefixes.extend(places);
        }
        Block { bytes, prefixes }
    }

    /// Gives the events message ids that no block of another number has.
    fn with(&mut self, number: u64) -> &[u8] {
        let mut digits = Vec::new();
        for place in &self.prefixes {
            if digits.is_empty() {
                digits.resize(place.len(), 0);
                write_digits(&mut digits, number);
            }
            self.bytes[place.clone()].copy_from_slice(&digits);
        }
        &self.bytes
    }
}

/// Appends a WebSocket frame with a text of less than 64 KiB, as a server sends it: unmasked.
fn encode(text: &[u8], out: &mut Vec<u8>) {
    const FINAL_TEXT: u8 = 0x81;
    const TWO_BYTES_OF_LENGTH: u8 = 126;
    out.push(FINAL_TEXT);
    match u8::try_from(text.len()) {
        Ok(length) if length < TWO_BYTES_OF_LENGTH => out.push(length),
        _ => {
            out.push(TWO_BYTES_OF_LENGTH);
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}
