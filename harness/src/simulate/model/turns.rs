//! Model of turns and their indicators, which are typing and reactions (O-15).

use super::Model;
use super::places::Target;
use crate::simulate::oracle::Oracle;
use relayline_core::command::Metadata;
use relayline_core::machine::RelayMachine;
use relayline_core::op::{Turn, TurnState};
use relayline_core::output::Phase;
use relayline_core::time::Time;
use relayline_core::usage::Usage;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// An open turn.
#[derive(Debug)]
struct ModelTurn {
    /// Delivery that began the turn.
    delivery: u64,
    /// Place of that delivery.
    target: Target,
    /// Time at which the turn times out.
    times_out_at: Time,
    /// Time of the next typing indicator.
    next_typing_at: Time,
    /// True if the turn's message has the working reaction; `None` if unknown.
    is_marked: Option<bool>,
}

/// A typing indicator or a reaction, and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Indicator {
    chat: String,
    platform: Option<String>,
    thread: Option<String>,
    kind: IndicatorKind,
}

/// Kind of an indicator.
#[derive(Clone, PartialEq, Eq, Debug)]
enum IndicatorKind {
    /// Typing indicator. Empty content ends it on Slack.
    Typing { content: Option<String> },
    /// Reaction that is added to a message or removed from it.
    Reaction { message: String, emoji: &'static str, is_removal: bool },
}

/// An indicator that the machine may or must write.
#[derive(Debug)]
struct PendingIndicator {
    indicator: Indicator,
    /// Time at which the indicator was requested.
    since: Time,
    /// Delivery of the turn whose message the indicator marks with the working reaction.
    marks: Option<u64>,
    /// True if the machine must write the indicator while there is room; false if it may.
    is_due: bool,
}

/// Turns of the connection, and their indicators.
#[derive(Debug, Default)]
pub(super) struct ModelTurns {
    /// Open turns, the oldest first.
    open: VecDeque<ModelTurn>,
    /// Indicators that are not written yet.
    pending: Vec<PendingIndicator>,
    /// Written indicators without a result, by request, and the times at which they were written.
    pub(super) in_flight: BTreeMap<u64, Time>,
    /// Number of dropped indicators at the last comparison.
    dropped: u64,
    /// Number of turns that must have timed out.
    timed_out: u64,
    /// Number of turns that timed out in the current tick; part of `timed_out`.
    timed_out_in_tick: u64,
    /// Number of further turns that may have timed out, because the connection ended in the same tick.
    maybe_timed_out: u64,
}

impl ModelTurns {
    /// Returns the number of open turns.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Ends a tick.
    pub(super) fn end_tick(&mut self) {
        self.timed_out_in_tick = 0;
    }
}

/// Reaction on the message of an open turn.
const WORKING_EMOJI: &str = "👀";

/// Reaction on the message of an ended turn.
#[derive(Clone, Copy)]
struct FinalEmoji {
    on_telegram: &'static str,
    elsewhere: &'static str,
}

/// Returns the reaction of a turn that ends in this state, if there is one.
fn final_emoji(state: TurnState) -> Option<FinalEmoji> {
    match state {
        TurnState::Done => Some(FinalEmoji { on_telegram: "👍", elsewhere: "✅" }),
        TurnState::Failed => Some(FinalEmoji { on_telegram: "👎", elsewhere: "❌" }),
        TurnState::Begin | TurnState::Stopped => None,
    }
}

impl Model {
    /// Changes the state of a turn. `phase` is the machine's phase at the time of the command.
    pub(super) fn change_turn(&mut self, oracle: &mut Oracle, turn: Turn, phase: Phase) {
        let delivery = turn.delivery.number();
        let target = self.places.target(delivery).cloned();
        let is_known = target.is_some() || self.ends_open_turn(&turn);
        oracle.check("M-7", "only-what-is-remembered-is-answered", is_known, || {
            format!("{turn:?}, which was forgotten")
        });
        if turn.state != TurnState::Begin {
            return self.end_turn(delivery, turn.state);
        }
        let is_up = matches!(phase, Phase::Connected | Phase::Idle);
        let is_open = self.turns.open.iter().any(|open| open.delivery == delivery);
        if let Some(target) = target.filter(|_| is_up && !is_open) {
            self.begin_turn(delivery, target);
        }
    }

    /// Returns true if a command ends a turn that is open. That turn keeps its target (O-15).
    pub(super) fn ends_open_turn(&self, turn: &Turn) -> bool {
        let delivery = turn.delivery.number();
        turn.state != TurnState::Begin && self.turns.open.iter().any(|open| open.delivery == delivery)
    }

