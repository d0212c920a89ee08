//! Departures that explain a part of the difference between two frames. Each removes its part from both frames, and
//! returns true if the part was present.

use super::super::recorded_answers::{CURSOR, Step};
use super::{Pair, differences};
use serde_json::{Map, Value};

fn metadata(frame: &mut Value) -> Option<&mut Map<String, Value>> {
    frame.pointer_mut("/action/metadata")?.as_object_mut()
}

fn field<'a>(frame: &'a Value, name: &str) -> Option<&'a Value> {
    frame["action"]["metadata"].get(name)
}

/// Removes a metadata field from a frame.
fn take(frame: &mut Value, name: &str) -> bool {
    metadata(frame).is_some_and(|metadata| metadata.remove(name).is_some())
}

/// Removes a metadata field with this value that only one frame has.
fn take_extra(extended: &mut Value, base: &Value, name: &str, value: &Value) -> bool {
    field(base, name).is_none() && field(extended, name) == Some(value) && take(extended, name)
}

pub(super) fn cursor(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    if !matches!(pair.step(), Some(Step::State { last: false, .. })) {
        return false;
    }
    let expects = take_extra(recorded, ours, "expect_edits", &Value::Bool(true));
    let Some(Value::String(content)) = recorded.pointer_mut("/action/content") else { return expects };
    match content.strip_suffix(CURSOR).map(str::len) {
        Some(length) => {
            content.truncate(length);
            true
        }
        None => expects,
    }
}

/// White space that a streamed message shows only before further text.
const TRAILING_WHITE_SPACE: [char; 2] = [' ', '\n'];

pub(super) fn white_space(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let is_stream = matches!(pair.step(), Some(Step::State { .. } | Step::Stop { .. }));
    let Some(Value::String(content)) = recorded.pointer_mut("/action/content").filter(|_| is_stream) else {
        return false;
    };
    let shown = content.trim_end_matches(TRAILING_WHITE_SPACE);
    let is_it = shown.len() < content.len() && ours["action"]["content"] == shown;
    if is_it {
        content.truncate(shown.len());
    }
    is_it
}

pub(super) fn code_block(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let last = match pair.step() {
        Some(Step::State { last, .. }) => *last,
        Some(Step::Stop { .. }) => false,
        _ => return false,
    };
    let theirs = &recorded["action"]["content"];
    let (Some(theirs), Some(shown)) = (theirs.as_str(), ours["action"]["content"].as_str()) else {
        return false;
    };
    let said = pair.args().and_then(|args| args.get("content")?.as_str()).unwrap_or_default();
    if theirs != said.strip_suffix(CURSOR).unwrap_or(said) {
        return false;
    }
    let is_fence = |line: &str| {
        let line = line.trim_start_matches([' ', '>']);
        line.starts_with("```") || line.starts_with("~~~")
    };
    // An open code block is closed. An empty or incomplete one is not shown.
    let closed = shown.rsplit_once('\n').filter(|(_, line)| is_fence(line)).map(|(text, _)| text);
    let goes_on =
        |text: &str| theirs.strip_prefix(text).map(|rest| rest.trim_matches(TRAILING_WHITE_SPACE).to_owned());
    let begins =
        |rest: &str| !rest.contains('\n') && rest.trim_start_matches(['>', ' ']).starts_with(['`', '~']);
    let begins = |rest: &str| !last && begins(rest);
    let is_it = closed.and_then(goes_on).is_some_and(|rest| rest.is_empty() || begins(&rest))
        || goes_on(shown).is_some_and(|rest| begins(&rest));
    if is_it {
        recorded["action"]["content"] = ours["action"]["content"].clone();
    }
    is_it
}

pub(super) fn typing_anchor(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let (Some(call), action) = (pair.cause.call, &pair.frame.value["action"]) else { return false };
    if action["op"] != "typing" || pair.call_says("thread_id") || pair.call_says("thread_ts") {
        return false;
    }
    let is_of_chat = |event: &&Value| event["source"]["chat_id"] == action["chat_id"];
    // The last message that each side had received before the call.
    let seen = pair.case.recording.lines[..call].iter().rev();
    let seen =
        seen.filter_map(|line| line.what.host_event("message")).map(|(event, _)| event).find(is_of_chat);
    let heard = pair.case.run.session.dials[pair.dial - 1].heard.iter().rev();
    let heard = heard.filter(|frame| frame.line < call && frame.kind() == "inbound");
    let heard = heard.map(|frame| &frame.value["event"]).find(is_of_chat);
    let (Some(seen), Some(heard)) = (seen, heard) else { return false };
    let is_it = seen["message_id"] != heard["message_id"]
        && field(recorded, "thread_id") == Some(&seen["message_id"])
        && field(ours, "thread_id") == Some(&heard["message_id"]);
    is_it && take(recorded, "thread_id") && take(ours, "thread_id")
}

