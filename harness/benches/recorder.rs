//! Cost of the recorder: round trips of a small frame to a peer that echoes, directly and through the recorder. Each
//! round trip passes it twice.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measurement that cannot go on should stop

use async_tungstenite::tokio::{accept_async, client_async};
use async_tungstenite::tungstenite::Message;
use futures_util::StreamExt;
use relayline_control::network::Network;
use relayline_control::url::DialUrl;
use relayline_harness::recorder::{Recorder, RecorderConfig, Upstream};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

const ROUND_TRIPS: usize = 20_000;
const FRAME: &str = r#"{"type":"outbound","requestId":"0123456789abcdef0123456789abcdef","action":{"op":"send","chat_id":"1234567890123456789","content":"a line of text, as people write it, neither long nor short","reply_to":null,"metadata":{"user_id":"204255221017214977"}},"platform":"discord","botId":"1187654321098765432"}
"#;

fn main() {
    let echo = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let echoes = echo.local_addr().unwrap();
    echo.set_nonblocking(true).unwrap();
    std::thread::spawn(move || runtime().block_on(serve(echo)));
    let folder = tempfile::tempdir().unwrap();
    let url = DialUrl::parse(&format!("ws://{echoes}")).unwrap();
    let (upstream, file) = (Upstream::new(url, Network::default()), folder.path().join("session.jsonl"));
    let config = RecorderConfig::new("127.0.0.1:0".parse().unwrap(), upstream, file);
    let recorder = Recorder::start(config, |error| panic!("{error}")).unwrap();
    for (name, addr) in [("straight", echoes), ("recorded", recorder.local_addr())] {
        let mut times = runtime().block_on(round_trips(addr));
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!("{name}: p50 {:?}, p90 {:?}, p99 {:?}, p99.9 {:?}", at(0.5), at(0.9), at(0.99), at(0.999));
    }
    println!("{:?}", recorder.finish().unwrap());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn serve(listener: std::net::TcpListener) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    }
}

async fn round_trips(addr: SocketAddr) -> Vec<Duration> {
    let stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut socket, _) = client_async(format!("ws://{addr}/relay"), stream).await.unwrap();
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let sent = Instant::now();
        socket.send(Message::text(FRAME)).await.unwrap();
        socket.next().await.unwrap().unwrap();
        times.push(sent.elapsed());
    }
    times
}
