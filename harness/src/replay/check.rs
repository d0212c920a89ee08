//! Comparison of a run with its recording.
//!
//! Compared per dial: the gateway's frames as JSON values, its close codes and its token. Ids of requests and drafts
//! are compared by their order, and the additional fields of M-2 and M-3 are allowed if an early version was recorded.
//! Compared over all dials: the dials, the waits before them (L-5) and the fatal end. Compared of the host's events:
//! `text`, `chat_id`, `user_id`, `message_id` and `session_key` of messages, and `session_key` and `chat_id` of
//! interrupts.
//!
//! Messages and interrupts are separate lanes, because an interrupt may overtake (L-16). In the newest recordings
//! reactions, and frames for different chats, are separate lanes, too.

use super::departures::{self, Case};
use super::diff::{Mismatch, align, short};
use super::run::{ReplayRun, ReplayedDial, WaitCause};
use super::session::{Dial, DialEnd, is_early};
use super::verdict::{AppliedDeparture, ComparedEvent, Difference, DifferenceKind, Verdict};
use crate::recording::{LineContent, RecordedLine, Recording, Side};
use relayline_core::time::Time;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of recorded lines shown before a difference.
const MAX_CONTEXT: usize = 3;

/// Compares a run with the recording that it was played from.
pub fn check(recording: &Recording, run: &ReplayRun) -> Verdict {
    let case = Case { recording, run };
    let mut verdict =
        Verdict { name: recording.name().to_owned(), departs: Vec::new(), differences: Vec::new() };
    for mut difference in compare(&case) {
        difference.before = case.before(&difference);
        match departures::of(&difference, &case) {
            Some(found) => verdict.departs.extend(found.into_iter().map(|departure| AppliedDeparture {
                rule: departures::DEPARTURES[departure].rule,
                departure,
                difference: difference.clone(),
            })),
            None => verdict.differences.push(difference),
        }
    }
    verdict
}

fn compare(case: &Case<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    dials(case, &mut found);
    waits(case, &mut found);
    // A recording of the wire does not show the host's events.
    if !case.run.session.wire_only {
        fatal(case, &mut found);
        host_events(case, &mut found);
    }
    found
}

fn ours(at: Time, value: Value) -> ComparedEvent {
    let t_ms = at.as_micros() / 1000;
    ComparedEvent { at: format!("{t_ms} ms"), line: None, t_ms, value }
}

fn dials(case: &Case<'_>, found: &mut Vec<Difference>) {
    let Case { run, .. } = case;
    let mut drafts = (Drafts::new(), Drafts::new());
    for (at, recorded) in run.session.dials.iter().enumerate() {
        let number = at + 1;
        let Some(dialed) = run.dials.iter().find(|dialed| dialed.answered == Some(at)) else {
            let said = case.said(recorded.line, json!({ "dial": number }));
            found.push(Difference::new(DifferenceKind::Dial, Some(said), None));
            continue;
        };
        if dialed.token_is_right == Some(false) {
            let hidden = || json!({"authorization": "<hidden>"});
            let theirs = case.said(recorded.line, hidden());
            found.push(Difference::new(
                DifferenceKind::Token(number),
                Some(theirs),
                Some(ours(dialed.at, hidden())),
            ));
        }
        let is_refused = |dial: &Dial| {
            matches!(dial.end, Some((_, DialEnd::Closed { by: Side::Connector, code: Some(4401), .. })))
        };
        // A second refusal may come before the gateway has written (L-9).
        let is_cut_off = at > 0
            && recorded.heard.is_empty()
            && is_refused(&run.session.dials[at - 1])
            && is_refused(recorded);
        let is_gone = run.session.wire_only && recorded.closed_by_gateway().is_none() || is_cut_off;
        if is_gone && recorded.wrote.is_empty() {
            // The socket ended before the gateway could write.
            continue;
        }
        frames(case, number, dialed, &mut drafts, found);
        let close = recorded.closed_by_gateway();
        let closed = dialed.closed;
        if close.map(|(_, code)| code) != closed.map(|(_, code)| Some(code)) {
            found.push(Difference::new(
                DifferenceKind::Close(number),
                close.map(|(line, code)| case.said(line, json!({ "code": code }))),
                closed.map(|(at, code)| ours(at, json!({ "code": code }))),
            ));
        }
    }
    // A recording of the wire may end before the next dial, or the gateway's process had ended.
    let unknown = |dialed: &ReplayedDial| run.session.wire_only && dialed.after != WaitCause::Refusal;
    let unanswered = |dialed: &ReplayedDial| dialed.answered.is_none() && !unknown(dialed);
    for (at, dialed) in run.dials.iter().enumerate().filter(|(_, dialed)| unanswered(dialed)) {
        let after = match dialed.after {
            WaitCause::Nothing => "nothing",
            WaitCause::Refusal => "refusal",
            WaitCause::Loss => "loss",
        };
        let said = ours(dialed.at, json!({"dial": at + 1, "after": after}));
        found.push(Difference::new(DifferenceKind::Dial, None, Some(said)));
    }
}

