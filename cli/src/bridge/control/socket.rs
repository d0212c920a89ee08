//! The socket's file: created for its user alone, replaced if nobody listens, and removed at the end.

use super::{ControlMonitor, ControlSettings};
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use rustix::process::umask;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bits of a mode that the socket's file does not have.
const NOT_OURS: u32 = 0o177;
/// Maximum time to wait for another gateway that is binding a socket in the same folder.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Socket of this process, to be removed at its end.
static BOUND: Mutex<Option<SocketFile>> = Mutex::new(None);

/// File of a socket that this process has created.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn find(path: &Path) -> io::Result<SocketFile> {
        let found = fs::symlink_metadata(path)?;
        if !found.file_type().is_socket() || found.mode() & NOT_OURS != 0 {
            return Err(io::Error::other("its file system does not keep the mode 0600; name another folder"));
        }
        Ok(SocketFile { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    /// Removes the file if it is still this one.
    fn remove(&self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "control_socket_not_removed");
        }
    }
}

/// Removes the socket of this process, if there is one and it was not replaced.
pub(crate) fn remove_socket() {
    let bound = BOUND.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(file) = bound {
        file.remove();
    }
}

/// Bound control socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    pub(super) listener: UnixListener,
    pub(super) settings: ControlSettings,
    pub(super) path: PathBuf,
    pub(super) monitor: Arc<ControlMonitor>,
}

impl ControlSocket {
    /// Binds a path with mode 0600. Replaces the socket of a gateway that no longer runs.
    ///
    /// # Errors
    /// The path cannot be a socket's, it has another file, or somebody listens there. The text names the flag and the path.
    pub(crate) fn bind(path: &Path, settings: ControlSettings) -> Result<ControlSocket, String> {
        let wrong = |what: String| format!("--control {}: {what}", path.display());
        check_path(path).map_err(wrong)?;
        // The lock is held until the return: of two gateways that start at once, one sees the other's socket.
        let _lock = lock_folder(path).map_err(wrong)?;
        make_way(path).map_err(wrong)?;
        let bound = bind_privately(path);
        let listener = bound.map_err(|error| wrong(format!("{error}; name a path in a folder of yours")))?;
        let bound = SocketFile::find(path).and_then(|file| listener.set_nonblocking(true).map(|()| file));
        match bound {
            Ok(file) => *BOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(file),
            Err(error) => {
                let _ = fs::remove_file(path);
                return Err(wrong(error.to_string()));
            }
        }
        let monitor = Arc::new(ControlMonitor::new(settings.control_clients));
        Ok(ControlSocket { listener, settings, path: path.to_owned(), monitor })
    }

    /// Returns the monitor of its clients.
    pub(crate) fn monitor(&self) -> Arc<ControlMonitor> {
        self.monitor.clone()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        remove_socket();
    }
}

/// Binds the path. The socket's file has its mode from the first moment.
fn bind_privately(path: &Path) -> io::Result<UnixListener> {
    // The mask is that of the whole process. A file that another thread creates meanwhile is stricter than usual.
    let former = umask(Mode::from_raw_mode(NOT_OURS));
    let bound = UnixListener::bind(path);
    umask(former);
    bound
}

/// Checks that a path can be that of a socket.
fn check_path(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("the path is empty: name one, as in /run/user/1000/relayline.sock".to_owned());
    }
    let length = path.as_os_str().len();
    match SocketAddr::from_pathname(path) {
        Ok(_) => Ok(()),
        Err(_) if length > 100 => {
            Err(format!("the path is {length} bytes long, too long for a Unix socket: name a shorter one"))
        }
        Err(error) => Err(format!("{error}; name another path")),
    }
}

/// Locks the folder of a path. Without a lock after [`LOCK_WAIT`], or on a system without locks, it goes on: the lock only
/// orders gateways that start at once.
fn lock_folder(path: &Path) -> Result<Option<File>, String> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let file = match File::open(folder) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(format!("its folder {}: {error}; create it", folder.display())),
    };
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(()) => return Ok(Some(file)),
            Err(_) => return Ok(None),
        }
    }
}

