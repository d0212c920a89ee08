//! Conversations as text: who says what where, and what goes wrong meanwhile.

use relayline_connector::chats::{Room, discord, guest, slack, telegram};

/// The conversation that is played when nobody sits at a terminal.
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

/// Where something is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Discord,
    Telegram,
    Slack,
    Sms,
}

impl Place {
    const ALL: [(&'static str, Place); 4] = [
        ("discord", Place::Discord),
        ("telegram", Place::Telegram),
        ("slack", Place::Slack),
        ("sms", Place::Sms),
    ];

    pub(super) fn named(name: &str) -> Option<Place> {
        Place::ALL.iter().find(|(known, _)| *known == name.trim()).map(|(_, place)| *place)
    }

    /// A guild's channel, a forum's topic, a channel's thread, a text message.
    pub(super) fn room(self) -> Room {
        match self {
            Place::Discord => discord::guild_channel(),
            Place::Telegram => telegram::topic(),
            Place::Slack => slack::thread(),
            Place::Sms => guest(),
        }
    }
}

/// One thing that happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Say(Place, String),
    Interrupt(Place),
    /// The option of the question that is open there.
    Press(Place, String),
    /// A slash command, by its name.
    Command(Place, String),
    Drop,
}

/// Reads a conversation; the error begins with the number of its line.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| step(line).map_err(|error| format!("{number}: {error}"))).collect()
}

fn step(line: &str) -> Result<Step, String> {
    let place = |name: &str| {
        Place::named(name)
            .ok_or_else(|| format!("there is no chat {:?}: discord, telegram, slack or sms", name.trim()))
    };
    if line == "!drop" {
        return Ok(Step::Drop);
    }
    if let Some(name) = line.strip_prefix("!interrupt ") {
        return Ok(Step::Interrupt(place(name)?));
    }
    for (word, make) in [("!press ", Step::Press as fn(Place, String) -> Step), ("!command ", Step::Command)]
    {
        if let Some((name, rest)) = line.strip_prefix(word).and_then(|rest| rest.split_once(' ')) {
            return Ok(make(place(name)?, rest.trim().to_owned()));
        }
    }
    match line.split_once(':') {
        Some((name, text)) if !name.starts_with('!') => Ok(Step::Say(place(name)?, text.trim().to_owned())),
        Some(_) | None => Err(format!(
            "{line:?} is no step: write `CHAT: text`, `!press CHAT OPTION`, `!command CHAT NAME`, `!interrupt CHAT` or `!drop`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_are_read_and_errors_name_their_line() {
        assert_eq!(parse(BUILT_IN).map(|steps| steps.len()), Ok(14));
        for (text, expected) in [
            ("slack: a: b", Ok(Step::Say(Place::Slack, "a: b".into()))),
            ("!interrupt telegram", Ok(Step::Interrupt(Place::Telegram))),
            ("!press slack yes", Ok(Step::Press(Place::Slack, "yes".into()))),
            ("!command discord status", Ok(Step::Command(Place::Discord, "status".into()))),
            ("!drop", Ok(Step::Drop)),
            ("# x\n\nirc: hi", Err("3: there is no chat \"irc\": discord, telegram, slack or sms")),
            (
                "hello",
                Err(
                    "1: \"hello\" is no step: write `CHAT: text`, `!press CHAT OPTION`, `!command CHAT NAME`, `!interrupt CHAT` or `!drop`",
                ),
            ),
            (
                "!drop: x",
                Err(
                    "1: \"!drop: x\" is no step: write `CHAT: text`, `!press CHAT OPTION`, `!command CHAT NAME`, `!interrupt CHAT` or `!drop`",
                ),
            ),
        ] {
            let parsed = parse(text).map(|mut steps| steps.remove(0));
            assert_eq!(parsed, expected.map_err(String::from), "{text}");
        }
    }
}
