//! Queue on servers of NATS with JetStream, for more than one machine.
//!
//! [`JetStreamQueue`] is the connection of one process: it [acquires](JetStreamQueue::acquire) the right to lead, and is
//! then a [`JetStreamStore`]; or it reads the queue and sends requests to the process that leads.
//!
//! A confirmation means that a majority of the replicas has the message, not that it is on their disks: the servers sync
//! every two minutes unless they are configured with `sync_interval: always`.
//!
//! # Streams
//!
//! Three streams have the queue of the gateway ID under the prefix PREFIX. All have file storage, retention by limits, and
//! refuse messages when they are full.
//!
//! | stream | subjects | messages |
//! |---|---|---|
//! | `PREFIX_ID_in` | `PREFIX.ID.in`, `PREFIX.ID.in.barrier` | entries, with their heads as headers; barriers between leaders |
//! | `PREFIX_ID_log` | `PREFIX.ID.log` | the journal: the sequence of a record is its place |
//! | `PREFIX_ID_kv` | `PREFIX.ID.kv.>` | what has no number: pieces of snapshots, parts of what is too large for a message, and the leader's key, which expires |
//!
//! Bytes of the id other than letters, digits and hyphens are an underscore and two hexadecimal digits. Two more subjects
//! are in no stream: requests of operators on `PREFIX.ID.request`, and `PREFIX.ID.released`, by which a leader that hands
//! over wakes those that wait.
//! Nor are those of workers: `PREFIX.ID.fleet.leader`, `PREFIX.ID.fleet.workers` and `PREFIX.ID.fleet.worker.NAME`.

mod bus;
mod connection;
mod engine;
mod error;
mod leader;
mod lease;
mod link;
mod location;
mod messages;
mod names;
mod requests;
mod status;
mod streams;
mod worker;

pub use bus::{FleetBus, FleetConnection, FleetSubject};
pub use error::JetStreamError;
pub use location::NatsUrl;
pub use status::StreamStatus;

use crate::config::QueueLimits;
use crate::encoding::Bytes;
use crate::id::{CommandId, EntryId, RequestId};
use crate::ledger::Ledger;
use crate::output::{OperatorRequest, RequestRefused};
use crate::store::{Leadership, Store, StoreAnswer, StoreCommand};
use data_encoding::HEXLOWER;
use leader::Leader;
use names::Names;
use std::task::{Context, Poll};
use worker::{Settings, Worker};

/// Connection of a process to the queue of a gateway. One thread has it.
#[derive(Debug)]
pub struct JetStreamQueue {
    worker: Worker,
    url: NatsUrl,
    names: Names,
}

impl JetStreamQueue {
    /// Connects to the first server that answers. It blocks the thread for some seconds at most.
    ///
    /// `owner` is the name of this process for people, such as `host/17`.
    ///
    /// # Errors
    /// No server answers, it refuses the credentials, it is older than 2.12, or JetStream is off.
    pub fn connect(url: &NatsUrl, gateway_id: &str, owner: &str) -> Result<JetStreamQueue, JetStreamError> {
        let names = Names::new(url.prefix(), gateway_id).ok_or(JetStreamError::IdTooLong)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
        let settings = Settings {
            url: url.clone(),
            names: names.clone(),
            owner: owner.to_owned(),
            token: HEXLOWER.encode(&random),
        };
        Ok(JetStreamQueue { worker: Worker::start(settings)?, url: url.clone(), names })
    }

    /// Creates the streams that are missing, and checks those that exist.
    ///
    /// # Errors
    /// A stream cannot be created, or an existing one would lose what is stored.
    pub fn prepare(&self) -> Result<(), JetStreamError> {
        let (url, names) = (self.url.clone(), self.names.clone());
        self.worker
            .call(|engine| Box::pin(async move { streams::ensure(&engine.link.context, &names, &url).await }))
    }

    /// Waits until this process may lead. With `is_standby` it waits for as long as another one does. Drop the future to
    /// stop waiting.
    ///
    /// # Errors
    /// Another process leads, or the servers fail.
    pub async fn acquire(&self, is_standby: bool) -> Result<(), JetStreamError> {
        self.worker.acquire(is_standby).await
    }

    /// Returns the store of this process, once it has [acquired](Self::acquire) the right to lead.
    pub fn into_store(self) -> JetStreamStore {
        JetStreamStore { worker: self.worker }
    }

    /// Returns the name of the process that leads, if one does.
    ///
    /// # Errors
    /// The servers fail.
    pub fn owner(&self) -> Result<Option<String>, JetStreamError> {
        self.worker.call(|engine| Box::pin(async move { Ok(Leader::owner(&engine).await?) }))
    }

    /// Returns the state of each stream.
    ///
    /// # Errors
    /// [`JetStreamError::Missing`] if there is no such queue.
    pub fn streams(&self) -> Result<Vec<StreamStatus>, JetStreamError> {
        let (url, names) = (self.url.clone(), self.names.clone());
        self.worker
            .call(|engine| Box::pin(async move { status::streams(&engine.link.context, &names, &url).await }))
    }

    /// Reads the state of the queue. The process that leads is not disturbed.
    ///
    /// # Errors
    /// The servers fail, the content cannot be read, or it changes too fast.
    pub fn ledger(&self, limits: &QueueLimits) -> Result<Ledger, JetStreamError> {
        let limits = limits.clone();
        self.worker.call(move |engine| Box::pin(async move { engine.ledger(&limits).await }))
    }

    /// Reads the body of an entry: texts of people. `None` if there is no such entry.
    ///
    /// # Errors
    /// The servers fail.
    pub fn body(&self, id: EntryId) -> Result<Option<Bytes>, JetStreamError> {
        self.worker.call(move |engine| Box::pin(async move { Ok(engine.body(id).await?) }))
    }

    /// Sends a request to the process that leads, and waits for its result.
    ///
    /// # Errors
    /// [`JetStreamError::NoLeader`] if none leads. It does not answer, or does not know the request.
    pub fn request(&self, request: OperatorRequest) -> Result<Result<(), RequestRefused>, JetStreamError> {
        let names = self.names.clone();
        self.worker
            .call(move |engine| Box::pin(async move { requests::send(&engine.link, &names, request).await }))
    }

    /// Returns name and version of the connected server.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn server(&self) -> Result<(String, String), JetStreamError> {
        self.worker.call(|engine| {
            Box::pin(async move {
                let info = engine.link.context.client().server_info();
                Ok((info.server_name, info.version))
            })
        })
    }
}

/// Store on servers of NATS. Dropping it gives up the right to lead.
#[derive(Debug)]
pub struct JetStreamStore {
    worker: Worker,
}

impl Store for JetStreamStore {
    fn submit(&mut self, id: CommandId, command: StoreCommand) {
        self.worker.submit(id, command);
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(CommandId, StoreAnswer)> {
        self.worker.events.poll_answer(cx)
    }

    fn take_request(&mut self) -> Option<(RequestId, OperatorRequest)> {
        self.worker.events.take_request()
    }

    fn finish_request(&mut self, id: RequestId, result: Result<(), RequestRefused>) {
        self.worker.finish_request(id, result);
    }

    fn leadership(&self) -> Leadership {
        self.worker.lease.leadership()
    }

    fn check_leadership(&mut self) {
        self.worker.lease.doubt();
    }
}
