//! Streamed replies (O-10): their bound, their pace, and the steps that their plans ask for.

use super::RelayMachine;
use super::answers::place;
use super::requests::Owner;
use crate::anchor;
use crate::chats::Chat;
use crate::command::{
    AutoThread, Command, Failure, FailureKind, Metadata, NotAccepted, Refusal, Reply, RequestId,
};
use crate::hash::{Table, table};
use crate::json;
use crate::op::{Draft, EditMessage, Op, SendMessage, StreamReply};
use crate::output::{Action, DeliveryId};
use crate::slack;
use crate::stream::{Abilities, May, Next, Step, StepOp, StreamPlan};
use crate::time::Time;
use serde_json::Value;
use std::collections::VecDeque;

/// Metadata of the frame that completes an answer (M-7).
pub(super) const NOTIFY: &str = "notify";

/// A stream by its name's hash.
pub(super) type StreamKey = u128;

/// One streamed reply.
#[derive(Debug)]
struct Streamed {
    plan: StreamPlan,
    /// The delivery that it answers, where the host has named one.
    delivery: Option<DeliveryId>,
    chat_id: String,
    reply_to: Option<String>,
    /// Metadata of every frame.
    metadata: Metadata,
    /// Value of `notify` on the frame that completes the text (M-7).
    notify: Value,
    platform: Option<String>,
    /// What its last seal went out as, while nobody knows what became of that: the second try is the same frame (O-13).
    sealed_as: Option<(i64, SentAs)>,
    /// The last thread that the connector has made for one of its messages (O-18).
    auto_thread: Option<AutoThread>,
    /// Who waits for the end.
    finishes: Option<RequestId>,
    /// The host knows that it failed: it may make room for another.
    told: bool,
    /// Bytes that it keeps beside its texts: ids and metadata.
    own: usize,
    /// What it counts for in [`Streams::bytes`].
    weight: usize,
}

