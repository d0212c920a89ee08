//! Departures that explain a whole difference, mostly an event of one side only.

use super::super::names;
use super::super::recorded_answers::{CURSOR, Step, Turn};
use super::super::run::{ReplayedDial, WaitCause};
use super::super::session::{Dial, DialEnd, Frame};
use super::super::verdict::{Difference, DifferenceKind};
use super::Case;
use crate::recording::Side;
use data_encoding::{BASE64, BASE64_NOPAD};
use relayline_core::op::TurnState;
use serde_json::{Map, Value, json};

/// Returns the frame, if only the machine wrote it.
fn only_ours(difference: &Difference) -> Option<&Value> {
    match (&difference.recorded, &difference.ours) {
        (None, Some(ours)) => Some(&ours.value),
        (Some(_), _) | (None, None) => None,
    }
}

pub(super) fn going_idle_before_the_close(difference: &Difference, case: &Case<'_>) -> bool {
    let DifferenceKind::Frame(dial) = difference.kind else { return false };
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

pub(super) fn one_more_try(difference: &Difference, case: &Case<'_>) -> bool {
    // The retry is the one dial that nobody answers, because the recorded gateway made none.
    let tried = |dialed: &ReplayedDial| dialed.after == WaitCause::Refusal && dialed.answered.is_none();
    let was_disabled = case.events("fatal").any(|(_, event, _)| event["code"] == "relay_disabled");
    // The wire shows only the silence afterwards.
    let session = &case.run.session;
    let fell_silent = session.wire_only
        && matches!(
            session.dials.last().and_then(|dial| dial.end.as_ref()),
            Some((_, DialEnd::Closed { by: Side::Connector, code: Some(4401), .. } | DialEnd::Rejected(401)))
        );
    match difference.kind {
        DifferenceKind::Dial => {
            (was_disabled || fell_silent)
                && only_ours(difference).is_some_and(|value| value["after"] == "refusal")
        }
        DifferenceKind::Fatal => {
            was_disabled && difference.ours.is_none() && case.run.dials.iter().any(tried)
        }
        DifferenceKind::Frame(_)
        | DifferenceKind::Close(_)
        | DifferenceKind::Token(_)
        | DifferenceKind::Wait
        | DifferenceKind::Message
        | DifferenceKind::Interrupt => false,
    }
}

pub(super) fn dials_again(difference: &Difference, case: &Case<'_>) -> bool {
    let lost = case
        .run
        .session
        .dials
        .last()
        .is_some_and(|dial| dial.end.is_some() && dial.closed_by_gateway().is_none());
    let did_not_reconnect = case.recording.header.gateway.reconnect != Some(true);
    difference.kind == DifferenceKind::Dial
        && only_ours(difference).is_some_and(|value| value["after"] == "loss")
        && lost
        && did_not_reconnect
}

pub(super) fn acknowledges_what_nobody_takes(difference: &Difference, case: &Case<'_>) -> bool {
    acknowledges_forward(difference, case, |forward| forward["platform"] != "discord")
}

pub(super) fn acknowledges_an_interaction(difference: &Difference, case: &Case<'_>) -> bool {
    acknowledges_forward(difference, case, |forward| forward["platform"] == "discord")
}

/// Returns true if only the machine acknowledges a forward, at most as often as it came.
fn acknowledges_forward(difference: &Difference, case: &Case<'_>, is_it: fn(&Value) -> bool) -> bool {
    let DifferenceKind::Frame(dial) = difference.kind else { return false };
    let Some(ours) = only_ours(difference).filter(|ours| ours["type"] == "inbound_ack") else { return false };
    let came = case.run.session.dials[dial - 1].heard.iter().filter(|frame| {
        frame.kind() == "passthrough_forward"
            && frame.value["bufferId"] == ours["bufferId"]
            && is_it(&frame.value["forward"])
    });
    let is_same = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|frame| frame == *ours);
    let frames = case.dialed(dial).map_or(&[][..], |dialed| &dialed.frames);
    let position = difference.position.unwrap_or(frames.len());
    let earlier = frames.iter().take(position).filter(|frame| is_same(&frame.text)).count();
    earlier < came.count()
}

