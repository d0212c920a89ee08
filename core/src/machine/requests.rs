//! Coordination of requests (O): accepts the commands of the host, queues their frames, and reports their results.

use super::{MAX_ACTIONS, RelayMachine};
use crate::chats::{Chat, ChatKey, Chats};
use crate::command::{Command, Failure, FailureKind, NotAccepted, Refusal, Reply, RequestId, too_large};
use crate::config::Limits;
use crate::descriptor::Descriptor;
use crate::encode;
use crate::event::UNNAMED_PLATFORM;
use crate::hash::Seed;
use crate::lifecycle::State;
use crate::op::{Context, Definition, Destination, GetChatInfo, Interrupt, Op, Prompt, Typing};
use crate::outbox::Outbox;
use crate::output::Action;
use crate::requests::{Answered, Ended, IdentityIndex, Owner, Written};
use crate::result::Expected;
use crate::streams::SentAs;
use crate::time::clamp_timeout;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Failure of requests while our own close is in progress (O-3).
const CLOSING: &str = "the connection is being closed";

impl RelayMachine {
    /// Accepts a command of the host, or refuses it and gives it back.
    pub(super) fn accept(&mut self, command: Command) -> Result<RequestId, NotAccepted> {
        if let Err(refusal) = self.check_accepting() {
            return Err(NotAccepted::new(command, refusal));
        }
        let command = command.check(&self.config.limits)?;
        let accepted = match command {
            Command::Op(op) => return self.accept_op(op),
            Command::Stream(state) => return self.stream(state),
            Command::Reply(reply) => return self.reply(reply),
            Command::Turn(turn) => match self.turn(turn) {
                Ok(()) => Ok(self.complete_at_once(Reply::Done)),
                Err(failure) => Err(failure.into()),
            },
            Command::Interrupt(ref interrupt) => self.interrupt(interrupt),
            Command::GoIdle => self.accept_idle(false),
            Command::GoDormant => self.accept_idle(true),
            Command::Hold(span) => self.accept_hold(span),
            Command::Resume => self.accept_resume(),
            Command::Disconnect => self.accept_disconnect(),
        };
        accepted.map_err(|refusal| NotAccepted::new(command, refusal))
    }

    /// Checks that the machine accepts commands at all: it has not ended, and the driver polls its actions.
    fn check_accepting(&self) -> Result<(), Refusal> {
        match self.conn.state() {
            State::Revoked => {
                return Err(Failure::definite("the relay is disabled: this gateway was revoked").into());
            }
            State::Stopped => return Err(Failure::definite("the relay is disconnected").into()),
            State::Waiting | State::Dialing | State::Handshaking | State::Up(_) | State::Closing(_) => {}
        }
        let pending = self.actions.len();
        if pending >= MAX_ACTIONS.saturating_add(self.config.limits.max_in_flight) {
            return Err(Refusal::full(format!("{pending} outcomes of earlier commands wait to be taken")));
        }
        Ok(())
    }

    /// Accepts an op.
    fn accept_op(&mut self, op: Op) -> Result<RequestId, NotAccepted> {
        match op {
            // A typing sign is never an error to the host (O): a sign that cannot be sent completes, too.
            Op::Typing(typing) => Ok(self.show_typing(typing).unwrap_or_else(|| {
                self.stats.typing_dropped += 1;
                self.complete_at_once(Reply::Done)
            })),
            Op::GetChatInfo(info) if self.lacks_chat_info(&info) => {
                let (name, chat_type) = (info.chat_id, "dm".to_owned());
                Ok(self.complete_at_once(Reply::ChatInfo { name, chat_type }))
            }
            op => self.ask(op),
        }
    }

    /// Accepts the command to go idle, or dormant.
    fn accept_idle(&mut self, dormant: bool) -> Result<RequestId, Refusal> {
        self.check_room(self.idle_waiters.len())?;
        let id = self.requests.take_id();
        self.go_idle(id, dormant);
        Ok(id)
    }

    /// Accepts the command to hold redials for a time.
    fn accept_hold(&mut self, span: Duration) -> Result<RequestId, Refusal> {
        self.check_staying()?;
        self.hold(span);
        Ok(self.complete_at_once(Reply::Done))
    }

    /// Accepts the command to resume.
    fn accept_resume(&mut self) -> Result<RequestId, Refusal> {
        self.check_staying()?;
        self.resume();
        Ok(self.complete_at_once(Reply::Done))
    }

