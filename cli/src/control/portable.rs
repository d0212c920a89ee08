//! Connection to a control socket on systems without Unix sockets: there is none.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Instant;

/// Connected socket, which cannot exist.
pub(super) struct Socket(Infallible);

impl Socket {
    /// Returns an error that says that there are no Unix sockets.
    pub(super) fn connect(path: &Path, _: Instant) -> Result<Socket, String> {
        Err(format!("--control {}: this system has no Unix sockets", path.display()))
    }

    pub(super) fn write(&mut self, _: &[u8], _: Instant) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn read_line(&mut self, _: Instant) -> io::Result<Option<String>> {
        match self.0 {}
    }
}
