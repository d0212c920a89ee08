//! Handles the connector's frames, line by line (W).

use super::RelayMachine;
use crate::approver::platform_of;
use crate::descriptor::Descriptor;
use crate::event::Event;
use crate::inbox::{Arrival, Arrived, Origin};
use crate::json::{self, Fields, FromObject, Malformed};
use crate::lifecycle::{Signal, State};
use crate::output::{Action, Content, Notice};
use crate::passthrough::{Forward, interaction};
use crate::prompts::PromptStatus;
use crate::slack;
use crate::upgrade::complaint;
use crate::webhook::WebhookResponse;
use std::borrow::Cow;
use std::sync::Arc;

pub(crate) const FIELDS: [&str; 9] =
    ["type", "descriptor", EVENT, "bufferId", "requestId", "result", "session_key", "chat_id", "forward"];
/// Name of the one field that is parsed while the frame is read. The others are only kept as raw values.
const EVENT: &str = "event";

/// A frame of the connector, of any type.
#[derive(Default)]
struct Frame<'a> {
    /// Raw values of [`FIELDS`].
    fields: [Option<&'a str>; FIELDS.len()],
    event: Option<Box<Event>>,
}

impl<'a> FromObject<'a> for Frame<'a> {
    fn fill(&mut self, mut fields: Fields<'_, 'a>) -> Result<(), Malformed> {
        while let Some(name) = fields.next_name()? {
            let raw = if name == EVENT {
                let (event, raw) = fields.object_and_raw()?;
                self.event = event;
                raw
            } else {
                fields.raw()?
            };
            json::keep(&mut self.fields, &FIELDS, &name, raw);
        }
        Ok(())
    }
}

impl RelayMachine {
    pub(super) fn on_line(&mut self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let mut room = String::new();
        let text = std::str::from_utf8(line).ok();
        match text.and_then(|text| json::peer_object::<Frame<'_>>(text, &mut room)) {
            Some(Frame { fields: fields @ [Some(kind), ..], event }) if is_string(kind) => {
                self.stats.frames_in += 1;
                self.on_frame(&unquoted(kind), &fields, event, line);
            }
            _ => self.on_malformed_line(line),
        }
    }

    fn on_frame(
        &mut self,
        kind: &str,
        fields: &[Option<&str>; FIELDS.len()],
        event: Option<Box<Event>>,
        line: &[u8],
    ) {
        let [_, descriptor, raw_event, buffer_id, request_id, result, session_key, chat_id, forward] =
            *fields;
        let text = |raw: Option<&str>| raw.and_then(json::id).unwrap_or_default();
        match kind {
            "inbound" => self.on_inbound(event, raw_event, buffer_id, line),
            "outbound_result" => match request_id {
                Some(raw) => self.answered(&unquoted(raw), result),
                None => self.stats.stray_results += 1,
            },
            "descriptor" => self.on_descriptor(descriptor),
            "interrupt_inbound" => {
                let session_key = text(session_key);
                if session_key.is_empty() {
                    self.stats.keyless_interrupts += 1;
                } else {
                    self.actions.push_back(Action::Interrupt { session_key, chat_id: text(chat_id) });
                }
            }
            "going_idle_ack" => self.idle_confirmed(),
            "passthrough_forward" => self.on_forward(forward, buffer_id, line),
            "error" => {
                self.on_error(line);
                self.notify_unknown_frame(kind, line);
            }
            _ => {
                self.stats.unknown_frames += 1;
                self.notify_unknown_frame(kind, line);
            }
        }
        // An `inbound` or `passthrough_forward` frame settles its own entry. No other frame becomes a delivery, so an
        // entry of it would block the drain for ever.
        if !matches!(kind, "inbound" | "passthrough_forward") && is_acknowledged(kind) {
            self.acknowledge_lost(buffer_id);
        }
    }

    /// Handles a descriptor. The first of a connection completes the handshake, or fails it (D-8, L-17).
    fn on_descriptor(&mut self, raw: Option<&str>) {
        let descriptor = Descriptor::read_counting(raw.unwrap_or("null")).map(|(descriptor, dropped)| {
            self.stats.dropped_ops += dropped.ops;
            self.stats.dropped_fields += dropped.fields;
            descriptor
        });
        match descriptor {
            Ok(descriptor) if self.descriptors.is_empty() && self.conn.state() == State::Handshaking => {
                self.descriptors.push(Arc::new(descriptor));
                self.step(Signal::Descriptor, "");
            }
            Err(error) if self.descriptors.is_empty() && self.conn.state() == State::Handshaking => {
                self.step(Signal::BadDescriptor, &error.to_string());
            }
            Ok(descriptor)
                if self.conn.was_up()
                    && self.descriptors.len() < self.config.identities.len()
                    && self.descriptor_of(&descriptor.platform).is_none() =>
            {
                let descriptor = Arc::new(descriptor);
                self.descriptors.push(descriptor.clone());
                let former =
                    self.previous_descriptors.iter().find(|former| former.platform == descriptor.platform);
                let changed = former.map(|former| descriptor.changes_from(former)).unwrap_or_default();
                self.notify(Notice::Platform { descriptor, changed });
            }
            Ok(_) | Err(_) => self.stats.extra_descriptors += 1,
        }
    }

