//! Effects of a gateway's ops on the chats.

use super::chat::{Chat, MAX_NAME};
use super::message::{Attachment, Author, Button, Card, Message, PromptView, Step};
use super::{Files, Workbench};
use serde_json::Value;

/// Types of images that are shown. All browsers draw them, and none has scripts.
pub(super) const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// Maximum number of buttons, and of steps of a card.
const MAX_PARTS: usize = 100;

/// An op that was carried out, with its result.
pub(super) struct DoneOp<'a> {
    pub(super) at: u64,
    pub(super) platform: &'a str,
    pub(super) action: &'a Value,
    pub(super) result: &'a Value,
}

impl DoneOp<'_> {
    fn text(&self, name: &str) -> &str {
        self.action[name].as_str().unwrap_or_default()
    }

    /// Returns the id in a field of the action, which can be a number.
    fn id(&self, name: &str) -> Option<String> {
        id(&self.action[name])
    }

    fn metadata(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| id(&self.action["metadata"][*name]))
    }

    fn op(&self) -> &str {
        self.text("op")
    }
}

fn id(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    Some(id).filter(|id| !id.is_empty() && id.len() <= MAX_NAME)
}

fn short(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text[..text.floor_char_boundary(MAX_NAME)].to_owned()
}

impl Workbench {
    /// Shows an op and its result.
    pub(super) fn show(&mut self, done: &DoneOp<'_>, files: &mut dyn Files) {
        let Some((chat, thread)) = self.place_of(done) else {
            let op = if done.op().is_empty() { "an op without a name" } else { done.op() };
            let text = format!("{op}, which names no chat: {}", done.action);
            return self.note_anywhere(done.at, &text, done.result["success"] != true);
        };
        if done.result["success"] != true {
            let error = done.result["error"].as_str().unwrap_or("the result does not say why");
            let text = format!("{} was refused: {error}", done.op());
            return self.note(&chat, thread, done.at, &text, true);
        }
        let key = id(&done.result["message_id"]).unwrap_or_else(|| self.new_key());
        let mut message = Message::new(key, done.at, Author::Agent, done.text("content"));
        (message.thread, message.reply_to) = (thread.clone(), done.id("reply_to"));
        match done.op() {
            "send" | "follow_up" => {
                self.drop_drafts(&chat);
                self.post(&chat, message);
            }
            "draft" => {
                message.is_draft = done.action["final"] != true;
                self.post(&chat, message);
            }
            "send_media" => {
                message.files.push(attachment(done, files));
                self.post(&chat, message);
            }
            "prompt" => {
                message.prompt = Some(prompt(done));
                self.post(&chat, message);
            }
            "edit" => {
                let text = done.text("content").to_owned();
                self.change(&chat, done, |message| message.edit(&text));
            }
            "delete" => self.change(&chat, done, Message::delete),
            "react" => {
                let (emoji, remove) = (done.text("emoji").to_owned(), done.action["remove"] == true);
                self.change(&chat, done, |message| message.react(&emoji, remove));
            }
            "typing" => {
                // Without a text it is the plain sign, and an empty text clears it.
                let text = done.action["content"].as_str().unwrap_or("typing…");
                let text: String = text.chars().take(200).collect();
                self.set_typing(&chat, (!text.is_empty()).then_some((text, done.at)));
            }
            "thread_create" => {
                let name = short(&done.action["thread_name"]);
                let Some(thread_id) = id(&done.result["thread_id"]) else { return };
                self.note(&chat, thread, done.at, &format!("the agent opened the thread “{name}”"), false);
                let opened = self.chats.get(&chat).map(|parent| parent.thread(&thread_id, &name));
                if let Some(opened) = opened {
                    self.add_chat(done.at, opened);
                }
            }
            "thread_rename" => self.rename(done, &chat),
            "get_chat_info" => {
                let info = &done.result["chat_info"];
                let text = format!(
                    "the agent asked for the chat's name and type: {}, {}",
                    short(&info["name"]),
                    short(&info["type"])
                );
                self.note(&chat, thread, done.at, &text, false);
            }
            "task_card" => {
                // It grows in place: its id is the host's.
                message.key = card_key(done);
                message.card = Some(card(done));
                self.post(&chat, message);
            }
            "task_card_stop" => {
                self.amend(&chat, &card_key(done), |message| {
                    if let Some(card) = &mut message.card {
                        card.is_over = true;
                    }
                });
            }
            other => {
                let text = format!("{other} was carried out: {}", done.action);
                self.note(&chat, thread, done.at, &text, false);
            }
        }
    }

