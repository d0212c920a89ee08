//! Tests of the page server over real sockets, on both runtimes.

use super::event_log::EventLogStats;
use super::*;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Time limit of a read, long enough for a busy machine.
const SOON: Duration = Duration::from_secs(30);
const HTML: &str =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\"><p>the page</p>";

/// App that echoes actions, and has a small log.
struct Echo {
    log: EventLog,
}

impl PageApp for Echo {
    fn page(&self) -> Cow<'_, str> {
        HTML.into()
    }

    fn events(&self) -> &EventLog {
        &self.log
    }

    fn snapshot(&self) -> Snapshot {
        let next = self.log.first();
        Snapshot { next, data: json!({ "first": next }) }
    }

    fn act(&self, action: Value) -> Result<Value, String> {
        match action["do"].as_str() {
            Some("fail") => Err("it cannot be done".to_owned()),
            _ => Ok(action),
        }
    }

    fn file(&self, name: &str) -> Option<PageFile> {
        (name == "a.txt").then(|| PageFile {
            content_type: "text/plain".into(),
            save_as: Some("a\"\r\nb.txt".to_owned()),
            bytes: "content".into(),
        })
    }
}

/// A server with its tokens.
struct Served {
    _server: PageServer,
    echo: Arc<Echo>,
    address: SocketAddr,
    entry: String,
    cookie: String,
    token: String,
}

fn serve(runtime: RuntimeName, listen: &str) -> Served {
    let limits = EventLogLimits { events: 4, bytes: 1 << 20, clients: 2 };
    let echo = Arc::new(Echo { log: EventLog::new(limits) });
    let port = PagePort::open("--inspect", listen.parse().unwrap(), RemoteAccess::Allowed).unwrap();
    let address = port.access.address();
    let cookie = port.access.set_cookie();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let (entry, token) = (port.access.entry_token().to_owned(), port.access.action_token().to_owned());
    assert!(port.url("/").ends_with(&format!(":{}/?token={entry}", address.port())));
    let apps: Vec<(&str, Arc<dyn PageApp>)> = vec![("/", echo.clone()), ("/second/", echo.clone())];
    let _server = port.serve(runtime, apps).unwrap();
    Served { _server, echo, address, entry, cookie, token }
}

impl Served {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.address.port())).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// Sends a request with these headers, and returns the whole response.
    fn raw(&self, request: &str, headers: &[&str], body: &str) -> String {
        let mut stream = self.connect();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    fn host(&self) -> String {
        format!("Host: 127.0.0.1:{}", self.address.port())
    }

    fn origin(&self) -> String {
        format!("Origin: http://127.0.0.1:{}", self.address.port())
    }

    fn get(&self, path: &str) -> String {
        self.raw(&format!("GET {path}"), &[&self.host(), &format!("Cookie: a=b; {}", self.cookie)], "")
    }

    /// Opens the events, and returns the stream of lines after the head.
    fn events(&self, last: Option<u64>) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let text =
            format!("GET /events HTTP/1.1\r\n{}\r\nCookie: {}\r\n{last}\r\n", self.host(), self.cookie);
        stream.write_all(text.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        while !line(&mut lines).is_empty() {}
        lines
    }
}

fn line(lines: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    assert!(lines.read_line(&mut line).unwrap() > 0, "the stream has ended");
    line.trim_end().to_owned()
}

/// Returns the next event: its id, name and data. Skips the sizes of chunks.
fn next_event(lines: &mut BufReader<TcpStream>) -> (u64, String, String) {
    let mut id = None;
    loop {
        let line = line(lines);
        if let Some(text) = line.strip_prefix("id: ") {
            id = text.parse().ok();
        } else if let (Some(id), Some(name)) = (id, line.strip_prefix("event: ")) {
            let mut data = String::new();
            lines.read_line(&mut data).unwrap();
            return (id, name.to_owned(), data.trim_end().strip_prefix("data: ").unwrap().to_owned());
        }
    }
}

fn status(response: &str) -> u16 {
    response.split(' ').nth(1).unwrap().parse().unwrap()
}

fn on_both(test: impl Fn(Served)) {
    for runtime in [RuntimeName::Tokio, RuntimeName::Smol] {
        test(serve(runtime, "127.0.0.1:0"));
    }
}

