//! State of the agent's process, and the end of its stderr.

use serde::Serialize;
use std::collections::VecDeque;

/// Maximum number of lines of stderr that are kept.
const MAX_LINES: usize = 300;
/// Maximum number of bytes of a line that are kept.
const MAX_LINE: usize = 2 << 10;

/// State of the agent's process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgentState {
    #[default]
    Starting,
    Running,
    /// It has ended, and starts again at the next change.
    Crashed,
}

/// The agent's process.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct AgentView {
    /// Program, without its arguments, which can be secret.
    pub(crate) program: String,
    pub(crate) state: AgentState,
    /// Number of starts.
    pub(crate) starts: u64,
    /// Cause of the last start or end, as a text for people.
    pub(crate) why: String,
    /// Files that are watched.
    pub(crate) watched: Vec<String>,
    /// True if the page can start it again.
    pub(crate) can_restart: bool,
    #[serde(skip)]
    stderr: VecDeque<String>,
}

impl AgentView {
    pub(crate) fn stderr(&self) -> &VecDeque<String> {
        &self.stderr
    }

    /// Adds a line, and returns it as it is kept.
    pub(crate) fn add_stderr(&mut self, line: &str) -> String {
        let line = line[..line.floor_char_boundary(MAX_LINE)].to_owned();
        if self.stderr.len() >= MAX_LINES {
            self.stderr.pop_front();
        }
        self.stderr.push_back(line.clone());
        line
    }
}
