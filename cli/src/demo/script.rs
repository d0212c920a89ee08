//! Conversations as text: messages of users, and faults in between.

use relayline_connector::chats::{Room, discord, guest, slack, telegram};

/// Conversation that is played when stdin is not a terminal.
pub(super) const BUILT_IN: &str = "\
# A guild on Discord.
discord: Hello 👋 what's the “naïve” plan? 日本語もOK
# An answer that is longer than Telegram's limit, in a forum topic.
telegram: /story Расскажи длинную! 🚀
# A thread on Slack.
slack: Is the release out?
# A question with buttons, and the press of one.
discord: deploy it
!press discord yes
# A slash command, which Discord forwards as an interaction; and a reaction.
!command discord status
slack: thanks!
# An answer that grows: as edits on Discord, as a draft on Telegram, in segments where neither is offered.
discord: /think hard
telegram: /think harder
sms: /think hardest
# A turn that lasts is interrupted half-way.
discord: /slow count to a billion
!interrupt discord
# The connection breaks; what is said meanwhile waits in the connector's buffer.
!drop
slack: Did you get this?
";

/// Conversation with the scripted ACP agent that is played when stdin is not a terminal.
pub(super) const WITH_ACP_AGENT: &str = "\
# A tool call, a permission as buttons, and an answer that grows: on Slack with a task card.
slack: Please deploy 1.4.2
!press slack Allow
# On Discord the steps are a line that is edited. This time the permission is refused.
discord: deploy it
!press discord Reject
# The session on Slack goes on.
slack: thanks!
";

/// Conversation with an installed ACP agent.
pub(super) const WITH_INSTALLED_AGENT: &str = "slack: Hello! What can you do? Answer in one sentence.\n";

/// Chat of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DemoChat {
    Discord,
    Telegram,
    Slack,
    Sms,
}

impl DemoChat {
    const ALL: [(&'static str, DemoChat); 4] = [
        ("discord", DemoChat::Discord),
        ("telegram", DemoChat::Telegram),
        ("slack", DemoChat::Slack),
        ("sms", DemoChat::Sms),
    ];

    pub(super) fn named(name: &str) -> Option<DemoChat> {
        DemoChat::ALL.iter().find(|(known, _)| *known == name.trim()).map(|(_, chat)| *chat)
    }

    /// Returns the chat with this id.
    pub(super) fn of(chat_id: &str) -> Option<DemoChat> {
        DemoChat::ALL.iter().map(|(_, chat)| *chat).find(|chat| chat.room().chat_id == chat_id)
    }

    /// Returns the room: a guild's channel, a forum's topic, a channel's thread, or text messages.
    pub(super) fn room(self) -> Room {
        match self {
            DemoChat::Discord => discord::guild_channel(),
            DemoChat::Telegram => telegram::topic(),
            DemoChat::Slack => slack::thread(),
            DemoChat::Sms => guest(),
        }
    }
}

/// One step of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Say(DemoChat, String),
    Interrupt(DemoChat),
    /// Chooses an option of the question that is open in this chat.
    Press(DemoChat, String),
    /// Sends a slash command, by its name.
    Command(DemoChat, String),
    Drop,
}

/// Parses a conversation. An error begins with the number of its line.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| step(line).map_err(|error| format!("{number}: {error}"))).collect()
}

fn step(line: &str) -> Result<Step, String> {
    let chat = |name: &str| {
        DemoChat::named(name)
            .ok_or_else(|| format!("there is no chat {:?}: discord, telegram, slack or sms", name.trim()))
    };
    if line == "!drop" {
        return Ok(Step::Drop);
    }
    if let Some(name) = line.strip_prefix("!interrupt ") {
        return Ok(Step::Interrupt(chat(name)?));
    }
    for (word, make) in
        [("!press ", Step::Press as fn(DemoChat, String) -> Step), ("!command ", Step::Command)]
    {
        if let Some((name, rest)) = line.strip_prefix(word).and_then(|rest| rest.split_once(' ')) {
            return Ok(make(chat(name)?, rest.trim().to_owned()));
        }
    }
    match line.split_once(':') {
        Some((name, text)) if !name.starts_with('!') => Ok(Step::Say(chat(name)?, text.trim().to_owned())),
        Some(_) | None => Err(format!(
            "{line:?} is not a step: write `CHAT: text`, `!press CHAT OPTION`, `!command CHAT NAME`, `!interrupt CHAT` or `!drop`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_are_read_and_errors_name_their_line() {
        assert_eq!(parse(BUILT_IN).map(|steps| steps.len()), Ok(14));
        assert_eq!(parse(WITH_ACP_AGENT).map(|steps| steps.len()), Ok(5));
        assert_eq!(parse(WITH_INSTALLED_AGENT).map(|steps| steps.len()), Ok(1));
        for (text, expected) in [
            ("slack: a: b", Ok(Step::Say(DemoChat::Slack, "a: b".into()))),
            ("!interrupt telegram", Ok(Step::Interrupt(DemoChat::Telegram))),
            ("!press slack yes", Ok(Step::Press(DemoChat::Slack, "yes".into()))),
            ("!command discord status", Ok(Step::Command(DemoChat::Discord, "status".into()))),
            ("!drop", Ok(Step::Drop)),
            ("# x\n\nirc: hi", Err("3: there is no chat \"irc\": discord, telegram, slack or sms")),
            (
                "hello",
                Err(
                    "1: \"hello\" is not a step: write `CHAT: text`, `!press CHAT OPTION`, `!command CHAT NAME`, `!interrupt CHAT` or `!drop`",
                ),
            ),
            (
                "!drop: x",
                Err(
                    "1: \"!drop: x\" is not a step: write `CHAT: text`, `!press CHAT OPTION`, `!command CHAT NAME`, `!interrupt CHAT` or `!drop`",
                ),
            ),
        ] {
            let parsed = parse(text).map(|mut steps| steps.remove(0));
            assert_eq!(parsed, expected.map_err(String::from), "{text}");
        }
    }
}
