//! Body of `GET events`: the events of an app for one client, with a comment now and then that keeps the connection.

use super::PageApp;
use super::event_log::{EventRead, event};
use futures_util::future::BoxFuture;
use hyper::body::{Body, Bytes, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Time without an event after which a comment is sent. A client that has gone is noticed by it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Creates a timer.
pub(super) type Sleep = Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Events for one client.
pub(super) struct EventStream {
    app: Arc<dyn PageApp>,
    client: u64,
    /// Next event; `None` if the client needs a snapshot.
    next: Option<u64>,
    sleep: Arc<Sleep>,
    /// Timer of the next comment.
    idle: BoxFuture<'static, ()>,
}

impl EventStream {
    /// Creates the stream of a client. `last` is the last event that it has, if it comes back. Returns `None` if there are
    /// too many clients.
    pub(super) fn new(app: Arc<dyn PageApp>, last: Option<u64>, sleep: Arc<Sleep>) -> Option<EventStream> {
        let client = app.events().join()?;
        let next = last.and_then(|last| last.checked_add(1)).filter(|next| app.events().has(*next));
        let idle = sleep(KEEP_ALIVE);
        Some(EventStream { app, client, next, sleep, idle })
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let text = loop {
            let Some(next) = this.next else {
                let snapshot = this.app.snapshot();
                this.next = Some(snapshot.next);
                // A page that continues after this id continues with the next event.
                break event(Some(snapshot.next.saturating_sub(1)), "reset", &snapshot.data.to_string())
                    .into();
            };
            match this.app.events().poll_read(this.client, next, cx) {
                Poll::Ready(EventRead::Events(text, next)) => {
                    this.next = Some(next);
                    break text;
                }
                Poll::Ready(EventRead::Gone) => this.next = None,
                Poll::Ready(EventRead::Closed) => return Poll::Ready(None),
                Poll::Pending if this.idle.as_mut().poll(cx).is_ready() => break ":\n\n".to_owned(),
                Poll::Pending => return Poll::Pending,
            }
        };
        this.idle = (this.sleep)(KEEP_ALIVE);
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.app.events().leave(self.client);
    }
}
