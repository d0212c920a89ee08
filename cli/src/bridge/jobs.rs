//! Several agents side by side, which are served from a queue.

#[cfg(feature = "jetstream")]
use super::fleet::FleetHost;
use super::gateway::{Cause, Gateway, GatewayParts};
use super::{Agents, End, Job, Options, end_of, serve_agents};
use crate::gateway::RuntimeName;
use crate::queue::QueueStart;
use crate::signals::Shutdown;
#[cfg(feature = "jetstream")]
use futures_util::future::join;
use futures_util::future::join_all;
use relayline_control::config::GatewayConfig;
use relayline_queue::inbox::{DurableQueue, OpenError, QueueEnd};
#[cfg(feature = "jetstream")]
use std::future::pending;
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
    #[cfg(feature = "jetstream")]
    let fleet = queue.workers().map_err(io::Error::other)?;
    runtime.host_with_queue(config, queue, observer, |queue| async move {
        let relay = queue.relay().clone();
        let (parts, control) = options.begin(runtime, &relay, Some(&queue), shutdown)?;
        #[cfg(feature = "jetstream")]
        let fleet = fleet.map(|fleet| fleet.host(queue.clone(), parts.clone()));
        let first = Gateway::queued(queue.clone(), parts.clone());
        let end = serve_jobs(
            first,
            jobs,
            #[cfg(feature = "jetstream")]
            fleet.as_ref(),
            || parts.clone(),
        )
        .await;
        let handed_over = hand_over(&queue).await;
        #[cfg(feature = "jetstream")]
        if let Some(fleet) = fleet {
            fleet.finish(handed_over.is_ok());
        }
        if let Some(control) = control {
            control.finish().await;
        }
        handed_over.and(end)
    })
}

/// Serves the gateway's own jobs, and the agents of workers beside them. With workers the gateway goes on without a job of
/// its own.
async fn serve_jobs<A: Agents>(
    mut gateway: Gateway,
    jobs: &mut [A],
    #[cfg(feature = "jetstream")] fleet: Option<&FleetHost>,
    parts: impl Fn() -> GatewayParts,
) -> io::Result<End> {
    let own = serve_own(&gateway, jobs, &parts);
    #[cfg(feature = "jetstream")]
    let ended = match fleet.zip(gateway.for_another_agent(parts())) {
        Some((fleet, watcher)) => join(own, fleet.serve(&gateway, until_end(watcher))).await.0,
        None => own.await,
    };
    #[cfg(not(feature = "jetstream"))]
    let ended = own.await;
    if gateway.cause().is_none() && !gateway.has_ended() {
        // The last job has ended.
        gateway.leave_without_agent(Cause::OutputEnded).await;
    }
    ended?;
    Ok(end_of(&gateway))
}

/// Waits for the end of a gateway, and disconnects it at a request to stop.
#[cfg(feature = "jetstream")]
async fn until_end(mut gateway: Gateway) {
    gateway.without_agent(pending::<()>()).await;
    if let Some(cause) = gateway.cause() {
        gateway.leave_without_agent(cause).await;
    }
}

/// Serves the gateway's own jobs, until each has ended.
async fn serve_own<A: Agents>(
    gateway: &Gateway,
    jobs: &mut [A],
    parts: &impl Fn() -> GatewayParts,
) -> io::Result<()> {
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
    ended.into_iter().collect()
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
