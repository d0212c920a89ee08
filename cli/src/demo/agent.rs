//! The demo's agent: it echoes, tells a story when asked, and has one kind of turn that lasts.

use futures_util::StreamExt;
use relayline_runtime::{Delivery, Inbox, Incoming, Relay};
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

/// What the agent tells the stage.
#[derive(Debug)]
pub(super) enum Note {
    /// A message is answered, or could not be.
    Answered(Result<(), String>),
    /// A turn has begun that lasts until it is interrupted.
    Busy,
    /// The stream has ended.
    Over,
}

/// Serves until the stream ends.
pub(super) async fn serve(relay: Relay, mut inbox: Inbox, notes: Sender<Note>) {
    // Turns that last, by session.
    let mut turns: BTreeMap<String, Delivery> = BTreeMap::new();
    while let Some(incoming) = inbox.next().await {
        let note = match incoming {
            Incoming::Message(delivery) if delivery.message().text().starts_with("/slow") => {
                relay.typing(delivery.message().source().chat_id()).await;
                turns.insert(delivery.session_key(), delivery);
                Note::Busy
            }
            Incoming::Message(delivery) => {
                let text = answer(delivery.message().text());
                let result = relay.reply(&delivery, &text).await;
                delivery.ack();
                Note::Answered(result.map(drop).map_err(|failure| failure.to_string()))
            }
            Incoming::Interrupt { session_key, .. } => match turns.remove(&session_key) {
                Some(turn) => {
                    let result = relay.reply(&turn, "stopped: you interrupted me").await;
                    turn.ack();
                    Note::Answered(result.map(drop).map_err(|failure| failure.to_string()))
                }
                // Whoever is not busy has nothing to stop.
                None => Note::Answered(Ok(())),
            },
            // The stage sees the connection from the other side.
            _ => continue,
        };
        if notes.send(note).is_err() {
            break;
        }
    }
    let _ = notes.send(Note::Over);
}

fn answer(text: &str) -> String {
    match text.strip_prefix("/story") {
        Some(_) => {
            let line =
                |n: u32| format!("{n}. And then the ship 🚀 flew on, farther still, to the next star.\n");
            (1..=90).map(line).collect()
        }
        None => format!("you said: {text}"),
    }
}
