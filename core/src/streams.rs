//! Streamed replies in progress (O-10): their bounds, their pace, and the op that each shows next.

use crate::chats::Chat;
use crate::command::{AutoThread, Failure, FailureKind, Metadata, Reply, RequestId};
use crate::hash::{Table, table};
use crate::json;
use crate::op::{Draft, EditMessage, Op, SendMessage, StreamReply};
use crate::output::DeliveryId;
use crate::requests::{IdentityIndex, Owner, StreamKey};
use crate::stream::{Abilities, Allowed, Next, Step, StepOp, StreamPlan};
use crate::time::Time;
use serde_json::Value;
use std::collections::VecDeque;

/// Metadata of the frame that completes an answer (M-7).
pub(crate) const NOTIFY: &str = "notify";

/// Destination of a stream, and what its platform can do.
#[derive(Debug)]
pub(crate) struct StreamTarget {
    pub(crate) chat_id: String,
    pub(crate) reply_to: Option<String>,
    /// Metadata of every frame.
    pub(crate) metadata: Metadata,
    pub(crate) platform: Option<String>,
    pub(crate) abilities: Abilities,
}

/// Fields that the machine adds to a frame: its platform's identity and the memory of its chat.
#[derive(Clone, Debug)]
pub(crate) struct SentAs {
    pub(crate) identity: Option<IdentityIndex>,
    pub(crate) chat: Option<Chat>,
}

/// Next step of a stream.
#[derive(Debug)]
pub(crate) enum Advance {
    /// Wait for the next input.
    Wait,
    /// Request this op.
    Ask(Op),
    /// The last state has ended. The request that waits for it, if any, has this result.
    Over(Option<RequestId>, Result<Reply, Failure>),
}

/// A streamed reply.
#[derive(Debug)]
struct Streamed {
    plan: StreamPlan,
    /// Delivery that it answers, if the host named one.
    delivery: Option<DeliveryId>,
    chat_id: String,
    reply_to: Option<String>,
    metadata: Metadata,
    /// Value of `notify` on the frame that completes the text (M-7).
    notify: Value,
    platform: Option<String>,
    /// True if its first message does not point at the message that it answers.
    continues: bool,
    /// Context of its last seal, while the seal's fate is unknown: the second try is the same frame (O-13).
    sealed_as: Option<(i64, SentAs)>,
    /// Last thread that the connector created for one of its messages (O-18).
    auto_thread: Option<AutoThread>,
    /// Request that waits for the end.
    finishes: Option<RequestId>,
    /// True if its failure was reported to the host, so that it may be evicted.
    is_reported: bool,
    /// Bytes of its ids and metadata.
    own: usize,
    /// Its part of [`Streams::bytes`].
    weight: usize,
}

impl Streamed {
    fn op(&self, step: Step) -> Op {
        let Step { op, content, last } = step;
        let (chat_id, platform) = (self.chat_id.clone(), self.platform.clone());
        let mut metadata = self.metadata.clone();
        if last {
            metadata.insert(NOTIFY.to_owned(), self.notify.clone());
        }
        match op {
            StepOp::Send { first } => {
                let reply_to = self.reply_to.clone().filter(|_| first && !self.continues);
                Op::Send(SendMessage { chat_id, content, reply_to, metadata, platform, continues: false })
            }
            StepOp::Edit { message_id } => {
                Op::Edit(EditMessage { chat_id, message_id, content, metadata, platform })
            }
            StepOp::Draft { draft_id, seals } => {
                Op::Draft(Draft { chat_id, draft_id, content, last: seals, metadata, platform })
            }
        }
    }
}

/// Streamed replies, oldest first.
#[derive(Debug)]
pub(crate) struct Streams {
    all: Table<StreamKey, Streamed>,
    /// Streams that showed something recently, with the time of their next step. All wait equally long, so the first
    /// is always the next.
    cooling: Table<StreamKey, Time>,
    /// Streams with a new input.
    ready: VecDeque<StreamKey>,
    /// Streams whose next step waits for room among the requests, the longest first.
    crowded: Table<StreamKey, ()>,
    /// Id of the last draft.
    drafts: i64,
    /// Bytes of all streams.
    bytes: usize,
}

