//! Plan of a growing reply's steps (O-10). It is pure: its inputs are the host's states and the results of steps.

mod rest;
#[cfg(test)]
mod tests;

use crate::command::{Failure, FailureKind};
use crate::descriptor::Descriptor;
use crate::slack;
use crate::split::{self, Block, SplitOptions};
use rest::Rest;
use std::collections::VecDeque;

/// The form in which a platform shows a growing reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// As a draft that its last frame, the seal, turns into the message (O-12).
    SealedDrafts,
    /// As a draft that vanishes, so that the message is sent beside it (O-12).
    Previews,
    /// As a message that is edited.
    Edits,
    /// A message per segment (O-10).
    Segments,
}

/// Abilities of a reply's platform when the stream began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    mode: Mode,
    can_edit: bool,
    room: SplitOptions,
}

impl Abilities {
    /// Reads them from a descriptor. `drafts` is false where the host's metadata rules drafts out (O-12).
    pub(crate) fn of(descriptor: &Descriptor, drafts: bool) -> Abilities {
        let can_edit = descriptor.supports_edit;
        let drafts = drafts && descriptor.supports_draft_streaming && descriptor.offers("draft");
        let mode = match (drafts, can_edit) {
            (true, _) if slack::is_slack(&descriptor.platform) => Mode::SealedDrafts,
            (true, _) => Mode::Previews,
            (false, true) => Mode::Edits,
            (false, false) => Mode::Segments,
        };
        Abilities { mode, can_edit, room: descriptor.into() }
    }
}

/// A frame to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) op: StepOp,
    pub(crate) content: String,
    /// True if the frame completes the reply's final text (M-7).
    pub(crate) last: bool,
}

/// The op that carries a step's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StepOp {
    /// A message. Only the stream's first can be a reply.
    Send { first: bool },
    /// The new text of a message.
    Edit { message_id: String },
    /// The new text of a draft. A seal turns it into the message.
    Draft { draft_id: i64, seals: bool },
}

/// Steps that may be taken at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Allowed {
    /// Any step.
    All,
    /// A step of the last state only: for others it is too soon.
    Last,
    /// None, for want of room.
    Nothing,
}

/// Next action of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Wait for the next input.
    Wait,
    /// Carry out this step, and report its result to the plan.
    Step(Step),
    /// The last state has ended; `Ok` has the ids of the messages. After a definite failure the stream can continue.
    Over(Result<Vec<String>, Failure>),
}

/// Position in the host's text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Mark {
    at: usize,
    /// Code block that is open there.
    block: Option<Block>,
}

/// State of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Part {
    content: String,
    /// Position at which the text continues.
    to: Mark,
    /// True if the message is full.
    full: bool,
    /// True if the reply ends with it.
    last: bool,
}

/// Message in progress.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Open {
    /// Not shown yet.
    Unsent,
    /// Shown as a draft.
    Draft { id: i64, content: String },
    /// Sent, and can be edited.
    Message {
        id: String,
        content: String,
        /// Furthest position that it may show.
        reach: Mark,
        /// Failure that makes this uncertain.
        doubt: Option<Failure>,
    },
}

/// Kind of the step that waits for its result.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Send,
    Edit {
        /// True if it replaces the text that is shown.
        rewrites: bool,
    },
    Draft {
        id: i64,
    },
    Seal {
        id: i64,
        /// Ambiguous failure of the first try; `None` on the first try (O-13).
        doubt: Option<Failure>,
    },
}

/// Plan of one streamed reply. Positions are offsets in the host's whole text, of which only the part after the
/// finished messages is kept.
#[derive(Clone, Debug)]
pub(crate) struct StreamPlan {
    mode: Mode,
    can_edit: bool,
    room: SplitOptions,
    rest: Rest,
    /// Start of `rest`: the end of the finished messages.
    start: Mark,
    /// Ends of the segments after that.
    ends: VecDeque<usize>,
    last: bool,
    /// True if the last state does not complete the turn's answer (M-7).
    interim: bool,
    open: Open,
    /// True if the host's text does not continue what the open message shows.
    rewritten: bool,
    flight: Option<(Kind, Part)>,
    /// Seal whose first result was ambiguous: the draft, its content, and the failure (O-13).
    unsure_seal: Option<(i64, Part, Failure)>,
    message_ids: Vec<String>,
    /// Bytes of the message ids.
    id_bytes: usize,
    /// True once a message has begun. Further messages are not replies.
    begun: bool,
    /// Failure of the first ambiguous step of a finished message.
    doubt: Option<Failure>,
    /// Definite failure. Nothing is sent until the host submits another state (O-8).
    held: Option<Failure>,
    /// Failure that ended it for good.
    ended: Option<Failure>,
    /// True if the host has stopped the turn.
    stopped: bool,
    /// True if the last state came after the stop (O-13). Its text is never shown.
    came_late: bool,
}

