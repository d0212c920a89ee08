//! Actions of users, as instructions for the connector.

use super::action::{Action, NewFile};
use super::chat::{Chat, MAX_NAME, Person};
use super::faults::Fault;
use super::message::{Attachment, Author, Message, Progress};
use super::ops::IMAGES;
use super::{Files, Plan, Update, Workbench};
use data_encoding::BASE64;
use relayline_connector::{Act, Press, UserFile};
use relayline_core::event::Event;
use relayline_core::session_key::{SessionKeyOptions, session_key};
use serde_json::{Map, Value, json};

/// Maximum number of files of a message.
const MAX_FILES: usize = 10;
/// Maximum size of a text, in bytes: a frame must fit into the gateway's line.
const MAX_TEXT: usize = 512 << 10;

/// Effect of an action on the chats, once its instructions were carried out.
#[derive(Debug)]
pub(super) enum Effect {
    /// Shows a user's message.
    Post {
        chat: String,
        message: Box<Message>,
    },
    Delete {
        chat: String,
        message: String,
    },
    Answer {
        chat: String,
        prompt: String,
        label: String,
        name: String,
    },
    Note {
        chat: String,
        thread: Option<String>,
        text: String,
    },
    AddChat(Box<Chat>),
    AddPerson {
        platform: String,
        person: Person,
        chat: Option<Box<Chat>>,
    },
    Fault {
        name: Fault,
        on: bool,
    },
}

impl Workbench {
    /// Returns the instructions of an action. `at` is the time in Unix milliseconds.
    ///
    /// # Errors
    /// The action cannot be carried out: the text for the person.
    pub(crate) fn plan(&self, at: u64, action: Action, files: &mut dyn Files) -> Result<Plan, String> {
        match action {
            Action::Say { chat, user, text, thread, reply_to, files: new } => {
                let (chat, person) = (self.chat(&chat)?, self.author(&chat, &user)?);
                check_text(&text, !new.is_empty())?;
                let said = Said { at, chat, person, text: &text, thread, reply_to, new };
                self.say(said, files)
            }
            Action::Edit { chat, message, text } => self.edit(&chat, &message, &text),
            Action::Delete { chat, message } => {
                let known = self.own_message(&chat, &message)?.key.clone();
                Ok(Plan { acts: Vec::new(), effect: Effect::Delete { chat, message: known } })
            }
            Action::Press { chat, user, prompt, option } => {
                let (chat, person) = (self.chat(&chat)?, self.author(&chat, &user)?);
                let mut asked = chat.messages.iter().rev().filter_map(|message| message.prompt.as_ref());
                let asked = asked
                    .find(|asked| asked.id == prompt)
                    .ok_or("this question is not in the chat any more")?;
                let button = asked.buttons.iter().find(|button| button.id == option);
                let label = button.ok_or("the question has no such button")?.label.clone();
                let press = Press::new(option)
                    .prompt_id(prompt.clone())
                    .chat_id(chat.chat_id.clone())
                    .user_id(person.id.clone())
                    .user_name(person.name.clone());
                let effect =
                    Effect::Answer { chat: chat.key.clone(), prompt, label, name: person.name.clone() };
                Ok(Plan { acts: vec![Act::Press(press)], effect })
            }
            Action::Interrupt { chat, user, thread } => {
                let (chat, person) = (self.chat(&chat)?, self.author(&chat, &user)?);
                let event = json!({ "source": chat.source(person, thread.as_deref()) }).to_string();
                let event = Event::read(&event).ok_or("the chat has no session")?;
                let session_key = session_key(&event.source, SessionKeyOptions::default(), None);
                let text = format!("{} interrupted the agent", person.name);
                let effect = Effect::Note { chat: chat.key.clone(), thread, text };
                let chat_id = chat.chat_id.clone();
                Ok(Plan { acts: vec![Act::Interrupt { session_key, chat_id }], effect })
            }
            Action::OpenThread { chat, name } => {
                let chat = self.chat(&chat)?;
                let name = checked_name(&name)?;
                match chat.platform.as_str() {
                    "slack" => {
                        return Err(
                            "a thread of Slack begins with a reply: use Reply at a message".to_owned()
                        );
                    }
                    _ if chat.chat_type == "dm" || chat.chat_type == "thread" => {
                        return Err("this chat cannot have threads: use a channel or a group".to_owned());
                    }
                    _ => {}
                }
                let opened = chat.thread(&files.message_id(&chat.platform), &name);
                Ok(Plan { acts: Vec::new(), effect: Effect::AddChat(Box::new(opened)) })
            }
            Action::AddChat { platform, name, user } => self.new_chat(&platform, &name, user, files),
            Action::AddUser { platform, name } => {
                self.check_platform(&platform)?;
                let person = Person { id: files.message_id(&platform), name: checked_name(&name)? };
                Ok(Plan { acts: Vec::new(), effect: Effect::AddPerson { platform, person, chat: None } })
            }
            Action::Fault { name: Fault::Duplicate, .. } => {
                let again = self.last_delivery.clone();
                let again = again.ok_or("nothing was delivered so far: write a message first")?;
                let effect = Effect::Fault { name: Fault::Duplicate, on: true };
                Ok(Plan { acts: vec![again], effect })
            }
            Action::Fault { name, on } => {
                Ok(Plan { acts: name.acts(on), effect: Effect::Fault { name, on } })
            }
            Action::RestartAgent => Err("this workbench does not run the agent".to_owned()),
        }
    }

