//! Wiring from a gateway to a socket controlled by the test, for each kind of wire.

use super::authority::NOW;
use super::stage::AUTHORITY;
use super::{SOON, Wire};
use relayline_connector::{DuplexStream, ServerTls};
use std::io;
use std::net::{SocketAddr, TcpListener};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, duplex, split};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// Wiring to a listener, over one kind of wire.
pub(crate) struct Wiring {
    pub(crate) wire: Wire,
    pub(crate) url: String,
    /// Receives the far ends of connections in memory.
    far: UnboundedSender<DuplexStream>,
}

impl Wiring {
    pub(crate) fn to(wire: Wire, address: SocketAddr) -> Wiring {
        let (far, mut ends) = unbounded_channel();
        let url = match wire {
            Wire::Tcp => format!("ws://{address}"),
            Wire::Tls => format!("wss://{}", terminate(AUTHORITY.server("127.0.0.1", NOW), address)),
            Wire::Memory => {
                in_background(async move {
                    let mut links = JoinSet::new();
                    while let Some(end) = ends.recv().await {
                        links.spawn(link(end, address));
                    }
                    // Connections may outlive the wiring.
                    links.join_all().await;
                });
                format!("ws://{address}")
            }
        };
        Wiring { wire, url, far }
    }

    /// Returns a function that opens a connection in memory and returns its near end.
    pub(crate) fn opener(&self) -> impl Fn() -> Option<DuplexStream> + Send + Sync + use<> {
        let far = self.far.clone();
        move || {
            let (near, end) = duplex(8 << 10);
            far.send(end).ok().map(|()| near)
        }
    }
}

/// Opens a TLS port that forwards to `target` without TLS.
fn terminate(tls: ServerTls, target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    in_background(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut links = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            links.spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    link(stream, target).await;
                }
            });
        }
    });
    address
}

/// Copies bytes until both sides are done. The end of one direction does not cut off the other.
async fn link(near: impl AsyncRead + AsyncWrite, target: SocketAddr) {
    let far = tokio::time::timeout(SOON, TcpStream::connect(target)).await;
    let Ok(Ok(far)) = far else { return };
    let ((mut near_out, mut near_in), (mut far_out, mut far_in)) = (split(near), split(far));
    let there = async {
        let _ = copy(&mut near_out, &mut far_in).await;
        let _ = far_in.shutdown().await;
    };
    let back = async {
        let _ = copy(&mut far_out, &mut near_in).await;
        let _ = near_in.shutdown().await;
    };
    tokio::join!(there, back);
}

/// Runs a task on a thread of its own, which ends with the task or with the test.
fn in_background(task: impl Future<Output = ()> + Send + 'static) {
    let runtime: io::Result<_> = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap();
    std::thread::spawn(move || runtime.block_on(task));
}
