// Takes signed deliveries over HTTP beside its connection (H-6), and answers over the connection.
// `GATEWAY_RELAY_INBOUND_LISTEN=127.0.0.1:8644` says where, `GATEWAY_RELAY_DELIVERY_KEY` what they are signed with.

use futures_util::StreamExt;
use relayline::{Builder, Incoming, block_on};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (relay, mut inbox) = Builder::from_env().connect().await?;
        match relay.inbound() {
            Some(Ok(address)) => eprintln!("deliveries at http://{address}/"),
            Some(Err(why)) => eprintln!("no deliveries: {why}"),
            None => eprintln!("no deliveries: GATEWAY_RELAY_INBOUND_LISTEN says where to take them"),
        }
        while let Some(incoming) = inbox.next().await {
            if let Incoming::Message(delivery) = incoming {
                // The client of the delivery gets its 200 with this; the answer may take its time.
                let text = format!("delivered: {}", delivery.text());
                if let Err(failure) = delivery.reply(&text).await {
                    eprintln!("not answered: {failure}");
                }
                delivery.ack();
            }
        }
        Ok(())
    })?
}
