//! Signals: SIGINT, SIGTERM and SIGHUP stop the program gracefully, SIGUSR1 and SIGCONT wake a gateway that sleeps, and
//! SIGXFSZ becomes an error of the write.

use futures_channel::oneshot;
use futures_util::future::Shared;
use futures_util::{FutureExt, TryFutureExt};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Request to stop, shared by all clones.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    /// Sender of the reason; `None` once it is used.
    trigger: Arc<Mutex<Option<oneshot::Sender<&'static str>>>>,
    /// Reason, once it is sent.
    triggered: Shared<oneshot::Receiver<&'static str>>,
}

impl Shutdown {
    /// Creates a request that is not triggered.
    pub(crate) fn new() -> Shutdown {
        let (sender, receiver) = oneshot::channel();
        Shutdown { trigger: Arc::new(Mutex::new(Some(sender))), triggered: receiver.shared() }
    }

    /// Requests to stop. `reason` is a text for people, as in `SIGTERM`. Only the first call counts.
    pub(crate) fn trigger(&self, reason: &'static str) {
        let sender = self.trigger.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The lock is released here: sending wakes tasks, which may trigger, too.
        if let Some(sender) = sender {
            let _ = sender.send(reason);
        }
    }

    /// Waits for the request to stop, and returns its reason. Cancel-safe; any number may wait.
    pub(crate) fn triggered(&self) -> impl Future<Output = &'static str> + Send + use<> {
        // An error means that the sender was dropped without a request, so none can follow.
        self.triggered.clone().or_else(|_| pending::<Result<_, ()>>()).map(Result::unwrap_or_default)
    }
}

/// Triggers `shutdown` at the first SIGINT, SIGTERM or SIGHUP. At the second one, runs `before_exit` and exits with 1.
/// SIGHUP is left alone if it is ignored, as under `nohup`, or if that is unknown: see [`hangup_is_ignored`].
#[cfg(unix)]
pub(crate) fn watch(shutdown: Shutdown, before_exit: impl FnOnce() + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut watched = vec![SIGINT, SIGTERM];
    if !hangup_is_ignored() {
        watched.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(watched)?;
    let watch = move || {
        let mut signals = signals.forever();
        if let Some(signal) = signals.next() {
            shutdown.trigger(match signal {
                SIGINT => "SIGINT",
                SIGHUP => "SIGHUP",
                _ => "SIGTERM",
            });
        }
        if signals.next().is_some() {
            before_exit();
            std::process::exit(1);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map(drop)
}

#[cfg(not(unix))]
pub(crate) fn watch(_: Shutdown, _: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// Calls `wake` at each SIGUSR1 and SIGCONT, which wake a gateway that sleeps.
#[cfg(unix)]
pub(crate) fn watch_wakes(wake: impl Fn() + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGCONT, SIGUSR1};
    let mut signals = signal_hook::iterator::Signals::new([SIGUSR1, SIGCONT])?;
    let watch = move || signals.forever().for_each(|_| wake());
    std::thread::Builder::new().name("wakes".to_owned()).spawn(watch).map(drop)
}

#[cfg(not(unix))]
pub(crate) fn watch_wakes(_: impl Fn() + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// Makes a write beyond the file size limit (`ulimit -f`) an error instead of a fatal signal. Children are not affected: a
/// handler, unlike an ignored signal, is not inherited.
#[cfg(unix)]
pub(crate) fn report_file_limits() {
    // This fails on systems without this signal.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

#[cfg(not(unix))]
pub(crate) fn report_file_limits() {}

/// Returns the signals that the program ignores, which it inherited, as under `nohup`; `None` if they are unknown. Only
/// Linux reports them without unsafe calls.
#[cfg(unix)]
pub(crate) fn ignored() -> Option<Vec<i32>> {
    ignored_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Returns true if SIGHUP is ignored, or if that is unknown. Such a SIGHUP must not be watched: a handler would undo
/// `nohup`. If it is not ignored after all, it ends the program at once.
#[cfg(unix)]
pub(crate) fn hangup_is_ignored() -> bool {
    ignored().is_none_or(|ignored| ignored.contains(&signal_hook::consts::SIGHUP))
}

/// Reads the ignored signals from the text of `/proc/PID/status`.
#[cfg(unix)]
fn ignored_in(status: &str) -> Option<Vec<i32>> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some((1..=64).filter(|signal| mask >> (signal - 1) & 1 == 1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts_and_reaches_every_waiter() {
        let shutdown = Shutdown::new();
        let early = shutdown.triggered();
        shutdown.clone().trigger("SIGTERM");
        shutdown.trigger("SIGINT");
        assert_eq!(smol::block_on(early), "SIGTERM");
        assert_eq!(smol::block_on(shutdown.triggered()), "SIGTERM");
    }

    #[test]
    fn a_trigger_from_another_thread_wakes_the_waiter() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        let thread = std::thread::spawn(move || other.trigger("SIGINT"));
        assert_eq!(smol::block_on(shutdown.triggered()), "SIGINT");
        thread.join().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
        assert_eq!(ignored_in(status), Some(vec![1, 2, 13]));
        assert_eq!(ignored_in("Name:\tx\n"), None);
    }
}
