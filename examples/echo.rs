// Answers every message with itself.

use futures_util::StreamExt;
use relayline::{Incoming, block_on, boot, config_from_env, connect};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (_relay, mut inbox) = connect(boot(config_from_env()?).await?)?;
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Message(delivery) => {
                    let text = format!("you said: {}", delivery.message().text);
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
