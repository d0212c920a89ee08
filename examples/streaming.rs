// Answers with a text that grows, word by word, as a model would write it.

use futures_util::StreamExt;
use relayline::{Builder, Delivery, Failure, Incoming, block_on};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (_relay, mut inbox) = Builder::from_env().connect().await?;
        while let Some(incoming) = inbox.next().await {
            if let Incoming::Message(delivery) = incoming {
                if let Err(failure) = answer(&delivery).await {
                    eprintln!("not answered: {failure}");
                }
                delivery.ack();
            }
        }
        Ok(())
    })?
}

async fn answer(delivery: &Delivery) -> Result<(), Failure> {
    let mut reply = delivery.stream();
    let mut text = String::from("You said:");
    for word in delivery.text().split_whitespace() {
        text = format!("{text} {word}");
        // Say all of it, as often as you like: the chat's platform decides what is shown of it, and when.
        reply.update(&text)?;
    }
    reply.finish(text).await.map(drop)
}
