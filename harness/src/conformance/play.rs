//! Playing of a scenario's steps, against either side.

use super::journal::{Journal, Search};
use super::pattern::Variables;
use super::scenario::{Level, Scenario};
use super::step::{Expectation, Step, StepKind};
use super::timings::{Timings, TimingsError};
use super::verdict::{Finding, Verdict};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::Instant;

/// Time in which observations may still come after the program has ended.
const AFTER_END: Duration = Duration::from_millis(500);
/// Text of a finding about a peer that has filled the journal.
const ENDLESS: &str = "it writes without end";
/// Maximum length of a value in a finding's texts, in characters.
const MAX_SHOWN: usize = 600;

/// The player of a scenario.
pub(super) trait Player {
    /// Acts, or says why it cannot.
    fn act(&mut self, act: Map<String, Value>) -> impl Future<Output = Result<(), String>>;

    /// Writes a line of the agent.
    fn agent(&mut self, line: &Value);

    /// Has a user send a message, or says why that is impossible.
    fn inbound(
        &mut self,
        event: &Map<String, Value>,
        buffered: bool,
    ) -> impl Future<Output = Result<(), String>>;

    /// Waits for one input and handles it. Returns false if none came until then.
    fn pump(&mut self, until: Instant) -> impl Future<Output = bool>;

    /// Returns the journal.
    fn journal(&mut self) -> &mut Journal;

    /// Returns how the program under test has ended, if it has.
    fn end(&self) -> Option<String>;

    /// Returns what is known of a frame that has not come whole.
    fn unfinished(&self) -> Option<String> {
        None
    }
}

/// The play of a scenario, with its variables and warnings.
pub(super) struct Play<'a, P> {
    pub(super) player: P,
    timings: &'a Timings,
    variables: Variables,
    warning: Option<Finding>,
}

impl<'a, P: Player> Play<'a, P> {
    pub(super) fn new(player: P, timings: &'a Timings, variables: Variables) -> Self {
        Play { player, timings, variables, warning: None }
    }

    /// Plays all steps.
    pub(super) async fn run(&mut self, scenario: &Scenario, start: &[Step]) -> Verdict {
        for step in start.iter().chain(&scenario.steps) {
            if let Err(finding) = self.step(step).await {
                if let Some(feature) = self.player.journal().unsupported() {
                    return Verdict::Skip(format!("the program does not support {feature}"));
                }
                return match scenario.level {
                    Level::Must => Verdict::Fail(finding),
                    Level::Should => Verdict::Warn(finding),
                };
            }
        }
        self.warning.take().map_or(Verdict::Pass, |finding| Verdict::Warn(Box::new(finding)))
    }

    async fn step(&mut self, step: &Step) -> Result<(), Box<Finding>> {
        let finding = |expected: String, came: String| {
            Box::new(Finding { line: step.line, expected, came, frame: None })
        };
        let time = |sum: &str| {
            self.timings.evaluate(sum).map_err(|error: TimingsError| {
                finding("times that can be read".to_owned(), error.to_string())
            })
        };
        match &step.kind {
            StepKind::Wait(sum) => {
                let until = Instant::now() + time(sum)?;
                while self.player.pump(until).await {
                    self.check_size(step.line)?;
                }
                Ok(())
            }
            StepKind::Agent(line) => {
                let line = self.variables.fill(line);
                self.player.agent(&line);
                Ok(())
            }
            StepKind::Do(act) => {
                let act = self.filled(act);
                let name = act.get("do").map(ToString::to_string).unwrap_or_default();
                let done = self.player.act(act).await;
                done.map_err(|why| finding(format!("a state in which {name} is possible"), why))
            }
            StepKind::Inbound { event, buffered } => {
                let event = self.filled(event);
                let done = self.player.inbound(&event, *buffered).await;
                done.map_err(|why| finding("a command that delivers a message".to_owned(), why))
            }
            StepKind::Never { pattern, time: sum } => {
                let until = Instant::now() + time(sum)?;
                let pattern = self.variables.fill(pattern);
                loop {
                    if let Some(entry) = self.player.journal().seen(&pattern, &self.variables) {
                        let says = step.says.as_ref().map(|says| format!("{says}: ")).unwrap_or_default();
                        let expected = format!("{says}nothing like {}", shown(&pattern));
                        return Err(Box::new(Finding {
                            line: step.line,
                            expected,
                            came: format!("it came: {}", shown(&entry)),
                            frame: Some(entry),
                        }));
                    }
                    self.check_size(step.line)?;
                    if !self.player.pump(until).await {
                        return Ok(());
                    }
                }
            }
            StepKind::Expect(expectation) => {
                let within = time(&expectation.within)?;
                match self.expect(step, expectation, within).await {
                    Err(finding) if expectation.is_warning => {
                        self.warning.get_or_insert(*finding);
                        Ok(())
                    }
                    result => result,
                }
            }
        }
    }

