//! What comes in, as the host takes it.

use crate::shared::{Handle, wake};
use crate::signs::Sign;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use relayline_core::event::Event;
use relayline_core::output::{Content, DeliveryId, Fatal, Notice, Outcome};
use relayline_core::passthrough::Forward;
use relayline_core::session_key::session_key;
use std::fmt;
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

/// Something that came, and the duty to say what became of it: [`ack`](Self::ack) when the host has it durably.
/// Dropping it un-acked means "not taken": a buffered one comes again.
///
/// A host that needs the content no longer than the duty takes it apart with [`into_parts`](Self::into_parts).
#[must_use = "dropping a delivery refuses it: ack it once it is taken"]
pub struct Delivery<T = Event> {
    /// Boxed, since it is large and passed on by value.
    content: Box<T>,
    settlement: Settlement,
}

/// The duty to settle a delivery, without its content: [`ack`](Self::ack) when the host has it durably. Dropping it
/// means "not taken", as for a [`Delivery`].
#[must_use = "dropping it refuses the delivery: ack it once it is taken"]
pub struct Settlement {
    shared: Arc<Handle>,
    id: DeliveryId,
    buffered: bool,
    settled: bool,
}

impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settlement { id, buffered, settled, .. } = self;
        let mut shown = f.debug_struct("Settlement");
        shown.field("id", id).field("buffered", buffered).field("settled", settled).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Delivery { content, settlement: Settlement { id, buffered, .. } } = self;
        let mut shown = f.debug_struct("Delivery");
        shown.field("id", id).field("buffered", buffered).field("content", content).finish_non_exhaustive()
    }
}

impl Delivery {
    /// What came.
    pub fn message(&self) -> &Event {
        &self.content
    }

    /// Returns the JSON that the delivery came as, if the configuration asks for it (`raw_events`, X-4): see [`Event::raw`](Event::raw).
    pub fn raw(&self) -> Option<&str> {
        self.content.raw.as_deref()
    }

    /// Which conversation it belongs to, by the configured options (S).
    pub fn session_key(&self) -> String {
        let source = &self.content.source;
        session_key(source, self.settlement.shared.config.machine.sessions, source.profile.as_deref())
    }
}

impl Delivery<Forward> {
    /// What came.
    pub fn forward(&self) -> &Forward {
        &self.content
    }

    /// Returns the JSON that the delivery came as, if the configuration asks for it (`raw_events`, X-4).
    pub fn raw(&self) -> Option<&str> {
        self.content.raw()
    }
}

impl<T> Delivery<T> {
    fn new(shared: &Arc<Handle>, id: DeliveryId, buffered: bool, content: Box<T>) -> Self {
        let settlement = Settlement { shared: shared.clone(), id, buffered, settled: false };
        Delivery { content, settlement }
    }

    /// Separates the content from the duty to settle the delivery. A host that has passed the content on keeps the
    /// settlement alone, which is a few bytes.
    pub fn into_parts(self) -> (T, Settlement) {
        (*self.content, self.settlement)
    }

    /// The number of the delivery; the first is 1.
    pub fn id(&self) -> DeliveryId {
        self.settlement.id()
    }

    /// Whether it came from the connector's buffer, which holds on to it until it is acked.
    pub fn is_buffered(&self) -> bool {
        self.settlement.is_buffered()
    }

    /// The host has it durably: the connector may forget it. It means "taken", not "answered", so do not wait for
    /// the agent's turn.
    pub fn ack(self) {
        self.settlement.ack();
    }

    /// The host cannot take it.
    pub fn refuse(self) {
        self.settlement.refuse();
    }
}

impl Settlement {
    /// Returns the number of the delivery; the first is 1.
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// Returns whether the delivery came from the connector's buffer, which holds on to it until it is acked.
    pub fn is_buffered(&self) -> bool {
        self.buffered
    }

    /// Tells the connector that the host has the delivery durably. Do not wait for the agent's turn.
    pub fn ack(mut self) {
        self.settle(Outcome::Taken);
    }

    /// Says that the host cannot take the delivery.
    pub fn refuse(mut self) {
        self.settle(Outcome::Refused);
    }

    fn settle(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.settled, true) {
            self.shared.settle(self.id, outcome);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.settle(Outcome::Refused);
    }
}
