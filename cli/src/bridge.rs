//! The bridge: what an agent in any language reads and writes, a JSON object a line.

mod input;
mod line;
mod op;

use crate::gateway::RuntimeName;
use crate::signals::Shutdown;
use futures_channel::mpsc;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use input::FromAgent;
use line::Line;
use relayline_core::command::{Command, Failure};
use relayline_core::config::Config;
use relayline_core::output::{Fatal, Notice};
use relayline_core::passthrough::Forward;
use relayline_runtime::{Delivery, Inbox, Incoming, Relay};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an agent writes, and where it reads.
pub(crate) struct Agent {
    pub(crate) from: Box<dyn Read + Send>,
    pub(crate) to: Box<dyn Write + Send>,
}

#[derive(Debug)]
pub(crate) struct Options {
    /// Take buffered deliveries once their line is written.
    pub(crate) auto_ack: bool,
    /// Where the metrics page is asked for.
    pub(crate) metrics: Option<TcpListener>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The agent's output ended, or it asked to.
    Done,
    /// The gateway was revoked (L-10).
    Disabled(Fatal),
}

/// Lines from the agent that may wait; beyond that it is read no further.
const MOST_WAITING: usize = 1024;

/// Runs a gateway for an agent until its output ends, or until it is asked to stop.
pub(crate) fn run(
    runtime: RuntimeName,
    config: Config,
    agent: Agent,
    options: Options,
    shutdown: Shutdown,
) -> io::Result<End> {
    let Options { auto_ack, metrics } = options;
    runtime.host(config, |relay, inbox| async move {
        if let Some(listener) = metrics {
            runtime.serve_metrics(&relay, listener)?;
        }
        let held = Held::default();
        let (sender, from_agent) = mpsc::channel(MOST_WAITING);
        input::start(agent.from, relay.clone(), held.clone(), sender)?;
        let to = Output { to: BufWriter::new(agent.to), open: true };
        Ok(Bridge { relay, held, auto_ack, to, pending: FuturesUnordered::new(), leaving: false }
            .serve(inbox, from_agent, shutdown)
            .await)
    })?
}

/// A delivery that the agent has not settled.
enum Owed {
    Event(Delivery),
    Forward(Delivery<Forward>),
}

impl Owed {
    fn settle(self, taken: bool) {
        match (self, taken) {
            (Owed::Event(delivery), true) => delivery.ack(),
            (Owed::Event(delivery), false) => delivery.refuse(),
            (Owed::Forward(delivery), true) => delivery.ack(),
            (Owed::Forward(delivery), false) => delivery.refuse(),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Owed::Event(delivery) => delivery.id().number(),
            Owed::Forward(delivery) => delivery.id().number(),
        }
    }

    fn is_buffered(&self) -> bool {
        match self {
            Owed::Event(delivery) => delivery.is_buffered(),
            Owed::Forward(delivery) => delivery.is_buffered(),
        }
    }
}

/// Buffered deliveries that are the agent's to settle, by number. The machine bounds how many there can be.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<(BTreeMap<u64, Owed>, u64)>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, (BTreeMap<u64, Owed>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, number: u64) {
        self.lock().1 = number;
    }

    fn keep(&self, owed: Owed) {
        self.lock().0.insert(owed.number(), owed);
    }

    /// The delivery of that number; `Ok(None)` when it is settled already, an error when there never was one.
    fn take(&self, number: u64) -> Result<Option<Owed>, String> {
        let mut held = self.lock();
        if number == 0 || number > held.1 {
            return Err(format!("there was no delivery {number} yet"));
        }
        Ok(held.0.remove(&number))
    }
}

/// A request's answer, and the id that the agent gave it; without one nobody is told.
type Answer = BoxFuture<'static, (Option<Value>, Result<Value, Failure>)>;

struct Bridge {
    relay: Relay,
    held: Held,
    auto_ack: bool,
    to: Output,
    pending: FuturesUnordered<Answer>,
    leaving: bool,
}

impl Bridge {
    async fn serve(
        mut self,
        mut inbox: Inbox,
        mut from_agent: mpsc::Receiver<FromAgent>,
        shutdown: Shutdown,
    ) -> End {
        let mut end = End::Done;
        let mut stop = shutdown.triggered().boxed().fuse();
        loop {
            futures_util::select! {
                incoming = inbox.next() => {
                    // Results go ahead of what has come after them.
                    self.catch_up(&mut from_agent);
                    match incoming {
                        Some(Incoming::Fatal(fatal)) => end = End::Disabled(fatal),
                        Some(incoming) => self.tell(incoming),
                        None => break,
                    }
                },
                _ = stop => self.leave(None),
                said = from_agent.select_next_some() => self.heard(said),
                (id, result) = self.pending.select_next_some() => self.answered(id, result),
            }
            if !self.to.open {
                // Nobody reads any more: what is buffered stays with the connector.
                self.leave(None);
            }
        }
        // It is over, so all that was asked has its answer, or gets it now.
        while let Some((id, result)) = self.pending.next().await {
            self.answered(id, result);
        }
        // Once and last (L-10): behind the results of all that failed with it.
        if let End::Disabled(fatal) = &end {
            self.to.write(&Line::fatal(fatal));
        }
        tracing::debug!(stats = ?self.relay.stats(), "ended");
        end
    }

