//! What comes in, as the host takes it.

use crate::delivery::Delivery;
use crate::shared::{Handle, wake};
use crate::signs::Sign;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use relayline_core::output::{Content, Fatal, Notice, Outcome};
use relayline_core::passthrough::Forward;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The one thing that comes next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incoming {
    /// A message.
    Message(Delivery),
    /// An answer to one of this process's prompts: [`Event::prompt_response`] says which, the source who gave it (I-4).
    /// With `prompts` off in the configuration answers are messages (I-6).
    PromptAnswer(Delivery),
    /// A platform's request that became no message, where the configuration asks for them (P-2).
    Forward(Delivery<Forward>),
    /// Stop the turn of exactly this session. It overtakes messages (L-16).
    Interrupt {
        /// The session.
        session_key: String,
        /// The chat; may be empty.
        chat_id: String,
    },
    /// How the connection does. It overtakes messages.
    Notice(Notice),
    /// It is over for good; the last item (L-10).
    Fatal(Fatal),
}

/// The stream of what comes in. It ends when the relay has been disconnected, or after [`Incoming::Fatal`].
///
/// Cancel-safe: what a dropped `next()` has not given comes with the next one. Polled by several tasks, it wakes the
/// last that polled.
///
/// Dropping it says that nothing more will be taken. Requests go on. What comes live is lost from then on; what the
/// connector has buffered stays there until another process takes it.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Handle>,
    /// The end was told.
    ended: bool,
}

impl Inbox {
    pub(crate) fn new(shared: Arc<Handle>) -> Self {
        Inbox { shared, ended: false }
    }
}

impl Inbox {
    /// Polls for the next interrupt, notice or end, and leaves deliveries where they wait, so that back-pressure acts on
    /// them. For a host that has no room for events, and is still to hear of the rest. A task that is pending here
    /// is not woken for deliveries.
    ///
    /// Where it is over it says so whatever deliveries are left: they are refused as the inbox is dropped.
    pub fn poll_urgent(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.poll_some(cx, false)
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, deliveries: bool) -> Poll<Option<Incoming>> {
        let Inbox { shared, ended } = self;
        let mut state = shared.lock();
        if let Some(sign) = state.signs.pop() {
            return Poll::Ready(Some(match sign {
                Sign::Interrupt { session_key, chat_id } => Incoming::Interrupt { session_key, chat_id },
                Sign::Notice(notice) => Incoming::Notice(notice),
            }));
        }
        if deliveries
            && state.machine.has_delivery()
            && let Some((taken, driver)) = state.take_for_host(shared.now())
        {
            let (id, buffered) = (taken.id, taken.buffered);
            let incoming = match taken.content {
                Content::Message(event) => Incoming::Message(Delivery::new(shared, id, buffered, event)),
                Content::PromptAnswer(event) => {
                    Incoming::PromptAnswer(Delivery::new(shared, id, buffered, event))
                }
                Content::Forward(forward) => {
                    Incoming::Forward(Delivery::new(shared, id, buffered, Box::new(forward)))
                }
                // The core and this crate are of one version: there is nothing else yet.
                _ => {
                    state.machine.settle(shared.now(), id, Outcome::Refused);
                    let driver = driver.or(state.driver.take());
                    drop(state);
                    wake(driver);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            };
            drop(state);
            wake(driver);
            return Poll::Ready(Some(incoming));
        }
        if let Some(fatal) = state.fatal.take() {
            return Poll::Ready(Some(Incoming::Fatal(fatal)));
        }
        if state.over {
            *ended = true;
            return Poll::Ready(None);
        }
        let former = state.host.replace(cx.waker().clone());
        state.host_takes = deliveries;
        drop(state);
        // A waker may be the last that holds a task, and with it another half of this: never under the lock.
        drop(former);
        Poll::Pending
    }
}

impl Stream for Inbox {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.poll_some(cx, true)
    }
}

impl FusedStream for Inbox {
    /// Whether it has said that it is over.
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.deaf = true;
        state.signs.drop_all();
        state.drain_if_deaf(self.shared.now());
        let (host, driver) = (state.host.take(), state.driver.take());
        drop(state);
        drop(host);
        wake(driver);
    }
}
