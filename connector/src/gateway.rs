//! A gateway, connected or not.

use crate::account::Account;
use crate::buffer::Buffer;
use crate::values::ConnId;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A gateway that may connect.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) account: Account,
    /// Its newest connection, until that ends.
    pub(crate) conn: Option<ConnId>,
    pub(crate) buffer: Buffer,
    pub(crate) revoked: bool,
    /// True if its idleness was confirmed and no handshake has followed (L-12).
    pub(crate) is_idle: bool,
    /// True if the next dial is refused as expired.
    pub(crate) expire_next_dial: bool,
    pub(crate) muted: bool,
    pub(crate) withholds_idle_ack: bool,
    /// Scripted results, by op.
    pub(crate) answers: BTreeMap<String, Value>,
    /// Scripted delays by op, in milliseconds.
    pub(crate) delays: BTreeMap<String, u64>,
    /// Scripted descriptors, by platform.
    pub(crate) descriptors: BTreeMap<String, Map<String, Value>>,
}

impl Gateway {
    pub(crate) fn new(account: Account) -> Self {
        Gateway {
            account,
            conn: None,
            buffer: Buffer::default(),
            revoked: false,
            is_idle: false,
            expire_next_dial: false,
            muted: false,
            withholds_idle_ack: false,
            answers: BTreeMap::new(),
            delays: BTreeMap::new(),
            descriptors: BTreeMap::new(),
        }
    }

    /// Returns the part that outlives a crash of the connector: account, buffer, revocation and idleness.
    pub(crate) fn after_crash(self) -> Self {
        let Gateway { buffer, revoked, is_idle, .. } = self;
        Gateway { buffer, revoked, is_idle, ..Gateway::new(self.account) }
    }
}
