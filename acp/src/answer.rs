//! Answer of a turn: what the agent writes. Each of its messages is a streamed reply, one after another. The last one
//! completes the turn.

use crate::config::AcpLimits;
use relayline_core::time::Time;
use std::collections::VecDeque;

/// Maximum number of complete messages that wait to be shown. Later messages are paragraphs of the last one.
const MAX_WAITING: usize = 16;

/// Kind of a message of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ChunkKind {
    Text,
    Thought,
}

/// Mark before a thought.
const THOUGHT: &str = "💭 ";

/// Next state of a streamed reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NextState {
    /// Number of the message, from 0.
    pub(crate) number: u64,
    pub(crate) text: String,
    /// True for the last state of the message.
    pub(crate) is_last: bool,
    /// True for the last state of a message that another one follows.
    pub(crate) is_interim: bool,
}

/// Answer of a turn.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct AnswerText {
    /// Text and number of the message that is shown.
    text: String,
    number: u64,
    /// Messages after it: it is complete if there is one.
    waiting: VecDeque<String>,
    /// Bytes of all messages, shown ones included.
    bytes: usize,
    /// Kind and id of the latest chunk.
    latest: Option<(ChunkKind, Option<String>)>,
    /// Id of the latest message with text.
    message_id: Option<String>,
    /// True if the next chunk begins a paragraph: a step came between.
    begins_paragraph: bool,
    /// True if there is a state that was not shown.
    is_dirty: bool,
    /// True while the result of a message's last state is awaited.
    is_finishing: bool,
    /// True once nothing is left to show.
    is_over: bool,
    /// Time from which the next state can be shown.
    next: Time,
    /// True if text was dropped.
    is_cut: bool,
}

