//! Inbox: the stream of events, interrupts and notices for the host.

use crate::control_queue::ControlItem;
use crate::delivery::Delivery;
use crate::shared::{Handle, wake};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use relayline_core::output::{Content, Fatal, Notice, Outcome};
use relayline_core::passthrough::Forward;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Item of the [`Inbox`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Incoming {
    /// Message of a chat.
    Message(Delivery),
    /// Answer to a prompt of this process.
    ///
    /// [`prompt_response`](relayline_core::event::Event::prompt_response) names the prompt and the option, and the event's
    /// source its author. If the configuration turns `prompts` off, answers are messages.
    PromptAnswer(Delivery),
    /// Request of a platform that is not a message, if the configuration enables `passthrough`.
    Forward(Delivery<Forward>),
    /// Request to stop the turn of exactly this session. It overtakes messages.
    Interrupt {
        /// Key of the session.
        session_key: String,
        /// Id of the chat; may be empty.
        chat_id: String,
    },
    /// Change of the connection, or an error of the connector. It overtakes messages.
    Notice(Notice),
    /// Permanent end of the gateway: it is revoked. This is the last item.
    Fatal(Fatal),
}

/// Stream of events, interrupts and notices. It ends when the gateway has disconnected, or after [`Incoming::Fatal`].
///
/// Cancel-safe: dropping a `next()` loses no item. If several tasks poll it, it wakes the last one.
///
/// Dropping the inbox stops delivery, and requests go on. Live events are lost from then on. The connector keeps buffered
/// events until another process acknowledges them.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Handle>,
    /// True once the stream has returned `None`.
    ended: bool,
}

impl Inbox {
    pub(crate) fn new(shared: Arc<Handle>) -> Self {
        Inbox { shared, ended: false }
    }
}

impl Inbox {
    /// Polls for the next interrupt, notice or end, and leaves deliveries queued, so that back-pressure applies to them. Use
    /// it in a host that has no room for events. A task that is pending here is not woken for deliveries.
    ///
    /// When the gateway has ended it returns the end even if deliveries are left. Dropping the inbox refuses them.
    pub fn poll_urgent(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.poll_some(cx, false)
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, deliveries: bool) -> Poll<Option<Incoming>> {
        let Inbox { shared, ended } = self;
        let mut state = shared.lock();
        if let Some(item) = state.control_queue.pop() {
            return Poll::Ready(Some(match item {
                ControlItem::Interrupt { session_key, chat_id } => {
                    Incoming::Interrupt { session_key, chat_id }
                }
                ControlItem::Notice(notice) => Incoming::Notice(notice),
            }));
        }
        if deliveries
            && state.has_delivery()
            && let Some((taken, driver)) = state.take_for_host(shared.mono_now())
        {
            let (id, buffered) = (taken.id, taken.buffered);
            let incoming = match taken.content {
                Content::Message(event) => Incoming::Message(Delivery::new(shared, id, buffered, event)),
                Content::PromptAnswer(event) => {
                    Incoming::PromptAnswer(Delivery::new(shared, id, buffered, event))
                }
                Content::Forward(forward) => Incoming::Forward(Delivery::new(shared, id, buffered, forward)),
                // The core and this crate have one version: there are no other contents yet.
                _ => {
                    state.machine.settle(shared.now(), id, Outcome::Refused);
                    let driver = driver.or(state.driver_waker.take());
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
        if state.terminated {
            *ended = true;
            return Poll::Ready(None);
        }
        let former = state.host_waker.replace(cx.waker().clone());
        state.host_wants_deliveries = deliveries;
        drop(state);
        // Not under the lock: a waker may own the last reference to a task that holds this gateway.
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
    /// Returns true once the stream has returned `None`.
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.inbox_dropped = true;
        state.control_queue.drop_all();
        state.discard_deliveries(self.shared.now());
        let (host, driver) = (state.host_waker.take(), state.driver_waker.take());
        drop(state);
        drop(host);
        wake(driver);
    }
}