/// A frame with its position among those of its dial.
type NumberedFrame = (usize, Value);

/// Numbers of drafts by chat and id, in the order of their first use.
type Drafts = BTreeMap<String, BTreeMap<String, usize>>;

fn frames(
    case: &Case<'_>,
    dial: usize,
    dialed: &ReplayedDial,
    (their_drafts, our_drafts): &mut (Drafts, Drafts),
    found: &mut Vec<Difference>,
) {
    let (recorded, written) = (&case.run.session.dials[dial - 1].wrote, &dialed.frames);
    let parsed = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    let left = recorded.iter().map(|frame| without_ids(parsed(&frame.text), their_drafts)).enumerate();
    let right = written.iter().map(|frame| without_ids(parsed(&frame.text), our_drafts)).enumerate();
    let (mut left, mut right) = (left.collect::<Vec<NumberedFrame>>(), right.collect::<Vec<NumberedFrame>>());
    let mut lane = |left: &[NumberedFrame], right: &[NumberedFrame]| {
        for (left, right) in differing_pairs(case, dial, left, right) {
            found.push(Difference {
                kind: DifferenceKind::Frame(dial),
                recorded_position: left.as_ref().map(|(at, _)| *at),
                recorded: left.map(|(at, value)| case.said(recorded[at].line, value)),
                position: right.as_ref().map(|(at, _)| *at),
                ours: right.map(|(at, value)| ours(written[at].at, value)),
                before: Vec::new(),
            });
        }
    };
    if case.run.session.wire_only {
        // The time at which a host takes an event is not on the wire, so only the presence of acknowledgements is
        // compared.
        let acks = |frames: &mut Vec<NumberedFrame>| {
            let is_ack = |(_, frame): &mut NumberedFrame| frame["type"] == "inbound_ack";
            let mut acks: Vec<NumberedFrame> = frames.extract_if(.., is_ack).collect();
            acks.sort_by_key(|(_, ack)| ack["bufferId"].to_string());
            acks
        };
        lane(&acks(&mut left), &acks(&mut right));
    }
    // Indicators that the machine writes by itself have no recorded counterpart.
    let signs: Vec<NumberedFrame> = right.extract_if(.., |(at, _)| written[*at].is_indicator).collect();
    lane(&[], &signs);
    if Additions::of(case) == Additions::ScopeName {
        // Reactions belong to the turn, not to its text.
        let is_reaction = |(_, frame): &mut NumberedFrame| frame["action"]["op"] == "react";
        let reactions: Vec<NumberedFrame> = left.extract_if(.., is_reaction).collect();
        lane(&reactions, &right.extract_if(.., is_reaction).collect::<Vec<_>>());
    }
    // No rule orders frames for different chats. A recorded gateway needs time between its host's call and the frame,
    // and a frame for another chat may come between. The machine needs none.
    let chats: BTreeSet<String> = left.iter().chain(&right).filter_map(chat_of).collect();
    if Additions::of(case) == Additions::ScopeName && chats.len() > 1 {
        for chat in chats {
            let is_there = |frame: &mut NumberedFrame| chat_of(frame).as_ref() == Some(&chat);
            let there: Vec<NumberedFrame> = left.extract_if(.., is_there).collect();
            lane(&there, &right.extract_if(.., is_there).collect::<Vec<_>>());
        }
    }
    lane(&left, &right);
}

/// Returns the chat of a request.
fn chat_of((_, frame): &NumberedFrame) -> Option<String> {
    frame["action"]["chat_id"].as_str().map(str::to_owned)
}