impl AnswerText {
    /// Adds a chunk. A text with another id begins a message; a thought, and a text without an id, begin a paragraph.
    /// Returns the number of bytes that did not fit.
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
        let begins_message = self.begins_message(kind, id);
        if begins_message && chunk.trim().is_empty() {
            // A message begins with its text.
            return 0;
        }
        let mut joint = String::new();
        if !begins_message && (self.begins_paragraph || !continues) {
            joint.push_str(self.paragraph());
        }
        if kind == ChunkKind::Thought && !continues {
            joint.push_str(THOUGHT);
        }
        let room = limits.acp_answer_bytes.saturating_sub(self.bytes + joint.len());
        let taken = chunk.floor_char_boundary(room.min(chunk.len()));
        self.is_cut |= taken < chunk.len();
        if taken > 0 {
            if begins_message {
                self.waiting.push_back(String::new());
            }
            self.bytes += joint.len() + taken;
            let text = self.newest_mut();
            text.push_str(&joint);
            text.push_str(&chunk[..taken]);
            if kind == ChunkKind::Text && id.is_some() {
                self.message_id = id.map(str::to_owned);
            }
            self.latest = Some((kind, id.map(str::to_owned)));
            (self.begins_paragraph, self.is_dirty) = (false, true);
        }
        chunk.len() - taken
    }

    /// Returns true if a chunk is of another message than the newest one.
    fn begins_message(&self, kind: ChunkKind, id: Option<&str>) -> bool {
        let is_other = matches!((&self.message_id, id), (Some(newest), Some(id)) if newest != id);
        is_other && kind == ChunkKind::Text && self.has_text() && self.waiting.len() < MAX_WAITING
    }

    fn newest(&self) -> &str {
        self.waiting.back().unwrap_or(&self.text)
    }

    fn newest_mut(&mut self) -> &mut String {
        self.waiting.back_mut().unwrap_or(&mut self.text)
    }

    /// Returns what separates the newest message from a further paragraph.
    fn paragraph(&self) -> &'static str {
        let text = self.newest();
        match text.trim_end() {
            "" => "",
            _ if text.ends_with("\n\n") => "",
            _ if text.ends_with('\n') => "\n",
            _ => "\n\n",
        }
    }

    /// Adds a line of the gateway as the last paragraph. It counts in no budget.
    pub(crate) fn end_with(&mut self, line: &str) {
        let paragraph = self.paragraph();
        let text = self.newest_mut();
        text.push_str(paragraph);
        text.push_str(line);
    }

    /// Notes a step of the agent, after which a text begins a paragraph.
    pub(crate) fn note_step(&mut self) {
        self.begins_paragraph = true;
    }

    /// Returns true if the newest message has a text that users can read.
    pub(crate) fn has_text(&self) -> bool {
        !self.newest().trim().is_empty()
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
        let is_interim = !self.waiting.is_empty();
        let is_last = has_ended || is_interim;
        let is_due = is_last || (self.is_dirty && self.next <= now);
        if self.is_finishing || self.is_over || !is_due || !self.has_text() {
            return None;
        }
        (self.is_dirty, self.is_finishing) = (false, is_last);
        self.next = now + limits.acp_answer_interval;
        Some(NextState { number: self.number, text: self.text.clone(), is_last, is_interim })
    }

    /// Notes the result of a message's last state. `again` is true if it is to be submitted again. Else the next message
    /// follows.
    pub(crate) fn finished(&mut self, again: bool) {
        if !std::mem::take(&mut self.is_finishing) || again {
            return;
        }
        match self.waiting.pop_front() {
            Some(text) => {
                (self.text, self.is_dirty) = (text, true);
                self.number += 1;
            }
            None => self.is_over = true,
        }
    }

    /// Drops what was not shown. Returns true if the end of the answer is lost.
    pub(crate) fn drop_rest(&mut self) -> bool {
        let is_lost = !self.is_over();
        self.waiting.clear();
        (self.is_dirty, self.is_finishing, self.is_over) = (false, false, true);
        is_lost
    }

    /// Returns when the next state can be shown. While a last state has no result, none can.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let can_be_shown = self.is_dirty && !self.is_finishing && !self.is_over && self.has_text();
        can_be_shown.then_some(self.next)
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
        Some(NextState { number: 0, text: text.to_owned(), is_last, is_interim: false })
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
    fn a_step_a_thought_and_a_text_without_an_id_begin_a_paragraph() {
        let mut answer = AnswerText::default();
        answer.note_step();
        text(&mut answer, Some("a"), "1");
        text(&mut answer, Some("a"), "2");
        answer.note_step();
        text(&mut answer, Some("a"), "3\n");
        text(&mut answer, None, "4");
        answer.push(ChunkKind::Thought, Some("b"), "5", &AcpLimits::default());
        answer.push(ChunkKind::Thought, Some("b"), "6", &AcpLimits::default());
        answer.end_with("7");
        assert_eq!(answer.text, "12\n\n3\n\n4\n\n💭 56\n\n7");
    }

    #[test]
    fn another_id_begins_a_message() {
        let mut answer = AnswerText::default();
        text(&mut answer, Some("a"), " ");
        text(&mut answer, Some("b"), "one");
        assert_eq!(answer.next(at(0), &limits(), false), state(" one", false));
        text(&mut answer, Some("c"), "\n");
        assert_eq!(answer.next(at(999), &limits(), false), None, "a message begins with its text");
        text(&mut answer, Some("c"), "two");
        text(&mut answer, Some("d"), "three");
        let number = |number: u64, text: &str, is_interim: bool| {
            Some(NextState { number, text: text.to_owned(), is_last: true, is_interim })
        };
        assert_eq!(answer.next(at(1000), &limits(), false), number(0, " one", true));
        assert_eq!(answer.next(at(9000), &limits(), true), None, "one message at a time");
        answer.finished(true);
        assert_eq!(answer.next(at(9000), &limits(), true), number(0, " one", true));
        answer.finished(false);
        assert_eq!(answer.next(at(9000), &limits(), false), number(1, "two", true));
        answer.finished(false);
        answer.end_with("end");
        assert_eq!(answer.next(at(9000), &limits(), true), number(2, "three\n\nend", false));
        answer.finished(false);
        assert!(answer.is_over());
    }

    /// A deadline that has passed would keep the host busy until the result comes.
    #[test]
    fn nothing_is_due_while_the_end_of_a_message_has_no_result() {
        let mut answer = AnswerText::default();
        text(&mut answer, Some("a"), "one");
        text(&mut answer, Some("b"), "two");
        assert!(answer.next(at(0), &limits(), false).is_some_and(|state| state.is_interim));
        text(&mut answer, Some("b"), "!");
        assert_eq!((answer.next(at(250), &limits(), false), answer.deadline()), (None, None));
        answer.finished(false);
        assert_eq!(answer.deadline(), Some(at(250)));
    }

    #[test]
    fn x_1_few_messages_wait() {
        let (mut answer, limits) = (AnswerText::default(), AcpLimits::default());
        for n in 0..100 {
            answer.push(ChunkKind::Text, Some(&n.to_string()), "x", &limits);
        }
        assert_eq!(answer.waiting.len(), MAX_WAITING);
        assert_eq!(answer.waiting[MAX_WAITING - 1].matches('x').count(), 100 - MAX_WAITING);
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
