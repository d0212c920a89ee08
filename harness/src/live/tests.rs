//! Tests of live sessions: what a page gets, what is saved, what is hidden, what is bounded.

use super::*;
use crate::recording::Recording;
use crate::view::{ProblemKind, SessionView, ViewUpdate};
use hyper::body::Bytes;
use relayline_core::machine::DialFailure;
use relayline_core::output::Phase;
use relayline_core::time::Time;
use relayline_core::upgrade::Refusal;
use relayline_runtime::observe::{WireEvent, WireObserver, WireSide};
use std::sync::Arc;
use std::time::Duration;

const HELLO: &str = "{\"type\":\"hello\",\"platform\":\"discord\",\"botId\":\"1\"}\n";
const DESCRIPTOR: &str =
    "{\"type\":\"descriptor\",\"descriptor\":{\"platform\":\"discord\",\"ops\":[\"send\"]}}\n";
const SEND: &str = "{\"type\":\"outbound\",\"requestId\":\"r1\",\"action\":{\"op\":\"send\",\"chat_id\":\"c\",\"content\":\"a private text\"}}\n";
const RESULT: &str = "{\"type\":\"outbound_result\",\"requestId\":\"r1\",\"result\":{\"success\":true}}\n";

/// Sessions behind a feed.
struct Live {
    feed: LiveFeed,
    sessions: LiveSessions,
    now: u64,
    updates: Vec<ViewUpdate>,
    entries: usize,
}

impl Live {
    fn new(options: LiveOptions) -> Live {
        let feed = LiveFeed::new(FeedLimits::default());
        let recorded_from = "relayline record test".to_owned();
        let sessions = LiveSessions::new(LiveOptions { recorded_from, ..options });
        Live { feed, sessions, now: 0, updates: Vec::new(), entries: 0 }
    }

    fn note(&mut self, dial: u32, event: WireEvent<'_>) {
        self.now += 10;
        self.feed.observe(Time::from_micros(self.now * 1000), dial, event);
    }

    fn dial(&mut self, dial: u32, gateway_id: Option<&str>) {
        self.note(dial, WireEvent::Dial { target: "/relay?ticket=s3cret", gateway_id, has_token: true });
    }

    fn says(&mut self, dial: u32, by: WireSide, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.note(dial, WireEvent::Message { by, bytes: &bytes });
    }

    /// Adds what was noted, and checks the positions.
    fn take(&mut self) -> Vec<LiveStep> {
        let events = self.feed.take(Duration::ZERO).unwrap();
        let steps: Vec<LiveStep> =
            events.into_iter().map(|event| self.sessions.add(event).unwrap()).collect();
        for update in steps.iter().flat_map(|step| &step.updates) {
            if steps.iter().all(|step| step.session == 0) {
                assert_eq!(update.at, self.entries);
            }
            let is_entry = |update: &&ViewUpdate| matches!(update, ViewUpdate::Entry(_));
            self.entries += update.updates.iter().filter(is_entry).count();
            self.updates.extend(update.updates.clone());
        }
        steps
    }

    fn names(&self) -> Vec<String> {
        let entry = |update: &ViewUpdate| match update {
            ViewUpdate::Entry(entry) => Some(entry.name.clone()),
            _ => None,
        };
        self.updates.iter().filter_map(entry).collect()
    }

    fn problems(&self) -> Vec<ProblemKind> {
        let problem = |update: &ViewUpdate| match update {
            ViewUpdate::Problem(problem) => Some(problem.kind),
            _ => None,
        };
        self.updates.iter().filter_map(problem).collect()
    }

    fn saved(&self) -> Recording {
        Recording::read("live.jsonl", self.sessions.recording(0).unwrap().as_bytes()).unwrap()
    }

    /// A connection with a request, and its end.
    fn play(&mut self, dial: u32) {
        self.dial(dial, Some("gw"));
        self.note(dial, WireEvent::Phase(Phase::Dialing));
        self.says(dial, WireSide::Gateway, HELLO);
        self.says(dial, WireSide::Connector, DESCRIPTOR);
        self.note(dial, WireEvent::Phase(Phase::Connected));
        self.says(dial, WireSide::Gateway, SEND);
        self.says(dial, WireSide::Connector, RESULT);
        self.note(dial, WireEvent::Close { by: WireSide::Connector, code: Some(1001), reason: "bye" });
        self.note(dial, WireEvent::Cut { by: WireSide::Gateway, reason: "" });
        self.note(dial, WireEvent::Phase(Phase::Waiting));
    }
}

