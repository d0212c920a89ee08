// One agent on several platforms, which does what each of them can: a reaction where there are some, else a text.
// `GATEWAY_RELAY_PLATFORMS=discord,telegram` names them.

use futures_util::StreamExt;
use relayline::core::output::Notice;
use relayline::{Incoming, block_on, boot, config_from_env, connect};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (relay, mut inbox) = connect(boot(config_from_env()?).await?)?;
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Notice(Notice::Connected { descriptor, .. } | Notice::Platform { descriptor, .. }) => {
                    eprintln!("on {}: {} per message", descriptor.platform, descriptor.max_message_length);
                }
                Incoming::Message(delivery) => {
                    let (message, chat) = (delivery.message(), &*delivery.message().source.chat_id);
                    let reacts = relay.capabilities(chat).is_some_and(|can| can.offers("react"));
                    let answered = match &message.message_id {
                        Some(id) if reacts => relay.react(chat, id.as_str(), "👍").await,
                        _ => delivery.reply("👍").await.map(drop),
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