    /// Checks that no disconnect is in progress. After a disconnect there is no dial to hold or hasten, and a resume
    /// would cut the disconnect short (L-14).
    fn check_staying(&self) -> Result<(), Failure> {
        if self.is_leaving() { Err(Failure::definite(CLOSING)) } else { Ok(()) }
    }

    /// Accepts the command to disconnect. It completes with the disconnect that is in progress, if there is one.
    fn accept_disconnect(&mut self) -> Result<RequestId, Refusal> {
        if self.pending_disconnects() >= self.config.limits.max_in_flight.max(1) {
            return Err(Failure::definite(CLOSING).into());
        }
        let id = self.requests.take_id();
        self.begin_disconnect(id);
        Ok(id)
    }

    /// Completes a command that waits for nothing. Returns its id.
    fn complete_at_once(&mut self, reply: Reply) -> RequestId {
        let id = self.requests.take_id();
        self.complete(id, Ok(reply));
        id
    }

    /// Checks that the connection is up, and that no close of our own is planned or in progress (O-8).
    pub(super) fn check_connected(&self) -> Result<(), Failure> {
        if self.is_leaving() || self.conn.state().is_closing() {
            return Err(Failure::definite(CLOSING));
        }
        if !self.conn.state().is_up() {
            return Err(Failure::definite("the relay is not connected"));
        }
        Ok(())
    }

    /// Checks that one more request can be sent now, if `pending` requests of its kind wait for their answer (O-6,
    /// O-8).
    fn check_room(&self, pending: usize) -> Result<(), Refusal> {
        self.check_connected()?;
        if pending >= self.config.limits.max_in_flight {
            return Err(Refusal::full(format!(
                "{pending} requests wait for their answer, as many as `max_in_flight` allows"
            )));
        }
        Ok(())
    }

    /// Returns true if a step of a stream, of `weight` bytes of text, must wait for a result or for the socket. If the
    /// connection is about to end, the step does not wait, and fails.
    pub(super) fn lacks_room(&self, weight: usize) -> bool {
        let limits = &self.config.limits;
        let unwritten = self.outbox.request_bytes();
        // JSON writes a byte of text as at most six bytes.
        let fits = unwritten == 0 || unwritten + weight.saturating_mul(6) <= limits.write_queue_bytes;
        let is_full = self.requests.len() >= limits.max_in_flight.max(1);
        self.check_connected().is_ok() && (is_full || !fits)
    }

    /// Checks that an op could be requested now: the relay is connected, it fronts the platform that the op names, and
    /// the platform offers the op. Call it before work that only this op needs, such as an upload.
    ///
    /// # Errors
    /// Returns the failure with which the op would be refused: definite, or unsupported.
    pub fn check(&self, op: &Op) -> Result<(), Failure> {
        self.check_connected()?;
        let destination = op.destination();
        let chat = destination.chat_id().and_then(|chat_id| self.chat(chat_id));
        self.identity_for_op(op, &destination, chat).map(drop)
    }

    /// Returns the identity that sends an op (M-3), and checks that its platform offers the op (O-9). `chat` is the memory
    /// of the op's chat.
    fn identity_for_op(
        &self,
        op: &Op,
        destination: &Destination<'_>,
        chat: Option<&Chat>,
    ) -> Result<Option<IdentityIndex>, Failure> {
        match destination {
            Destination::Chat { platform, .. } => {
                let identity = self.identity_for_chat(chat, *platform)?;
                self.check_offered(op.definition(), chat, *platform)?;
                Ok(identity)
            }
            // The kind of a follow-up names its platform (M-4).
            Destination::Session { platform } => Ok(platform.and_then(|platform| self.identity_on(platform))),
            Destination::Nowhere => Ok(None),
        }
    }