#[test]
fn a_live_session_is_described_as_its_recording_is() {
    let mut live = Live::new(LiveOptions::default());
    live.play(1);
    live.take();
    assert_eq!(live.names(), ["dial", "hello", "descriptor", "outbound", "outbound_result", "close"]);
    let saved = live.saved();
    assert_eq!(saved.lines.len(), 6);
    let view = SessionView::of(&saved);
    let entries: Vec<_> = live
        .updates
        .iter()
        .filter_map(|update| if let ViewUpdate::Entry(entry) = update { Some(&**entry) } else { None })
        .collect();
    assert_eq!(entries, view.entries.iter().collect::<Vec<_>>());
    let text = live.sessions.recording(0).unwrap();
    assert!(!text.contains("s3cret") && text.contains("Bearer <hidden>"), "{text}");
    let states = live.updates.iter().filter(|update| matches!(update, ViewUpdate::State(_))).count();
    assert_eq!(states, 3);
}

#[test]
fn failed_dials_say_why() {
    let mut live = Live::new(LiveOptions::default());
    live.dial(1, None);
    live.note(1, WireEvent::DialFailed(DialFailure::Unanswered("h:1: connection refused")));
    live.dial(2, None);
    live.note(2, WireEvent::DialFailed(DialFailure::Refused(Refusal::new(503, b"later"))));
    live.dial(3, None);
    live.says(3, WireSide::Gateway, HELLO);
    live.note(3, WireEvent::Cut { by: WireSide::Connector, reason: "reset by peer" });
    live.take();
    assert_eq!(live.names(), ["dial", "cut", "note", "dial", "rejected", "dial", "hello", "cut", "note"]);
    let text = live.sessions.recording(0).unwrap();
    assert!(
        text.contains("dial 1: h:1: connection refused") && text.contains("dial 3: reset by peer"),
        "{text}"
    );
    assert!(live.problems().contains(&ProblemKind::DialRejected));
}

#[test]
fn hidden_texts_are_nowhere() {
    let mut live = Live::new(LiveOptions { hides_text: true, ..LiveOptions::default() });
    live.play(1);
    let steps = live.take();
    let (shown, saved) =
        (serde_json::to_string(&steps[0].updates).unwrap(), live.sessions.recording(0).unwrap());
    let all: String = steps.iter().map(|step| serde_json::to_string(&step.updates).unwrap()).collect();
    for text in [shown, saved, all] {
        assert!(!text.contains("private") && !text.contains("\"gw\""), "{text}");
    }
    assert_eq!(live.sessions.names().collect::<Vec<_>>(), ["gateway 1"]);
    // The words of the protocol stay.
    assert_eq!(live.names()[3], "outbound");
}

#[test]
fn each_gateway_has_a_session_and_their_number_is_bounded() {
    let mut live = Live::new(LiveOptions::default());
    for dial in 1..=3 {
        live.dial(dial, Some(["a", "b", "a"][dial as usize - 1]));
        live.says(dial, WireSide::Gateway, HELLO);
    }
    let steps = live.take();
    assert_eq!(
        steps.iter().map(|step| (step.session, step.is_new)).collect::<Vec<_>>(),
        [(0, true), (0, false), (1, true), (1, false), (0, false), (0, false)]
    );
    for dial in 4..2000 {
        live.dial(dial, Some(&dial.to_string()));
    }
    live.take();
    assert_eq!(live.sessions.names().count(), 64);
}

