//! Dispatch of the machine's actions: to the host, to pending requests and to HTTP clients.

use crate::control_queue::ControlItem;
use crate::shared::{PendingRequest, State};
use crate::trace;
use futures_channel::oneshot;
use relayline_core::command::{Failure, Reply};
use relayline_core::output::{Action, Notice};
use relayline_core::time::Time;
use relayline_core::trace::Entry;
use relayline_core::webhook::WebhookResponse;

/// Answer to an HTTP request, and the channel to the client that waits for it.
pub(super) type Response = (Option<oneshot::Sender<WebhookResponse>>, WebhookResponse);

/// Outputs of the machine.
pub(super) struct Outputs {
    /// Results of requests, each with the request if it is known.
    pub(super) answers: Vec<(Option<PendingRequest>, Result<Reply, Failure>)>,
    pub(super) responses: Vec<Response>,
    /// All other actions.
    pub(super) actions: Vec<Action>,
}

impl Outputs {
    /// Takes the machine's actions.
    pub(super) fn take(state: &mut State, at: Time) -> Outputs {
        let mut outputs = Outputs { answers: Vec::new(), responses: Vec::new(), actions: Vec::new() };
        while let Some(action) = state.machine.poll_action() {
            trace::log(|| Entry::action(at, &action));
            match action {
                Action::Complete { id, result } => {
                    outputs.answers.push((state.pending_requests.remove(&id), result));
                }
                Action::Respond { id, answer } => {
                    outputs.responses.push((state.pending_webhooks.remove(&id), answer));
                }
                other => outputs.actions.push(other),
            }
        }
        state.watched.observe_machine(&state.machine);
        outputs
    }
}

/// Completes pending requests. Call it before the host is notified of actions: it gets a reply before the notice of its
/// cause. Call it without the lock: a reply runs a waker, which is foreign code.
pub(super) fn send_answers(answers: Vec<(Option<PendingRequest>, Result<Reply, Failure>)>, at: Time) {
    for (waiting, result) in answers {
        let Some(PendingRequest { sender, op, since }) = waiting else { continue };
        trace::answered(op, at.since(since), &result);
        // It fails if the caller has dropped the future.
        let _ = sender.send(result);
    }
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
