//! Queue of lines for the agent, and the monitor of its reading. No thread, no clock.

use super::settings::AgentSettings;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Queued line, with the delivery to settle once it is written.
#[derive(Debug)]
pub(crate) struct QueuedLine<T> {
    pub(crate) text: String,
    /// Delivery of an event line. Results, notices and interrupts have none.
    pub(crate) event: Option<T>,
}

/// Limits of a queue of lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineLimits {
    /// Number of events.
    events: usize,
    event_bytes: usize,
    /// Bytes of results, notices and interrupts.
    result_bytes: usize,
}

impl LineLimits {
    /// Returns the limits of a queue of results alone.
    pub(crate) fn of_results(result_bytes: usize) -> LineLimits {
        LineLimits { events: 0, event_bytes: 0, result_bytes }
    }
}

impl From<&AgentSettings> for LineLimits {
    fn from(settings: &AgentSettings) -> LineLimits {
        LineLimits {
            events: settings.agent_events,
            event_bytes: settings.agent_event_bytes,
            result_bytes: settings.agent_result_bytes,
        }
    }
}

/// Queue of lines with two budgets: one for events, one for results, notices and interrupts. The latter overtake events, as
/// they do in the inbox (L-16). Each kind keeps its order.
#[derive(Debug)]
pub(crate) struct LineQueue<T> {
    events: VecDeque<QueuedLine<T>>,
    urgent: VecDeque<QueuedLine<T>>,
    /// Number of events that are queued or being written.
    event_count: usize,
    event_bytes: usize,
    urgent_bytes: usize,
    limits: LineLimits,
}

impl<T> LineQueue<T> {
    pub(crate) fn new(limits: LineLimits) -> Self {
        LineQueue {
            events: VecDeque::new(),
            urgent: VecDeque::new(),
            event_count: 0,
            event_bytes: 0,
            urgent_bytes: 0,
            limits,
        }
    }

    /// Returns true if another event may be queued. A line larger than the budget passes if no event is queued.
    pub(crate) fn takes_events(&self) -> bool {
        self.event_count < self.limits.events && self.event_bytes < self.limits.event_bytes
    }

    /// Returns true if the budget has room for further results.
    pub(crate) fn takes_results(&self) -> bool {
        self.urgent_bytes < self.limits.result_bytes
    }

    pub(crate) fn push_event(&mut self, text: String, event: T) {
        self.event_count += 1;
        self.event_bytes += text.len();
        self.events.push_back(QueuedLine { text, event: Some(event) });
    }

    pub(crate) fn push_urgent(&mut self, text: String) {
        self.urgent_bytes += text.len();
        self.urgent.push_back(QueuedLine { text, event: None });
    }

    /// Takes the next line to write. It counts against its budget until [`written`](Self::written).
    pub(crate) fn pop(&mut self) -> Option<QueuedLine<T>> {
        self.urgent.pop_front().or_else(|| self.events.pop_front())
    }

    /// Takes lines whose sizes add up to at most `max` bytes, or a single line that is longer, and appends them to `batch`.
    pub(crate) fn pop_batch(&mut self, max: usize, batch: &mut Vec<QueuedLine<T>>) {
        let mut room = max;
        while let Some(next) = self.urgent.front().or_else(|| self.events.front()) {
            let fits = next.text.len() <= room;
            if !fits && !batch.is_empty() {
                return;
            }
            room = room.saturating_sub(next.text.len());
            batch.extend(self.pop());
        }
    }

    /// Releases the budget of a line that was written or dropped.
    pub(crate) fn written(&mut self, bytes: usize, is_event: bool) {
        if is_event {
            self.event_count -= 1;
            self.event_bytes -= bytes;
        } else {
            self.urgent_bytes -= bytes;
        }
    }

    /// Returns true if no line is queued or being written.
    pub(crate) fn is_empty(&self) -> bool {
        self.event_count == 0 && self.urgent_bytes == 0
    }

    /// Returns true if an event is queued or being written.
    pub(crate) fn has_events(&self) -> bool {
        self.event_count > 0
    }

    /// Removes all queued lines.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = QueuedLine<T>> + use<T> {
        let lines: Vec<QueuedLine<T>> = self.urgent.drain(..).chain(self.events.drain(..)).collect();
        for line in &lines {
            self.written(line.text.len(), line.event.is_some());
        }
        lines.into_iter()
    }
}

/// Change in an agent's reading, to be logged once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadEvent {
    /// It has not read for this time.
    Silent(Duration),
    /// It reads again after this time.
    Resumed(Duration),
}

/// Monitor of an agent's reading.
#[derive(Debug)]
pub(crate) struct ReadMonitor {
    warning: Duration,
    timeout: Duration,
    /// Time of its last read, or of the first line queued since; `None` while no line is queued.
    since: Option<Instant>,
    /// Time since which the budget of results is used up.
    full: Option<Instant>,
    /// Start of the pause, once it was reported.
    reported: Option<Instant>,
}