impl StreamPlan {
    pub(crate) fn new(abilities: Abilities) -> Self {
        StreamPlan {
            mode: abilities.mode,
            can_edit: abilities.can_edit,
            room: abilities.room,
            rest: Rest::default(),
            start: Mark::default(),
            ends: VecDeque::new(),
            last: false,
            interim: false,
            open: Open::Unsent,
            rewritten: false,
            flight: None,
            unsure_seal: None,
            message_ids: Vec::new(),
            id_bytes: 0,
            begun: false,
            doubt: None,
            held: None,
            ended: None,
            stopped: false,
            came_late: false,
        }
    }

    /// Adds the host's next state. Must not be called after the last one until that has ended.
    pub(crate) fn push(&mut self, text: &str, last: bool, segment: bool) {
        let rest = &text[ceil(text, self.start.at)..];
        let sent = self.flight.as_ref().map_or(0, |(_, part)| part.to.at);
        let may_show = match &self.open {
            Open::Message { reach, .. } => sent.max(reach.at),
            Open::Unsent | Open::Draft { .. } => sent,
        };
        let shown = &self.rest.as_bytes()[..self.rest.len().min(may_show.saturating_sub(self.start.at))];
        self.rewritten |= !rest.as_bytes().starts_with(shown);
        self.rest.set(rest);
        while self.ends.back().is_some_and(|end| *end > text.len()) {
            self.ends.pop_back();
        }
        if segment && text.len() > self.ends.back().copied().unwrap_or(self.start.at) {
            self.ends.push_back(text.len());
        }
        self.last = last;
        self.came_late = self.stopped && last;
        self.held = None;
    }

    /// Notes whether the last state completes the turn's answer.
    pub(crate) fn set_interim(&mut self, interim: bool) {
        self.interim = interim;
    }

    /// Returns the number of bytes that it keeps for the host.
    pub(crate) fn weight(&self) -> usize {
        self.rest.weight() + self.ends.len() * size_of::<usize>() + self.id_bytes
    }

    /// Returns true if the last state was added and has not ended.
    pub(crate) fn is_finishing(&self) -> bool {
        self.last
    }

    /// Returns true if a step waits for its result.
    pub(crate) fn is_waiting(&self) -> bool {
        self.flight.is_some()
    }

    /// Returns the failure that ended it for good.
    pub(crate) fn ended(&self) -> Option<&Failure> {
        self.ended.as_ref()
    }

    /// Pauses the stream until the host submits another state, since the connection is over. A failure of the stream
    /// itself takes precedence.
    pub(crate) fn hold(&mut self, failure: Failure) {
        // The seal cannot be repeated on a later connection (O-13).
        if let Some((_, _, doubt)) = self.unsure_seal.take() {
            self.ended = Some(doubt);
        }
        self.held.get_or_insert(failure);
    }

    /// Stops the reply: an open draft that can be sealed is sealed as it is shown, nothing else goes out (O-13).
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Returns the next action. `may` says which steps are allowed now. `drafts` counts the drafts of all streams.
    pub(crate) fn next(&mut self, may: Allowed, drafts: &mut i64) -> Next {
        let allowed = match may {
            Allowed::All => true,
            Allowed::Last => self.last,
            Allowed::Nothing => false,
        };
        if self.flight.is_some() {
            return Next::Wait;
        }
        if self.unsure_seal.is_some() && may == Allowed::Nothing {
            return Next::Wait;
        }
        if let Some((id, part, doubt)) = self.unsure_seal.take() {
            return Next::Step(self.seal(id, part, Some(doubt)));
        }
        if self.stopped && self.ended.is_none() {
            return self.next_of_stopped(may);
        }
        // A long run of white space spans many messages that are not sent. The text is searched once for all of them.
        let mut settled = None;
        loop {
            let all_out = self.last && self.rest.is_empty() && self.open == Open::Unsent;
            if let (true, None) = (all_out, &self.ended) {
                let ids = std::mem::take(&mut self.message_ids);
                self.id_bytes = 0;
                return Next::Over(self.doubt.take().map_or(Ok(ids), Err));
            }
            if let Some(failure) = self.ended.as_ref().or(self.held.as_ref()) {
                let over = std::mem::take(&mut self.last);
                return if over { Next::Over(Err(failure.clone())) } else { Next::Wait };
            }
            let Some(part) = self.part(&mut settled).filter(|_| allowed) else { return Next::Wait };
            if self.shows(&part) {
                if !part.full {
                    return Next::Wait;
                }
                self.advance(part.to);
                continue;
            }
            return Next::Step(self.begin(part, drafts));
        }
    }

