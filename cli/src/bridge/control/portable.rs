//! Control socket on systems without Unix sockets: there is none.

use crate::bridge::control::{ControlMonitor, ControlSettings};
use crate::bridge::execution::OpContext;
use crate::signals::Shutdown;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Control socket, which cannot exist.
#[derive(Debug)]
pub(crate) struct ControlSocket(Infallible);

impl ControlSocket {
    /// Returns an error that says that there are no Unix sockets.
    pub(crate) fn bind(path: &Path, _: ControlSettings) -> Result<ControlSocket, String> {
        Err(format!("--control {}: this system has no Unix sockets; leave the flag out", path.display()))
    }

    pub(crate) fn monitor(&self) -> Arc<ControlMonitor> {
        match self.0 {}
    }
}

/// Server of a control socket, which cannot exist.
#[derive(Debug)]
pub(crate) struct ControlServer(Infallible);

impl ControlServer {
    pub(super) fn start(socket: ControlSocket, _: OpContext, _: Shutdown) -> io::Result<ControlServer> {
        match socket.0 {}
    }

    pub(crate) async fn finish(self) {
        match self.0 {}
    }
}

pub(crate) fn remove_socket() {}
