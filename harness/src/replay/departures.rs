//! Where a rule makes us differ from a recorded gateway, and which sessions need rules that are not built yet.

use super::run::{Before, Dialed, Run};
use super::session::{End, Frame};
use super::verdict::{Difference, Kind};
use crate::recording::{By, Recording};
use data_encoding::{BASE64, BASE64_NOPAD};
use serde_json::{Value, json};
use std::fmt;

/// A difference that a rule asks for. None is wider than its `what` says.
#[derive(Clone, Copy)]
pub struct Departure {
    /// The rule, by its id.
    pub rule: &'static str,
    /// How the `recorded_from` begins of the recordings it is for.
    pub recorded_from: &'static str,
    /// What exactly differs.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    pub(crate) allows: fn(&Difference, &Case<'_>) -> bool,
}

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departure")
            .field("rule", &self.rule)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

/// A session that cannot pass yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotBuilt {
    /// Its name.
    pub session: &'static str,
    /// The missing rule.
    pub rule: &'static str,
    /// What is missing.
    pub why: &'static str,
}

/// Sessions that need rules which are not built yet. The list only shrinks: one that passes must leave it.
pub const NOT_BUILT: &[NotBuilt] = &[];

/// What a departure looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) run: &'a Run,
}

/// Every difference that a rule asks for.
pub const DEPARTURES: &[Departure] = &[
    Departure {
        rule: "L-14",
        recorded_from: "python reference",
        what: "our last frame before the close of a disconnect is a going_idle that was not recorded",
        why: "the first public version closed at once, and its transport alone still does: what the connector sends \
              meanwhile is lost unless it was told to buffer",
        allows: going_idle_before_the_close,
    },
    Departure {
        rule: "L-14",
        recorded_from: "python reference",
        what: "a going_idle that was recorded after another one on the same connection is not written",
        why: "the connector buffers already, and its second confirmation says nothing new",
        allows: asks_once,
    },
    Departure {
        rule: "L-9",
        recorded_from: "python reference",
        what: "after an auth refusal of a connection whose handshake was complete we dial once more, where the \
               recorded gateway was fatal",
        why: "the reference takes the first refusal as final; one bad answer of a connector that restarts would \
              disable the gateway for good",
        allows: one_more_try,
    },
    Departure {
        rule: "L-5",
        recorded_from: "python reference ws_transport",
        what: "after a loss we dial again, where the recorded gateway never did and the recording ends",
        why: "the first public version did not reconnect",
        allows: dials_again,
    },
    Departure {
        rule: "A-3",
        recorded_from: "python reference ws_transport",
        what: "we acknowledge the buffer entry of a forward that reaches no host",
        why: "the first public version acknowledged nothing; a connector that waits for it would never drain further",
        allows: acknowledges_what_nobody_takes,
    },
    Departure {
        rule: "M-2",
        recorded_from: "python reference, August 22",
        what: "a caller's own metadata.guild_id is the scope_id too, instead of the remembered scope",
        why: "who sets one of the two scope names sets both: with the remembered one beside it a connector could \
              send to another server than the caller meant",
        allows: one_scope_name_sets_both,
    },
    Departure {
        rule: "P-7",
        recorded_from: "python reference ws_transport",
        what: "an interaction counts as a command with its options (P-3), on its own platform, where the recorded \
               gateway had its bare name, on `relay`",
        why: "an interaction and a message of one chat must have one session key, and a host must be able to tell \
              `/summarize 20` from the word",
        allows: reads_an_interaction,
    },
    Departure {
        rule: "P-1",
        recorded_from: "python reference ws_transport",
        what: "a forward whose body is no strict base64 becomes no event",
        why: "Python's decoder passes over what is not of its alphabet, and so reads something out of any text",
        allows: reads_strict_base64,
    },
];

/// The frame, where it is one that only we wrote.
fn only_ours(difference: &Difference) -> Option<&Value> {
    match (&difference.recorded, &difference.ours) {
        (None, Some(ours)) => Some(&ours.value),
        (Some(_), _) | (None, None) => None,
    }
}

fn going_idle_before_the_close(difference: &Difference, case: &Case<'_>) -> bool {
    let Kind::Frame(dial) = difference.kind else { return false };
    let session = &case.run.session;
    let at = dial - 1;
    let is_last = case.run.dials.iter().find(|dialed| dialed.answered == Some(at)).is_some_and(|dialed| {
        dialed.closed.is_some_and(|(_, code)| code == 1000)
            && difference.position.is_some_and(|position| position + 1 == dialed.frames.len())
    });
    let disconnected = session.wire_only
        || case
            .recording
            .lines
            .iter()
            .any(|line| line.what.host_call().is_some_and(|(call, _)| call == "disconnect"));
    only_ours(difference) == Some(&json!({"type": "going_idle"}))
        && is_last
        && disconnected
        && at + 1 == session.dials.len()
        && session.dials[at].closed_by_gateway().is_some_and(|(_, code)| code == Some(1000))
}