    /// Returns the next action of a reply that the host has stopped.
    fn next_of_stopped(&mut self, may: Allowed) -> Next {
        let seals =
            matches!(self.open, Open::Draft { .. }) && self.mode == Mode::SealedDrafts && self.held.is_none();
        if seals && may == Allowed::Nothing {
            return Next::Wait;
        }
        // Taken out, so that a seal that cannot be written is not tried again.
        let open = std::mem::replace(&mut self.open, Open::Unsent);
        match open {
            Open::Draft { id, content } if seals => {
                let part = Part { content, to: self.start.clone(), full: true, last: false };
                Next::Step(self.seal(id, part, None))
            }
            Open::Draft { .. } | Open::Unsent => self.finish_stopped(None),
            Open::Message { doubt, .. } => self.finish_stopped(doubt),
        }
    }

    fn finish_stopped(&mut self, doubt: Option<Failure>) -> Next {
        let stopped = Failure::definite("the turn was stopped");
        self.ended = Some(stopped.clone());
        self.last = false;
        let ids = std::mem::take(&mut self.message_ids);
        self.id_bytes = 0;
        let doubt = self.doubt.take().or(doubt).or(self.came_late.then_some(stopped));
        Next::Over(doubt.map_or(Ok(ids), Err))
    }

    /// Returns the wanted state of the open message. `settled` caches the end of the text that can be shown.
    fn part(&self, settled: &mut Option<usize>) -> Option<Part> {
        let block = self.start.block.as_ref();
        let (text, closes) = match (self.mode, self.ends.front()) {
            (Mode::Segments, Some(end)) => {
                (&self.rest[..ceil(&self.rest, end.saturating_sub(self.start.at))], true)
            }
            (Mode::Segments, None) if !self.last => return None,
            (_, _) if self.last => (&*self.rest, true),
            (_, _) => {
                let end = settled.get_or_insert_with(|| {
                    self.start.at + split::settled(&self.rest, block, self.room).len()
                });
                (&self.rest[..end.saturating_sub(self.start.at).min(self.rest.len())], false)
            }
        };
        // The host's text may itself begin with white space.
        let (skip, block) =
            if self.start.at == 0 { (0, None) } else { split::resume(text, block, self.room) };
        let first = split::first(&text[skip..], block.as_ref(), self.room);
        let end = skip + first.next;
        let to = Mark { at: self.start.at + end, block: first.block };
        let last = self.last && !self.interim && end == self.rest.len();
        Some(Part { content: first.content, to, full: closes || end < text.len(), last })
    }

    /// Returns true if a state needs no step: an empty message cannot be shown.
    fn shows(&self, part: &Part) -> bool {
        part.content.is_empty()
            || match &self.open {
                Open::Unsent => false,
                // A draft is not a message yet.
                Open::Draft { content, .. } => *content == part.content && !part.full,
                // Some connectors end the turn with the frame that is marked as the last (M-7).
                Open::Message { content, .. } => *content == part.content && !part.last,
            }
    }

    fn begin(&mut self, part: Part, drafts: &mut i64) -> Step {
        let draft = match &self.open {
            Open::Message { id, .. } => {
                let op = StepOp::Edit { message_id: id.clone() };
                let kind = Kind::Edit { rewrites: std::mem::take(&mut self.rewritten) };
                return self.start_step(kind, op, part);
            }
            Open::Draft { id, .. } => Some(*id),
            Open::Unsent => None,
        };
        self.rewritten = false;
        match (self.mode, draft) {
            (Mode::SealedDrafts, Some(id)) if part.full => self.seal(id, part, None),
            (Mode::SealedDrafts | Mode::Previews, draft) if !part.full => {
                let id = draft.unwrap_or_else(|| {
                    *drafts += 1;
                    *drafts
                });
                self.start_step(Kind::Draft { id }, StepOp::Draft { draft_id: id, seals: false }, part)
            }
            _ => self.start_step(Kind::Send, StepOp::Send { first: !self.begun }, part),
        }
    }

    fn seal(&mut self, id: i64, part: Part, doubt: Option<Failure>) -> Step {
        self.start_step(Kind::Seal { id, doubt }, StepOp::Draft { draft_id: id, seals: true }, part)
    }

    fn start_step(&mut self, kind: Kind, op: StepOp, part: Part) -> Step {
        let step = Step { op, content: part.content.clone(), last: part.last };
        self.flight = Some((kind, part));
        step
    }

