//! Messages that the chats show, from the connector's side. Streamed replies are checked against them.

use serde_json::Value;
use std::collections::BTreeMap;

/// A text of a message, and the outcome of the request that set it.
#[derive(Debug)]
struct State {
    request: String,
    content: String,
    carried_out: Option<bool>,
}

#[derive(Debug, Default)]
pub(crate) struct ChatView {
    /// Requests without a result that the connector has received, with their platforms.
    asked: BTreeMap<String, (String, Value)>,
    /// Texts by message id, in the order in which the connector received them.
    messages: BTreeMap<String, Vec<State>>,
    /// True if a message was sent without an id in its result.
    is_vague: bool,
}

impl ChatView {
    /// Returns the op of a request without a result. `seal` is the last frame of a draft.
    pub(crate) fn op(&self, request: &str) -> &str {
        match self.asked.get(request) {
            Some((_, action)) if action["final"] == true => "seal",
            Some((_, action)) => action["op"].as_str().unwrap_or_default(),
            None => "",
        }
    }

    /// Adds a request that the connector has received.
    pub(crate) fn asked(&mut self, request: &str, platform: &str, action: &Value) {
        let text = |name: &str| action[name].as_str().unwrap_or_default().to_owned();
        if action["op"] == "edit" {
            let state = State { request: request.to_owned(), content: text("content"), carried_out: None };
            self.messages.entry(text("message_id")).or_default().push(state);
        }
        self.asked.insert(request.to_owned(), (platform.to_owned(), action.clone()));
    }

    /// Applies the result of a request.
    pub(crate) fn answered(&mut self, request: &str, result: &Value) {
        let Some((platform, action)) = self.asked.remove(request) else { return };
        // Only Slack's drafts become messages, and only when they are sealed (O-12).
        if action["op"] == "draft" && !(platform == "slack" && action["final"] == true) {
            return;
        }
        let done = result["success"] == true;
        if action["op"] == "edit" {
            let id = action["message_id"].as_str().unwrap_or_default();
            for state in
                self.messages.get_mut(id).into_iter().flatten().filter(|state| state.request == request)
            {
                state.carried_out = Some(done);
            }
        } else if done
            && matches!(action["op"].as_str(), Some("send" | "draft"))
            && result["message_id"].is_null()
        {
            self.is_vague = true;
        } else if let (true, Some(id)) = (done, result["message_id"].as_str()) {
            let content = action["content"].as_str().unwrap_or_default().to_owned();
            let state = State { request: request.to_owned(), content, carried_out: Some(true) };
            self.messages.entry(id.to_owned()).or_default().push(state);
        }
    }

    /// Returns the text of these messages without white space; `None` if it is not known.
    pub(crate) fn text(&self, ids: &[String]) -> Option<String> {
        if self.is_vague {
            return None;
        }
        let mut text = String::new();
        for id in ids {
            let states = self.messages.get(id)?;
            let last = states.iter().rev().find(|state| state.carried_out != Some(false))?;
            text.extend(last.content.chars().filter(|sign| !sign.is_whitespace()));
        }
        Some(text)
    }
}
