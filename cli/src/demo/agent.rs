//! Agent of the demo: it echoes messages, asks before it deploys, tells a story on request, and has one kind of long
//! turn.

use futures_util::StreamExt;
use relayline_core::command::{Failure, FailureKind};
use relayline_core::op::{Prompt, PromptKind, PromptOption};
use relayline_runtime::{Delivery, Inbox, Incoming, Relay};
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

/// Event of the agent, for the conversation.
#[derive(Debug)]
pub(super) enum AgentEvent {
    /// A delivery was answered, or the answer failed. A buffered delivery was acknowledged, which the connector
    /// observes.
    Answered { result: Result<(), String>, buffered: bool },
    /// A turn has begun that lasts until it is interrupted.
    Busy,
    /// The inbox has ended.
    Over,
}

impl AgentEvent {
    fn answered(result: Result<(), Failure>, buffered: bool) -> AgentEvent {
        AgentEvent::Answered { result: result.map_err(|failure| failure.to_string()), buffered }
    }
}

/// Commands of the agent: messages that begin with a slash.
pub(super) const COMMANDS: [&str; 3] = ["/slow", "/story", "/think"];

/// Questions that were asked as text, by session. Their answers are ordinary messages.
type Questions = BTreeMap<String, Prompt>;

/// Serves deliveries until the inbox ends.
pub(super) async fn serve(relay: Relay, mut inbox: Inbox, events: Sender<AgentEvent>) {
    // Long turns, by session.
    let mut turns: BTreeMap<String, Delivery> = BTreeMap::new();
    let mut questions = Questions::new();
    while let Some(incoming) = inbox.next().await {
        let event = match incoming {
            Incoming::Message(delivery) if delivery.message().text.starts_with("/slow") => {
                relay.typing(delivery.message().source.chat_id.as_str()).await;
                turns.insert(delivery.session_key(), delivery);
                AgentEvent::Busy
            }
            Incoming::Message(delivery) => {
                let result = answer(&relay, &delivery, &mut questions).await;
                let buffered = delivery.is_buffered();
                delivery.ack();
                AgentEvent::answered(result, buffered)
            }
            Incoming::PromptAnswer(delivery) => {
                let who = delivery.message().source.user_name.as_deref().unwrap_or("somebody").to_owned();
                let chosen =
                    delivery.message().prompt_response.as_ref().map_or("", |response| &response.option_id);
                let result = delivery.reply(&format!("{who} chose {chosen:?}")).await;
                let buffered = delivery.is_buffered();
                delivery.ack();
                AgentEvent::answered(result.map(drop), buffered)
            }
            Incoming::Interrupt { session_key, .. } => match turns.remove(&session_key) {
                Some(turn) => {
                    let result = turn.reply("stopped: you interrupted me").await;
                    let buffered = turn.is_buffered();
                    turn.ack();
                    AgentEvent::answered(result.map(drop), buffered)
                }
                // Without a turn in progress there is nothing to stop.
                None => AgentEvent::answered(Ok(()), false),
            },
            // The conversation observes the connection at the connector.
            _ => continue,
        };
        if events.send(event).is_err() {
            break;
        }
    }
    let _ = events.send(AgentEvent::Over);
}

async fn answer(relay: &Relay, to: &Delivery, questions: &mut Questions) -> Result<(), Failure> {
    let message = to.message();
    let text = &*message.text;
    // A message that chooses no option ends the question, too.
    if let Some(option) = questions.remove(&to.session_key()).and_then(|asked| chosen(&asked, text)) {
        let who = message.source.user_name.as_deref().unwrap_or("somebody");
        return to.reply(&format!("{who} chose {option:?}")).await.map(drop);
    }
    if message.is_interaction {
        return to.follow_up(format!("{text}: all is well")).await.map(drop);
    }
    if text.starts_with("thanks") {
        return to.react("👍").await;
    }
    if text.starts_with("/think") {
        // Adds one word at a time, like the output of a model.
        let mut reply = to.stream();
        let words = ["Well,", "let", "me", "think", "about", "that.", "Done:", "it", "is", "42."];
        for count in 1..words.len() {
            let so_far = words[..count].join(" ");
            // A full stop ends a segment.
            if so_far.ends_with('.') { reply.segment(so_far)? } else { reply.update(so_far)? }
        }
        return reply.finish(words.join(" ")).await.map(drop);
    }
    if text.starts_with("deploy") {
        return ask(relay, to, questions).await;
    }
    let answer = if text.starts_with("/story") { story() } else { format!("you said: {text}") };
    to.reply(&answer).await.map(drop)
}

/// Asks with buttons, or with numbered text if the chat has no buttons (I-5).
async fn ask(relay: &Relay, to: &Delivery, questions: &mut Questions) -> Result<(), Failure> {
    let options = [PromptOption::new("yes", "Yes"), PromptOption::new("no", "Not yet")];
    let question = Prompt::new(to.chat_id(), "Deploy it now?", options).kind(PromptKind::Approval);
    match relay.request(question.clone()).await {
        Err(failure) if failure.kind == FailureKind::Unsupported => {
            to.reply(&question.as_text()).await?;
            questions.insert(to.session_key(), question);
            Ok(())
        }
        asked => asked.map(drop),
    }
}

/// Returns the id of the option that a text chooses: by its number, its id or its label.
fn chosen(asked: &Prompt, text: &str) -> Option<String> {
    let text = text.trim();
    let is_meant = |at: usize, option: &PromptOption| {
        text == (at + 1).to_string()
            || [&option.id, &option.label].iter().any(|word| word.eq_ignore_ascii_case(text))
    };
    let option = asked.options.iter().enumerate().find(|(at, option)| is_meant(*at, option));
    option.map(|(_, option)| option.id.clone())
}

fn story() -> String {
    let line = |n: u32| format!("{n}. And then the ship 🚀 flew on, farther still, to the next star.");
    (1..=90).map(line).collect::<Vec<_>>().join("\n")
}
