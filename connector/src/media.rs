//! Uploaded files, bounded in time, number and bytes (H-7).

use crate::recent::Recent;
use bytes::Bytes;
use relayline_core::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Maximum number of remembered ids of removed files, which are answered 410.
const MAX_GONE: usize = 4096;

/// One file.
pub(crate) struct File {
    /// Gateway that has uploaded it, and may download it.
    pub(crate) gateway: String,
    pub(crate) content_type: String,
    pub(crate) name: Option<String>,
    pub(crate) content: Bytes,
    /// Time at which it expires.
    pub(crate) until: Time,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {} bytes of {})", self.content_type, self.content.len(), self.gateway)
    }
}

/// Result of looking up a file.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    File(&'a File),
    /// It has been removed.
    Gone,
    /// It never existed, or belongs to another gateway.
    Unknown,
}

/// The files. The oldest is removed first.
#[derive(Debug)]
pub(crate) struct Media {
    files: BTreeMap<String, File>,
    order: VecDeque<String>,
    bytes: usize,
    /// Id → gateway.
    gone: Recent<String, String>,
}

impl Media {
    pub(crate) fn new() -> Self {
        Media { files: BTreeMap::new(), order: VecDeque::new(), bytes: 0, gone: Recent::new(MAX_GONE) }
    }

    /// Adds a file. Returns the number of files removed for it, or `None` if it does not fit.
    pub(crate) fn insert(&mut self, id: String, file: File, files: usize, bytes: usize) -> Option<u64> {
        if file.content.len() > bytes || files == 0 {
            return None;
        }
        let mut evicted = 0;
        while self.order.len() >= files || self.bytes.saturating_add(file.content.len()) > bytes {
            self.forget_oldest();
            evicted += 1;
        }
        self.bytes += file.content.len();
        self.order.push_back(id.clone());
        self.files.insert(id, file);
        Some(evicted)
    }

    pub(crate) fn find(&self, id: &str, gateway: &str, now: Time) -> Lookup<'_> {
        match self.files.get(id) {
            Some(file) if file.gateway != gateway => Lookup::Unknown,
            Some(file) if now >= file.until => Lookup::Gone,
            Some(file) => Lookup::File(file),
            None if self.gone.get(&id.to_owned()).is_some_and(|owner| owner == gateway) => Lookup::Gone,
            None => Lookup::Unknown,
        }
    }

    /// Removes expired files.
    pub(crate) fn prune(&mut self, now: Time) {
        while self.deadline().is_some_and(|due| due <= now) {
            self.forget_oldest();
        }
    }

    /// Returns the time at which the next file expires: the oldest, since all are kept equally long.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.files.get(self.order.front()?).map(|file| file.until)
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.order.pop_front() else { return };
        if let Some(file) = self.files.remove(&id) {
            self.bytes -= file.content.len();
            self.gone.insert(id, file.gateway);
        }
    }
}
