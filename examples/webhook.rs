// Accepts signed webhook requests over HTTP, beside its connection (H-6), and replies over the connection.
// `GATEWAY_RELAY_INBOUND_LISTEN=127.0.0.1:8644` is the address, `GATEWAY_RELAY_DELIVERY_KEY` the key of the signatures.

use futures_util::StreamExt;
use relayline::{Builder, Incoming, block_on};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let (relay, mut inbox) = Builder::from_env().connect().await?;
        match relay.inbound() {
            Some(Ok(address)) => eprintln!("webhook requests are accepted at http://{address}/"),
            Some(Err(why)) => eprintln!("webhook requests are not accepted: {why}"),
            None => eprintln!("webhook requests are not accepted: set GATEWAY_RELAY_INBOUND_LISTEN to an address"),
        }
        while let Some(incoming) = inbox.next().await {
            if let Incoming::Message(delivery) = incoming {
                // The client of the webhook request gets its 200 with the ack. The reply may take longer.
                delivery.ack();
                let text = format!("delivered: {}", delivery.text());
                if let Err(failure) = delivery.reply(&text).await {
                    eprintln!("not answered: {failure}");
                }
            }
        }
        Ok(())
    })?
}
