//! What the machine's actions mean to the host, and to whoever waits for an answer.

use crate::shared::{State, Waiting};
use crate::signs::Sign;
use crate::trace;
use futures_channel::oneshot;
use relayline_core::output::{Action, Notice};
use relayline_core::time::Time;
use relayline_core::trace::Entry;
use relayline_core::webhook::WebhookResponse;
use std::sync::MutexGuard;

/// Who waits for the answer to an HTTP request, and the answer.
pub(super) type Response = (Option<oneshot::Sender<WebhookResponse>>, WebhookResponse);

/// Takes what the machine wants done. The answers to requests among it are given at once: so they are there before the
/// host hears of what has ended them. Whether there was one, the other actions, and the answers to HTTP requests, which
/// are for [`respond`] once those are done.
///
/// Not under the lock, for an answer wakes who waits for it, and a waker's code is not ours.
pub(super) fn answer(mut state: MutexGuard<'_, State>, at: Time) -> (bool, Vec<Action>, Vec<Response>) {
    let (mut answers, mut responses, mut actions) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(action) = state.machine.poll_action() {
        trace::log(|| Entry::action(at, &action));
        match action {
            Action::Complete { id, result } => answers.push((state.waiting.remove(&id), result)),
            Action::Respond { id, answer } => responses.push((state.unanswered.remove(&id), answer)),
            other => actions.push(other),
        }
    }
    let State { watched, machine, .. } = &mut *state;
    watched.see(machine);
    drop(state);
    let answered = !answers.is_empty();
    for (waiting, result) in answers {
        let Some(Waiting { sender, op, since }) = waiting else { continue };
        trace::answered(op, at.since(since), &result);
        // Who has given up on the answer does not get it.
        let _ = sender.send(result);
    }
    (answered, actions, responses)
}

/// Gives HTTP clients their answers, once the host has what they are the answers to.
pub(super) fn respond(responses: Vec<Response>) {
    for (client, answer) in responses {
        // A client that has gone away does not get it.
        let _ = client.map(|client| client.send(answer));
    }
}

/// What an action means to the host. The network's mean nothing to it, and answers are given already.
pub(super) fn tell(state: &mut State, action: Action) {
    match action {
        Action::Dial { .. } | Action::Drop { .. } | Action::Complete { .. } | Action::Respond { .. } => {}
        Action::Interrupt { session_key, chat_id } => state.sign(Sign::Interrupt { session_key, chat_id }),
        Action::Notify(notice) => {
            state.over |= matches!(notice, Notice::Stopped);
            state.watched.heard(&notice);
            state.sign(Sign::Notice(notice));
        }
        Action::Fatal(fatal) => {
            state.fatal = Some(fatal);
            state.over = true;
        }
    }
}
