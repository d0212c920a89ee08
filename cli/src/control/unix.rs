//! Connection to a control socket: a Unix socket with deadlines.

use crate::bridge::connect_socket;
use rustix::io::Errno;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Maximum length of a line of the gateway, in bytes. A status with all descriptors is far smaller.
const MAX_LINE: u64 = 64 << 20;
/// Time between two attempts to connect to a gateway that has too many clients waiting.
const RETRY: Duration = Duration::from_millis(20);

/// Connected socket.
pub(super) struct Socket(BufReader<UnixStream>);

impl Socket {
    /// Connects to a path.
    ///
    /// # Errors
    /// No gateway listens there, or one of another user. The text says what to do.
    pub(super) fn connect(path: &Path, deadline: Instant) -> Result<Socket, String> {
        let path_text = path.display();
        loop {
            match connect_socket(path) {
                Ok(stream) => {
                    check_owner(&stream).map_err(|why| format!("the gateway at {path_text}: {why}"))?;
                    return Ok(Socket(BufReader::new(stream)));
                }
                Err(Errno::AGAIN) if Instant::now() + RETRY < deadline => std::thread::sleep(RETRY),
                Err(Errno::NOENT) => {
                    return Err(format!(
                        "no gateway listens at {path_text}: there is no such file; start one with relayline run --control"
                    ));
                }
                Err(Errno::CONNREFUSED) => {
                    return Err(format!(
                        "no gateway listens at {path_text}: the one that did has ended; start it again"
                    ));
                }
                Err(Errno::AGAIN) => {
                    return Err(format!("the gateway at {path_text} accepts no client: it is too busy"));
                }
                Err(error) => {
                    return Err(format!(
                        "the control socket {path_text}: {}; name that of a gateway of yours",
                        io::Error::from(error)
                    ));
                }
            }
        }
    }

    /// Writes bytes.
    pub(super) fn write(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        self.0.get_ref().set_write_timeout(Some(remaining(deadline)?))?;
        self.0.get_mut().write_all(bytes)
    }

    /// Reads a line; `None` at the end. A time-out is an error of the kind `TimedOut`.
    pub(super) fn read_line(&mut self, deadline: Instant) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            self.0.get_ref().set_read_timeout(Some(remaining(deadline)?))?;
            let room = MAX_LINE - line.len() as u64;
            match self.0.by_ref().take(room).read_until(b'\n', &mut line) {
                Ok(0) if room == 0 => return Err(io::Error::other("its line has no end")),
                Ok(_) if line.ends_with(b"\n") => {
                    return String::from_utf8(line).map(Some).map_err(io::Error::other);
                }
                Ok(0) => return Ok(None),
                // The limit, or the end within a line: the next read finds out.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Returns the time until a deadline.
fn remaining(deadline: Instant) -> io::Result<Duration> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    if remaining.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(remaining) }
}

/// Checks that a gateway has the user of this process, or is root's: somebody else could have put a socket there, to read
/// what is sent. Root may use any gateway.
///
/// # Errors
/// Returns a text that says whose it is.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn check_owner(stream: &UnixStream) -> Result<(), String> {
    let own = rustix::process::geteuid();
    let peer = rustix::net::sockopt::socket_peercred(stream).map_err(|error| error.to_string())?.uid;
    if own.is_root() || peer.is_root() || peer == own {
        return Ok(());
    }
    Err(format!("it is the one of the user {}; name that of a gateway of yours", peer.as_raw()))
}

/// Accepts every gateway: there is no way to ask without unsafe code.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn check_owner(_: &UnixStream) -> Result<(), String> {
    Ok(())
}
