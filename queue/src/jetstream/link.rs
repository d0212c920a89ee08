//! Requests to the servers: messages published in order, messages read, messages removed.

use super::connection::TIMEOUT;
use super::error::{Failure, fault, publish_failure, server_error};
use super::streams;
use crate::store::{FaultKind, StoreFault};
use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use async_nats::jetstream::message::{OutboundMessage, PublishMessage};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{HeaderMap, HeaderValue};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::cell::Cell;
use tokio::time::timeout;

/// Number of removals that are under way at once.
const REMOVALS: usize = 64;

/// Number of messages in one batch. Servers accept 1000 by default.
const BATCH: usize = 500;

/// Headers of a batch: its id, the place of the message in it, and the mark of its last message.
const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// Number of messages from which they are read by a consumer, and not one by one.
const FEW: u64 = 16;

/// Message that was read.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    /// Empty if only headers were read.
    pub(super) payload: bytes::Bytes,
}

/// Messages to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range<'r> {
    pub(super) stream: &'r str,
    pub(super) subject: &'r str,
    /// First sequence.
    pub(super) from: u64,
    /// Maximum number.
    pub(super) most: usize,
    /// True if payloads are not needed.
    pub(super) is_headers_only: bool,
}

/// Requests to the servers for one queue.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) context: Context,
    /// Random name of this store.
    pub(super) token: String,
    next_id: Cell<u64>,
}

impl Link {
    pub(super) fn new(context: Context, token: String) -> Link {
        Link { context, token, next_id: Cell::new(0) }
    }

