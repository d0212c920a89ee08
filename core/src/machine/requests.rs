//! Coordination of requests: commands of the host, and their ends (O).

use super::{MAX_ACTIONS, RelayMachine};
use crate::chats::{Chat, Chats};
use crate::command::{Command, Failure, FailureKind, NotAccepted, Refusal, Reply, RequestId, too_large};
use crate::config::Limits;
use crate::descriptor::Descriptor;
use crate::encode;
use crate::hash::Seed;
use crate::lifecycle::State;
use crate::op::{Context, Definition, Destination, GetChatInfo, Interrupt, Op, Prompt, Typing};
use crate::outbox::Outbox;
use crate::output::Action;
use crate::requests::{Answered, Ended, Owner, Written};
use crate::result::Expected;
use crate::streams::SentAs;
use crate::time::clamp_timeout;
use std::borrow::Cow;
use std::sync::Arc;

/// Failure of requests while our own close is in progress (O-3).
const CLOSING: &str = "the connection is being closed";

impl RelayMachine {
    pub(super) fn accept(&mut self, command: Command) -> Result<RequestId, NotAccepted> {
        let over = match self.conn.state() {
            State::Revoked => Some("the relay is disabled: this gateway was revoked"),
            State::Stopped => Some("the relay is disconnected"),
            _ => None,
        };
        if let Some(why) = over {
            return Err(NotAccepted::new(command, Failure::definite(why)));
        }
        let untaken = self.actions.len();
        if untaken >= MAX_ACTIONS.saturating_add(self.config.limits.max_in_flight) {
            let why = format!("{untaken} outcomes of earlier commands wait to be taken");
            return Err(NotAccepted::new(command, Refusal::full(why)));
        }
        let command = command.check(&self.config.limits)?;
        let now = |machine: &mut Self, reply: Reply| {
            let id = machine.requests.take_id();
            machine.complete(id, Ok(reply));
            Ok(id)
        };
        match command {
            Command::Disconnect if self.leavers() >= self.config.limits.max_in_flight.max(1) => {
                Err(NotAccepted::new(command, Failure::definite(CLOSING)))
            }
            Command::Disconnect => {
                let id = self.requests.take_id();
                self.begin_disconnect(id);
                Ok(id)
            }
            // There is no next dial to hold or hasten: a resume would cut the disconnect short (L-14).
            Command::Hold(_) | Command::Resume if self.is_leaving() => {
                Err(NotAccepted::new(command, Failure::definite(CLOSING)))
            }
            Command::Hold(span) => {
                self.hold(span);
                now(self, Reply::Done)
            }
            Command::Resume => {
                self.resume();
                now(self, Reply::Done)
            }
            Command::GoIdle | Command::GoDormant => {
                if let Err(refusal) = self.can_ask(self.idle_waiters.len()) {
                    return Err(NotAccepted::new(command, refusal));
                }
                let id = self.requests.take_id();
                self.go_idle(id, matches!(command, Command::GoDormant));
                Ok(id)
            }
            // A typing sign is never an error to the host (O): a sign that cannot be sent completes, too.
            Command::Op(Op::Typing(typing)) => match self.show_typing(typing) {
                Some(id) => Ok(id),
                None => {
                    self.stats.typing_dropped += 1;
                    now(self, Reply::Done)
                }
            },
            Command::Op(Op::GetChatInfo(info)) if self.is_not_told(&info) => {
                let (name, chat_type) = (info.chat_id, "dm".to_owned());
                now(self, Reply::ChatInfo { name, chat_type })
            }
            Command::Op(op) => self.ask(op),
            Command::Interrupt(interrupt) => match self.interrupt(&interrupt) {
                Ok(id) => Ok(id),
                Err(refusal) => Err(NotAccepted::new(interrupt.into(), refusal)),
            },
            Command::Stream(state) => self.stream(state),
            Command::Reply(reply) => self.reply(reply),
            Command::Turn(turn) => match self.turn(turn) {
                Ok(()) => now(self, Reply::Done),
                Err(failure) => Err(NotAccepted::new(command, failure)),
            },
        }
    }

