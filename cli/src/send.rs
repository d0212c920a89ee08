//! `relayline send`: sends a text or files, or any op, by a running gateway.

mod message;

use crate::control::{AskError, Connection, ControlArguments, parse_time};
use crate::{fail, print};
use clap::{ArgGroup, Args};
use message::{Message, SendError};
use relayline_core::json;
use serde_json::{Map, Value, json};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Maximum length of a text on stdin, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// Send a text, files or any op by a running gateway, as from a cron job or an alert.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  relayline send --control relayline.sock --chat-id 1234 --text 'the backup is done'
  df -h | RELAYLINE_CONTROL=relayline.sock relayline send --chat-id 1234 --stdin
  relayline send --chat-id 1234 --text 'the report' --attach report.pdf
  relayline send --platform discord --scope-id 99 --chat-id 1234 --text 'to a chat that was never seen'
  relayline send --op '{\"op\":\"react\",\"chat_id\":\"1234\",\"message_id\":\"5\",\"emoji\":\"👍\"}'

The gateway runs with run --control. A text that is too long for the platform is sent in parts. With --attach, the text is
the caption of the first file, unless it is long: then it goes first.

The gateway knows the platform and the scope (server or workspace) of each chat in which it has seen a message since its
start. Any other chat needs --platform and --scope-id. A direct message, and a chat of a platform without scopes such as
Telegram, needs --user-id instead of the scope.

It prints the id of each message, one per line; nothing for a platform without ids. With --json it prints the whole result,
and a failure as {\"error\":{\"kind\":…,\"message\":…}}.

Exit codes: 0 sent; 1 not sent, or it may have been sent: the message says which; 2 flags wrong.")]
#[command(group = ArgGroup::new("what").args(["text", "stdin", "attach", "op"]).required(true).multiple(true))]
pub(crate) struct SendArguments {
    #[command(flatten)]
    control: ControlArguments,

    /// Id of the chat.
    #[arg(long, value_name = "ID", allow_hyphen_values = true, required_unless_present = "op")]
    chat_id: Option<String>,

    /// Text to send.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "stdin")]
    text: Option<String>,

    /// Read the text from stdin.
    #[arg(long)]
    stdin: bool,

    /// File to send, after or with the text. Repeatable.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,

    /// Platform of the chat, as in discord.
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,

    /// Server or workspace of the chat.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    scope_id: Option<String>,

    /// User of the chat, if it is a direct message.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    user_id: Option<String>,

    /// Thread of the chat.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    thread_id: Option<String>,

    /// Message to reply to.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    reply_to: Option<String>,

    /// Op to send instead: a JSON object, as an agent writes it. Its result is printed.
    ///
    /// A path in it is relative to the working folder of this command.
    #[arg(long, value_name = "JSON", value_parser = any_op, conflicts_with_all = [
        "chat_id", "text", "stdin", "attach", "platform", "scope_id", "user_id", "thread_id", "reply_to",
    ])]
    op: Option<Map<String, Value>>,

    /// Print the whole result as JSON.
    #[arg(long)]
    json: bool,

    /// Maximum time for everything, as in 90s.
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "60s")]
    timeout: Duration,
}

pub(crate) fn run(arguments: &SendArguments) -> ExitCode {
    let path = match arguments.control.path() {
        Ok(path) => path,
        Err(code) => return code,
    };
    match &arguments.op {
        Some(op) => run_op(&path, op.clone(), arguments),
        None => send(&path, arguments),
    }
}

fn send(path: &Path, arguments: &SendArguments) -> ExitCode {
    let message = match arguments.message() {
        Ok(message) => message,
        Err(why) => return fail(1, format_args!("not sent: {why}")),
    };
    let mut sent = Vec::new();
    let failed = Connection::open(path, arguments.timeout)
        .map_err(SendError::from)
        .and_then(|mut gateway| message.send(&mut gateway, &mut sent))
        .err();
    let printed = sent.iter().try_for_each(|result| arguments.print(result));
    match (failed, printed) {
        (Some(error), _) => report(&error.error, error.text(sent.len()), arguments.json),
        (None, Err(code)) => code,
        (None, Ok(())) => ExitCode::SUCCESS,
    }
}

