//! Frames of both sides: their chats and turns, and what the components say about them.

use super::Analyzer;
use crate::view::forward::event_of;
use crate::view::frame::{ReadFrame, id};
use crate::view::gist::{self, one_line};
use crate::view::marks::{Marks, Place};
use crate::view::model::ViewEntry;
use crate::view::problems::ProblemKind;
use crate::view::turns::ChatKey;
use relayline_core::event::Event;
use relayline_core::session_key::{SessionKeyOptions, session_key};
use serde_json::{Map, Value};

/// Ops that a descriptor must name.
const NAMED_OPS: [&str; 8] =
    ["delete", "send_media", "prompt", "react", "thread_create", "thread_rename", "draft", "task_card"];

impl Analyzer {
    pub(super) fn of_gateway(
        &mut self,
        dial: usize,
        frame: &ReadFrame,
        place: Place,
        entry: &mut ViewEntry,
        marks: &mut Marks,
    ) {
        let Some(socket) = self.sockets.get_mut(dial) else { return };
        socket.wrote(frame, place, marks);
        match frame.name.as_str() {
            "hello" => entry.platform = frame.id("platform"),
            "going_idle" => socket.idle.ask(place, marks),
            "interrupt" => entry.session = frame.id("session_key"),
            "inbound_ack" => {
                entry.buffer = frame.id("bufferId");
                let delivery = entry.buffer.as_deref().unwrap_or_default();
                let delivered = self.deliveries.ack(dial, delivery, place, marks);
                entry.turn = delivered.and_then(|at| self.turn_of.get(at));
            }
            "outbound" => self.request(dial, frame, place, entry, marks),
            _ => {}
        }
    }

    /// Reads a request: its chat, its turn, and whether the descriptor offers it.
    fn request(
        &mut self,
        dial: usize,
        frame: &ReadFrame,
        place: Place,
        entry: &mut ViewEntry,
        marks: &mut Marks,
    ) {
        let empty = Map::new();
        let action = frame.object("action").unwrap_or(&empty);
        let op = action.get("op").and_then(Value::as_str).unwrap_or_default();
        let metadata = action.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
        entry.op = Some(one_line(op, 40));
        entry.chat = id(action.get("chat_id"));
        entry.platform = frame.id("platform");
        let chat = entry.chat.clone().unwrap_or_default();
        let thread = id(metadata.get("thread_id")).or_else(|| id(metadata.get("thread_ts")));
        let mut keys = vec![ChatKey::new(&chat, thread.as_deref()), ChatKey::new(&chat, None)];
        keys.dedup();
        let is_last = metadata.get("notify") == Some(&Value::Bool(true));
        let is_sign = matches!(op, "react" | "typing" | "task_card" | "task_card_stop");
        let found = match id(action.get("session_key")) {
            Some(session) => {
                let number = self.turns.of_session(&session);
                Some((number, session))
            }
            None => self.turns.find(&keys, is_last, is_sign).map(|turn| (turn.number, turn.session)),
        };
        if let Some((turn, session)) = found {
            (entry.turn, entry.session) = (turn, Some(session));
        }
        self.requests.ask(dial, frame, place, op, entry.chat.as_deref());

        let Some(socket) = self.sockets.get(dial) else { return };
        if let Some(platform) = entry.platform.as_deref().filter(|platform| !socket.fronts(platform)) {
            let detail = format!("The platform is {}.", gist::quoted(platform, 40));
            marks.problem(place.at, ProblemKind::NotFronted, detail);
        }
        let Some(descriptor) = socket.descriptor_of(entry.platform.as_deref()) else { return };
        let named = if op == "task_card_stop" { "task_card" } else { op };
        if NAMED_OPS.contains(&named) && !descriptor.offers(named) {
            marks.problem(place.at, ProblemKind::NotOffered, format!("The op is {named}."));
        }
        if let Some(content) = action.get("content").and_then(Value::as_str)
            && matches!(op, "send" | "edit" | "draft")
        {
            let length = u64::try_from(descriptor.len_unit.len(content)).unwrap_or(u64::MAX);
            if length > descriptor.max_message_length {
                let most = descriptor.max_message_length;
                marks.problem(
                    place.at,
                    ProblemKind::TextTooLong,
                    format!("Its length is {length}; the limit is {most}."),
                );
            }
        }
    }

    pub(super) fn of_connector(
        &mut self,
        dial: usize,
        frame: &ReadFrame,
        place: Place,
        entry: &mut ViewEntry,
        marks: &mut Marks,
    ) {
        let Some(socket) = self.sockets.get_mut(dial) else { return };
        match frame.name.as_str() {
            "descriptor" => {
                socket.descriptor(frame, place, marks);
                let descriptor = frame.object("descriptor");
                entry.platform = descriptor.and_then(|descriptor| id(descriptor.get("platform")));
                self.sockets.note_handshake(dial);
            }
            "going_idle_ack" => socket.idle.confirm(place, marks),
            "interrupt_inbound" => {
                entry.session = frame.id("session_key");
                entry.chat = frame.id("chat_id");
                entry.turn = entry.session.as_deref().and_then(|session| self.turns.of_session(session));
                if entry.session.is_none() {
                    marks.problem(place.at, ProblemKind::KeylessInterrupt, "");
                }
            }
            "outbound_result" => {
                if let Some(asked) = self.requests.answer(dial, frame, place, marks) {
                    entry.op = Some(asked.op);
                    entry.chat = asked.chat;
                    entry.turn = self.turn_of.get(asked.at);
                }
            }
            "error" => {
                marks.problem(
                    place.at,
                    ProblemKind::ConnectorError,
                    gist::quoted(&gist::error_text(&frame.fields), 200),
                );
            }
            "inbound" | "passthrough_forward" => {
                if frame.fields.contains_key("bufferId") {
                    entry.buffer = frame.id("bufferId");
                } else {
                    socket.idle.live(place, marks);
                }
                self.begin_turn(frame, entry);
            }
            _ => entry.buffer = frame.id("bufferId"),
        }
        if let Some(buffered) = entry.buffer.clone() {
            self.deliveries.deliver(dial, &buffered, place, marks);
        }
    }

    /// Begins the turn of a message.
    fn begin_turn(&mut self, frame: &ReadFrame, entry: &mut ViewEntry) {
        let event = match frame.object("forward") {
            Some(forward) => {
                entry.platform = id(forward.get("platform"));
                event_of(forward)
            }
            None => frame.fields.get("event").cloned(),
        };
        let Some(event) = event.and_then(|event| Event::read(&event.to_string())) else { return };
        let source = &event.source;
        let key = session_key(source, SessionKeyOptions::default(), source.profile.as_deref());
        let chat = source.chat_id.as_str();
        let threads = [source.thread_id.as_deref(), source.prospective_thread_id.as_deref()];
        let mut keys: Vec<ChatKey> =
            threads.iter().flatten().map(|thread| ChatKey::new(chat, Some(thread))).collect();
        if keys.is_empty() {
            keys.push(ChatKey::new(chat, None));
        }
        // An answer in a new thread may name the message as its thread.
        if let Some(message) = event.any_message_id() {
            keys.push(ChatKey::new(chat, Some(message)));
        }
        entry.turn = Some(self.turns.begin(keys, &key));
        entry.chat = Some(chat.to_owned()).filter(|chat| !chat.is_empty());
        entry.platform = Some(source.platform.to_string());
        entry.session = Some(key);
    }
}