/// Returns the pairs of frames with a difference that is not allowed.
fn differing_pairs(
    case: &Case<'_>,
    dial: usize,
    left: &[NumberedFrame],
    right: &[NumberedFrame],
) -> Vec<(Option<NumberedFrame>, Option<NumberedFrame>)> {
    let additions = Additions::of(case);
    let shown = |recorded: &NumberedFrame, ours: &NumberedFrame| {
        let (mut recorded, mut ours) = (recorded.clone(), ours.clone());
        remove_additions(&mut recorded.1, &mut ours.1, additions);
        (recorded, ours)
    };
    let is_same = |recorded: &NumberedFrame, ours: &NumberedFrame| {
        let (recorded, ours) = shown(recorded, ours);
        recorded.1 == ours.1
    };
    let fits = |recorded: &NumberedFrame, ours: &NumberedFrame| {
        if kind(recorded) != kind(ours) {
            return false;
        }
        let (recorded, ours) = shown(recorded, ours);
        recorded.1 == ours.1 || departures::apply_to_pair(case, dial, &recorded, &ours).is_some()
    };
    let is_akin = |recorded: &NumberedFrame, ours: &NumberedFrame| match case.counterpart(dial, ours.0) {
        Some(number) => case.number(dial, recorded.0) == Some(number),
        None => kind(recorded) == kind(ours),
    };
    let mismatches = align(left, right, fits, is_akin);
    // A pair that corresponds and is not equal has only differences that rules require.
    let mismatched_left: BTreeSet<_> = mismatches.iter().filter_map(|mismatch| mismatch.recorded).collect();
    let mismatched_right: BTreeSet<_> = mismatches.iter().filter_map(|mismatch| mismatch.ours).collect();
    let fitting = (0..left.len())
        .filter(|at| !mismatched_left.contains(at))
        .zip((0..right.len()).filter(|at| !mismatched_right.contains(at)));
    let mended = fitting.filter(|(at, other)| !is_same(&left[*at], &right[*other]));
    let mended = mended.map(|(at, other)| Mismatch { recorded: Some(at), ours: Some(other) });
    let all = mismatches.iter().copied().chain(mended);
    let pair = |mismatch: Mismatch| match (mismatch.recorded, mismatch.ours) {
        (Some(at), Some(other)) => {
            let (recorded, ours) = shown(&left[at], &right[other]);
            (Some(recorded), Some(ours))
        }
        (at, other) => (at.map(|at| left[at].clone()), other.map(|at| right[at].clone())),
    };
    all.map(pair).collect()
}

fn kind((_, frame): &NumberedFrame) -> (&Value, &Value) {
    (&frame["type"], &frame["action"]["op"])
}

/// Removes ids of requests, prompts and drafts, which are random. Their order is compared instead. A draft's id stands
/// in several frames, so it is numbered.
fn without_ids(mut frame: Value, drafts: &mut Drafts) -> Value {
    if let Some(id) = frame.get_mut("requestId").filter(|id| id.is_string()) {
        *id = json!("<id>");
    }
    let Some(action) = frame.get_mut("action") else { return frame };
    let (name, is_draft) = match action["op"].as_str() {
        Some("prompt") => ("prompt_id", false),
        Some("draft") => ("draft_id", true),
        _ => return frame,
    };
    let chat_id = action["chat_id"].clone();
    match action.get_mut(name) {
        Some(id) if is_draft => {
            // Each chat has its own numbers.
            let there = drafts.entry(chat_id.to_string()).or_default();
            let next = there.len() + 1;
            let number = there.entry(id.to_string()).or_insert(next);
            *id = json!(format!("<draft {number}>"));
        }
        Some(id) if id.is_string() => *id = json!("<prompt>"),
        Some(_) | None => {}
    }
    frame
}

/// Additions of M-2 and M-3 to an `outbound`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Additions {
    /// All additions, because an early version added fewer fields.
    All,
    /// All additions, and raw actions are untagged: the tag of a recorded frame that only implies its request may be
    /// missing from the replayed one.
    Untagged,
    /// Only the second name of the scope. The public gateway adds the rest, too.
    ScopeName,
}

impl Additions {
    fn of(case: &Case<'_>) -> Additions {
        if case.run.session.wire_only {
            return Additions::Untagged;
        }
        let is_public = case.recording.header.recorded_from.starts_with("python reference");
        if is_public && !is_early(case.recording) { Additions::ScopeName } else { Additions::All }
    }
}

/// Removes the additions of M-2 and M-3 from an `outbound`.
fn remove_additions(recorded: &mut Value, ours: &mut Value, additions: Additions) {
    if recorded["type"] != "outbound" || ours["type"] != "outbound" {
        return;
    }
    if additions != Additions::ScopeName {
        let tag = ["platform", "botId"];
        drop_additions(recorded, ours, &tag);
        if additions == Additions::Untagged {
            drop_additions(ours, recorded, &tag);
        }
    }
    if let (Some(recorded), Some(ours)) =
        (recorded.pointer("/action/metadata"), ours.pointer_mut("/action/metadata"))
    {
        if additions != Additions::ScopeName {
            drop_additions(recorded, ours, &["scope_id", "guild_id", "user_id", "profile"]);
        } else if ours["guild_id"] == ours["scope_id"] {
            drop_additions(recorded, ours, &["guild_id"]);
        }
    }
}

fn drop_additions(base: &Value, extended: &mut Value, names: &[&str]) {
    if let Some(extended) = extended.as_object_mut() {
        for name in names.iter().filter(|name| base.get(**name).is_none()) {
            extended.remove(*name);
        }
    }
}

