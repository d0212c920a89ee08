//! Watcher of an agent's files: compares their times and sizes a few times a second.
//!
//! It polls, since an agent has few files: that costs less than a millisecond a round, and works alike on every system,
//! over network mounts and with editors that replace a file by renaming.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Time between two rounds.
const INTERVAL: Duration = Duration::from_millis(250);
/// Maximum number of files that are watched.
const MAX_FILES: usize = 4096;
/// Maximum depth of folders below a watched one.
const MAX_DEPTH: usize = 12;
/// Folders that are left out, besides those that begin with a dot.
const LEFT_OUT: [&str; 5] = ["node_modules", "__pycache__", "target", "dist", "build"];

/// Files and folders to watch.
#[derive(Debug)]
pub(super) struct Watcher {
    roots: Vec<Root>,
}

/// A watched file, or a folder with the endings of its watched files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Root {
    path: PathBuf,
    /// Endings of the files in the folder; `None` for all files.
    endings: Option<BTreeSet<OsString>>,
}

/// State of the files: time of change and size by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Seen {
    /// Returns a path that differs from an earlier state; a file that is gone counts.
    fn difference<'s>(&'s self, before: &'s Seen) -> Option<&'s Path> {
        let changed = self.0.iter().find(|(path, state)| before.0.get(*path) != Some(state));
        let gone = || before.0.iter().find(|(path, _)| !self.0.contains_key(*path));
        changed.or_else(gone).map(|(path, _)| path.as_path())
    }
}

/// Changes that have come to rest: a change is reported once a round finds no other.
#[derive(Debug)]
struct Debounce {
    seen: Seen,
    /// First path of the changes that were not reported.
    changed: Option<PathBuf>,
}

impl Debounce {
    fn new(seen: Seen) -> Debounce {
        Debounce { seen, changed: None }
    }

    /// Takes the state of a round. Returns a path once the changes have come to rest.
    fn round(&mut self, seen: Seen) -> Option<PathBuf> {
        match seen.difference(&self.seen).map(Path::to_owned) {
            Some(path) => {
                self.changed.get_or_insert(path);
                self.seen = seen;
                None
            }
            None => self.changed.take(),
        }
    }
}

impl Watcher {
    /// Returns a watcher without files.
    pub(super) fn nothing() -> Watcher {
        Watcher { roots: Vec::new() }
    }

    /// Returns the watcher of these paths; without any, of the files of an agent's command.
    ///
    /// # Errors
    /// A path is not there: the text for the user.
    pub(super) fn of(paths: &[PathBuf], command: &[String]) -> Result<Watcher, String> {
        if let Some(missing) = paths.iter().find(|path| !path.exists()) {
            return Err(format!("--watch {}: there is no such file or folder", missing.display()));
        }
        let given = paths.iter().map(|path| Root { path: path.clone(), endings: None });
        let roots = if paths.is_empty() { of_command(command) } else { given.collect() };
        Ok(Watcher { roots })
    }

    /// Returns the watched paths, for people.
    pub(super) fn shown(&self) -> Vec<String> {
        let show = |root: &Root| match &root.endings {
            None => root.path.display().to_string(),
            Some(endings) => {
                let endings: Vec<String> =
                    endings.iter().map(|ending| format!("*.{}", ending.display())).collect();
                format!("{}/{}", root.path.display(), endings.join(", "))
            }
        };
        self.roots.iter().map(show).collect()
    }

    /// Calls `changed` at each change, on a thread.
    ///
    /// # Errors
    /// The thread cannot be started: the text for the user.
    pub(super) fn start(self, changed: impl Fn(&Path) + Send + 'static) -> Result<Watching, String> {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let watch = move || {
            let mut debounce = Debounce::new(self.look());
            while !over.load(Ordering::Relaxed) {
                std::thread::park_timeout(INTERVAL);
                if let Some(path) = debounce.round(self.look()) {
                    changed(&path);
                }
            }
        };
        let thread = std::thread::Builder::new().name("watcher".to_owned()).spawn(watch);
        let thread = thread.map_err(|error| format!("files cannot be watched: {error}"))?;
        Ok(Watching { is_over, thread: Some(thread) })
    }

    fn look(&self) -> Seen {
        let mut seen = Seen::default();
        for root in &self.roots {
            look(&root.path, root.endings.as_ref(), 0, &mut seen);
        }
        seen
    }
}

