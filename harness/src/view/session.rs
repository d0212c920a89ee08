//! A whole session: the updates of the analyzer for a recording, collected.

use super::analyzer::Analyzer;
use super::gist::one_line;
use super::model::{Link, StateSpan, TurnSpan, ViewEntry, ViewUpdate};
use super::problems::Problem;
use crate::recording::{LineContent, Recording};
use crate::replay::{self, MachineChange, MachineStep, ReplayOptions};
use serde::Serialize;
use std::borrow::Cow;

/// A session of one gateway, as a view shows it.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct SessionView {
    /// Name: that of the file, and of the gateway if the file has several.
    pub name: String,
    /// Subject of the session.
    pub title: String,
    /// Source of the recording.
    pub recorded_from: String,
    /// Note of the recording.
    pub note: String,
    /// Start of the recording in Unix milliseconds, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_unix_ms: Option<u64>,
    /// True if the recording has lines of the host.
    pub has_host: bool,
    /// Reason for which states and timers are not known, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_states: Option<String>,
    /// Entries in order.
    pub entries: Vec<ViewEntry>,
    /// Relations between them.
    pub links: Vec<Link>,
    /// States of the connection.
    pub states: Vec<StateSpan>,
    /// Turns; the first has number 1.
    pub turns: Vec<TurnSpan>,
    /// Problems, by entry.
    pub problems: Vec<Problem>,
}

impl SessionView {
    /// Returns the views of a recording's gateways, each with its id if there are several.
    pub fn of_all(recording: Recording) -> Vec<SessionView> {
        let name = recording.name().to_owned();
        let views = recording.gateways().into_iter().map(|(gateway, recording)| {
            let name = gateway.map_or_else(|| name.clone(), |id| format!("{name} ({id})"));
            SessionView { name: one_line(&name, 200), ..SessionView::of(&recording) }
        });
        views.collect()
    }

    /// Returns the view of a recording of one gateway. Lines after a gap are shown, and are not replayed.
    pub fn of(recording: &Recording) -> SessionView {
        let has_gap = recording.lines.iter().any(|line| line.gap().is_some());
        let until_gap =
            if has_gap { Cow::Owned(recording.clone().until_gap().0) } else { Cow::Borrowed(recording) };
        let (steps, no_states) = match replay::play(&until_gap, ReplayOptions::default()) {
            Ok(run) => (run.steps, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let mut view = SessionView {
            name: one_line(recording.name(), 200),
            title: one_line(&recording.header.title, 200),
            recorded_from: one_line(&recording.header.recorded_from, 200),
            note: one_line(&recording.header.note, 1000),
            started_unix_ms: recording.started_unix_ms(),
            has_host: recording.lines.iter().any(|line| {
                matches!(line.what, LineContent::HostCall { .. } | LineContent::HostEvent { .. })
            }),
            no_states,
            entries: Vec::new(),
            links: Vec::new(),
            states: Vec::new(),
            turns: Vec::new(),
            problems: Vec::new(),
        };
        let mut analyzer = Analyzer::new(&recording.header.gateway);
        // A replay waits for the end of a disconnect. Its timers after the last line tell nothing of the recording.
        let last_ms = recording.lines.last().map_or(0, |line| line.t_ms);
        let is_within = |step: &MachineStep| {
            step.at.as_millis() <= last_ms || !matches!(step.change, MachineChange::Timer(_))
        };
        let mut steps = steps.into_iter().filter(is_within).peekable();
        for (at, line) in recording.lines.iter().enumerate() {
            view.take(analyzer.line(line));
            while let Some(step) = steps.next_if(|step| step.line <= at) {
                view.take(step_of(&mut analyzer, step));
            }
        }
        view.take(analyzer.end_of_session());
        view.problems.sort_by_key(|problem| problem.at);
        view
    }

    fn take(&mut self, updates: Vec<ViewUpdate>) {
        for update in updates {
            match update {
                ViewUpdate::Entry(entry) => self.add(*entry),
                ViewUpdate::Link(link) => self.links.push(link),
                ViewUpdate::State(state) => self.states.push(state),
                ViewUpdate::Problem(problem) => self.problems.push(problem),
            }
        }
    }

    fn add(&mut self, entry: ViewEntry) {
        let at = self.entries.len();
        if let Some(number) = entry.turn {
            match self.turns.get_mut(number - 1) {
                Some(turn) => (turn.last, turn.entries) = (at, turn.entries + 1),
                // Numbers are given in order, so this is the next one.
                None => self.turns.push(TurnSpan { first: at, last: at, entries: 1 }),
            }
        }
        self.entries.push(entry);
    }
}

fn step_of(analyzer: &mut Analyzer, step: MachineStep) -> Vec<ViewUpdate> {
    let t_ms = step.at.as_millis();
    match step.change {
        MachineChange::Phase(phase) => analyzer.state(t_ms, phase),
        MachineChange::Timer(timer) => analyzer.timer(t_ms, timer),
        MachineChange::Counted(counter) => analyzer.counted(counter),
    }
}
