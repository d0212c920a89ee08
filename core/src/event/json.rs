//! The one JSON form of an event: in the bridge, in traces, in snapshots. Absent things are left out.

use super::{Event, Media, MediaKind, PromptResponse, ReplyTo, Source, Target};
use serde::ser::{Serialize, SerializeMap, Serializer};

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("text", self.text())?;
        map.serialize_entry("message_type", self.message_type_name())?;
        entry(&mut map, "message_id", self.message_id())?;
        entry(&mut map, "reply_to_message_id", self.reply_to_message_id())?;
        map.serialize_entry("source", &self.source())?;
        entry(&mut map, "reply_to", self.reply_to())?;
        if self.media().next().is_some() {
            map.serialize_entry("media", &self.media().collect::<Vec<_>>())?;
        }
        entry(&mut map, "context", self.context())?;
        entry(&mut map, "context_error", self.context_error().then_some(true))?;
        entry(&mut map, "prompt_response", self.prompt_response())?;
        entry(&mut map, "interaction", self.is_interaction().then_some(true))?;
        if self.values().next().is_some() {
            map.serialize_entry("values", &self.values().collect::<Vec<_>>())?;
        }
        entry(&mut map, "target", self.target())?;
        entry(&mut map, "via_authenticated_relay", self.via_authenticated_relay().then_some(true))?;
        map.end()
    }
}

impl Serialize for ReplyTo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "text", self.text)?;
        entry(&mut map, "author", self.author)?;
        entry(&mut map, "is_own", self.is_own)?;
        map.end()
    }
}

impl Serialize for PromptResponse<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("prompt_id", self.prompt_id)?;
        map.serialize_entry("option_id", self.option_id)?;
        entry(&mut map, "label", self.label)?;
        entry(&mut map, "prompt_message_id", self.prompt_message_id)?;
        map.end()
    }
}

impl Serialize for Target<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind.name())?;
        map.serialize_entry("id", self.id)?;
        entry(&mut map, "name", self.name)?;
        map.end()
    }
}

impl Serialize for Media<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("url", self.url)?;
        entry(&mut map, "kind", self.kind)?;
        entry(&mut map, "mime", self.mime)?;
        entry(&mut map, "size", self.size)?;
        entry(&mut map, "filename", self.filename)?;
        entry(&mut map, "caption", self.caption)?;
        map.end()
    }
}

impl Serialize for MediaKind<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Source<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("platform", self.platform())?;
        map.serialize_entry("chat_id", self.chat_id())?;
        map.serialize_entry("chat_type", self.chat_type_name())?;
        for (name, value) in [
            ("chat_name", self.chat_name()),
            ("user_id", self.user_id()),
            ("user_name", self.user_name()),
            ("user_id_alt", self.user_id_alt()),
            ("chat_id_alt", self.chat_id_alt()),
            ("thread_id", self.thread_id()),
            ("chat_topic", self.chat_topic()),
            ("scope_id", self.scope_id()),
            ("parent_chat_id", self.parent_chat_id()),
            ("message_id", self.message_id()),
            ("profile", self.profile()),
            ("auto_thread_initial_name", self.auto_thread_initial_name()),
            ("prospective_thread_id", self.prospective_thread_id()),
        ] {
            entry(&mut map, name, value)?;
        }
        for (name, value) in [
            ("auto_thread_created", self.auto_thread_created().then_some(true)),
            ("is_bot", self.is_bot()),
            ("message_is_edit", self.message_is_edit()),
            ("one_to_one_verified", self.one_to_one_verified()),
        ] {
            entry(&mut map, name, value)?;
        }
        map.end()
    }
}

/// Writes a field, if there is one.
fn entry<M: SerializeMap>(map: &mut M, name: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}
