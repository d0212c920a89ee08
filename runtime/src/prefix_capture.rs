//! Stream that captures its first bytes, to tell TLS from HTTP when an answer cannot be parsed.

use crate::dialer::{ByteStream, delegate_writes};
use futures_io::AsyncRead;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

/// Stream that captures its first two bytes.
pub(crate) struct PrefixCapture {
    stream: ByteStream,
    prefix: Prefix,
}

/// First two bytes read from a stream. It outlives the stream.
#[derive(Clone, Default)]
pub(crate) struct Prefix(
    /// The bytes, and their number in the upper half.
    Arc<AtomicU32>,
);

impl PrefixCapture {
    pub(crate) fn of(stream: ByteStream) -> PrefixCapture {
        PrefixCapture { stream, prefix: Prefix::default() }
    }

    pub(crate) fn prefix(&self) -> Prefix {
        self.prefix.clone()
    }

    pub(crate) fn into_stream(self) -> ByteStream {
        self.stream
    }
}

impl Prefix {
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

    /// Explains why these bytes are not an HTTP answer, if they show it.
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

impl AsyncRead for PrefixCapture {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let polled = self.stream.as_mut().poll_read(cx, room);
        if let Poll::Ready(Ok(read)) = polled {
            self.prefix.add(&room[..read]);
        }
        polled
    }
}

delegate_writes!(PrefixCapture);