    /// Checks that a request can be sent now, with this number of requests of its kind pending (O-6, O-8).
    pub(super) fn can_ask(&self, waiting: usize) -> Result<(), Refusal> {
        if self.is_leaving() || self.conn.state().is_closing() {
            return Err(Failure::definite(CLOSING).into());
        }
        if !self.conn.state().is_up() {
            return Err(Failure::definite("the relay is not connected").into());
        }
        if waiting >= self.config.limits.max_in_flight {
            return Err(Refusal::full(format!(
                "{waiting} requests wait for their answer, as many as `max_in_flight` allows"
            )));
        }
        Ok(())
    }

    /// Returns true if a step of a stream must wait for a result or for the socket. If the connection is about to end,
    /// the step does not wait, and fails.
    pub(super) fn lacks_room(&self, weight: usize) -> bool {
        let limits = &self.config.limits;
        let unwritten = self.outbox.request_bytes();
        // JSON writes a byte of text as at most six bytes.
        let fits = unwritten == 0 || unwritten + weight.saturating_mul(6) <= limits.write_queue_bytes;
        self.can_ask(0).is_ok() && (self.requests.len() >= limits.max_in_flight || !fits)
    }

    /// Checks that an op could be asked for now: the relay is connected and fronts the platform that the op names, and
    /// the platform offers the op (O-8, O-9, M-3). A host asks before it does something for the op's sake.
    ///
    /// # Errors
    /// Returns the failure with which the op would be refused: definite, or unsupported.
    pub fn check(&self, op: &Op) -> Result<(), Failure> {
        self.can_ask(0).map_err(|refusal| refusal.failure)?;
        self.sender(op, &op.destination()).map(drop)
    }

    /// Returns the identity that an op goes out as (M-3), where its platform offers the op (O-9).
    fn sender(&self, op: &Op, destination: &Destination<'_>) -> Result<Option<usize>, Failure> {
        match destination {
            Destination::Chat { chat_id, platform } => {
                let tag = self.tag(*platform, chat_id)?;
                self.offers(op.definition(), chat_id, *platform)?;
                Ok(tag)
            }
            // A follow-up goes out as the platform that its kind names, when this gateway fronts it (M-4).
            Destination::Session { platform } => Ok(platform.and_then(|platform| self.fronted(platform))),
            Destination::Nowhere => Ok(None),
        }
    }

    /// Queues an op's frame, which waits for its answer.
    pub(super) fn request(&mut self, op: &Op, owner: Owner) -> Result<RequestId, Refusal> {
        self.can_ask(self.requests.len())?;
        // A seal is repeated unchanged, even if its chat has changed since (O-13).
        let repeated = self.streams.repeated(owner, op);
        let destination = op.destination();
        let chat_id = destination.chat_id();
        let tag = match &repeated {
            Some(before) => before.tag,
            None => {
                let tag = self.sender(op, &destination)?;
                chat_id.into_iter().for_each(|chat_id| self.chats.touch(&self.seed, chat_id));
                tag
            }
        };
        if let Some(why) = op.refusal() {
            return Err(Failure::definite(why).into());
        }
        let prompt_id = match op {
            Op::Prompt(prompt) => self.prompt_id(prompt)?,
            _ => String::new(),
        };
        let expected = Expected::of(op, &prompt_id);
        let chat = chat_id.and_then(|chat_id| remembered(&self.chats, &self.seed, op, chat_id));
        let chat = match repeated {
            Some(SentAs { chat, .. }) => chat.map(Cow::Owned),
            None => {
                self.streams.sends(owner, op, tag, chat.as_deref());
                chat
            }
        };
        let chat = chat.as_deref();
        let anchor = op.anchor(chat, self.config.slack_reply_in_thread);
        let context = Context { chat, anchor, prompt_id: &prompt_id };
        let tag = tag.map(|at| &self.config.identities[at]);
        let id = self.requests.next_id();
        let wire_id = self.requests.wire_id(id);
        queue(&mut self.outbox, &self.config.limits, id, |out| {
            encode::outbound(out, &wire_id, op, tag, &context);
        })?;
        if let Op::Prompt(prompt) = op {
            // An answer may arrive before the result, so the prompt is open from now on.
            if self.config.prompts {
                let id = prompt.prompt_id.as_deref();
                self.stats.prompts_evicted += u64::from(self.prompts.open(self.now, prompt.timeout, id));
            } else {
                self.prompts.pass();
            }
        }
        let chat = chat_id.filter(|id| !id.is_empty()).map(|id| self.seed.hash(&[id]));
        Ok(self.await_result(expected, owner, chat))
    }

