//! Server of the control socket: accepts clients, and serves them on one thread.
//!
//! It has a thread of its own, so that no client delays the agent or the relay: lines are parsed here, and results wait here.

use super::ControlSettings;
use super::client::Client;
use super::counters::ControlMonitor;
use super::socket::{ControlSocket, remove_socket};
use crate::bridge::change_signal::ChangeSignal;
use crate::bridge::execution::OpContext;
use crate::bridge::gateway::GRACE;
use crate::bridge::line::BridgeLine;
use crate::signals::Shutdown;
use futures_channel::oneshot;
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use smol::Async;
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Minimum time for which a client has been idle that is closed for a new one. A new client can write its first line.
const MIN_IDLE: Duration = Duration::from_secs(1);
/// Time without accepting clients after an error, as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Handle of a server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlServer {
    stop: Arc<StopRequest>,
    ended: oneshot::Receiver<()>,
}

/// Request to end the server.
#[derive(Debug, Default)]
struct StopRequest {
    is_set: AtomicBool,
    signal: ChangeSignal,
}

impl ControlServer {
    pub(super) fn start(
        socket: ControlSocket,
        context: OpContext,
        shutdown: Shutdown,
    ) -> io::Result<ControlServer> {
        let (stop, (ends, ended)) = (Arc::<StopRequest>::default(), oneshot::channel());
        let stopped = stop.clone();
        tracing::info!(path = %socket.path.display(), "control_listening");
        let serve = move || {
            let served = smol::block_on(Server::run(&socket, context, shutdown, &stopped));
            if let Err(error) = served {
                tracing::warn!(%error, "control_socket_failed");
            }
            // It removes the file, too, if the server has failed.
            drop(socket);
            let _ = ends.send(());
        };
        std::thread::Builder::new().name("control".to_owned()).spawn(serve)?;
        Ok(ControlServer { stop, ended })
    }

    /// Ends the server after the relay has ended: the last results are written, for a moment only.
    pub(crate) async fn finish(mut self) {
        // Here, since the thread is abandoned if it does not end in time.
        remove_socket();
        self.stop();
        let abandoned = smol::Timer::after(GRACE * 2);
        futures_util::future::select(&mut self.ended, abandoned).await;
    }

    fn stop(&self) {
        self.stop.is_set.store(true, Ordering::Release);
        self.stop.signal.set();
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Parts that all clients share.
pub(super) struct Host {
    pub(super) settings: ControlSettings,
    pub(super) context: OpContext,
    pub(super) shutdown: Shutdown,
    pub(super) monitor: Arc<ControlMonitor>,
    /// Deadline for the last results, once the relay has ended.
    pub(super) ends_by: Cell<Option<Instant>>,
}

/// Part of a client that the server and the client share.
#[derive(Default)]
pub(super) struct Slot {
    /// Time since which the server only waits for the client; `None` while it has ops or results.
    pub(super) idle_since: Cell<Option<Instant>>,
    /// True if the client is to be closed for a new one.
    pub(super) is_evicted: Cell<bool>,
    /// Wakes the client for a change of the above, or the end.
    pub(super) signal: ChangeSignal,
}

/// Event of the server.
enum ServerEvent {
    Accepted(UnixStream),
    AcceptFailed(io::Error),
    /// The client of this number has left.
    Left(u64),
    /// The pause after an error is over.
    Resumed,
    Stopped,
}

struct Server<'s> {
    listener: Async<UnixListener>,
    host: Rc<Host>,
    stop: &'s StopRequest,
    clients: FuturesUnordered<LocalBoxFuture<'static, u64>>,
    slots: Vec<(u64, Rc<Slot>)>,
    /// Number of the latest client.
    newest: u64,
    /// Set while no client is accepted.
    pause: Option<smol::Timer>,
}

impl Server<'_> {
    async fn run(
        socket: &ControlSocket,
        context: OpContext,
        shutdown: Shutdown,
        stop: &StopRequest,
    ) -> io::Result<()> {
        let listener = Async::new(socket.listener.try_clone()?)?;
        let (settings, monitor) = (socket.settings.clone(), socket.monitor.clone());
        let host = Rc::new(Host { settings, context, shutdown, monitor, ends_by: Cell::new(None) });
        let (clients, slots) = (FuturesUnordered::new(), Vec::new());
        Server { listener, host, stop, clients, slots, newest: 0, pause: None }.serve().await;
        Ok(())
    }