impl ReadMonitor {
    pub(crate) fn new(settings: &AgentSettings) -> Self {
        let AgentSettings { agent_read_warning: warning, agent_read_timeout: timeout, .. } = *settings;
        ReadMonitor { warning, timeout, since: None, full: None, reported: None }
    }

    /// Notes that the agent has read some of a line.
    pub(crate) fn note_read(&mut self, now: Instant) {
        self.since = Some(now);
        self.full = self.full.map(|_| now);
    }

    /// Updates the monitor: `waits` if lines are queued, `is_full` if the budget of results is used up.
    pub(crate) fn update(&mut self, now: Instant, waits: bool, is_full: bool) {
        self.since = waits.then(|| self.since.unwrap_or(now));
        self.full = is_full.then(|| self.full.unwrap_or(now));
    }

    /// Returns the event to report now, if any. Each is reported once.
    pub(crate) fn take_event(&mut self, now: Instant) -> Option<ReadEvent> {
        match (self.reported, self.since) {
            (None, Some(since)) if now.duration_since(since) >= self.warning => {
                self.reported = Some(since);
                Some(ReadEvent::Silent(now.duration_since(since)))
            }
            (Some(silent), since) if since.is_none_or(|since| since > silent) => {
                self.reported = None;
                Some(ReadEvent::Resumed(now.duration_since(silent)))
            }
            _ => None,
        }
    }

    /// Returns true if the agent has read nothing for the timeout while the budget of results was used up.
    pub(crate) fn has_timed_out(&self, now: Instant) -> bool {
        self.full.is_some_and(|full| now.duration_since(full) >= self.timeout)
    }

    /// Returns the time of the next event or timeout.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let warns = self.since.filter(|_| self.reported.is_none()).map(|since| since + self.warning);
        let ends = self.full.map(|full| full + self.timeout);
        warns.into_iter().chain(ends).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> LineQueue<u32> {
        LineQueue::new(LineLimits { events: 3, event_bytes: 10, result_bytes: 10 })
    }

    #[test]
    fn events_are_bounded_in_number() {
        let mut lines = lines();
        for n in 0..3 {
            assert!(lines.takes_events());
            lines.push_event("e".into(), n);
        }
        assert!(!lines.takes_events() && lines.takes_results());
        // A line that is being written counts.
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
    fn a_batch_has_lines_that_fit_together_or_one_long_line() {
        let mut lines = LineQueue::new(LineLimits { events: 9, event_bytes: 99, result_bytes: 99 });
        for (n, text) in ["1234567890", "12", "345", "67", "8"].into_iter().enumerate() {
            lines.push_event(text.into(), n);
        }
        lines.push_urgent("0".into());
        let mut batches = Vec::new();
        loop {
            let mut batch = Vec::new();
            lines.pop_batch(5, &mut batch);
            if batch.is_empty() {
                break;
            }
            batches.push(batch.into_iter().map(|line| line.text).collect::<Vec<_>>());
        }
        assert_eq!(batches, [&["0"][..], &["1234567890"], &["12", "345"], &["67", "8"]]);
    }

    #[test]
    fn drained_lines_are_dropped_but_not_the_one_being_written() {
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
    fn silence_and_its_end_are_reported_once() {
        let settings = AgentSettings::default();
        let (mut reading, start) = (ReadMonitor::new(&settings), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        assert_eq!((reading.deadline(), reading.take_event(at(100))), (None, None));
        reading.update(at(0), true, false);
        assert_eq!((reading.deadline(), reading.take_event(at(4))), (Some(at(5)), None));
        assert_eq!(reading.take_event(at(6)), Some(ReadEvent::Silent(Duration::from_secs(6))));
        assert_eq!((reading.deadline(), reading.take_event(at(60))), (None, None));
        reading.note_read(at(60));
        assert_eq!(reading.take_event(at(61)), Some(ReadEvent::Resumed(Duration::from_secs(61))));
        assert_eq!((reading.deadline(), reading.take_event(at(62))), (Some(at(65)), None));
        reading.update(at(63), false, false);
        assert_eq!((reading.deadline(), reading.take_event(at(99))), (None, None));
    }

    #[test]
    fn an_agent_that_reads_nothing_times_out_once_results_are_full() {
        let settings = AgentSettings::default();
        let (mut reading, start) = (ReadMonitor::new(&settings), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        // Silence alone is not enough.
        reading.update(at(0), true, false);
        assert!(!reading.has_timed_out(at(1000)));
        reading.update(at(1000), true, true);
        assert!(!reading.has_timed_out(at(1059)));
        // The agent reads a little, and the time starts over.
        reading.note_read(at(1059));
        reading.update(at(1059), true, true);
        assert!(!reading.has_timed_out(at(1118)));
        assert!(reading.has_timed_out(at(1119)));
        // There is room again.
        reading.update(at(1119), true, false);
        assert!(!reading.has_timed_out(at(9999)));
    }
}