    /// Handles the result of the step: the message's id, if known, or the failure.
    pub(crate) fn result(&mut self, result: Result<Option<String>, Failure>) {
        let Some((kind, part)) = self.flight.take() else { return };
        let result = match (&kind, result) {
            // The first try may have sealed the message, so the result is ambiguous, with the first failure (O-13).
            (Kind::Seal { doubt: Some(doubt), .. }, Err(failure))
                if failure.kind != FailureKind::Declined =>
            {
                self.ended = Some(doubt.clone());
                return;
            }
            (_, result) => result,
        };
        match result {
            Ok(id) => self.on_success(kind, part, id.filter(|id| !id.is_empty())),
            Err(failure) => match failure.kind {
                FailureKind::Declined => self.ended = Some(failure),
                FailureKind::Definite => {
                    self.rewritten |= matches!(kind, Kind::Edit { rewrites: true });
                    self.held = Some(failure);
                }
                FailureKind::Ambiguous => self.on_ambiguous(kind, part, failure),
                FailureKind::Rejected | FailureKind::Unsupported => self.on_failure(&kind, failure),
            },
        }
    }

    fn on_success(&mut self, kind: Kind, part: Part, id: Option<String>) {
        match kind {
            Kind::Send => {
                self.begun = true;
                self.keep(id.clone());
                match id {
                    Some(id) if !part.full => {
                        self.open = Open::Message { id, content: part.content, reach: part.to, doubt: None };
                    }
                    Some(_) => self.advance(part.to),
                    None => {
                        // Without ids nothing can be edited. Segments need fewer messages.
                        if self.mode == Mode::Edits {
                            self.mode = Mode::Segments;
                        }
                        self.advance(part.to);
                    }
                }
            }
            Kind::Edit { .. } => {
                if let Open::Message { content, reach, doubt, .. } = &mut self.open {
                    // The message is replaced as a whole, whatever it showed.
                    (*content, *reach, *doubt) = (part.content, part.to.clone(), None);
                }
                if part.full {
                    self.advance(part.to);
                }
            }
            Kind::Seal { .. } => {
                self.begun = true;
                self.keep(id);
                self.advance(part.to);
            }
            Kind::Draft { id } => self.open = Open::Draft { id, content: part.content },
        }
    }

    fn keep(&mut self, message_id: Option<String>) {
        self.id_bytes += message_id.as_ref().map_or(0, |id| id.len() + size_of::<String>());
        self.message_ids.extend(message_id);
    }

    /// Counts the step as shown, since it may have been carried out.
    fn on_ambiguous(&mut self, kind: Kind, part: Part, failure: Failure) {
        match kind {
            Kind::Send => {
                self.begun = true;
                self.doubt.get_or_insert(failure);
                self.advance(part.to);
            }
            Kind::Edit { .. } => {
                if let Open::Message { content, reach, doubt, .. } = &mut self.open {
                    *content = part.content;
                    doubt.get_or_insert(failure);
                    if part.to.at > reach.at {
                        *reach = part.to.clone();
                    }
                }
                if part.full {
                    self.advance(part.to);
                }
            }
            Kind::Seal { id, .. } => self.unsure_seal = Some((id, part, failure)),
            // The next state of a draft replaces it.
            Kind::Draft { id } => self.open = Open::Draft { id, content: part.content },
        }
    }

    fn on_failure(&mut self, kind: &Kind, failure: Failure) {
        match kind {
            Kind::Send => self.ended = Some(failure),
            // The shown text is not the wanted one, and cannot be corrected.
            Kind::Edit { rewrites } if *rewrites || self.rewritten => self.ended = Some(failure),
            Kind::Edit { .. } => {
                self.mode = Mode::Segments;
                self.advance(self.start.clone());
            }
            // A draft is not a message: nothing of it stays.
            Kind::Draft { .. } | Kind::Seal { .. } => {
                self.mode = if self.can_edit { Mode::Edits } else { Mode::Segments };
                self.open = Open::Unsent;
            }
        }
    }

    /// Finishes the open message. The text continues at `to`, or after what the message may show.
    fn advance(&mut self, to: Mark) {
        let mut to = to;
        if let Open::Message { reach, doubt, .. } = std::mem::replace(&mut self.open, Open::Unsent) {
            if reach.at > to.at {
                to = reach;
            }
            self.doubt = self.doubt.take().or(doubt);
        }
        let cut = ceil(&self.rest, to.at.saturating_sub(self.start.at));
        self.rest.cut(cut);
        self.start = Mark { at: to.at.max(self.start.at + cut), block: to.block };
        self.rewritten = false;
        while self.ends.front().is_some_and(|end| *end <= self.start.at) {
            self.ends.pop_front();
        }
    }
}

/// Returns the first position from `at` on at which a text can be cut, at most its end.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