pub(super) fn whole_text(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let Some(Step::State { text, last: true, .. }) = pair.step() else { return false };
    let said = pair.args().and_then(|args| args.get("content")?.as_str()).unwrap_or_default();
    let is_rest = recorded["action"]["content"] == said && text.ends_with(said) && text != said;
    let is_text = recorded["action"]["op"] == "send" && ours["action"]["content"] == text.as_str();
    if !is_rest || !is_text || differences::supports_edit(pair.case, pair.dial, pair.frame) {
        return false;
    }
    recorded["action"]["content"] = ours["action"]["content"].clone();
    true
}

pub(super) fn reply_to_message_id(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let name = "reply_to_message_id";
    let message_id = pair.answer().and_then(|answer| answer.message_id.as_deref());
    !pair.call_says(name)
        && message_id.is_some_and(|message_id| take_extra(ours, recorded, name, &message_id.into()))
}

pub(super) fn reply_to(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let message_id = pair.answer().and_then(|answer| answer.message_id.as_deref());
    let is_named = pair.args().is_some_and(|args| args.get("reply_to").is_some_and(|id| !id.is_null()));
    let is_pointing = message_id.is_some_and(|message_id| ours["action"]["reply_to"] == message_id);
    if is_named || !is_pointing || !recorded["action"]["reply_to"].is_null() {
        return false;
    }
    ours["action"]["reply_to"] = Value::Null;
    true
}

pub(super) fn notify(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let ends = pair.is_last() && pair.answer().is_some_and(|answer| !answer.goes_on);
    ends && !pair.call_says("notify") && take_extra(ours, recorded, "notify", &Value::Bool(true))
}

pub(super) fn no_notify(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    if !pair.is_last() || !pair.answer().is_some_and(|answer| answer.goes_on) {
        return false;
    }
    let says = pair.call_says("notify");
    let theirs = says && field(recorded, "notify") == Some(&Value::Bool(true));
    match field(ours, "notify") {
        Some(Value::Bool(false)) if theirs => take(recorded, "notify") && take(ours, "notify"),
        Some(Value::Bool(false)) => !says && take_extra(ours, recorded, "notify", &Value::Bool(false)),
        None if theirs => take(recorded, "notify"),
        Some(_) | None => false,
    }
}

pub(super) fn tag_of_chat_info(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let names = ["platform", "botId"];
    let is_it = pair.frame.value["action"]["op"] == "get_chat_info";
    let is_untagged = names.iter().all(|name| recorded.get(name).is_none());
    let Some(ours) = ours.as_object_mut().filter(|_| is_it && is_untagged) else { return false };
    names.iter().filter(|name| ours.remove(**name).is_some()).count() > 0
}

pub(super) fn thread(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let Some(answer) = pair.answer() else { return false };
    let Some(message_id) = answer.message_id.as_deref() else { return false };
    let is_op = matches!(ours["action"]["op"].as_str(), Some("draft" | "edit"));
    let is_placed = pair.call_says("thread_id") || pair.call_says("thread_ts");
    is_op
        && !is_placed
        && field(recorded, "thread_ts").is_none()
        && pair.case.run.session.answers.is_slack(&answer.chat_id)
        && take_extra(ours, recorded, "thread_id", &message_id.into())
}

pub(super) fn thread_of_reaction(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let answers = &pair.case.run.session.answers;
    let turn = match pair.step() {
        Some(Step::Begin { turn } | Step::End { turn, .. }) => &answers.turns[*turn],
        _ => return false,
    };
    let thread_id = answers.thread_of(&turn.chat_id, turn.message_id.as_deref());
    ours["action"]["op"] == "react"
        && thread_id.is_some_and(|thread_id| take_extra(ours, recorded, "thread_id", &thread_id.into()))
}

pub(super) fn unfurls(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    if ours["action"]["op"] != "edit" || pair.answer().is_none() {
        return false;
    }
    let settings = pair.case.recording.header.gateway.rest.get("slack");
    let mut found = false;
    for name in ["unfurl_links", "unfurl_media"] {
        let is_set = settings.is_some_and(|settings| settings.get(name).is_some());
        let value = field(ours, name).cloned();
        found |= is_set && value.is_some_and(|value| take_extra(ours, recorded, name, &value));
    }
    found
}

pub(super) fn card_thread(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let reply_to = pair.args().and_then(|args| args.get("reply_to")).filter(|id| id.is_string());
    recorded["action"]["op"] == "task_card"
        && pair.call_says("thread_id")
        && !pair.call_says("thread_ts")
        && reply_to.is_some_and(|reply_to| take_extra(recorded, ours, "thread_ts", reply_to))
}

pub(super) fn top_level_choice(recorded: &mut Value, ours: &mut Value, pair: &Pair<'_>) -> bool {
    let dial = &pair.case.run.session.dials[pair.dial - 1];
    let Some((_, chosen)) = differences::last_choice(dial, pair.frame) else { return false };
    let message_id = chosen.message_id;
    pair.frame.is_own_send_to(&chosen.chat_id)
        && pair.frame.value["platform"] == "slack"
        && message_id.is_some_and(|message_id| take_extra(recorded, ours, "thread_id", &message_id.into()))
}

pub(super) fn default_profile(recorded: &mut Value, ours: &mut Value, _: &Pair<'_>) -> bool {
    take_extra(recorded, ours, "profile", &"default".into())
}
