//! The example connector, with a gateway on tokio.

use futures_util::StreamExt;
use relayline_control::config::GatewayConfig;
use relayline_control::url::DialUrl;
use relayline_core::config::{Credentials, Identity};
use relayline_tokio::Incoming;
use std::time::Duration;
use tokio::net::TcpListener;

#[allow(dead_code)] // The test calls what its `main` calls.
#[path = "../../examples/one_gateway.rs"]
mod one_gateway;

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
const SOON: Duration = Duration::from_secs(20);

fn config(url: &str) -> GatewayConfig {
    let identity = Identity::new("discord", "1");
    let credentials = Credentials::new("gw-1", "s3cret");
    let mut config = GatewayConfig::new(DialUrl::parse(url).unwrap(), identity);
    config.machine.credentials = Some(credentials);
    config
}

#[tokio::test]
async fn the_example_gets_a_reply_from_a_real_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (_relay, mut inbox) = relayline_tokio::start(config(&url)).unwrap();
    let host = async {
        while let Some(incoming) = inbox.next().await {
            let Incoming::Message(delivery) = incoming else { continue };
            let text = format!("you said: {}", delivery.message().text);
            delivery.reply(&text).await.unwrap();
            delivery.ack();
        }
        unreachable!("the gateway is not disconnected");
    };
    let talk = async {
        tokio::select! {
            reply = one_gateway::ask(listener, "hello") => reply.unwrap(),
            () = host => String::new(),
        }
    };
    assert_eq!(tokio::time::timeout(SOON, talk).await.unwrap(), "you said: hello");
}

#[test]
fn the_example_has_fifty_lines_of_code() {
    let source = include_str!("../../examples/one_gateway.rs");
    let code = source.lines().map(str::trim).filter(|line| !line.is_empty());
    let code = code.filter(|line| !["//", "use ", "#!["].iter().any(|start| line.starts_with(start)));
    let count = code.count();
    assert!(count <= 50, "{count}");
}
