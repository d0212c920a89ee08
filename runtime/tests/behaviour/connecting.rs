//! Connecting with one call: its result, and its errors.

use super::server::{Reply, Server};
use super::{Stage, Wire};
use crate::{Builder, Kit, connect};
use futures_util::StreamExt;
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector};
use relayline_core::output::{Notice, Phase};
use relayline_runtime::{Closed, ConnectError, Incoming};
use std::net::TcpListener;
use std::time::Duration;

fn connector(config: ConnectorConfig) -> EmbeddedConnector {
    EmbeddedConnector::start(config, "127.0.0.1:0").unwrap()
}

#[test]
fn connect_resolves_when_connected() {
    let (kit, connector) = (Kit::new(), connector(ConnectorConfig::default()));
    let (relay, mut inbox) = kit.block_on(connect(connector.url(), ("discord", 42))).unwrap();
    assert_eq!(relay.phase(), Phase::Connected);
    assert_eq!(relay.config().machine.identities[0].bot_id, "42");
    // The host still receives the notice.
    assert!(matches!(kit.block_on(inbox.next()), Some(Incoming::Notice(_))));
}

#[test]
fn a_failed_connect_names_the_reason() {
    let kit = Kit::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let error = kit.block_on(connect(url, ("discord", ""))).unwrap_err();
    assert!(matches!(&error, ConnectError::NotConnected { code: None, .. }), "{error:?}");
    assert!(error.to_string().contains("no connection (Connection refused"), "{error}");

    let error = kit.block_on(connect("ftp://c.example", ("discord", ""))).unwrap_err();
    assert!(matches!(error, ConnectError::Config(_)), "{error:?}");

    let refused = connector(ConnectorConfig::default().gateway("gw-1", "right"));
    let wrong = Builder::new(refused.url()).identity(("discord", "")).credentials("gw-1", "wrong");
    let error = kit.block_on(wrong.connect()).unwrap_err();
    assert!(error.to_string().contains("check the gateway's id and secret"), "{error}");

    let far = Builder::new("ws://c.example").credentials("gw-1", "hunter2").connect();
    let error = kit.block_on(far).unwrap_err().to_string();
    assert!(error.contains("not encrypted") && error.contains("or call Builder::allow_insecure"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_builder_can_wait_for_a_connector_to_start() {
    let kit = Kit::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let builder = Builder::new(format!("ws://{address}"))
        .identity(("discord", "1"))
        .identity(("telegram", 2))
        .credentials("gw-1", "hunter2")
        .limit("backoff_first", "10ms")
        .configure(|config| config.machine.raw_events = true)
        .retry_initial_connect();
    assert!(!format!("{builder:?}").contains("hunter2"), "{builder:?}");
    let starting = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let config = ConnectorConfig::default().gateway("gw-1", "hunter2");
        EmbeddedConnector::start(config, address).unwrap()
    });
    let (relay, _inbox) = kit.block_on(builder.connect()).unwrap();
    assert!(relay.config().machine.raw_events && relay.config().machine.identities.len() == 2);
    drop(starting.join().unwrap());
}

/// C-4, H-4: credentials are provisioned before the dial.
#[test]
fn h_4_a_builder_provisions_first() {
    let kit = Kit::new();
    let server = Server::start(vec![Reply::answer("200 OK", "", r#"{"secret":"s"}"#)]);
    let builder = Builder::new(server.url("")).identity(("discord", "1")).access_token("acc3ss");
    // Nobody accepts the dial.
    let error = kit.block_on(builder.connect()).unwrap_err();
    assert!(matches!(error, ConnectError::NotConnected { .. }), "{error:?}");
    let heard = server.heard();
    assert!(heard.head.starts_with("POST /relay/provision "), "{heard:?}");
    assert!(heard.head.contains("Bearer acc3ss") || heard.head.contains("bearer acc3ss"), "{heard:?}");
}

#[test]
fn connected_waits_after_a_loss_and_ends_with_the_gateway() {
    let mut stage = Stage::new(Wire::Tcp, &[]);
    stage.kit.block_on(stage.relay.connected()).unwrap();
    stage.connector.control(Act::Drop).unwrap();
    stage.notice(|notice| matches!(notice, Notice::Disconnected { .. }));
    stage.kit.block_on(stage.relay.connected()).unwrap();
    let relay = stage.relay.clone();
    stage.kit.block_on(relay.disconnect());
    assert_eq!(stage.kit.block_on(relay.connected()), Err(Closed::Disconnected));
}

#[test]
fn l_10_connected_ends_with_a_revocation() {
    let config = ConnectorConfig::default().gateway("gw-1", "s");
    let (kit, connector) = (Kit::new(), connector(config));
    let builder = Builder::new(connector.url()).identity(("discord", "1")).credentials("gw-1", "s");
    let builder = builder.limit("backoff_first", "10ms");
    let (relay, mut inbox) = kit.block_on(builder.connect()).unwrap();
    connector.control(Act::Revoke { on: true }).unwrap();
    while !matches!(kit.block_on(inbox.next()), Some(Incoming::Fatal(_))) {}
    assert_eq!(kit.block_on(relay.connected()), Err(Closed::Revoked));
}
