// Answers every message with itself.

use futures_util::StreamExt;
use relayline::{Builder, Incoming, block_on};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (_relay, mut inbox) = Builder::from_env().connect().await?;
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Message(delivery) => {
                    let text = format!("you said: {}", delivery.text());
                    if let Err(failure) = delivery.reply(&text).await {
                        eprintln!("not answered: {failure}");
                    }
                    delivery.ack();
                }
                Incoming::Fatal(fatal) => return Err(fatal.into()),
                _ => {}
            }
        }
        Ok(())
    })?
}