fn waits(case: &Case<'_>, found: &mut Vec<Difference>) {
    for wait in case.run.waits.iter().filter(|wait| wait.wait < wait.least || wait.wait > wait.most) {
        let us = |span: std::time::Duration| json!(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
        let value = json!({"wait_us": us(wait.wait), "least_us": us(wait.least), "most_us": us(wait.most)});
        found.push(Difference::new(DifferenceKind::Wait, None, Some(ours(wait.at, value))));
    }
}

fn fatal(case: &Case<'_>, found: &mut Vec<Difference>) {
    let recorded = case.events("fatal").next();
    let ended = case.run.fatal.as_ref();
    let code = |event: &Value| event["code"].as_str().map(str::to_owned);
    if recorded.as_ref().map(|(_, event, _)| code(event))
        != ended.map(|(_, fatal)| Some(fatal.code.to_owned()))
    {
        found.push(Difference::new(
            DifferenceKind::Fatal,
            recorded.map(|(line, event, _)| case.said(line, json!({"code": event["code"]}))),
            ended.map(|(at, fatal)| ours(*at, json!({"code": fatal.code}))),
        ));
    }
}

fn host_events(case: &Case<'_>, found: &mut Vec<Difference>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let messages = case.events("message").map(|(line, event, session_key)| {
        let value = json!({
            "text": text(&event["text"]),
            "chat_id": text(&event["source"]["chat_id"]),
            "user_id": event["source"]["user_id"],
            "message_id": event["message_id"],
            "session_key": session_key,
        });
        (line, value)
    });
    let interrupts = case.events("interrupt").map(|(line, event, _)| {
        (line, json!({"session_key": text(&event["session_key"]), "chat_id": text(&event["chat_id"])}))
    });
    let lanes = [
        (DifferenceKind::Message, messages.collect::<Vec<_>>(), &case.run.messages),
        (DifferenceKind::Interrupt, interrupts.collect(), &case.run.interrupts),
    ];
    for (kind, recorded, got) in lanes {
        for mismatch in align(&recorded, got, |a, b| a.1 == b.1, |_, _| true) {
            found.push(Difference::new(
                kind,
                mismatch.recorded.map(|at| case.said(recorded[at].0, recorded[at].1.clone())),
                mismatch.ours.map(|at| ours(got[at].0, got[at].1.clone())),
            ));
        }
    }
}

/// Returns the text of a line with traffic or a call. It has no header, because that may be a secret (C-4).
fn interrupt_or_message(line: &RecordedLine) -> Option<String> {
    let text = match &line.what {
        LineContent::Connect { url_path, .. } => format!("connect    {url_path}"),
        LineContent::Reject { answer, .. } => format!("reject     {}", answer.status),
        LineContent::Gateway(data) => {
            format!("gateway    {}", String::from_utf8_lossy(data.bytes()).trim_end())
        }
        LineContent::Connector(data) => {
            format!("connector  {}", String::from_utf8_lossy(data.bytes()).trim_end())
        }
        LineContent::Close { code, .. } => {
            format!("close      {}", code.map_or(String::new(), |code| code.to_string()))
        }
        LineContent::Drop { .. } => "drop".to_owned(),
        LineContent::HostCall { call, .. } => format!("host_call  {call}"),
        LineContent::HostEvent { .. } | LineContent::Note(_) | LineContent::Other(_) => return None,
    };
    Some(format!("{}, t_ms {}  {}", line.number, line.t_ms, short(&text)))
}

impl<'a> Case<'a> {
    fn said(&self, line: usize, value: Value) -> ComparedEvent {
        let (line, t_ms) = self.recording.lines.get(line).map_or((0, 0), |line| (line.number, line.t_ms));
        ComparedEvent {
            at: format!("{}:{line}, t_ms {t_ms}", self.recording.file),
            line: Some(line),
            t_ms,
            value,
        }
    }

    /// Returns the recorded lines before a difference.
    fn before(&self, difference: &Difference) -> Vec<String> {
        let end = match (&difference.recorded, &difference.ours) {
            (Some(said), _) => self.recording.lines.iter().position(|line| Some(line.number) == said.line),
            (None, Some(said)) => self.recording.lines.iter().position(|line| line.t_ms > said.t_ms),
            (None, None) => Some(0),
        };
        let lines = &self.recording.lines[..end.unwrap_or(self.recording.lines.len())];
        let mut before: Vec<String> =
            lines.iter().rev().filter_map(interrupt_or_message).take(MAX_CONTEXT).collect();
        before.reverse();
        before
    }

    /// Returns the recorded events of a kind, with their positions and session keys.
    pub(crate) fn events(&self, wanted: &str) -> impl Iterator<Item = (usize, &'a Value, Option<&'a Value>)> {
        self.recording.lines.iter().enumerate().filter_map(move |(at, line)| {
            line.what.host_event(wanted).map(|(event, session_key)| (at, event, session_key))
        })
    }
}
