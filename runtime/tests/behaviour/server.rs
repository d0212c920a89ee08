//! A server with scripted replies that records its requests.

use super::SOON;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

/// Reply to one connection after its request was read.
pub(crate) enum Reply {
    /// Sends these bytes and closes.
    Close(Vec<u8>),
    /// Sends these bytes, and then nothing until the peer closes.
    Hang(Vec<u8>),
    /// Sends these bytes as soon as the request's head was read. Reads the body until its end, or until the client
    /// gives up.
    Early(Vec<u8>),
    /// Sends these bytes before any request is read.
    Shout(Vec<u8>),
    /// Closes without reading or sending.
    Slam,
}

impl Reply {
    pub(crate) fn close(text: impl Into<String>) -> Reply {
        Reply::Close(text.into().into_bytes())
    }

    /// Returns a complete answer.
    pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
        Reply::Close([head.as_bytes(), body].concat())
    }
}

/// A received request.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    /// Returns the value of a header, by its name with the received case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heard: mpsc::Receiver<Heard>,
}

impl Server {
    /// Starts a server with one reply for each connection. Dials of a gateway are rejected. After the last reply it
    /// stops listening.
    pub(crate) fn start(replies: Vec<Reply>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for reply in replies {
                // Errors of the client's connection are ignored.
                while let Ok(Served::Gateway) | Err(_) = serve(listener.accept().unwrap().0, &reply, &sender)
                {
                }
            }
        });
        Server { address, heard }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    #[track_caller]
    pub(crate) fn heard(&self) -> Heard {
        self.heard.recv_timeout(SOON).expect("a request")
    }

    /// Returns true if nothing else was received after all replies were used.
    pub(crate) fn heard_nothing_more(&self) -> bool {
        self.heard.recv_timeout(SOON).is_err_and(|error| error == mpsc::RecvTimeoutError::Disconnected)
    }
}

/// Beginning of a gateway's dial.
const GATEWAY: &str = "GET /relay HTTP";

enum Served {
    Reply,
    Gateway,
}

fn serve(mut stream: TcpStream, reply: &Reply, sender: &mpsc::Sender<Heard>) -> std::io::Result<Served> {
    let (bytes, hangs) = match reply {
        Reply::Shout(bytes) => {
            stream.write_all(bytes)?;
            let _ = stream.read_to_end(&mut Vec::new());
            return Ok(Served::Reply);
        }
        Reply::Slam => return Ok(Served::Reply),
        Reply::Early(bytes) => {
            if read_head(&mut stream)?.starts_with(GATEWAY) {
                return Ok(Served::Gateway);
            }
            stream.write_all(bytes)?;
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
            return Ok(Served::Reply);
        }
        Reply::Close(bytes) => (bytes, false),
        Reply::Hang(bytes) => (bytes, true),
    };
    let heard = read_request(&mut stream)?;
    if heard.head.starts_with(GATEWAY) {
        return Ok(Served::Gateway);
    }
    let _ = sender.send(heard);
    if stream.write_all(bytes).is_ok() && hangs {
        let _ = stream.read_to_end(&mut Vec::new());
    }
    Ok(Served::Reply)
}

/// Reads one request, as far as it arrives.
pub(crate) fn read_request(stream: &mut TcpStream) -> std::io::Result<Heard> {
    let head = read_head(stream)?;
    let mut heard = Heard { head, body: Vec::new() };
    let length = heard.header("content-length").map_or(0, |length| length.parse().unwrap());
    stream.take(length).read_to_end(&mut heard.body)?;
    Ok(heard)
}

/// Reads everything up to the empty line, and no byte more.
pub(crate) fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).unwrap())
}
