//! Differences from recorded gateways that rules require.

mod differences;
mod fields;

use super::frame_causes::FrameCause;
use super::recorded_answers::{Answer, Step};
use super::run::{ReplayRun, ReplayedDial};
use super::session::{EARLY, Frame};
use super::verdict::{Difference, DifferenceKind};
use crate::recording::Recording;
use serde_json::{Map, Value};
use std::fmt;

/// A difference that a rule requires. It covers no more than `what` describes.
#[derive(Clone, Copy)]
pub struct Departure {
    /// Id of the rule.
    pub rule: &'static str,
    /// Prefixes of `recorded_from` of the recordings that it applies to.
    pub recorded_from: &'static [&'static str],
    /// Description of the difference.
    pub what: &'static str,
    /// Reason for the difference.
    pub why: &'static str,
    pub(crate) how: DepartureRule,
}

/// Recognition of a departure.
#[derive(Clone, Copy)]
pub(crate) enum DepartureRule {
    /// It explains a whole difference.
    Whole(fn(&Difference, &Case<'_>) -> bool),
    /// It explains a part of the difference between two frames, and removes the part from both. Returns true if the
    /// part was present. In the end the frames must be equal.
    Part(fn(&mut Value, &mut Value, &Pair<'_>) -> bool),
}

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departure")
            .field("rule", &self.rule)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

/// Material that departures are recognized by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) run: &'a ReplayRun,
}

impl<'a> Case<'a> {
    /// Returns the replayed dial.
    pub(crate) fn dialed(&self, dial: usize) -> Option<&'a ReplayedDial> {
        self.run.dials.iter().find(|dialed| dialed.answered == Some(dial - 1))
    }

    /// Returns the number of the recorded request that a replayed frame corresponds to.
    pub(crate) fn counterpart(&self, dial: usize, position: usize) -> Option<usize> {
        self.dialed(dial)?.frames.get(position)?.counterpart
    }

    /// Returns the number of a recorded request.
    pub(crate) fn number(&self, dial: usize, position: usize) -> Option<usize> {
        self.cause(dial, position).map(|cause| cause.number)
    }

    fn frame(&self, dial: usize, position: usize) -> Option<&'a Frame> {
        self.run.session.dials.get(dial - 1)?.wrote.get(position)
    }

    fn cause(&self, dial: usize, position: usize) -> Option<&'a FrameCause> {
        self.frame(dial, position)?.cause.as_ref()
    }

    /// Returns the call that caused a recorded request, if there is one.
    fn call(&self, cause: &FrameCause) -> Option<(&'a str, &'a Map<String, Value>)> {
        self.recording.lines[cause.call?].what.host_call()
    }

    /// Returns the step of a turn that caused a recorded request.
    fn step(&self, cause: &FrameCause) -> Option<&'a Step> {
        self.run.session.answers.steps.get(&cause.call?)
    }
}

/// Two frames that correspond.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    case: &'a Case<'a>,
    dial: usize,
    frame: &'a Frame,
    cause: &'a FrameCause,
}

impl<'a> Pair<'a> {
    fn step(&self) -> Option<&'a Step> {
        self.case.step(self.cause)
    }

    /// Returns the answer that they belong to.
    fn answer(&self) -> Option<&'a Answer> {
        Some(&self.case.run.session.answers.all[self.step()?.answer()?])
    }

    /// Returns true if they carry the last of an answer's text.
    fn is_last(&self) -> bool {
        match self.step() {
            Some(Step::State { last, .. }) => *last,
            Some(Step::Reply { .. } | Step::Again { .. }) => true,
            Some(Step::Begin { .. } | Step::End { .. } | Step::Stop { .. }) | None => false,
        }
    }

    fn args(&self) -> Option<&'a Map<String, Value>> {
        self.case.call(self.cause).map(|(_, args)| args)
    }

    /// Returns true if the recorded call has a metadata field.
    fn call_says(&self, name: &str) -> bool {
        self.args().and_then(|args| args.get("metadata")?.get(name)).is_some()
    }
}

/// Returns the departures that explain a difference, as indexes in [`DEPARTURES`]; `None` if they do not explain it.
pub(crate) fn of(difference: &Difference, case: &Case<'_>) -> Option<Vec<usize>> {
    let whole = applying(case).find(|(_, departure)| match departure.how {
        DepartureRule::Whole(is_it) => is_it(difference, case),
        DepartureRule::Part(_) => false,
    });
    if let Some((at, _)) = whole {
        return Some(vec![at]);
    }
    let DifferenceKind::Frame(dial) = difference.kind else { return None };
    let recorded = (difference.recorded_position?, difference.recorded.as_ref()?.value.clone());
    let ours = (difference.position?, difference.ours.as_ref()?.value.clone());
    apply_to_pair(case, dial, &recorded, &ours)
}

