// Asks before it acts: buttons where there are some, numbered text where there are none (I-5).

use futures_util::StreamExt;
use relayline::core::command::{Failure, FailureKind};
use relayline::core::op::{Prompt, PromptKind, PromptOption};
use relayline::{Delivery, Incoming, Relay, block_on, boot, config_from_env, connect};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (relay, mut inbox) = connect(boot(config_from_env()?).await?)?;
        while let Some(incoming) = inbox.next().await {
            let (delivery, answered) = match incoming {
                Incoming::Message(delivery) => {
                    let asked = ask(&relay, &delivery).await;
                    (delivery, asked)
                }
                Incoming::PromptAnswer(delivery) => {
                    let chosen = delivery.message().prompt_response.as_ref();
                    let chosen = chosen.map_or("", |chosen| &chosen.option_id);
                    let text = if chosen == "yes" { "Done." } else { "Then not." };
                    let told = delivery.reply(text).await.map(drop);
                    (delivery, told)
                }
                _ => continue,
            };
            if let Err(failure) = answered {
                eprintln!("not answered: {failure}");
            }
            delivery.ack();
        }
        Ok(())
    })?
}

async fn ask(relay: &Relay, to: &Delivery) -> Result<(), Failure> {
    let option = |id: &str, label: &str| PromptOption { id: id.into(), label: label.into(), style: None };
    let prompt = Prompt {
        chat_id: to.message().source.chat_id.to_string(),
        kind: PromptKind::Approval,
        content: format!("Shall I {}?", to.message().text),
        options: vec![option("yes", "Do it"), option("no", "Leave it")],
        ..Prompt::default()
    };
    let as_text = prompt.as_text();
    match relay.request(prompt).await {
        Err(failure) if failure.kind == FailureKind::Unsupported => {
            to.reply(&as_text).await.map(drop)
        }
        asked => asked.map(drop),
    }
}