/// What the machine adds to a frame: its platform's identity and what is remembered of its chat.
#[derive(Clone, Debug)]
pub(super) struct SentAs {
    pub(super) tag: Option<usize>,
    pub(super) chat: Option<Chat>,
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
                let reply_to = self.reply_to.clone().filter(|_| first);
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

/// The replies that are streamed, the oldest first.
#[derive(Debug)]
pub(super) struct Streams {
    all: Table<StreamKey, Streamed>,
    /// Those that showed something a short time ago, and when the next may follow. All wait alike, so that the first
    /// is always the next.
    cooling: Table<StreamKey, Time>,
    /// Those that something has happened to.
    ready: VecDeque<StreamKey>,
    /// Those whose next step waits for room among the requests, the longest first.
    crowded: Table<StreamKey, ()>,
    /// The last draft's id.
    drafts: i64,
    /// What the host's texts take in all.
    bytes: usize,
}

impl Streams {
    /// No streams. `draw` is where the ids of drafts begin: anywhere, so that a connector that remembers those of the
    /// process before does not take one for another (O-12).
    pub(super) fn new(draw: u64) -> Self {
        // Of 48 bits, so that every reader of JSON keeps them exact.
        let drafts = i64::try_from(draw >> 16).unwrap_or(0);
        Streams { all: table(), cooling: table(), ready: VecDeque::new(), crowded: table(), drafts, bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.cooling.front().map(|(_, due)| *due)
    }

    /// Weighs a stream anew.
    fn weigh(&mut self, key: StreamKey) {
        if let Some(stream) = self.all.get_mut(&key) {
            let weight = stream.own + stream.plan.weight();
            self.bytes = self.bytes - stream.weight + weight;
            stream.weight = weight;
        }
    }

    /// Returns what a seal went out as, where the op is its second try.
    pub(super) fn repeated(&self, owner: Owner, op: &Op) -> Option<SentAs> {
        let (key, draft_id) = seal(owner, op)?;
        let (id, before) = self.all.get(&key)?.sealed_as.as_ref()?;
        (*id == draft_id).then(|| before.clone())
    }

    /// Remembers what a seal goes out as.
    pub(super) fn sends(&mut self, owner: Owner, op: &Op, tag: Option<usize>, chat: Option<&Chat>) {
        if let Some((key, draft_id)) = seal(owner, op)
            && let Some(stream) = self.all.get_mut(&key)
        {
            stream.sealed_as = Some((draft_id, SentAs { tag, chat: chat.cloned() }));
        }
    }

    fn remove(&mut self, key: StreamKey) {
        self.cooling.remove(&key);
        self.crowded.remove(&key);
        if let Some(stream) = self.all.remove(&key) {
            self.bytes -= stream.weight;
        }
    }

    /// Makes room for one more, at the cost of one whose end the host knows; `false` when there is none.
    fn make_room(&mut self, most: usize) -> bool {
        if self.all.len() < most {
            return true;
        }
        let spent = |(_, stream): &(&StreamKey, &Streamed)| stream.told && !stream.plan.is_waiting();
        let spent = self.all.iter().find(spent).map(|(key, _)| *key);
        spent.map(|key| self.remove(key)).is_some()
    }
}

/// The stream and the draft that an op seals.
fn seal(owner: Owner, op: &Op) -> Option<(StreamKey, i64)> {
    match (owner, op) {
        (Owner::Stream(key), Op::Draft(Draft { draft_id, last: true, .. })) => Some((key, *draft_id)),
        _ => None,
    }
}

impl RelayMachine {
    /// The next state of a stream, or the first.
    pub(super) fn stream(&mut self, state: StreamReply) -> Result<RequestId, NotAccepted> {
        let key = self.seed.hash(&[&state.stream]);
        if let Some(failure) = self.streams.all.get(&key).and_then(|stream| stream.plan.ended()).cloned() {
            return Ok(self.after_its_end(key, state.last, failure));
        }
        if let Err(refusal) = self.admit(key, &state) {
            return Err(NotAccepted::new(Command::Stream(state), refusal));
        }
        let id = self.requests.fresh();
        if let Some(stream) = self.streams.all.get_mut(&key) {
            stream.plan.push(&state.text, state.last, state.segment);
            stream.told = false;
            stream.finishes = state.last.then_some(id);
        }
        self.streams.weigh(key);
        if !state.last {
            self.actions.push_back(Action::Complete { id, result: Ok(Reply::Done) });
        }
        self.streams.ready.push_back(key);
        Ok(id)
    }

    /// Whether a state can be taken; where it is the first of its name there is a stream then.
    fn admit(&mut self, key: StreamKey, state: &StreamReply) -> Result<(), Refusal> {
        self.can_ask(0)?;
        let stream = self.streams.all.get(&key);
        if let Some(stream) = stream {
            if stream.plan.is_finishing() {
                return Err(Failure::definite(format!("the stream {:?} is finishing", state.stream)).into());
            }
            let other = state.delivery.filter(|delivery| stream.delivery != Some(*delivery));
            if let Some(delivery) = other {
                let (name, number) = (&state.stream, delivery.number());
                let why = format!(
                    "the stream {name:?} does not answer delivery {number}: name the delivery of its first state"
                );
                return Err(Failure::definite(why).into());
            }
            let is_left_out = state.chat_id.is_empty() && stream.delivery.is_some();
            if stream.chat_id != state.chat_id && !is_left_out {
                let name = &state.stream;
                let why = format!("the stream {name:?} goes to chat {}", stream.chat_id);
                return Err(Failure::definite(why).into());
            }
        }
        let limits = &self.config.limits;
        let (mine, kept) = match stream {
            Some(stream) => (stream.weight, 0),
            None => (0, bytes_beside_text(state)),
        };
        if self.streams.bytes - mine + state.text.len() + kept > limits.write_queue_bytes {
            let why = format!(
                "the texts of all streams are longer than `write_queue_bytes` allows, {} bytes",
                limits.write_queue_bytes
            );
            return Err(Failure::definite(why).into());
        }
        if stream.is_some() {
            return Ok(());
        }
        let stream = self.begin_stream(state)?;
        let limits = &self.config.limits;
        if !self.streams.make_room(limits.streams) {
            let why =
                format!("{} streams are under way, as many as `streams` allows", self.streams.all.len());
            return Err(Failure::definite(why).into());
        }
        self.streams.all.insert(key, stream);
        Ok(())
    }

