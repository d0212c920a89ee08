//! The leader's key, which expires unless it is renewed. It hints when another gateway may try to lead; the journal
//! decides who does.

use super::engine::Engine;
use super::error::{Failure, JetStreamError, fault, publish_failure};
use super::lease::Lease;
use crate::clock;
use crate::store::events::Events;
use crate::store::{Leadership, StoreFault};
use async_nats::jetstream::message::PublishMessage;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Time after which the servers remove a key that is not renewed. It is longer than the lease, by the time that the
/// gateway needs to close its connection.
const KEY_TTL: Duration = Duration::from_secs(10);

/// Time between two renewals.
const RENEWAL: Duration = Duration::from_secs(2);

/// Maximum time from a failed renewal to the next one.
const RETRY: Duration = Duration::from_millis(500);

/// Interval of looks for the key of another leader.
const LOOK: Duration = Duration::from_secs(1);

/// Maximum time for the end of the leadership.
const RELEASE: Duration = Duration::from_secs(1);

/// Content of the key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Key {
    /// Random name of the leader's store.
    token: String,
    /// Name of its process, for people.
    owner: String,
}

/// The key as this process has it.
#[derive(Debug)]
pub(super) struct Leader {
    engine: Rc<Engine>,
    key: Key,
    /// Sequence of the last renewal that was confirmed.
    sequence: Cell<u64>,
    pub(super) lease: Lease,
    events: Events,
}

impl Leader {
    pub(super) fn new(engine: Rc<Engine>, owner: String, lease: Lease, events: Events) -> Leader {
        let key = Key { token: engine.link.token.clone(), owner };
        Leader { engine, key, sequence: Cell::new(0), lease, events }
    }

    /// Writes the key, if its last message has a sequence; 0 is none.
    async fn write(&self, after: u64) -> Result<(), Failure> {
        let sent = clock::elapsed();
        // All keys are strings, so that writing to memory does not fail.
        let payload = serde_json::to_vec(&self.key).unwrap_or_default();
        let message = PublishMessage::build().payload(payload.into()).ttl(KEY_TTL);
        let message = message.expected_last_subject_sequence(after);
        let failed = |error| publish_failure("write the leader's key", &error);
        let ack = self.engine.link.context.send_publish(self.engine.names.leader(), message).await;
        let ack = ack.map_err(failed)?.await.map_err(failed)?;
        self.sequence.set(ack.sequence);
        if self.lease.renew(sent) {
            self.events.wake();
        }
        Ok(())
    }

    /// Returns the key and its sequence, if there is one.
    async fn read(engine: &Engine) -> Result<Option<(u64, Key)>, StoreFault> {
        let message = engine.link.last_of(&engine.names.keyed_stream(), &engine.names.leader()).await?;
        Ok(message
            .and_then(|message| Some((message.sequence, serde_json::from_slice(&message.payload).ok()?))))
    }

    /// Returns the name of the process that leads, if one does.
    pub(super) async fn owner(engine: &Engine) -> Result<Option<String>, StoreFault> {
        Ok(Leader::read(engine).await?.map(|(_, key)| key.owner))
    }

