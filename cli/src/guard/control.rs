//! Messages between the gateway and the guard, over a socket.

use rustix::io::{FdFlags, fcntl_setfd, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Order of the gateway, sent as one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// End the group step by step. The gateway closes the agent's input itself.
    End,
    /// Kill the group at once.
    Kill,
}

impl Order {
    fn byte(self) -> u8 {
        match self {
            Order::End => b'e',
            Order::Kill => b'k',
        }
    }
}

/// Report of the guard, sent as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Process id of the agent, which is also its group's.
    Started(i32),
    /// The agent could not be started: the system's error number, 0 if there is none.
    Failed(i32),
    /// The group has ended or is abandoned, with the wait status of the agent; `None` if the agent cannot be killed.
    Ended(Option<i32>),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Started(process) => write!(f, "started {process}"),
            Report::Failed(error) => write!(f, "failed {error}"),
            Report::Ended(Some(status)) => write!(f, "ended {status}"),
            Report::Ended(None) => f.write_str("ended"),
        }
    }
}

impl Report {
    /// Parses a line.
    pub(crate) fn parse(line: &str) -> Option<Report> {
        let (name, number) = match line.split_once(' ') {
            Some((name, number)) => (name, Some(number.parse().ok()?)),
            None => (line, None),
        };
        match (name, number) {
            ("started", Some(process)) => Some(Report::Started(process)),
            ("failed", Some(error)) => Some(Report::Failed(error)),
            ("ended", status) => Some(Report::Ended(status)),
            _ => None,
        }
    }
}

/// Sends an order.
pub(crate) fn send_order(mut socket: &UnixStream, order: Order) -> io::Result<()> {
    socket.write_all(&[order.byte()])
}

/// Reads the next order from a socket that is ready; `None` if the order is unknown or the read was interrupted.
///
/// # Errors
/// The gateway has closed the socket, or the read fails.
pub(super) fn read_order(socket: &mut UnixStream) -> io::Result<Option<Order>> {
    let mut byte = [0];
    match socket.read(&mut byte) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok([Order::End, Order::Kill].into_iter().find(|order| order.byte() == byte[0])),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends the agent's ends of its pipes: first its stdin, then its stdout.
pub(crate) fn send_pipes(socket: &UnixStream, pipes: [BorrowedFd<'_>; 2]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&pipes)) {
        return Err(io::Error::other("no room for two pipes"));
    }
    let sent = retry_on_intr(|| sendmsg(socket, &[IoSlice::new(b"p")], &mut ancillary, SendFlags::empty()))?;
    if sent == 1 { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
}

/// Receives the agent's ends of its pipes.
pub(super) fn receive_pipes(socket: &UnixStream) -> io::Result<[OwnedFd; 2]> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    retry_on_intr(|| recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::empty()))?;
    let pipes: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(pipes) => Some(pipes),
            _ => None,
        })
        .flatten()
        .collect();
    for pipe in &pipes {
        // The agent gets copies, as its stdin and stdout, and must not inherit these as well.
        fcntl_setfd(pipe, FdFlags::CLOEXEC)?;
    }
    pipes.try_into().map_err(|_| io::Error::other("the gateway ended before the agent was started"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for report in [
            Report::Started(17),
            Report::Failed(2),
            Report::Ended(Some(256)),
            Report::Ended(Some(9)),
            Report::Ended(None),
        ] {
            assert_eq!(Report::parse(&report.to_string()), Some(report));
        }
        for line in ["", "started", "started x", "failed", "ended x", "gone 1"] {
            assert_eq!(Report::parse(line), None, "{line}");
        }
    }
}