#[test]
fn x_1_the_oldest_lines_leave_and_are_a_gap() {
    let ring = RingLimits { lines: 4, bytes: 1 << 20 };
    let mut live = Live::new(LiveOptions { ring, ..LiveOptions::default() });
    live.play(1);
    live.dial(2, Some("gw"));
    live.says(2, WireSide::Gateway, HELLO);
    live.says(2, WireSide::Connector, DESCRIPTOR);
    for _ in 0..4 {
        live.says(2, WireSide::Gateway, SEND);
    }
    live.take();
    assert_eq!(live.sessions.dropped(), 6 + 3 - 4 + 4);
    let saved = live.saved();
    // The beginning of the dial that goes on, the gap, and the last four lines.
    assert_eq!(saved.lines.len(), 6);
    assert_eq!(saved.lines[0].dial(), Some(2));
    assert_eq!(saved.lines[1].gap(), Some(8));
    assert!(saved.lines[2..].iter().all(|line| line.dial() == Some(2)));
    live.sessions.clear();
    assert_eq!(live.saved().lines.len(), 2);
}

#[test]
fn x_2_a_full_feed_loses_events_and_counts_them() {
    let mut live = Live::new(LiveOptions::default());
    live.feed = LiveFeed::new(FeedLimits { events: 3, bytes: 1 << 20 });
    live.dial(1, None);
    for _ in 0..5 {
        live.says(1, WireSide::Gateway, HELLO);
    }
    assert_eq!(live.feed.lost(), 3);
    live.take();
    live.says(1, WireSide::Gateway, SEND);
    live.take();
    assert_eq!(live.names(), ["dial", "hello", "hello", "gap", "outbound"]);
    assert!(live.problems().contains(&ProblemKind::Gap));
    // A gap behind a part of a frame waits for its rest, too.
    live.feed = LiveFeed::new(FeedLimits { events: 1, bytes: 1 << 20 });
    live.now = 1000;
    live.says(1, WireSide::Gateway, &HELLO[..20]);
    live.says(1, WireSide::Connector, RESULT);
    live.take();
    live.says(1, WireSide::Gateway, &HELLO[20..]);
    live.take();
    assert_eq!(live.saved().lines.iter().filter(|line| line.gap().is_some()).count(), 2);
    // A single large message counts by its bytes.
    live.feed = LiveFeed::new(FeedLimits { events: 3, bytes: 1000 });
    live.says(1, WireSide::Gateway, &"x".repeat(2000));
    assert_eq!(live.feed.lost(), 1);
}

#[test]
fn what_is_overdue_is_marked_without_another_line() {
    let mut live = Live::new(LiveOptions::default());
    live.dial(1, None);
    live.says(1, WireSide::Gateway, HELLO);
    live.says(1, WireSide::Gateway, SEND);
    live.take();
    assert!(live.sessions.tick(10_000).is_empty());
    let steps = live.sessions.tick(31_000);
    let ViewUpdate::Problem(problem) = &steps[0].updates[0].updates[0] else { panic!("{steps:?}") };
    assert_eq!((problem.kind, problem.at), (ProblemKind::NoResult, 2));
}

/// Two threads read the clock and note in another order.
#[test]
fn time_never_goes_back() {
    let mut live = Live::new(LiveOptions::default());
    live.dial(1, None);
    for at in [50, 40, 60, 55] {
        let bytes = Bytes::from_static(HELLO.as_bytes());
        let event = WireEvent::Message { by: WireSide::Gateway, bytes: &bytes };
        live.feed.observe(Time::from_micros(at * 1000), 1, event);
    }
    live.take();
    let times: Vec<u64> = live.saved().lines.iter().map(|line| line.t_ms).collect();
    assert_eq!(times, [10, 50, 50, 60, 60]);
}

#[test]
fn a_closed_feed_ends_its_reader() {
    let feed = Arc::new(LiveFeed::new(FeedLimits::default()));
    let reader = std::thread::spawn({
        let feed = feed.clone();
        move || {
            let mut events = 0;
            while let Some(taken) = feed.take(Duration::from_secs(30)) {
                events += taken.len();
            }
            events
        }
    });
    for _ in 0..100 {
        feed.observe(Time::from_micros(1), 1, WireEvent::Phase(Phase::Waiting));
    }
    feed.close();
    assert_eq!(reader.join().unwrap(), 100);
}

#[test]
fn x_1_many_dials_need_no_more_memory() {
    let mut live = Live::new(LiveOptions::default());
    for dial in 1..=1500 {
        live.play(dial);
        live.take();
    }
    let last = live.updates.iter().rev().find_map(|update| match update {
        ViewUpdate::Entry(entry) => entry.dial,
        _ => None,
    });
    assert_eq!(last, Some(1500), "numbers go on");
}