pub(super) fn one_scope_name_sets_both(difference: &Difference, _: &Case<'_>) -> bool {
    let DifferenceKind::Frame(_) = difference.kind else { return false };
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

pub(super) fn reads_an_interaction(difference: &Difference, case: &Case<'_>) -> bool {
    let (Some(recorded), Some(ours)) = (&difference.recorded, &difference.ours) else { return false };
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let words = text(&ours.value, "text");
    let name = words.strip_prefix('/').and_then(|words| words.split(' ').next());
    difference.kind == DifferenceKind::Message
        && forwards(case).any(|forward| forward["platform"] == "discord")
        && name == Some(&text(&recorded.value, "text"))
        && text(&recorded.value, "session_key").starts_with("agent:main:relay:channel:")
        && text(&ours.value, "session_key").starts_with("agent:main:discord:")
        && ["chat_id", "user_id", "message_id"].iter().all(|field| recorded.value[field] == ours.value[field])
}

pub(super) fn reads_strict_base64(difference: &Difference, case: &Case<'_>) -> bool {
    let is_strict =
        |body: &str| BASE64.decode(body.as_bytes()).is_ok() || BASE64_NOPAD.decode(body.as_bytes()).is_ok();
    difference.kind == DifferenceKind::Message
        && difference.ours.is_none()
        && difference.recorded.as_ref().is_some_and(|recorded| {
            recorded.value["session_key"].as_str().is_some_and(|key| key.starts_with("agent:main:relay:"))
        })
        && forwards(case).any(|forward| forward["bodyB64"].as_str().is_some_and(|body| !is_strict(body)))
}

/// Returns the forwards of the connector.
fn forwards<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Value> {
    let heard = case.run.session.dials.iter().flat_map(|dial| &dial.heard);
    heard.filter(|frame| frame.kind() == "passthrough_forward").map(|frame| &frame.value["forward"])
}

/// Returns a frame that only the recorded gateway wrote, with its position.
fn only_theirs<'a>(difference: &Difference, case: &Case<'a>) -> Option<(&'a Frame, &'a Dial, usize)> {
    let (DifferenceKind::Frame(dial), None) = (difference.kind, &difference.ours) else { return None };
    let at = difference.recorded_position?;
    Some((case.frame(dial, at)?, &case.run.session.dials[dial - 1], at))
}

pub(super) fn knows_a_copy(difference: &Difference, case: &Case<'_>) -> bool {
    let (DifferenceKind::Message, Some(recorded), None) =
        (difference.kind, &difference.recorded, &difference.ours)
    else {
        return false;
    };
    // The host received the forward right before the event.
    let lines = &case.recording.lines;
    let Some(event) = lines.iter().position(|line| Some(line.number) == recorded.line) else { return false };
    let mut forwards = lines[..event].iter().rev().filter_map(|line| {
        let (forward, _) = line.what.host_event("passthrough")?;
        Some((forward, line.rest.get("buffer_id").filter(|id| id.is_string())?))
    });
    let Some((body, entry)) = forwards.next() else { return false };
    recorded.value["message_id"].is_null()
        && forwards.any(|(other, id)| id == entry && other == body)
        && case.run.messages.iter().any(|(_, message)| *message == recorded.value)
}

pub(super) fn dials_no_more(difference: &Difference, case: &Case<'_>) -> bool {
    let is_refused = |dial: &Dial| {
        matches!(dial.end, Some((_, DialEnd::Closed { by: Side::Connector, code: Some(4401), .. })))
    };
    let [.., before, last] = &case.run.session.dials[..] else { return false };
    difference.kind == DifferenceKind::Dial
        && difference.ours.is_none()
        && difference.recorded.as_ref().is_some_and(|said| said.value["dial"] == case.run.session.dials.len())
        && is_refused(before)
        && is_refused(last)
        && last.wrote.is_empty()
        && case.run.fatal.is_some()
        && case.events("fatal").next().is_some()
}

