//! How a peer's bytes begin: what is not HTTP may be TLS.

use crate::wires::{Stream, writes_through};
use futures_io::AsyncRead;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

/// Stream that remembers its first two bytes.
pub(crate) struct FirstBytes {
    stream: Stream,
    beginning: Beginning,
}

/// The first two bytes that were read of a stream. It outlives the stream.
#[derive(Clone, Default)]
pub(crate) struct Beginning(
    /// The bytes, and above them how many there are.
    Arc<AtomicU32>,
);

impl FirstBytes {
    pub(crate) fn of(stream: Stream) -> FirstBytes {
        FirstBytes { stream, beginning: Beginning::default() }
    }

    pub(crate) fn beginning(&self) -> Beginning {
        self.beginning.clone()
    }

    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }
}

impl Beginning {
    fn add(&self, bytes: &[u8]) {
        let mut known = self.0.load(Relaxed);
        for byte in bytes {
            let (count, first) = (known >> 16, known & 0xffff);
            if count == 2 {
                break;
            }
            known = (count + 1) << 16 | (first << 8 | u32::from(*byte)) & 0xffff;
        }
        self.0.store(known, Relaxed);
    }

    /// Explains why these bytes are not an answer, if they tell.
    pub(crate) fn explain(&self) -> Option<String> {
        /// Two bytes: record type and major version of a TLS alert (RFC 8446, 5.1).
        const TLS_ALERT: u32 = 2 << 16 | 0x1503;
        match self.0.load(Relaxed) {
            0 => Some(
                "the connection ended before an answer came: check the URL's port, and whether it speaks TLS \
                 (https:// or wss://)"
                    .to_owned(),
            ),
            TLS_ALERT => Some("the port speaks TLS: write the URL with https:// or wss://".to_owned()),
            _ => None,
        }
    }
}

impl AsyncRead for FirstBytes {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let polled = self.stream.as_mut().poll_read(cx, room);
        if let Poll::Ready(Ok(read)) = polled {
            self.beginning.add(&room[..read]);
        }
        polled
    }
}

writes_through!(FirstBytes);
