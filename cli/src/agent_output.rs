//! Output of an agent's process: its bytes, and its lines.

use relayline_core::line::{Line, LineSplitter};
use std::io::{self, Read};

/// Maximum length of a line of an agent, in bytes.
pub(crate) const MAX_LINE_BYTES: usize = 16 << 20;

/// Passes the bytes of a stream to `handle`, up to the end or an error.
pub(crate) fn each_part(from: &mut dyn Read, mut handle: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => handle(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::warn!(%error, "agent_unreadable");
                break;
            }
        }
    }
}

/// Passes each line of a stream to `handle`, blank and overlong ones too.
pub(crate) fn each_line(from: &mut dyn Read, mut handle: impl FnMut(Line<'_>)) {
    each_line_of_parts(from, |line| line.map_or((), &mut handle));
}

/// Passes each line of a stream to `handle`, and `None` after the lines that came with one read.
pub(crate) fn each_line_of_parts(from: &mut dyn Read, mut handle: impl FnMut(Option<Line<'_>>)) {
    let mut splitter = LineSplitter::new(MAX_LINE_BYTES);
    each_part(from, |mut bytes| {
        while let Some(line) = splitter.next(&mut bytes) {
            handle(Some(line));
        }
        handle(None);
    });
    // The last line may lack a newline.
    let mut end = &b"\n"[..];
    while let Some(line) = splitter.next(&mut end) {
        handle(Some(line));
    }
}
