//! Thread that lets a gateway sleep: passes events to the sleeper, and performs what it returns.

use super::gate::GateState;
use super::sleeper::{Link, SleepAction, Sleeper, Work};
use super::{ASLEEP, SleepOptions, command, wake};
use crate::bridge::Monitor;
use crate::signals::Shutdown;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, select};
use relayline_core::command::{Command, Reply};
use relayline_runtime::{ConnectionState, Relay, Watch};
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Starts the thread. It ends with the relay.
pub(super) fn start(
    options: SleepOptions,
    relay: Relay,
    monitor: Monitor,
    shutdown: Shutdown,
) -> io::Result<()> {
    let SleepOptions { after, listener, on_sleep, exits } = options;
    let gate = monitor.gate().clone();
    let task = SleepTask {
        sleeper: Sleeper::new(after),
        states: relay.watch(),
        relay,
        monitor,
        shutdown,
        on_sleep,
        exits,
        answer: None,
        command: None,
        timer: None,
    };
    let serve = move || {
        smol::block_on(async move {
            let server = async {
                if let Some(listener) = listener
                    && let Err(error) = wake::serve(listener, &gate).await
                {
                    tracing::error!(%error, "wake_server_failed");
                }
                pending::<()>().await;
            };
            select(pin!(task.run()), pin!(server)).await;
        });
    };
    std::thread::Builder::new().name("sleep".to_owned()).spawn(serve).map(drop)
}

/// Event of the task.
enum SleepEvent {
    /// The connection has changed; `None` if the relay has ended.
    Link(Option<ConnectionState>),
    /// A request to wake up.
    Wake,
    /// The connector has answered whether it buffers.
    Answer(bool),
    /// The command of `--on-sleep` has ended.
    CommandEnded(Result<(), String>),
    /// The timer has expired.
    Time,
}

struct SleepTask {
    sleeper: Sleeper,
    states: Watch,
    relay: Relay,
    monitor: Monitor,
    shutdown: Shutdown,
    on_sleep: Option<String>,
    exits: bool,
    answer: Option<BoxFuture<'static, bool>>,
    command: Option<BoxFuture<'static, Result<(), String>>>,
    timer: Option<(Instant, smol::Timer)>,
}

impl SleepTask {
    async fn run(mut self) {
        loop {
            self.set_timer();
            let event = poll_fn(|cx| self.poll_event(cx)).await;
            let now = Instant::now();
            let action = match event {
                SleepEvent::Link(None) => return,
                SleepEvent::Link(Some(state)) => {
                    self.sleeper.handle_link(now, Link::of(state.phase, state.next_dial.is_some()))
                }
                SleepEvent::Wake => self.sleeper.handle_wake(),
                SleepEvent::Answer(confirmed) => {
                    let work = self.work();
                    self.sleeper.handle_answer(now, confirmed, work)
                }
                SleepEvent::CommandEnded(ended) => {
                    if let Err(why) = ended {
                        tracing::warn!(why, "on_sleep_failed");
                    }
                    self.exit_if_asleep();
                    None
                }
                SleepEvent::Time => {
                    let work = self.work();
                    self.sleeper.handle_tick(now, work)
                }
            };
            if let Some(action) = action {
                self.perform(action);
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<SleepEvent> {
        if let Some(answer) = &mut self.answer
            && let Poll::Ready(confirmed) = answer.poll_unpin(cx)
        {
            self.answer = None;
            return Poll::Ready(SleepEvent::Answer(confirmed));
        }
        if let Poll::Ready(state) = self.states.poll_next_unpin(cx) {
            return Poll::Ready(SleepEvent::Link(state));
        }
        if self.monitor.gate().poll_wake(cx).is_ready() {
            return Poll::Ready(SleepEvent::Wake);
        }
        if let Some(command) = &mut self.command
            && let Poll::Ready(ended) = command.poll_unpin(cx)
        {
            self.command = None;
            return Poll::Ready(SleepEvent::CommandEnded(ended));
        }
        if self.timer.as_mut().is_some_and(|(_, timer)| timer.poll_unpin(cx).is_ready()) {
            self.timer = None;
            return Poll::Ready(SleepEvent::Time);
        }
        Poll::Pending
    }

    fn set_timer(&mut self) {
        match (self.sleeper.deadline(), &self.timer) {
            (None, _) => self.timer = None,
            (Some(due), Some((set, _))) if *set == due => {}
            (Some(due), _) => self.timer = Some((due, smol::Timer::at(due))),
        }
    }

    fn work(&self) -> Work {
        work(&self.relay, &self.monitor)
    }

    fn perform(&mut self, action: SleepAction) {
        match action {
            SleepAction::GoDormant => self.go_dormant(),
            SleepAction::Stay => {
                // The hold of the attempt ends.
                self.submit(Command::Hold(Duration::ZERO));
                *self.monitor.gate().lock() = GateState::Open;
            }
            SleepAction::Resume => {
                let gate = self.monitor.gate().clone();
                let mut state = gate.lock();
                if *state == GateState::Asleep {
                    *state = GateState::Waking;
                    tracing::info!("woken");
                }
                self.submit(Command::Resume);
            }
            SleepAction::Open => *self.monitor.gate().lock() = GateState::Open,
            SleepAction::Announce => {
                tracing::info!("asleep: this machine may be suspended");
                match self.on_sleep.clone() {
                    Some(on_sleep) => {
                        self.command = Some(smol::unblock(move || command::run(&on_sleep)).boxed());
                    }
                    None => self.exit_if_asleep(),
                }
            }
        }
    }

    /// Closes the gate, and asks the connector to buffer. An op that passed the gate before counts as work.
    fn go_dormant(&mut self) {
        let gate = self.monitor.gate().clone();
        let mut state = gate.lock();
        let is_held = !self.work().is_busy && self.submit(Command::Hold(Duration::MAX));
        let dormant = is_held.then(|| self.relay.submit(Command::GoDormant).ok()).flatten();
        self.answer = Some(match dormant {
            Some(answer) => {
                *state = GateState::Asleep;
                let is_confirmed = |reply| matches!(reply, Ok(Reply::Idle { confirmed: true }));
                async move { is_confirmed(answer.await) }.boxed()
            }
            None => async { false }.boxed(),
        });
    }

    /// Submits a command that completes at once. It is refused only while the relay ends.
    fn submit(&self, command: Command) -> bool {
        self.relay.submit(command).is_ok()
    }

    /// Ends the gateway if it sleeps and `--exit-on-sleep` is set.
    fn exit_if_asleep(&self) {
        if self.exits && self.sleeper.is_asleep() {
            self.shutdown.trigger(ASLEEP);
        }
    }
}

/// Returns the work of a gateway's host.
fn work(relay: &Relay, monitor: &Monitor) -> Work {
    let usage = relay.usage();
    let pending = [
        usage.waiting_events,
        usage.unsettled_deliveries,
        usage.unanswered_deliveries,
        usage.requests,
        usage.unwritten_acks,
        usage.streams,
        usage.turns,
    ];
    let is_busy = monitor.is_busy() || pending.iter().any(|count| *count > 0);
    Work { is_busy, idle_for: relay.idle_for() }
}
