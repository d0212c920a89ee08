//! Gateways of the library on tokio, many in one process: the cost of each while it is idle.

use crate::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use relayline_bench::process::{allow_connections, cpu_time, resident_kib};
use relayline_bench::reports::{IDLE_SPAN, Idle, TRAFFIC_EVENTS};
use relayline_bench::requests::send;
use relayline_tokio::{Builder, Inbox, Incoming, Relay};
use std::time::Instant;
use tokio::task::JoinSet;

/// Number of gateways that connect at the same time.
const CONNECTING: usize = 32;

/// Connects `count` gateways, lets each have its traffic, and measures the process while they are idle. With a certificate,
/// in PEM form, they connect over TLS and trust it.
pub(crate) async fn idle(port: u16, count: usize, certificate: Option<&str>) -> Result<Idle> {
    allow_connections(count)?;
    let before_kib = resident_kib()?;
    let gateways = (0..count).map(|_| {
        let gateway = gateway(port, certificate);
        async { tokio::spawn(have_traffic(gateway)).await? }
    });
    let gateways = stream::iter(gateways).buffer_unordered(CONNECTING);
    let mut hosts = JoinSet::new();
    gateways
        .try_for_each(|(relay, inbox)| {
            hosts.spawn(host(relay, inbox));
            std::future::ready(Ok(()))
        })
        .await?;
    let after_kib = resident_kib()?;
    let (started, cpu) = (Instant::now(), cpu_time()?);
    tokio::select! {
        Some(ended) = hosts.join_next() => Err(format!("a gateway is not idle: {}", ended?).into()),
        () = tokio::time::sleep(IDLE_SPAN) => {
            let cpu = cpu_time()? - cpu;
            Ok(Idle { before_kib, after_kib, cores: cpu.as_secs_f64() / started.elapsed().as_secs_f64() })
        }
    }
}

fn gateway(port: u16, certificate: Option<&str>) -> Builder {
    let scheme = if certificate.is_some() { "wss" } else { "ws" };
    let builder = Builder::new(format!("{scheme}://127.0.0.1:{port}")).identity(("discord", "1"));
    match certificate {
        Some(certificate) => builder.certificates("the certificate of the bench", certificate),
        None => builder,
    }
}

/// Connects a gateway, acknowledges all its events, and waits for the result of one request.
async fn have_traffic(gateway: Builder) -> Result<(Relay, Inbox)> {
    let (relay, mut inbox) = gateway.connect().await?;
    let mut events = 0;
    while events < TRAFFIC_EVENTS {
        match inbox.next().await {
            Some(Incoming::Message(delivery)) => {
                delivery.ack();
                events += 1;
            }
            Some(Incoming::Notice(_)) => {}
            other => return Err(format!("unexpected item of the inbox: {other:?}").into()),
        }
    }
    relay.submit(send())?.await?;
    Ok((relay, inbox))
}

/// Waits for an item of the inbox, and returns its description. An idle gateway has none.
async fn host(_relay: Relay, mut inbox: Inbox) -> String {
    format!("{:?}", inbox.next().await)
}