fn run_op(path: &Path, mut op: Map<String, Value>, arguments: &SendArguments) -> ExitCode {
    if let Some(file) = op.get_mut("path")
        && let Some(relative) = file.as_str()
    {
        match absolute(Path::new(relative)) {
            Ok(absolute) => *file = absolute.into(),
            Err(why) => return fail(1, format_args!("not done: {why}")),
        }
    }
    let result = Connection::open(path, arguments.timeout).and_then(|mut gateway| gateway.ask(op));
    match result {
        Ok(result) => print(result),
        Err(error) => {
            let text = match &error {
                AskError::NotAsked(why) => format!("not done: {why}"),
                AskError::NoAnswer(why) => format!("it may have been done: {why}"),
                AskError::Failed(failure) if failure.kind == "ambiguous" => {
                    format!("it may have been done: {}", failure.message)
                }
                AskError::Failed(failure) => format!("not done ({}): {}", failure.kind, failure.message),
            };
            report(&error, text, arguments.json)
        }
    }
}

/// Prints an error, with `json` also as JSON on stdout.
fn report(error: &AskError, text: String, json: bool) -> ExitCode {
    if json {
        let shown = match error {
            AskError::NotAsked(why) => json!({"kind": "definite", "message": why}),
            AskError::NoAnswer(why) => json!({"kind": "ambiguous", "message": why}),
            AskError::Failed(failure) => match &failure.code {
                Some(code) => json!({"kind": failure.kind, "message": failure.message, "code": code}),
                None => json!({"kind": failure.kind, "message": failure.message}),
            },
        };
        print(json!({ "error": shown }));
    }
    fail(1, text)
}

impl SendArguments {
    /// Reads what is to be sent.
    ///
    /// # Errors
    /// stdin or a file cannot be used, or there is nothing to send.
    fn message(&self) -> Result<Message, String> {
        let text = if self.stdin { read_stdin()? } else { self.text.clone().unwrap_or_default() };
        if text.trim().is_empty() && self.attach.is_empty() {
            return Err("the text is empty".to_owned());
        }
        let files = self.attach.iter().map(|path| attachment(path)).collect::<Result<_, _>>()?;
        Ok(Message {
            chat_id: self.chat_id.clone().unwrap_or_default(),
            text,
            files,
            platform: self.platform.clone(),
            scope_id: self.scope_id.clone(),
            user_id: self.user_id.clone(),
            thread_id: self.thread_id.clone(),
            reply_to: self.reply_to.clone(),
        })
    }

    /// Prints the result of a message: its ids, or all of it.
    fn print(&self, result: &Value) -> Result<(), ExitCode> {
        let print = |line: &dyn std::fmt::Display| match print(line) {
            ExitCode::SUCCESS => Ok(()),
            code => Err(code),
        };
        if self.json {
            return print(result);
        }
        let several = result.get("message_ids").and_then(Value::as_array);
        let ids = several.map_or_else(
            || result.get("message_id").into_iter().collect(),
            |ids| ids.iter().collect::<Vec<_>>(),
        );
        ids.into_iter().filter_map(Value::as_str).try_for_each(|id| print(&id))
    }
}

/// Reads a text, without the newline at its end.
fn read_stdin() -> Result<String, String> {
    let mut text = Vec::new();
    let read = io::stdin().take(MAX_TEXT + 1).read_to_end(&mut text);
    read.map_err(|error| format!("stdin: {error}"))?;
    if text.len() as u64 > MAX_TEXT {
        return Err(format!("the text on stdin is over {} MiB long: send it as a file", MAX_TEXT >> 20));
    }
    let mut text = String::from_utf8(text).map_err(|_| "the text on stdin is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        text.truncate(text.trim_end_matches('\r').len());
    }
    Ok(text)
}

/// Returns the absolute path of a file to attach. The working folder is this command's, not the gateway's.
fn attachment(path: &Path) -> Result<String, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("--attach {}: {what}", path.display());
    let found = std::fs::metadata(path).map_err(|error| wrong(&error))?;
    if !found.is_file() {
        return Err(wrong(&"it is not a regular file"));
    }
    absolute(path)
}

fn absolute(path: &Path) -> Result<String, String> {
    let absolute = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("{}: its path is not UTF-8; name a link to it", path.display()))
}

/// Parses an op.
fn any_op(text: &str) -> Result<Map<String, Value>, String> {
    match json::parse(text) {
        Ok(Value::Object(op)) if op.get("op").is_some_and(Value::is_string) => Ok(op),
        Ok(_) => Err("it is not an op: write {\"op\":\"send\",…}".to_owned()),
        Err(error) => Err(format!("it is not valid JSON: {error}")),
    }
}