    /// Handles an error frame. It is logged, and quoted if the dial fails afterwards.
    fn on_error(&mut self, line: &[u8]) {
        self.stats.error_frames += 1;
        let secret = self.config.credentials.as_ref().map(|credentials| &credentials.secret);
        let text = complaint(&String::from_utf8_lossy(line), secret.as_slice());
        self.conn.complain(&text);
        self.notify(Notice::ConnectorError { text });
    }

    /// Delivers a frame of unknown meaning as a notice, if the configuration asks for it.
    fn notify_unknown_frame(&mut self, kind: &str, line: &[u8]) {
        if !self.config.unknown_frames {
            return;
        }
        // The line was read before, so it is UTF-8.
        let line = String::from_utf8_lossy(line);
        let repaired = json::repair(&line);
        let raw = json::verbatim(repaired.as_deref().unwrap_or(&line));
        self.notify(Notice::UnknownFrame { kind: kind.to_owned(), raw });
    }

    fn on_inbound(
        &mut self,
        event: Option<Box<Event>>,
        raw: Option<&str>,
        buffer_id: Option<&str>,
        line: &[u8],
    ) {
        let Some(mut event) = event else {
            return self.unusable("an inbound frame had no `event` object", buffer_id, line);
        };
        event.raw = raw.filter(|_| self.config.raw_events).map(json::verbatim);
        let key = self.key_of(&event);
        let origin = self.origin(buffer_id);
        self.on_event(event, key, origin);
    }

    /// Returns the key that duplicates of a message have in common.
    pub(super) fn key_of(&self, event: &Event) -> Option<u128> {
        let source = &event.source;
        let message_id = event.any_message_id().filter(|_| source.message_is_edit != Some(true))?;
        Some(self.seed.hash(&[&source.platform, &source.chat_id, message_id]))
    }

    /// Returns the origin of the current line, with its `bufferId`.
    fn origin(&self, buffer_id: Option<&str>) -> Origin {
        let conn = self.conn.id();
        match buffer_id.and_then(readable) {
            Some(id) => Origin::Buffer(conn, Box::from(&*id)),
            None => Origin::Live(conn),
        }
    }

    /// Handles a forward. A Discord interaction becomes an event; any other forward is delivered to hosts that ask
    /// for it (P-2).
    fn on_forward(&mut self, raw: Option<&str>, buffer_id: Option<&str>, line: &[u8]) {
        let read = raw.and_then(Forward::read);
        self.stats.undecodable_bodies += u64::from(matches!(read, Some((_, false))));
        // Only its entry distinguishes two forwards.
        let key = buffer_id.and_then(readable).map(|id| self.seed.hash(&["forward", &id]));
        let origin = self.origin(buffer_id);
        let verbatim = raw.filter(|_| self.config.raw_events).map(json::verbatim);
        match read {
            Some((forward, _)) if forward.platform == "discord" => {
                match interaction(&forward).map(Box::new) {
                    Some(mut event) => {
                        event.raw = verbatim;
                        self.on_event(event, key, origin);
                    }
                    None => {
                        self.stats.silent_interactions += 1;
                        self.acknowledge(origin);
                    }
                }
            }
            Some((mut forward, _)) if self.config.passthrough => {
                if let Some(raw) = verbatim {
                    forward.keep_raw(raw);
                }
                self.arrive(Content::Forward(Box::new(forward)), None, key, origin);
            }
            Some(_) => {
                self.stats.unwanted_forwards += 1;
                self.acknowledge(origin);
            }
            None => self.unusable("a passthrough_forward frame had no `forward` object", buffer_id, line),
        }
    }