/// Returns the departures that explain all differences between two frames.
pub(crate) fn apply_to_pair(
    case: &Case<'_>,
    dial: usize,
    (at, recorded): &(usize, Value),
    (position, ours): &(usize, Value),
) -> Option<Vec<usize>> {
    let frame = case.frame(dial, *at)?;
    let cause = frame.cause.as_ref()?;
    // A frame that corresponds to another request is not a match.
    if case.counterpart(dial, *position).is_some_and(|number| number != cause.number) {
        return None;
    }
    if !applying(case).any(|(_, departure)| matches!(departure.how, DepartureRule::Part(_))) {
        return None;
    }
    let pair = Pair { case, dial, frame, cause };
    let (mut recorded, mut ours) = (recorded.clone(), ours.clone());
    let mut found = Vec::new();
    for (at, departure) in applying(case) {
        if let DepartureRule::Part(mend) = departure.how
            && mend(&mut recorded, &mut ours, &pair)
        {
            found.push(at);
        }
    }
    (recorded == ours && !found.is_empty()).then_some(found)
}

/// Returns the departures that apply to a recording.
fn applying<'a>(case: &Case<'a>) -> impl Iterator<Item = (usize, &'static Departure)> + use<'a> {
    let from = &case.recording.header.recorded_from;
    let is_for = |departure: &Departure| departure.recorded_from.iter().any(|name| from.starts_with(name));
    DEPARTURES.iter().enumerate().filter(move |(_, departure)| is_for(departure))
}

/// Prefix of `recorded_from` of the newest recordings.
const OCTOBER: &[&str] = &["python reference, October"];

/// All differences that rules require.
pub const DEPARTURES: &[Departure] = &[
    Departure {
        rule: "L-14",
        recorded_from: EARLY,
        what: "our last frame before the close of a disconnect is a going_idle that was not recorded",
        why: "the first public version closed at once, and its transport alone still does: what the connector sends \
              meanwhile is lost unless it was told to buffer",
        how: DepartureRule::Whole(differences::going_idle_before_the_close),
    },
    Departure {
        rule: "L-9",
        recorded_from: EARLY,
        what: "after an auth refusal of a connection whose handshake was complete we dial once more, where the \
               recorded gateway was fatal",
        why: "the reference takes the first refusal as final; one bad answer of a connector that restarts would \
              disable the gateway for good",
        how: DepartureRule::Whole(differences::one_more_try),
    },
    Departure {
        rule: "L-5",
        recorded_from: &["python reference ws_transport"],
        what: "after a loss we dial again, where the recorded gateway never did and the recording ends",
        why: "the first public version did not reconnect",
        how: DepartureRule::Whole(differences::dials_again),
    },
    Departure {
        rule: "A-3",
        recorded_from: &["python reference ws_transport"],
        what: "we acknowledge the buffer entry of a forward that reaches no host",
        why: "the first public version acknowledged nothing; a connector that waits for it would never drain further",
        how: DepartureRule::Whole(differences::acknowledges_what_nobody_takes),
    },
    Departure {
        rule: "M-2",
        recorded_from: &["python reference, August 22"],
        what: "a caller's own metadata.guild_id is the scope_id too, instead of the remembered scope",
        why: "who sets one of the two scope names sets both: with the remembered one beside it a connector could \
              send to another server than the caller meant",
        how: DepartureRule::Whole(differences::one_scope_name_sets_both),
    },
    Departure {
        rule: "P-7",
        recorded_from: &["python reference ws_transport"],
        what: "an interaction counts as a command with its options (P-3), on its own platform, where the recorded \
               gateway had its bare name, on `relay`",
        why: "an interaction and a message of one chat must have one session key, and a host must be able to tell \
              `/summarize 20` from the word",
        how: DepartureRule::Whole(differences::reads_an_interaction),
    },
    Departure {
        rule: "P-1",
        recorded_from: &["python reference ws_transport"],
        what: "a forward whose body is not strict base64 becomes no event",
        why: "Python's decoder passes over what is not of its alphabet, and so reads something out of any text",
        how: DepartureRule::Whole(differences::reads_strict_base64),
    },
    Departure {
        rule: "A-3",
        recorded_from: OCTOBER,
        what: "we acknowledge the buffer entry of a forward that reaches no host",
        why: "a connector that waits for it would never drain further",
        how: DepartureRule::Whole(differences::acknowledges_what_nobody_takes),
    },
    Departure {
        rule: "A-1",
        recorded_from: OCTOBER,
        what: "we acknowledge the buffer entry of an interaction that the host has taken, as often as it came",
        why: "the reference acknowledges messages alone: its connector's drain waits at an interaction for ever",
        how: DepartureRule::Whole(differences::acknowledges_an_interaction),
    },
    Departure {
        rule: "A-4",
        recorded_from: OCTOBER,
        what: "an interaction whose buffer entry was delivered before is not delivered again",
        why: "the command would run twice",
        how: DepartureRule::Whole(differences::knows_a_copy),
    },
    Departure {
        rule: "L-10",
        recorded_from: OCTOBER,
        what: "we do not dial after the refusal that means revoked, where the recorded gateway dials once more and is \
               refused again",
        why: "the reference takes itself for revoked by then; what it says of itself on that dial never gets out",
        how: DepartureRule::Whole(differences::dials_no_more),
    },
    Departure {
        rule: "L-14",
        recorded_from: &["python reference"],
        what: "a disconnect of a gateway that is idle, or has asked to be, does not ask again",
        why: "the connector has answered, or is about to",
        how: DepartureRule::Whole(differences::asks_to_go_idle_once),
    },
    Departure {
        rule: "O-5",
        recorded_from: OCTOBER,
        what: "we ask what a chat is where the descriptor names no ops at all",
        why: "older connectors name none and do answer it",
        how: DepartureRule::Whole(differences::asks_what_a_chat_is),
    },
    Departure {
        rule: "O-15",
        recorded_from: OCTOBER,
        what: "we show a typing sign at a turn's begin and while it lasts, and on Slack take it away at its end, beside \
               those that the recorded host asked for",
        why: "a turn keeps its sign up by itself",
        how: DepartureRule::Whole(differences::shows_a_turn),
    },
    Departure {
        rule: "O-15",
        recorded_from: OCTOBER,
        what: "an interaction gets no reaction",
        why: "it is not a message: the reference reacts to the interaction's id, which no platform knows as one",
        how: DepartureRule::Whole(differences::reacts_to_no_interaction),
    },
    Departure {
        rule: "O-7",
        recorded_from: OCTOBER,
        what: "a call that says once more what was declined writes nothing",
        why: "the connector's policy forbids the text, whatever op carries it; the reference sends it up to three times \
              more",
        how: DepartureRule::Whole(differences::says_nothing_after_a_decline),
    },
    Departure {
        rule: "O-7",
        recorded_from: OCTOBER,
        what: "a seal that was answered `egress declined: …ack lost…` without a code was rejected: its text goes out as a \
               send",
        why: "without a code the text alone speaks, and `ack lost` in it undoes the decline",
        how: DepartureRule::Whole(differences::takes_a_lost_ack_for_no_decline),
    },
    Departure {
        rule: "O-13",
        recorded_from: OCTOBER,
        what: "after a seal that was ambiguous and then no success nothing else goes out, where the recorded gateway sends \
               the text",
        why: "the user may see it twice",
        how: DepartureRule::Whole(differences::ends_as_ambiguous),
    },
    Departure {
        rule: "O-10",
        recorded_from: OCTOBER,
        what: "where edits are not supported nothing is shown before the text is complete: no message that still grows, \
               and no edit",
        why: "the reference does not look at the descriptor: its message stays as it was, cursor and all",
        how: DepartureRule::Whole(differences::shows_no_part),
    },
    Departure {
        rule: "O-10",
        recorded_from: OCTOBER,
        what: "no edit takes a cursor away from a message that stays as it is shown",
        why: "ours never had one",
        how: DepartureRule::Whole(differences::leaves_no_cursor),
    },
    Departure {
        rule: "O-15",
        recorded_from: OCTOBER,
        what: "a turn that was stopped ends without a closing reaction",
        why: "it neither succeeded nor failed; to the reference it did well",
        how: DepartureRule::Whole(differences::closes_no_stopped_turn),
    },
    Departure {
        rule: "D-9",
        recorded_from: OCTOBER,
        what: "reactions, prompts, media and task cards go out where the chat's own descriptor offers them",
        why: "the reference asks the default one, whatever platform the chat is on",
        how: DepartureRule::Whole(differences::asks_the_chats_own),
    },
    Departure {
        rule: "I-3",
        recorded_from: OCTOBER,
        what: "an answer to a prompt whose id has no dot is silent, where the recorded gateway says that it is stale",
        why: "an id of another form is not one of ours: the reference's earlier versions made such",
        how: DepartureRule::Whole(differences::answers_for_no_other_process),
    },
    Departure {
        rule: "O-10",
        recorded_from: OCTOBER,
        what: "a message that still grows has no cursor after its text, and no metadata.expect_edits",
        why: "both are the reference's own: a host that wants them sends them",
        how: DepartureRule::Part(fields::cursor),
    },
    Departure {
        rule: "O-10",
        recorded_from: OCTOBER,
        what: "white space at the end of a streamed message is not shown",
        why: "it is shown once something follows it; platforms cut it off, and would find an edit without a change",
        how: DepartureRule::Part(fields::white_space),
    },
    Departure {
        rule: "O-11",
        recorded_from: OCTOBER,
        what: "a code block that is open at the end of a streamed message is closed; while it grows, one with nothing in \
               it yet, or a line that may yet become a fence, is not shown",
        why: "each state is a message that can stay",
        how: DepartureRule::Part(fields::code_block),
    },
    Departure {
        rule: "O-10",
        recorded_from: OCTOBER,
        what: "where edits are not supported the last message holds all of the text and is the answer, where the recorded \
               one holds the rest of it",
        why: "nothing was shown before",
        how: DepartureRule::Part(fields::whole_text),
    },
    Departure {
        rule: "M-7",
        recorded_from: OCTOBER,
        what: "the frames of an answer have metadata.reply_to_message_id, the message's that began the turn",
        why: "three connectors end the turn on it; the reference leaves it off edits and plain answers",
        how: DepartureRule::Part(fields::reply_to_message_id),
    },
    Departure {
        rule: "M-7",
        recorded_from: OCTOBER,
        what: "an answer points at its message by reply_to, where the recorded call names none",
        why: "an answer names its delivery alone; the reference leaves it out in a forum topic",
        how: DepartureRule::Part(fields::reply_to),
    },
    Departure {
        rule: "M-7",
        recorded_from: OCTOBER,
        what: "the frame that ends an answer has metadata.notify, where the recorded call does not say it",
        why: "connectors end the turn on it; the reference leaves it off edits",
        how: DepartureRule::Part(fields::notify),
    },
    Departure {
        rule: "M-7",
        recorded_from: OCTOBER,
        what: "the end of a segment after which the answer goes on has no metadata.notify, or one that is false",
        why: "the turn goes on",
        how: DepartureRule::Part(fields::no_notify),
    },
    Departure {
        rule: "M-3",
        recorded_from: OCTOBER,
        what: "get_chat_info has the platform on which the chat was seen, and its bot",
        why: "a connector of several platforms would ask the default one",
        how: DepartureRule::Part(fields::tag_of_chat_info),
    },
    Departure {
        rule: "M-8",
        recorded_from: OCTOBER,
        what: "drafts and edits of an answer on Slack have metadata.thread_id, the message that they answer",
        why: "connectors thread on metadata alone: the answer would grow in one place and end in another",
        how: DepartureRule::Part(fields::thread),
    },
    Departure {
        rule: "O-15",
        recorded_from: OCTOBER,
        what: "a turn's reactions have metadata.thread_id, the thread of its message",
        why: "a turn's signs are placed as its answer is",
        how: DepartureRule::Part(fields::thread_of_reaction),
    },
    Departure {
        rule: "M-8",
        recorded_from: OCTOBER,
        what: "a typing sign without a thread takes the last message that we have read, where the recorded gateway had not \
               read it yet",
        why: "the reference waits for an answer where it should read",
        how: DepartureRule::Part(fields::typing_anchor),
    },
    Departure {
        rule: "M-9",
        recorded_from: OCTOBER,
        what: "the host's unfurl settings are on a stream's edits, too",
        why: "a stream's metadata is on all of its frames",
        how: DepartureRule::Part(fields::unfurls),
    },
    Departure {
        rule: "O-16",
        recorded_from: OCTOBER,
        what: "a task card that names its thread has no metadata.thread_ts beside it",
        why: "the host's own placement wins",
        how: DepartureRule::Part(fields::card_thread),
    },
    Departure {
        rule: "S-7",
        recorded_from: OCTOBER,
        what: "the acknowledgement of an answer to a prompt at the top level of Slack is in no thread",
        why: "an answer to a prompt begins no thread: the reference's acknowledgement hides in one of the answer's own",
        how: DepartureRule::Part(fields::top_level_choice),
    },
    Departure {
        rule: "M-2",
        recorded_from: OCTOBER,
        what: "metadata.profile is left out where it is `default`",
        why: "no profile is the default one (S-1)",
        how: DepartureRule::Part(fields::default_profile),
    },
];