    /// Returns a new stream for its first state: where it goes, and what is on each of its frames (M-7).
    fn begin_stream(&self, state: &StreamReply) -> Result<Streamed, Failure> {
        let (mut metadata, mut reply_to) = (state.metadata.clone(), state.reply_to.clone());
        let (mut chat_id, mut platform) = (state.chat_id.clone(), state.platform.clone());
        if let Some(delivery) = state.delivery {
            let target = self.target(delivery)?;
            chat_id = target.chat_of(delivery, &chat_id)?;
            platform = platform.or(target.platform.filter(|platform| self.fronts(platform)));
            reply_to = reply_to.or(target.message_id);
            place(&mut metadata, "thread_id", target.thread_id);
        }
        self.tag(platform.as_deref(), &chat_id)?;
        if let Some(thread) = self.thread_of(&chat_id, platform.as_deref(), reply_to.as_deref(), &metadata) {
            metadata.insert("thread_id".to_owned(), thread.into());
        }
        place(&mut metadata, "reply_to_message_id", reply_to.clone());
        let unfurls = ["unfurl_links", "unfurl_media"].iter().any(|name| anchor::is_set(&metadata, name));
        let Some(descriptor) = self.descriptor_for(&chat_id, platform.as_deref()) else {
            return Err(Failure::definite("the relay is not connected"));
        };
        let drafts = !(unfurls && slack::is_slack(&descriptor.platform));
        let notify = metadata.remove(NOTIFY).unwrap_or(Value::Bool(true));
        Ok(Streamed {
            plan: StreamPlan::new(Abilities::of(descriptor, drafts)),
            delivery: state.delivery,
            chat_id,
            reply_to,
            metadata,
            notify,
            platform,
            sealed_as: None,
            auto_thread: None,
            finishes: None,
            told: false,
            own: bytes_beside_text(state),
            weight: 0,
        })
    }

    /// Stops the replies to a delivery (O-13).
    pub(super) fn stop_streams(&mut self, delivery: DeliveryId) {
        let answers = |stream: &Streamed| stream.delivery == Some(delivery);
        let keys = self.streams.all.iter().filter(|(_, stream)| answers(stream)).map(|(key, _)| *key);
        for key in keys.collect::<Vec<_>>() {
            if let Some(stream) = self.streams.all.get_mut(&key) {
                stream.plan.stop();
                self.streams.ready.push_back(key);
            }
        }
    }

    /// A state of a stream that nothing more can come of.
    fn after_its_end(&mut self, key: StreamKey, last: bool, failure: Failure) -> RequestId {
        let id = self.requests.fresh();
        self.actions.push_back(Action::Complete { id, result: Err(failure) });
        if last {
            self.streams.remove(key);
        } else if let Some(stream) = self.streams.all.get_mut(&key) {
            stream.told = true;
        }
        id
    }

    /// What became of a step.
    pub(super) fn step_ended(&mut self, key: StreamKey, result: Result<Reply, Failure>) {
        let Some(stream) = self.streams.all.get_mut(&key) else { return };
        if !result.as_ref().is_err_and(|failure| failure.kind == FailureKind::Ambiguous) {
            stream.sealed_as = None;
        }
        if let Ok(Reply::Sent { thread_id: Some(id), auto_thread_name: Some(name), .. }) = &result {
            let (id, name) = (id.clone(), name.clone());
            stream.auto_thread = Some(AutoThread { id, name });
        }
        stream.plan.result(result.map(message_id));
        self.streams.weigh(key);
        self.streams.ready.push_back(key);
    }