    /// Checks that the peer has not written more than is kept.
    fn check_size(&mut self, line: usize) -> Result<(), Box<Finding>> {
        if !self.player.journal().is_full() {
            return Ok(());
        }
        let (expected, came) = ("an end of what it writes".to_owned(), ENDLESS.to_owned());
        Err(Box::new(Finding { line, expected, came, frame: None }))
    }

    fn filled(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        fields.iter().map(|(name, value)| (name.clone(), self.variables.fill(value))).collect()
    }

    /// Waits until each pattern has matched, in any order.
    async fn expect(
        &mut self,
        step: &Step,
        expectation: &Expectation,
        within: Duration,
    ) -> Result<(), Box<Finding>> {
        let mut until = Instant::now() + within;
        let mut has_ended = false;
        let filled: Vec<Value> =
            expectation.patterns.iter().map(|pattern| self.variables.fill(pattern)).collect();
        let without = expectation.without.as_ref().map(|pattern| self.variables.fill(pattern));
        let mut pending: Vec<&Value> = filled.iter().collect();
        let mut matched = Vec::new();
        loop {
            let mut forbidden = None;
            pending.retain(|pattern| {
                let journal = self.player.journal();
                match journal.find(pattern, without.as_ref(), &self.variables) {
                    Search::Found { at, set } => {
                        self.variables = set;
                        matched.push((*pattern, at));
                        false
                    }
                    Search::Forbidden(entry) => {
                        forbidden.get_or_insert(entry);
                        true
                    }
                    Search::Nothing => true,
                }
            });
            if pending.is_empty() {
                for (pattern, at) in matched {
                    self.player.journal().mark_read(pattern, at);
                }
                return Ok(());
            }
            let says = step.says.as_ref().map(|says| format!("{says}: ")).unwrap_or_default();
            if let Some(entry) = forbidden {
                let without = without.unwrap_or_default();
                return Err(Box::new(Finding {
                    line: step.line,
                    expected: format!("{says}nothing like {} before", shown(&without)),
                    came: format!("it came: {}", shown(&entry)),
                    frame: Some(entry),
                }));
            }
            if self.player.end().is_some() && !has_ended {
                // What it has written before its end is still on the way.
                (has_ended, until) = (true, until.min(Instant::now() + AFTER_END));
            }
            let is_unsupported = self.player.journal().unsupported().is_some();
            let is_over = is_unsupported || !self.player.pump(until).await || self.player.journal().is_full();
            if is_over {
                let pattern = pending.first().copied().cloned().unwrap_or_default();
                return Err(self.unmet(step.line, &says, &pattern, within));
            }
        }
    }

    /// Returns the finding of a pattern that was not matched in time.
    fn unmet(&mut self, line: usize, says: &str, pattern: &Value, within: Duration) -> Box<Finding> {
        let expected = format!("{says}{} within {within:?}", shown(&self.variables.fill(pattern)));
        let frame = self.player.journal().last_unread(pattern).cloned();
        let mut came = match (&frame, self.player.journal().is_full()) {
            (_, true) => ENDLESS.to_owned(),
            (None, false) => "nothing came".to_owned(),
            (Some(frame), false) => format!("the last that came: {}", shown(frame)),
        };
        if let Some(meanwhile) = self.player.journal().meanwhile(pattern) {
            came = format!("{came}; {meanwhile}");
        }
        for more in [self.player.unfinished(), self.player.end()].into_iter().flatten() {
            came = format!("{came}; {more}");
        }
        Box::new(Finding { line, expected, came, frame })
    }
}

/// Returns a value as JSON, cut in the middle of nowhere if it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text,
    }
}
