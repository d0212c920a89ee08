//! The demo's agent: it echoes, asks before it deploys, tells a story when asked, and has one kind of turn that lasts.

use futures_util::StreamExt;
use relayline_core::command::Failure;
use relayline_core::prompts::PromptKind;
use relayline_runtime::{Delivery, Inbox, Incoming, Relay};
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

/// What the agent tells the stage.
#[derive(Debug)]
pub(super) enum Note {
    /// A delivery is answered, or could not be; a buffered one is acknowledged, which the connector sees.
    Answered { result: Result<(), String>, buffered: bool },
    /// A turn has begun that lasts until it is interrupted.
    Busy,
    /// The stream has ended.
    Over,
}

impl Note {
    fn answered(result: Result<(), Failure>, buffered: bool) -> Note {
        Note::Answered { result: result.map_err(|failure| failure.to_string()), buffered }
    }
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
                let result = answer(&relay, &delivery).await;
                let buffered = delivery.is_buffered();
                delivery.ack();
                Note::answered(result, buffered)
            }
            Incoming::PromptAnswer(delivery) => {
                let who = delivery.message().source().user_name().unwrap_or("somebody").to_owned();
                let chosen = delivery.message().prompt_response().map_or("", |response| response.option_id);
                let result = relay.reply(&delivery, &format!("{who} chose {chosen:?}")).await;
                let buffered = delivery.is_buffered();
                delivery.ack();
                Note::answered(result.map(drop), buffered)
            }
            Incoming::Interrupt { session_key, .. } => match turns.remove(&session_key) {
                Some(turn) => {
                    let result = relay.reply(&turn, "stopped: you interrupted me").await;
                    let buffered = turn.is_buffered();
                    turn.ack();
                    Note::answered(result.map(drop), buffered)
                }
                // Whoever is not busy has nothing to stop.
                None => Note::answered(Ok(()), false),
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

async fn answer(relay: &Relay, to: &Delivery) -> Result<(), Failure> {
    let message = to.message();
    let chat_id = message.source().chat_id();
    let text = message.text();
    if message.is_interaction() {
        return relay.follow_up_to(to, format!("{text}: all is well")).await.map(drop);
    }
    if text.starts_with("thanks") {
        return relay.react(chat_id, message.message_id().unwrap_or(""), "👍").await;
    }
    if text.starts_with("/think") {
        // The words as a model would find them, one after another.
        let mut reply = relay.stream_reply(to);
        let words = ["Well,", "let", "me", "think", "about", "that.", "Done:", "it", "is", "42."];
        for count in 1..words.len() {
            let so_far = words[..count].join(" ");
            // A full stop ends a segment.
            if so_far.ends_with('.') { reply.segment(so_far)? } else { reply.update(so_far)? }
        }
        return reply.finish(words.join(" ")).await.map(drop);
    }
    if text.starts_with("deploy") {
        let prompt = relay.prompt(chat_id, "Deploy it now?").kind(PromptKind::Approval);
        return prompt.option("yes", "Yes").option("no", "Not yet").await.map(drop);
    }
    let answer = if text.starts_with("/story") { story() } else { format!("you said: {text}") };
    relay.reply(to, &answer).await.map(drop)
}

fn story() -> String {
    let line = |n: u32| format!("{n}. And then the ship 🚀 flew on, farther still, to the next star.\n");
    (1..=90).map(line).collect()
}
