//! The table of bugs.

mod connector;
mod delivery;
mod events;
mod lifecycle;
mod outbound;
mod wire;

use crate::Hook;
use crate::proxy::State;
use serde_json::Value;

/// A bug.
pub(crate) struct Bug {
    pub(crate) name: &'static str,
    /// Scenarios that find it.
    pub(crate) found_by: &'static [&'static str],
    /// Scenarios that may find it, too, since they prove a part of the same.
    pub(crate) related: &'static [&'static str],
    hooks: &'static [Hook],
}

const NONE: &[Bug] = &[Bug { name: "none", found_by: &[], related: &[], hooks: &[] }];

/// Bugs of one side.
pub(crate) type Bugs = std::iter::Flatten<std::vec::IntoIter<&'static [Bug]>>;

/// Returns all bugs of gateways, and `none`.
pub(crate) fn of_gateways() -> Bugs {
    let parts = [NONE, wire::BUGS, events::BUGS, outbound::BUGS, lifecycle::BUGS, delivery::BUGS];
    Vec::from(parts).into_iter().flatten()
}

/// Returns all bugs of connectors, and `none`.
pub(crate) fn of_connectors() -> Bugs {
    vec![NONE, connector::BUGS].into_iter().flatten()
}

/// Passes values through all hooks of one kind.
macro_rules! through {
    ($self:ident, $kind:ident, $state:ident, $value:ident) => {{
        let mut values = vec![$value];
        for hook in $self.hooks {
            if let Hook::$kind(alter) = hook {
                values = values.into_iter().flat_map(|value| alter($state, value)).collect();
            }
        }
        values
    }};
}

impl Bug {
    pub(crate) fn up(&self, state: &mut State, value: Value) -> Vec<Value> {
        through!(self, Up, state, value)
    }

    pub(crate) fn down(&self, state: &mut State, value: Value) -> Vec<Value> {
        through!(self, Down, state, value)
    }

    pub(crate) fn line_for_agent(&self, state: &mut State, value: Value) -> Vec<Value> {
        through!(self, ToAgent, state, value)
    }

    pub(crate) fn line_of_agent(&self, state: &mut State, value: Value) -> Vec<Value> {
        through!(self, FromAgent, state, value)
    }

    pub(crate) fn up_text(&self, text: String) -> String {
        self.hooks
            .iter()
            .fold(text, |text, hook| if let Hook::UpText(alter) = hook { alter(text) } else { text })
    }

    pub(crate) fn response(&self, text: String) -> String {
        self.hooks
            .iter()
            .fold(text, |text, hook| if let Hook::Response(alter) = hook { alter(text) } else { text })
    }

    pub(crate) fn request(&self, state: &mut State, text: String) -> String {
        self.hooks.iter().fold(
            text,
            |text, hook| {
                if let Hook::Request(alter) = hook { alter(state, text) } else { text }
            },
        )
    }

    pub(crate) fn message(&self, state: &mut State, opcode: u8, payload: Vec<u8>) -> Option<Vec<u8>> {
        self.hooks.iter().try_fold(payload, |payload, hook| {
            if let Hook::Message(alter) = hook { alter(state, opcode, payload) } else { Some(payload) }
        })
    }

    pub(crate) fn up_message(&self, state: &mut State, opcode: u8, payload: Vec<u8>) -> Option<Vec<u8>> {
        self.hooks.iter().try_fold(payload, |payload, hook| {
            if let Hook::UpMessage(alter) = hook { alter(state, opcode, payload) } else { Some(payload) }
        })
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = &'static str> {
        let of = |hook: &Hook| if let Hook::Arguments(arguments) = hook { *arguments } else { &[] };
        self.hooks.iter().flat_map(of).copied()
    }

    pub(crate) fn up_control(&self, state: &mut State, opcode: u8, payload: &mut Vec<u8>) -> bool {
        self.hooks
            .iter()
            .all(|hook| if let Hook::UpControl(alter) = hook { alter(state, opcode, payload) } else { true })
    }

    pub(crate) fn down_control(&self, state: &mut State, opcode: u8, payload: &mut Vec<u8>) -> bool {
        self.hooks.iter().all(|hook| {
            if let Hook::DownControl(alter) = hook { alter(state, opcode, payload) } else { true }
        })
    }
}

/// Returns a bug.
const fn bug(
    name: &'static str,
    found_by: &'static [&'static str],
    related: &'static [&'static str],
    hooks: &'static [Hook],
) -> Bug {
    Bug { name, found_by, related, hooks }
}

/// Returns the op of an outbound frame; empty for others.
fn op(frame: &Value) -> &str {
    frame["action"]["op"].as_str().unwrap_or_default()
}

/// Removes a field of an object within a value.
fn remove(value: &mut Value, pointer: &str, field: &str) {
    if let Some(fields) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        fields.remove(field);
    }
}

/// Sets a field of an object within a value, if the object is there.
fn set(value: &mut Value, pointer: &str, field: &str, new: impl Into<Value>) {
    if let Some(fields) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        fields.insert(field.to_owned(), new.into());
    }
}
