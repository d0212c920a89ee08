//! Reads the agent: a thread of its own, since a pipe can only be waited for by blocking.

use super::op::{self, About, Said, Unread};
use super::ops::{Op, Ops, Work};
use super::settings::AgentSettings;
use super::wake::Wake;
use relayline_core::line::{Line, LineSplitter};
use relayline_core::output::DeliveryId;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The longest line that is read from an agent.
const MAX_LINE_BYTES: usize = 16 << 20;
/// How much of a bad line is shown back.
const SHOWN: usize = 200;
/// What some programs write before their first line, and some before each.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The ops that were read. The thread stops reading while there is no room for another.
pub(super) struct Reader(Arc<Shared>);

struct Shared {
    ops: Mutex<Ops>,
    /// There may be room again.
    room: Condvar,
    wake: Wake,
    /// Says which chat a delivery is of.
    chat_of: ChatOf,
}

/// Returns the chat of a delivery that can be answered.
type ChatOf = Box<dyn Fn(DeliveryId) -> Option<String> + Send + Sync>;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ops> {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in an op as soon as there is room for it.
    fn push(&self, op: Op) {
        let mut ops = self.lock();
        while !ops.has_room() {
            ops = self.room.wait(ops).unwrap_or_else(PoisonError::into_inner);
        }
        ops.push(op);
        drop(ops);
        self.wake.wake();
    }

    /// Reads to the end of the agent's output. When the bridge has gone the agent is still read: a closed pipe could
    /// kill it on its way.
    fn read(&self, from: &mut dyn Read) {
        let mut splitter = LineSplitter::new(MAX_LINE_BYTES);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(%error, "agent_unreadable");
                    break;
                }
            };
            self.split(&mut splitter, &buffer[..count]);
        }
        // A last line may have no newline.
        self.split(&mut splitter, b"\n");
        self.lock().end();
        self.wake.wake();
    }

    /// Notes which chat's order an op keeps that names a delivery in a chat's place (M-7).
    fn place(&self, op: &mut Op) {
        let Work::Asked(asked) = &op.work else { return };
        let Some(delivery) = asked.delivery() else { return };
        let Some(chat) = (self.chat_of)(delivery) else { return };
        op.weight += chat.len();
        op.about.name_chat(&chat);
        op.answers = Some((delivery, chat));
    }

    fn split(&self, splitter: &mut LineSplitter, mut bytes: &[u8]) {
        while let Some(line) = splitter.next(&mut bytes) {
            if let Some(mut op) = op_of(line) {
                self.place(&mut op);
                self.push(op);
            }
        }
    }
}

impl Reader {
    pub(super) fn start(
        mut from: Box<dyn Read + Send>,
        settings: &AgentSettings,
        wake: Wake,
        chat_of: ChatOf,
    ) -> io::Result<Reader> {
        let ops = Mutex::new(Ops::new(settings.clone()));
        let shared = Arc::new(Shared { ops, room: Condvar::new(), wake, chat_of });
        let read = shared.clone();
        std::thread::Builder::new().name("agent-out".to_owned()).spawn(move || read.read(&mut *from))?;
        Ok(Reader(shared))
    }

    /// Does something with the ops. There may be room afterwards that was not there before.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Ops) -> T) -> T {
        let changed = change(&mut self.0.lock());
        self.0.room.notify_one();
        changed
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.with(Ops::close);
    }
}

/// The op of a line; `None` for a blank one.
fn op_of(line: Line<'_>) -> Option<Op> {
    let invalid = |line: &[u8], about, message: String| {
        let shown: String = String::from_utf8_lossy(line).chars().take(SHOWN).collect();
        let weight = shown.len() + message.len();
        Some(Op { id: None, about, work: Work::Invalid { line: shown, message }, weight, answers: None })
    };
    let line = match line {
        Line::Whole(line) => line.strip_prefix(BOM).unwrap_or(line),
        Line::TooLong => {
            let message = format!("a line of over {MAX_LINE_BYTES} bytes was discarded");
            return invalid(b"", About::default(), message);
        }
    };
    if line.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    let Said { id, about, asked, weight } = match op::read(line) {
        Ok(said) => said,
        Err(Unread { message, id: None, about }) => return invalid(line, about, message),
        Err(Unread { message, id, about }) => {
            let weight = message.len();
            return Some(Op { id, about, work: Work::Wrong(message), weight, answers: None });
        }
    };
    let (work, weight) = match asked {
        Ok(asked) => (Work::Asked(asked), weight),
        Err(message) if id.is_none() => return invalid(line, about, message),
        Err(message) => {
            let weight = message.len() + weight;
            (Work::Wrong(message), weight)
        }
    };
    Some(Op { id, about, work, weight, answers: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &'static [u8]) -> Vec<String> {
        let wake = Wake::default();
        let ops = Mutex::new(Ops::new(AgentSettings::default()));
        let shared = Shared { ops, room: Condvar::new(), wake, chat_of: Box::new(|_| None) };
        shared.read(&mut &*bytes);
        let shown = |op: Op| match op.work {
            Work::Asked(_) => op.about.op,
            Work::Wrong(message) => format!("{}: {message}", op.id.unwrap_or_default()),
            Work::Invalid { line, .. } => format!("invalid: {line}"),
        };
        let mut ops = shared.lock();
        std::iter::from_fn(|| ops.pop(true)).map(shown).collect()
    }

    #[test]
    fn a_last_line_needs_no_newline() {
        assert_eq!(read(b"{\"op\":\"resume\"}\n{\"op\":\"go_idle\"}"), ["resume", "go_idle"]);
        assert_eq!(read(b"{\"op\":\"resume\"}\n  "), ["resume"]);
        assert_eq!(read(b"{\"op\":\"resume\"}\n{\"op\":"), ["invalid: {\"op\":", "resume"]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(
            read(b"\xef\xbb\xbf{\"op\":\"resume\"}\r\n\xef\xbb\xbf{\"op\":\"go_idle\"}"),
            ["resume", "go_idle"]
        );
        assert_eq!(read(b"\xef\xbb\xbf"), [""; 0]);
    }

    /// A result is waited for under the id.
    #[test]
    fn a_line_that_cannot_be_read_is_answered_by_its_id() {
        let many: &'static [u8] =
            format!(r#"{{"op":"prompt","id":"p","chat_id":"1","options":[{}0]}}"#, "0,".repeat(1 << 16))
                .into_bytes()
                .leak();
        assert_eq!(read(many), [r#""p": it holds more than 65536 values"#]);
        let nan = read(br#"{"op":"send","id":7,"chat_id":"1","content":NaN}"#);
        assert!(nan[0].starts_with("7: it is no JSON: "), "{nan:?}");
        let deep: &'static [u8] =
            format!(r#"{{"id":"d","metadata":{}{}}}"#, "[".repeat(200), "]".repeat(200)).into_bytes().leak();
        assert_eq!(read(deep), [r#""d": it nests deeper than 128 levels"#]);
        assert!(read(br#"{"op":"send","id":"1","content":"x"#)[0].starts_with("invalid: "), "it is cut off");
    }

    #[test]
    fn a_line_that_is_too_long_is_said_once_and_the_next_is_read() {
        let long: &'static [u8] =
            Box::leak([vec![b'x'; MAX_LINE_BYTES + 1], b"\n{\"op\":\"resume\"}".to_vec()].concat().into());
        assert_eq!(read(long), ["invalid: ", "resume"]);
    }
}
