//! Answer of a turn: what the agent writes, as one streamed reply. Messages of the agent are its paragraphs, since the
//! metadata of a stream is that of its first state: which message completes the turn is known only at its end.

use crate::config::AcpLimits;
use relayline_core::time::Time;

/// Kind of a message of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ChunkKind {
    Text,
    Thought,
}

/// Mark before a thought.
const THOUGHT: &str = "💭 ";

/// Next state of the streamed reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NextState {
    pub(crate) text: String,
    /// True for the last state, which completes the answer.
    pub(crate) is_last: bool,
}

/// Answer of a turn.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct AnswerText {
    text: String,
    /// Kind and id of the agent's latest message.
    latest: Option<(ChunkKind, Option<String>)>,
    /// True if the next chunk begins a paragraph: a step came between.
    begins_paragraph: bool,
    /// True if there is a state that was not shown.
    is_dirty: bool,
    /// True while the result of the last state is awaited.
    is_finishing: bool,
    /// True once nothing is left to show.
    is_over: bool,
    /// Time from which the next state can be shown.
    next: Time,
    /// True if text was dropped.
    is_cut: bool,
}

impl AnswerText {
    /// Adds a chunk. A chunk of another message begins a paragraph. Returns the number of bytes that did not fit.
    pub(crate) fn push(
        &mut self,
        kind: ChunkKind,
        id: Option<&str>,
        chunk: &str,
        limits: &AcpLimits,
    ) -> usize {
        if chunk.is_empty() || self.is_over {
            return 0;
        }
        let continues =
            self.latest.as_ref().is_some_and(|(last, last_id)| *last == kind && last_id.as_deref() == id);
        let mut joint = String::new();
        if self.begins_paragraph || !continues {
            joint.push_str(self.paragraph());
        }
        if kind == ChunkKind::Thought && !continues {
            joint.push_str(THOUGHT);
        }
        let room = limits.acp_answer_bytes.saturating_sub(self.text.len() + joint.len());
        let taken = chunk.floor_char_boundary(room.min(chunk.len()));
        self.is_cut |= taken < chunk.len();
        if taken > 0 {
            self.text.push_str(&joint);
            self.text.push_str(&chunk[..taken]);
            self.latest = Some((kind, id.map(str::to_owned)));
            (self.begins_paragraph, self.is_dirty) = (false, true);
        }
        chunk.len() - taken
    }