    async fn serve(mut self) {
        loop {
            match poll_fn(|cx| self.poll_event(cx)).await {
                ServerEvent::Accepted(stream) => self.accept(stream),
                ServerEvent::AcceptFailed(error) => {
                    tracing::warn!(%error, "control_client_not_accepted");
                    self.pause = Some(smol::Timer::after(ACCEPT_PAUSE));
                }
                ServerEvent::Left(number) => self.remove(number),
                ServerEvent::Resumed => self.pause = None,
                ServerEvent::Stopped => break,
            }
        }
        self.host.ends_by.set(Some(Instant::now() + GRACE));
        for (_, slot) in &self.slots {
            slot.signal.set();
        }
        while let Some(number) = self.clients.next().await {
            self.remove(number);
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ServerEvent> {
        if self.stop.signal.poll(cx).is_ready() && self.stop.is_set.load(Ordering::Acquire) {
            return Poll::Ready(ServerEvent::Stopped);
        }
        if let Poll::Ready(Some(number)) = self.clients.poll_next_unpin(cx) {
            return Poll::Ready(ServerEvent::Left(number));
        }
        if let Some(pause) = &mut self.pause {
            return pause.poll_unpin(cx).map(|_| ServerEvent::Resumed);
        }
        loop {
            match self.listener.get_ref().accept() {
                Ok((stream, _)) => return Poll::Ready(ServerEvent::Accepted(stream)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Poll::Ready(ServerEvent::AcceptFailed(error)),
            }
            match self.listener.poll_readable(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(ServerEvent::AcceptFailed(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn remove(&mut self, number: u64) {
        self.slots.retain(|(known, _)| *known != number);
        self.host.monitor.present.store(self.slots.len(), Ordering::Relaxed);
    }

    /// Serves a client if it may be served and there is room.
    fn accept(&mut self, stream: UnixStream) {
        let host = self.host.clone();
        let counters = &host.monitor.counters;
        if let Err(user) = check_user(&stream) {
            counters.clients_refused.increase();
            tracing::warn!(user, "control_client_refused");
            refuse(&stream, "the gateway serves its own user and root only");
            return;
        }
        if self.slots.len() >= self.host.settings.control_clients && !self.make_room() {
            counters.clients_turned_away.increase();
            let clients = self.slots.len();
            refuse(&stream, &format!("{clients} clients are connected, as many as `control_clients` allows"));
            return;
        }
        let stream = match Async::new(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "control_client_not_accepted");
                return;
            }
        };
        counters.clients.increase();
        self.newest += 1;
        let (number, slot) = (self.newest, Rc::<Slot>::default());
        let client = Client::new(number, stream, host.clone(), slot.clone());
        self.clients.push(async move { client.serve().map(|()| number).await }.boxed_local());
        self.slots.push((number, slot));
        self.host.monitor.present.store(self.slots.len(), Ordering::Relaxed);
    }

    /// Closes the client that has been idle for longest. Returns false if none has been idle for long enough.
    fn make_room(&mut self) -> bool {
        let idle = self.slots.iter().filter_map(|(number, slot)| Some((slot.idle_since.get()?, *number)));
        let Some((since, number)) = idle.min() else { return false };
        if since.elapsed() < MIN_IDLE {
            return false;
        }
        self.host.monitor.counters.clients_closed.increase();
        for (_, slot) in self.slots.iter().filter(|(known, _)| *known == number) {
            slot.is_evicted.set(true);
            slot.signal.set();
        }
        self.remove(number);
        true
    }
}

/// Checks that a client has the user of this process, or is root. The mode of the socket's file says the same.
///
/// # Errors
/// Returns the id of another user.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn check_user(stream: &UnixStream) -> Result<(), u32> {
    let user = match rustix::net::sockopt::socket_peercred(stream) {
        Ok(credentials) => credentials.uid,
        Err(_) => return Err(u32::MAX),
    };
    if user.is_root() || user == rustix::process::geteuid() { Ok(()) } else { Err(user.as_raw()) }
}

/// Accepts every client: the mode of the socket's file keeps others out.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn check_user(_: &UnixStream) -> Result<(), u32> {
    Ok(())
}

/// Tells a client why it is not served. It is closed then.
fn refuse(stream: &UnixStream, why: &str) {
    let line = BridgeLine::Invalid { line: "", message: why }.text() + "\n";
    // A new socket takes a short line at once.
    let _ = stream.set_nonblocking(true);
    let _ = (&mut &*stream).write(line.as_bytes());
}