    /// Notes that the instructions of a plan were carried out.
    pub(crate) fn commit(&mut self, at: u64, plan: Plan) {
        let Plan { acts, effect } = plan;
        let is_delivery = |act: &&Act| matches!(act, Act::Inbound { .. } | Act::Passthrough { .. });
        if let Some(delivery) = acts.iter().find(is_delivery) {
            self.last_delivery = Some(delivery.clone());
        }
        match effect {
            Effect::Post { chat, message } => self.post(&chat, *message),
            Effect::Delete { chat, message } => _ = self.amend(&chat, &message, Message::delete),
            Effect::Answer { chat, prompt, label, name } => {
                let is_it =
                    |message: &&Message| message.prompt.as_ref().is_some_and(|asked| asked.id == prompt);
                let found = self.chats.get(&chat).and_then(|chat| chat.messages.iter().rev().find(is_it));
                if let Some(message) = found.map(|message| message.key.clone()) {
                    self.amend(&chat, &message, |message| {
                        if let Some(asked) = &mut message.prompt {
                            asked.answer = Some((label, name));
                        }
                    });
                }
            }
            Effect::Note { chat, thread, text } => self.note(&chat, thread, at, &text, false),
            Effect::AddChat(chat) => self.add_chat(at, *chat),
            Effect::AddPerson { platform, person, chat } => {
                match self.chats.add_person(&platform, person) {
                    Ok(()) => {
                        let people =
                            self.chats.people().get(&platform).map_or(Value::Null, |people| json!(people));
                        self.updates.push(Update::People { platform, people });
                    }
                    Err(error) => self.note_anywhere(at, &error, true),
                }
                if let Some(chat) = chat {
                    self.add_chat(at, *chat);
                }
            }
            Effect::Fault { name, on } => {
                self.faults.note(name, on);
                self.updates.push(Update::Faults { faults: self.faults.clone() });
            }
        }
    }

    fn chat(&self, key: &str) -> Result<&Chat, String> {
        self.chats.get(key).ok_or_else(|| "there is no such chat: load the page again".to_owned())
    }

    /// Returns the user who writes in a chat.
    fn author(&self, chat: &str, user: &str) -> Result<&Person, String> {
        let chat = self.chat(chat)?;
        if chat.only.as_ref().is_some_and(|only| only != user) {
            return Err("another user cannot write in this direct chat".to_owned());
        }
        self.chats
            .person(&chat.platform, user)
            .ok_or_else(|| format!("{} has no such user: load the page again", chat.platform))
    }

    fn own_message(&self, chat: &str, message: &str) -> Result<&Message, String> {
        let mut messages = self.chat(chat)?.messages.iter();
        let found =
            messages.find(|known| known.key == message && matches!(known.author, Author::User { .. }));
        let found = found.filter(|known| !known.is_deleted);
        found.ok_or_else(|| "this is not a message of a user, or it is gone".to_owned())
    }

    fn check_platform(&self, platform: &str) -> Result<(), String> {
        let is_known = self.chats.all().iter().any(|chat| chat.platform == platform);
        is_known.then_some(()).ok_or_else(|| format!("there is no platform {platform:?} here"))
    }

