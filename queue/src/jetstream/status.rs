//! State of the streams, for people.

use super::error::JetStreamError;
use super::location::NatsUrl;
use super::names::Names;
use super::streams::{configurations, info};
use async_nats::jetstream::Context;

/// State of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StreamStatus {
    /// Name of the stream.
    pub name: String,
    /// Number of its messages.
    pub messages: u64,
    /// Bytes of these messages.
    pub bytes: u64,
    /// Maximum of these bytes, if there is one.
    pub max_bytes: Option<u64>,
    /// Number of servers that are to have each message.
    pub replicas: usize,
    /// Number of these servers that have all messages.
    pub current_replicas: usize,
    /// Server that leads the stream, in a cluster.
    pub leader: Option<String>,
}

/// Returns the state of each stream of a queue.
pub(super) async fn streams(
    context: &Context,
    names: &Names,
    url: &NatsUrl,
) -> Result<Vec<StreamStatus>, JetStreamError> {
    let mut streams = Vec::new();
    for stream in configurations(names, url) {
        let found = info(context, &stream.name).await?;
        let found = found.ok_or(JetStreamError::Missing)?;
        let followers = found.cluster.as_ref().map_or(0, |cluster| {
            cluster.replicas.iter().filter(|peer| peer.current && !peer.offline).count()
        });
        streams.push(StreamStatus {
            name: stream.name,
            messages: found.state.messages,
            bytes: found.state.bytes,
            max_bytes: u64::try_from(found.config.max_bytes).ok(),
            replicas: found.config.num_replicas,
            current_replicas: followers + 1,
            leader: found.cluster.and_then(|cluster| cluster.leader),
        });
    }
    Ok(streams)
}
