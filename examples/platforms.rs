// One agent on several platforms, which does what each of them can: a reaction where there are some, else a text.
// `GATEWAY_RELAY_PLATFORMS=discord,telegram` names them.

use futures_util::StreamExt;
use relayline::{Builder, Incoming, Notice, block_on};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (relay, mut inbox) = Builder::from_env().connect().await?;
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Notice(Notice::Connected { descriptor, .. } | Notice::Platform { descriptor, .. }) => {
                    eprintln!("on {}: {} per message", descriptor.platform, descriptor.max_message_length);
                }
                Incoming::Message(delivery) => {
                    let platform = relay.capabilities(delivery.chat_id());
                    let answered = match platform.is_some_and(|platform| platform.offers("react")) {
                        true => delivery.react("👍").await,
                        false => delivery.reply("👍").await.map(drop),
                    };
                    if let Err(failure) = answered {
                        eprintln!("not answered: {failure}");
                    }
                    delivery.ack();
                }
                _ => {}
            }
        }
        Ok(())
    })?
}
