//! Files of the agents, which the gateway reads and writes through the worker. One thread has them, since a disk may be slow.

use super::host::HostEvent;
use crate::bridge::{Draft, MediaFile, MediaFolder};
use crate::temporary_folder::TemporaryFolder;
use relayline_queue::fleet::{FileAnswer, FileCall, FileRequest, MAX_FILE_BYTES};
use relayline_queue::id::HandOutId;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

/// Maximum number of open files.
const MAX_OPEN: usize = 256;

/// Job of the thread.
pub(super) enum FileJob {
    /// A request of the gateway, with the bytes to write.
    Request(FileCall, FileRequest, Vec<u8>),
    /// An agent does not have a hand-out any more.
    Released(String, HandOutId),
    /// An agent has ended.
    AgentEnded(String),
    /// No gateway leads any more.
    Leaderless,
}

/// Starts the thread. It ends once the sender is dropped.
///
/// # Errors
/// There is no thread, or no temporary folder.
pub(super) fn start(
    folder: MediaFolder,
    events: Sender<HostEvent>,
) -> io::Result<(Sender<FileJob>, JoinHandle<()>)> {
    let (jobs, receiver) = channel();
    let files = Files::new(folder)?;
    let thread = Builder::new().name("files".to_owned()).spawn(move || files.run(&receiver, &events))?;
    Ok((jobs, thread))
}

struct Files {
    /// Folder of the agents' files.
    folder: MediaFolder,
    /// Folder of files of messages.
    of_messages: MediaFolder,
    own: TemporaryFolder,
    open: BTreeMap<u64, (String, OpenFile)>,
    next: u64,
    /// Files of messages that are there, by agent, hand-out and name.
    placed: BTreeMap<(String, HandOutId, String), PathBuf>,
}

enum OpenFile {
    Reading(File),
    Writing(Draft, File),
    /// File of a message, and its place among these.
    Placing(Draft, File, (String, HandOutId, String)),
}

impl Files {
    fn new(folder: MediaFolder) -> io::Result<Files> {
        let own = TemporaryFolder::create()?;
        let of_messages = MediaFolder::find(Some(own.path()), false)?;
        Ok(Files { folder, of_messages, own, open: BTreeMap::new(), next: 0, placed: BTreeMap::new() })
    }

    fn run(mut self, jobs: &Receiver<FileJob>, events: &Sender<HostEvent>) {
        while let Ok(job) = jobs.recv() {
            match job {
                FileJob::Request(call, request, bytes) => {
                    let (answer, bytes) = self
                        .answer(call.agent(), request, &bytes)
                        .unwrap_or_else(|why| (FileAnswer::Failed { why }, Vec::new()));
                    // It fails once the worker has ended.
                    let _ = events.send(HostEvent::FileAnswer(call, answer, bytes));
                }
                FileJob::Released(agent, id) => self.remove_placed(|of, of_id| *of == agent && *of_id == id),
                FileJob::AgentEnded(agent) => {
                    self.open.retain(|_, (of, _)| *of != agent);
                    self.remove_placed(|of, _| *of == agent);
                }
                FileJob::Leaderless => self.open.clear(),
            }
        }
    }

    fn answer(
        &mut self,
        agent: &str,
        request: FileRequest,
        bytes: &[u8],
    ) -> Result<(FileAnswer, Vec<u8>), String> {
        let answer = match request {
            FileRequest::Open { path } => {
                let (file, bytes, name) = self.folder.resolve(&path).and_then(MediaFile::open)?;
                let file = self.add(agent, OpenFile::Reading(file))?;
                FileAnswer::Opened { file, bytes, name }
            }
            FileRequest::Create { path } => {
                let (draft, file) = self.folder.resolve(&path).and_then(Draft::begin)?;
                FileAnswer::Created { file: self.add(agent, OpenFile::Writing(draft, file))? }
            }
            FileRequest::Place { id, name } => {
                let place = (agent.to_owned(), id, name);
                if let Some(path) = self.placed.get(&place) {
                    return Ok((FileAnswer::Placed { path: path.display().to_string() }, Vec::new()));
                }
                let (draft, file) = self.of_messages.resolve(&local_name(&place)).and_then(Draft::begin)?;
                FileAnswer::Created { file: self.add(agent, OpenFile::Placing(draft, file, place))? }
            }
            FileRequest::Read { file } => {
                let Some((_, OpenFile::Reading(file))) = self.open.get_mut(&file) else {
                    return Err(not_open());
                };
                let mut content = Vec::new();
                let read = file.take(MAX_FILE_BYTES as u64).read_to_end(&mut content);
                read.map_err(|error| error.to_string())?;
                return Ok((FileAnswer::Read, content));
            }
            FileRequest::Write { file } => {
                let Some((_, OpenFile::Writing(_, file) | OpenFile::Placing(_, file, _))) =
                    self.open.get_mut(&file)
                else {
                    return Err(not_open());
                };
                file.write_all(bytes).map_err(|error| error.to_string())?;
                FileAnswer::Done
            }
            FileRequest::Finish { file } => match self.open.remove(&file) {
                Some((_, OpenFile::Writing(draft, _))) => {
                    draft.finish()?;
                    FileAnswer::Done
                }
                Some((_, OpenFile::Placing(draft, _, place))) => {
                    draft.finish()?;
                    let path = self.own.path().join(local_name(&place));
                    let answer = FileAnswer::Placed { path: path.display().to_string() };
                    self.placed.insert(place, path);
                    answer
                }
                Some((_, OpenFile::Reading(_))) | None => return Err(not_open()),
            },
            FileRequest::Close { file } => {
                self.open.remove(&file);
                FileAnswer::Done
            }
            _ => {
                return Err(
                    "the worker does not know this request: use one version of the program".to_owned()
                );
            }
        };
        Ok((answer, Vec::new()))
    }

