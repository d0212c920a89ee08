//! HAR files with WebSocket messages, read as recordings of the wire. Chrome and other browsers, mitmproxy and HTTP
//! Toolkit export them.
//!
//! An entry of `log.entries` is a dial if it has `_webSocketMessages`, a `_resourceType` of `websocket`, or a `ws` or
//! `wss` URL. If one of them is for `/relay`, only those for `/relay` are read. `startedDateTime` is the time of the
//! upgrade; a response other than 101 is a refusal. A message has `type` (`send` from the gateway, `receive` for it),
//! `time` (Unix seconds), `opcode` (1 text, also the default; 2 binary, as base64) and `data`. A HAR has little about
//! the end of a socket: opcode 8 is a close with its code in the data, an `error` (Chrome) is a cut, and otherwise
//! the socket stays open.

mod read;

use crate::recording::{Recording, RecordingError};

impl Recording {
    /// Returns true if the bytes are a HAR file: one JSON object with a `log`.
    pub fn is_har(bytes: &[u8]) -> bool {
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
        let name = text.strip_prefix(b"{").map(|text| text.trim_ascii_start());
        name.is_some_and(|name| name.starts_with(b"\"log\""))
    }

    /// Reads a HAR file.
    ///
    /// # Errors
    ///
    /// Fails with the line if the file is not valid JSON, else with the number of the entry, counted from 1.
    pub fn read_har(file: &str, bytes: &[u8]) -> Result<Recording, RecordingError> {
        read::read(file, bytes)
    }
}