    /// Returns a number that no other message of this store has.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.set(self.next_id.get() + 1);
        self.next_id.get()
    }

    /// Publishes messages at the end of a stream, if its last sequence is `last`. Returns the number of messages that are
    /// certainly stored.
    ///
    /// Several messages are a batch, which the servers store as a whole or not at all. Without it, messages that are under
    /// way together could mix with those of another writer: if its message takes the place of the first, the second finds
    /// the sequence that it expects.
    pub(super) async fn append(
        &self,
        subject: &str,
        last: u64,
        messages: Vec<PublishMessage>,
    ) -> (u64, Result<(), Failure>) {
        let mut stored = 0;
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let batch: Vec<PublishMessage> = messages.by_ref().take(BATCH).collect();
            let count = batch.len() as u64;
            if let Err(failure) = self.append_batch(subject, last + stored, batch).await {
                return (stored, Err(failure));
            }
            stored += count;
        }
        (stored, Ok(()))
    }

    async fn append_batch(
        &self,
        subject: &str,
        last: u64,
        batch: Vec<PublishMessage>,
    ) -> Result<(), Failure> {
        let action = format!("write to {subject}");
        let count = batch.len() as u64;
        let id = format!("{}.{}", self.token, self.next_id());
        let client = self.context.client();
        let mut ack = None;
        for (n, message) in (1..).zip(batch) {
            let message = if n == 1 { message.expected_last_sequence(last) } else { message };
            let message = match count {
                1 => message,
                _ => message.header(BATCH_ID, id.as_str()).header(BATCH_SEQUENCE, HeaderValue::from(n)),
            };
            if n < count {
                let OutboundMessage { subject, payload, headers } =
                    message.outbound_message(subject.to_owned());
                let sent = client.publish_with_headers(subject, headers.unwrap_or_default(), payload);
                sent.await.map_err(|error| Failure::Fault(fault(&action, &error)))?;
                continue;
            }
            let message = if count > 1 { message.header(BATCH_COMMIT, "1") } else { message };
            let sent = self.context.send_publish(subject.to_owned(), message).await;
            ack = Some(sent.map_err(|error| publish_failure(&action, &error))?);
        }
        let Some(ack) = ack else { return Ok(()) };
        match ack.await {
            Ok(ack) if ack.sequence == last + count => Ok(()),
            // It was stored elsewhere, which the expectation excludes: read it back.
            Ok(_) => Err(Failure::Conflict),
            Err(error) => Err(publish_failure(&action, &error)),
        }
    }

    /// Publishes messages that replace earlier ones of their subjects.
    pub(super) async fn put(
        &self,
        messages: impl IntoIterator<Item = (String, PublishMessage)>,
    ) -> Result<(), Failure> {
        let mut sent = Vec::new();
        for (subject, message) in messages {
            let action = format!("write to {subject}");
            let ack = self.context.send_publish(subject, message).await;
            sent.push((ack.map_err(|error| publish_failure(&action, &error))?, action));
        }
        for (ack, action) in sent {
            ack.await.map_err(|error| publish_failure(&action, &error))?;
        }
        Ok(())
    }

    /// Returns the last sequence of a stream.
    pub(super) async fn last_sequence(&self, stream: &str) -> Result<u64, StoreFault> {
        Ok(self.state(stream).await?.last_sequence)
    }

    async fn state(&self, stream: &str) -> Result<async_nats::jetstream::stream::State, StoreFault> {
        match streams::info(&self.context, stream).await? {
            Some(info) => Ok(info.state),
            None => {
                let text = format!("the stream {stream} was deleted: restore it from a backup");
                Err(StoreFault { kind: FaultKind::Damaged, text })
            }
        }
    }

    /// Returns the last message of a subject. The leader of the stream answers, so it is the last one.
    pub(super) async fn last_of(&self, stream: &str, subject: &str) -> Result<Option<Stored>, StoreFault> {
        let handle = self.handle(stream).await?;
        found(subject, handle.raw_message_builder().last_by_subject(subject).send().await)
    }

    /// Returns the message with a sequence.
    pub(super) async fn message(&self, stream: &str, sequence: u64) -> Result<Option<Stored>, StoreFault> {
        let handle = self.handle(stream).await?;
        found(stream, handle.raw_message_builder().sequence(sequence).send().await)
    }

    async fn handle(&self, stream: &str) -> Result<async_nats::jetstream::stream::Stream<()>, StoreFault> {
        let handle = self.context.get_stream_no_info(stream).await;
        handle.map_err(|error| fault(&format!("read the stream {stream}"), &error))
    }

    /// Reads messages in order, up to the stream's end as its leader knows it, and returns the last sequence.
    ///
    /// A consumer reads most of them. It may be on a server that lags behind, so the leader is asked for the rest.
    pub(super) async fn read(&self, range: Range<'_>) -> Result<(Vec<Stored>, u64), StoreFault> {
        let state = self.state(range.stream).await?;
        let last = state.last_sequence;
        let from = range.from.max(state.first_sequence);
        let mut messages = Vec::new();
        if state.messages == 0 || from > last {
            return Ok((messages, last));
        }
        if last - from >= FEW {
            self.consume(Range { from, ..range }, last, &mut messages).await?;
        }
        let mut next = messages.last().map_or(from, |message| message.sequence + 1);
        let handle = self.handle(range.stream).await?;
        while next <= last && messages.len() < range.most {
            let request = handle.raw_message_builder().sequence(next).next_by_subject(range.subject);
            match found(range.subject, request.send().await)? {
                Some(message) if message.sequence <= last => {
                    next = message.sequence + 1;
                    messages.push(message);
                }
                _ => break,
            }
        }
        Ok((messages, last))
    }

    /// Reads messages up to a sequence by a consumer. Another process may write later ones meanwhile.
    async fn consume(
        &self,
        range: Range<'_>,
        last: u64,
        messages: &mut Vec<Stored>,
    ) -> Result<(), StoreFault> {
        let action = format!("read the stream {}", range.stream);
        let failed = |why: &str| StoreFault {
            kind: FaultKind::Unavailable,
            text: format!("cannot {action}: {why}: check the servers and the network"),
        };
        let config = OrderedConfig {
            name: Some(format!("{}-{}", self.token, self.next_id())),
            filter_subject: range.subject.to_owned(),
            headers_only: range.is_headers_only,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: range.from },
            ..OrderedConfig::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, range.stream).await;
        let consumer = consumer.map_err(|error| fault(&action, &error))?;
        let (name, pending) = {
            let info = consumer.cached_info();
            (info.name.clone(), info.num_pending)
        };
        if pending > 0 {
            let mut stream = consumer.messages().await.map_err(|error| fault(&action, &error))?;
            while messages.len() < range.most {
                let next = timeout(TIMEOUT, stream.next()).await;
                let message = match next {
                    Ok(Some(message)) => message.map_err(|error| fault(&action, &error))?,
                    Ok(None) => break,
                    Err(_) => return Err(failed("the servers do not answer")),
                };
                let (sequence, pending) = {
                    let info = message.info().map_err(|error| failed(&error.to_string()))?;
                    (info.stream_sequence, info.pending)
                };
                if sequence > last {
                    break;
                }
                let message = message.message;
                messages.push(Stored {
                    sequence,
                    subject: message.subject.to_string(),
                    headers: message.headers.unwrap_or_default(),
                    payload: message.payload,
                });
                if pending == 0 || sequence == last {
                    break;
                }
            }
        }
        // The servers remove it by themselves after a while, too.
        let _ = self.context.delete_consumer_from_stream(name, range.stream).await;
        Ok(())
    }

    /// Removes messages. Those that are not there do not matter.
    ///
    /// They are not overwritten: the servers need twenty milliseconds to overwrite one.
    pub(super) async fn remove(&self, stream: &str, sequences: &[u64]) -> Result<(), StoreFault> {
        let subject = &format!("STREAM.MSG.DELETE.{stream}");
        let action = &format!("remove from the stream {stream}");
        let removals = sequences.iter().map(|sequence| async move {
            let request = serde_json::json!({ "seq": sequence, "no_erase": true });
            let answer = self.context.request(subject.clone(), &request).await;
            match answer.map_err(|error| fault(action, &error))? {
                Response::<serde_json::Value>::Ok(_) => Ok(()),
                Response::Err { error } if is_gone(&error) => Ok(()),
                Response::Err { error } => Err(fault(action, &error)),
            }
        });
        stream::iter(removals).buffer_unordered(REMOVALS).try_collect().await
    }

    /// Removes the messages up to a sequence.
    pub(super) async fn remove_upto(&self, stream: &str, sequence: u64) -> Result<(), StoreFault> {
        let handle = self.handle(stream).await?;
        let purged = handle.purge().sequence(sequence + 1).await;
        purged.map(|_| ()).map_err(|error| fault(&format!("remove from the stream {stream}"), &error))
    }

    /// Removes the messages of a subject, which may have wildcards.
    pub(super) async fn remove_subject(&self, stream: &str, subject: &str) -> Result<(), StoreFault> {
        let handle = self.handle(stream).await?;
        let purged = handle.purge().filter(subject).await;
        purged.map(|_| ()).map_err(|error| fault(&format!("remove {subject}"), &error))
    }

    /// Returns the subjects in a stream that a filter with wildcards accepts.
    pub(super) async fn subjects(&self, stream: &str, filter: &str) -> Result<Vec<String>, StoreFault> {
        let failed = |error: async_nats::jetstream::stream::InfoError| {
            fault(&format!("read the subjects of the stream {stream}"), &error)
        };
        let handle = self.handle(stream).await?;
        let subjects = handle.info_with_subjects(filter).await.map_err(failed)?;
        subjects.map_ok(|(subject, _)| subject).try_collect().await.map_err(failed)
    }
}

fn is_gone(error: &async_nats::jetstream::Error) -> bool {
    matches!(
        error.error_code(),
        ErrorCode::NO_MESSAGE_FOUND | ErrorCode::SEQUENCE_NOT_FOUND | ErrorCode::STREAM_MESSAGE_DELETE_FAILED
    )
}

/// Returns the message of an answer; `None` if there is none.
fn found(
    place: &str,
    answer: Result<
        async_nats::jetstream::message::StreamMessage,
        async_nats::jetstream::stream::RawMessageError,
    >,
) -> Result<Option<Stored>, StoreFault> {
    match answer {
        Ok(message) => Ok(Some(Stored {
            sequence: message.sequence,
            subject: message.subject.to_string(),
            headers: message.headers,
            payload: message.payload,
        })),
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) if server_error(&error).is_some_and(is_gone) => Ok(None),
        Err(error) => Err(fault(&format!("read {place}"), &error)),
    }
}
