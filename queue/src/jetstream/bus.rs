//! Frames between the leader and its workers, on subjects that no stream stores.
//!
//! The bus may lose frames: the machines of [`fleet`](crate::fleet) send them again.

use super::connection::connect;
use super::error::JetStreamError;
use super::location::NatsUrl;
use super::names::Names;
use async_nats::Client;
use async_nats::connection::State;
use futures_util::StreamExt;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Maximum time for the last frames.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// Destination of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FleetSubject<'n> {
    /// The gateway that leads.
    Leader,
    /// One worker.
    Worker(&'n str),
    /// All workers.
    Workers,
}

impl FleetSubject<'_> {
    /// Returns the subject of a queue.
    fn of(self, names: &Names) -> String {
        match self {
            FleetSubject::Leader => names.fleet("leader"),
            FleetSubject::Worker(worker) => names.fleet(&format!("worker.{worker}")),
            FleetSubject::Workers => names.fleet("workers"),
        }
    }
}

/// State of a bus's connection to the servers. Clones share it, and none keeps the bus alive.
#[derive(Clone, Debug)]
pub struct FleetConnection(Client);

impl FleetConnection {
    /// Returns true while there is a connection.
    pub fn is_open(&self) -> bool {
        self.0.connection_state() == State::Connected
    }

    /// Returns the number of connections so far.
    pub fn connects(&self) -> u64 {
        self.0.statistics().connects.load(Ordering::Relaxed)
    }
}

/// Connection of a leader or of a worker. One thread has it.
#[derive(Debug)]
pub struct FleetBus {
    names: Names,
    /// `None` once the thread is asked to end. The machines bound what is in flight.
    frames: Option<UnboundedSender<(String, Vec<u8>)>>,
    thread: Option<JoinHandle<()>>,
    connection: FleetConnection,
}

impl FleetBus {
    /// Connects a leader. `on_frame` is called on the thread of the connection, with each frame of a worker.
    ///
    /// # Errors
    /// No server answers, or it refuses the credentials.
    pub fn leader(
        url: &NatsUrl,
        gateway_id: &str,
        on_frame: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<FleetBus, JetStreamError> {
        FleetBus::start(url, gateway_id, &[FleetSubject::Leader], on_frame)
    }

    /// Connects a worker. `on_frame` is called on the thread of the connection, with each frame for it.
    ///
    /// # Errors
    /// No server answers, or it refuses the credentials.
    pub fn worker(
        url: &NatsUrl,
        gateway_id: &str,
        worker: &str,
        on_frame: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<FleetBus, JetStreamError> {
        let subjects = [FleetSubject::Workers, FleetSubject::Worker(worker)];
        FleetBus::start(url, gateway_id, &subjects, on_frame)
    }

    fn start(
        url: &NatsUrl,
        gateway_id: &str,
        subjects: &[FleetSubject<'_>],
        on_frame: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<FleetBus, JetStreamError> {
        let names = Names::new(url.prefix(), gateway_id).ok_or(JetStreamError::IdTooLong)?;
        let subjects = subjects.iter().map(|subject| subject.of(&names)).collect();
        let url = url.clone();
        let (frames, receiver) = unbounded_channel();
        let (ready, is_ready) = mpsc::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(serve(&url, subjects, receiver, on_frame, &ready));
            runtime.shutdown_background();
        };
        let thread = Builder::new().name("relayline-fleet".to_owned()).spawn(run)?;
        let client = is_ready.recv().map_err(|_| JetStreamError::Ended)??;
        let connection = FleetConnection(client);
        Ok(FleetBus { names, frames: Some(frames), thread: Some(thread), connection })
    }

    /// Returns the state of the connection.
    pub fn connection(&self) -> &FleetConnection {
        &self.connection
    }

    /// Publishes a frame. It is lost if there is no connection.
    pub fn publish(&self, to: FleetSubject<'_>, frame: Vec<u8>) {
        if let Some(frames) = &self.frames {
            // It fails once the thread has ended.
            let _ = frames.send((to.of(&self.names), frame));
        }
    }
}

impl Drop for FleetBus {
    /// Waits until what was published is written.
    fn drop(&mut self) {
        self.frames = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

async fn serve(
    url: &NatsUrl,
    subjects: Vec<String>,
    mut frames: UnboundedReceiver<(String, Vec<u8>)>,
    mut on_frame: impl FnMut(&[u8]),
    ready: &mpsc::Sender<Result<Client, JetStreamError>>,
) {
    let connected = async {
        let (client, _) = connect(url).await?;
        let mut subscriptions = Vec::new();
        for subject in subjects {
            let subscribed = client.subscribe(subject).await;
            subscriptions.push(subscribed.map_err(|error| std::io::Error::other(error.to_string()))?);
        }
        Ok((client, futures_util::stream::select_all(subscriptions)))
    };
    let (client, mut incoming) = match connected.await {
        Ok(connected) => connected,
        Err(error) => {
            // The caller waits for it.
            let _ = ready.send(Err(error));
            return;
        }
    };
    // The caller waits for it.
    let _ = ready.send(Ok(client.clone()));
    loop {
        tokio::select! {
            frame = incoming.next() => match frame {
                Some(message) => on_frame(&message.payload),
                None => return,
            },
            published = frames.recv() => match published {
                Some((subject, frame)) => {
                    // It fails once the client is closed, which is at the end.
                    let _ = client.publish(subject, frame.into()).await;
                }
                None => {
                    let _ = tokio::time::timeout(FLUSH_WITHIN, client.flush()).await;
                    return;
                }
            },
        }
    }
}
