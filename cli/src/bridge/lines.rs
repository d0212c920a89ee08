//! Lines that wait for the agent: their order, their two budgets, and whether the agent reads. No thread, no clock.

use super::settings::AgentSettings;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A line, and what is to be done once it is written.
#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) text: String,
    /// The delivery that an event line gives to the agent. Results, notices and interrupts have none.
    pub(super) event: Option<T>,
}

/// Lines that wait. Results, notices and interrupts have a budget of their own and overtake events, as they do on
/// their way to the bridge (L-16). Within each kind the order is that of arrival.
#[derive(Debug)]
pub(super) struct Lines<T> {
    events: VecDeque<Line<T>>,
    urgent: VecDeque<Line<T>>,
    /// Of those that are queued or being written.
    event_count: usize,
    event_bytes: usize,
    urgent_bytes: usize,
    limits: AgentSettings,
}

impl<T> Lines<T> {
    pub(super) fn new(limits: AgentSettings) -> Self {
        Lines {
            events: VecDeque::new(),
            urgent: VecDeque::new(),
            event_count: 0,
            event_bytes: 0,
            urgent_bytes: 0,
            limits,
        }
    }

    /// Whether another event may be queued. A line that is larger than the budget passes when none waits.
    pub(super) fn takes_events(&self) -> bool {
        self.event_count < self.limits.agent_events && self.event_bytes < self.limits.agent_event_bytes
    }

    /// Whether the lines that answer an agent leave room for further ones.
    pub(super) fn takes_results(&self) -> bool {
        self.urgent_bytes < self.limits.agent_result_bytes
    }

    pub(super) fn push_event(&mut self, text: String, event: T) {
        self.event_count += 1;
        self.event_bytes += text.len();
        self.events.push_back(Line { text, event: Some(event) });
    }

    pub(super) fn push_urgent(&mut self, text: String) {
        self.urgent_bytes += text.len();
        self.urgent.push_back(Line { text, event: None });
    }

    /// The next line to write. It counts against its budget until [`written`](Self::written).
    pub(super) fn pop(&mut self) -> Option<Line<T>> {
        self.urgent.pop_front().or_else(|| self.events.pop_front())
    }

    /// A line of this length was written, or will never be.
    pub(super) fn written(&mut self, bytes: usize, is_event: bool) {
        if is_event {
            self.event_count -= 1;
            self.event_bytes -= bytes;
        } else {
            self.urgent_bytes -= bytes;
        }
    }

    /// Whether nothing waits or is being written.
    pub(super) fn is_empty(&self) -> bool {
        self.event_count == 0 && self.urgent_bytes == 0
    }

    /// Forgets all lines that wait, since nobody will read them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Line<T>> + use<T> {
        let lines: Vec<Line<T>> = self.urgent.drain(..).chain(self.events.drain(..)).collect();
        for line in &lines {
            self.written(line.text.len(), line.event.is_some());
        }
        lines.into_iter()
    }
}

/// What is to be said of an agent that does not read, or reads again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Remark {
    /// It has not read for so long.
    Silent(Duration),
    /// It reads again, after so long.
    Resumed(Duration),
}

/// Whether an agent reads.
#[derive(Debug)]
pub(super) struct Reading {
    warning: Duration,
    timeout: Duration,
    /// When it last read, or when something first waited for it to; `None` while nothing waits.
    since: Option<Instant>,
    /// Since when it has results to read up to the budget.
    full: Option<Instant>,
    /// Since when it did not read, once that was remarked.
    remarked: Option<Instant>,
}

impl Reading {
    pub(super) fn new(settings: &AgentSettings) -> Self {
        let AgentSettings { agent_read_warning: warning, agent_read_timeout: timeout, .. } = *settings;
        Reading { warning, timeout, since: None, full: None, remarked: None }
    }

    /// Some of a line was taken from us.
    pub(super) fn has_read(&mut self, now: Instant) {
        self.since = Some(now);
        self.full = self.full.map(|_| now);
    }

    /// Takes in how things stand: whether anything waits for the agent, and whether results do up to their budget.
    pub(super) fn look(&mut self, now: Instant, waits: bool, is_full: bool) {
        self.since = waits.then(|| self.since.unwrap_or(now));
        self.full = is_full.then(|| self.full.unwrap_or(now));
    }