    /// Handles a message, or the answer to a prompt, which never takes the path of messages (I-3).
    pub(super) fn on_event(&mut self, mut event: Box<Event>, key: Option<u128>, origin: Origin) {
        // A signature proves as much as an upgrade with a token (E-9).
        if self.config.credentials.is_some() || matches!(origin, Origin::Http(_)) {
            event.via_authenticated_relay = true;
        }
        slack::rewrite(&mut event, &self.config.slack_subcommands);
        if self.config.slack_reply_in_thread && self.config.slack_thread_sessions {
            slack::begin_thread(&mut event);
        }
        self.stats.overlong_ids += u64::from(!self.chats.note(&self.seed, &event));
        let Some(response) = event.prompt_response.as_ref().filter(|_| self.config.prompts) else {
            return self.arrive(Content::Message(event), None, key, origin);
        };
        // An answer without a message id is identified by its entry. An earlier copy may have answered the prompt, but
        // the host may not have accepted it yet.
        let key = key.or_else(|| match &origin {
            Origin::Buffer(_, id) => Some(self.seed.hash(&["answer", id])),
            Origin::Live(_) | Origin::Http(_) => None,
        });
        // A duplicate waits for the delivery in flight, whatever has happened to the prompt.
        if key.is_some_and(|key| self.inbox.knows(key)) {
            return self.arrive(Content::PromptAnswer(event), None, key, origin);
        }
        match self.prompts.status(&response.prompt_id, self.now) {
            PromptStatus::Open(number) if !self.may_answer(number, &event) => {
                self.stats.unauthorized_answers += 1;
                self.notify(Notice::UnauthorizedAnswer { answer: event });
            }
            PromptStatus::Open(number) => {
                self.prompts.answer(number);
                return self.arrive(Content::PromptAnswer(event), Some(number), key, origin);
            }
            PromptStatus::Answered => self.stats.late_answers += 1,
            PromptStatus::Foreign => self.stats.foreign_answers += 1,
            PromptStatus::Stale => {
                self.stats.stale_answers += 1;
                self.notify(Notice::StalePrompt { answer: event });
            }
        }
        // It reaches no host, and must not come again.
        self.acknowledge(origin);
    }

    /// Returns true if the author of an answer may answer an open prompt (I-8).
    fn may_answer(&self, prompt: u64, answer: &Event) -> bool {
        let platforms = self.config.identities.iter().map(|identity| &*identity.platform);
        self.prompts.may_answer(prompt, &answer.source, platform_of(&answer.source, platforms))
    }

    fn arrive(&mut self, content: Content, answers: Option<u64>, key: Option<u128>, origin: Origin) {
        let early = self.conn.early();
        match self.inbox.arrive(Arrival::new(content, answers, key, origin), early) {
            Arrived::Queued | Arrived::Waits => {}
            Arrived::Dropped(origin) => {
                self.stats.waiters_dropped += 1;
                match origin {
                    Origin::Http(id) => {
                        self.respond(
                            id,
                            WebhookResponse::Unavailable("too many duplicates of it wait for the host"),
                        );
                    }
                    // It is not acknowledged, and the connector's drain waits for an acknowledgement, so it must be
                    // redelivered.
                    Origin::Buffer(..) => {
                        self.conn.must_redeliver(
                            "too many duplicates of a buffered delivery wait: dialing again for it",
                        );
                    }
                    Origin::Live(_) => {}
                }
            }
            Arrived::Duplicate(origin) => {
                self.stats.duplicates += 1;
                self.acknowledge(origin);
            }
        }
    }

    /// Acknowledges a delivery to its sender.
    pub(super) fn acknowledge(&mut self, origin: Origin) {
        match origin {
            Origin::Live(_) => {}
            Origin::Buffer(conn, id) => self.push_ack(conn, id),
            Origin::Http(id) => self.respond(id, WebhookResponse::Done),
        }
    }
}

/// Returns true if a buffered frame of this type is acknowledged when it reaches no host. If both sides
/// acknowledged acknowledgements, it would never end.
pub(super) fn is_acknowledged(kind: &str) -> bool {
    kind != "inbound_ack"
}

fn is_string(raw: &str) -> bool {
    json::kind(raw) == json::Kind::String
}

/// Returns the text of a raw string without its quotes, borrowed if it has no escape. Other values are returned
/// unchanged.
pub(super) fn unquoted(raw: &str) -> Cow<'_, str> {
    match raw.strip_prefix('"').and_then(|body| body.strip_suffix('"')) {
        Some(body) if !body.contains('\\') => Cow::Borrowed(body),
        Some(_) => Cow::Owned(json::string(raw).unwrap_or_default()),
        None => Cow::Borrowed(raw),
    }
}

/// Returns a `bufferId` that can be acknowledged: a string or an integer (W-8) that is not empty.
pub(super) fn readable(raw: &str) -> Option<Cow<'_, str>> {
    Some(unquoted(raw)).filter(|id| json::is_id(raw) && !id.is_empty())
}
