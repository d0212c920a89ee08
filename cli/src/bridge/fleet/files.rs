//! Files of a worker's agent, which are on the worker's machine.

use super::FleetShared;
use super::pipes::Pipe;
use futures_channel::oneshot;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, copy};
use futures_util::stream::{TryStreamExt, try_unfold};
use relayline_queue::clock;
use relayline_queue::fleet::{FileAnswer, FileRequest, MAX_FILE_BYTES};
use relayline_queue::id::{AgentId, HandOutId};
use smol::Unblock;
use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Maximum length of a path, in bytes. A request must fit into a frame.
const MAX_PATH: usize = 4096;

/// Answer to a request, with the bytes that were read.
pub(super) type Answer = (FileAnswer, Vec<u8>);

/// Files of one agent.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFiles {
    shared: Arc<FleetShared>,
    pipe: Arc<Pipe>,
    agent: AgentId,
}

impl RemoteFiles {
    pub(super) fn new(shared: Arc<FleetShared>, pipe: Arc<Pipe>, agent: AgentId) -> RemoteFiles {
        RemoteFiles { shared, pipe, agent }
    }

    /// Sends a request. The future is its answer.
    fn call(
        &self,
        request: FileRequest,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Answer, String>> + Send + use<> {
        let (sender, answer) = oneshot::channel();
        self.shared.change(|fleet| {
            // Without a number the sender is dropped.
            if let Some(call) = fleet.handle_file_request(clock::now(), &self.agent, request, bytes) {
                self.pipe.add_call(call, sender);
            }
        });
        async move {
            match answer.await {
                Ok((FileAnswer::Failed { why }, _)) => Err(why),
                Ok(answer) => Ok(answer),
                Err(_) => Err("the agent's worker is gone".to_owned()),
            }
        }
    }

    /// Opens a file. Returns its content, its length and its name.
    pub(crate) async fn open(
        &self,
        path: String,
    ) -> Result<(Box<dyn AsyncRead + Send + Unpin>, u64, String), String> {
        check(&path)?;
        match self.call(FileRequest::Open { path }, Vec::new()).await? {
            (FileAnswer::Opened { file, bytes, name }, _) => Ok((Box::new(self.read(file)), bytes, name)),
            other => Err(unexpected(&other.0)),
        }
    }

    /// Creates a file.
    pub(crate) async fn create(&self, path: String) -> Result<BufWriter<RemoteFile>, String> {
        check(&path)?;
        match self.call(FileRequest::Create { path }, Vec::new()).await? {
            (FileAnswer::Created { file }, _) => Ok(self.write(file)),
            other => Err(unexpected(&other.0)),
        }
    }

    /// Puts a file of a message on the worker's machine. Returns its path there.
    pub(crate) async fn place(&self, id: HandOutId, from: &Path) -> Result<String, String> {
        let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match self.call(FileRequest::Place { id, name }, Vec::new()).await? {
            (FileAnswer::Placed { path }, _) => Ok(path),
            (FileAnswer::Created { file }, _) => {
                let mut to = self.write(file);
                let from = from.to_owned();
                let copied = async {
                    let from = Unblock::new(smol::unblock(move || File::open(from)).await?);
                    copy(from, &mut to).await?;
                    to.flush().await
                };
                copied.await.map_err(|error| error.to_string())?;
                match to.into_inner().finish().await? {
                    FileAnswer::Placed { path } => Ok(path),
                    other => Err(unexpected(&other)),
                }
            }
            other => Err(unexpected(&other.0)),
        }
    }

    fn read(&self, file: u64) -> impl AsyncRead + Send + Unpin + use<> {
        let open = RemoteFile::new(self.clone(), file);
        let pieces = try_unfold(open, |open| async move {
            match open.files.call(FileRequest::Read { file: open.number }, Vec::new()).await {
                Ok((FileAnswer::Read, bytes)) => Ok((!bytes.is_empty()).then_some((bytes, open))),
                Ok((other, _)) => Err(io::Error::other(unexpected(&other))),
                Err(why) => Err(io::Error::other(why)),
            }
        });
        Box::pin(pieces).into_async_read()
    }

    fn write(&self, file: u64) -> BufWriter<RemoteFile> {
        BufWriter::with_capacity(MAX_FILE_BYTES, RemoteFile::new(self.clone(), file))
    }
}

fn check(path: &str) -> Result<(), String> {
    match path.len() {
        0..=MAX_PATH => Ok(()),
        length => Err(format!("the path has {length} bytes, and may have {MAX_PATH}: name a shorter one")),
    }
}

fn unexpected(answer: &FileAnswer) -> String {
    format!("the worker answered {answer:?}: use one version of the program")
}

/// Open file on a worker's machine. It is closed when this is dropped: one that was not finished is removed.
pub(crate) struct RemoteFile {
    files: RemoteFiles,
    number: u64,
    /// Write that has no answer.
    under_way: Option<BoxFuture<'static, Result<Answer, String>>>,
}

impl RemoteFile {
    fn new(files: RemoteFiles, number: u64) -> RemoteFile {
        RemoteFile { files, number, under_way: None }
    }

    /// Finishes a file that was written, and flushed.
    pub(crate) async fn finish(self) -> Result<FileAnswer, String> {
        let finish = self.files.call(FileRequest::Finish { file: self.number }, Vec::new());
        finish.await.map(|(answer, _)| answer)
    }

    /// Waits for the answer to a write.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(under_way) = &mut self.under_way {
            let answer = ready!(under_way.poll_unpin(cx));
            self.under_way = None;
            answer.map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for RemoteFile {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(cx))?;
        let (bytes, _) = bytes.split_at(bytes.len().min(MAX_FILE_BYTES));
        let write = self.files.call(FileRequest::Write { file: self.number }, bytes.to_vec());
        self.under_way = Some(write.boxed());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        // Nobody waits for the answer.
        drop(self.files.call(FileRequest::Close { file: self.number }, Vec::new()));
    }
}
