//! State of one gateway that may connect: its account, its buffer, and the behavior that instructions set.

use crate::account::Account;
use crate::buffer::Buffer;
use crate::values::ConnId;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A gateway that may connect.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Secrets and keys.
    pub(crate) account: Account,
    /// Newest connection; `None` once that has ended.
    pub(crate) conn: Option<ConnId>,
    /// Entries that wait for their acknowledgement.
    pub(crate) buffer: Buffer,
    /// True if every dial is refused.
    pub(crate) is_revoked: bool,
    /// True if its idleness was confirmed and no handshake has followed (L-12).
    pub(crate) is_idle: bool,
    /// True if the next dial is refused as expired.
    pub(crate) is_next_dial_expired: bool,
    /// True if upgrades are accepted and nothing is sent.
    pub(crate) is_muted: bool,
    /// True if `going_idle` is not confirmed.
    pub(crate) withholds_idle_ack: bool,
    /// Scripted results, by op.
    pub(crate) answers: BTreeMap<String, Value>,
    /// Scripted delays by op, in milliseconds.
    pub(crate) delays: BTreeMap<String, u64>,
    /// Scripted descriptors, by platform.
    pub(crate) descriptors: BTreeMap<String, Map<String, Value>>,
}

impl Gateway {
    /// Creates a gateway that is not connected, with an empty buffer.
    pub(crate) fn new(account: Account) -> Self {
        Gateway {
            account,
            conn: None,
            buffer: Buffer::default(),
            is_revoked: false,
            is_idle: false,
            is_next_dial_expired: false,
            is_muted: false,
            withholds_idle_ack: false,
            answers: BTreeMap::new(),
            delays: BTreeMap::new(),
            descriptors: BTreeMap::new(),
        }
    }

    /// Returns the part that outlives a crash of the connector: account, buffer, revocation and idleness.
    pub(crate) fn after_crash(self) -> Self {
        let Gateway { buffer, is_revoked, is_idle, .. } = self;
        Gateway { buffer, is_revoked, is_idle, ..Gateway::new(self.account) }
    }
}
