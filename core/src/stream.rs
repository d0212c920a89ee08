//! What of a growing reply is shown next (O-10): a pure plan, told what the host wants and what became of each step.

#[cfg(test)]
mod tests;

use crate::command::{Failure, FailureKind};
use crate::descriptor::Descriptor;
use crate::split::{self, Block, Room};
use std::collections::VecDeque;

/// How a reply grows on its platform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// As a draft, whose last state becomes a message.
    Drafts,
    /// As a message that is edited.
    Edits,
    /// A message per segment (O-10).
    Segments,
}

/// What the platform of a reply can do, as it was when the stream began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    mode: Mode,
    can_edit: bool,
    room: Room,
}

impl From<&Descriptor> for Abilities {
    fn from(descriptor: &Descriptor) -> Abilities {
        let can_edit = descriptor.supports_edit;
        let mode = match (descriptor.supports_draft_streaming && descriptor.offers("draft"), can_edit) {
            (true, _) => Mode::Drafts,
            (false, true) => Mode::Edits,
            (false, false) => Mode::Segments,
        };
        Abilities { mode, can_edit, room: descriptor.into() }
    }
}

/// What goes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A message; the stream's first is the one that can be a reply.
    Send { content: String, first: bool },
    /// A message's new text.
    Edit { message_id: String, content: String },
    /// A draft's new text; the last one becomes a message.
    Draft { draft_id: i64, content: String, last: bool },
}

/// Steps that may be taken at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum May {
    /// Any step.
    All,
    /// A step of the last state: for another it is too soon.
    Last,
    /// None: there is no room for it.
    Nothing,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Nothing, until something happens.
    Wait,
    /// This; what becomes of it is the plan's to know.
    Step(Step),
    /// The last state has ended, well with the ids of the messages. After a definite failure the stream can go on.
    Over(Result<Vec<String>, Failure>),
}

/// A place in the host's text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Mark {
    at: usize,
    /// The code block that is open there.
    block: Option<Block>,
}

/// One state of one message.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Part {
    content: String,
    /// Where the text goes on.
    to: Mark,
    /// Nothing will be added to that message.
    full: bool,
}

/// The message that is under way.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Open {
    /// Nothing of it is shown.
    Unsent,
    /// A draft shows it.
    Draft { id: i64, content: String },
    /// It is there, and can be edited.
    Message {
        id: String,
        content: String,
        /// The furthest that it may reach.
        reach: Mark,
        /// Why that is not sure.
        doubt: Option<Failure>,
    },
}

/// What a step that waits for its answer is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Send,
    Edit {
        /// It puts another text in the place of what is shown.
        rewrites: bool,
    },
    Draft {
        id: i64,
    },
}

/// One streamed reply: what may be shown of it, and what is wanted. Places are counted in the host's whole text, of
/// which only what is not in a finished message is kept.
#[derive(Clone, Debug)]
pub(crate) struct StreamPlan {
    mode: Mode,
    can_edit: bool,
    room: Room,
    rest: String,
    /// Where `rest` begins: the end of the finished messages.
    start: Mark,
    /// The ends of segments behind that.
    ends: VecDeque<usize>,
    last: bool,
    open: Open,
    /// What the host wants is no continuation of what the open message shows.
    rewritten: bool,
    flight: Option<(Kind, Part)>,
    message_ids: Vec<String>,
    /// A message has begun: further ones are no replies.
    begun: bool,
    /// The first ambiguous step of a finished message.
    doubt: Option<Failure>,
    /// A definite failure: nothing goes out until the host says more (O-8).
    held: Option<Failure>,
    /// What ended it for good.
    ended: Option<Failure>,
}

impl StreamPlan {
    pub(crate) fn new(abilities: Abilities) -> Self {
        StreamPlan {
            mode: abilities.mode,
            can_edit: abilities.can_edit,
            room: abilities.room,
            rest: String::new(),
            start: Mark::default(),
            ends: VecDeque::new(),
            last: false,
            open: Open::Unsent,
            rewritten: false,
            flight: None,
            message_ids: Vec::new(),
            begun: false,
            doubt: None,
            held: None,
            ended: None,
        }
    }

