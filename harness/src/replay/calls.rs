//! Calls of a recorded host that correspond to one command.

use super::host;
use relayline_core::command::{Command, Metadata};
use relayline_core::op::{
    DeleteMessage, Draft, EditMessage, FollowUp, GetChatInfo, Interrupt, MediaKind, Op, Prompt, PromptKind,
    PromptOption, SendMedia, SendMessage, TaskCard, TaskCardStop, ThreadCreate, ThreadRename, Typing,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A call of the host.
#[derive(Debug)]
pub(crate) enum Call {
    /// `connect` or `handshake`. The machine does both by itself.
    Wait,
    /// A command for the machine.
    Ask(Command),
    /// A query of state.
    Query(StatusQuery),
    /// A call without a command.
    Nothing,
    /// A call that this version does not know.
    Unknown,
}

/// A call that queries state.
#[derive(Debug)]
pub(crate) enum StatusQuery {
    /// Length of a text, in the platform's unit.
    MessageLen(String),
    /// Maximum length of a message.
    MaxMessageLength,
    /// True if the turn of this session was interrupted.
    Interrupted(String),
}

/// Arguments of a call.
struct Args<'a>(&'a Map<String, Value>);

impl Args<'_> {
    fn required(&self, name: &str) -> Result<String, String> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) | None => Err(format!("`args.{name}` must be a string")),
        }
    }

    fn optional(&self, name: &str) -> Result<Option<String>, String> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Null) | None => Ok(None),
            Some(_) => Err(format!("`args.{name}` must be a string or null")),
        }
    }

    fn metadata(&self) -> Result<Metadata, String> {
        match self.0.get("metadata") {
            Some(Value::Object(metadata)) => Ok(metadata.clone()),
            Some(Value::Null) | None => Ok(Metadata::new()),
            Some(_) => Err("`args.metadata` must be an object or null".to_owned()),
        }
    }

    fn draft_id(&self) -> Result<i64, String> {
        self.0
            .get("draft_id")
            .and_then(Value::as_i64)
            .ok_or("`args.draft_id` must be a whole number".to_owned())
    }

    fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }
}

