//! Sequences of whatever can happen to a machine, beside a model that asserts what must hold (see `world`).

use crate::world::frames::{DESCRIPTOR, DRAFTS, FRAMES, REQUESTS, served};
use crate::world::{Input, World};
use arbitrary::{Result, Unstructured};
use relayline_core::command::{
    Card, ChatInfo, Command, Delete, Draft, Edit, FollowUp, Interrupt, Raw, React, Send, SendMedia, Stream,
    TaskCard, TaskCardStop, ThreadCreate, ThreadRename, Typing,
};
use relayline_core::output::Outcome;
use relayline_core::prompts::{Prompt, PromptOption};
use std::time::Duration;

/// Enough for every state; more only takes longer.
const MOST: usize = 200;

pub(crate) fn run(data: &[u8]) {
    let mut source = Unstructured::new(data);
    let (Ok(confirm), Ok(up)) = (source.arbitrary(), source.arbitrary::<bool>()) else { return };
    let mut inputs = if up { served() } else { Vec::new() };
    while !source.is_empty() && inputs.len() < MOST {
        inputs.extend(input(&mut source));
    }
    let (first, second) = (World::played(confirm, &inputs), World::played(confirm, &inputs));
    assert_eq!(first.trace, second.trace, "the same inputs give the same outputs");
    assert_eq!(first.machine.stats(), second.machine.stats());
}

