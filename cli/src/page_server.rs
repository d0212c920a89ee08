//! Server of the program's own pages, such as the inspector: an HTTP port for one user's browser on this machine.
//!
//! A page is a [`PageApp`]. Each is mounted at a path that ends with `/`, and its page addresses everything relative to
//! that path:
//!
//! | request | response |
//! |---|---|
//! | `GET ?token=T` | 303 to the page, with the cookie; `T` is the token of the printed URL |
//! | `GET ` (the path alone) | the page |
//! | `GET session` | `{"token": …}`, the token of actions |
//! | `GET events` | server-sent events: first `reset` with the app's [`Snapshot`], then those of its [`EventLog`]; `?last=ID` or `Last-Event-ID` continues after an event |
//! | `POST action` | the app's result for a JSON body; needs `Content-Type: application/json` and the token of actions in the header `X-Relayline-Token` |
//! | `GET files/NAME` | a file of the app |
//!
//! All but the first need the cookie. `Host` must name this port by an address or as `localhost`, so that a name that an
//! attacker points to this machine does not reach it. An `Origin` must be the page's own; an action must have one.
//! The cookie alone allows no action, and the tokens are compared in constant time.
//!
//! The server has a thread and a runtime of its own, so that a page never delays a gateway.

mod access;
mod answer;
mod event_log;
mod event_stream;
#[cfg(test)]
mod tests;

pub(crate) use event_log::{EventLog, EventLogLimits};

use crate::gateway::RuntimeName;
use access::Access;
use answer::Site;
use futures_channel::oneshot;
use futures_util::FutureExt;
use hyper::body::Bytes;
use relayline_runtime::serve::{Bounds, Server};
use relayline_runtime::{CurrentRuntime, Runtime};
use relayline_smol::Smol;
use relayline_tokio::Tokio;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::future::ready;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Maximum number of connections. Each page has one for its events, and a browser opens few others.
const CLIENTS: usize = 64;

/// A page, its events, its actions and its files.
///
/// All methods are called on the thread of the server. They must not block.
pub(crate) trait PageApp: Send + Sync + 'static {
    /// Returns the HTML. The policy of its `<meta http-equiv="Content-Security-Policy">` becomes the header, too. It must
    /// have `connect-src 'self'`.
    fn page(&self) -> Cow<'_, str>;

    /// Returns the log of its events.
    fn events(&self) -> &EventLog;

    /// Returns the state from which a page continues with events.
    fn snapshot(&self) -> Snapshot;

    /// Performs an action. Returns its result as JSON.
    ///
    /// # Errors
    /// The action cannot be performed: a text for the user, which the page gets with status 400.
    fn act(&self, action: Value) -> Result<Value, String>;

    /// Returns the file with this name. The name is percent-decoded by the app, if it has such names.
    fn file(&self, name: &str) -> Option<PageFile> {
        let _ = name;
        None
    }

    /// Returns the maximum size of an action in bytes.
    fn max_action_bytes(&self) -> usize {
        64 << 10
    }
}

/// State of an app, and the first event that it does not contain.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Id of the next event, of [`EventLog::first`] or [`EventLog::next`]. Take it while no event can be published that
    /// `data` has already.
    pub(crate) next: u64,
    /// Data of the event `reset`.
    pub(crate) data: Value,
}

/// File of an app.
#[derive(Clone, Debug)]
pub(crate) struct PageFile {
    pub(crate) content_type: Cow<'static, str>,
    /// Name under which the browser saves the file; `None` if the page shows it.
    pub(crate) save_as: Option<String>,
    pub(crate) bytes: Bytes,
}

/// Parses the address of a page.
pub(crate) fn page_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|error| format!("{error}: write IP:PORT, as in 127.0.0.1:7070; port 0 takes a free one"))
}

/// Permission to listen on an address that other machines reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RemoteAccess {
    Allowed,
    /// This flag allows it, and is not given.
    NeedsFlag(&'static str),
    Never,
}