    fn new_chat(
        &self,
        platform: &str,
        name: &str,
        user: Option<String>,
        files: &mut dyn Files,
    ) -> Result<Plan, String> {
        self.check_platform(platform)?;
        let name = checked_name(name)?;
        let like = self.chats.all().iter().find(|chat| chat.platform == platform && chat.chat_type != "dm");
        let scope = like.and_then(|chat| chat.scope_id.clone());
        // Discord has no scope in direct chats; on Slack they belong to the workspace.
        let scope = scope.filter(|_| user.is_none() || platform == "slack");
        let id = files.message_id(platform);
        let chat_id = match (platform, &user) {
            ("telegram", Some(user)) => user.clone(),
            ("telegram", None) => format!("-100{id}"),
            ("slack", Some(_)) => format!("D{}", id.replace('.', "")),
            ("slack", None) => format!("C{}", id.replace('.', "")),
            _ => id,
        };
        let mut chat = Chat::unknown(platform, &chat_id, scope);
        chat.chat_type = match (&user, platform) {
            (Some(_), _) => "dm",
            (None, "slack") => "channel",
            (None, _) => "group",
        }
        .to_owned();
        if let Some(user) = &user {
            let person =
                self.chats.person(platform, user).ok_or_else(|| format!("{platform} has no such user"))?;
            (chat.name, chat.only) = (person.name.clone(), Some(person.id.clone()));
        } else {
            chat.name = name;
        }
        Ok(Plan { acts: Vec::new(), effect: Effect::AddChat(Box::new(chat)) })
    }

    fn edit(&self, chat: &str, message: &str, text: &str) -> Result<Plan, String> {
        check_text(text, false)?;
        let (chat, known) = (self.chat(chat)?, self.own_message(chat, message)?);
        let Author::User { id, name } = &known.author else {
            return Err("only messages of users can be edited here".to_owned());
        };
        let person = Person { id: id.clone(), name: name.clone() };
        let mut event = event(chat, &person, &known.key, text, known.thread.as_deref());
        event["source"]["message_is_edit"] = true.into();
        let mut edited = known.clone();
        edited.edit(text);
        let effect = Effect::Post { chat: chat.key.clone(), message: Box::new(edited) };
        Ok(Plan { acts: vec![inbound(&event)], effect })
    }

    fn say(&self, said: Said<'_>, files: &mut dyn Files) -> Result<Plan, String> {
        let Said { at, chat, person, text, thread, reply_to, new } = said;
        if new.len() > MAX_FILES {
            return Err(format!("a message has at most {MAX_FILES} files"));
        }
        if !new.is_empty() && self.gateway().is_none() {
            // The connector keeps a file for the gateway that may download it.
            return Err(
                "no gateway has dialed so far, so nobody could get the files: start it first".to_owned()
            );
        }
        let message_id = files.message_id(&chat.platform);
        let author = Author::User { id: person.id.clone(), name: person.name.clone() };
        let mut message = Message::new(message_id.clone(), at, author, text);
        (message.progress, message.thread) = (Some(Progress::Waiting), thread.clone());
        message.reply_to.clone_from(&reply_to);
        if let Some(act) = self.interaction(chat, person, &message_id, text) {
            let effect = Effect::Post { chat: chat.key.clone(), message: Box::new(message) };
            return Ok(Plan { acts: vec![act], effect });
        }
        let mut event = event(chat, person, &message_id, text, thread.as_deref());
        if let Some(reply_to) = &reply_to {
            event["reply_to_message_id"] = reply_to.as_str().into();
            if let Some(answered) = chat.messages.iter().find(|known| known.key == *reply_to) {
                event["reply_to"] =
                    json!({ "text": answered.text.as_str(), "is_own": answered.is_of_agent() });
            }
        }
        for file in new {
            message.files.push(add(file, files)?);
        }
        if !message.files.is_empty() {
            let media = message.files.iter().map(|file| {
                json!({ "url": file.url, "kind": file.kind, "mime": file.mime, "size": file.size, "filename": file.name })
            });
            event["media"] = media.collect();
            event["media_urls"] = message.files.iter().map(|file| Value::from(file.url.as_str())).collect();
            let kind = message.files.first().map_or("text", |file| file.kind.as_str());
            event["message_type"] = if kind == "image" { "photo" } else { kind }.into();
        }
        let effect = Effect::Post { chat: chat.key.clone(), message: Box::new(message) };
        Ok(Plan { acts: vec![inbound(&event)], effect })
    }