    /// Queues an interrupt, which is done once it is written.
    fn interrupt(&mut self, interrupt: &Interrupt) -> Result<RequestId, Refusal> {
        self.can_ask(self.requests.len())?;
        let id = self.requests.next_id();
        queue(&mut self.outbox, &self.config.limits, id, |out| {
            encode::interrupt(out, &interrupt.session_key, interrupt.reason.as_deref());
        })?;
        Ok(self.await_result(Expected::Written, Owner::Host, None))
    }

    /// Adds the request whose frame was just queued.
    fn await_result(&mut self, expected: Expected, owner: Owner, chat: Option<u128>) -> RequestId {
        let until = self.now + clamp_timeout(self.config.timing.request_timeout);
        self.requests.add(expected, owner, until, chat)
    }

    /// Queues a typing sign, unless it cannot be sent. Outside of Slack an empty one would be shown as a plain sign
    /// (O).
    fn show_typing(&mut self, typing: Typing) -> Option<RequestId> {
        let is_empty = typing.content.as_ref().is_some_and(String::is_empty);
        if is_empty && !self.is_slacks(&typing.chat_id, typing.platform.as_deref()) {
            return None;
        }
        let op = Op::Typing(typing);
        match op.as_behavior().problem_within(&self.config.limits) {
            Some(_) => None,
            None => self.request(&op, Owner::Host).ok(),
        }
    }

    /// Returns the id of a prompt: the host's own if no open prompt has it (I-6), else the next generated one.
    fn prompt_id(&self, prompt: &Prompt) -> Result<String, Failure> {
        let Some(id) = &prompt.prompt_id else { return Ok(self.prompts.next_id()) };
        let problem = if self.config.prompts { self.prompts.problem(self.now, id) } else { None };
        problem.map_or_else(|| Ok(id.clone()), |problem| Err(Failure::definite(problem)))
    }

    /// Returns the descriptor of the platform that a command names, else of the one on which its chat was last seen.
    pub(super) fn descriptor_for(&self, chat_id: &str, platform: Option<&str>) -> Option<&Arc<Descriptor>> {
        match platform {
            Some(platform) => self.descriptor_of(platform).or(self.descriptors.first()),
            None => self.capabilities(chat_id),
        }
    }

    /// Returns whether a connected connector names its ops without the one that describes a chat (O-5).
    fn is_not_told(&self, info: &GetChatInfo) -> bool {
        let GetChatInfo { chat_id, platform } = info;
        let names_others = |descriptor: &Arc<Descriptor>| {
            !descriptor.supported_ops.is_empty() && !descriptor.offers("get_chat_info")
        };
        self.can_ask(0).is_ok()
            && self.tag(platform.as_deref(), chat_id).is_ok()
            && self.descriptor_for(chat_id, platform.as_deref()).is_some_and(names_others)
    }

    /// Checks that the platform's descriptor offers an op (O-9, D-6, D-9).
    fn offers(&self, op: &Definition, chat_id: &str, platform: Option<&str>) -> Result<(), Failure> {
        let Some(descriptor) = self.descriptor_for(chat_id, platform) else { return Ok(()) };
        let names = |name: &str| descriptor.offers(name);
        let offered = op.is_offered(names, descriptor.supports_edit, descriptor.supports_draft_streaming);
        let refuse = || {
            let why = format!("{} does not offer `{}`", descriptor.platform, op.name);
            Failure::new(FailureKind::Unsupported, why)
        };
        if offered { Ok(()) } else { Err(refuse()) }
    }

    /// Returns the identity that a command for this chat is sent as (M-3): of the platform that it names, else of the
    /// one on which the chat was last seen, if this gateway has it.
    pub(super) fn tag(&self, platform: Option<&str>, chat_id: &str) -> Result<Option<usize>, Failure> {
        if let Some(platform) = platform {
            let identity = self.fronted(platform);
            return identity
                .map(Some)
                .ok_or_else(|| Failure::definite(format!("relay does not front platform {platform}")));
        }
        let seen = self.chats.get(&self.seed, chat_id).map(|chat| chat.platform.as_str());
        Ok(seen.filter(|platform| *platform != "relay").and_then(|platform| self.fronted(platform)))
    }

