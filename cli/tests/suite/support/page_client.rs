//! A browser's part of a page of the program: its cookie, its events and its actions.

use super::SOON;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// Client of a page.
pub(crate) struct PageClient {
    address: String,
    /// Path of the page.
    mount: String,
    cookie: String,
    token: String,
    events: Receiver<(String, Value)>,
}

/// Response of the program.
pub(crate) struct PageResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl PageClient {
    /// Opens the URL that the program has printed, and begins to read events.
    pub(crate) fn open(url: &str) -> PageClient {
        let (address, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (mount, _) = target.split_once('?').unwrap();
        let entered = request(address, &format!("GET /{target} HTTP/1.1"), "", "");
        assert_eq!(entered.status, 303, "{}", entered.head);
        let cookie = entered.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next().unwrap().to_owned())
        });
        let mut client = PageClient {
            address: address.to_owned(),
            mount: format!("/{mount}"),
            cookie: cookie.unwrap(),
            token: String::new(),
            events: channel().1,
        };
        let session: Value = serde_json::from_str(&client.get("session").body).unwrap();
        client.token = session["token"].as_str().unwrap().to_owned();
        client.events = client.events();
        client
    }

    /// Gets what is below the page.
    pub(crate) fn get(&self, path: &str) -> PageResponse {
        let cookie = format!("Cookie: {}\r\n", self.cookie);
        request(&self.address, &format!("GET {}{path} HTTP/1.1", self.mount), &cookie, "")
    }

    /// Posts an action.
    pub(crate) fn act(&self, action: &Value) -> PageResponse {
        let headers = format!(
            "Cookie: {}\r\nOrigin: http://{}\r\nContent-Type: application/json\r\nX-Relayline-Token: {}\r\n",
            self.cookie, self.address, self.token
        );
        request(&self.address, &format!("POST {}action HTTP/1.1", self.mount), &headers, &action.to_string())
    }

    /// Posts an action that must be carried out.
    #[track_caller]
    pub(crate) fn does(&self, action: &Value) {
        let response = self.act(action);
        assert_eq!(response.status, 200, "{action}: {}", response.body);
    }

    /// Waits for an event that is `wanted`, and returns its data.
    #[track_caller]
    pub(crate) fn sees(&self, what: &str, mut wanted: impl FnMut(&str, &Value) -> bool) -> Value {
        let until = Instant::now() + SOON;
        let mut last = Value::Null;
        while let Ok((name, data)) = self.events.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if wanted(&name, &data) {
                return data;
            }
            last = data;
        }
        panic!("the page does not see {what}; the last event: {last}");
    }

    /// Begins to read events: the name and the data of each.
    pub(crate) fn events(&self) -> Receiver<(String, Value)> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "GET {}events HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
            self.mount, self.address, self.cookie
        );
        stream.write_all(head.as_bytes()).unwrap();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            let mut name = String::new();
            // An event is written as one chunk, so its lines are whole.
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(of) = line.strip_prefix("event: ") {
                    of.clone_into(&mut name);
                } else if let Some(data) = line.strip_prefix("data: ")
                    && sender.send((name.clone(), serde_json::from_str(data).unwrap())).is_err()
                {
                    return;
                }
            }
        });
        events
    }
}

/// Sends a request on a connection of its own.
pub(crate) fn request(address: &str, line: &str, headers: &str, body: &str) -> PageResponse {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{line}\r\nHost: {address}\r\nConnection: close\r\n{headers}{length}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let response = String::from_utf8_lossy(&response);
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    PageResponse { status, head: head.to_owned(), body: body.to_owned() }
}
