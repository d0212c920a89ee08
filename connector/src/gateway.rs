//! What the connector knows of one gateway, connected or not.

use crate::account::Account;
use crate::buffer::Buffer;
use crate::values::ConnId;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One gateway that may connect.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) account: Account,
    /// Its newest connection, while that lives.
    pub(crate) conn: Option<ConnId>,
    pub(crate) buffer: Buffer,
    pub(crate) revoked: bool,
    /// Its idleness was confirmed, and it has done no handshake since (L-12).
    pub(crate) is_idle: bool,
    /// The next dial is to be refused as expired.
    pub(crate) expire_next_dial: bool,
    pub(crate) muted: bool,
    pub(crate) withholds_idle_ack: bool,
    /// By op.
    pub(crate) answers: BTreeMap<String, Value>,
    /// By op, in milliseconds.
    pub(crate) delays: BTreeMap<String, u64>,
    /// By platform.
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

    /// What is left of it when the connector has crashed: its account, the durable buffer, and whether it may come in and
    /// is idle.
    pub(crate) fn after_crash(self) -> Self {
        let Gateway { buffer, revoked, is_idle, .. } = self;
        Gateway { buffer, revoked, is_idle, ..Gateway::new(self.account) }
    }
}
