//! Dispatch of the machine's actions: to the host, to pending requests and to HTTP clients.

use crate::control_queue::ControlItem;
use crate::shared::{PendingRequest, State};
use crate::trace;
use futures_channel::oneshot;
use relayline_core::output::{Action, Notice};
use relayline_core::time::Time;
use relayline_core::trace::Entry;
use relayline_core::webhook::WebhookResponse;
use std::sync::MutexGuard;

/// Answer to an HTTP request, and the channel to the client that waits for it.
pub(super) type Response = (Option<oneshot::Sender<WebhookResponse>>, WebhookResponse);

/// Takes the machine's actions, and completes pending requests at once: the host gets a reply before the notice of its
/// cause. Returns three values: true if a request was completed; the other actions; and the responses to HTTP requests,
/// for [`send_responses`].
///
/// Releases the lock before it sends replies: a reply runs a waker, which is foreign code.
pub(super) fn complete_requests(
    mut state: MutexGuard<'_, State>,
    at: Time,
) -> (bool, Vec<Action>, Vec<Response>) {
    let (mut answers, mut responses, mut actions) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(action) = state.machine.poll_action() {
        trace::log(|| Entry::action(at, &action));
        match action {
            Action::Complete { id, result } => answers.push((state.pending_requests.remove(&id), result)),
            Action::Respond { id, answer } => responses.push((state.pending_webhooks.remove(&id), answer)),
            other => actions.push(other),
        }
    }
    let State { watched, machine, .. } = &mut *state;
    watched.observe_machine(machine);
    drop(state);
    let answered = !answers.is_empty();
    for (waiting, result) in answers {
        let Some(PendingRequest { sender, op, since }) = waiting else { continue };
        trace::answered(op, at.since(since), &result);
        // It fails if the caller has dropped the future.
        let _ = sender.send(result);
    }
    (answered, actions, responses)
}

/// Sends answers to HTTP clients. Call it after the host was notified of the delivery.
pub(super) fn send_responses(responses: Vec<Response>) {
    for (client, answer) in responses {
        // It fails if the client has disconnected.
        let _ = client.map(|client| client.send(answer));
    }
}

/// Queues the interrupt or notice of an action for the host, and records a fatal error. All other actions are handled
/// elsewhere.
pub(super) fn notify_host(state: &mut State, action: Action) {
    match action {
        Action::Dial { .. } | Action::Drop { .. } | Action::Complete { .. } | Action::Respond { .. } => {}
        Action::Interrupt { session_key, chat_id } => {
            state.notify(ControlItem::Interrupt { session_key, chat_id })
        }
        Action::Notify(notice) => {
            state.terminated |= matches!(notice, Notice::Stopped);
            state.watched.observe_notice(&notice);
            state.notify(ControlItem::Notice(notice));
        }
        Action::Fatal(fatal) => {
            state.fatal = Some(fatal);
            state.terminated = true;
        }
    }
}