    /// The oldest of those that wait has waited long enough.
    pub(super) fn stream_due(&mut self) {
        if let Some((key, _)) = self.streams.cooling.pop_front() {
            self.streams.ready.push_back(key);
        }
    }

    /// Takes the next step of every stream that something has happened to.
    pub(super) fn advance_streams(&mut self) {
        while let Some(key) = self.streams.ready.pop_front() {
            self.advance_stream(key);
        }
        while let Some(key) = self.streams.crowded.front().map(|(key, ())| *key)
            && !self.lacks_room_for(key)
        {
            self.streams.crowded.pop_front();
            self.advance_stream(key);
        }
    }

    fn lacks_room_for(&self, key: StreamKey) -> bool {
        self.lacks_room(self.streams.all.get(&key).map_or(0, |stream| stream.weight))
    }

    fn advance_stream(&mut self, key: StreamKey) {
        loop {
            let crowded = self.lacks_room_for(key);
            let Streams { all, cooling, drafts, crowded: waiting, .. } = &mut self.streams;
            let Some(stream) = all.get_mut(&key) else { return };
            let may = match (crowded, cooling.contains_key(&key)) {
                (true, _) => May::Nothing,
                (false, true) => May::Last,
                (false, false) => May::All,
            };
            match stream.plan.next(may, drafts) {
                Next::Wait => {
                    if crowded && !stream.plan.is_waiting() {
                        waiting.entry(key).or_insert(());
                    }
                    return;
                }
                Next::Step(step) => {
                    let op = stream.op(step);
                    match self.request(&op, Owner::Stream(key)) {
                        Ok(_) => {
                            let due = self.now + self.span(self.config.timing.stream_interval);
                            self.streams.cooling.insert(key, due);
                            return;
                        }
                        Err(Refusal { failure, .. }) => {
                            if let Some(stream) = self.streams.all.get_mut(&key) {
                                stream.sealed_as = None;
                                stream.plan.result(Err(failure));
                            }
                        }
                    }
                }
                Next::Over(result) => return self.stream_over(key, result),
            }
        }
    }

    /// The last state has ended.
    fn stream_over(&mut self, key: StreamKey, result: Result<Vec<String>, Failure>) {
        let Some(stream) = self.streams.all.get_mut(&key) else { return };
        let finishes = stream.finishes.take();
        // What was never written can be said again, and goes on from here. Of one that was stopped the host may still
        // say states, which must not begin another.
        let is_definite = result.as_ref().is_err_and(|failure| failure.kind == FailureKind::Definite);
        let stays = is_definite || finishes.is_none();
        stream.told = true;
        if let Some(id) = finishes {
            let auto_thread = stream.auto_thread.take();
            let result = result.map(|message_ids| Reply::Streamed { message_ids, auto_thread });
            self.actions.push_back(Action::Complete { id, result });
        }
        if !stays {
            self.streams.remove(key);
        }
    }

    /// The connection is over, and all requests on it have failed: no stream goes on by itself (O-8).
    pub(super) fn hold_streams(&mut self, why: &str) {
        let keys: Vec<StreamKey> = self.streams.all.iter().map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(stream) = self.streams.all.get_mut(&key) {
                stream.plan.hold(Failure::definite(why));
            }
            self.advance_stream(key);
        }
        self.streams.cooling.clear();
        self.streams.ready.clear();
        self.streams.crowded.clear();
    }
}

/// What a stream keeps of its first state beside the text.
fn bytes_beside_text(state: &StreamReply) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let ids = state.chat_id.len() + text(&state.reply_to) + text(&state.platform);
    ids + json::weight_of_fields(&state.metadata)
}

/// The id in the answer to a step.
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
