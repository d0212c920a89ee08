//! An HTTP server with scripted answers, valid or not.
#![allow(dead_code)] // Each test file uses a part of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method and target.
    pub(crate) line: String,
    /// Headers, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the target without its query.
    pub(crate) fn path(&self) -> &str {
        let target = self.line.split(' ').nth(1).unwrap_or_default();
        target.split('?').next().unwrap_or_default()
    }
}

/// Answer to a request.
pub(crate) enum Answer {
    /// These bytes, and then the end.
    Raw(Vec<u8>),
    /// No answer, until the client closes.
    Hang,
}

/// Returns an answer with a body.
pub(crate) fn answer(status: u16, body: impl AsRef<[u8]>) -> Answer {
    answer_with(status, "", body)
}

/// Returns an answer with further header lines, each with its line end.
pub(crate) fn answer_with(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    Answer::Raw([head.as_bytes(), body].concat())
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Receiver<Request>,
}

impl Server {
    /// Starts a server that handles one connection at a time, until the test ends.
    pub(crate) fn start(answers: impl Fn(&Request) -> Answer + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A broken connection is the client's affair.
                let _ = stream.map(|stream| serve(stream, &sender, &answers));
            }
        });
        Server { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns all requests so far.
    pub(crate) fn came(&self) -> Vec<Request> {
        self.seen.try_iter().collect()
    }
}

fn serve(
    stream: TcpStream,
    seen: &Sender<Request>,
    answers: &impl Fn(&Request) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { line: line.trim().to_owned(), headers, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.by_ref().take(length).read_to_string(&mut request.body)?;
    let answer = answers(&request);
    let _ = seen.send(request);
    match answer {
        Answer::Raw(bytes) => (&stream).write_all(&bytes),
        Answer::Hang => reader.read_to_end(&mut Vec::new()).map(drop),
    }
}