pub(super) fn asks_to_go_idle_once(difference: &Difference, case: &Case<'_>) -> bool {
    let asks = |frame: &&Frame| frame.kind() == "going_idle";
    let Some((frame, dial, at)) = only_theirs(difference, case).filter(|(frame, ..)| asks(frame)) else {
        return false;
    };
    let is_asking = |call: &str| matches!(call, "go_idle" | "go_dormant" | "disconnect");
    let lines = &case.recording.lines[dial.line.min(frame.line)..frame.line];
    let asked =
        lines.iter().filter(|line| line.what.host_call().is_some_and(|(call, _)| is_asking(call))).count();
    let earlier = dial.wrote[..at].iter().filter(asks).count();
    // The wire does not show how often the host asked.
    earlier > 0 && (case.run.session.wire_only || earlier < asked)
}

pub(super) fn asks_what_a_chat_is(difference: &Difference, case: &Case<'_>) -> bool {
    let DifferenceKind::Frame(dial) = difference.kind else { return false };
    let Some(action) = only_ours(difference).map(|ours| &ours["action"]) else { return false };
    let names_none = |descriptor: &Value| descriptor["supported_ops"].as_array().is_none_or(Vec::is_empty);
    // The reference does not ask if the default descriptor does not list the op.
    let mut descriptors = descriptors(case, dial);
    action["op"] == "get_chat_info" && descriptors.next().is_some_and(names_none)
}

/// Returns the descriptors of a dial, the default first.
fn descriptors<'a>(case: &Case<'a>, dial: usize) -> impl Iterator<Item = &'a Value> {
    let heard = case.run.session.dials[dial - 1].heard.iter();
    heard.filter(|frame| frame.kind() == "descriptor").map(|frame| &frame.value["descriptor"])
}

/// Returns true if the platform's descriptor allows edits in the frame's chat.
pub(super) fn supports_edit(case: &Case<'_>, dial: usize, frame: &Frame) -> bool {
    let platform = &frame.value["platform"];
    let of_platform = descriptors(case, dial).find(|descriptor| descriptor["platform"] == *platform);
    let descriptor = of_platform.or_else(|| descriptors(case, dial).next());
    descriptor.is_none_or(|descriptor| descriptor["supports_edit"] != false)
}

pub(super) fn shows_a_turn(difference: &Difference, case: &Case<'_>) -> bool {
    let DifferenceKind::Frame(dial) = difference.kind else { return false };
    let written = case.dialed(dial).and_then(|dialed| dialed.frames.get(difference.position?));
    difference.recorded.is_none() && written.is_some_and(|written| written.is_indicator)
}

pub(super) fn reacts_to_no_interaction(difference: &Difference, case: &Case<'_>) -> bool {
    let Some((frame, _, _)) = only_theirs(difference, case) else { return false };
    let Some(turn) = turn_of_reaction(case, frame) else { return false };
    let id = turn.interaction_id.as_deref();
    id.is_some_and(|id| frame.value["action"]["message_id"] == id) && is_as_called(case, frame)
}

/// Returns the turn whose state a recorded reaction shows.
fn turn_of_reaction<'a>(case: &Case<'a>, frame: &Frame) -> Option<&'a Turn> {
    let (action, cause) = (&frame.value["action"], frame.cause.as_ref()?);
    let is_telegram = frame.value["platform"] == "telegram";
    let (turn, emoji, remove) = match (case.step(cause)?, cause.nth) {
        (Step::Begin { turn }, 0) => (turn, "👀", false),
        (Step::End { turn, .. }, 0) => (turn, "👀", true),
        (Step::End { turn, state: TurnState::Done }, 1) if is_telegram => (turn, "👍", false),
        (Step::End { turn, state: TurnState::Failed }, 1) if is_telegram => (turn, "👎", false),
        (Step::End { turn, state: TurnState::Done }, 1) => (turn, "✅", false),
        (Step::End { turn, state: TurnState::Failed }, 1) => (turn, "❌", false),
        _ => return None,
    };
    let is_it = action["op"] == "react" && action["emoji"] == emoji && action["remove"] == remove;
    is_it.then(|| &case.run.session.answers.turns[*turn])
}