    /// Hears what the agent has said, and gives the answers that are there.
    fn catch_up(&mut self, from_agent: &mut mpsc::Receiver<FromAgent>) {
        // It may go on talking meanwhile: that waits.
        for _ in 0..MOST_WAITING {
            let Ok(said) = from_agent.try_recv() else { break };
            self.heard(said);
        }
        while let Some(Some((id, result))) = self.pending.next().now_or_never() {
            self.answered(id, result);
        }
    }

    fn tell(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Message(delivery) => {
                let session_key = delivery.session_key();
                let line = Line::Message {
                    delivery: delivery.id().number(),
                    buffered: delivery.is_buffered(),
                    session_key: &session_key,
                    message: delivery.message(),
                };
                let text = line.text();
                self.deliver(Owed::Event(delivery), &text);
            }
            Incoming::PromptAnswer(delivery) => {
                let (prompt_id, option_id) = line::choice(delivery.message());
                let line = Line::PromptAnswer {
                    delivery: delivery.id().number(),
                    buffered: delivery.is_buffered(),
                    prompt_id,
                    option_id,
                    source: delivery.message().source(),
                };
                let text = line.text();
                self.deliver(Owed::Event(delivery), &text);
            }
            Incoming::Forward(delivery) => {
                let line = Line::Passthrough {
                    delivery: delivery.id().number(),
                    buffered: delivery.is_buffered(),
                    forward: delivery.forward(),
                };
                let text = line.text();
                self.deliver(Owed::Forward(delivery), &text);
            }
            Incoming::Interrupt { session_key, chat_id } => {
                self.to.write(&Line::Interrupt { session_key: &session_key, chat_id: &chat_id });
            }
            Incoming::Notice(notice) => self.notice(&notice),
            // Only the end itself, which is told last. The bridge is of one version with the runtime: there is
            // nothing else yet.
            _ => {}
        }
    }

    fn deliver(&mut self, owed: Owed, line: &str) {
        // The agent may settle it as soon as it can read it: so it is known before it is written.
        self.held.saw(owed.number());
        if owed.is_buffered() && !self.auto_ack {
            self.held.keep(owed);
            self.to.write_text(line);
        } else {
            let taken = self.to.write_text(line);
            owed.settle(taken);
        }
    }

    fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Connected { .. } | Notice::Platform { .. } => {
                let descriptors = self.relay.descriptors();
                if let Some(line) = Line::connected(&descriptors) {
                    self.to.write(&line);
                }
            }
            Notice::Disconnected { code, reason, retry_in } => self.to.write(&Line::Disconnected {
                code: *code,
                reason,
                retry_in_ms: retry_in.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
            }),
            Notice::DeadLetter { reason, buffer_id, line } => {
                self.to.write(&Line::DeadLetter { reason, buffer_id: buffer_id.as_deref(), line });
            }
            Notice::StalePrompt { answer } => {
                let (prompt_id, option_id) = line::choice(answer);
                self.to.write(&Line::StalePrompt { prompt_id, option_id, source: answer.source() });
            }
            // `disconnected` and the results have said it.
            Notice::Dormant { .. } | Notice::Resumed | Notice::Stopped => {}
            _ => {}
        }
    }

    fn heard(&mut self, said: FromAgent) {
        match said {
            FromAgent::Asked(answer) => self.pending.push(answer),
            FromAgent::Invalid { line, message } => {
                self.to.write(&Line::Invalid { line: &line, message: &message })
            }
            FromAgent::Disconnect(id) => self.leave(Some(id)),
            FromAgent::End => self.leave(None),
        }
    }

    /// Begins the graceful end (L-14); `ask` is the id of the op that wants its result.
    fn leave(&mut self, ask: Option<Option<Value>>) {
        if self.leaving && ask.is_none() {
            return;
        }
        self.leaving = true;
        let id = ask.flatten();
        match self.relay.submit(Command::Disconnect) {
            Ok(answer) => self.pending.push(Box::pin(async move {
                (id, answer.await.map(|_| Value::Object(serde_json::Map::new())))
            })),
            Err(refused) => self.answered(id, Err(refused.into_parts().1)),
        }
    }

    fn answered(&mut self, id: Option<Value>, result: Result<Value, Failure>) {
        match id {
            Some(id) => self.to.write(&Line::result(&id, &result)),
            None => {
                if let Err(failure) = result {
                    tracing::warn!(kind = failure.kind.name(), why = failure.message, "failed");
                }
            }
        }
    }
}

/// The agent's reading end. Once it is closed, nothing is written any more.
struct Output {
    to: BufWriter<Box<dyn Write + Send>>,
    open: bool,
}

impl Output {
    fn write(&mut self, line: &Line<'_>) {
        self.write_text(&line.text());
    }

    /// Writes a line and flushes it: whether the agent can read it now.
    fn write_text(&mut self, line: &str) -> bool {
        let written = self.open && writeln!(self.to, "{line}").and_then(|()| self.to.flush()).is_ok();
        self.open = written;
        written
    }
}
