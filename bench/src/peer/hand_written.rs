//! Hand-written gateway for events: the loop that an engineer would write without this library.
//!
//! One task reads the socket: it parses each frame into owned structs, drops duplicates, remembers the chat, and passes
//! the event through a bounded channel to the host's task. Each bound is the library's default.

use crate::Result;
use crate::meter::ThroughputMeter;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::{TokioAdapter, client_async};
use async_tungstenite::tungstenite::Message;
use futures_util::StreamExt;
use relayline_bench::events::owned::{Event, Frame, Source};
use relayline_bench::reports::Throughput;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hint::black_box;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const MAX_WAITING: usize = 1024;
const MAX_SEEN: usize = 4096;
const MAX_CHATS: usize = 4096;

/// Hello of a gateway without the library.
pub(crate) const HELLO: &str = "{\"type\":\"hello\",\"platform\":\"discord\",\"botId\":\"1\"}\n";

type Socket = WebSocketStream<TokioAdapter<TcpStream>>;

/// Receives events on tokio, and measures `count` of them.
pub(crate) async fn receive(port: u16, count: u64) -> Result<Throughput> {
    let socket = connect(port).await?;
    let (sender, mut events) = mpsc::channel(MAX_WAITING);
    tokio::spawn(read(socket, sender));
    let mut meter = ThroughputMeter::new(count);
    while let Some(event) = events.recv().await {
        black_box(event.text.as_str());
        if let Some(report) = meter.count()? {
            return Ok(report);
        }
    }
    Err("the connection ended before the last event".into())
}

/// Connects, and says hello.
pub(crate) async fn connect(port: u16) -> Result<Socket> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = client_async(format!("ws://127.0.0.1:{port}/relay"), stream).await?;
    socket.send(Message::text(HELLO)).await?;
    Ok(socket)
}

/// Reads the socket until it ends, or until the host has left.
async fn read(mut socket: Socket, events: mpsc::Sender<Event>) {
    let (mut seen, mut chats) = (Seen::default(), HashMap::new());
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let Ok(frame) = serde_json::from_str::<Frame>(&text) else { continue };
        let ("inbound", Some(event)) = (frame.kind.as_str(), frame.event) else { continue };
        if event.message_id.as_ref().is_some_and(|id| !seen.insert(id)) {
            continue;
        }
        remember(&mut chats, &event.source);
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// Ids of the latest messages.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    oldest_first: VecDeque<String>,
}

impl Seen {
    /// Adds an id. Returns false if it was there.
    fn insert(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.oldest_first.push_back(id.to_owned());
        if self.oldest_first.len() > MAX_SEEN
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

/// Memory of a chat, which a reply needs.
struct Chat {
    scope: Option<String>,
    author: Option<String>,
    chat_type: Option<String>,
}

fn remember(chats: &mut HashMap<String, Chat>, source: &Source) {
    let scope = if source.scope_id.is_some() { &source.scope_id } else { &source.guild_id };
    if let Some(chat) = chats.get_mut(&source.chat_id) {
        // This reuses the allocations of the former texts.
        chat.scope.clone_from(scope);
        chat.author.clone_from(&source.user_id);
        chat.chat_type.clone_from(&source.chat_type);
    } else if chats.len() < MAX_CHATS {
        let (author, chat_type) = (source.user_id.clone(), source.chat_type.clone());
        chats.insert(source.chat_id.clone(), Chat { scope: scope.clone(), author, chat_type });
    }
}
