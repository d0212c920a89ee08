//! Limits and costs of a process, by its operating system.

use std::io;
use std::time::Duration;

/// Returns the time that all threads of this process have spent on a processor.
///
/// # Errors
/// The system does not tell it.
#[cfg(unix)]
pub fn cpu_time() -> io::Result<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).map_err(io::Error::other)
}

/// Fails: the time on a processor is measured on Unix only.
#[cfg(not(unix))]
pub fn cpu_time() -> io::Result<Duration> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "time on a processor is measured on Unix only"))
}

/// Returns the resident memory of this process, in KiB.
///
/// # Errors
/// The system is not Linux.
pub fn resident_kib() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    parse_resident(&status).ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))
}

/// Reads the resident memory from the `status` of a process.
fn parse_resident(status: &str) -> Option<u64> {
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    size.trim().strip_suffix(" kB")?.parse().ok()
}

/// Raises the number of files that this process may open, to at least `count` connections and some others.
///
/// # Errors
/// The user may not raise it so far.
#[cfg(unix)]
pub fn allow_connections(count: usize) -> io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let needed = count as u64 + 64;
    let mut limit = getrlimit(Resource::Nofile);
    // No limit is `None`.
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit).map_err(|error| {
            io::Error::other(format!("{needed} files cannot be opened: {error}: raise `ulimit -Hn`"))
        })?;
    }
    Ok(())
}

/// Does nothing: the limit is one of Unix.
#[cfg(not(unix))]
pub fn allow_connections(_count: usize) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_a_line_of_the_status() {
        let status = "Name:\trelayline\nVmHWM:\t   12344 kB\nVmRSS:\t    9876 kB\nThreads:\t3\n";
        assert_eq!(parse_resident(status), Some(9876));
        for other in ["", "VmRSS:\n", "VmRSS:\t9876\n", "RssAnon:\t9876 kB\n"] {
            assert_eq!(parse_resident(other), None, "{other:?}");
        }
    }
}