/// Returns true if a recorded request has the content of its call, and the public gateway's additions (M-2, M-8, M-9).
fn is_as_called(case: &Case<'_>, frame: &Frame) -> bool {
    let (action, Some(cause)) = (&frame.value["action"], &frame.cause) else { return false };
    let Some((_, args)) = case.call(cause) else { return false };
    let empty = Map::new();
    let said = args.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let Some(metadata) = action["metadata"].as_object() else { return false };
    let settings = case.recording.header.gateway.rest.get("slack");
    let is_setting = |name: &str| settings.is_some_and(|settings| settings.get(name).is_some());
    let says = |name: &str| args.get(name).is_none_or(|value| value.is_null() || *value == action[name]);
    says("content")
        && says("message_id")
        && action.get("reply_to").is_none_or(|id| id.is_null() || Some(id) == args.get("reply_to"))
        && said.iter().all(|(name, value)| {
            matches!(&**name, "expect_edits" | "unfurl_links" | "unfurl_media") || metadata.get(name) == Some(value)
        })
        && metadata.iter().all(|(name, value)| match &**name {
            _ if said.contains_key(name) => true,
            "thread_id" => args.get("reply_to") == Some(value),
            "unfurl_links" | "unfurl_media" => is_setting(name),
            "format_hints" => is_setting("rich_blocks") || is_setting("markdown_blocks"),
            _ => false,
        } || is_remembered(case, frame, name, value))
        && is_tagged(case, frame)
        && ["scope_id", "user_id"].iter().all(|name| metadata.contains_key(*name) || !is_known(case, frame, name))
}

/// Returns the source of the last message in a request's chat.
fn source<'a>(case: &Case<'a>, frame: &Frame) -> Option<&'a Value> {
    let chat_id = &frame.value["action"]["chat_id"];
    let seen = case.recording.lines[..frame.line].iter().rev();
    let events = seen.filter_map(|line| line.what.host_event("message")).map(|(event, _)| &event["source"]);
    events.filter(|source| source["chat_id"] == *chat_id).find(|source| source["platform"].is_string())
}

fn is_known(case: &Case<'_>, frame: &Frame, name: &str) -> bool {
    source(case, frame).is_some_and(|source| source[name].is_string())
}

/// Returns true if a metadata field has the value remembered of the chat.
fn is_remembered(case: &Case<'_>, frame: &Frame, name: &str, value: &Value) -> bool {
    matches!(name, "scope_id" | "user_id" | "profile")
        && source(case, frame).is_some_and(|source| source[name] == *value)
}

/// Returns true if a request has the platform tag of its chat's hello.
fn is_tagged(case: &Case<'_>, frame: &Frame) -> bool {
    let platform = source(case, frame).map_or(&Value::Null, |source| &source["platform"]);
    let hellos = case.run.session.dials.iter().flat_map(|dial| &dial.wrote);
    let mut hellos = hellos.filter(|hello| hello.kind() == "hello" && hello.value["platform"] == *platform);
    let bot_id = hellos.next().map_or(&Value::Null, |hello| &hello.value["botId"]);
    frame.value["platform"] == *platform && frame.value["botId"] == *bot_id
}

pub(super) fn says_nothing_after_a_decline(difference: &Difference, case: &Case<'_>) -> bool {
    let Some((frame, _, _)) = only_theirs(difference, case) else { return false };
    let Some(cause) = frame.cause.as_ref().filter(|cause| cause.nth == 0) else { return false };
    let Some(call) = cause.call.filter(|call| case.run.withheld.contains(call)) else { return false };
    // Each repetition is matched once.
    let args = |call: usize| case.recording.lines[call].what.host_call().map(|(_, args)| args);
    let is_repeated = case.run.withheld.range(..call).any(|earlier| args(*earlier) == args(call));
    !is_repeated && is_as_called(case, frame)
}