    /// Queues the frame of an op as a request, which ends with its answer. Returns the id of the request.
    pub(super) fn request(&mut self, op: &Op, owner: Owner) -> Result<RequestId, Refusal> {
        self.check_room(self.requests.len())?;
        // A seal is repeated unchanged, even if its chat has changed since (O-13).
        let repeated = self.streams.repeated(owner, op);
        let destination = op.destination();
        let chat_id = destination.chat_id();
        let chat_key = chat_id.map(|chat_id| Chats::key(&self.seed, chat_id));
        let identity = match &repeated {
            Some(sent_before) => sent_before.identity,
            None => {
                let chat = chat_key.and_then(|key| self.chats.get(key));
                let identity = self.identity_for_op(op, &destination, chat)?;
                chat_key.into_iter().for_each(|key| self.chats.touch(key));
                identity
            }
        };
        if let Some(problem) = op.refusal() {
            return Err(Failure::definite(problem).into());
        }
        let prompt_id = match op {
            Op::Prompt(prompt) => self.prompt_id(prompt)?,
            _ => String::new(),
        };
        let memory = match repeated {
            Some(SentAs { chat, .. }) => chat.map(Cow::Owned),
            None => {
                let memory = chat_key.and_then(|key| chat_memory(&self.chats, &self.seed, op, key));
                self.streams.sends(owner, op, identity, memory.as_deref());
                memory
            }
        };
        let chat = memory.as_deref();
        let anchor = op.anchor(chat, self.config.slack_reply_in_thread);
        let context = Context { chat, anchor, prompt_id: &prompt_id };
        let sender = identity.map(|index| &self.config.identities[index]);
        let id = self.requests.next_id();
        let wire_id = self.requests.wire_id(id);
        queue_frame(&mut self.outbox, &self.config.limits, id, |out| {
            encode::outbound(out, &wire_id, op, sender, &context);
        })?;
        if let Op::Prompt(prompt) = op {
            self.open_prompt(prompt);
        }
        let chat_key = chat_key.filter(|_| chat_id.is_some_and(|chat_id| !chat_id.is_empty()));
        Ok(self.await_result(Expected::of(op, &prompt_id), owner, chat_key))
    }

    /// Opens a prompt whose frame is queued. Its answer may arrive before its result.
    fn open_prompt(&mut self, prompt: &Prompt) {
        if self.config.prompts {
            let id = prompt.prompt_id.as_deref();
            let approvers = prompt.approvers.clone();
            self.stats.prompts_evicted +=
                u64::from(self.prompts.open(self.now, prompt.timeout, id, approvers));
        } else {
            self.prompts.pass();
        }
    }

    /// Queues the frame of an interrupt. The request completes once the frame is written.
    fn interrupt(&mut self, interrupt: &Interrupt) -> Result<RequestId, Refusal> {
        self.check_room(self.requests.len())?;
        let id = self.requests.next_id();
        queue_frame(&mut self.outbox, &self.config.limits, id, |out| {
            encode::interrupt(out, &interrupt.session_key, interrupt.reason.as_deref());
        })?;
        Ok(self.await_result(Expected::Written, Owner::Host, None))
    }

    /// Adds the request whose frame was just queued. `chat_key` is its chat in the chat memory. Returns its id.
    fn await_result(&mut self, expected: Expected, owner: Owner, chat_key: Option<ChatKey>) -> RequestId {
        let until = self.now + clamp_timeout(self.config.timing.request_timeout);
        self.requests.add(expected, owner, until, chat_key)
    }

    /// Queues a typing sign; `None` if it cannot be sent. Outside of Slack an empty sign is not sent: it would be shown
    /// as a plain one (O).
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

    /// Returns the id of a prompt: the host's own if no open prompt has it (I-6), or the next generated one.
    fn prompt_id(&self, prompt: &Prompt) -> Result<String, Failure> {
        let Some(id) = &prompt.prompt_id else { return Ok(self.prompts.next_id()) };
        let problem = if self.config.prompts { self.prompts.problem(self.now, id) } else { None };
        problem.map_or_else(|| Ok(id.clone()), |problem| Err(Failure::definite(problem)))
    }

    /// Returns the descriptor of the platform that a command names, or else of the platform on which its chat was last
    /// seen, or else the default one.
    pub(super) fn descriptor_for(
        &self,
        chat: Option<&Chat>,
        platform: Option<&str>,
    ) -> Option<&Arc<Descriptor>> {
        let platform = platform.or(chat.map(|chat| chat.platform.as_str()));
        platform.and_then(|platform| self.descriptor_of(platform)).or(self.descriptors.first())
    }

    /// Returns true if the connection is up and the platform's descriptor lists its ops without `get_chat_info`: then
    /// the machine answers by itself (O-5).
    fn lacks_chat_info(&self, info: &GetChatInfo) -> bool {
        let GetChatInfo { chat_id, platform } = info;
        let lists_only_others = |descriptor: &Arc<Descriptor>| {
            !descriptor.supported_ops.is_empty() && !descriptor.offers("get_chat_info")
        };
        let chat = self.chat(chat_id);
        self.check_connected().is_ok()
            && self.identity_for_chat(chat, platform.as_deref()).is_ok()
            && self.descriptor_for(chat, platform.as_deref()).is_some_and(lists_only_others)
    }