    /// Returns a slash command as Discord forwards it, if the text is one that the agent has declared.
    fn interaction(&self, chat: &Chat, person: &Person, message_id: &str, text: &str) -> Option<Act> {
        let (name, value) = text.strip_prefix('/')?.split_once(' ').unwrap_or((text.strip_prefix('/')?, ""));
        let command = self.commands.iter().find(|command| command.name == name)?;
        if chat.platform != "discord" {
            return None;
        }
        let mut data = json!({ "name": name, "type": 1 });
        if !value.trim().is_empty() {
            let option = command.option.as_deref().unwrap_or("input");
            data["options"] = json!([{ "name": option, "type": 3, "value": value.trim() }]);
        }
        let user = json!({ "id": person.id, "username": person.name });
        let kind = match (chat.chat_type.as_str(), &chat.scope_id) {
            ("thread", _) => 11,
            (_, Some(_)) => 0,
            (_, None) => 1,
        };
        let channel = json!({ "id": chat.chat_id, "type": kind, "parent_id": chat.parent_chat_id });
        let mut body = json!({
            "id": message_id, "type": 2, "channel_id": chat.chat_id, "channel": channel, "data": data,
        });
        match &chat.scope_id {
            Some(guild) => {
                body["guild_id"] = guild.as_str().into();
                body["member"] = json!({ "user": user });
            }
            None => body["user"] = user,
        }
        let body = BASE64.encode(body.to_string().as_bytes());
        let forward =
            json!({ "platform": "discord", "method": "POST", "path": "/interactions", "bodyB64": body });
        Some(Act::Passthrough { forward: fields(&forward), buffered: None })
    }
}

/// A message that a user writes.
struct Said<'a> {
    at: u64,
    chat: &'a Chat,
    person: &'a Person,
    text: &'a str,
    thread: Option<String>,
    reply_to: Option<String>,
    new: Vec<NewFile>,
}

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn inbound(event: &Value) -> Act {
    Act::Inbound { event: fields(event), buffered: None }
}

fn event(chat: &Chat, person: &Person, message_id: &str, text: &str, thread: Option<&str>) -> Value {
    let mut source = chat.source(person, thread);
    source.insert("message_id".to_owned(), message_id.into());
    let kind = if text.starts_with('/') { "command" } else { "text" };
    json!({ "text": text, "message_type": kind, "message_id": message_id, "source": source })
}

fn check_text(text: &str, has_files: bool) -> Result<(), String> {
    if text.trim().is_empty() && !has_files {
        return Err("the message is empty: write something, or attach a file".to_owned());
    }
    if text.len() > MAX_TEXT {
        return Err(format!("the text has {} bytes, {MAX_TEXT} at most", text.len()));
    }
    Ok(())
}

fn checked_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    match name.is_empty() || name.len() > MAX_NAME {
        true => Err(format!("a name has 1 to {MAX_NAME} bytes")),
        false => Ok(name.to_owned()),
    }
}

/// Adds a file to the connector.
fn add(file: NewFile, files: &mut dyn Files) -> Result<Attachment, String> {
    let NewFile { name, mime, base64 } = file;
    let name = checked_name(&name)?;
    let content =
        BASE64.decode(base64.as_bytes()).map_err(|_| format!("the content of {name} is not base64"))?;
    let is_mime = mime.is_ascii() && mime.len() <= 255 && mime.contains('/');
    let mime = if is_mime { mime } else { "application/octet-stream".to_owned() };
    let kind = match mime.split('/').next() {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        _ => "document",
    };
    let (size, is_shown) = (content.len(), IMAGES.contains(&mime.as_str()));
    let added = UserFile { content_type: mime.clone(), name: Some(name.clone()), content: content.into() };
    let url = files.add_file(added).ok_or_else(|| format!("{name} is too large: {size} bytes"))?;
    let file = url.rsplit('/').next().map(str::to_owned);
    Ok(Attachment { name, kind: kind.to_owned(), mime: Some(mime), size: Some(size), file, is_shown, url })
}

/// Returns the chat and the id of a forwarded interaction.
pub(super) fn read_interaction(forward: &Value) -> Option<(String, String)> {
    let body = BASE64.decode(forward["bodyB64"].as_str()?.as_bytes()).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    Some((body["channel_id"].as_str()?.to_owned(), body["id"].as_str()?.to_owned()))
}
