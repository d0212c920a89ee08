//! The thread that talks to the servers. It has a runtime of its own, so that the gateway's may be any.

use super::connection::{check_account, connect};
use super::engine::Engine;
use super::error::JetStreamError;
use super::leader::Leader;
use super::lease::Lease;
use super::link::Link;
use super::location::NatsUrl;
use super::names::Names;
use super::requests::Replies;
use crate::id::{CommandId, RequestId};
use crate::output::RequestRefused;
use crate::store::StoreCommand;
use crate::store::events::{EndOfThread, Events};
use futures_channel::oneshot;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet, spawn_local};

/// Work of the thread on behalf of a caller.
type Call = Box<dyn FnOnce(Rc<Engine>) -> LocalBoxFuture<'static, ()> + Send>;

/// Job for the thread.
enum Job {
    Command(CommandId, StoreCommand),
    FinishRequest(RequestId, Result<(), RequestRefused>),
    Acquire { is_standby: bool, done: oneshot::Sender<Result<(), JetStreamError>> },
    Call(Call),
}

/// Settings of the thread.
pub(super) struct Settings {
    pub(super) url: NatsUrl,
    pub(super) names: Names,
    /// Name of this process, for people.
    pub(super) owner: String,
    /// Random name of the store.
    pub(super) token: String,
}

/// Handle of the thread.
#[derive(Debug)]
pub(super) struct Worker {
    /// `None` once the thread is asked to end.
    jobs: Option<UnboundedSender<Job>>,
    pub(super) events: Events,
    pub(super) lease: Lease,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread, and waits until it is connected.
    pub(super) fn start(settings: Settings) -> Result<Worker, JetStreamError> {
        let (jobs, receiver) = unbounded_channel();
        let (events, lease) = (Events::default(), Lease::default());
        let (ready, is_ready) = mpsc::channel();
        let end = EndOfThread(events.clone());
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (shared, held) = (events.clone(), lease.clone());
        let run = move || {
            let _end = end;
            let served = serve(settings, receiver, shared, held, &ready);
            LocalSet::new().block_on(&runtime, served);
            // What is still under way must not keep the process.
            runtime.shutdown_background();
        };
        let thread = Builder::new().name("relayline-queue".to_owned()).spawn(run)?;
        let worker = Worker { jobs: Some(jobs), events, lease, thread: Some(thread) };
        is_ready.recv().map_err(|_| JetStreamError::Ended)?.map(|()| worker)
    }

    fn send(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }

    pub(super) fn submit(&self, id: CommandId, command: StoreCommand) {
        if !self.send(Job::Command(id, command)) {
            self.events.refuse(id);
        }
    }

    pub(super) fn finish_request(&self, id: RequestId, result: Result<(), RequestRefused>) {
        // Without the thread nobody can be told: the sender of the request times out.
        let _ = self.send(Job::FinishRequest(id, result));
    }

    /// Waits until this process may lead. It is abandoned when the future is dropped.
    pub(super) async fn acquire(&self, is_standby: bool) -> Result<(), JetStreamError> {
        let (done, acquired) = oneshot::channel();
        self.send(Job::Acquire { is_standby, done });
        acquired.await.unwrap_or(Err(JetStreamError::Ended))
    }

    /// Carries out something on the thread, and waits for it.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(Rc<Engine>) -> LocalBoxFuture<'static, Result<T, JetStreamError>> + Send + 'static,
    ) -> Result<T, JetStreamError> {
        let (done, result) = mpsc::channel();
        self.send(Job::Call(Box::new(move |engine| {
            let work = work(engine);
            Box::pin(async move {
                // The caller may have ended.
                let _ = done.send(work.await);
            })
        })));
        result.recv().unwrap_or(Err(JetStreamError::Ended))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

async fn serve(
    settings: Settings,
    jobs: UnboundedReceiver<Job>,
    events: Events,
    lease: Lease,
    ready: &mpsc::Sender<Result<(), JetStreamError>>,
) {
    let Settings { url, names, owner, token } = settings;
    let connected = async {
        let (_, context) = connect(&url).await?;
        check_account(&context, &url).await?;
        Ok(context)
    };
    let context = match connected.await {
        Ok(context) => context,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let engine = Rc::new(Engine::new(Link::new(context, token), names));
    let leader = Rc::new(Leader::new(Rc::clone(&engine), owner, lease, events.clone()));
    carry_out(engine, Rc::clone(&leader), jobs, events).await;
    leader.release().await;
}

/// Carries out jobs until there are no more.
async fn carry_out(engine: Rc<Engine>, leader: Rc<Leader>, mut jobs: UnboundedReceiver<Job>, events: Events) {
    let replies = Rc::new(Replies::default());
    let mut write: Option<AbortHandle> = None;
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Command(id, command) => {
                let is_read = matches!(command, StoreCommand::ReadBody(_));
                let (engine, events) = (Rc::clone(&engine), events.clone());
                let task = spawn_local(async move { events.answer(id, engine.execute(command).await) });
                // The dispatcher does not wait for an earlier command any more. What of it is under way finds another
                // end of the stream than it expects.
                if !is_read && let Some(earlier) = write.replace(task.abort_handle()) {
                    earlier.abort();
                }
            }
            Job::FinishRequest(id, result) => {
                let (replies, client) = (Rc::clone(&replies), engine.link.context.client());
                spawn_local(async move { replies.finish(&client, id, result).await });
            }
            Job::Acquire { is_standby, mut done } => {
                let (leader, replies) = (Rc::clone(&leader), Rc::clone(&replies));
                spawn_local(async move {
                    let acquired = tokio::select! {
                        acquired = leader.acquire(is_standby) => acquired,
                        () = done.cancellation() => return,
                    };
                    let is_leader = acquired.is_ok();
                    let _ = done.send(acquired);
                    if is_leader {
                        tokio::join!(leader.keep(), leader.take_requests(&replies));
                    }
                });
            }
            Job::Call(call) => _ = spawn_local(call(Rc::clone(&engine))),
        }
    }
    if let Some(write) = write {
        write.abort();
    }
}
