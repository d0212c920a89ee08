//! Gateway of the library, on either runtime.

use crate::Result;
use crate::meter::{RoundTripMeter, ThroughputMeter};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use relayline_bench::reports::{RoundTrips, Throughput, WARM_UP_ROUND_TRIPS, WINDOW};
use relayline_bench::requests::send;
use relayline_runtime::{Builder, CurrentRuntime, Inbox, Incoming, Relay};
use std::hint::black_box;
use std::time::Instant;

/// Receives and acknowledges events, and measures `count` of them.
pub(crate) async fn receive<R: CurrentRuntime>(port: u16, count: u64) -> Result<Throughput> {
    let (_relay, mut inbox) = connect::<R>(port).await?;
    let mut meter = ThroughputMeter::new(count);
    while let Some(incoming) = inbox.next().await {
        if let Incoming::Message(delivery) = incoming {
            delivery.ack();
            black_box(delivery.text());
            if let Some(report) = meter.count()? {
                return Ok(report);
            }
        }
    }
    Err("the connection ended before the last event".into())
}

/// Measures `count` round trips.
pub(crate) async fn request<R: CurrentRuntime>(port: u16, count: u64) -> Result<RoundTrips> {
    let (relay, _inbox) = connect::<R>(port).await?;
    let mut meter = RoundTripMeter::new();
    for _ in 0..WARM_UP_ROUND_TRIPS + count {
        let message = send();
        let started = Instant::now();
        relay.submit(message)?.await?;
        meter.count(started);
    }
    meter.report()
}

/// Measures `count` requests, of which a window is in flight.
pub(crate) async fn pump<R: CurrentRuntime>(port: u16, count: u64) -> Result<Throughput> {
    let (relay, _inbox) = connect::<R>(port).await?;
    let mut meter = ThroughputMeter::new(count);
    let mut in_flight = FuturesUnordered::new();
    for _ in 0..WINDOW {
        in_flight.push(relay.submit(send())?);
    }
    while let Some(result) = in_flight.next().await {
        result?;
        if let Some(report) = meter.count()? {
            return Ok(report);
        }
        in_flight.push(relay.submit(send())?);
    }
    Err("no request is in flight".into())
}

async fn connect<R: CurrentRuntime>(port: u16) -> Result<(Relay, Inbox)> {
    let builder = Builder::<R>::new(format!("ws://127.0.0.1:{port}")).identity(("discord", "1"));
    Ok(builder.connect().await?)
}