impl Streams {
    /// Creates an empty table. Draft ids begin at the random `draw`, so that a connector that remembers drafts of an
    /// earlier process does not confuse them (O-12).
    pub(crate) fn new(draw: u64) -> Self {
        // Of 48 bits, so that every reader of JSON keeps them exact.
        let drafts = i64::try_from(draw >> 16).unwrap_or(0);
        Streams { all: table(), cooling: table(), ready: VecDeque::new(), crowded: table(), drafts, bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn contains(&self, key: StreamKey) -> bool {
        self.all.contains_key(&key)
    }

    /// Returns the bytes of one stream.
    pub(crate) fn weight(&self, key: StreamKey) -> usize {
        self.all.get(&key).map_or(0, |stream| stream.weight)
    }

    /// Returns when the next stream may go on.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.cooling.front().map(|(_, due)| *due)
    }

    /// Returns the failure of a failed stream, as the result of a further state. The last state ends the stream.
    pub(crate) fn failure(&mut self, key: StreamKey, last: bool) -> Option<Failure> {
        let stream = self.all.get_mut(&key)?;
        let failure = stream.plan.ended()?.clone();
        stream.is_reported = true;
        if last {
            self.remove(key);
        }
        Some(failure)
    }

    /// Checks that a state fits its stream, if there is one, and that all texts stay within `most_bytes`.
    pub(crate) fn check(
        &self,
        key: StreamKey,
        state: &StreamReply,
        most_bytes: usize,
    ) -> Result<(), Failure> {
        let stream = self.all.get(&key);
        let name = &state.stream;
        if let Some(stream) = stream {
            if stream.plan.is_finishing() {
                return Err(Failure::definite(format!("the stream {name:?} is finishing")));
            }
            if let Some(delivery) = state.delivery.filter(|delivery| stream.delivery != Some(*delivery)) {
                let number = delivery.number();
                return Err(Failure::definite(format!(
                    "the stream {name:?} does not answer delivery {number}: name the delivery of its first state"
                )));
            }
            let is_left_out = state.chat_id.is_empty() && stream.delivery.is_some();
            if stream.chat_id != state.chat_id && !is_left_out {
                let chat = &stream.chat_id;
                return Err(Failure::definite(format!("the stream {name:?} goes to chat {chat}")));
            }
        }
        let (mine, own) = stream.map_or((0, bytes_beside_text(state)), |stream| (stream.weight, 0));
        if self.bytes - mine + state.text.len() + own > most_bytes {
            return Err(Failure::definite(format!(
                "the texts of all streams are longer than `write_queue_bytes` allows, {most_bytes} bytes"
            )));
        }
        Ok(())
    }

    /// Begins a stream with its first state, which [`push`](Self::push) adds. At the bound of `most` streams, a stream
    /// whose end was reported to the host is evicted.
    pub(crate) fn begin(
        &mut self,
        key: StreamKey,
        state: &StreamReply,
        target: StreamTarget,
        most: usize,
    ) -> Result<(), Failure> {
        if !self.make_room(most) {
            let streams = self.all.len();
            return Err(Failure::definite(format!(
                "{streams} streams are under way, as many as `streams` allows"
            )));
        }
        let StreamTarget { chat_id, reply_to, mut metadata, platform, abilities } = target;
        let notify = metadata.remove(NOTIFY).unwrap_or(Value::Bool(true));
        let stream = Streamed {
            plan: StreamPlan::new(abilities),
            delivery: state.delivery,
            chat_id,
            reply_to,
            metadata,
            notify,
            platform,
            continues: state.continues,
            sealed_as: None,
            auto_thread: None,
            finishes: None,
            is_reported: false,
            own: bytes_beside_text(state),
            weight: 0,
        };
        self.all.insert(key, stream);
        Ok(())
    }

    fn make_room(&mut self, most: usize) -> bool {
        if self.all.len() < most {
            return true;
        }
        let spent = |(_, stream): &(&StreamKey, &Streamed)| stream.is_reported && !stream.plan.is_waiting();
        let spent = self.all.iter().find(spent).map(|(key, _)| *key);
        spent.map(|key| self.remove(key)).is_some()
    }

    /// Adds a state that [`check`](Self::check) has passed. Request `id` of the last state completes when the stream
    /// ends.
    pub(crate) fn push(&mut self, key: StreamKey, state: &StreamReply, id: RequestId) {
        if let Some(stream) = self.all.get_mut(&key) {
            stream.plan.push(&state.text, state.last, state.segment);
            stream.plan.set_interim(state.interim);
            if let Some(notify) = state.metadata.get(NOTIFY).filter(|_| state.last) {
                stream.notify = notify.clone();
                stream.own = stream.own.max(bytes_beside_text(state));
            }
            stream.is_reported = false;
            stream.finishes = state.last.then_some(id);
        }
        self.weigh(key);
        self.ready.push_back(key);
    }

    /// Stops the replies to a delivery (O-13).
    pub(crate) fn stop(&mut self, delivery: DeliveryId) {
        for (key, stream) in &mut self.all {
            if stream.delivery == Some(delivery) {
                stream.plan.stop();
                self.ready.push_back(*key);
            }
        }
    }

    /// Takes the next stream with a new input.
    pub(crate) fn take_ready(&mut self) -> Option<StreamKey> {
        self.ready.pop_front()
    }

    /// Returns the stream that has waited longest for room among the requests.
    pub(crate) fn crowded(&self) -> Option<StreamKey> {
        self.crowded.front().map(|(key, ())| *key)
    }

    /// Removes the stream that has waited longest for room from the waiting ones: it has room now.
    pub(crate) fn take_crowded(&mut self) {
        self.crowded.pop_front();
    }

    /// Makes the stream whose pause has ended ready.
    pub(crate) fn rest_over(&mut self) {
        if let Some((key, _)) = self.cooling.pop_front() {
            self.ready.push_back(key);
        }
    }

    /// Returns the next step of a stream.
    pub(crate) fn advance(&mut self, key: StreamKey, has_room: bool) -> Advance {
        let Some(stream) = self.all.get_mut(&key) else { return Advance::Wait };
        let may = match (has_room, self.cooling.contains_key(&key)) {
            (false, _) => Allowed::Nothing,
            (true, true) => Allowed::Last,
            (true, false) => Allowed::All,
        };
        match stream.plan.next(may, &mut self.drafts) {
            Next::Wait => {
                if !has_room && !stream.plan.is_waiting() {
                    self.crowded.entry(key).or_insert(());
                }
                Advance::Wait
            }
            Next::Step(step) => Advance::Ask(stream.op(step)),
            Next::Over(result) => self.over(key, result),
        }
    }

    fn over(&mut self, key: StreamKey, result: Result<Vec<String>, Failure>) -> Advance {
        let Some(stream) = self.all.get_mut(&key) else { return Advance::Wait };
        let finishes = stream.finishes.take();
        // A text that was never written can be submitted again, and the stream continues from here. A stopped stream
        // stays: the host may still submit states, which must not begin another stream.
        let is_definite = result.as_ref().is_err_and(|failure| failure.kind == FailureKind::Definite);
        let stays = is_definite || finishes.is_none();
        stream.is_reported = true;
        let auto_thread = if finishes.is_some() { stream.auto_thread.take() } else { None };
        if !stays {
            self.remove(key);
        }
        Advance::Over(finishes, result.map(|message_ids| Reply::Streamed { message_ids, auto_thread }))
    }

    /// Notes that a step was requested. The next one comes no sooner than `due`.
    pub(crate) fn step_asked(&mut self, key: StreamKey, due: Time) {
        self.cooling.insert(key, due);
    }

    /// Notes that a step could not be requested.
    pub(crate) fn step_refused(&mut self, key: StreamKey, failure: Failure) {
        if let Some(stream) = self.all.get_mut(&key) {
            stream.sealed_as = None;
            stream.plan.result(Err(failure));
        }
    }

    /// Notes the result of a step.
    pub(crate) fn step_ended(&mut self, key: StreamKey, result: Result<Reply, Failure>) {
        let Some(stream) = self.all.get_mut(&key) else { return };
        if !result.as_ref().is_err_and(|failure| failure.kind == FailureKind::Ambiguous) {
            stream.sealed_as = None;
        }
        if let Ok(Reply::Sent { thread_id: Some(id), auto_thread_name: Some(name), .. }) = &result {
            let (id, name) = (id.clone(), name.clone());
            stream.auto_thread = Some(AutoThread { id, name });
        }
        stream.plan.result(result.map(message_id));
        self.weigh(key);
        self.ready.push_back(key);
    }

    /// Returns the context of a seal if the op is its second try (O-13).
    pub(crate) fn repeated(&self, owner: Owner, op: &Op) -> Option<SentAs> {
        let (key, draft_id) = seal(owner, op)?;
        let (id, before) = self.all.get(&key)?.sealed_as.as_ref()?;
        (*id == draft_id).then(|| before.clone())
    }

    /// Remembers the context of a seal.
    pub(crate) fn sends(
        &mut self,
        owner: Owner,
        op: &Op,
        identity: Option<IdentityIndex>,
        chat: Option<&Chat>,
    ) {
        if let Some((key, draft_id)) = seal(owner, op)
            && let Some(stream) = self.all.get_mut(&key)
        {
            stream.sealed_as = Some((draft_id, SentAs { identity, chat: chat.cloned() }));
        }
    }

    /// Pauses all streams: the connection is over, and none continues without the host (O-8). Returns them, to be
    /// advanced once.
    pub(crate) fn hold(&mut self, why: &str) -> Vec<StreamKey> {
        self.cooling.clear();
        self.ready.clear();
        self.crowded.clear();
        for (_, stream) in &mut self.all {
            stream.plan.hold(Failure::definite(why));
        }
        self.all.keys().copied().collect()
    }

    /// Updates the weight of a stream.
    fn weigh(&mut self, key: StreamKey) {
        if let Some(stream) = self.all.get_mut(&key) {
            let weight = stream.own + stream.plan.weight();
            self.bytes = self.bytes - stream.weight + weight;
            stream.weight = weight;
        }
    }

    fn remove(&mut self, key: StreamKey) {
        self.cooling.remove(&key);
        self.crowded.remove(&key);
        if let Some(stream) = self.all.remove(&key) {
            self.bytes -= stream.weight;
        }
    }
}

/// Returns the stream and the draft that an op seals.
fn seal(owner: Owner, op: &Op) -> Option<(StreamKey, i64)> {
    match (owner, op) {
        (Owner::Stream(key), Op::Draft(Draft { draft_id, last: true, .. })) => Some((key, *draft_id)),
        _ => None,
    }
}

/// Returns the bytes that a stream keeps of its first state beside the text.
fn bytes_beside_text(state: &StreamReply) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let ids = state.chat_id.len() + text(&state.reply_to) + text(&state.platform);
    ids + json::weight_of_fields(&state.metadata)
}

/// Returns the id in the answer to a step.
fn message_id(reply: Reply) -> Option<String> {
    match reply {
        Reply::Sent { message_id, .. } | Reply::Prompted { message_id, .. } => message_id,
        Reply::Done
        | Reply::Thread { .. }
        | Reply::ChatInfo { .. }
        | Reply::Streamed { .. }
        | Reply::Raw { .. }
        | Reply::Idle { .. } => None,
    }
}
