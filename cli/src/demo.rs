//! `relayline demo`: runs a connector, a gateway and an agent on this machine, and a conversation between them.

mod acp;
mod acp_agent;
mod acp_conversation;
mod agent;
mod conversation;
mod durable;
mod durable_agent;
mod script;
mod stage;
mod transcript;
mod web;

use crate::fail;
use crate::gateway::RuntimeName;
use crate::local_gateway::LocalGateway;
use agent::AgentEvent;
use clap::Args;
use conversation::Conversation;
use relayline_connector::chats::Platform;
use relayline_control::config::GatewayConfig;
use relayline_runtime::Relay;
use script::Step;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// Run a connector, a gateway and an echo agent on this machine, and chat with the agent.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  relayline demo                        chat with the agent; /help lists the commands
  relayline demo --acp                  chat with a scripted ACP agent: its steps, a permission, a growing answer
  relayline demo --acp -- gemini --acp  chat with an installed ACP agent
  relayline demo --web                  chat in a page with a Discord, a Telegram and a Slack
  relayline demo --durable              kill the gateway and the agent in the middle of a turn; the message comes again
  relayline demo < /dev/null            play the built-in conversation
  relayline demo --script FILE          play your own: one step per line, # for comments

Steps of a script: `CHAT: text`, `!press CHAT OPTION`, `!command CHAT NAME`, `!interrupt CHAT`, `!drop`; a CHAT is
discord, telegram, slack or sms.

Exit codes: 0 done; 1 failed; 2 wrong flags.")]
pub(crate) struct DemoArguments {
    /// Play the conversation of this file instead of chatting.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,

    /// Chat with an agent that speaks the Agent Client Protocol (ACP): a scripted one, or that of the command after --.
    ///
    /// The agent runs as with run --acp, in the current folder.
    #[arg(long)]
    acp: bool,

    /// Kill the gateway and its agent in the middle of a turn, and show that a durable queue (run --queue) hands the message out
    /// again.
    #[arg(long, conflicts_with_all = ["acp", "script"])]
    durable: bool,

    /// Chat in a page on this machine, as with relayline dev.
    ///
    /// The URL on stdout has a token that lets one browser in.
    #[arg(long, conflicts_with_all = ["acp", "durable", "script"])]
    web: bool,

    /// Open the page of --web in the browser.
    #[arg(long, requires = "web")]
    open: bool,

    /// Program of an installed ACP agent, with its arguments, after --acp --.
    #[arg(value_name = "CMD", last = true, requires = "acp")]
    command: Vec<String>,

    /// Async runtime that does the socket work.
    #[arg(long, value_enum, default_value_t = RuntimeName::Tokio, value_name = "NAME")]
    runtime: RuntimeName,
}

const GATEWAY: &str = "gw-demo";

pub(crate) use acp_agent::{is_requested as is_acp_agent, run as run_acp_agent};
pub(crate) use durable_agent::{is_requested as is_durable_agent, run as run_durable_agent};

/// Width of the commands in a list of them.
const HELP_WIDTH: usize = 15;

