//! What the connector knows of one gateway, connected or not.

use super::buffer::Buffer;
use super::machine::Conn;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One gateway that may connect.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    /// Its newest connection, while that lives.
    pub(crate) conn: Option<Conn>,
    pub(crate) buffer: Buffer,
    pub(crate) revoked: bool,
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
    /// What is left of it when the connector has crashed: the durable buffer, and whether it may come in.
    pub(crate) fn after_crash(self) -> Self {
        Gateway { buffer: self.buffer, revoked: self.revoked, ..Gateway::default() }
    }
}
