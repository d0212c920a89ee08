//! Files of messages, fetched before their hand-out: the connector does not keep them for long.
//!
//! A file is named `ENTRY-INDEX-NAME`. Files of entries that are done stay until room is needed.

use crate::id::EntryId;
use futures_io::AsyncWrite;
use futures_util::future::{Either, select};
use relayline_core::event::Media;
use relayline_runtime::control::http::media::MediaError;
use relayline_runtime::http::Downloaded;
use relayline_runtime::{Relay, Runtime};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Maximum number of entries whose files are fetched at a time.
const MAX_FETCHES: usize = 8;
/// Maximum number of entries that wait for that. Further ones are fetched when they are handed out.
const MAX_WAITING: usize = 1024;
/// Number of entries whose fetches are known at which those that are gone leave.
const MAX_KNOWN: usize = 16_384;
/// Number of times that a file is requested.
const TRIES: u32 = 3;
/// Time between two of them.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Maximum length of the name of a file.
const MAX_NAME: usize = 80;
/// Ending of a file that is being fetched.
const PART: &str = ".part";

/// Files of one entry to fetch.
#[derive(Clone, Debug)]
pub(super) struct FetchJob {
    pub(super) entry: EntryId,
    files: Vec<Wanted>,
}

#[derive(Clone, Debug)]
struct Wanted {
    index: usize,
    url: String,
    path: PathBuf,
}

/// Result of a job: the files that are there, with their sizes, and the number of those that are not.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) entry: EntryId,
    files: Vec<(usize, PathBuf, u64)>,
    pub(super) failed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FetchState {
    Waiting,
    Running,
    Done,
}

/// Numbers of files, for the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct MediaCounts {
    pub(super) fetched: u64,
    pub(super) dropped: u64,
    pub(super) removed: u64,
}

/// Folder of fetched files, bounded in bytes.
#[derive(Debug)]
pub(super) struct MediaStore {
    folder: PathBuf,
    most: u64,
    files: BTreeMap<(EntryId, usize), (PathBuf, u64)>,
    bytes: u64,
    fetches: BTreeMap<EntryId, FetchState>,
    waiting: VecDeque<FetchJob>,
    running: usize,
}