pub(super) fn takes_a_lost_ack_for_no_decline(difference: &Difference, case: &Case<'_>) -> bool {
    let (DifferenceKind::Frame(dial), Some(position)) = (difference.kind, difference.position) else {
        return false;
    };
    let Some(action) = only_ours(difference).map(|ours| &ours["action"]) else { return false };
    let is_lost = |result: &Value| {
        let error = result["error"].as_str().unwrap_or_default().to_lowercase();
        let (said, is_lost) = (error.contains("egress declined:"), error.contains("ack lost"));
        said && is_lost
            && result["code"].is_null()
            && result["ambiguous"] != true
            && result["success"] != true
    };
    // It follows the seal with that result.
    let seal = position.checked_sub(1).and_then(|before| case.counterpart(dial, before));
    let is_seal = |frame: &&Frame| frame.cause.as_ref().is_some_and(|cause| Some(cause.number) == seal);
    action["op"] == "send"
        && case.run.session.dials[dial - 1].wrote.iter().find(is_seal).is_some_and(|frame| {
            let sealed = &frame.value["action"];
            sealed["op"] == "draft"
                && sealed["final"] == true
                && ["chat_id", "content"].iter().all(|name| sealed[*name] == action[*name])
                && frame
                    .cause
                    .as_ref()
                    .and_then(|cause| cause.result.as_ref())
                    .is_some_and(|(_, result)| is_lost(result))
        })
}

pub(super) fn ends_as_ambiguous(difference: &Difference, case: &Case<'_>) -> bool {
    let Some((frame, dial, _)) = only_theirs(difference, case) else { return false };
    let (action, Some(cause)) = (&frame.value["action"], &frame.cause) else { return false };
    let of_call = |nth: usize| {
        dial.wrote.iter().find(|frame| {
            frame.cause.as_ref().is_some_and(|other| other.call == cause.call && other.nth == nth)
        })
    };
    // A result that comes later does not count.
    let failed = |nth: usize, is_it: fn(&Value) -> bool| {
        of_call(nth).is_some_and(|seal| {
            let sealed = &seal.value["action"];
            let result = seal.cause.as_ref().and_then(|cause| cause.result.as_ref());
            sealed["final"] == true
                && sealed["content"] == action["content"]
                && result.is_none_or(|(_, result)| is_it(result))
        })
    };
    action["op"] == "send"
        && cause.nth == 2
        && is_as_called(case, frame)
        && failed(0, |result| result["ambiguous"] == true)
        && failed(1, |result| result["success"] != true)
}

pub(super) fn shows_no_part(difference: &Difference, case: &Case<'_>) -> bool {
    let Some((frame, _, _)) = only_theirs(difference, case) else { return false };
    let (action, Some(cause)) = (&frame.value["action"], &frame.cause) else { return false };
    let DifferenceKind::Frame(dial) = difference.kind else { return false };
    let grows = matches!(case.step(cause), Some(Step::State { last: false, .. }));
    let is_edit = action["op"] == "edit" && case.step(cause).is_some();
    (is_edit || action["op"] == "send" && grows)
        && cause.nth == 0
        && !supports_edit(case, dial, frame)
        && is_as_called(case, frame)
}

pub(super) fn leaves_no_cursor(difference: &Difference, case: &Case<'_>) -> bool {
    let Some((frame, dial, at)) = only_theirs(difference, case) else { return false };
    let (action, Some(cause)) = (&frame.value["action"], &frame.cause) else { return false };
    // The text that the message shows already, except for the cursor.
    let earlier = dial.wrote[..at].iter().rev().filter(|earlier| {
        let result = earlier.cause.as_ref().and_then(|cause| cause.result.as_ref());
        let shown = &earlier.value["action"];
        let is_it = shown["op"] == "edit" && shown["message_id"] == action["message_id"]
            || shown["op"] == "send"
                && result.is_some_and(|(_, result)| result["message_id"] == action["message_id"]);
        is_it
            && shown["chat_id"] == action["chat_id"]
            && result.is_some_and(|(_, result)| result["success"] == true)
    });
    let shown = earlier.filter_map(|earlier| earlier.value["action"]["content"].as_str()).next();
    action["op"] == "edit"
        && matches!(case.step(cause), Some(Step::State { last: false, .. }))
        && shown.and_then(|shown| shown.strip_suffix(CURSOR)) == action["content"].as_str()
        && cause.nth == 0
        && is_as_called(case, frame)
}