pub(crate) fn run(arguments: &DemoArguments) -> ExitCode {
    if arguments.durable {
        return durable::run(arguments.runtime);
    }
    if arguments.web {
        return web::run(arguments);
    }
    let steps = match &arguments.script {
        Some(file) => match std::fs::read_to_string(file) {
            Ok(text) => Some((file.display().to_string(), text)),
            Err(error) => return fail(1, format_args!("--script {}: {error}", file.display())),
        },
        None if io::stdin().is_terminal() => None,
        None => {
            let built_in = if arguments.acp { acp::built_in(arguments) } else { script::BUILT_IN };
            Some(("the built-in conversation".to_owned(), built_in.to_owned()))
        }
    };
    let steps =
        match steps.map(|(name, text)| script::parse(&text).map_err(|error| format!("{name}:{error}"))) {
            Some(Ok(steps)) => Some(steps),
            Some(Err(error)) => return fail(1, error),
            None => None,
        };
    if arguments.acp {
        return acp::play(arguments, steps);
    }
    let played = play(arguments.runtime, |conversation| match steps {
        Some(steps) => steps.iter().try_for_each(|step| conversation.perform(step)),
        None => chat(conversation, io::stdin().lock().lines()),
    });
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

/// Starts the connector, and enrolls the gateway.
fn enroll_gateway(runtime: RuntimeName) -> Result<LocalGateway, String> {
    let mut platforms = Platform::fakes();
    // Text messages cannot be edited.
    let mut sms = Platform::generic("sms");
    sms.descriptor.insert("supports_edit".to_owned(), false.into());
    platforms.push(sms);
    LocalGateway::start(runtime, GATEWAY, platforms, false)
}

/// A gateway and its agent, on a thread of their own, like a separate process.
struct AgentThread {
    thread: JoinHandle<io::Result<()>>,
    /// The gateway, once it has started.
    relay: Receiver<Relay>,
    events: Receiver<AgentEvent>,
}

impl AgentThread {
    fn start(runtime: RuntimeName, config: GatewayConfig) -> Result<AgentThread, String> {
        let (sender, events) = channel();
        let (relays, relay) = channel();
        let host = move || {
            runtime.host(config, None, |relay, inbox| async move {
                // This fails if the demo has ended already.
                let _ = relays.send(relay.clone());
                agent::serve(relay, inbox, sender).await;
            })
        };
        let thread = std::thread::Builder::new().name("agent".to_owned()).spawn(host);
        Ok(AgentThread { thread: thread.map_err(|error| error.to_string())?, relay, events })
    }
}

fn play(
    runtime: RuntimeName,
    script: impl FnOnce(&mut Conversation) -> Result<(), String>,
) -> Result<(), String> {
    let LocalGateway { connector, config } = enroll_gateway(runtime)?;
    let AgentThread { thread, relay, events } = AgentThread::start(runtime, config)?;
    let Ok(relay) = relay.recv() else {
        let why = thread.join().ok().and_then(Result::err);
        return Err(why.map_or_else(|| "the gateway did not start".to_owned(), |error| error.to_string()));
    };
    let mut conversation = Conversation::new(connector, events, relay.clone());
    let played = conversation.open().and_then(|()| script(&mut conversation));
    smol::block_on(relay.disconnect());
    played.and_then(|()| conversation.close())
}

/// Commands of the chat.
const HELP: [(&str, &str); 12] = [
    ("/chat NAME", "go to another chat: discord, telegram, slack or sms"),
    ("/story", "ask for a long answer"),
    ("/think", "ask for a streamed answer"),
    ("deploy", "be asked a question, with buttons where the chat has them"),
    ("/press OPTION", "answer it: yes or no"),
    ("/command NAME", "a slash command, as in /command status"),
    ("/slow", "begin a long turn"),
    ("/stop", "interrupt it"),
    ("thanks", "get a reaction"),
    ("/drop", "cut the connection"),
    ("/help", "show this list"),
    ("/quit", "leave"),
];

/// Returns the error for an unknown command. It suggests a similar command, if there is one.
fn unknown(command: &str) -> String {
    let known =
        HELP.iter().filter_map(|(text, _)| text.split(' ').next()).filter(|known| known.starts_with('/'));
    let near =
        known.filter(|known| distance(known, command) <= 2).min_by_key(|known| distance(known, command));
    match near {
        Some(near) => format!("there is no {command}: did you mean {near}? /help lists the commands"),
        None => format!(
            "there is no {command}: /help lists the commands, and /command NAME sends a slash command"
        ),
    }
}

/// Returns the edit distance of two words.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, c) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (to, d) in other.iter().enumerate() {
            let cost = diagonal + usize::from(c != *d);
            diagonal = row[to + 1];
            row[to + 1] = cost.min(row[to] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Chats with the agent from a terminal.
fn chat(
    conversation: &mut Conversation,
    lines: impl Iterator<Item = io::Result<String>>,
) -> Result<(), String> {
    conversation.remark("You are in Discord. Say something, or /help.");
    let mut current = script::DemoChat::Discord;
    for line in lines {
        let line = line.map_err(|error| format!("stdin: {error}"))?;
        let line = line.trim();
        let step = match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => continue,
            ("/quit", _) => break,
            ("/help", _) => {
                for (command, what) in HELP {
                    conversation.remark(&format!("{command:<HELP_WIDTH$}{what}"));
                }
                continue;
            }
            ("/chat", name) => {
                match script::DemoChat::named(name) {
                    Some(there) => current = there,
                    None => conversation
                        .remark(&format!("there is no chat {name:?}: discord, telegram, slack or sms")),
                }
                continue;
            }
            ("/stop", _) => Step::Interrupt(current),
            ("/press", option) => Step::Press(current, option.trim().to_owned()),
            ("/command", name) => Step::Command(current, name.trim().trim_start_matches('/').to_owned()),
            ("/drop", _) => Step::Drop,
            (command, _) if command.starts_with('/') && !agent::COMMANDS.contains(&command) => {
                conversation.remark(&unknown(command));
                continue;
            }
            _ => Step::Say(current, line.to_owned()),
        };
        // A mistake does not end the chat.
        match conversation.problem(&step) {
            Some(why) => conversation.remark(&why),
            None => conversation.perform(&step)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn chats(lines: &[&str]) -> Result<(), String> {
        let lines = lines.iter().map(|line| {
            // Roughly the time in which a person notices that the connection is back.
            if let Some(seconds) = line.strip_prefix("wait ").and_then(|seconds| seconds.parse().ok()) {
                std::thread::sleep(Duration::from_secs(seconds));
                return Ok(String::new());
            }
            Ok((*line).to_owned())
        });
        play(RuntimeName::Tokio, |conversation| chat(conversation, lines))
    }

    #[test]
    fn a_mistake_does_not_end_the_chat() {
        let slips = ["/press yes", "/command", "/command /", "/chat irc", "/stop", "deploy", "/press maybe"];
        assert_eq!(chats(&slips), Ok(()));
        let slips =
            ["deploy", "/chat slack", "/press yes", "/chat discord", "/press yes", "/press yes", "hi"];
        assert_eq!(chats(&slips), Ok(()));
        assert_eq!(chats(&["/drop", "/drop", "/stop", "hi", "/command status"]), Ok(()));
        // On a platform without buttons, the question and its answer are texts.
        let on_sms =
            ["/chat sms", "deploy", "/press yes", "1", "1", "deploy", "no", "deploy", "later", "/nonsense"];
        assert_eq!(chats(&on_sms), Ok(()));
    }

    #[test]
    fn an_unknown_command_gets_a_hint() {
        assert_eq!(unknown("/pres"), "there is no /pres: did you mean /press? /help lists the commands");
        assert_eq!(unknown("/exit"), "there is no /exit: did you mean /quit? /help lists the commands");
        let none = "there is no /nonsense: /help lists the commands, and /command NAME sends a slash command";
        assert_eq!(unknown("/nonsense"), none);
        for (a, b, expected) in
            [("", "", 0), ("/a", "/a", 0), ("/stop", "/sotp", 2), ("abc", "", 3), ("", "é", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    /// a message sent after the gateway is back is not buffered, so there is no acknowledgement to wait for.
    #[test]
    fn a_1_the_chat_continues_after_a_cut() {
        assert_eq!(
            chats(&["/drop", "wait 2", "hi", "/drop", "hi at once", "/drop", "/slow", "/stop"]),
            Ok(())
        );
    }
}
