//! Model of turns and their indicators: typing and reactions (O-15).

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
    delivery: u64,
    target: Target,
    ends: Time,
    types: Time,
    /// True if 👀 is on its message; `None` if unknown.
    is_marked: Option<bool>,
}

/// An indicator that the machine must write.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Indicator {
    chat: String,
    platform: Option<String>,
    thread: Option<String>,
    kind: IndicatorKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum IndicatorKind {
    Typing { content: Option<String> },
    Reaction { message: String, emoji: &'static str, remove: bool },
}

/// A pending indicator.
#[derive(Debug)]
struct PendingIndicator {
    indicator: Indicator,
    at: Time,
    /// Turn whose message it marks.
    marks: Option<u64>,
    /// True if it must be written if there is room.
    is_due: bool,
}

#[derive(Debug, Default)]
pub(super) struct ModelTurns {
    /// Oldest first.
    open: VecDeque<ModelTurn>,
    asked: Vec<PendingIndicator>,
    /// Indicators without a result.
    pub(super) in_flight: BTreeMap<u64, Time>,
    /// Number of dropped indicators at the last comparison.
    dropped: u64,
    /// Number of timed out turns, in total and in this tick.
    timed_out: u64,
    just_now: u64,
    /// Number of turns that may have timed out, because the connection ended in the same tick.
    perhaps: u64,
}

impl ModelTurns {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Ends a tick.
    pub(super) fn has_passed(&mut self) {
        self.just_now = 0;
    }
}

const WORKING_EMOJI: &str = "👀";

impl Model {
    /// Changes the state of a turn. `phase` is the phase at the time of the command.
    pub(super) fn turn_changed(&mut self, oracle: &mut Oracle, turn: Turn, phase: Phase) {
        let delivery = turn.delivery.number();
        let target = self.places.target(delivery).cloned();
        oracle.check("M-7", "only-what-is-remembered-is-answered", target.is_some(), || {
            format!("{turn:?}, which was forgotten")
        });
        let Some(target) = target else { return };
        match turn.state {
            TurnState::Begin => {
                let is_up = matches!(phase, Phase::Connected | Phase::Idle);
                if is_up && !self.turns.open.iter().any(|open| open.delivery == delivery) {
                    self.begin_turn(delivery, target);
                }
            }
            TurnState::Done => self.end_turn(delivery, Some(true), true),
            TurnState::Failed => self.end_turn(delivery, Some(false), true),
            TurnState::Stopped => self.end_turn(delivery, None, true),
        }
    }

    fn begin_turn(&mut self, delivery: u64, target: Target) {
        if self.turns.open.len() >= self.config.limits.turns
            && let Some(oldest) = self.turns.open.front().map(|open| open.delivery)
        {
            self.count("turns_evicted", 1);
            self.end_turn(oldest, None, true);
        }
        let timing = &self.config.timing;
        let (ends, types) = (self.now + timing.turn_timeout, self.now + timing.typing_interval);
        let marks = self.reacts(&target);
        if marks {
            let is_due = !self.is_unknown(&target);
            self.ask_reaction(&target, WORKING_EMOJI, false, Some(delivery), is_due);
        }
        self.ask_typing(&target, None, true);
        let is_marked = if marks { None } else { Some(false) };
        self.turns.open.push_back(ModelTurn { delivery, target, ends, types, is_marked });
    }

    fn end_turn(&mut self, delivery: u64, ended_well: Option<bool>, is_due: bool) {
        let Some(at) = self.turns.open.iter().position(|open| open.delivery == delivery) else { return };
        let Some(ModelTurn { target, is_marked, .. }) = self.turns.open.remove(at) else { return };
        let is_unknown = self.is_unknown(&target);
        let is_due = is_due && !is_unknown;
        if is_marked != Some(false) && self.reacts(&target) {
            let is_due = is_due && is_marked == Some(true);
            self.ask_reaction(&target, WORKING_EMOJI, true, None, is_due);
            let offer = self.places.offer(&target.chat, target.platform.as_deref());
            let is_telegram = offer.is_some_and(|offer| offer.is_telegram());
            let [telegrams, others] = match ended_well {
                None => [None, None],
                Some(true) => [Some("👍"), Some("✅")],
                Some(false) => [Some("👎"), Some("❌")],
            };
            let fitting = [telegrams.filter(|_| is_telegram || is_unknown), others.filter(|_| !is_telegram)];
            for emoji in fitting.into_iter().flatten() {
                self.ask_reaction(&target, emoji, false, None, is_due);
            }
        }
        let offer = self.places.offer(&target.chat, target.platform.as_deref());
        if is_unknown || offer.is_some_and(|offer| offer.is_slack()) {
            self.ask_typing(&target, Some(String::new()), is_due);
        }
    }

    /// Returns true if the turn's message gets reactions.
    fn reacts(&self, target: &Target) -> bool {
        let offer = self.places.offer(&target.chat, target.platform.as_deref());
        let offers = offer.is_some_and(|offer| offer.reacts) || self.is_unknown(target);
        self.config.turn_reactions && target.message.is_some() && offers
    }

    /// Returns true if the features of the target's platform are unknown, because its chat may be forgotten.
    fn is_unknown(&self, target: &Target) -> bool {
        target.platform.is_none() && !self.places.is_sure()
    }

    fn ask_reaction(
        &mut self,
        target: &Target,
        emoji: &'static str,
        remove: bool,
        marks: Option<u64>,
        is_due: bool,
    ) {
        let Some(message) = target.message.clone() else { return };
        let indicator = Indicator {
            chat: target.chat.clone(),
            platform: target.platform.clone(),
            thread: target.thread.clone(),
            kind: IndicatorKind::Reaction { message, emoji, remove },
        };
        self.turns.asked.push(PendingIndicator { indicator, at: self.now, marks, is_due });
    }

    fn ask_typing(&mut self, target: &Target, content: Option<String>, is_due: bool) {
        let last_seen = || self.places.typing_thread(&target.chat, target.platform.as_deref());
        let indicator = Indicator {
            chat: target.chat.clone(),
            platform: target.platform.clone(),
            thread: target.thread.clone().or_else(last_seen),
            kind: IndicatorKind::Typing { content },
        };
        self.turns.asked.push(PendingIndicator { indicator, at: self.now, marks: None, is_due });
    }

    /// Adds due indicators, and ends timed out turns, before a tick.
    pub(super) fn expire_turns(&mut self) {
        let (now, interval) = (self.now, self.config.timing.typing_interval);
        let timeout = self.config.timing.request_timeout;
        self.turns.in_flight.retain(|_, written| now.since(*written) < timeout);
        self.turns.just_now = 0;
        let mut typing = Vec::new();
        for open in self.turns.open.iter_mut().filter(|open| open.types <= now) {
            open.types = now + interval;
            typing.push((open.target.clone(), open.ends > now));
        }
        for (target, is_due) in typing {
            self.ask_typing(&target, None, is_due);
        }
        while let Some(open) = self.turns.open.front().filter(|open| open.ends <= now) {
            let delivery = open.delivery;
            self.turns.just_now += 1;
            self.end_turn(delivery, None, true);
        }
        self.turns.timed_out += self.turns.just_now;
    }

    /// Checks a written frame without a request: it must be an indicator.
    pub(super) fn indicator_written(&mut self, oracle: &mut Oracle, request: u64, frame: &Value) {
        let is_sure = self.places.is_sure();
        let found = self.turns.asked.iter().position(|asked| fits(&asked.indicator, frame, is_sure));
        oracle.check("O-15", "signs-are-of-open-turns", found.is_some(), || {
            format!("{frame}, not one of {:?}", self.turns.asked)
        });
        let Some(asked) = found.map(|at| self.turns.asked.remove(at)) else { return };
        self.turns.in_flight.insert(request, self.now);
        let marked = asked.marks.and_then(|of| self.turns.open.iter_mut().find(|open| open.delivery == of));
        if let Some(open) = marked {
            open.is_marked = Some(true);
        }
    }

    /// Ends all turns with their connection.
    pub(super) fn turns_disconnected(&mut self) {
        let just_now = std::mem::take(&mut self.turns.just_now);
        self.turns.timed_out -= just_now;
        self.turns.perhaps += just_now;
        self.turns.open.clear();
        self.turns.asked.clear();
        self.turns.in_flight.clear();
    }

    pub(super) fn check_turn_timeouts(&self, oracle: &mut Oracle, machine: &RelayMachine) {
        let (value, least) = (machine.stats().turns_timed_out, self.turns.timed_out);
        let fits = (least..=least + self.turns.perhaps).contains(&value);
        oracle.check("O-15", "turns-end-in-time", fits, || format!("{value} have, not {least}"));
    }

    /// Checks that each due indicator was written or dropped, on a drained machine.
    pub(super) fn check_indicators(&mut self, oracle: &mut Oracle, machine: &RelayMachine, held: &Usage) {
        let (now, timeout) = (self.now, self.config.timing.request_timeout);
        // An indicator that waits too long for the socket is given up.
        self.turns.asked.retain(|asked| now.since(asked.at) < timeout);
        if !self.can_write || self.dials.closing.is_some() || held.unwritten_bytes > 0 {
            return;
        }
        let dropped = machine.stats().turn_signs_dropped - self.turns.dropped;
        self.turns.dropped += dropped;
        let left: Vec<PendingIndicator> = std::mem::take(&mut self.turns.asked);
        let missing = left.iter().filter(|asked| asked.is_due).count() as u64;
        oracle.check("O-15", "signs-are-shown", missing <= dropped, || {
            format!("{missing} of {left:?} were not, and {dropped} dropped")
        });
        for marks in left.into_iter().filter_map(|asked| asked.marks) {
            if let Some(open) = self.turns.open.iter_mut().find(|open| open.delivery == marks) {
                open.is_marked = Some(false);
            }
        }
    }
}

/// Returns true if a frame is this indicator. The thread counts only if no chat was forgotten.
fn fits(indicator: &Indicator, frame: &Value, is_sure: bool) -> bool {
    let action = &frame["action"];
    let shows = match &indicator.kind {
        IndicatorKind::Typing { content } => {
            action["op"] == "typing" && action.get("content").and_then(Value::as_str) == content.as_deref()
        }
        IndicatorKind::Reaction { message, emoji, remove } => {
            action["op"] == "react"
                && action["message_id"] == **message
                && action["emoji"] == *emoji
                && action["remove"] == *remove
        }
    };
    let empty = Metadata::new();
    let metadata = action["metadata"].as_object().unwrap_or(&empty);
    let is_there =
        !is_sure || metadata.get("thread_id").and_then(Value::as_str) == indicator.thread.as_deref();
    let as_platform =
        indicator.platform.is_none() || frame["platform"].as_str() == indicator.platform.as_deref();
    shows
        && is_there
        && as_platform
        && action["chat_id"] == *indicator.chat
        && metadata.get("notify").is_none()
}
