//! Reader of recordings. An error about a bad line has the file, the line and the fix. It quotes no value, because the
//! value may be a secret (C-4).

use super::parts;
use super::{
    CallOutcome, DIAL, Data, GAP, Gateway, Header, LineContent, RecordedLine, Recording, Rejection, Side,
    VERSION,
};
use data_encoding::BASE64;
use relayline_core::secret::Secret;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::path::Path;
use std::time::Duration;

/// Error returned when a file cannot be read as a recording.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {why}; name a recorded session, a .jsonl file")]
    Unreadable {
        /// Name of the file, as the caller gave it.
        file: String,
        /// Error of the system.
        why: String,
    },
    /// A line is invalid.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// Name of the file, as the caller gave it.
        file: String,
        /// Number of the line, counted from 1.
        line: usize,
        /// Problem, and its fix.
        problem: String,
    },
    /// A part in the middle of the recording is missing.
    #[error(
        "{file}: {why}, and {later} is there: put the right one there, or move that away to play what comes before"
    )]
    Missing {
        /// Name of the missing file.
        file: String,
        /// Reason: the file does not exist, or is another file.
        why: &'static str,
        /// Name of a later part.
        later: String,
    },
    /// An entry of a HAR is invalid.
    #[error("{file}: entry {entry}: {problem}")]
    Entry {
        /// Name of the file, as the caller gave it.
        file: String,
        /// Number of the entry, counted from 1.
        entry: usize,
        /// Problem, and its fix.
        problem: String,
    },
}

impl Recording {
    /// Reads a recording. Error messages name the file as `path` does. If the recorder continued in further files
    /// (`--rotate`), they are read, too, and their lines are numbered after those of the first file. A
    /// [HAR](crate::har) is converted to a recording.
    pub fn load(path: &Path) -> Result<Recording, RecordingError> {
        let bytes = bytes_of(path)?;
        if Recording::is_har(&bytes) {
            return Recording::read_har(&path.display().to_string(), &bytes);
        }
        let mut recording = Recording::read(&path.display().to_string(), &bytes)?;
        if let Some(problem) = recording.later_part_error(path) {
            return Err(RecordingError::Line { file: recording.file, line: 1, problem });
        }
        if !recording.has_parts() {
            return Ok(recording);
        }
        for number in 1.. {
            let part = parts::path(path, number);
            if !part.exists() {
                recording.check_no_later_part(path, number, "is missing")?;
                break;
            }
            match Recording::read(&part.display().to_string(), &bytes_of(&part)?) {
                Ok(part) if recording.continues_in(&part, number) => recording.append(part),
                // Another file that has the name of a part.
                Ok(_) | Err(RecordingError::Line { line: 1, .. }) => {
                    recording.check_no_later_part(path, number, "is not part of this recording")?;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(recording)
    }

    /// Returns an error if a later file of the recording exists although this one does not.
    fn check_no_later_part(
        &self,
        first: &Path,
        number: u32,
        why: &'static str,
    ) -> Result<(), RecordingError> {
        for (later, path) in parts::later_parts(first, number) {
            let part = bytes_of(&path).and_then(|bytes| Recording::read("", &bytes));
            if part.is_ok_and(|part| self.continues_in(&part, later)) {
                let shown = |path: &Path| path.display().to_string();
                return Err(RecordingError::Missing {
                    file: shown(&parts::path(first, number)),
                    why,
                    later: shown(&path),
                });
            }
        }
        Ok(())
    }

    /// Reads a recording from the bytes of a file. Empty lines are skipped. A truncated last line, as a killed
    /// recorder leaves it, is read as a gap.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Recording, RecordingError> {
        let fail =
            |line: usize, problem: String| RecordingError::Line { file: file.to_owned(), line, problem };
        let mut header = None;
        let mut lines: Vec<RecordedLine> = Vec::new();
        for (at, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let number = at + 1;
            if raw.trim_ascii().is_empty() {
                continue;
            }
            let read = object(raw);
            let is_last = raw.as_ptr_range().end == bytes.as_ptr_range().end;
            if read.is_err() && header.is_some() && is_last && is_truncated(raw) {
                let t_ms = lines.last().map_or(0, |line| line.t_ms);
                let rest = Map::from_iter([("lines".to_owned(), Value::from(1))]);
                lines.push(RecordedLine { number, t_ms, what: LineContent::Other(GAP.to_owned()), rest });
                break;
            }
            let object = read.map_err(|problem| {
                // For a file of another kind the error names that, not the first line's problem.
                fail(number, if header.is_none() { NO_HEADER.to_owned() } else { problem })
            })?;
            let mut fields = Fields { object };
            if header.is_none() {
                header = Some(read_header(&mut fields).map_err(|problem| fail(number, problem))?);
                continue;
            }
            let line = read_line(number, &mut fields).map_err(|problem| fail(number, problem))?;
            if let Some(before) = lines.last().filter(|before| before.t_ms > line.t_ms) {
                let problem = format!(
                    "`t_ms` goes back from {} to {}: put the lines in the order of time",
                    before.t_ms, line.t_ms
                );
                return Err(fail(number, problem));
            }
            lines.push(line);
        }
        let header = header.ok_or_else(|| fail(1, NO_HEADER.to_owned()))?;
        Ok(Recording { file: file.to_owned(), header, lines })
    }
}

/// Returns true if a line is a truncated JSON object.
fn is_truncated(raw: &[u8]) -> bool {
    let is_begun = raw.trim_ascii_start().first() == Some(&b'{');
    is_begun
        && match std::str::from_utf8(raw) {
            Ok(text) => serde_json::from_str::<IgnoredAny>(text).is_err_and(|error| error.is_eof()),
            Err(error) => error.error_len().is_none(),
        }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, RecordingError> {
    std::fs::read(path).map_err(|error| RecordingError::Unreadable {
        file: path.display().to_string(),
        why: error.to_string(),
    })
}

const NO_HEADER: &str =
    "this is not a recorded session: its first line must be a header with `relay_session`: 1";

fn object(raw: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(raw)
        .map_err(|error| format!("byte {} is not UTF-8: save the file as UTF-8", error.valid_up_to() + 1))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("this is not a JSON object: write one object per line".to_owned()),
        Err(error) => Err(format!(
            "this is not valid JSON (column {}): write one object per line, and no line break within it",
            error.column()
        )),
    }
}

/// A JSON object whose fields are taken one by one. The remaining fields are unknown ones.
struct Fields {
    object: Map<String, Value>,
}

impl Fields {
    /// Takes a field. `null` counts as absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    fn optional<T>(&mut self, name: &str, kind: FieldKind<T>) -> Result<Option<T>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => {
                (kind.read)(value).map(Some).ok_or_else(|| format!("`{name}` must be {}", kind.wanted))
            }
        }
    }

    fn required<T>(&mut self, name: &str, kind: FieldKind<T>) -> Result<T, String> {
        let wanted = kind.wanted;
        self.optional(name, kind)?.ok_or_else(|| format!("`{name}` is missing: it must be {wanted}"))
    }

    fn rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.object)
    }
}