    /// The host's next state. Not after the last one, while that has not ended.
    pub(crate) fn push(&mut self, text: &str, last: bool, segment: bool) {
        let rest = &text[ceil(text, self.start.at)..];
        let sent = self.flight.as_ref().map_or(0, |(_, part)| part.to.at);
        let may_show = match &self.open {
            Open::Message { reach, .. } => sent.max(reach.at),
            Open::Unsent | Open::Draft { .. } => sent,
        };
        let shown = &self.rest.as_bytes()[..self.rest.len().min(may_show.saturating_sub(self.start.at))];
        self.rewritten |= !rest.as_bytes().starts_with(shown);
        self.rest.clear();
        self.rest.push_str(rest);
        while self.ends.back().is_some_and(|end| *end > text.len()) {
            self.ends.pop_back();
        }
        if segment && text.len() > self.ends.back().copied().unwrap_or(self.start.at) {
            self.ends.push_back(text.len());
        }
        self.last = last;
        self.held = None;
    }

    /// Bytes that it keeps for the host.
    pub(crate) fn weight(&self) -> usize {
        let ids: usize = self.message_ids.iter().map(String::len).sum();
        self.rest.len() + self.ends.len() * size_of::<usize>() + ids
    }

    /// Whether the last state has come and has not ended.
    pub(crate) fn is_finishing(&self) -> bool {
        self.last
    }

    /// Whether a step waits for its answer.
    pub(crate) fn is_waiting(&self) -> bool {
        self.flight.is_some()
    }

    /// What ended it, when nothing more can come of it.
    pub(crate) fn ended(&self) -> Option<&Failure> {
        self.ended.as_ref()
    }

    /// Nothing goes out any more until the host says more, and then as ever. A failure of its own tells more.
    pub(crate) fn hold(&mut self, failure: Failure) {
        self.held.get_or_insert(failure);
    }