    /// Returns the chat of an op, and the thread in it. A chat that is not known is added.
    fn place_of(&mut self, done: &DoneOp<'_>) -> Option<(String, Option<String>)> {
        let thread = done.metadata(&["thread_id", "thread_ts"]);
        // A follow-up names a session, and `thread_rename` can name the thread alone.
        let chat_id = done.id("chat_id").or_else(|| match done.op() {
            "thread_rename" => done.id("message_id"),
            _ => None,
        });
        let Some(chat_id) = chat_id else {
            let session = done.text("session_key");
            let session: Vec<&str> = session.split(':').collect();
            let is_in = |chat: &&Chat| {
                chat.platform == done.platform && session.iter().any(|part| *part == chat.chat_id)
            };
            return self.chats.all().iter().find(is_in).map(|chat| (chat.key.clone(), None));
        };
        if let Some(place) = self.chats.place(done.platform, &chat_id, thread.as_deref()) {
            return Some(place);
        }
        let scope = done.metadata(&["scope_id", "guild_id"]);
        self.add_chat(done.at, Chat::unknown(done.platform, &chat_id, scope));
        self.chats.place(done.platform, &chat_id, thread.as_deref())
    }

    /// Changes the message that an op names.
    fn change(&mut self, chat: &str, done: &DoneOp<'_>, change: impl FnOnce(&mut Message)) {
        let wanted = done.id("message_id").unwrap_or_default();
        if !self.amend(chat, &wanted, change) {
            let text = format!("{} of a message that is not here: {}", done.op(), done.action);
            self.note(chat, None, done.at, &text, false);
        }
    }

    /// Removes the drafts of a chat: the message that completes them has come. On Slack a draft becomes the message.
    fn drop_drafts(&mut self, chat: &str) {
        let Some(of) = self.chats.get(chat).filter(|chat| chat.platform != "slack") else { return };
        let drafts = of.messages.iter().filter(|message| message.is_draft);
        for key in drafts.map(|message| message.key.clone()).collect::<Vec<_>>() {
            self.remove(chat, &key);
        }
    }

    fn rename(&mut self, done: &DoneOp<'_>, chat: &str) {
        let name = short(&done.action["thread_name"]);
        let thread = done.id("message_id").unwrap_or_default();
        let known = self.chats.all().iter().find(|known| known.thread_id.as_deref() == Some(thread.as_str()));
        let key = known.map(|known| known.key.clone());
        if let Some(thread) = key.as_deref().and_then(|key| self.chats.get_mut(key)) {
            thread.name.clone_from(&name);
        }
        let key = key.unwrap_or_else(|| chat.to_owned());
        self.tell_chat(&key);
        self.note(&key, None, done.at, &format!("the agent named the thread “{name}”"), false);
    }
}

fn card_key(done: &DoneOp<'_>) -> String {
    format!("card:{}", done.id("card_id").unwrap_or_default())
}

/// Reads the steps of a card: each platform's connector knows its own fields, and these are those of most.
fn card(done: &DoneOp<'_>) -> Card {
    let chunks = done.action["chunks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let step = |chunk: &Value| Step {
        title: [&chunk["title"], &chunk["text"], &chunk["id"]]
            .map(short)
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        status: short(&chunk["status"]),
        details: short(if chunk["details"].is_string() { &chunk["details"] } else { &chunk["output"] }),
    };
    Card { steps: chunks.iter().take(MAX_PARTS).map(step).collect(), is_over: false }
}

fn prompt(done: &DoneOp<'_>) -> PromptView {
    let options = done.action["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    let button = |option: &Value| {
        let id = short(&option["id"]);
        let label = Some(short(&option["label"])).filter(|label| !label.is_empty());
        let style = Some(short(&option["style"])).filter(|style| !style.is_empty());
        Button { label: label.unwrap_or_else(|| id.clone()), id, style }
    };
    PromptView {
        id: done.id("prompt_id").unwrap_or_default(),
        kind: short(&done.action["prompt_kind"]),
        buttons: options.iter().take(MAX_PARTS).map(button).collect(),
        answer: None,
    }
}

fn attachment(done: &DoneOp<'_>, files: &mut dyn Files) -> Attachment {
    let url = short(&done.action["source_url"]);
    let file = files.file(&url);
    let last = url.rsplit('/').next().unwrap_or_default();
    let given = Some(short(&done.action["filename"])).filter(|name| !name.is_empty());
    let name = given.or_else(|| file.as_ref()?.name.clone()).unwrap_or_else(|| last.to_owned());
    let mime = file.as_ref().map(|file| file.content_type.clone());
    let size = file.as_ref().map(|file| file.content.len());
    let is_shown = mime.as_deref().is_some_and(|mime| IMAGES.contains(&mime));
    let file = file.is_some().then(|| last.to_owned());
    Attachment { name, kind: short(&done.action["media_kind"]), mime, size, file, is_shown, url }
}