#[test]
fn the_printed_url_sets_a_cookie_that_opens_the_page() {
    on_both(|served| {
        let response = served.raw(&format!("GET /?token={}", served.entry), &[&served.host()], "");
        assert_eq!(status(&response), 303, "{response}");
        let wanted = format!("set-cookie: {}; HttpOnly; SameSite=Strict; Path=/\r\n", served.cookie);
        assert!(response.contains(&wanted) && response.contains("location: /\r\n"), "{response}");
        assert!(served.cookie.starts_with(&format!("relayline-{}=", served.address.port())));
        let page = served.get("/");
        assert_eq!(status(&page), 200, "{page}");
        for header in [
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "x-frame-options: DENY",
        ] {
            assert!(page.contains(&format!("{header}\r\n")), "{header}: {page}");
        }
        assert!(page.ends_with(HTML), "{page}");
        // Each page is at its own mount.
        assert_eq!(status(&served.get("/second/")), 200);
        let response = served.raw(&format!("GET /second/?token={}", served.entry), &[&served.host()], "");
        assert!(response.contains("location: /second/\r\n"), "{response}");
    });
}

#[test]
fn without_the_cookie_there_is_nothing() {
    on_both(|served| {
        for path in ["/", "/session", "/events", "/files/a.txt", "/second/"] {
            let response = served.raw(&format!("GET {path}"), &[&served.host()], "");
            assert_eq!(status(&response), 401, "{response}");
            assert!(response.contains("the URL that relayline printed"), "{response}");
        }
        for cookie in
            ["relayline-1=x".to_owned(), format!("{}0", served.cookie), served.cookie[..20].to_owned()]
        {
            let response = served.raw("GET /", &[&served.host(), &format!("Cookie: {cookie}")], "");
            assert_eq!(status(&response), 401, "{response}");
        }
        for token in ["", "0", &served.token, &served.entry[1..]] {
            let cookie = format!("Cookie: {}", served.cookie);
            let response = served.raw(&format!("GET /?token={token}"), &[&served.host(), &cookie], "");
            assert_eq!(status(&response), 401, "{response}");
            assert!(!response.contains("set-cookie"), "{response}");
        }
    });
}

#[test]
fn only_the_own_address_is_answered() {
    on_both(|served| {
        let port = served.address.port();
        let cookie = format!("Cookie: {}", served.cookie);
        for (host, expected) in [
            (format!("127.0.0.1:{port}"), 200),
            (format!("localhost:{port}"), 200),
            (format!("LocalHost:{port}"), 200),
            (format!("[::1]:{port}"), 200),
            (format!("attacker.example:{port}"), 403),
            (format!("127.0.0.1.attacker.example:{port}"), 403),
            (format!("localhost@attacker.example:{port}"), 400),
            (format!("attacker@localhost:{port}"), 400),
            (format!("192.0.2.1:{port}"), 403),
            ("127.0.0.1".to_owned(), 403),
            (format!("127.0.0.1:{}", port ^ 1), 403),
        ] {
            let response = served.raw("GET /", &[&format!("Host: {host}"), &cookie], "");
            assert_eq!(status(&response), expected, "{host}: {response}");
        }
        // A name in the request line does not hide behind a good header.
        let request = format!("GET http://attacker.example:{port}/");
        assert_eq!(status(&served.raw(&request, &[&served.host(), &cookie], "")), 403);
        // A token does not help a foreign name.
        let foreign = format!("Host: attacker.example:{port}");
        let response = served.raw(&format!("GET /?token={}", served.entry), &[&foreign], "");
        assert_eq!(status(&response), 403, "{response}");
        for (origin, expected) in [
            (format!("http://127.0.0.1:{port}"), 200),
            ("null".to_owned(), 403),
            ("http://attacker.example".to_owned(), 403),
            (format!("https://127.0.0.1:{port}"), 403),
            (format!("http://localhost:{port}"), 403),
        ] {
            let response = served.raw("GET /", &[&served.host(), &cookie, &format!("Origin: {origin}")], "");
            assert_eq!(status(&response), expected, "{origin}: {response}");
        }
    });
}

