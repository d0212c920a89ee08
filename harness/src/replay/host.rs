//! Commands of a recorded host, derived from its gateway's frames. Used if only the wire was recorded.

use super::session::{Dial, Frame, Session};
use crate::recording::Recording;
use relayline_core::command::{Command, Metadata};
use relayline_core::op::{Interrupt, Prompt, PromptKind, Raw};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Returns the command that a frame of the gateway implies; `None` for frames that a gateway writes by itself. `at` is
/// the frame's position among those of its dial.
pub(crate) fn implied(recording: &Recording, session: &Session, dial: usize, at: usize) -> Option<Command> {
    let frame = &session.dials[dial].wrote[at];
    match frame.kind() {
        "outbound" => Some(prompt(&frame.value["action"]).map_or_else(|| raw(frame), Command::from)),
        "interrupt" => {
            let mut interrupt = Interrupt::new(frame.value["session_key"].as_str().unwrap_or_default());
            interrupt.reason = frame.value["reason"].as_str().map(str::to_owned);
            Some(Command::Interrupt(interrupt))
        }
        "going_idle" => Some(match idle_purpose(recording, session, dial, at) {
            IdlePurpose::Disconnect => Command::Disconnect,
            IdlePurpose::Dormant => Command::GoDormant,
            IdlePurpose::Idle => Command::GoIdle,
        }),
        _ => None,
    }
}

/// Returns a request as a raw action.
pub(crate) fn raw(frame: &Frame) -> Command {
    bare(frame.value["action"].as_object().cloned().unwrap_or_default())
}

/// Returns the prompt of an action, so that the machine recognizes its answers (I-3).
fn prompt(action: &Value) -> Option<Prompt> {
    if action["op"] != "prompt" {
        return None;
    }
    let options: Vec<_> = Vec::deserialize(&action["options"]).ok()?;
    let mut prompt = Prompt::new(action["chat_id"].as_str()?, action["content"].as_str()?, options);
    prompt.kind = PromptKind::deserialize(&action["prompt_kind"]).ok()?;
    prompt.timeout = action["timeout_s"].as_u64().map(Duration::from_secs);
    prompt.reply_to = action["reply_to"].as_str().map(str::to_owned);
    prompt.metadata = action["metadata"].as_object().cloned().unwrap_or_default();
    Some(prompt)
}

/// Purpose of a `going_idle`. It is derived from the events after the frame.
enum IdlePurpose {
    Disconnect,
    Dormant,
    Idle,
}

/// Maximum time from a `going_idle` or its confirmation to the close that it leads to: the time limit of a disconnect
/// (L-14).
const MAX_CLOSE_DELAY_MS: u64 = 5000;
/// Minimum time that a dormant gateway waits before it dials. A resumed one dials at once (L-12, L-13).
const MIN_DORMANT_MS: u64 = 1000;
/// Time that a disconnect waits for the confirmation, with some tolerance (L-14).
const CONFIRMATION_WAIT_MS: u64 = 1900;
/// Minimum time in which a new process starts.
const MIN_RESTART_MS: u64 = 300;

fn idle_purpose(recording: &Recording, session: &Session, dial: usize, at: usize) -> IdlePurpose {
    let t_ms = |line: usize| recording.lines[line].t_ms;
    let Dial { wrote, heard, .. } = &session.dials[dial];
    let asked = wrote[at].line;
    let Some((close, _)) = session.dials[dial].closed_by_gateway() else { return IdlePurpose::Idle };
    let confirmed = heard.iter().find(|frame| frame.line > asked && frame.kind() == "going_idle_ack");
    let known = confirmed.map_or(asked, |frame| frame.line);
    // A gateway that closes for this reason makes no more requests. Acknowledgements may follow.
    let goes_on = wrote[at + 1..].iter().any(|frame| frame.line > known && frame.kind() != "inbound_ack");
    if goes_on || t_ms(close).saturating_sub(t_ms(known)) > MAX_CLOSE_DELAY_MS {
        return IdlePurpose::Idle;
    }
    let waited = t_ms(close).saturating_sub(t_ms(asked));
    let again = session.dials.get(dial + 1).map(|next| t_ms(next.line).saturating_sub(t_ms(close)));
    match (again, confirmed) {
        // A disconnecting gateway takes no more requests (L-14), so a request in between means dormant.
        (None, Some(_)) if wrote[at + 1..].iter().any(|frame| frame.kind() == "outbound") => {
            IdlePurpose::Dormant
        }
        (None, _) => IdlePurpose::Disconnect,
        (Some(MIN_DORMANT_MS..), Some(_)) => IdlePurpose::Dormant,
        // A gateway goes dormant only after a confirmation. A resuming host does not wait for it.
        (Some(MIN_RESTART_MS..), None) if waited >= CONFIRMATION_WAIT_MS => IdlePurpose::Disconnect,
        (Some(_), Some(_) | None) => IdlePurpose::Idle,
    }
}

/// Returns a raw action without any addition.
pub(crate) fn bare(action: Metadata) -> Command {
    Command::from(Raw::new(action).bare(true))
}