    /// Returns what separates the text from a further paragraph.
    fn paragraph(&self) -> &'static str {
        match self.text.trim_end() {
            "" => "",
            _ if self.text.ends_with("\n\n") => "",
            _ if self.text.ends_with('\n') => "\n",
            _ => "\n\n",
        }
    }

    /// Adds a line of the gateway as the last paragraph. It counts in no budget.
    pub(crate) fn end_with(&mut self, line: &str) {
        let paragraph = self.paragraph();
        self.text.push_str(paragraph);
        self.text.push_str(line);
    }

    /// Notes a step of the agent, after which a text begins a paragraph.
    pub(crate) fn note_step(&mut self) {
        self.begins_paragraph = true;
    }

    /// Returns true if there is a text that users can read.
    pub(crate) fn has_text(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Returns true if text was dropped.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns true if nothing is left to show of an answer that has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over || (!self.is_finishing && !self.has_text())
    }

    /// Returns the next state to show. `has_ended` is true once no text follows.
    pub(crate) fn next(&mut self, now: Time, limits: &AcpLimits, has_ended: bool) -> Option<NextState> {
        let is_due = has_ended || (self.is_dirty && self.next <= now);
        if self.is_finishing || self.is_over || !is_due || !self.has_text() {
            return None;
        }
        (self.is_dirty, self.is_finishing) = (false, has_ended);
        self.next = now + limits.acp_answer_interval;
        Some(NextState { text: self.text.clone(), is_last: has_ended })
    }

    /// Notes the result of the last state. `again` is true if it is to be submitted again.
    pub(crate) fn finished(&mut self, again: bool) {
        if self.is_finishing {
            (self.is_finishing, self.is_over) = (false, !again);
        }
    }

    /// Drops what was not shown. Returns true if the end of the answer is lost.
    pub(crate) fn drop_rest(&mut self) -> bool {
        let is_lost = !self.is_over();
        (self.is_dirty, self.is_finishing, self.is_over) = (false, false, true);
        is_lost
    }

    /// Returns when the next state can be shown.
    pub(crate) fn deadline(&self) -> Option<Time> {
        (self.is_dirty && !self.is_over && self.has_text()).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> AcpLimits {
        AcpLimits { acp_answer_bytes: 20, ..AcpLimits::default() }
    }

    fn text(answer: &mut AnswerText, id: Option<&str>, chunk: &str) -> usize {
        answer.push(ChunkKind::Text, id, chunk, &limits())
    }

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    fn state(text: &str, is_last: bool) -> Option<NextState> {
        Some(NextState { text: text.to_owned(), is_last })
    }

    #[test]
    fn chunks_grow_one_reply_at_a_bounded_pace() {
        let mut answer = AnswerText::default();
        text(&mut answer, None, "Hel");
        assert_eq!(answer.next(at(0), &limits(), false), state("Hel", false));
        text(&mut answer, None, "lo");
        assert_eq!((answer.next(at(249), &limits(), false), answer.deadline()), (None, Some(at(250))));
        assert_eq!(answer.next(at(250), &limits(), false), state("Hello", false));
        assert_eq!((answer.next(at(900), &limits(), false), answer.deadline()), (None, None));
        assert_eq!(answer.next(at(900), &limits(), true), state("Hello", true));
        assert_eq!((answer.next(at(950), &limits(), true), answer.is_over()), (None, false));
        answer.finished(false);
        assert!(answer.is_over() && answer.has_text());
    }

    #[test]
    fn another_message_and_a_step_begin_a_paragraph() {
        let mut answer = AnswerText::default();
        answer.note_step();
        text(&mut answer, Some("a"), "1");
        text(&mut answer, Some("a"), "2");
        answer.note_step();
        text(&mut answer, Some("a"), "3\n");
        text(&mut answer, Some("b"), "4");
        answer.push(ChunkKind::Thought, None, "5", &AcpLimits::default());
        answer.push(ChunkKind::Thought, None, "6", &AcpLimits::default());
        answer.end_with("7");
        assert_eq!(answer.text, "12\n\n3\n\n4\n\n💭 56\n\n7");
    }

    #[test]
    fn x_1_an_answer_is_bounded_in_bytes() {
        let mut answer = AnswerText::default();
        assert_eq!((text(&mut answer, None, "0123456789"), answer.is_cut()), (0, false));
        assert_eq!((text(&mut answer, None, "012345678ä"), answer.is_cut()), (2, true));
        assert_eq!(text(&mut answer, Some("b"), "x"), 1);
        assert_eq!(answer.text, "0123456789012345678");
    }

    #[test]
    fn a_last_state_can_be_submitted_again() {
        let mut answer = AnswerText::default();
        text(&mut answer, None, "x");
        let last = answer.next(at(0), &limits(), true);
        answer.finished(true);
        assert!(!answer.is_over());
        assert_eq!(answer.next(at(1), &limits(), true), last);
    }

    #[test]
    fn white_space_alone_is_not_an_answer() {
        let mut answer = AnswerText::default();
        text(&mut answer, None, " \n");
        assert_eq!((answer.next(at(0), &limits(), true), answer.deadline()), (None, None));
        assert!(answer.is_over() && !answer.has_text());
    }

    #[test]
    fn what_is_dropped_is_not_shown_later() {
        let mut answer = AnswerText::default();
        text(&mut answer, None, "x");
        assert!(answer.drop_rest() && !answer.drop_rest());
        assert_eq!((text(&mut answer, None, "y"), answer.next(at(9), &limits(), true)), (0, None));
    }
}
