//! The inspector as a page: describes the events of a feed, and publishes them.

use crate::page_server::{EventLog, EventLogLimits, PageApp, PageFile, Snapshot};
use crate::unix_ms;
use relayline_harness::live::{FeedEvent, LiveFeed, LiveOptions, LiveSessions, LiveStep, LiveUpdate};
use relayline_harness::view;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The page, which `web/` builds.
const PAGE: &str = include_str!("page/inspector.html");
/// Interval of the status, and of the search for what is overdue.
const TICK: Duration = Duration::from_secs(1);
/// Maximum number of events that are described under one lock, which the page's requests wait for.
const BATCH: usize = 256;

/// Properties of the inspected side that the page shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) is_connector: bool,
    pub(super) hides_text: bool,
}

/// The page of an inspector.
#[derive(Debug)]
pub(super) struct InspectorApp {
    subject: Subject,
    started: Instant,
    started_unix_ms: u64,
    log: EventLog,
    /// Events are published under this lock, so that a snapshot is consistent.
    sessions: Mutex<LiveSessions>,
}

/// An update of a session, as the page reads it.
#[derive(Serialize)]
struct PublishedUpdate<'u> {
    #[serde(rename = "s")]
    session: usize,
    #[serde(flatten)]
    update: &'u LiveUpdate,
}

impl InspectorApp {
    pub(super) fn new(subject: Subject, mut options: LiveOptions) -> InspectorApp {
        let started_unix_ms = unix_ms();
        options.started_unix_ms = started_unix_ms;
        options.recorded_from = concat!("relayline record ", env!("CARGO_PKG_VERSION"), ", live").to_owned();
        InspectorApp {
            subject,
            started: Instant::now(),
            started_unix_ms,
            log: EventLog::new(EventLogLimits::default()),
            sessions: Mutex::new(LiveSessions::new(options)),
        }
    }

    /// Describes what a feed collects, until it is closed.
    pub(super) fn describe(&self, feed: &LiveFeed, status: &dyn Fn() -> Value) {
        let mut due = Instant::now();
        while let Some(events) = feed.take(due.saturating_duration_since(Instant::now())) {
            let mut events = events.into_iter().peekable();
            while events.peek().is_some() {
                self.add(events.by_ref().take(BATCH));
            }
            if Instant::now() >= due {
                due = Instant::now() + TICK;
                self.tick(feed.lost(), status);
            }
        }
    }

    fn add(&self, events: impl Iterator<Item = FeedEvent>) {
        let mut sessions = self.lock();
        for event in events {
            match sessions.add(event) {
                Ok(step) => self.publish(&sessions, &step),
                Err(error) => tracing::warn!(%error, "inspector_failed"),
            }
        }
    }

    fn tick(&self, lost: u64, status: &dyn Fn() -> Value) {
        let t_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut sessions = self.lock();
        for step in sessions.tick(t_ms) {
            self.publish(&sessions, &step);
        }
        drop(sessions);
        if self.log.has_clients() {
            let log = self.log.stats();
            let mut status = status();
            status["t"] = json!(t_ms);
            status["page"] =
                json!({"lost": lost, "dropped": log.dropped, "lagged": log.lagged, "refused": log.refused});
            self.log.set("status", &status.to_string());
        }
    }

    /// Publishes what an event adds. Called under the lock.
    fn publish(&self, sessions: &LiveSessions, step: &LiveStep) {
        let session = step.session;
        if step.is_new {
            let name = sessions.names().nth(session);
            self.log.publish("session", &json!({"s": session, "name": name}).to_string());
        }
        for update in &step.updates {
            // A value that was read as JSON can be written as JSON.
            if let Ok(text) = serde_json::to_string(&PublishedUpdate { session, update }) {
                self.log.publish("update", &text);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LiveSessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageApp for InspectorApp {
    fn page(&self) -> Cow<'_, str> {
        PAGE.into()
    }

    fn events(&self) -> &EventLog {
        &self.log
    }

    fn snapshot(&self) -> Snapshot {
        let sessions = self.lock();
        let data = json!({
            "tool": concat!("relayline ", env!("CARGO_PKG_VERSION")),
            "kind": if self.subject.is_connector { "connector" } else { "gateway" },
            "hides_text": self.subject.hides_text,
            "started_unix_ms": self.started_unix_ms,
            "rules": serde_json::to_value(view::rules()).unwrap_or_default(),
            "sessions": sessions.names().collect::<Vec<_>>(),
            "dropped": self.log.stats().dropped,
        });
        Snapshot { next: self.log.first(), data }
    }

    fn act(&self, action: Value) -> Result<Value, String> {
        match action["do"].as_str() {
            Some("clear") => {
                let mut sessions = self.lock();
                sessions.clear();
                self.log.clear();
                self.log.publish("clear", "{}");
                Ok(json!({}))
            }
            _ => Err("an inspector knows only the action \"clear\"".to_owned()),
        }
    }

    fn file(&self, name: &str) -> Option<PageFile> {
        let number = name.strip_prefix("recording-")?.strip_suffix(".jsonl")?;
        let sessions = self.lock();
        let session: usize = number.parse().ok()?;
        let (name, text) = (sessions.names().nth(session)?, sessions.recording(session)?);
        Some(PageFile {
            content_type: "application/x-ndjson".into(),
            save_as: Some(format!("{name}.jsonl")),
            bytes: text.into(),
        })
    }
}
