// Answers every message with its text.

use futures_util::StreamExt;
use relayline::{Builder, Incoming, block_on};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (_relay, mut inbox) = Builder::from_env().connect().await?;
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Message(delivery) => {
                    // This agent stores nothing, so it has the message now. The connector sends nothing more from its
                    // buffer before.
                    delivery.ack();
                    let text = format!("you said: {}", delivery.text());
                    if let Err(failure) = delivery.reply(&text).await {
                        eprintln!("not answered: {failure}");
                    }
                }
                Incoming::Fatal(fatal) => return Err(fatal.into()),
                _ => {}
            }
        }
        Ok(())
    })?
}