#[test]
fn an_action_needs_cookie_token_and_origin() {
    on_both(|served| {
        let session = served.get("/session");
        assert!(session.ends_with(&format!("{{\"token\":\"{}\"}}", served.token)), "{session}");
        let good = [
            served.host(),
            served.origin(),
            format!("Cookie: {}", served.cookie),
            format!("X-Relayline-Token: {}", served.token),
            "Content-Type: application/json; charset=utf-8".to_owned(),
        ];
        let act = |without: Option<usize>, other: &str, body: &str| {
            let kept = good.iter().enumerate().filter(|(at, _)| Some(*at) != without);
            let headers: Vec<&str> =
                kept.map(|(_, header)| header.as_str()).chain((!other.is_empty()).then_some(other)).collect();
            served.raw("POST /action", &headers, body)
        };
        let body = r#"{"do":"echo"}"#;
        let done = act(None, "", body);
        assert_eq!(status(&done), 200, "{done}");
        assert!(done.ends_with(body), "{done}");
        for (without, expected) in [(1, 403), (2, 401), (3, 403), (4, 415)] {
            assert_eq!(status(&act(Some(without), "", body)), expected, "without {}", good[without]);
        }
        assert_eq!(status(&act(Some(1), "Origin: http://attacker.example", body)), 403);
        assert_eq!(status(&act(Some(3), &format!("X-Relayline-Token: {}", served.entry), body)), 403);
        // Twice is not once: a header that was slipped in does not count.
        assert_eq!(status(&act(None, "X-Relayline-Token: x", body)), 403);
        assert_eq!(status(&act(Some(4), "Content-Type: text/plain", body)), 415);
        assert_eq!(status(&act(None, "", "{")), 400);
        let failed = act(None, "", r#"{"do":"fail"}"#);
        assert!(status(&failed) == 400 && failed.ends_with(r#"{"error":"it cannot be done"}"#), "{failed}");
        let large = format!("\"{}\"", "x".repeat(64 << 10));
        assert_eq!(status(&act(None, "", &large)), 413);
        let cookie = &good[2];
        let response = served.raw("GET /action", &[&served.host(), cookie], "");
        assert!(status(&response) == 405 && response.contains("allow: POST\r\n"), "{response}");
        assert_eq!(status(&served.raw("POST /", &[&served.host(), cookie], "")), 405);
    });
}

#[test]
fn files_cannot_run_in_the_browser() {
    on_both(|served| {
        let response = served.get("/files/a.txt");
        assert_eq!(status(&response), 200, "{response}");
        let policy = "content-security-policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n";
        assert!(response.contains(policy) && response.ends_with("content"), "{response}");
        assert!(
            response.contains("content-disposition: attachment; filename=\"a___b.txt\"\r\n"),
            "{response}"
        );
        for path in ["/files/b.txt", "/files/", "/other", "/files/../session"] {
            assert_eq!(status(&served.get(path)), 404, "{path}");
        }
    });
}

#[test]
fn events_resume_and_a_lost_place_is_reset() {
    on_both(|served| {
        let log = &served.echo.log;
        log.publish("one", "{\"n\":1}");
        let mut first = served.events(None);
        assert_eq!(next_event(&mut first), (0, "reset".to_owned(), "{\"first\":1}".to_owned()));
        assert_eq!(next_event(&mut first), (1, "one".to_owned(), "{\"n\":1}".to_owned()));
        log.publish("two", "{}");
        assert_eq!(next_event(&mut first).0, 2);
        // It comes back while the next event is kept.
        let mut again = served.events(Some(1));
        assert_eq!(next_event(&mut again), (2, "two".to_owned(), "{}".to_owned()));
        // A third client is too many.
        let refused = served.get("/events");
        assert_eq!(status(&refused), 503, "{refused}");
        drop((first, again));
        for _ in 0..5 {
            log.publish("more", "{}");
        }
        // The places of clients that have gone become free once the server notices.
        let ends = std::time::Instant::now() + SOON;
        while log.has_clients() {
            assert!(std::time::Instant::now() < ends, "the places stay taken");
            log.publish("more", "{}");
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut late = served.events(Some(2));
        let (id, name, _) = next_event(&mut late);
        assert_eq!((id + 1, name.as_str()), (log.first(), "reset"));
        assert_eq!(next_event(&mut late).0, log.first());
        let EventLogStats { dropped, refused, .. } = log.stats();
        assert!(dropped >= 3 && refused == 1, "{dropped} {refused}");
        // A number from an earlier start is no place either.
        let mut strange = served.events(Some(1 << 40));
        assert_eq!(next_event(&mut strange).1, "reset");
    });
}

#[test]
fn a_slow_reader_begins_again() {
    let log = EventLog::new(EventLogLimits { events: 2, bytes: 1 << 20, clients: 1 });
    let cx = &mut std::task::Context::from_waker(futures_util::task::noop_waker_ref());
    let client = log.join().unwrap();
    assert!(log.poll_read(client, 1, cx).is_pending());
    for n in 0..3 {
        log.publish("e", &n.to_string());
    }
    let read = log.poll_read(client, 1, cx);
    assert_eq!(read, std::task::Poll::Ready(event_log::EventRead::Gone));
    assert_eq!(log.stats(), EventLogStats { dropped: 1, lagged: 1, refused: 0 });
    assert_eq!((log.first(), log.next()), (2, 4));
    log.clear();
    assert_eq!((log.first(), log.next()), (4, 4));
    assert!(log.poll_read(client, 4, cx).is_pending());
}

#[test]
fn an_event_without_history_is_only_sent_newest() {
    let log = EventLog::new(EventLogLimits { events: 2, bytes: 1 << 20, clients: 2 });
    let cx = &mut std::task::Context::from_waker(futures_util::task::noop_waker_ref());
    let (first, late) = (log.join().unwrap(), log.join().unwrap());
    let mut read = |client, next| match log.poll_read(client, next, cx) {
        std::task::Poll::Ready(event_log::EventRead::Events(text, next)) => Some((text, next)),
        _ => None,
    };
    log.set("status", "1");
    log.set("status", "2");
    log.publish("e", "{}");
    let (text, next) = read(first, 1).unwrap();
    assert_eq!((text.as_str(), next), ("id: 1\nevent: e\ndata: {}\n\nevent: status\ndata: 2\n\n", 2));
    assert_eq!(read(first, 2), None);
    log.set("status", "3");
    assert_eq!(read(first, 2), Some(("event: status\ndata: 3\n\n".to_owned(), 2)));
    // A client that comes later has it, too.
    assert_eq!(read(late, 2), Some(("event: status\ndata: 3\n\n".to_owned(), 2)));
    assert_eq!(log.next(), 2, "it takes no room");
}

#[test]
fn the_log_is_bounded_in_bytes() {
    let log = EventLog::new(EventLogLimits { events: 100, bytes: 1000, clients: 1 });
    for _ in 0..10 {
        log.publish("e", &"x".repeat(400));
    }
    assert_eq!(log.next() - log.first(), 2);
    // An event above the limit is alone, and still sent.
    log.publish("e", &"x".repeat(3000));
    assert_eq!(log.next() - log.first(), 1);
}

#[test]
fn the_end_of_the_server_ends_the_streams() {
    for runtime in [RuntimeName::Tokio, RuntimeName::Smol] {
        let served = serve(runtime, "127.0.0.1:0");
        let address = served.address;
        let mut lines = served.events(None);
        assert_eq!(next_event(&mut lines).1, "reset");
        drop(served);
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert!(TcpStream::connect(address).is_err(), "the port is closed");
    }
}

#[test]
fn other_machines_need_a_flag() {
    let open = |address: &str, access| PagePort::open("--inspect", address.parse().unwrap(), access);
    let needs_flag = RemoteAccess::NeedsFlag("--inspect-remote");
    for (access, has_flag) in [(needs_flag, true), (RemoteAccess::Never, false)] {
        let error = open("0.0.0.0:0", access).unwrap_err();
        assert_eq!(error.code(), 2);
        assert_eq!(error.to_string().contains("--inspect-remote"), has_flag, "{error}");
    }
    let port = open("0.0.0.0:0", RemoteAccess::Allowed).unwrap();
    assert!(port.url("/").starts_with("http://127.0.0.1:"), "a URL that works here");
    assert!(!format!("{port:?}").contains(port.access.entry_token()));
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap();
    let error = open(&taken.to_string(), RemoteAccess::Never).unwrap_err();
    assert_eq!(error.code(), 1);
    assert!(error.to_string().starts_with(&format!("--inspect {taken}: ")), "{error}");
    // With the flag any address of the machine is a good one, and a name is not.
    let served = serve(RuntimeName::Tokio, "0.0.0.0:0");
    let cookie = format!("Cookie: {}", served.cookie);
    for (host, expected) in [("192.0.2.1", 200), ("attacker.example", 403)] {
        let host = format!("Host: {host}:{}", served.address.port());
        assert_eq!(status(&served.raw("GET /", &[&host, &cookie], "")), expected, "{host}");
    }
}