    /// Opens a turn, and expects its first indicators. The oldest turn is ended if there is no room.
    fn begin_turn(&mut self, delivery: u64, target: Target) {
        if self.turns.open.len() >= self.config.limits.turns
            && let Some(oldest) = self.turns.open.front().map(|open| open.delivery)
        {
            self.count("turns_evicted", 1);
            self.end_turn(oldest, TurnState::Stopped);
        }
        let timing = &self.config.timing;
        let (times_out_at, next_typing_at) =
            (self.now + timing.turn_timeout, self.now + timing.typing_interval);
        let gets_reactions = self.gets_reactions(&target);
        if gets_reactions {
            let is_due = !self.is_unknown(&target);
            self.expect_reaction(&target, WORKING_EMOJI, false, Some(delivery), is_due);
        }
        self.expect_typing(&target, None, true);
        let is_marked = if gets_reactions { None } else { Some(false) };
        self.turns.open.push_back(ModelTurn { delivery, target, times_out_at, next_typing_at, is_marked });
    }

    /// Ends a turn in a state that is not [`TurnState::Begin`]. Evicted and timed out turns end as stopped ones.
    fn end_turn(&mut self, delivery: u64, state: TurnState) {
        let Some(at) = self.turns.open.iter().position(|open| open.delivery == delivery) else { return };
        let Some(ModelTurn { target, is_marked, .. }) = self.turns.open.remove(at) else { return };
        let is_known = !self.is_unknown(&target);
        if is_marked != Some(false) && self.gets_reactions(&target) {
            let is_due = is_known && is_marked == Some(true);
            self.expect_reaction(&target, WORKING_EMOJI, true, None, is_due);
            self.expect_final_reaction(&target, state, is_due);
        }
        let offer = self.places.offer(&target.chat, target.platform.as_deref());
        if !is_known || offer.is_some_and(|offer| offer.is_slack()) {
            self.expect_typing(&target, Some(String::new()), is_known);
        }
    }

    /// Expects the final reaction of a turn. If the platform is unknown, either emoji may be written.
    fn expect_final_reaction(&mut self, target: &Target, state: TurnState, is_due: bool) {
        let Some(emoji) = final_emoji(state) else { return };
        let offer = self.places.offer(&target.chat, target.platform.as_deref());
        let is_telegram = offer.is_some_and(|offer| offer.is_telegram());
        if is_telegram || self.is_unknown(target) {
            self.expect_reaction(target, emoji.on_telegram, false, None, is_due);
        }
        if !is_telegram {
            self.expect_reaction(target, emoji.elsewhere, false, None, is_due);
        }
    }

    /// Returns true if the turn's message gets reactions.
    fn gets_reactions(&self, target: &Target) -> bool {
        let offer = self.places.offer(&target.chat, target.platform.as_deref());
        let offers = offer.is_some_and(|offer| offer.reacts) || self.is_unknown(target);
        self.config.turn_reactions && target.message.is_some() && offers
    }

    /// Returns true if the features of the target's platform are unknown, because its chat may be forgotten.
    fn is_unknown(&self, target: &Target) -> bool {
        target.platform.is_none() && !self.places.is_sure()
    }

    /// Expects a reaction on the target's message.
    fn expect_reaction(
        &mut self,
        target: &Target,
        emoji: &'static str,
        is_removal: bool,
        marks: Option<u64>,
        is_due: bool,
    ) {
        let Some(message) = target.message.clone() else { return };
        let indicator = Indicator {
            chat: target.chat.clone(),
            platform: target.platform.clone(),
            thread: target.thread.clone(),
            kind: IndicatorKind::Reaction { message, emoji, is_removal },
        };
        self.turns.pending.push(PendingIndicator { indicator, since: self.now, marks, is_due });
    }

    /// Expects a typing indicator in the target's chat.
    fn expect_typing(&mut self, target: &Target, content: Option<String>, is_due: bool) {
        let last_seen = || self.places.typing_thread(&target.chat, target.platform.as_deref());
        let indicator = Indicator {
            chat: target.chat.clone(),
            platform: target.platform.clone(),
            thread: target.thread.clone().or_else(last_seen),
            kind: IndicatorKind::Typing { content },
        };
        self.turns.pending.push(PendingIndicator { indicator, since: self.now, marks: None, is_due });
    }

    /// Expects the typing indicators that are due, and ends timed out turns, before a tick.
    pub(super) fn expire_turns(&mut self) {
        let (now, interval) = (self.now, self.config.timing.typing_interval);
        let timeout = self.config.timing.request_timeout;
        self.turns.in_flight.retain(|_, written| now.since(*written) < timeout);
        let mut typing = Vec::new();
        for open in self.turns.open.iter_mut().filter(|open| open.next_typing_at <= now) {
            open.next_typing_at = now + interval;
            typing.push((open.target.clone(), open.times_out_at > now));
        }
        for (target, is_due) in typing {
            self.expect_typing(&target, None, is_due);
        }
        let mut timed_out = 0;
        while let Some(open) = self.turns.open.front().filter(|open| open.times_out_at <= now) {
            let delivery = open.delivery;
            timed_out += 1;
            self.end_turn(delivery, TurnState::Stopped);
        }
        self.turns.timed_out += timed_out;
        self.turns.timed_out_in_tick = timed_out;
    }

