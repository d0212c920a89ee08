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

/// Returns the time that all threads of a child process have spent on a processor. The process has ended, and nobody has
/// waited for it.
///
/// # Errors
/// The system is not Linux.
#[cfg(unix)]
pub fn cpu_time_of_ended(process: u32) -> io::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let ticks = parse_cpu_ticks(&std::fs::read_to_string(&path)?)
        .ok_or_else(|| io::Error::other(format!("{path} has another form")))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Reads the time on a processor from the `stat` of a process: in the program, and in the kernel for it.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    // Fields before the name and its parenthesis do not matter. The name may have spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
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
    fn processor_time_follows_the_name() {
        let stat = "12 (relay) line (x)) Z 1 12 9 0 -1 4227084 300 0 2 0 1234 56 0 0 20 0 3 0 99 0 0";
        assert_eq!(parse_cpu_ticks(stat), Some(1290));
        for other in ["", "12 (relayline) Z 1 12", "12 relayline Z 1 12 9 0 -1 4227084 300 0 2 0 1234 56 0"] {
            assert_eq!(parse_cpu_ticks(other), None, "{other:?}");
        }
    }

    #[test]
    fn resident_memory_is_a_line_of_the_status() {
        let status = "Name:\trelayline\nVmHWM:\t   12344 kB\nVmRSS:\t    9876 kB\nThreads:\t3\n";
        assert_eq!(parse_resident(status), Some(9876));
        for other in ["", "VmRSS:\n", "VmRSS:\t9876\n", "RssAnon:\t9876 kB\n"] {
            assert_eq!(parse_resident(other), None, "{other:?}");
        }
    }
}