pub(super) fn closes_no_stopped_turn(difference: &Difference, case: &Case<'_>) -> bool {
    let Some((frame, _, _)) = only_theirs(difference, case) else { return false };
    let Some(turn) = turn_of_reaction(case, frame) else { return false };
    let answers = &case.run.session.answers;
    let is_stopped = answers.steps.values().any(|step| match step {
        Step::Stop { answer } => {
            answers.all[*answer].turn.is_some_and(|stopped| std::ptr::eq(&answers.turns[stopped], turn))
        }
        _ => false,
    });
    let id = turn.message_id.as_deref();
    is_stopped
        && frame.cause.as_ref().is_some_and(|cause| cause.nth == 1)
        && id.is_some_and(|id| frame.value["action"]["message_id"] == id)
        && is_as_called(case, frame)
}

/// Ops for which the public gateway uses the default descriptor.
const OPS_OF_DEFAULT_PLATFORM: [&str; 4] = ["react", "prompt", "send_media", "task_card"];

pub(super) fn asks_the_chats_own(difference: &Difference, case: &Case<'_>) -> bool {
    let DifferenceKind::Frame(dial) = difference.kind else { return false };
    let (said, is_theirs) = match (&difference.recorded, &difference.ours) {
        (Some(recorded), None) => (recorded, true),
        (None, Some(ours)) => (ours, false),
        _ => return false,
    };
    let op = said.value["action"]["op"].as_str().unwrap_or_default();
    let asked = if op == "task_card_stop" { "task_card" } else { op };
    let offers = |descriptor: &Value| {
        descriptor["supported_ops"].as_array().is_some_and(|ops| ops.iter().any(|known| known == asked))
    };
    let own = descriptors(case, dial).find(|descriptor| descriptor["platform"] == said.value["platform"]);
    let Some((default, own)) = descriptors(case, dial).next().zip(own) else { return false };
    let is_as_called = || {
        only_theirs(difference, case).is_some_and(|(frame, ..)| {
            let is_first = frame.cause.as_ref().is_some_and(|cause| cause.nth == 0);
            let is_expected = if op == "react" { turn_of_reaction(case, frame).is_some() } else { is_first };
            is_expected && is_as_called(case, frame)
        })
    };
    OPS_OF_DEFAULT_PLATFORM.contains(&asked)
        && offers(default) == is_theirs
        && offers(own) != is_theirs
        && (!is_theirs || is_as_called())
}

pub(super) fn answers_for_no_other_process(difference: &Difference, case: &Case<'_>) -> bool {
    let Some((frame, dial, at)) = only_theirs(difference, case) else { return false };
    let Some((line, chosen)) = last_choice(dial, frame) else { return false };
    let earlier = dial.wrote[..at].iter().filter(|other| other.line > line);
    let is_first = !earlier.into_iter().any(|other| other.is_own_send_to(&chosen.chat_id));
    let (action, names) = (&frame.value["action"], ["scope_id", "user_id", "profile", "thread_id"]);
    let is_placed = action["metadata"].as_object().is_some_and(|metadata| {
        metadata.iter().all(|(name, value)| match &**name {
            "thread_id" => chosen.thread_id.as_deref().or(chosen.message_id.as_deref()) == value.as_str(),
            "user_id" if chosen.user_id.is_some() => chosen.user_id.as_deref() == value.as_str(),
            name => names.contains(&name) && is_remembered(case, frame, name, value),
        })
    });
    let is_whole = ["scope_id", "user_id"]
        .iter()
        .all(|name| action["metadata"][*name].is_string() || !is_known(case, frame, name));
    frame.is_own_send_to(&chosen.chat_id)
        && is_first
        && !chosen.prompt_id.contains('.')
        && action["reply_to"].is_null()
        && is_placed
        && is_whole
        && is_tagged(case, frame)
}

/// Returns the last prompt choice in a frame's chat before the frame, with the position of its line.
pub(super) fn last_choice(dial: &Dial, frame: &Frame) -> Option<(usize, names::Chosen)> {
    let before = dial.heard.iter().rev().filter(|heard| heard.line < frame.line);
    let mut choices = before.filter_map(|heard| Some((heard.line, names::choice(heard)?)));
    choices.find(|(_, chosen)| frame.value["action"]["chat_id"] == chosen.chat_id.as_str())
}
