//! Lines of the host: its calls, and the events that it observed.

use super::{Analyzer, Output};
use crate::recording::{CallOutcome, LineContent};
use crate::view::frame::id;
use crate::view::gist::{self, one_line};
use crate::view::model::{EntryKind, Lane};
use crate::view::problems::ProblemKind;
use crate::view::turns::ChatKey;
use serde_json::{Map, Value};

impl Analyzer {
    pub(super) fn host_call(
        &mut self,
        call: &str,
        args: &Map<String, Value>,
        ended: &CallOutcome,
        done_ms: Option<u64>,
        out: &mut Output<'_>,
    ) {
        let mut entry = out.entry(EntryKind::Call, Lane::Host, Lane::Gateway, call);
        entry.gist = gist::of_values(args);
        entry.took = done_ms.map(|done| done.saturating_sub(out.line.t_ms));
        entry.chat = id(args.get("chat_id"));
        if let Some(chat) = &entry.chat {
            let turn = self.turns.find(&[ChatKey::new(chat, None)], false, true);
            entry.session = turn.as_ref().map(|turn| turn.session.clone());
            entry.turn = turn.and_then(|turn| turn.number);
        }
        let place = self.add(entry, out);
        if let CallOutcome::Raised { kind, message } = ended {
            let detail = format!("{}: {}", one_line(kind, 60), gist::quoted(message, 200));
            out.marks.problem(place.at, ProblemKind::CallFailed, detail);
        }
    }

    pub(super) fn host_event(&mut self, kind: &str, event: &Value, out: &mut Output<'_>) {
        let mut entry = out.entry(EntryKind::Event, Lane::Gateway, Lane::Host, kind);
        let empty = Map::new();
        let fields = event.as_object().unwrap_or(&empty);
        entry.gist = gist::of_values(fields);
        let source = fields.get("source").and_then(Value::as_object).unwrap_or(fields);
        entry.chat = id(source.get("chat_id"));
        entry.platform = id(source.get("platform"));
        if let LineContent::HostEvent { session_key: Some(key), .. } = &out.line.what {
            entry.session = id(Some(key));
        }
        let session = entry.session.clone().or_else(|| id(fields.get("session_key")));
        entry.turn = session.as_deref().and_then(|session| self.turns.of_session(session));
        entry.session = session;
        let place = self.add(entry, out);
        if kind == "fatal" {
            let message = fields.get("message").and_then(Value::as_str).unwrap_or_default();
            out.marks.problem(place.at, ProblemKind::Fatal, gist::quoted(message, 200));
        }
        if let Some(raised) = out.line.rest.get("handler_raised") {
            let message = raised["message"].as_str().unwrap_or_default();
            out.marks.problem(place.at, ProblemKind::HandlerFailed, gist::quoted(message, 200));
        }
    }
}