/// Removes the socket of a gateway that no longer runs.
///
/// # Errors
/// Somebody listens there, or the file is not a socket.
fn make_way(path: &Path) -> Result<(), String> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{error}; name another path")),
    };
    if !found.file_type().is_socket() {
        return Err("there is a file that is not a socket: remove it, or name another path".to_owned());
    }
    match has_listener(path) {
        Ok(true) => Err("a gateway listens there already: stop it, or name another path".to_owned()),
        Ok(false) => {
            fs::remove_file(path).map_err(|error| format!("its old socket cannot be removed: {error}"))
        }
        Err(error) => {
            Err(format!("there is a socket of another program or user: {error}; name another path"))
        }
    }
}

/// Returns true if a process listens on the socket of a path. Does not wait: the process may not accept clients.
fn has_listener(path: &Path) -> Result<bool, Errno> {
    match connect_socket(path) {
        Ok(_) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Connects to the socket of a path without waiting.
///
/// # Errors
/// `AGAIN`: too many clients wait to be accepted. `CONNREFUSED`: nobody listens.
pub(crate) fn connect_socket(path: &Path) -> Result<UnixStream, Errno> {
    let client = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&client, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&client, true)?;
    match connect(&client, &SocketAddrUnix::new(path)?) {
        Err(Errno::INPROGRESS) => return Err(Errno::AGAIN),
        connected => connected?,
    }
    ioctl_fionbio(&client, false)?;
    Ok(UnixStream::from(client))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn only_the_socket_of_a_dead_gateway_makes_way() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "mine").unwrap();
        drop(UnixListener::bind(at("stale")).unwrap());
        symlink(at("stale"), at("link")).unwrap();
        let _datagram = UnixDatagram::bind(at("datagram")).unwrap();
        let _living = UnixListener::bind(at("living")).unwrap();
        for (name, words) in [
            ("file", "not a socket"),
            ("link", "not a socket"),
            (".", "not a socket"),
            ("datagram", "a socket of another program"),
            ("living", "a gateway listens there already"),
        ] {
            let refused = make_way(&at(name)).unwrap_err();
            assert!(refused.contains(words), "{name}: {refused}");
        }
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "mine");
        assert!(
            ["link", "stale", "datagram", "living"].iter().all(|name| at(name).symlink_metadata().is_ok())
        );
        assert_eq!((make_way(&at("stale")), make_way(&at("nothing"))), (Ok(()), Ok(())));
        assert!(!at("stale").exists());
    }

    /// A gateway that is too busy to accept clients is not dead.
    #[test]
    fn a_full_backlog_is_a_living_gateway() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _living = UnixListener::bind(&path).unwrap();
        let mut clients = Vec::new();
        loop {
            match connect_socket(&path) {
                Ok(client) => clients.push(client),
                Err(error) => break assert_eq!(error, Errno::AGAIN),
            }
            assert!(clients.len() < 100_000, "the backlog has an end");
        }
        assert_eq!(has_listener(&path), Ok(true));
    }

    #[test]
    fn a_path_that_cannot_be_a_sockets_is_an_error() {
        let long = format!("/tmp/{}", "x".repeat(200));
        for (path, words) in
            [("", "the path is empty"), (long.as_str(), "205 bytes long"), ("a\0b", "name another path")]
        {
            let refused = check_path(Path::new(path)).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
        let missing = lock_folder(Path::new("/nowhere/s")).unwrap_err();
        assert!(missing.contains("its folder /nowhere") && missing.contains("create it"), "{missing}");
    }

    /// A gateway that starts waits for one that is binding its socket in the same folder.
    #[test]
    fn a_folder_is_locked_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let first = lock_folder(&path).unwrap().unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || lock_folder(&path).unwrap().is_some()
        });
        let other = File::open(folder.path()).unwrap();
        assert_eq!(flock(&other, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
        drop(first);
        assert!(waiting.join().unwrap());
    }
}
