//! Reader of the agent's output. It has its own thread, since reading a pipe blocks.

use super::change_signal::ChangeSignal;
use super::op::{self, OpLabel, OpParseError, OpRequest, ParsedOp};
use super::op_queue::{OpQueue, QueuedOp, Work};
use super::settings::AgentSettings;
use crate::agent_output::{MAX_LINE_BYTES, each_line_of_parts};
use relayline_acp::PromptChat;
use relayline_core::line::Line;
use relayline_core::output::DeliveryId;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Number of characters quoted from an invalid line.
const MAX_QUOTED: usize = 200;
/// Byte order mark, which some programs write before a line.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Handle of the thread that reads ops, and of their queue. The thread does not read while the queue is full.
pub(super) struct Reader(Arc<Shared>);

struct Shared {
    ops: Mutex<OpQueue>,
    /// There may be room again.
    room: Condvar,
    /// True while the thread waits for room. It changes under the lock of the queue.
    is_waiting: AtomicBool,
    changes: ChangeSignal,
    chat_of: ChatOf,
    /// Chat in which requests for approval are shown, unless they name one.
    approval_chat: Option<PromptChat>,
}

/// Look-up of a delivery's chat; `None` if the delivery can no longer be answered.
type ChatOf = Box<dyn Fn(DeliveryId) -> Option<String> + Send + Sync>;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, OpQueue> {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an op. Waits while there is no room. The session is woken once no further op is there to be read, or has room.
    fn push(&self, op: QueuedOp) {
        let mut ops = self.lock();
        while !ops.has_room() {
            self.changes.set();
            self.is_waiting.store(true, Ordering::Relaxed);
            ops = self.room.wait(ops).unwrap_or_else(PoisonError::into_inner);
            self.is_waiting.store(false, Ordering::Relaxed);
        }
        ops.push(op);
    }

    /// Reads the agent's output to its end, also after the bridge has ended: a closed pipe could kill the agent.
    fn read(&self, from: &mut dyn Read) {
        each_line_of_parts(from, |line| {
            let Some(line) = line else { return self.changes.set() };
            if let Some(mut op) = op_of(line, MAX_LINE_BYTES) {
                name_chat(&mut op, &self.chat_of);
                if let Work::Request(OpRequest::Prompt(prompt)) = &mut op.work {
                    prompt.route(self.approval_chat.as_ref());
                }
                self.push(op);
            }
        });
        self.lock().end();
        self.changes.set();
    }
}

impl Reader {
    pub(super) fn start(
        mut from: Box<dyn Read + Send>,
        settings: &AgentSettings,
        changes: ChangeSignal,
        chat_of: ChatOf,
        approval_chat: Option<PromptChat>,
    ) -> io::Result<Reader> {
        let ops = Mutex::new(OpQueue::new(settings.into()));
        let shared = Arc::new(Shared {
            ops,
            room: Condvar::new(),
            is_waiting: AtomicBool::new(false),
            changes,
            chat_of,
            approval_chat,
        });
        let read = shared.clone();
        std::thread::Builder::new().name("agent-out".to_owned()).spawn(move || read.read(&mut *from))?;
        Ok(Reader(shared))
    }

    /// Changes the queue, and wakes the thread: there may be room now.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut OpQueue) -> T) -> T {
        let mut ops = self.0.lock();
        let changed = change(&mut ops);
        // Each wake-up is a system call.
        let is_waiting = self.0.is_waiting.load(Ordering::Relaxed);
        drop(ops);
        if is_waiting {
            self.0.room.notify_one();
        }
        changed
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.with(OpQueue::close);
    }
}

/// Sets the chat of an op that names a delivery instead of a chat, to keep the chat's order (M-7).
pub(super) fn name_chat(op: &mut QueuedOp, chat_of: impl Fn(DeliveryId) -> Option<String>) {
    let Work::Request(asked) = &op.work else { return };
    let Some(delivery) = asked.delivery() else { return };
    let Some(chat) = chat_of(delivery) else { return };
    op.weight += chat.len();
    op.about.name_chat(&chat);
    op.answers = Some((delivery, chat));
}

/// Parses a line of at most `max` bytes; `None` for a blank line.
pub(super) fn op_of(line: Line<'_>, max: usize) -> Option<QueuedOp> {
    let invalid = |line: &[u8], about, message: String| {
        let shown: String = String::from_utf8_lossy(line).chars().take(MAX_QUOTED).collect();
        let weight = shown.len() + message.len();
        Some(QueuedOp {
            id: None,
            about,
            work: Work::Invalid { line: shown, message },
            weight,
            answers: None,
        })
    };
    let line = match line {
        Line::Whole(line) => line.strip_prefix(BOM).unwrap_or(line),
        Line::TooLong => {
            let message = format!("a line of over {max} bytes was discarded");
            return invalid(b"", OpLabel::default(), message);
        }
    };
    if line.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    let ParsedOp { id, about, asked, weight } = match op::read(line) {
        Ok(parsed) => parsed,
        Err(OpParseError { message, id: None, about }) => return invalid(line, about, message),
        Err(OpParseError { message, id, about }) => {
            let weight = message.len();
            return Some(QueuedOp { id, about, work: Work::Wrong(message), weight, answers: None });
        }
    };
    let (work, weight) = match asked {
        Ok(asked) => (Work::Request(asked), weight),
        Err(message) if id.is_none() => return invalid(line, about, message),
        Err(message) => {
            let weight = message.len() + weight;
            (Work::Wrong(message), weight)
        }
    };
    Some(QueuedOp { id, about, work, weight, answers: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &'static [u8]) -> Vec<String> {
        let changes = ChangeSignal::default();
        let ops = Mutex::new(OpQueue::new((&AgentSettings::default()).into()));
        let chat_of = Box::new(|_| None);
        let (room, is_waiting) = (Condvar::new(), AtomicBool::new(false));
        let shared = Shared { ops, room, is_waiting, changes, chat_of, approval_chat: None };
        shared.read(&mut &*bytes);
        let shown = |op: QueuedOp| match op.work {
            Work::Request(_) => op.about.op,
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

    /// The agent waits for a result with this id.
    #[test]
    fn an_invalid_line_with_an_id_gets_a_result() {
        let many: &'static [u8] =
            format!(r#"{{"op":"prompt","id":"p","chat_id":"1","options":[{}0]}}"#, "0,".repeat(1 << 16))
                .into_bytes()
                .leak();
        assert_eq!(read(many), [r#""p": it holds more than 65536 values"#]);
        let nan = read(br#"{"op":"send","id":7,"chat_id":"1","content":NaN}"#);
        assert!(nan[0].starts_with("7: it is not valid JSON: "), "{nan:?}");
        let deep: &'static [u8] =
            format!(r#"{{"id":"d","metadata":{}{}}}"#, "[".repeat(200), "]".repeat(200)).into_bytes().leak();
        assert_eq!(read(deep), [r#""d": it nests deeper than 128 levels"#]);
        assert!(read(br#"{"op":"send","id":"1","content":"x"#)[0].starts_with("invalid: "), "it is cut off");
    }

    #[test]
    fn an_overlong_line_is_reported_once_and_skipped() {
        let long: &'static [u8] =
            Box::leak([vec![b'x'; MAX_LINE_BYTES + 1], b"\n{\"op\":\"resume\"}".to_vec()].concat().into());
        assert_eq!(read(long), ["invalid: ", "resume"]);
    }
}
