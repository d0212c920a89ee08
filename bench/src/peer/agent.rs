//! Agent of `relayline run --exec`: reads the bridge's lines from stdin, and writes ops to stdout.
//!
//! It parses the fields that it needs into structs that borrow from the line. It flushes its ops once it has used up what a
//! read returned, so that the ops of many lines are one write.

use crate::Result;
use crate::meter::ThroughputMeter;
use relayline_bench::reports::{Throughput, WINDOW};
use relayline_bench::requests::op_fields;
use serde::Deserialize;
use std::borrow::Cow;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

/// Size of the buffers of stdin and of stdout: a pipe holds no more.
const BUFFER: usize = 64 << 10;

/// Line of the bridge, with the fields that this agent needs.
#[derive(Deserialize)]
struct AgentLine<'a> {
    event: &'a str,
    delivery: Option<u64>,
    #[serde(borrow)]
    message: Option<ChatMessage<'a>>,
    id: Option<u64>,
    ok: Option<bool>,
}

#[derive(Deserialize)]
struct ChatMessage<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// Pipes of the agent.
struct Bridge<R, W: Write> {
    lines: BufReader<R>,
    ops: BufWriter<W>,
}

/// Receives and acknowledges messages, and measures `count` of them.
pub(crate) fn receive(count: u64) -> Result<Throughput> {
    let mut meter = ThroughputMeter::new(count);
    stdio().serve(|line, ops| {
        let (Some(delivery), Some(message)) = (line.delivery, line.message) else { return Ok(None) };
        writeln!(ops, r#"{{"op":"ack","delivery":{delivery}}}"#)?;
        black_box(message.text);
        meter.count()
    })
}

/// Sends messages, of which a window is in flight, and measures `count` of them.
pub(crate) fn request(count: u64) -> Result<Throughput> {
    let mut meter = ThroughputMeter::new(count);
    let fields = op_fields();
    let (mut sent, mut is_started) = (0, false);
    stdio().serve(|line, ops| {
        let mut send = || {
            sent += 1;
            writeln!(ops, r#"{{"op":"send","id":{sent},{fields}}}"#)
        };
        match line.event {
            "connected" if !is_started => {
                is_started = true;
                (0..WINDOW).try_for_each(|_| send())?;
                Ok(None)
            }
            "result" => {
                if line.ok != Some(true) {
                    return Err(format!("op {:?} has failed", line.id).into());
                }
                send()?;
                meter.count()
            }
            _ => Ok(None),
        }
    })
}

fn stdio() -> Bridge<io::StdinLock<'static>, io::StdoutLock<'static>> {
    let lines = BufReader::with_capacity(BUFFER, io::stdin().lock());
    Bridge { lines, ops: BufWriter::with_capacity(BUFFER, io::stdout().lock()) }
}

impl<R: io::Read, W: Write> Bridge<R, W> {
    /// Passes each line to `handle` until that returns a value.
    ///
    /// # Errors
    /// The bridge ends, or its connection does: then the process that measures has ended, too.
    fn serve<T>(
        mut self,
        mut handle: impl FnMut(AgentLine<'_>, &mut BufWriter<W>) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut line = Vec::new();
        while self.lines.read_until(b'\n', &mut line)? > 0 {
            let explain =
                |problem: &dyn std::fmt::Display| format!("{problem}: {}", String::from_utf8_lossy(&line));
            let parsed: AgentLine<'_> = serde_json::from_slice(&line).map_err(|error| explain(&error))?;
            if let "disconnected" | "invalid" | "dead_letter" | "fatal" = parsed.event {
                return Err(explain(&"the bridge reports a failure").into());
            }
            if let Some(value) = handle(parsed, &mut self.ops)? {
                return Ok(value);
            }
            line.clear();
            if !self.lines.buffer().contains(&b'\n') {
                self.ops.flush()?;
            }
        }
        Err("the bridge ended before the last line".into())
    }
}
