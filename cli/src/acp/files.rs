//! Files of messages, fetched for an agent.

use crate::bridge::{Media, MediaFolder};
use crate::random;
use crate::temporary_folder::TemporaryFolder;
use futures_util::future::{BoxFuture, FutureExt};
use relayline_acp::Fetched;
use relayline_core::event::Media as MediaEntry;
use relayline_runtime::Relay;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum length of a local file's name, in bytes. File systems have a maximum of 255.
const MAX_NAME: usize = 200;

/// Files of messages in a folder. The oldest make room for others.
#[derive(Clone, Debug)]
pub(crate) struct MessageFiles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// The folder, if it is our own: it is removed in the end.
    _own: Option<TemporaryFolder>,
    transfers: Media,
    max_bytes: u64,
    /// Begin of the names of this process's files.
    prefix: String,
    count: AtomicU64,
    kept: Mutex<Kept>,
}

/// Files that exist, the oldest first.
#[derive(Debug, Default)]
struct Kept {
    files: VecDeque<(PathBuf, u64)>,
    bytes: u64,
}

impl MessageFiles {
    /// Creates files of at most `max_bytes` in all, in `folder` or in a new temporary folder.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(crate) fn new(folder: Option<&Path>, transfers: usize, max_bytes: usize) -> io::Result<MessageFiles> {
        let (path, own) = match folder {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let own = TemporaryFolder::create()?;
                (own.path().to_owned(), Some(own))
            }
        };
        let media = MediaFolder::find(Some(&path), false)?;
        let inner = Inner {
            folder: path.canonicalize()?,
            _own: own,
            transfers: Media::new(media, transfers),
            max_bytes: max_bytes as u64,
            prefix: random::hex::<8>().map_err(io::Error::other)?,
            count: AtomicU64::new(0),
            kept: Mutex::default(),
        };
        Ok(MessageFiles(Arc::new(inner)))
    }

    /// Fetches a file. The content of one that is not larger than `inline` is returned, too.
    pub(super) fn fetch(
        &self,
        relay: &Relay,
        media: &MediaEntry,
        inline: usize,
    ) -> BoxFuture<'static, Result<Fetched, String>> {
        let (files, relay) = (self.0.clone(), relay.clone());
        let number = files.count.fetch_add(1, Ordering::Relaxed) + 1;
        let name = local_name(&files.prefix, number, media.filename.as_deref().unwrap_or_default());
        let url = media.url.to_string();
        async move {
            let result = files.transfers.fetch(&relay, &url, name.clone()).await;
            let result = result.map_err(|failure| failure.message)?;
            let size = result["bytes"].as_u64().unwrap_or(0);
            let mime = result["content_type"].as_str().map(str::to_owned);
            let path = files.folder.join(&name);
            // The agent can have replaced it.
            let content =
                if size <= inline as u64 { files.transfers.read(name, inline).await } else { Ok(None) };
            let kept = path.clone();
            smol::unblock(move || files.keep(kept, size)).await;
            Ok(Fetched { path, mime, size, content: content? })
        }
        .boxed()
    }
}

impl Inner {
    /// Counts a file, and removes the oldest while there are too many bytes.
    fn keep(&self, path: PathBuf, size: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.files.push_back((path, size));
        kept.bytes += size;
        while kept.bytes > self.max_bytes && kept.files.len() > 1 {
            if let Some((oldest, size)) = kept.files.pop_front() {
                kept.bytes -= size;
                // The agent may have removed it.
                let _ = fs::remove_file(oldest);
            }
        }
    }
}

/// Returns the name of a local file: the process's prefix and a number, so that no file is replaced, and the harmless part
/// of its name.
fn local_name(prefix: &str, number: u64, name: &str) -> String {
    let harmless = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.rsplit(['/', '\\']).next().unwrap_or_default().chars().map(harmless).collect();
    let name = if name.is_empty() { "file" } else { &name };
    let start = format!("{prefix}-{number}-");
    // The end has the extension.
    let skipped = (start.len() + name.len()).saturating_sub(MAX_NAME);
    let name = &name[name.ceil_char_boundary(skipped.min(name.len()))..];
    start + name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_name_stays_in_its_folder() {
        let local_name = |number, name: &str| local_name("p", number, name);
        assert_eq!(local_name(1, "../../etc/passwd"), "p-1-passwd");
        assert_eq!(local_name(2, "a b\0c.png"), "p-2-a_b_c.png");
        assert_eq!(local_name(3, ".."), "p-3-..");
        assert_eq!(local_name(4, ""), "p-4-file");
        for letter in ["x", "ä", "界"] {
            let name = local_name(5, &format!("{}.png", letter.repeat(999)));
            assert!((MAX_NAME - 3..=MAX_NAME).contains(&name.len()) && name.ends_with(".png"), "{name}");
        }
    }

    #[test]
    fn files_of_two_processes_have_different_names() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = || MessageFiles::new(Some(folder.path()), 1, 10).unwrap().0.prefix.clone();
        assert_ne!(prefix(), prefix());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_the_agent_replaced_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = MessageFiles::new(Some(folder.path()), 1, 10).unwrap();
        let read = |name: &str| smol::block_on(files.0.transfers.read(name.to_owned(), 4));
        for (name, content) in [("small", "1234"), ("large", "12345")] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!((read("small"), read("large")), (Ok(Some(b"1234".to_vec())), Ok(None)));
        assert!(read("link").is_err() && read("pipe").is_err());
    }

    #[test]
    fn x_1_the_oldest_files_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let files = MessageFiles::new(Some(folder.path()), 1, 10).unwrap();
        for name in ["a", "b", "c"] {
            let path = folder.path().join(name);
            fs::write(&path, "1234").unwrap();
            files.0.keep(path, 4);
        }
        let exists = |name: &str| folder.path().join(name).exists();
        assert_eq!([exists("a"), exists("b"), exists("c")], [false, true, true]);
    }

    #[test]
    fn a_folder_of_our_own_is_private_and_removed_in_the_end() {
        let files = MessageFiles::new(None, 1, 10).unwrap();
        let folder = files.0.folder.clone();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
        drop(files);
        assert!(!folder.exists());
    }
}