    /// Checks a written frame that no request of the host asked for: it must be a pending indicator.
    pub(super) fn check_indicator(&mut self, oracle: &mut Oracle, request: u64, frame: &Value) {
        let is_sure = self.places.is_sure();
        let find = |is_due: bool| {
            let is_it = |pending: &PendingIndicator| {
                pending.is_due == is_due && is_frame_of(&pending.indicator, frame, is_sure)
            };
            self.turns.pending.iter().position(is_it)
        };
        // Two turns of one chat have the same signs, and one of the turns may have timed out.
        let found = find(true).or_else(|| find(false));
        oracle.check("O-15", "signs-are-of-open-turns", found.is_some(), || {
            format!("{frame}, not one of {:?}", self.turns.pending)
        });
        let Some(written) = found.map(|at| self.turns.pending.remove(at)) else { return };
        self.turns.in_flight.insert(request, self.now);
        let marked = written.marks.and_then(|of| self.turns.open.iter_mut().find(|open| open.delivery == of));
        if let Some(open) = marked {
            open.is_marked = Some(true);
        }
    }

    /// Ends all turns with their connection.
    pub(super) fn disconnect_turns(&mut self) {
        let in_tick = std::mem::take(&mut self.turns.timed_out_in_tick);
        self.turns.timed_out -= in_tick;
        self.turns.maybe_timed_out += in_tick;
        self.turns.open.clear();
        self.turns.pending.clear();
        self.turns.in_flight.clear();
    }

    /// Checks the number of timed out turns.
    pub(super) fn check_turn_timeouts(&self, oracle: &mut Oracle, machine: &RelayMachine) {
        let (value, min) = (machine.stats().turns_timed_out, self.turns.timed_out);
        let is_expected = (min..=min + self.turns.maybe_timed_out).contains(&value);
        oracle.check("O-15", "turns-end-in-time", is_expected, || format!("{value} have, not {min}"));
    }

    /// Checks that each due indicator was written or dropped, on a drained machine.
    pub(super) fn check_indicators(&mut self, oracle: &mut Oracle, machine: &RelayMachine, usage: &Usage) {
        let (now, timeout) = (self.now, self.config.timing.request_timeout);
        // An indicator that waits too long for the socket is given up.
        self.turns.pending.retain(|pending| now.since(pending.since) < timeout);
        if !self.can_write || self.dials.closing.is_some() || usage.unwritten_bytes > 0 {
            return;
        }
        let dropped = machine.stats().turn_signs_dropped - self.turns.dropped;
        self.turns.dropped += dropped;
        let left: Vec<PendingIndicator> = std::mem::take(&mut self.turns.pending);
        let missing = left.iter().filter(|pending| pending.is_due).count() as u64;
        oracle.check("O-15", "signs-are-shown", missing <= dropped, || {
            format!("{missing} of {left:?} were not, and {dropped} dropped")
        });
        for marks in left.into_iter().filter_map(|pending| pending.marks) {
            if let Some(open) = self.turns.open.iter_mut().find(|open| open.delivery == marks) {
                open.is_marked = Some(false);
            }
        }
    }
}

/// Returns true if a frame is this indicator. The thread is compared only if `is_sure`: no chat was forgotten.
fn is_frame_of(indicator: &Indicator, frame: &Value, is_sure: bool) -> bool {
    let action = &frame["action"];
    let is_kind = match &indicator.kind {
        IndicatorKind::Typing { content } => {
            action["op"] == "typing" && action.get("content").and_then(Value::as_str) == content.as_deref()
        }
        IndicatorKind::Reaction { message, emoji, is_removal } => {
            action["op"] == "react"
                && action["message_id"] == **message
                && action["emoji"] == *emoji
                && action["remove"] == *is_removal
        }
    };
    let empty = Metadata::new();
    let metadata = action["metadata"].as_object().unwrap_or(&empty);
    let is_thread =
        !is_sure || metadata.get("thread_id").and_then(Value::as_str) == indicator.thread.as_deref();
    let is_platform =
        indicator.platform.is_none() || frame["platform"].as_str() == indicator.platform.as_deref();
    is_kind
        && is_thread
        && is_platform
        && action["chat_id"] == *indicator.chat
        && metadata.get("notify").is_none()
}
