//! Uploaded files, bounded in time, number and bytes (H-7).

use crate::recent::Recent;
use bytes::Bytes;
use relayline_core::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Maximum number of remembered ids of removed files, which are answered 410.
const MAX_GONE: usize = 4096;

/// Uploaded file.
pub(crate) struct File {
    /// Id of the gateway that uploaded the file. Only this gateway may download it.
    pub(crate) gateway: String,
    /// MIME type, as the gateway named it.
    pub(crate) content_type: String,
    /// File name, if the gateway named one.
    pub(crate) name: Option<String>,
    pub(crate) content: Bytes,
    /// Time at which the file expires.
    pub(crate) expires: Time,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {} bytes of {})", self.content_type, self.content.len(), self.gateway)
    }
}

/// Result of looking up a file.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    /// The file is there.
    File(&'a File),
    /// The file has expired, or was removed to make room.
    Gone,
    /// The gateway has uploaded no file with this id.
    Unknown,
}

/// Store of uploaded files. The oldest file is removed first.
#[derive(Debug)]
pub(crate) struct Media {
    /// Files by id.
    files: BTreeMap<String, File>,
    /// Ids of the files, the oldest first.
    order: VecDeque<String>,
    /// Size of all files.
    bytes: usize,
    /// Gateways of removed files, by id.
    gone: Recent<String, String>,
}

impl Media {
    pub(crate) fn new() -> Self {
        Media { files: BTreeMap::new(), order: VecDeque::new(), bytes: 0, gone: Recent::new(MAX_GONE) }
    }

    /// Adds a file, and removes the oldest ones until at most `max_files` of `max_bytes` in all are left. Returns the
    /// number of removed files, or `None` if the file does not fit at all.
    pub(crate) fn insert(
        &mut self,
        id: String,
        file: File,
        max_files: usize,
        max_bytes: usize,
    ) -> Option<u64> {
        let size = file.content.len();
        if size > max_bytes || max_files == 0 {
            return None;
        }
        let mut evicted = 0;
        while self.order.len() >= max_files || self.bytes.saturating_add(size) > max_bytes {
            self.remove_oldest();
            evicted += 1;
        }
        self.bytes += size;
        self.order.push_back(id.clone());
        self.files.insert(id, file);
        Some(evicted)
    }

    /// Looks up a file for a gateway.
    pub(crate) fn find(&self, id: &str, gateway: &str, now: Time) -> Lookup<'_> {
        match self.files.get(id) {
            Some(file) if file.gateway != gateway => Lookup::Unknown,
            Some(file) if now >= file.expires => Lookup::Gone,
            Some(file) => Lookup::File(file),
            None if self.gone.get(&id.to_owned()).is_some_and(|owner| owner == gateway) => Lookup::Gone,
            None => Lookup::Unknown,
        }
    }

    /// Removes expired files.
    pub(crate) fn prune(&mut self, now: Time) {
        while self.deadline().is_some_and(|due| due <= now) {
            self.remove_oldest();
        }
    }

    /// Returns the time at which the oldest file expires. All files are kept equally long, so it is the next to expire.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.files.get(self.order.front()?).map(|file| file.expires)
    }

    /// Removes the oldest file, and remembers its id.
    fn remove_oldest(&mut self) {
        let Some(id) = self.order.pop_front() else { return };
        if let Some(file) = self.files.remove(&id) {
            self.bytes -= file.content.len();
            self.gone.insert(id, file.gateway);
        }
    }
}
