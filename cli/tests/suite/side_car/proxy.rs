//! A TCP proxy that can go silent: it then forwards nothing and closes nothing.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Proxy to one address.
pub(crate) struct Proxy {
    addr: SocketAddr,
    pairs: Arc<Mutex<Vec<Pair>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

/// One connection and its other half.
struct Pair {
    quiet: Arc<AtomicBool>,
    sockets: [TcpStream; 2],
}

impl Proxy {
    pub(crate) fn start(to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let pairs = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::clone(&pairs);
        let answers = Arc::new(Mutex::new(VecDeque::<String>::new()));
        let own = Arc::clone(&answers);
        std::thread::spawn(move || {
            for mut inner in listener.incoming().map_while(Result::ok) {
                if let Some(answer) = own.lock().unwrap().pop_front() {
                    let mut head = BufReader::new(&inner).lines().map_while(Result::ok);
                    assert!(head.any(|line| line.is_empty()), "a request");
                    inner.write_all(answer.as_bytes()).unwrap();
                    continue;
                }
                let Ok(outer) = TcpStream::connect(to) else { continue };
                for socket in [&inner, &outer] {
                    socket.set_nodelay(true).unwrap();
                }
                let quiet = Arc::new(AtomicBool::new(false));
                // A new connection forwards nothing until it can be silenced.
                let mut pairs = accepted.lock().unwrap();
                forward(&inner, &outer, &quiet);
                forward(&outer, &inner, &quiet);
                pairs.push(Pair { quiet, sockets: [inner, outer] });
            }
        });
        Proxy { addr, pairs, answers }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// Answers the next connections itself, one answer for each.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = String>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Stops forwarding on the open connections, without closing them. Later connections are forwarded.
    pub(crate) fn go_quiet(&self) {
        for pair in self.pairs.lock().unwrap().iter() {
            pair.quiet.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for pair in self.pairs.lock().unwrap().iter() {
            for socket in &pair.sockets {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
    }
}

fn forward(from: &TcpStream, to: &TcpStream, quiet: &Arc<AtomicBool>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let quiet = Arc::clone(quiet);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if !quiet.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The end of a connection is forwarded, unless the proxy is silent.
        if !quiet.load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Both);
        }
    });
}
