//! Lines that the machine writes into a chat. They contain no details of failures: those are logged.

/// The agent could not begin or continue the turn.
pub(crate) const CANNOT: &str = "The agent could not do this. Please try again later.";
/// The agent died during the turn.
pub(crate) const DIED: &str =
    "The agent stopped unexpectedly, and this turn was interrupted. Please send it again.";
/// As [`DIED`], where a queue delivers the message again.
pub(crate) const DIED_RETRY: &str =
    "The agent stopped unexpectedly, and this turn was interrupted. It will be tried again.";
/// A session could not be resumed.
pub(crate) const NEW_SESSION: &str =
    "This is a new conversation: the agent does not remember the earlier one.";
/// A message for a busy session was rejected.
pub(crate) const BUSY: &str = "The agent is still working on an earlier message. Send /stop to end that.";
/// Too many messages of a session wait.
pub(crate) const FULL: &str =
    "Too many messages are waiting for the agent. Please send this one again later.";
/// The turn was stopped by `/stop`.
pub(crate) const STOPPED: &str = "Stopped.";
/// The turn was stopped before, and has not ended yet.
pub(crate) const STOPPING: &str = "It is being stopped.";
/// There is no turn to stop.
pub(crate) const NOTHING_TO_STOP: &str = "There is nothing to stop.";
/// The turn ended without a text.
pub(crate) const NO_TEXT: &str = "The agent finished without a reply.";
/// The agent reported nothing for too long.
pub(crate) const SILENT: &str = "The agent has not reported anything for too long, and was stopped.";
/// The answer was longer than the limit.
pub(crate) const CUT: &str = "The rest of this answer was too long, and is left out.";
/// An answer to a permission request came too late.
pub(crate) const NOT_OPEN: &str = "This question is no longer open.";
/// Another user answered a permission request.
pub(crate) const NOT_YOURS: &str = "Only the person who started this turn, or an approver, may answer this.";
/// As [`NOT_YOURS`], where other people are asked.
pub(crate) const NOT_THEIRS: &str = "Only people who were asked for this approval may answer this.";
/// Other people are asked for a permission.
pub(crate) const ASKED_ELSEWHERE: &str = "This needs an approval, which is awaited elsewhere.";
/// An answer by text fits several requests. The requests follow.
pub(crate) const WHICH: &str =
    "Several requests are open here. Add the number of the one that you mean, as in `1 #3`:";
/// The gateway is being stopped, and the message was not begun.
pub(crate) const NOT_BEGUN: &str = "The gateway is shutting down. Please send this message again later.";
/// The gateway is being stopped.
pub(crate) const SHUTDOWN: &str = "The gateway is shutting down, and this turn was interrupted.";
/// Advice for a permission request without buttons, after its numbered options.
pub(crate) const ANSWER_BY_NUMBER: &str = "Answer with a number.";

/// Returns `text` on one line, cut to `max` characters.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let flat = text.split_whitespace().take(max).collect::<Vec<_>>().join(" ");
    cut(flat, max)
}

/// Cuts `text` to `max` characters. The last one is then an ellipsis.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(max) {
        let last = text[..at].char_indices().next_back().map_or(0, |(last, _)| last);
        text.truncate(last);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(one_line("a\nb\t c", 9), "a b c");
        assert_eq!(one_line("äöüß", 4), "äöüß");
        assert_eq!(one_line("äöüßx", 4), "äöü…");
        assert_eq!(cut("ab".to_owned(), 0), "…");
    }
}