fn asks_once(difference: &Difference, case: &Case<'_>) -> bool {
    let Kind::Frame(dial) = difference.kind else { return false };
    let (Some(recorded), None) = (&difference.recorded, &difference.ours) else { return false };
    let wrote = &case.run.session.dials[dial - 1].wrote;
    let going_idle = |frame: &&Frame| frame.value == json!({"type": "going_idle"});
    let first = wrote.iter().find(going_idle);
    recorded.value == json!({"type": "going_idle"})
        && first.is_some_and(|first| recorded.line.is_some_and(|line| first.line < line))
}

fn one_more_try(difference: &Difference, case: &Case<'_>) -> bool {
    // The try is the one dial that nobody answers, since the recorded gateway made none.
    let tried = |dialed: &Dialed| dialed.after == Before::Refusal && dialed.answered.is_none();
    let was_disabled = case.events("fatal").any(|(_, event, _)| event["code"] == "relay_disabled");
    // Of the wire alone there is only the silence that followed.
    let session = &case.run.session;
    let fell_silent = session.wire_only
        && matches!(
            session.dials.last().and_then(|dial| dial.end.as_ref()),
            Some((_, End::Closed { by: By::Connector, code: Some(4401), .. } | End::Rejected(401)))
        );
    match difference.kind {
        Kind::Dial => {
            (was_disabled || fell_silent)
                && only_ours(difference).is_some_and(|value| value["after"] == "refusal")
        }
        Kind::Fatal => was_disabled && difference.ours.is_none() && case.run.dials.iter().any(tried),
        Kind::Frame(_) | Kind::Close(_) | Kind::Token(_) | Kind::Wait | Kind::Message | Kind::Interrupt => {
            false
        }
    }
}

fn dials_again(difference: &Difference, case: &Case<'_>) -> bool {
    let lost = case
        .run
        .session
        .dials
        .last()
        .is_some_and(|dial| dial.end.is_some() && dial.closed_by_gateway().is_none());
    let did_not_reconnect = case.recording.header.gateway.reconnect != Some(true);
    difference.kind == Kind::Dial
        && only_ours(difference).is_some_and(|value| value["after"] == "loss")
        && lost
        && did_not_reconnect
}

fn acknowledges_what_nobody_takes(difference: &Difference, case: &Case<'_>) -> bool {
    let Kind::Frame(dial) = difference.kind else { return false };
    let forwarded = case.run.session.dials[dial - 1].heard.iter().filter(|frame| {
        frame.kind() == "passthrough_forward" && frame.value["forward"]["platform"] != "discord"
    });
    only_ours(difference).is_some_and(|ours| {
        forwarded
            .map(|frame| json!({"type": "inbound_ack", "bufferId": frame.value["bufferId"]}))
            .any(|acknowledged| acknowledged == *ours)
    })
}

fn one_scope_name_sets_both(difference: &Difference, _: &Case<'_>) -> bool {
    let Kind::Frame(_) = difference.kind else { return false };
    let (Some(recorded), Some(ours)) = (&difference.recorded, &difference.ours) else { return false };
    let metadata = "/action/metadata";
    let (Some(before), Some(after)) = (recorded.value.pointer(metadata), ours.value.pointer(metadata)) else {
        return false;
    };
    let mut mended = ours.value.clone();
    if let Some(metadata) = mended.pointer_mut(metadata) {
        metadata["scope_id"] = before["scope_id"].clone();
    }
    before["guild_id"].is_string()
        && after["guild_id"] == before["guild_id"]
        && after["scope_id"] == before["guild_id"]
        && mended == recorded.value
}

fn reads_an_interaction(difference: &Difference, case: &Case<'_>) -> bool {
    let (Some(recorded), Some(ours)) = (&difference.recorded, &difference.ours) else { return false };
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let words = text(&ours.value, "text");
    let name = words.strip_prefix('/').and_then(|words| words.split(' ').next());
    difference.kind == Kind::Message
        && forwards(case).any(|forward| forward["platform"] == "discord")
        && name == Some(&text(&recorded.value, "text"))
        && text(&recorded.value, "session_key").starts_with("agent:main:relay:channel:")
        && text(&ours.value, "session_key").starts_with("agent:main:discord:")
        && ["chat_id", "user_id", "message_id"].iter().all(|field| recorded.value[field] == ours.value[field])
}

fn reads_strict_base64(difference: &Difference, case: &Case<'_>) -> bool {
    let is_strict =
        |body: &str| BASE64.decode(body.as_bytes()).is_ok() || BASE64_NOPAD.decode(body.as_bytes()).is_ok();
    difference.kind == Kind::Message
        && difference.ours.is_none()
        && difference.recorded.as_ref().is_some_and(|recorded| {
            recorded.value["session_key"].as_str().is_some_and(|key| key.starts_with("agent:main:relay:"))
        })
        && forwards(case).any(|forward| forward["bodyB64"].as_str().is_some_and(|body| !is_strict(body)))
}

/// What the connector forwarded.
fn forwards<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Value> {
    let heard = case.run.session.dials.iter().flat_map(|dial| &dial.heard);
    heard.filter(|frame| frame.kind() == "passthrough_forward").map(|frame| &frame.value["forward"])
}
