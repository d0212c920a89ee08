//! Writer of the machine's messages: the drive loop writes most of them, and a call of the host a lone request.

use crate::observe::{DialObserver, WireEvent, WireSide};
use crate::trace;
use crate::web_socket::WebSocket;
use relayline_core::machine::RelayMachine;
use relayline_core::output::Transmit;
use relayline_core::time::Now;
use relayline_core::trace::{Entry, Ids};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Bytes, Message, Utf8Bytes};

/// Maximum number of messages per batch, in each direction.
pub(super) const MAX_MESSAGES: usize = 64;

/// Socket, and what writing to it needs.
pub(crate) struct Writer {
    pub(super) web_socket: WebSocket,
    /// Reusable buffer of a frame to write.
    frame: Vec<u8>,
    /// Ids of the trace, if it was enabled when the socket opened.
    ids: Option<Ids>,
    observer: Option<DialObserver>,
}

impl Writer {
    /// Queues the machine's messages, up to a bound, while the socket accepts messages. Write them by
    /// [`flush`](Self::flush).
    pub(crate) fn take_messages(&mut self, machine: &mut RelayMachine, now: Now) {
        let Writer { web_socket, frame, ids, observer } = self;
        for _ in 0..MAX_MESSAGES {
            if !web_socket.has_room() {
                break;
            }
            let Some(transmit) = machine.poll_transmit(now, frame) else { break };
            if let Some(ids) = ids {
                trace::log(|| Entry::transmit(now.mono, &transmit, frame, ids));
            }
            let by = WireSide::Gateway;
            let message = match transmit {
                Transmit::Frame { .. } => {
                    let bytes = Bytes::copy_from_slice(frame);
                    if let Some(observer) = observer {
                        observer.note(now.mono, WireEvent::Message { by, bytes: &bytes });
                    }
                    // Frames are JSON, so they are UTF-8.
                    Message::Text(Utf8Bytes::try_from(bytes).unwrap_or_else(|_| Utf8Bytes::from_static("\n")))
                }
                Transmit::Ping { .. } => Message::Ping(Bytes::new()),
                Transmit::Close { code, reason, .. } => {
                    if let Some(observer) = observer {
                        observer.note(now.mono, WireEvent::Close { by, code: Some(code), reason });
                    }
                    Message::Close(Some(CloseFrame {
                        code: code.into(),
                        reason: Utf8Bytes::from_static(reason),
                    }))
                }
            };
            // The read side reports errors of the write side, since it knows the peer's close frame.
            if web_socket.queue(message).is_err() {
                break;
            }
        }
    }

    /// Writes the queued messages. If the socket takes no more bytes it wakes the drive loop, which writes the rest. Call it
    /// without the lock of the state.
    pub(crate) fn flush(&mut self) {
        // If it fails, the read side reports the error.
        let _ = self.web_socket.poll_flush();
    }
}

/// Writer that the drive loop shares with calls of the host.
///
/// The loop waits for its lock only while it does not hold that of the state. A call of the host, which holds that, does
/// not wait for it.
#[derive(Clone)]
pub(crate) struct SharedWriter(Arc<Mutex<Writer>>);

/// Writer of a socket that may have ended.
#[derive(Default)]
pub(crate) struct WeakWriter(Weak<Mutex<Writer>>);

impl SharedWriter {
    pub(super) fn new(
        web_socket: WebSocket,
        ids: Option<Ids>,
        observer: Option<DialObserver>,
    ) -> SharedWriter {
        SharedWriter(Arc::new(Mutex::new(Writer { web_socket, frame: Vec::new(), ids, observer })))
    }

    pub(super) fn downgrade(&self) -> WeakWriter {
        WeakWriter(Arc::downgrade(&self.0))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Writer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the writer, unless it is in use.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Writer>> {
        match self.0.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl WeakWriter {
    /// Returns the writer, unless the socket has ended.
    pub(crate) fn upgrade(&self) -> Option<SharedWriter> {
        self.0.upgrade().map(SharedWriter)
    }
}
