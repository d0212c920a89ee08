//! TCP proxy that can cut its connections, and can lose what the servers say.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Running proxy. Its threads end with their connections, or with the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// True while nothing passes: what arrives is dropped, and no connection is closed.
    is_cut: AtomicBool,
    /// True while nothing from the servers passes.
    is_mute: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Starts a proxy to a port of this machine.
    pub(crate) fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
                let both = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                shared.connections.lock().unwrap().extend(both);
                let (a, b) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (up, down) = (Arc::clone(&shared), Arc::clone(&shared));
                thread::spawn(move || pump(a, b, || up.is_cut.load(Ordering::SeqCst)));
                thread::spawn(move || {
                    pump(server, client, || {
                        down.is_cut.load(Ordering::SeqCst) || down.is_mute.load(Ordering::SeqCst)
                    });
                });
            }
        });
        Proxy { port, state }
    }

    /// Lets nothing through, as a network that drops every packet.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
    }

    /// Loses what the servers say.
    pub(crate) fn mute(&self) {
        self.state.is_mute.store(true, Ordering::SeqCst);
    }

    /// Lets everything through again. Connections that have lost something are closed.
    pub(crate) fn restore(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
        self.state.is_mute.store(false, Ordering::SeqCst);
        for connection in self.state.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, is_lost: impl Fn() -> bool) {
    let mut buffer = [0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 {
            break;
        }
        if !is_lost() && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