/// Error returned when a page cannot be served.
#[derive(Debug)]
pub(crate) enum PageError {
    /// Other machines reach the address, and that is not allowed.
    Remote { flag: &'static str, address: SocketAddr, access: RemoteAccess },
    /// The port cannot be opened.
    Listen { flag: &'static str, address: SocketAddr, error: io::Error },
    /// The system has no randomness.
    NoRandomness(getrandom::Error),
}

impl PageError {
    /// Returns the exit code of the program.
    pub(crate) fn code(&self) -> u8 {
        if matches!(self, PageError::Remote { .. }) { 2 } else { 1 }
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PageError::Remote { flag, address, access } => {
                write!(
                    f,
                    "{flag} {address}: other machines could reach the page, which is not encrypted: name a loopback address, \
                     as in 127.0.0.1:7070"
                )?;
                match access {
                    RemoteAccess::NeedsFlag(name) => write!(f, ", or add {name}"),
                    RemoteAccess::Allowed | RemoteAccess::Never => Ok(()),
                }
            }
            PageError::Listen { flag, address, error } => write!(
                f,
                "{flag} {address}: {error}; name an address of this machine and a free port, as in 127.0.0.1:7070"
            ),
            PageError::NoRandomness(error) => write!(f, "no token for the page: {error}"),
        }
    }
}

/// Open port of pages that are not served yet.
pub(crate) struct PagePort {
    listener: TcpListener,
    access: Access,
}

impl fmt::Debug for PagePort {
    /// Prints no token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagePort").finish_non_exhaustive()
    }
}

impl PagePort {
    /// Opens the port that `flag` names.
    ///
    /// # Errors
    /// Other machines reach the address without permission, the port cannot be opened, or the system has no randomness.
    pub(crate) fn open(
        flag: &'static str,
        address: SocketAddr,
        access: RemoteAccess,
    ) -> Result<PagePort, PageError> {
        let is_remote = !address.ip().is_loopback();
        if is_remote && !matches!(access, RemoteAccess::Allowed) {
            return Err(PageError::Remote { flag, address, access });
        }
        let failed = |error| PageError::Listen { flag, address, error };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let access = Access::new(address, is_remote).map_err(PageError::NoRandomness)?;
        Ok(PagePort { listener, access })
    }

    /// Returns the URL of the page at a mount, with the token that lets a browser in. Show it to the user only.
    pub(crate) fn url(&self, mount: &str) -> String {
        let address = self.access.address();
        let ip = match address.ip() {
            // A browser on this machine reaches an unspecified address by loopback.
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}{mount}?token={}", SocketAddr::new(ip, address.port()), self.access.entry_token())
    }

    /// Serves pages, each at its mount: a path that begins and ends with `/`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn serve(
        self,
        runtime: RuntimeName,
        apps: Vec<(&'static str, Arc<dyn PageApp>)>,
    ) -> io::Result<PageServer> {
        let (stop, stopped) = oneshot::channel::<()>();
        let PagePort { listener, access } = self;
        let serving = apps.clone();
        let job = move || {
            let served = runtime.run(|| async move {
                match runtime {
                    RuntimeName::Tokio => run(Tokio::current()?, listener, access, serving, stopped).await,
                    RuntimeName::Smol => run(Smol::current()?, listener, access, serving, stopped).await,
                }
            });
            if let Err(error) = served {
                tracing::error!(%error, "page_server_failed");
            }
        };
        let thread = std::thread::Builder::new().name("pages".to_owned()).spawn(job)?;
        Ok(PageServer { apps, stop: Some(stop), thread: Some(thread) })
    }
}

/// Serves pages until `stopped` resolves.
async fn run<R: Runtime>(
    runtime: R,
    listener: TcpListener,
    access: Access,
    apps: Vec<(&'static str, Arc<dyn PageApp>)>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let port = runtime.listen(listener)?;
    let bounds = Bounds { clients: CLIENTS, ..Bounds::default() };
    let server = Server::new(runtime.clone(), bounds, Arc::default());
    let site = Site::new(runtime, access, apps);
    let answer = |request| site.answer(request);
    server.serve(port, |tcp| ready(Some(tcp)), answer, stopped.map(drop)).await;
    Ok(())
}

/// Pages that are served. Dropping it ends their event streams and closes the port.
pub(crate) struct PageServer {
    apps: Vec<(&'static str, Arc<dyn PageApp>)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for PageServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageServer").finish_non_exhaustive()
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        for (_, app) in &self.apps {
            app.events().close();
        }
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic.
            let _ = thread.join();
        }
    }
}