/// Expected type of a field, as text and as a conversion.
struct FieldKind<T> {
    wanted: &'static str,
    read: fn(Value) -> Option<T>,
}

fn text() -> FieldKind<String> {
    FieldKind {
        wanted: "a string",
        read: |value| match value {
            Value::String(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        },
    }
}

fn secret() -> FieldKind<Secret> {
    FieldKind { wanted: "a string", read: |value| (text().read)(value).map(Secret::new) }
}

fn number() -> FieldKind<u64> {
    FieldKind { wanted: "a whole number, not negative", read: |value| value.as_u64() }
}

fn narrow_number<T: TryFrom<u64>>() -> FieldKind<T> {
    FieldKind {
        wanted: "a small whole number, not negative",
        read: |value| value.as_u64().and_then(|number| T::try_from(number).ok()),
    }
}

fn seconds() -> FieldKind<Duration> {
    FieldKind {
        wanted: "a number of seconds, not negative",
        read: |value| value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    }
}

fn boolean() -> FieldKind<bool> {
    FieldKind { wanted: "true or false", read: |value| value.as_bool() }
}

fn map() -> FieldKind<Map<String, Value>> {
    FieldKind {
        wanted: "an object",
        read: |value| match value {
            Value::Object(object) => Some(object),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        },
    }
}

fn by() -> FieldKind<Side> {
    FieldKind {
        wanted: "\"gateway\" or \"connector\"",
        read: |value| [Side::Gateway, Side::Connector].into_iter().find(|by| value == by.name()),
    }
}

fn identities() -> FieldKind<Vec<(String, String)>> {
    FieldKind {
        wanted: "an array of pairs of platform and bot id",
        read: |value| serde_json::from_value(value).ok(),
    }
}

fn read_header(fields: &mut Fields) -> Result<Header, String> {
    match fields.take("relay_session").as_ref().map(Value::as_u64) {
        None => return Err(NO_HEADER.to_owned()),
        Some(Some(VERSION)) => {}
        Some(Some(version)) => {
            return Err(format!(
                "this is a recording of version {version}, and only version {VERSION} can be read: use a newer \
                 relayline, or record the session again"
            ));
        }
        Some(None) => return Err(format!("`relay_session` is the format's version: it must be {VERSION}")),
    }
    let mut gateway = Fields { object: fields.optional("gateway", map())?.unwrap_or_default() };
    let gateway = read_gateway(&mut gateway).map_err(|problem| format!("gateway: {problem}"))?;
    Ok(Header {
        title: fields.optional("title", text())?.unwrap_or_default(),
        recorded_from: fields.optional("recorded_from", text())?.unwrap_or_default(),
        note: fields.optional("note", text())?.unwrap_or_default(),
        gateway,
        rest: fields.rest(),
    })
}

fn read_gateway(fields: &mut Fields) -> Result<Gateway, String> {
    Ok(Gateway {
        layer: fields.optional("layer", text())?,
        platform: fields.optional("platform", text())?,
        bot_id: fields.optional("bot_id", text())?,
        identities: fields.optional("identities", identities())?.unwrap_or_default(),
        connect_timeout: fields.optional("connect_timeout_s", seconds())?,
        outbound_timeout: fields.optional("outbound_timeout_s", seconds())?,
        gateway_id: fields.optional("gateway_id", text())?,
        upgrade_secret: fields.optional("upgrade_secret", secret())?,
        clock_unix_s: fields.optional("clock_unix_s", number())?,
        reconnect: fields.optional("reconnect", boolean())?,
        reconnect_backoff: fields.optional("reconnect_backoff_s", seconds())?,
        reconnect_max_backoff: fields.optional("reconnect_max_backoff_s", seconds())?,
        rest: fields.rest(),
    })
}

fn read_line(number: usize, fields: &mut Fields) -> Result<RecordedLine, String> {
    let t_ms = fields.required("t_ms", self::number())?;
    let dir = fields.required("dir", text())?;
    let what = read_what(&dir, fields).map_err(|problem| format!("a `{dir}` line: {problem}"))?;
    if matches!(what, LineContent::Gateway(_) | LineContent::Connector(_))
        && !fields.object.get(DIAL).is_none_or(is_dial)
    {
        return Err(format!("a `{dir}` line: `{DIAL}` must be a small whole number, not negative"));
    }
    Ok(RecordedLine { number, t_ms, what, rest: fields.rest() })
}

fn is_dial(value: &Value) -> bool {
    value.as_u64().is_some_and(|dial| u32::try_from(dial).is_ok())
}

fn read_what(dir: &str, fields: &mut Fields) -> Result<LineContent, String> {
    Ok(match dir {
        "connect" => {
            let mut headers = fields.optional("headers", map())?.unwrap_or_default();
            let name = headers.keys().find(|name| name.eq_ignore_ascii_case("authorization")).cloned();
            let mut authorization = None;
            if let Some(value) = name.and_then(|name| headers.remove(&name)) {
                authorization =
                    Some((secret().read)(value).ok_or("`headers.authorization` must be a string")?);
            }
            LineContent::Connect {
                url_path: fields.optional("url_path", text())?.unwrap_or_default(),
                dial: fields.optional("dial", narrow_number())?,
                authorization,
                headers,
                clock_unix_s: fields.optional("clock_unix_s", number())?,
            }
        }
        "reject" => LineContent::Reject {
            dial: fields.optional("dial", narrow_number())?,
            answer: Rejection {
                status: fields.required("status", narrow_number())?,
                body: fields.optional("body", text())?,
                is_cut: fields.optional("cut", boolean())?.unwrap_or_default(),
                has_challenge: fields.optional("www_authenticate", boolean())?.unwrap_or_default(),
                retry_after: fields.optional("retry_after", text())?,
                location: fields.optional("location", text())?,
            },
        },
        "gateway" => LineContent::Gateway(data(fields)?),
        "connector" => LineContent::Connector(data(fields)?),
        "close" => LineContent::Close {
            by: fields.required("by", by())?,
            dial: fields.optional("dial", narrow_number())?,
            code: fields.optional("code", narrow_number())?,
            reason: fields.optional("reason", text())?.unwrap_or_default(),
        },
        "drop" => LineContent::Drop {
            by: fields.optional("by", by())?.unwrap_or(Side::Connector),
            dial: fields.optional("dial", narrow_number())?,
        },
        "host_call" => LineContent::HostCall {
            call: fields.required("call", text())?,
            args: fields.optional("args", map())?.unwrap_or_default(),
            ended: ended(fields)?,
            done_ms: fields.optional("done_ms", number())?,
        },
        "host_event" => LineContent::HostEvent {
            kind: fields.required("kind", text())?,
            event: fields.take("event").unwrap_or_default(),
            session_key: fields.object.remove("session_key"),
        },
        "note" => LineContent::Note(fields.required("text", text())?),
        other => LineContent::Other(other.to_owned()),
    })
}

fn data(fields: &mut Fields) -> Result<Data, String> {
    let data = fields.optional("data", text())?;
    let base64 = fields.optional("data_b64", text())?;
    match (data, base64) {
        (Some(text), None) => Ok(Data::Text(text)),
        (None, Some(base64)) => {
            let bytes = BASE64.decode(base64.as_bytes());
            Ok(Data::Binary(bytes.map_err(|_| "`data_b64` must be standard base64, padded")?))
        }
        (None, None) => Err("`data` is missing: write the message's text, or its bytes as `data_b64`".into()),
        (Some(_), Some(_)) => {
            Err("it has both `data` and `data_b64`: keep the one that the message was".into())
        }
    }
}

fn ended(fields: &mut Fields) -> Result<CallOutcome, String> {
    // A null result is a result, too.
    let result = fields.object.remove("result");
    match fields.optional("raised", map())? {
        Some(raised) => {
            let mut raised = Fields { object: raised };
            Ok(CallOutcome::Raised {
                kind: raised.optional("type", text())?.unwrap_or_default(),
                message: raised.optional("message", text())?.unwrap_or_default(),
            })
        }
        None => Ok(result.map_or(CallOutcome::Unknown, CallOutcome::Result)),
    }
}
