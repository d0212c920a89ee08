//! A workbench that is served: the thread that observes the connector, and the page's port.

use super::{RestartAgent, WorkbenchPage};
use crate::connector::inspected;
use crate::gateway::RuntimeName;
use crate::inspector::{Inspector, InspectorPort};
use crate::page_server::{PagePort, RemoteAccess};
use crate::{browser, complain, print};
use relayline_connector::EmbeddedConnector;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Place of the inspector beside the workbench.
const FRAMES: &str = "/frames/";
/// Maximum time between two looks at the connector's buffer.
const REFRESH: Duration = Duration::from_millis(250);

/// A workbench that is served. Dropping it closes the page's port, and the connector's unless another holds it.
#[derive(Debug)]
pub(crate) struct WorkbenchServer {
    page: Arc<WorkbenchPage>,
    url: String,
    server: Option<Inspector>,
    is_over: Arc<AtomicBool>,
    observer: Option<JoinHandle<()>>,
}

/// Parts of a workbench.
pub(crate) struct WorkbenchParts {
    /// Address of the page, and the flag that names it.
    pub(crate) listen: SocketAddr,
    pub(crate) flag: &'static str,
    pub(crate) runtime: RuntimeName,
    /// A connector that observes its output.
    pub(crate) connector: Arc<EmbeddedConnector>,
    /// Id of the gateway.
    pub(crate) gateway: &'static str,
    pub(crate) restart: Option<RestartAgent>,
}

impl WorkbenchServer {
    /// Serves the workbench of a connector, whose observations it takes.
    ///
    /// # Errors
    /// It cannot be served: the exit code, and the text for the user.
    pub(crate) fn start(parts: WorkbenchParts) -> Result<WorkbenchServer, (u8, String)> {
        let WorkbenchParts { listen, flag, runtime, connector, gateway, restart } = parts;
        let port = PagePort::open(flag, listen, RemoteAccess::Never);
        let port = port.map_err(|error| (error.code(), error.to_string()))?;
        let port = InspectorPort::on(port, false);
        connector.observe(port.observer());
        let url = port.url("/");
        let inspector = FRAMES.trim_start_matches('/');
        let page = Arc::new(WorkbenchPage::new(connector.clone(), Some(gateway), restart, inspector));
        let inspected = inspected(&connector, Vec::new());
        let is_over = Arc::new(AtomicBool::new(false));
        let (seen, over) = (page.clone(), is_over.clone());
        let observe = move || {
            while !over.load(Ordering::Relaxed) {
                match connector.next_observation(REFRESH) {
                    Some(observation) => seen.observe(&observation),
                    None => seen.refresh(),
                }
            }
        };
        let failed = |error: std::io::Error| (1, format!("the workbench cannot be served: {error}"));
        let observer = std::thread::Builder::new().name("workbench".to_owned()).spawn(observe);
        let observer = observer.map_err(failed)?;
        let server = port.start_beside(runtime, inspected, FRAMES, vec![("/", page.clone())]).map_err(failed);
        let mut served = WorkbenchServer { page, url, server: None, is_over, observer: Some(observer) };
        served.server = Some(server?);
        Ok(served)
    }

    pub(crate) fn page(&self) -> &Arc<WorkbenchPage> {
        &self.page
    }

    /// Prints the URL, which has the token that lets a browser in. Opens it in the browser if `opens` is true.
    ///
    /// # Errors
    /// stdout cannot be written: the exit code, after the error was printed.
    pub(crate) fn print_url(&self, opens: bool) -> Result<(), ExitCode> {
        if print(&self.url) != ExitCode::SUCCESS {
            return Err(ExitCode::from(1));
        }
        if opens && let Err(error) = browser::open(self.url.as_ref()) {
            complain(format_args!("{error}: open the URL above"));
        }
        Ok(())
    }
}

impl Drop for WorkbenchServer {
    fn drop(&mut self) {
        drop(self.server.take());
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(observer) = self.observer.take() {
            // The thread has printed its panic.
            let _ = observer.join();
        }
    }
}