    /// Writes the key once no other process has it. Without `is_standby` it returns an error when it sees that the other
    /// one is alive.
    pub(super) async fn acquire(&self, is_standby: bool) -> Result<(), JetStreamError> {
        let link = &self.engine.link;
        let released = link.context.client().subscribe(self.engine.names.released()).await;
        let mut released = released.map_err(|error| fault("wait for the leader", &error))?;
        let mut seen = None;
        loop {
            match self.write(0).await {
                Ok(()) => return Ok(()),
                Err(Failure::Conflict) => {}
                // A gateway that waits outlives a restart of the servers.
                Err(Failure::Fault(fault)) if is_standby => {
                    tracing::warn!(why = %fault, "queue_store_failed");
                    sleep(LOOK).await;
                    continue;
                }
                Err(Failure::Fault(fault)) => return Err(fault.into()),
            }
            if let Ok(Some((sequence, key))) = Leader::read(&self.engine).await {
                if key == self.key {
                    // The confirmation did not come.
                    self.sequence.set(sequence);
                    if self.write(sequence).await.is_ok() {
                        return Ok(());
                    }
                    continue;
                }
                if !is_standby && seen.is_some_and(|seen| seen != sequence) {
                    let servers = link.context.client().server_info().server_name;
                    return Err(JetStreamError::InUse { servers, owner: key.owner });
                }
                match seen {
                    None if is_standby => tracing::info!(owner = key.owner, "standby"),
                    None => tracing::info!(owner = key.owner, "queue_in_use"),
                    Some(_) => {}
                }
                seen = Some(sequence);
            }
            let _ = timeout(LOOK, released.next()).await;
        }
    }

    /// Renews the key until the leadership is lost.
    pub(super) async fn keep(&self) {
        let mut wait = RENEWAL;
        loop {
            // A doubt is settled at once.
            let _ = timeout(wait, self.lease.doubted()).await;
            match self.renew().await {
                Ok(()) => wait = RENEWAL,
                Err(Failure::Conflict) => {
                    tracing::warn!("queue_leader_changed");
                    wait = RETRY;
                }
                Err(Failure::Fault(fault)) => {
                    tracing::debug!(why = %fault, "queue_lease_not_renewed");
                    wait = RETRY;
                }
            }
            if self.lease.leadership() == Leadership::Lost {
                self.events.wake();
                return;
            }
        }
    }

    /// Renews the key. If it has expired meanwhile, another process may have led.
    async fn renew(&self) -> Result<(), Failure> {
        if self.lease.is_doubted() || !self.lease.is_held() {
            let is_lost = self.settle_doubt().await?;
            self.events.wake();
            if is_lost {
                return Ok(());
            }
        }
        match self.write(self.sequence.get()).await {
            Err(Failure::Conflict) => {}
            done => return done,
        }
        match Leader::read(&self.engine).await? {
            // The confirmation of a renewal did not come.
            Some((sequence, key)) if key == self.key => {
                self.sequence.set(sequence);
                self.write(sequence).await
            }
            Some(_) => {
                // Another process is about to lead. If it does not, its key expires.
                self.settle_doubt().await?;
                Err(Failure::Conflict)
            }
            None if self.settle_doubt().await? => Ok(()),
            None => self.write(0).await,
        }
    }

    /// Asks the servers whether another process has led since, and notes the answer. Returns true if one has.
    async fn settle_doubt(&self) -> Result<bool, StoreFault> {
        let doubts = self.lease.doubts();
        let is_lost = self.engine.is_superseded().await?;
        self.lease.settle(doubts, is_lost);
        Ok(is_lost)
    }

    /// Removes the key, and tells those that wait.
    pub(super) async fn release(&self) {
        if !self.lease.is_held() {
            return;
        }
        let engine = &self.engine;
        let end = async {
            let _ = engine.link.remove(&engine.names.keyed_stream(), &[self.sequence.get()]).await;
            let client = engine.link.context.client();
            let _ = client.publish(engine.names.released(), bytes::Bytes::new()).await;
            let _ = client.flush().await;
        };
        // Without it, those that wait see the key expire.
        let _ = timeout(RELEASE, end).await;
    }

    /// Takes requests of operators, and passes them on.
    pub(super) async fn take_requests(&self, replies: &super::requests::Replies) {
        loop {
            let client = self.engine.link.context.client();
            if let Ok(mut requests) = client.subscribe(self.engine.names.requests()).await {
                while let Some(message) = requests.next().await {
                    if let Some((id, request)) = replies.take(&client, message).await {
                        self.events.request(id, request);
                    }
                }
            }
            sleep(LOOK).await;
        }
    }
}