impl MediaStore {
    /// Opens a folder, and creates it if it is missing. Parts of files are removed.
    ///
    /// # Errors
    /// The folder cannot be created or read.
    pub(super) fn open(folder: &Path, most: usize) -> io::Result<MediaStore> {
        create(folder)?;
        let folder = fs::canonicalize(folder)?;
        let mut store = MediaStore {
            most: most as u64,
            files: BTreeMap::new(),
            bytes: 0,
            fetches: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: 0,
            folder,
        };
        for file in fs::read_dir(&store.folder)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let Some(key) = parse_name(&name) else { continue };
            if name.ends_with(PART) {
                fs::remove_file(file.path())?;
            } else {
                let bytes = file.metadata()?.len();
                store.bytes = store.bytes.saturating_add(bytes);
                store.files.insert(key, (file.path(), bytes));
            }
        }
        Ok(store)
    }

    /// Notes that an entry's files are wanted. `is_urgent` is true if the entry is to be handed out.
    pub(super) fn want(&mut self, entry: EntryId, media: &[Media], is_urgent: bool) {
        if media.is_empty() || self.fetches.contains_key(&entry) {
            return;
        }
        if !is_urgent && self.waiting.len() >= MAX_WAITING {
            return;
        }
        let missing =
            media.iter().enumerate().filter(|(index, _)| !self.files.contains_key(&(entry, *index)));
        let files: Vec<Wanted> = missing
            .map(|(index, media)| Wanted {
                index,
                url: media.url.to_string(),
                path: self.folder.join(file_name(entry, index, media)),
            })
            .collect();
        if files.is_empty() {
            self.fetches.insert(entry, FetchState::Done);
            return;
        }
        self.fetches.insert(entry, FetchState::Waiting);
        let job = FetchJob { entry, files };
        match is_urgent {
            true => self.waiting.push_front(job),
            false => self.waiting.push_back(job),
        }
    }

    /// Returns the next job, if one may begin.
    pub(super) fn next_job(&mut self) -> Option<FetchJob> {
        while self.running < MAX_FETCHES {
            let job = self.waiting.pop_front()?;
            // The entry may have been dropped.
            if let Some(state) = self.fetches.get_mut(&job.entry) {
                *state = FetchState::Running;
                self.running += 1;
                return Some(job);
            }
        }
        None
    }

    /// Handles the end of a job. `is_alive` says whether an entry is in the queue.
    pub(super) fn finish(&mut self, fetched: Fetched, is_alive: impl Fn(EntryId) -> bool) -> MediaCounts {
        self.running = self.running.saturating_sub(1);
        let mut counts = MediaCounts::default();
        for (index, path, bytes) in fetched.files {
            self.bytes = self.bytes.saturating_add(bytes);
            self.files.insert((fetched.entry, index), (path, bytes));
            counts.fetched += 1;
            counts.removed += self.make_room(&is_alive);
            if self.bytes > self.most {
                self.remove((fetched.entry, index));
                counts.dropped += 1;
            }
        }
        if let Some(state) = self.fetches.get_mut(&fetched.entry) {
            *state = FetchState::Done;
        }
        if self.fetches.len() >= MAX_KNOWN {
            // Those that an operator has dropped.
            self.fetches.retain(|entry, _| is_alive(*entry));
        }
        counts
    }

    /// Removes files of entries that are done, the oldest first, until there is room. Returns their number.
    fn make_room(&mut self, is_alive: impl Fn(EntryId) -> bool) -> u64 {
        let mut removed = 0;
        while self.bytes > self.most {
            let Some(key) = self.files.keys().copied().find(|(entry, _)| !is_alive(*entry)) else { break };
            self.remove(key);
            removed += 1;
        }
        removed
    }

    fn remove(&mut self, key: (EntryId, usize)) {
        if let Some((path, bytes)) = self.files.remove(&key) {
            self.bytes = self.bytes.saturating_sub(bytes);
            // A file that somebody has removed is gone, too.
            let _ = fs::remove_file(path);
        }
    }

    /// Returns true if nothing of an entry is being fetched.
    pub(super) fn is_ready(&self, entry: EntryId) -> bool {
        matches!(self.fetches.get(&entry), None | Some(FetchState::Done))
    }

    /// Returns the paths of an entry's first `count` files; `None` for those that are not there.
    pub(super) fn paths(&self, entry: EntryId, count: usize) -> Vec<Option<PathBuf>> {
        (0..count).map(|index| self.files.get(&(entry, index)).map(|(path, _)| path.clone())).collect()
    }

    /// Forgets an entry that is done. Its files stay until room is needed.
    pub(super) fn forget(&mut self, entry: EntryId) {
        self.fetches.remove(&entry);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Creates a folder that only this user can read.
fn create(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Returns the name of a file. Of the connector's name only harmless characters are left.
fn file_name(entry: EntryId, index: usize, media: &Media) -> String {
    let named = media.filename.as_deref().unwrap_or("");
    // An ending tells agents the type.
    let skipped = named.chars().count().saturating_sub(MAX_NAME);
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = named.chars().skip(skipped).map(safe).collect();
    let name = name.trim_start_matches('.').trim_end_matches(PART);
    let name = if name.is_empty() { "file" } else { name };
    format!("{entry}-{index}-{name}")
}

/// Reads the entry and the index of a file's name; `None` if it is not of this folder.
fn parse_name(name: &str) -> Option<(EntryId, usize)> {
    let mut parts = name.splitn(3, '-');
    let (entry, index, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some((EntryId(entry.parse().ok()?), index.parse().ok()?))
}

/// Fetches the files of a job, within a time.
pub(super) async fn fetch<R: Runtime>(runtime: R, relay: Relay, job: FetchJob, timeout: Duration) -> Fetched {
    let entry = job.entry;
    let count = job.files.len() as u64;
    let mut files = Vec::new();
    {
        let all = pin!(async {
            for wanted in &job.files {
                match fetch_file(&runtime, &relay, wanted).await {
                    Ok(bytes) => files.push((wanted.index, wanted.path.clone(), bytes)),
                    // The error can name the URL, which is like a password.
                    Err(_) => tracing::warn!(entry = entry.0, index = wanted.index, "queue_media_failed"),
                }
            }
        });
        if let Either::Right(_) = select(all, pin!(runtime.sleep(timeout))).await {
            tracing::warn!(entry = entry.0, "queue_media_timed_out");
        }
    }
    let failed = count - files.len() as u64;
    Fetched { entry, files, failed }
}

async fn fetch_file<R: Runtime>(runtime: &R, relay: &Relay, wanted: &Wanted) -> Result<u64, MediaError> {
    let mut tries = 1;
    loop {
        match fetch_once(relay, wanted).await {
            Err(MediaError::Failed(_)) if tries < TRIES => {
                tries += 1;
                runtime.sleep(RETRY_AFTER).await;
            }
            ended => return ended,
        }
    }
}

async fn fetch_once(relay: &Relay, wanted: &Wanted) -> Result<u64, MediaError> {
    let failed = |error: io::Error| MediaError::File(error.to_string());
    let mut part = wanted.path.clone().into_os_string();
    part.push(PART);
    let part = Part(PathBuf::from(part));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = BlockingFile(options.open(&part.0).map_err(failed)?);
    let Downloaded { length, .. } = relay.download(&wanted.url, &mut file).await?;
    fs::rename(&part.0, &wanted.path).map_err(failed)?;
    Ok(length)
}

/// Part of a file, which is removed unless it becomes the file.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// File that is written at once. A write goes to the system's cache, and is no larger than what was received at a time.
struct BlockingFile(File);

impl AsyncWrite for BlockingFile {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(filename: &str) -> Media {
        let mut media = Media::default();
        media.url = "https://connector.example/media/1".into();
        media.filename = Some(filename.into()).filter(|_| !filename.is_empty());
        media
    }

    #[test]
    fn names_of_files_have_harmless_characters_only() {
        for (named, expected) in [
            ("a b.png", "7-1-a_b.png"),
            ("../../etc/passwd", "7-1-_.._etc_passwd"),
            (".part", "7-1-part"),
            ("", "7-1-file"),
            ("é.ogg", "7-1-_.ogg"),
        ] {
            assert_eq!(file_name(EntryId(7), 1, &media(named)), expected, "{named}");
        }
        let long = file_name(EntryId(7), 1, &media(&format!("{}.pdf", "x".repeat(500))));
        assert!(long.len() < 100 && long.ends_with(".pdf"), "{long}");
        assert_eq!(parse_name("7-1-a-b.png"), Some((EntryId(7), 1)));
        assert_eq!(parse_name("notes.txt"), None);
    }

    fn fetched(folder: &Path, entry: u64, bytes: usize) -> Fetched {
        let path = folder.join(format!("{entry}-0-x"));
        fs::write(&path, vec![0; bytes]).unwrap();
        Fetched { entry: EntryId(entry), files: vec![(0, path, bytes as u64)], failed: 0 }
    }

    #[test]
    fn files_of_settled_entries_make_room() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1-0-old"), [0; 4]).unwrap();
        fs::write(folder.path().join("1-1-x.part"), [0; 4]).unwrap();
        fs::write(folder.path().join("notes.txt"), [0; 99]).unwrap();
        let mut store = MediaStore::open(folder.path(), 10).unwrap();
        assert_eq!(store.bytes(), 4);
        for entry in [2, 3] {
            store.want(EntryId(entry), &[media("x")], false);
            assert!(!store.is_ready(EntryId(entry)) && store.next_job().is_some());
        }
        let alive = |entry: EntryId| entry.0 > 1;
        let counts = store.finish(fetched(folder.path(), 2, 8), alive);
        assert_eq!(counts, MediaCounts { fetched: 1, dropped: 0, removed: 1 });
        // Entry 2 is not done: the new file is given up.
        let counts = store.finish(fetched(folder.path(), 3, 3), alive);
        assert_eq!(counts, MediaCounts { fetched: 1, dropped: 1, removed: 0 });
        assert!(store.is_ready(EntryId(3)));
        assert_eq!(store.paths(EntryId(3), 1), [None]);
        assert!(store.paths(EntryId(2), 1)[0].as_ref().is_some_and(|path| path.exists()));
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_restart_finds_the_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("4-0-x"), "hi").unwrap();
        let mut store = MediaStore::open(folder.path(), 10).unwrap();
        store.want(EntryId(4), &[media("x")], true);
        assert!(store.is_ready(EntryId(4)) && store.next_job().is_none());
        assert!(store.paths(EntryId(4), 2)[0].is_some() && store.paths(EntryId(4), 2)[1].is_none());
    }
}
