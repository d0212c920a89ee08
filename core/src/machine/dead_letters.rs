//! Dead letters: input of the connector that cannot be delivered to a host (A-3, A-9, W-5).

use super::RelayMachine;
use super::frames::{is_acknowledged, readable, unquoted};
use crate::json;
use crate::line::HEAD_BYTES;
use crate::output::Notice;
use memchr::memmem;
use serde::de::IgnoredAny;

impl RelayMachine {
    /// Reports a line over the limit. It stays unacknowledged: its `bufferId` may not have been read, and the entry can
    /// be read once the limit is raised.
    pub(super) fn on_overlong_line(&mut self, head: &[u8]) {
        self.stats.overlong_lines += 1;
        let most = self.config.limits.max_line_bytes;
        let reason = format!(
            "a line of over {most} bytes was discarded: raise `max_line_bytes` to take it; if it came from the \
             connector's buffer it is not acknowledged, and comes again"
        );
        self.report(reason, None, shown(head, true));
    }

    /// Counts a line that is not a frame. If it carries something for the host, it becomes a dead letter. Its entry is
    /// acknowledged if the id can be found, so that the drain continues.
    pub(super) fn on_malformed_line(&mut self, line: &[u8]) {
        self.stats.malformed_lines += 1;
        let [kind, buffer_id] = json::salvage(line, &["type", "bufferId"]);
        let kind = kind.map(unquoted);
        let buffer_id = buffer_id.filter(|_| kind.as_deref().is_none_or(is_acknowledged));
        let buffer_id = self.acknowledge_lost(buffer_id);
        let is_for_host = buffer_id.is_some()
            || match kind.as_deref() {
                Some(kind) => matches!(kind, "inbound" | "passthrough_forward"),
                None => looks_delivered(line),
            };
        if is_for_host {
            self.report(format!("a line cannot be read: {}", fault(line)), buffer_id, shown(line, false));
        }
    }

    /// Acknowledges and reports a frame whose content cannot be used, so that the drain continues.
    pub(super) fn unusable(&mut self, reason: &str, buffer_id: Option<&str>, line: &[u8]) {
        self.stats.unusable_events += 1;
        let buffer_id = self.acknowledge_lost(buffer_id);
        self.report(reason.to_owned(), buffer_id, shown(line, false));
    }

    /// Acknowledges an entry that reaches no host, if that is possible. Returns its id.
    pub(super) fn acknowledge_lost(&mut self, buffer_id: Option<&str>) -> Option<String> {
        let id = buffer_id.and_then(readable)?;
        self.push_ack(self.conn.id(), Box::from(&*id));
        Some(id.into_owned())
    }

    fn report(&mut self, reason: String, buffer_id: Option<String>, line: String) {
        self.notify(Notice::DeadLetter { reason, buffer_id, line });
    }
}

/// Returns whether a line of an unknown type has a field that only deliveries have.
fn looks_delivered(line: &[u8]) -> bool {
    let names: [&[u8]; 3] = [b"\"bufferId\"", b"\"inbound\"", b"\"passthrough_forward\""];
    names.iter().any(|name| memmem::find(line, name).is_some())
}

/// Returns the problem of a line that is not a frame, and its position.
fn fault(line: &[u8]) -> String {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => return format!("byte {} of it is not UTF-8", error.valid_up_to() + 1),
    };
    if !json::depth_is_fine(text) {
        return format!("it nests deeper than {}", json::MAX_DEPTH);
    }
    let repaired = json::repair(text);
    match serde_json::from_str::<IgnoredAny>(repaired.as_deref().unwrap_or(text)) {
        Err(error) => format!("it is not valid JSON: {error}"),
        Ok(IgnoredAny) => "it is not an object with a string `type`".to_owned(),
    }
}

/// Returns the beginning of a line as text. `is_cut` says that `line` is not all of it.
fn shown(line: &[u8], is_cut: bool) -> String {
    let mut head = &line[..line.len().min(HEAD_BYTES)];
    if is_cut || head.len() < line.len() {
        // A character that is cut off is not invalid UTF-8.
        let last = head.iter().rposition(|byte| byte & 0xC0 != 0x80).unwrap_or(0);
        if std::str::from_utf8(&head[last..]).is_err_and(|error| error.error_len().is_none()) {
            head = &head[..last];
        }
    }
    String::from_utf8_lossy(head).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_9_a_line_is_shown_up_to_64_kib_without_half_a_character() {
        assert_eq!(shown(b"a\xffb", false), "a\u{fffd}b");
        assert_eq!(shown("aé".as_bytes(), false), "aé");
        assert_eq!(shown(&"aé".as_bytes()[..2], true), "a");
        assert_eq!(shown(&"aé".as_bytes()[..2], false), "a\u{fffd}");
        assert_eq!(shown(&"a€".as_bytes()[..3], true), "a");
        assert_eq!(shown(b"a\x80\x80", true), "a\u{fffd}\u{fffd}");
        let long = format!("a{}", "é".repeat(HEAD_BYTES));
        assert_eq!(shown(long.as_bytes(), false), long[..HEAD_BYTES - 1]);
        assert_eq!(shown(&vec![0xff; 2 * HEAD_BYTES], false).chars().count(), HEAD_BYTES);
    }

    #[test]
    fn a_9_the_reason_says_what_is_wrong_and_where() {
        for (line, expected) in [
            (b"{\"a\":\"\xff\"}".to_vec(), "byte 7 of it is not UTF-8"),
            ([b"[".repeat(129), b"]".repeat(129)].concat(), "it nests deeper than 128"),
            (b"{\"a\":nope}".to_vec(), "it is not valid JSON: expected ident at line 1 column 7"),
            (b"{\"type\":7}".to_vec(), "it is not an object with a string `type`"),
            (b"[NaN]".to_vec(), "it is not an object with a string `type`"),
        ] {
            assert_eq!(fault(&line), expected);
        }
    }
}