    fn add(&mut self, agent: &str, file: OpenFile) -> Result<u64, String> {
        if self.open.len() >= MAX_OPEN {
            return Err(format!("{MAX_OPEN} files are open: try again"));
        }
        self.next += 1;
        self.open.insert(self.next, (agent.to_owned(), file));
        Ok(self.next)
    }

    fn remove_placed(&mut self, is_over: impl Fn(&String, &HandOutId) -> bool) {
        for (_, path) in self.placed.extract_if(.., |(agent, id, _), _| is_over(agent, id)) {
            // The agent may have removed it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns the name of a file of a message. That of the gateway is harmless, and is the last part.
fn local_name((agent, id, name): &(String, HandOutId, String)) -> String {
    format!("{agent}-{}-{name}", id.attempt)
}

fn not_open() -> String {
    "the file is not open any more: the gateway has changed".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_queue::id::EntryId;

    struct Bench {
        _folder: tempfile::TempDir,
        files: Files,
    }

    impl Bench {
        fn new() -> Bench {
            let folder = tempfile::tempdir().unwrap();
            let files = Files::new(MediaFolder::find(Some(folder.path()), false).unwrap()).unwrap();
            Bench { _folder: folder, files }
        }

        fn ask(&mut self, request: FileRequest, bytes: &[u8]) -> Result<FileAnswer, String> {
            self.files.answer("1-1", request, bytes).map(|(answer, _)| answer)
        }

        /// Writes a file by requests.
        fn write(&mut self, create: FileRequest, content: &[u8]) -> FileAnswer {
            let Ok(FileAnswer::Created { file }) = self.ask(create, b"") else { panic!() };
            self.ask(FileRequest::Write { file }, content).unwrap();
            self.ask(FileRequest::Finish { file }, b"").unwrap()
        }
    }

    #[test]
    fn a_file_is_there_once_it_is_finished() {
        let mut bench = Bench::new();
        let open = || FileRequest::Open { path: "a.txt".into() };
        assert!(bench.ask(open(), b"").is_err());
        let Ok(FileAnswer::Created { file }) = bench.ask(FileRequest::Create { path: "a.txt".into() }, b"")
        else {
            panic!()
        };
        bench.ask(FileRequest::Write { file }, b"half").unwrap();
        assert!(bench.ask(open(), b"").is_err());
        bench.files.open.clear();
        assert_eq!(bench.ask(FileRequest::Write { file }, b"rest"), Err(not_open()));
        assert_eq!(bench.write(FileRequest::Create { path: "a.txt".into() }, b"whole"), FileAnswer::Done);
        let Ok(FileAnswer::Opened { file, bytes: 5, name }) = bench.ask(open(), b"") else { panic!() };
        assert_eq!(name, "a.txt");
        let read = |bench: &mut Bench| bench.files.answer("1-1", FileRequest::Read { file }, b"").unwrap();
        assert_eq!(read(&mut bench), (FileAnswer::Read, b"whole".to_vec()));
        assert_eq!(read(&mut bench), (FileAnswer::Read, Vec::new()));
        bench.ask(FileRequest::Close { file }, b"").unwrap();
        assert_eq!(bench.ask(FileRequest::Read { file }, b""), Err(not_open()));
    }

    #[test]
    fn paths_stay_in_their_folders() {
        let mut bench = Bench::new();
        for path in ["../a", "/etc/passwd"] {
            assert!(bench.ask(FileRequest::Open { path: path.into() }, b"").is_err(), "{path}");
            assert!(bench.ask(FileRequest::Create { path: path.into() }, b"").is_err(), "{path}");
        }
        let id = HandOutId { entry: EntryId(7), attempt: 1 };
        let escape = FileRequest::Place { id, name: "/../../../../../../etc/x".into() };
        assert!(bench.ask(escape, b"").is_err());
    }

    #[test]
    fn x_1_open_files_are_bounded() {
        let mut bench = Bench::new();
        bench.write(FileRequest::Create { path: "a".into() }, b"");
        let mut open = || bench.ask(FileRequest::Open { path: "a".into() }, b"");
        let opened = (0..MAX_OPEN + 5).filter(|_| open().is_ok()).count();
        assert_eq!(opened, MAX_OPEN);
    }

    #[test]
    fn files_of_a_message_are_there_until_their_hand_out_is_over() {
        let mut bench = Bench::new();
        let id = |attempt| HandOutId { entry: EntryId(7), attempt };
        let place = |attempt| FileRequest::Place { id: id(attempt), name: "7-0-a.png".into() };
        let FileAnswer::Placed { path } = bench.write(place(1), b"x") else { panic!() };
        assert_eq!(bench.ask(place(1), b""), Ok(FileAnswer::Placed { path: path.clone() }));
        let FileAnswer::Placed { path: later } = bench.write(place(2), b"y") else { panic!() };
        assert_eq!(fs::read(&path).unwrap(), b"x");
        bench.files.remove_placed(|_, of| *of == id(1));
        assert!(!fs::exists(&path).unwrap() && fs::exists(&later).unwrap());
        bench.files.remove_placed(|agent, _| agent == "1-1");
        assert!(!fs::exists(later).unwrap());
    }
}
