//! Posting of signed webhook requests to the gateways' endpoints.

use super::hub::Hub;
use relayline_control::http::{Failure, Request, Unreachable};
use relayline_control::network::Network;
use relayline_runtime::http::Client;
use std::sync::Arc;

/// Posts the machine's requests until it is dropped. Without a client each fails with the reason.
pub(super) async fn run(hub: &Arc<Hub>) {
    let client = relayline_tokio::http_client(&Network::default()).map_err(|error| error.to_string());
    loop {
        let changed = hub.posts.notified();
        while let Some(post) = hub.post() {
            let (hub, client) = (Arc::clone(hub), client.clone());
            tokio::spawn(async move {
                let outcome = match client {
                    Ok(client) => send(&client, &post.request).await,
                    Err(why) => Err(why),
                };
                let outcome = match &outcome {
                    Ok((status, body)) => Ok((*status, body.as_slice())),
                    Err(why) => Err(why.as_str()),
                };
                hub.with(|machine, _| machine.handle_posted(post.id, outcome));
            });
        }
        changed.await;
    }
}

async fn send(client: &Client, request: &Request) -> Result<(u16, Vec<u8>), String> {
    match client.send(request).await {
        Ok(answer) => Ok((answer.status, answer.body.to_vec())),
        Err(Failure::Unreachable { host, cause }) => Err(match cause {
            // The advice in these texts is for a gateway that looks for its connector.
            Unreachable::Connect(why) => {
                format!("{host} takes no connection ({why}): is the gateway's server running?")
            }
            Unreachable::Name(why) => {
                format!("{host} cannot be looked up ({why}): check the gateway's endpoint")
            }
            cause => format!("{host}: {cause}"),
        }),
        Err(failure) => Err(failure.to_string()),
    }
}