/// Converts a recorded call. The error names the invalid argument.
///
/// `wrote` is the first action that the recorded gateway wrote for the call. It contains values that the host set
/// elsewhere: a status phrase, or the reference of an uploaded file.
pub(crate) fn call(name: &str, args: &Map<String, Value>, wrote: Option<&Value>) -> Result<Call, String> {
    let args = Args(args);
    let text = |name: &str| wrote.and_then(|action| action[name].as_str()).map(str::to_owned);
    let command = match name {
        "connect" | "handshake" => return Ok(Call::Wait),
        "message_len" => return Ok(Call::Query(StatusQuery::MessageLen(args.required("text")?))),
        "max_message_length" => return Ok(Call::Query(StatusQuery::MaxMessageLength)),
        "interrupted" => return Ok(Call::Query(StatusQuery::Interrupted(args.required("session_key")?))),
        // Turns handle these calls; the machine has no commands for them (O-15).
        "on_processing_start" | "on_processing_complete" | "abandon_open_draft" => return Ok(Call::Nothing),
        "disconnect" => Command::Disconnect,
        "go_idle" => Command::GoIdle,
        "go_dormant" => Command::GoDormant,
        "send" => {
            let mut send = SendMessage::new(args.required("chat_id")?, args.required("content")?);
            send.reply_to = args.optional("reply_to")?;
            send.metadata = args.metadata()?;
            send.platform = args.optional("platform")?;
            Command::from(send)
        }
        "edit_message" => Command::from(
            EditMessage::new(
                args.required("chat_id")?,
                args.required("message_id")?,
                args.required("content")?,
            )
            .metadata(args.metadata()?),
        ),
        "send_draft" => Command::from(
            Draft::new(args.required("chat_id")?, args.draft_id()?, args.required("content")?)
                .metadata(args.metadata()?),
        ),
        "delete_message" => {
            Command::from(DeleteMessage::new(args.required("chat_id")?, args.required("message_id")?))
        }
        "send_typing" => {
            let mut typing = Typing::new(args.required("chat_id")?).metadata(args.metadata()?);
            typing.content = text("content");
            Command::from(typing)
        }
        "stop_typing" => {
            Command::from(Typing::new(args.required("chat_id")?).content("").metadata(args.metadata()?))
        }
        "send_image" | "send_image_file" | "send_voice" | "send_video" | "send_document" => {
            let kind = match name {
                "send_voice" => MediaKind::Voice,
                "send_video" => MediaKind::Video,
                "send_document" => MediaKind::Document,
                _ => MediaKind::Image,
            };
            let url = args.optional("image_url")?.or_else(|| text("source_url"));
            let url = url.ok_or("neither `args.image_url` nor a frame says where the file is")?;
            let mut send = SendMedia::new(args.required("chat_id")?, kind, url).metadata(args.metadata()?);
            send.caption = args.optional("caption")?.unwrap_or_default();
            send.filename = args.optional("file_name")?;
            send.reply_to = args.optional("reply_to")?;
            Command::from(send)
        }
        "send_exec_approval" | "send_slash_confirm" | "send_clarify" => {
            Command::Op(Op::Prompt(prompt(name, &args, wrote)?))
        }
        "create_handoff_thread" => {
            Command::from(ThreadCreate::new(args.required("parent_chat_id")?).name(args.required("name")?))
        }
        "rename_thread" => {
            let mut rename = ThreadRename::new(args.required("thread_id")?, args.required("name")?);
            rename.chat_id = args.optional("parent_chat_id")?.unwrap_or_default();
            rename.only_if_connector_created = args.is_true("prefer_connector_created");
            rename.only_if_current_name = args.optional("only_if_current_name")?;
            Command::from(rename)
        }
        "send_native_task_card_progress" => {
            let tasks = args.0.get("tasks").map(Vec::<Map<String, Value>>::deserialize);
            let Some(Ok(chunks)) = tasks else {
                return Err("`args.tasks` must be a list of objects".to_owned());
            };
            let mut card =
                TaskCard::new(chunks).chat_id(args.required("chat_id")?).metadata(args.metadata()?);
            card.reply_to = args.optional("reply_to")?;
            Command::from(card)
        }
        "stop_native_task_card_progress" => {
            let mut stop = TaskCardStop::new().chat_id(args.required("chat_id")?).metadata(args.metadata()?);
            stop.reply_to = args.optional("reply_to")?;
            Command::from(stop)
        }
        "send_follow_up" => Command::from(
            FollowUp::new(args.required("session_key")?, args.required("kind")?, args.required("content")?)
                .metadata(args.metadata()?),
        ),
        "send_outbound" => match args.0.get("action") {
            Some(Value::Object(action)) => host::bare(action.clone()),
            Some(_) | None => return Err("`args.action` must be an object".to_owned()),
        },
        "send_interrupt" => {
            let mut interrupt = Interrupt::new(args.required("session_key")?);
            interrupt.reason = args.optional("reason")?;
            Command::Interrupt(interrupt)
        }
        "get_chat_info" => {
            let mut info = GetChatInfo::new(args.required("chat_id")?);
            info.platform = args.optional("platform")?;
            Command::from(info)
        }
        _ => return Ok(Call::Unknown),
    };
    Ok(Call::Ask(command))
}

/// Returns a prompt. Its texts are those of the call, else those of the recorded gateway's action.
fn prompt(name: &str, args: &Args<'_>, wrote: Option<&Value>) -> Result<Prompt, String> {
    let of_frame = |name: &str| wrote.and_then(|action| action.get(name)).cloned();
    let words = args.optional("content")?;
    let content = words.or_else(|| of_frame("content")?.as_str().map(str::to_owned));
    let options = args.0.get("options").cloned().or_else(|| of_frame("options"));
    let options = options.map(Vec::<PromptOption>::deserialize);
    let (Some(content), Some(Ok(mut options))) = (content, options) else {
        return Err("`args.content` must be a string, `args.options` a list of options".to_owned());
    };
    for option in &mut options {
        option.style.take_if(|style| style.is_empty());
    }
    let kind = if name == "send_clarify" { PromptKind::Clarify } else { PromptKind::Approval };
    let mut prompt = Prompt::new(args.required("chat_id")?, content, options).kind(kind);
    prompt.reply_to = args.optional("reply_to")?;
    prompt.metadata = args.metadata()?;
    let timeout = of_frame("timeout_s").and_then(|seconds| seconds.as_u64());
    prompt.timeout = timeout.map(std::time::Duration::from_secs);
    Ok(prompt)
}
