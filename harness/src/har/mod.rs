//! HAR files with WebSocket messages, as Chrome and other browsers, mitmproxy and HTTP Toolkit export them, read as
//! recordings of the wire.
//!
//! Of `log.entries` those count that have `_webSocketMessages`, a `websocket` as `_resourceType`, or a `ws`
//! or `wss` URL: each is a dial. Where one of
//! them goes to `/relay`, only those that do are read. `startedDateTime` is when the upgrade was sent; an answer other
//! than 101 is a refusal. A message has `type` (`send` by the gateway, `receive` by it), `time` (unix seconds),
//! `opcode` (1 text, also where there is none; 2 binary, as base64) and `data`. A HAR says little of how a socket ended: opcode 8 is a close
//! whose code is in its data, an `error` (Chrome) is a cut, and else it stays open.

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