    /// Checks that the platform's descriptor offers an op (O-9, D-6, D-9).
    fn check_offered(
        &self,
        op: &Definition,
        chat: Option<&Chat>,
        platform: Option<&str>,
    ) -> Result<(), Failure> {
        let Some(descriptor) = self.descriptor_for(chat, platform) else { return Ok(()) };
        let names = |name: &str| descriptor.offers(name);
        if op.is_offered(names, descriptor.supports_edit, descriptor.supports_draft_streaming) {
            return Ok(());
        }
        let message = format!("{} does not offer `{}`", descriptor.platform, op.name);
        Err(Failure::new(FailureKind::Unsupported, message))
    }

    /// Returns the identity that sends a command for this chat (M-3): that of the platform that the command names, or
    /// else of the platform on which the chat was last seen, if this gateway fronts it.
    pub(super) fn identity_for_chat(
        &self,
        chat: Option<&Chat>,
        platform: Option<&str>,
    ) -> Result<Option<IdentityIndex>, Failure> {
        if let Some(platform) = platform {
            return match self.identity_on(platform) {
                Some(identity) => Ok(Some(identity)),
                None => Err(Failure::definite(format!("relay does not front platform {platform}"))),
            };
        }
        let last_seen_on = chat.map(|chat| chat.platform.as_str());
        let named = last_seen_on.filter(|platform| *platform != UNNAMED_PLATFORM);
        Ok(named.and_then(|platform| self.identity_on(platform)))
    }

    /// Returns true if this gateway has an identity on a platform.
    pub(super) fn fronts(&self, platform: &str) -> bool {
        self.identity_on(platform).is_some()
    }

    /// Returns the identity of this gateway on a platform.
    fn identity_on(&self, platform: &str) -> Option<IdentityIndex> {
        self.config.identities.iter().position(|identity| identity.platform == platform)
    }

    /// Notes that a request's frame is handed to the socket. Returns false if the frame must not be written: the
    /// request has failed meanwhile, and was reported as never written.
    pub(super) fn note_written(&mut self, id: RequestId) -> bool {
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
            Owner::Host => {
                self.last_activity = self.now;
                self.complete(ended.id, ended.result);
            }
            Owner::Stream(key) => self.streams.step_ended(key, ended.result),
            Owner::Turn => {}
        }
    }

    /// Reports the result of a command to the host.
    pub(super) fn complete(&mut self, id: RequestId, result: Result<Reply, Failure>) {
        self.actions.push_back(Action::Complete { id, result });
    }

    /// Fails the requests whose frames were never written, as definite (O-3, O-8).
    pub(super) fn fail_unwritten(&mut self, why: &str) {
        for ended in self.requests.fail_unwritten(why) {
            self.finish(ended);
        }
    }

    /// Fails the requests whose frames were written, as ambiguous (O-4).
    pub(super) fn fail_written(&mut self, why: &str) {
        while let Some(ended) = self.requests.fail_written(why) {
            self.finish(ended);
        }
    }

    /// Returns the number of disconnect commands that wait for the end.
    fn pending_disconnects(&self) -> usize {
        self.disconnect.as_ref().map_or(0, |disconnect| disconnect.ids.len())
    }
}

/// Queues the frame of a request. Fails if the write queue has no room for it.
fn queue_frame(
    outbox: &mut Outbox,
    limits: &Limits,
    id: RequestId,
    encode: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Refusal> {
    let unwritten = outbox.request_bytes();
    if outbox.push_request(id, limits.write_queue_bytes, encode) {
        return Ok(());
    }
    let message = too_large(limits);
    // A frame that does not fit into an empty queue will never fit.
    Err(if unwritten > 0 { Refusal::full(message) } else { Failure::definite(message).into() })
}

/// Returns the memory of an op's chat. For an op about a thread, the scope is that of the thread's parent chat (M-5).
fn chat_memory<'c>(chats: &'c Chats, seed: &Seed, op: &Op, key: ChatKey) -> Option<Cow<'c, Chat>> {
    let chat = chats.get(key)?;
    let parent = chat.parent.as_deref().filter(|_| op.is_about_thread());
    let parent = parent.and_then(|parent| chats.get(Chats::key(seed, parent)));
    Some(match parent.and_then(|parent| parent.scope.clone()) {
        Some(scope) => Cow::Owned(Chat { scope: Some(scope), ..chat.clone() }),
        None => Cow::Borrowed(chat),
    })
}
