//! Sequences of any inputs of a machine, compared with a model that asserts the invariants (see `Driver`).

use arbitrary::{Result, Unstructured};
use relayline_core::command::Command;
use relayline_core::op::{Field, Interrupt, Kind, OPS, Raw, StreamReply};
use relayline_core::output::Outcome;
use relayline_harness::testing::frames::{DESCRIPTOR, DRAFTS, FRAMES, REQUESTS, handshake};
use relayline_harness::testing::{Driver, Input, small_limits};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Maximum number of inputs, enough for every state.
const MAX_INPUTS: usize = 200;

pub(crate) fn run(data: &[u8]) {
    let mut source = Unstructured::new(data);
    let (Ok(confirm), Ok(up)) = (source.arbitrary(), source.arbitrary::<bool>()) else { return };
    let mut inputs = if up { handshake() } else { Vec::new() };
    while !source.is_empty() && inputs.len() < MAX_INPUTS {
        inputs.extend(input(&mut source));
    }
    let mut config = small_limits();
    config.confirm_revocation = confirm;
    let play = || Driver::play(config.clone(), &inputs);
    let (first, second) = (play(), play());
    assert_eq!(first.outputs, second.outputs, "the same inputs give the same outputs");
    assert_eq!(first.machine.stats(), second.machine.stats());
}

fn input(source: &mut Unstructured<'_>) -> Result<Input> {
    // Selects a dial, mostly the current one.
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
            Input::Request(path, body, source.ratio(7, 8)?)
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
        16 => Input::Settle(
            source.int_in_range(0..=4)?,
            *source.choose(&[Outcome::Accepted, Outcome::Refused])?,
        ),
        17 => Input::Actions,
        18 => Input::Transmit,
        _ => Input::Deliveries(source.int_in_range(0..=3)?),
    })
}

/// Returns a size slightly below or above a power of two, so that limits are reached.
fn size(source: &mut Unstructured<'_>) -> Result<usize> {
    Ok((1_usize << source.int_in_range(0..=14)?) + source.int_in_range(0..=2)? - 1)
}

/// Returns an oversized event: by its text, one of its ids, or its entry's id.
fn oversized_event(source: &mut Unstructured<'_>) -> Result<String> {
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
        return oversized_event(source);
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

/// Returns a text of some length, at times oversized.
fn text(source: &mut Unstructured<'_>) -> Result<String> {
    Ok(match source.ratio(1, 40)? {
        true => "x".repeat(size(source)?),
        false => "x ".repeat(source.int_in_range(0..=150)?),
    })
}

fn chat(source: &mut Unstructured<'_>) -> Result<String> {
    Ok(match source.ratio(1, 40)? {
        true => "c".repeat(size(source)?),
        false => (*source.choose(&["0", "1", "2", ""])?).to_owned(),
    })
}

/// Returns the number of entries of a list: one, or an oversized number.
fn many(source: &mut Unstructured<'_>) -> Result<usize> {
    if source.ratio(1, 8)? { size(source) } else { Ok(1) }
}

/// Returns a value of a field's kind.
fn value(source: &mut Unstructured<'_>, field: &Field) -> Result<Value> {
    Ok(match (field.name, field.kind) {
        ("chat_id", _) => json!(chat(source)?),
        ("platform", _) => json!(source.choose(&["discord", "discord", "matrix"])?),
        ("kind", Kind::Text) => json!("slack.x"),
        (_, Kind::Id | Kind::Text) => json!(text(source)?),
        (_, Kind::Flag) => json!(source.arbitrary::<bool>()?),
        (_, Kind::Integer) => json!(source.arbitrary::<i64>()?),
        (_, Kind::Unsigned) => json!(source.arbitrary::<u16>()?),
        (_, Kind::OneOf(names)) => json!(source.choose(names)?),
        (_, Kind::Object) => json!({}),
        (_, Kind::Objects) => json!(vec![Map::new(); many(source)?]),
        (_, Kind::Options) => (0..many(source)?).map(|n| json!({"id": n.to_string(), "label": ""})).collect(),
    })
}

/// Returns an op with all required and some optional fields.
fn op(source: &mut Unstructured<'_>) -> Result<Command> {
    let op = source.choose(OPS)?;
    let mut fields = Map::new();
    for field in op.fields {
        if field.required || source.ratio(1, 3)? {
            fields.insert(field.name.to_owned(), value(source, field)?);
        }
    }
    // A card without a chat is the only op that cannot be read.
    Ok((op.read)(&mut fields).unwrap_or_else(|_| Raw::new(Map::new()).into()))
}

fn command(source: &mut Unstructured<'_>) -> Result<Command> {
    Ok(match source.int_in_range(0..=19)? {
        0..=12 | 17 => op(source)?,
        13..=15 => {
            let (name, chat_id) = (source.int_in_range(0..=3)?, chat(source)?);
            let platform = source.choose(&[None, None, Some("discord"), Some("matrix")])?;
            let mut state = StreamReply::new(name.to_string(), text(source)?).chat_id(chat_id);
            state.platform = platform.map(str::to_owned);
            Command::from(state.last(source.ratio(2, 5)?).segment(source.arbitrary()?))
        }
        16 => Command::Interrupt(Interrupt::new(chat(source)?)),
        18 => source.choose(&[Command::GoIdle, Command::GoDormant, Command::Resume])?.clone(),
        _ if source.ratio(1, 4)? => Command::Disconnect,
        _ => Command::Hold(Duration::from_millis(source.int_in_range(0..=90_000)?)),
    })
}