    /// Returns what is to be said now. Each is said once.
    pub(super) fn remark(&mut self, now: Instant) -> Option<Remark> {
        match (self.remarked, self.since) {
            (None, Some(since)) if now.duration_since(since) >= self.warning => {
                self.remarked = Some(since);
                Some(Remark::Silent(now.duration_since(since)))
            }
            (Some(silent), since) if since.is_none_or(|since| since > silent) => {
                self.remarked = None;
                Some(Remark::Resumed(now.duration_since(silent)))
            }
            _ => None,
        }
    }

    /// Whether it writes and does not read: nothing more is asked of it.
    pub(super) fn is_hopeless(&self, now: Instant) -> bool {
        self.full.is_some_and(|full| now.duration_since(full) >= self.timeout)
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let warns = self.since.filter(|_| self.remarked.is_none()).map(|since| since + self.warning);
        let ends = self.full.map(|full| full + self.timeout);
        warns.into_iter().chain(ends).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines<u32> {
        Lines::new(AgentSettings {
            agent_events: 3,
            agent_event_bytes: 10,
            agent_result_bytes: 10,
            ..AgentSettings::default()
        })
    }

    #[test]
    fn events_are_bounded_in_number() {
        let mut lines = lines();
        for n in 0..3 {
            assert!(lines.takes_events());
            lines.push_event("e".into(), n);
        }
        assert!(!lines.takes_events() && lines.takes_results());
        // What is being written counts.
        let line = lines.pop().unwrap();
        assert_eq!((line.event, lines.takes_events()), (Some(0), false));
        lines.written(1, true);
        assert!(lines.takes_events());
    }

    #[test]
    fn events_are_bounded_in_bytes_and_one_always_passes() {
        let mut lines = lines();
        lines.push_event("a line over the budget".into(), 0);
        assert!(!lines.takes_events());
        let text = lines.pop().unwrap().text;
        lines.written(text.len(), true);
        assert!(lines.takes_events() && lines.is_empty());
    }

    #[test]
    fn l_16_results_overtake_events_and_have_their_own_room() {
        let mut lines = lines();
        lines.push_event("one".into(), 1);
        lines.push_event("two".into(), 2);
        for _ in 0..2 {
            assert!(lines.takes_results());
            lines.push_urgent("result".into());
        }
        assert!(!lines.takes_results() && lines.takes_events());
        let order: Vec<_> = std::iter::from_fn(|| lines.pop()).map(|line| line.text).collect();
        assert_eq!(order, ["result", "result", "one", "two"]);
    }

    #[test]
    fn what_is_drained_is_forgotten_but_for_the_line_being_written() {
        let mut lines = lines();
        lines.push_event("one".into(), 1);
        lines.push_event("two".into(), 2);
        lines.push_urgent("result".into());
        lines.pop();
        let events: Vec<_> = lines.drain().filter_map(|line| line.event).collect();
        assert_eq!(events, [1, 2]);
        assert!(!lines.is_empty());
        lines.written("result".len(), false);
        assert!(lines.is_empty());
    }

    #[test]
    fn silence_is_remarked_once_and_its_end_once() {
        let settings = AgentSettings::default();
        let (mut reading, start) = (Reading::new(&settings), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        assert_eq!((reading.deadline(), reading.remark(at(100))), (None, None));
        reading.look(at(0), true, false);
        assert_eq!((reading.deadline(), reading.remark(at(4))), (Some(at(5)), None));
        assert_eq!(reading.remark(at(6)), Some(Remark::Silent(Duration::from_secs(6))));
        assert_eq!((reading.deadline(), reading.remark(at(60))), (None, None));
        reading.has_read(at(60));
        assert_eq!(reading.remark(at(61)), Some(Remark::Resumed(Duration::from_secs(61))));
        assert_eq!((reading.deadline(), reading.remark(at(62))), (Some(at(65)), None));
        reading.look(at(63), false, false);
        assert_eq!((reading.deadline(), reading.remark(at(99))), (None, None));
    }

    #[test]
    fn an_agent_is_given_up_on_when_results_fill_their_room_and_it_reads_nothing() {
        let settings = AgentSettings::default();
        let (mut reading, start) = (Reading::new(&settings), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        // Silence alone is no reason.
        reading.look(at(0), true, false);
        assert!(!reading.is_hopeless(at(1000)));
        reading.look(at(1000), true, true);
        assert!(!reading.is_hopeless(at(1059)));
        // It reads a little, and the time starts over.
        reading.has_read(at(1059));
        reading.look(at(1059), true, true);
        assert!(!reading.is_hopeless(at(1118)));
        assert!(reading.is_hopeless(at(1119)));
        // There is room again.
        reading.look(at(1119), true, false);
        assert!(!reading.is_hopeless(at(9999)));
    }
}
