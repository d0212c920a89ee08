//! Bounded copies of the agent's texts.

/// Maximum number of characters of the agent's text in a log entry.
const MAX_LOGGED: usize = 1000;
/// Maximum length of an id of the agent, in bytes. A longer one is not used.
pub(crate) const MAX_ID_BYTES: usize = 1024;

/// Returns `text` for a log entry: on one line, without control characters.
pub(crate) fn logged(text: &str) -> String {
    text.chars().take(MAX_LOGGED).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