fn input(source: &mut Unstructured<'_>) -> Result<Input> {
    // Which dial is meant: mostly the present one.
    let ago = |source: &mut Unstructured<'_>| Ok(source.arbitrary::<u8>()?.saturating_sub(250));
    Ok(match source.int_in_range(0..=19)? {
        0 => Input::Wait(source.int_in_range(0..=100_000)?),
        1 => Input::Jump(source.arbitrary()?),
        2 => Input::Tick,
        3 => Input::Due,
        4..=7 => {
            let (ago, line, ended) = (ago(source)?, line(source)?, source.ratio(7, 8)?);
            Input::Bytes(
                ago,
                (line + if ended { "\n" } else { "" }).into_bytes(),
                source.int_in_range(0..=400)?,
            )
        }
        8 => Input::Opened(ago(source)?),
        9 => Input::DialFailed(
            ago(source)?,
            *source.choose(&[None, Some(401), Some(503)])?,
            source.choose(&["", r#"{"error":"expired"}"#, r#"{"error":"no"}"#, "{"])?,
        ),
        10 => Input::Closed(
            ago(source)?,
            *source.choose(&[None, Some(1000), Some(4401)])?,
            source.choose(&["", "expired", "going away"])?,
        ),
        11 if source.ratio(3, 4)? => {
            let (path, body) = *source.choose(REQUESTS)?;
            Input::Request(path, body, source.ratio(7, 8)?, source.ratio(7, 8)?)
        }
        11 => Input::Alive(ago(source)?),
        12..=14 => Input::Submit(Box::new(command(source)?)),
        15 => Input::Answer(
            source.int_in_range(0..=3)?,
            source.choose(&[
                r#"{"success":true,"message_id":"m"}"#,
                "{}",
                r#"{"ambiguous":true}"#,
                r#"{"code":"egress_declined"}"#,
            ])?,
        ),
        16 => {
            Input::Settle(source.int_in_range(0..=4)?, *source.choose(&[Outcome::Taken, Outcome::Refused])?)
        }
        17 => Input::Actions,
        18 => Input::Transmit,
        _ => Input::Deliveries(source.int_in_range(0..=3)?),
    })
}

/// A size that some bound may be met by, a little below or above a power of two.
fn size(source: &mut Unstructured<'_>) -> Result<usize> {
    Ok((1_usize << source.int_in_range(0..=14)?) + source.int_in_range(0..=2)? - 1)
}

/// An event of a hostile size: of its text, of one of its ids, or of its entry's.
fn huge(source: &mut Unstructured<'_>) -> Result<String> {
    let mut fields = [String::new(), "1".to_owned(), "0".to_owned(), "u".to_owned(), "b".to_owned()];
    let at = source.choose_index(fields.len())?;
    fields[at] = "h".repeat(size(source)?);
    let [text, id, chat, user, entry] = fields;
    Ok(format!(
        r#"{{"type":"inbound","bufferId":"{entry}","event":{{"text":"{text}","message_id":"{id}","source":{{"platform":"discord","chat_id":"{chat}","user_id":"{user}"}}}}}}"#
    ))
}

fn line(source: &mut Unstructured<'_>) -> Result<String> {
    if source.ratio(1, 12)? {
        return huge(source);
    }
    Ok(match source.int_in_range(0..=5)? {
        0 => DESCRIPTOR.to_owned(),
        1 => DRAFTS.to_owned(),
        2 => (*source.choose(FRAMES)?).to_owned(),
        3 => source.arbitrary::<&str>()?.to_owned(),
        _ => {
            let (id, chat) = (source.int_in_range(0..=5)?, source.int_in_range(0..=2)?);
            let entry = match source.int_in_range(0..=12)? {
                entry @ 0..=7 => format!(r#","bufferId":"{entry}""#),
                _ => String::new(),
            };
            let more = source.choose(&["", r#","message_is_edit":true"#, r#","platform":"slack""#])?;
            format!(
                r#"{{"type":"inbound","event":{{"text":"hello","message_id":"{id}","source":{{"platform":"discord","chat_id":"{chat}","user_id":"u{id}"{more}}}}}{entry}}}"#
            )
        }
    })
}

fn command(source: &mut Unstructured<'_>) -> Result<Command> {
    let chat_id = match source.ratio(1, 40)? {
        true => "c".repeat(size(source)?),
        false => (*source.choose(&["0", "1", "2", ""])?).to_owned(),
    };
    let platform = source.choose(&[None, None, Some("discord"), Some("matrix")])?.map(str::to_owned);
    let content = match source.ratio(1, 40)? {
        true => "x".repeat(size(source)?),
        false => "x ".repeat(source.int_in_range(0..=150)?),
    };
    let message_id = String::from("m");
    Ok(match source.int_in_range(0..=19)? {
        0 | 1 => Command::Send(Send { chat_id, platform, content, ..Send::default() }),
        2 => Command::Edit(Edit { chat_id, platform, content, message_id, ..Edit::default() }),
        3 => Command::Typing(Typing { chat_id, platform, content: Some(content), ..Typing::default() }),
        4 => Command::ChatInfo(ChatInfo { chat_id, platform }),
        5 => Command::Delete(Delete { chat_id, platform, message_id, ..Delete::default() }),
        6 => Command::React(React { chat_id, platform, message_id, ..React::default() }),
        7 => Command::SendMedia(SendMedia { chat_id, platform, caption: content, ..SendMedia::default() }),
        8 => Command::ThreadCreate(ThreadCreate {
            chat_id,
            platform,
            name: content,
            ..ThreadCreate::default()
        }),
        9 => Command::ThreadRename(ThreadRename {
            chat_id,
            platform,
            name: content,
            ..ThreadRename::default()
        }),
        10 => Command::Draft(Draft {
            chat_id,
            platform,
            content,
            last: source.arbitrary()?,
            ..Draft::default()
        }),
        11 => Command::FollowUp(FollowUp {
            session_key: chat_id,
            kind: "slack.x".into(),
            content,
            ..FollowUp::default()
        }),
        12 => {
            let many = if source.ratio(1, 8)? { size(source)? } else { 1 };
            let option = |n: usize| PromptOption { id: n.to_string(), ..PromptOption::default() };
            let options = (0..many).map(option).collect();
            let timeout = source.arbitrary::<Option<u16>>()?.map(|s| Duration::from_secs(s.into()));
            Command::Prompt(Prompt { chat_id, platform, content, options, timeout, ..Prompt::default() })
        }
        13..=15 => Command::Stream(Stream {
            stream: source.int_in_range(0..=3)?.to_string(),
            chat_id,
            platform,
            text: content,
            last: source.ratio(2, 5)?,
            segment: source.arbitrary()?,
            ..Stream::default()
        }),
        16 => Command::Interrupt(Interrupt { session_key: chat_id, reason: platform }),
        17 => match source.int_in_range(0..=2)? {
            0 => Command::Raw(Raw::default()),
            1 => {
                let many = if source.ratio(1, 8)? { size(source)? } else { 1 };
                let card = Card { chat_id, platform, card_id: Some(content), ..Card::default() };
                Command::TaskCard(TaskCard { card, chunks: vec![serde_json::Map::new(); many] })
            }
            _ => Command::TaskCardStop(TaskCardStop { card: Card { chat_id, platform, ..Card::default() } }),
        },
        18 => source.choose(&[Command::GoIdle, Command::GoDormant, Command::Resume])?.clone(),
        _ if source.ratio(1, 4)? => Command::Disconnect,
        _ => Command::Hold(Duration::from_millis(source.int_in_range(0..=90_000)?)),
    })
}
