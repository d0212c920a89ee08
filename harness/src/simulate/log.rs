//! Log of a run: always a hash, and on request a trace and a recording.

use crate::recording::{Data, Gateway, Header, LineContent, RecordedLine, Recording, Side};
use relayline_core::time::Time;
use serde_json::Map;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use std::time::Duration;

/// The log of a run.
#[derive(Default)]
pub(crate) struct Log {
    hasher: Sha256,
    /// Number of trace lines.
    pub(crate) lines: u64,
    kept: Option<Kept>,
}

/// Trace and recording, if requested.
#[derive(Debug, Default)]
struct Kept {
    trace: Vec<String>,
    recorded: Vec<RecordedLine>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("lines", &self.lines).finish_non_exhaustive()
    }
}

struct Hashing<'h>(&'h mut Sha256);

impl Write for Hashing<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl Log {
    pub(crate) fn new(keeps: bool) -> Self {
        Log { kept: keeps.then(Kept::default), ..Log::default() }
    }

    /// Adds a line to the trace.
    pub(crate) fn trace_line(&mut self, at: Time, text: fmt::Arguments<'_>) {
        self.lines += 1;
        // Writing into a hash or a string cannot fail.
        let _ = writeln!(Hashing(&mut self.hasher), "{} {text}", at.as_micros());
        if let Some(kept) = &mut self.kept {
            kept.trace.push(format!("{:>12} {text}", at.to_string()));
        }
    }

    /// Adds an action to the trace, and a note to the recording.
    pub(crate) fn note(&mut self, at: Time, text: fmt::Arguments<'_>) {
        self.trace_line(at, format_args!("* {text}"));
        self.record(at, || LineContent::Note(text.to_string()));
    }

    /// Adds a line to the recording.
    pub(crate) fn record(&mut self, at: Time, what: impl FnOnce() -> LineContent) {
        let Some(kept) = &mut self.kept else { return };
        let number = kept.recorded.len() + 2;
        kept.recorded.push(RecordedLine { number, t_ms: at.as_millis(), what: what(), rest: Map::new() });
    }

    pub(crate) fn record_bytes(&mut self, at: Time, by: Side, bytes: &[u8]) {
        self.record(at, || {
            let data = match std::str::from_utf8(bytes) {
                Ok(text) => Data::Text(text.to_owned()),
                Err(_) => Data::Binary(bytes.to_vec()),
            };
            match by {
                Side::Gateway => LineContent::Gateway(data),
                Side::Connector => LineContent::Connector(data),
            }
        });
    }

    /// Returns the hash of the trace.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    pub(crate) fn trace(&mut self) -> Vec<String> {
        self.kept.as_mut().map(|kept| std::mem::take(&mut kept.trace)).unwrap_or_default()
    }

    /// Returns the recording with this title and note. It holds only the wire: in a replay an `outbound` frame implies
    /// its request.
    pub(crate) fn recording(
        &mut self,
        title: String,
        note: String,
        identities: Vec<(String, String)>,
    ) -> Option<Recording> {
        let kept = self.kept.as_mut()?;
        let gateway = Gateway {
            identities,
            connect_timeout: None,
            outbound_timeout: Some(Duration::from_secs(30)),
            ..Gateway::default()
        };
        let recorded_from = "relayline simulate".to_owned();
        let header = Header { title, recorded_from, note, gateway, ..Header::default() };
        Some(Recording { file: String::new(), header, lines: std::mem::take(&mut kept.recorded) })
    }
}
