//! Several agents side by side, which are served from a queue.

use super::gateway::{Cause, Gateway, GatewayParts};
use super::{Agents, End, Job, Options, end_of, serve_agents};
use crate::gateway::RuntimeName;
use crate::queue::QueueStart;
use crate::signals::Shutdown;
use futures_util::future::join_all;
use relayline_control::config::GatewayConfig;
use relayline_queue::inbox::{DurableQueue, OpenError, QueueEnd};
use std::io;

/// Runs a gateway that serves jobs from a queue, until each of them has ended or until a request to stop. From then on it
/// returns within the disconnect budget and the time to hand the queue over.
pub(crate) fn run_jobs<A: Agents>(
    runtime: RuntimeName,
    config: GatewayConfig,
    queue: QueueStart,
    jobs: &mut [A],
    options: Options,
    shutdown: &Shutdown,
) -> io::Result<Result<End, OpenError>> {
    let observer = options.facilities.observer();
    runtime.host_with_queue(config, queue, observer, |queue| async move {
        let relay = queue.relay().clone();
        let (parts, control) = options.begin(runtime, &relay, Some(&queue), shutdown)?;
        let first = Gateway::queued(queue.clone(), parts.clone());
        let end = serve_jobs(first, jobs, || parts.clone()).await;
        let handed_over = hand_over(&queue).await;
        if let Some(control) = control {
            control.finish().await;
        }
        handed_over.and(end)
    })
}

/// Runs a gateway that stores events for agents of other processes, until a request to stop.
pub(crate) fn run_alone(
    runtime: RuntimeName,
    config: GatewayConfig,
    queue: QueueStart,
    options: Options,
    shutdown: &Shutdown,
) -> io::Result<Result<End, OpenError>> {
    runtime.host_with_queue(config, queue, |queue| async move {
        let relay = queue.relay().clone();
        let (parts, control) = options.begin(runtime, &relay, Some(&queue), shutdown)?;
        let mut gateway = Gateway::queued(queue.clone(), parts);
        let _: Option<()> = gateway.without_agent(std::future::pending()).await;
        if let Some(cause) = gateway.cause() {
            gateway.leave_without_agent(cause).await;
        }
        let handed_over = hand_over(&queue).await;
        if let Some(control) = control {
            control.finish().await;
        }
        handed_over.map(|()| end_of(&gateway))
    })
}

async fn serve_jobs<A: Agents>(
    mut gateway: Gateway,
    jobs: &mut [A],
    parts: impl Fn() -> GatewayParts,
) -> io::Result<End> {
    let is_alone = jobs.len() == 1;
    let serve = jobs.iter_mut().enumerate().map(|(number, agents)| {
        let gateway = gateway.for_another_agent(parts());
        async move {
            let Some(mut gateway) = gateway else { return Ok(()) };
            let id = format!("agent-{}", number + 1);
            serve_agents(&mut gateway, agents, Some(Job { id: &id, is_alone })).await
        }
    });
    let ended: Vec<io::Result<()>> = join_all(serve).await;
    if gateway.cause().is_none() && !gateway.has_ended() {
        // The last job has ended.
        gateway.leave_without_agent(Cause::OutputEnded).await;
    }
    ended.into_iter().collect::<io::Result<()>>()?;
    Ok(end_of(&gateway))
}

/// Hands the queue over, once all agents have ended.
///
/// # Errors
/// The gateway has ended because the queue was lost, or cannot be used.
pub(crate) async fn hand_over(queue: &DurableQueue) -> io::Result<()> {
    let former = queue.end();
    match (former, queue.hand_over().await) {
        (Some(end @ (QueueEnd::Lost | QueueEnd::Failed(_))), _) => Err(io::Error::other(end.to_string())),
        // The library logs what could not be written in the end: the next gateway recovers from that.
        _ => Ok(()),
    }
}