    /// Returns what is to be done now, where a step is one that may be taken. `drafts` counts the drafts of all
    /// streams.
    pub(crate) fn next(&mut self, may: May, drafts: &mut i64) -> Next {
        let allowed = match may {
            May::All => true,
            May::Last => self.last,
            May::Nothing => false,
        };
        if self.flight.is_some() {
            return Next::Wait;
        }
        loop {
            let all_out = self.last && self.rest.is_empty() && self.open == Open::Unsent;
            if let (true, None) = (all_out, &self.ended) {
                let ids = std::mem::take(&mut self.message_ids);
                return Next::Over(self.doubt.take().map_or(Ok(ids), Err));
            }
            if let Some(failure) = self.ended.as_ref().or(self.held.as_ref()) {
                let over = std::mem::take(&mut self.last);
                return if over { Next::Over(Err(failure.clone())) } else { Next::Wait };
            }
            let Some(part) = self.part().filter(|_| allowed) else { return Next::Wait };
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

    /// The state of the open message that is wanted.
    fn part(&self) -> Option<Part> {
        let block = self.start.block.as_ref();
        let (text, closes) = match (self.mode, self.ends.front()) {
            (Mode::Segments, Some(end)) => {
                (&self.rest[..ceil(&self.rest, end.saturating_sub(self.start.at))], true)
            }
            (Mode::Segments, None) if !self.last => return None,
            (Mode::Segments | Mode::Drafts | Mode::Edits, _) if self.last => (self.rest.as_str(), true),
            (Mode::Segments | Mode::Drafts | Mode::Edits, _) => {
                (split::settled(&self.rest, block, self.room), false)
            }
        };
        // The host's text may begin with white space, if it likes.
        let (skip, block) =
            if self.start.at == 0 { (0, None) } else { split::resume(text, block, self.room) };
        let first = split::first(&text[skip..], block.as_ref(), self.room);
        let end = skip + first.next;
        let to = Mark { at: self.start.at + end, block: first.block };
        Some(Part { content: first.content, to, full: closes || end < text.len() })
    }

    /// Whether there is nothing to do for a state: an empty message cannot be shown.
    fn shows(&self, part: &Part) -> bool {
        part.content.is_empty()
            || match &self.open {
                Open::Unsent => false,
                // What becomes a message must be said to be the last.
                Open::Draft { content, .. } => *content == part.content && !part.full,
                Open::Message { content, .. } => *content == part.content,
            }
    }

    fn begin(&mut self, part: Part, drafts: &mut i64) -> Step {
        let content = part.content.clone();
        let (kind, step) = match &self.open {
            Open::Message { id, .. } => {
                let kind = Kind::Edit { rewrites: std::mem::take(&mut self.rewritten) };
                (kind, Step::Edit { message_id: id.clone(), content })
            }
            Open::Draft { id, .. } => {
                (Kind::Draft { id: *id }, Step::Draft { draft_id: *id, content, last: part.full })
            }
            Open::Unsent if self.mode == Mode::Drafts => {
                *drafts += 1;
                (Kind::Draft { id: *drafts }, Step::Draft { draft_id: *drafts, content, last: part.full })
            }
            Open::Unsent => (Kind::Send, Step::Send { content, first: !self.begun }),
        };
        if matches!(self.open, Open::Unsent | Open::Draft { .. }) {
            self.rewritten = false;
        }
        self.flight = Some((kind, part));
        step
    }

    /// What became of the step: where it went well, the message's id, if there is one.
    pub(crate) fn result(&mut self, result: Result<Option<String>, Failure>) {
        let Some((kind, part)) = self.flight.take() else { return };
        match result {
            Ok(id) => self.went_well(kind, part, id.filter(|id| !id.is_empty())),
            Err(failure) => match failure.kind {
                FailureKind::Declined => self.ended = Some(failure),
                FailureKind::Definite => {
                    self.rewritten |= matches!(kind, Kind::Edit { rewrites: true });
                    self.held = Some(failure);
                }
                FailureKind::Ambiguous => self.may_have_gone_well(kind, part, failure),
                FailureKind::Rejected | FailureKind::Unsupported => self.went_wrong(&kind, failure),
            },
        }
    }

    fn went_well(&mut self, kind: Kind, part: Part, id: Option<String>) {
        match kind {
            Kind::Send => {
                self.begun = true;
                self.message_ids.extend(id.clone());
                match id {
                    Some(id) if !part.full => {
                        self.open = Open::Message { id, content: part.content, reach: part.to, doubt: None };
                    }
                    Some(_) => self.advance(part.to),
                    None => {
                        // Without ids nothing can be edited: as segments it makes fewer messages.
                        self.mode = Mode::Segments;
                        self.advance(part.to);
                    }
                }
            }
            Kind::Edit { .. } => {
                if let Open::Message { content, reach, doubt, .. } = &mut self.open {
                    // It is replaced as a whole, whatever it was.
                    (*content, *reach, *doubt) = (part.content, part.to.clone(), None);
                }
                if part.full {
                    self.advance(part.to);
                }
            }
            Kind::Draft { .. } if part.full => {
                self.begun = true;
                self.message_ids.extend(id);
                self.advance(part.to);
            }
            Kind::Draft { id } => self.open = Open::Draft { id, content: part.content },
        }
    }

    /// It counts as shown, since it may be.
    fn may_have_gone_well(&mut self, kind: Kind, part: Part, failure: Failure) {
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
            Kind::Draft { .. } if part.full => {
                self.begun = true;
                self.doubt.get_or_insert(failure);
                self.advance(part.to);
            }
            // The next state of a draft replaces it.
            Kind::Draft { id } => self.open = Open::Draft { id, content: part.content },
        }
    }

    fn went_wrong(&mut self, kind: &Kind, failure: Failure) {
        match kind {
            Kind::Send => self.ended = Some(failure),
            // What is shown is not what is wanted, and cannot be made so.
            Kind::Edit { rewrites } if *rewrites || self.rewritten => self.ended = Some(failure),
            Kind::Edit { .. } => {
                self.mode = Mode::Segments;
                self.advance(self.start.clone());
            }
            // A draft is no message: nothing of it stays.
            Kind::Draft { .. } => {
                self.mode = if self.can_edit { Mode::Edits } else { Mode::Segments };
                self.open = Open::Unsent;
            }
        }
    }

    /// The open message is finished: the text goes on at `to`, or behind what it may show.
    fn advance(&mut self, to: Mark) {
        let mut to = to;
        if let Open::Message { reach, doubt, .. } = std::mem::replace(&mut self.open, Open::Unsent) {
            if reach.at > to.at {
                to = reach;
            }
            self.doubt = self.doubt.take().or(doubt);
        }
        let cut = ceil(&self.rest, to.at.saturating_sub(self.start.at));
        self.rest.drain(..cut);
        self.start = Mark { at: to.at.max(self.start.at + cut), block: to.block };
        self.rewritten = false;
        while self.ends.front().is_some_and(|end| *end <= self.start.at) {
            self.ends.pop_front();
        }
    }
}

/// The least place from `at` on where a text can be cut; its end where it is shorter.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