/// Thread of a watcher. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watching {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread has printed its panic.
            let _ = thread.join();
        }
    }
}

/// Returns the files of a command, and the folders of its scripts. A program that is found by the PATH is none.
fn of_command(command: &[String]) -> Vec<Root> {
    let mut roots: Vec<Root> = Vec::new();
    for path in command.iter().map(Path::new).filter(|path| path.is_file()) {
        roots.push(Root { path: path.to_owned(), endings: None });
        let Some(ending) = path.extension() else { continue };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match roots.iter_mut().find(|root| root.path == folder) {
            Some(Root { endings: Some(endings), .. }) => {
                endings.insert(ending.to_owned());
            }
            Some(_) => {}
            None => {
                roots.push(Root {
                    path: folder.to_owned(),
                    endings: Some(BTreeSet::from([ending.to_owned()])),
                });
            }
        }
    }
    roots
}

/// Adds the state of a file, or of the files in a folder. What cannot be read is left out.
fn look(path: &Path, endings: Option<&BTreeSet<OsString>>, depth: usize, seen: &mut Seen) {
    let Ok(data) = fs::metadata(path) else { return };
    if data.is_file() {
        let is_wanted =
            endings.is_none_or(|endings| path.extension().is_some_and(|ending| endings.contains(ending)));
        if is_wanted && seen.0.len() < MAX_FILES {
            seen.0.insert(path.to_owned(), (data.modified().ok(), data.len()));
        }
        return;
    }
    if depth > MAX_DEPTH || seen.0.len() >= MAX_FILES {
        return;
    }
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // A link could lead out of the folder, or around in circles.
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if !is_link && !name.starts_with('.') && !LEFT_OUT.contains(&&*name) {
            look(&entry.path(), endings, depth + 1, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(files: &[(&str, u64)]) -> Seen {
        Seen(files.iter().map(|(path, size)| (PathBuf::from(path), (None, *size))).collect())
    }

    #[test]
    fn changes_are_reported_once_they_have_come_to_rest() {
        let mut debounce = Debounce::new(seen(&[("a", 1)]));
        assert_eq!(debounce.round(seen(&[("a", 1)])), None);
        assert_eq!(debounce.round(seen(&[("a", 2)])), None);
        assert_eq!(debounce.round(seen(&[("a", 2), ("b", 1)])), None);
        assert_eq!(debounce.round(seen(&[("a", 2), ("b", 1)])), Some("a".into()));
        assert_eq!(debounce.round(seen(&[("a", 2), ("b", 1)])), None);
        assert_eq!(debounce.round(seen(&[("a", 2)])), None);
        assert_eq!(debounce.round(seen(&[("a", 2)])), Some("b".into()), "a file that is gone");
    }

    #[test]
    fn the_files_of_a_command_and_alike_ones_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("lib/deep")).unwrap();
        fs::create_dir_all(at("node_modules")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        for name in
            ["agent.py", "lib/deep/tool.py", "node_modules/x.py", ".git/y.py", "notes.txt", "data.bin"]
        {
            fs::write(at(name), "1").unwrap();
        }
        let command = ["python3".to_owned(), at("agent.py").display().to_string(), "--flag".to_owned()];
        let watcher = Watcher::of(&[], &command).unwrap();
        let files: Vec<PathBuf> = watcher.look().0.into_keys().collect();
        assert_eq!(files, [at("agent.py"), at("lib/deep/tool.py")]);
        let all = Watcher::of(&[at("lib"), at("notes.txt")], &command).unwrap();
        let files: Vec<PathBuf> = all.look().0.into_keys().collect();
        assert_eq!(files, [at("lib/deep/tool.py"), at("notes.txt")]);
        let missing = Watcher::of(&[at("none")], &command).unwrap_err();
        assert!(missing.contains("there is no such file"), "{missing}");
        assert!(Watcher::of(&[], &["python3".to_owned()]).unwrap().roots.is_empty());
    }
}
