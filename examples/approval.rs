// Asks before it acts: buttons where there are some, numbered text where there are none (I-5).

use futures_util::StreamExt;
use relayline::{Builder, Delivery, Failure, FailureKind, Incoming, PromptKind, block_on};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (_relay, mut inbox) = Builder::from_env().connect().await?;
        while let Some(incoming) = inbox.next().await {
            let (delivery, answered) = match incoming {
                Incoming::Message(delivery) => {
                    let asked = ask(&delivery).await;
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

async fn ask(to: &Delivery) -> Result<(), Failure> {
    let question = format!("Shall I {}?", to.text());
    let prompt = to.prompt(&question).kind(PromptKind::Approval);
    match prompt.option("yes", "Do it").option("no", "Leave it").await {
        Err(failure) if failure.kind == FailureKind::Unsupported => {
            to.reply(format!("{question}\n\n1. Do it\n2. Leave it")).await.map(drop)
        }
        asked => asked.map(drop),
    }
}