    /// Returns whether this gateway speaks for a platform.
    pub(super) fn fronts(&self, platform: &str) -> bool {
        self.fronted(platform).is_some()
    }

    /// Returns the index of the identity on a platform.
    fn fronted(&self, platform: &str) -> Option<usize> {
        self.config.identities.iter().position(|identity| identity.platform == platform)
    }

    /// Notes that a request's frame is handed to the socket. Returns `false` if the frame must not be written, since
    /// the request was reported as never written.
    pub(super) fn written(&mut self, id: RequestId) -> bool {
        match self.requests.written(id) {
            Written::Waits => true,
            Written::Ends(ended) => {
                self.finish(ended);
                true
            }
            Written::Stale => false,
        }
    }

    /// Handles the answer to a request (O-1, O-2).
    pub(super) fn answered(&mut self, wire_id: &str, result: Option<&str>) {
        // Only a written request can be answered, and not an interrupt, which has no id on the wire.
        let Some(Answered { ended, chat, overlong }) = self.requests.answer(wire_id, result) else {
            self.stats.stray_results += 1;
            return;
        };
        self.stats.overlong_ids += overlong.ids;
        self.stats.cut_texts += overlong.texts;
        if let (
            Some(chat),
            Ok(Reply::Sent { thread_id: Some(thread_id), auto_thread_name: Some(name), .. }),
        ) = (chat, &ended.result)
        {
            self.chats.note_auto_thread(chat, thread_id, name);
        }
        self.finish(ended);
    }

    /// Ends the oldest request, which timed out (O-4).
    pub(super) fn time_out_request(&mut self) {
        if let Some(ended) = self.requests.time_out() {
            self.finish(ended);
        }
    }

    /// Passes the end of a request to its owner.
    fn finish(&mut self, ended: Ended) {
        if let Some(prompt_id) = &ended.unshown_prompt {
            self.prompts.close(prompt_id);
        }
        match ended.owner {
            Owner::Host => self.complete(ended.id, ended.result),
            Owner::Stream(key) => self.streams.step_ended(key, ended.result),
            Owner::Turn => {}
        }
    }

    pub(super) fn complete(&mut self, id: RequestId, result: Result<Reply, Failure>) {
        self.actions.push_back(Action::Complete { id, result });
    }

    /// Fails the requests that were never written (O-3, O-8).
    pub(super) fn fail_unwritten(&mut self, why: &str) {
        for ended in self.requests.fail_unwritten(why) {
            self.finish(ended);
        }
    }

    /// Fails the requests that were written (O-4).
    pub(super) fn fail_written(&mut self, why: &str) {
        while let Some(ended) = self.requests.fail_written(why) {
            self.finish(ended);
        }
    }

    /// Returns the number of disconnects that wait for the end.
    fn leavers(&self) -> usize {
        self.disconnect.as_ref().map_or(0, |disconnect| disconnect.ids.len())
    }
}

/// Queues the frame of a request.
fn queue(
    outbox: &mut Outbox,
    limits: &Limits,
    id: RequestId,
    encode: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Refusal> {
    let unwritten = outbox.request_bytes();
    if outbox.push_request(id, limits.write_queue_bytes, encode) {
        return Ok(());
    }
    let why = too_large(limits);
    // A request that does not fit into an empty queue will never fit.
    Err(if unwritten > 0 { Refusal::full(why) } else { Failure::definite(why).into() })
}

/// Returns the memory of an op's chat. For an op about a thread, the scope is that of the thread's parent chat (M-5).
fn remembered<'c>(chats: &'c Chats, seed: &Seed, op: &Op, chat_id: &str) -> Option<Cow<'c, Chat>> {
    let chat = chats.get(seed, chat_id)?;
    let parent = chat.parent.as_deref().filter(|_| op.is_about_thread());
    let parent = parent.and_then(|parent| chats.get(seed, parent));
    Some(match parent.and_then(|parent| parent.scope.clone()) {
        Some(scope) => Cow::Owned(Chat { scope: Some(scope), ..chat.clone() }),
        None => Cow::Borrowed(chat),
    })
}
