//! The JSON Schema of the frames: generated from the types in `schemas/frames.rs`, committed under `schema/`, and
//! compared with the frames that the core reads and writes, and with every recorded frame.

mod frames;

use frames::Frame;
use jsonschema::Validator;
use relayline_core::command::Command;
use relayline_core::config::{Config, Identity};
use relayline_core::fields;
use relayline_core::line::{Line, LineSplitter};
use relayline_core::op::{Field, Gate, InFrame, Interrupt, Kind, OPS, Returns};
use relayline_core::output::Outcome;
use relayline_harness::recording::{LineContent, Recording};
use relayline_harness::testing::{Driver, Input};
use relayline_schema::{branches, properties};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Makes the schema, with a branch for future frames and ops.
fn schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Frame>();
    let mut schema = schema.to_value();
    let mut types = Vec::new();
    for direction in ["FromGateway", "FromConnector"] {
        let known = branches(&schema["$defs"][direction], "type");
        types.extend(known.into_iter().map(|(name, _)| name.to_owned()));
    }
    let frame = further("type", &types, "A frame of a further type (W-4).");
    schema["anyOf"].as_array_mut().unwrap().push(frame);
    let ops: Vec<String> =
        branches(&schema["$defs"]["Action"], "op").into_iter().map(|(name, _)| name.to_owned()).collect();
    let action = further("op", &ops, "An op that is the host's own (X-3).");
    schema["$defs"]["Action"]["oneOf"].as_array_mut().unwrap().push(action);
    schema
}

/// Makes an object whose name is not one of the known ones.
fn further(tag: &str, known: &[String], description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "properties": { tag: { "type": "string", "not": { "enum": known } } },
        "required": [tag],
    })
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).unwrap()
}

#[track_caller]
fn check(validator: &Validator, frame: &Value, from: &str) {
    let errors: Vec<String> = validator.iter_errors(frame).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{from}: {frame}\n{errors:#?}");
}

#[test]
fn the_schema_of_the_frames_matches_the_code() {
    relayline_schema::check("frames.schema.json", &schema());
}

/// The schema has exactly the fields of the connector's frames that are read.
#[test]
fn every_field_that_is_read_is_described() {
    let schema = schema();
    let sorted = |names: &[&[&str]]| -> BTreeSet<String> {
        names.iter().copied().flatten().map(|name| (*name).to_owned()).collect()
    };
    for (part, read) in [
        ("Capabilities", fields::DESCRIPTOR),
        ("Event", fields::EVENT),
        ("Source", fields::SOURCE),
        ("ReplyTo", fields::REPLY_TO),
        ("PromptResponse", fields::PROMPT_RESPONSE),
        ("Media", fields::MEDIA),
        ("Forward", fields::FORWARD),
        ("Outcome", fields::RESULT),
    ] {
        let described = BTreeSet::from_iter(properties(&schema, &schema["$defs"][part]));
        assert_eq!(described, sorted(read), "{part}");
    }
    let frames = branches(&schema["$defs"]["FromConnector"], "type");
    let frames = frames.into_iter().filter(|(name, _)| *name != "error");
    let described: BTreeSet<String> = frames.flat_map(|(_, frame)| properties(&schema, frame)).collect();
    assert_eq!(described, sorted(fields::FRAME));
}

/// Returns a driver of a machine whose connector offers every op, and that was sent an event.
fn driver() -> Driver {
    let identity = Identity::new("discord", "1");
    let mut config = Config::new(identity);
    config.command_manifest = Some(vec![json!({"name": "ask"})]);
    let mut driver = Driver::new(config);
    let conn = driver.dial();
    driver.open(conn);
    let supported_ops: Vec<&str> = OPS.iter().map(|op| op.name).collect();
    let descriptor = json!({"contract_version": 1, "platform": "discord", "label": "D", "max_message_length": 2000,
        "supports_draft_streaming": true, "supports_edit": true, "supports_threads": true,
        "markdown_dialect": "discord", "len_unit": "chars", "supported_ops": supported_ops});
    driver.line(&json!({"type": "descriptor", "descriptor": descriptor}).to_string());
    driver.line(&json!({"type": "inbound", "bufferId": "b1", "event": {"text": "hi"}}).to_string());
    driver
}

/// Returns every command that is written, with all its fields.
fn commands() -> Vec<Command> {
    let mut commands = vec![
        Command::Interrupt(Interrupt::new("k")),
        Command::Interrupt(Interrupt::new("k").reason("7")),
        Command::GoIdle,
    ];
    for op in OPS.iter().filter(|op| op.returns != Returns::Raw) {
        let needed = |field: &&Field| field.required || field.name == "chat_id";
        let with = |other: Option<(&Field, Value)>| {
            let mut fields: Map<String, Value> = Map::new();
            for field in op.fields.iter().filter(needed) {
                fields.insert(field.name.to_owned(), values(field).remove(0));
            }
            fields.extend(other.map(|(field, value)| (field.name.to_owned(), value)));
            (op.read)(&mut fields).unwrap()
        };
        commands.push(with(None));
        for field in op.fields.iter().filter(|field| field.kind != Kind::Unsigned || field.name != "delivery")
        {
            commands.extend(values(field).into_iter().map(|value| with(Some((field, value)))));
        }
    }
    commands
}

/// Returns values of a field, one of each kind.
fn values(field: &Field) -> Vec<Value> {
    match field.kind {
        Kind::Text if field.name == "platform" => vec![json!("discord")],
        Kind::Id | Kind::Text => vec![json!("7")],
        Kind::Flag => vec![json!(true), json!(false)],
        Kind::Integer => vec![json!(-7)],
        Kind::Unsigned => vec![json!(5)],
        Kind::OneOf(names) => names.iter().map(|name| json!(name)).collect(),
        Kind::Object => vec![json!({"thread_id": "t", "x": {}})],
        Kind::Objects => vec![json!([{}])],
        Kind::Options => {
            vec![json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B", "style": "danger"}])]
        }
    }
}

/// The schema has exactly the fields that a gateway writes.
#[test]
fn every_field_that_is_written_is_described() {
    let (schema, validator) = (schema(), validator());
    let mut driver = driver();
    assert_eq!(driver.last_delivery, 1);
    driver.apply(&Input::Settle(0, Outcome::Accepted));
    for command in commands() {
        driver.apply(&Input::Submit(Box::new(command)));
    }
    driver.drain();
    let frames: Vec<Value> =
        driver.frames_from(0).map(|frame| serde_json::from_str(frame).unwrap()).collect();
    let mut written: BTreeMap<(&str, String), BTreeSet<String>> = BTreeMap::new();
    for frame in &frames {
        check(&validator, frame, "written");
        let parts = [("type", frame), ("op", &frame["action"])];
        for (tag, part) in parts.into_iter().filter(|(_, part)| part.is_object()) {
            let name = part[tag].as_str().unwrap().to_owned();
            written.entry((tag, name)).or_default().extend(part.as_object().unwrap().keys().cloned());
        }
    }
    let described = |tag, part: &str| {
        let all = branches(&schema["$defs"][part], tag).into_iter();
        all.map(|(name, branch)| ((tag, name.to_owned()), properties(&schema, branch).into_iter().collect()))
            .collect::<Vec<_>>()
    };
    let described: BTreeMap<_, BTreeSet<String>> =
        described("type", "FromGateway").into_iter().chain(described("op", "Action")).collect();
    assert_eq!(written, described);
}

fn recordings(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(recordings(&path));
        } else if path.extension().is_some_and(|ending| ending == "jsonl") {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_recorded_frame_is_valid() {
    let validator = validator();
    let mut count = 0;
    for file in recordings(&Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")) {
        let text = std::fs::read(&file).unwrap();
        let recording = Recording::read(&file.display().to_string(), &text).unwrap();
        let mut lines = [LineSplitter::new(1 << 20), LineSplitter::new(1 << 20)];
        for line in &recording.lines {
            let (side, bytes) = match &line.what {
                LineContent::Gateway(data) => (0, data.bytes()),
                LineContent::Connector(data) => (1, data.bytes()),
                LineContent::Connect { .. } => {
                    lines.iter_mut().for_each(LineSplitter::reset);
                    continue;
                }
                _ => continue,
            };
            let mut rest = bytes;
            while let Some(found) = lines[side].next(&mut rest) {
                let Line::Whole(found) = found else { continue };
                // A line that is not an object is skipped (W-2, W-3).
                let Ok(frame @ Value::Object(_)) = serde_json::from_slice(found) else { continue };
                check(&validator, &frame, &file.display().to_string());
                count += 1;
            }
        }
    }
    assert!(count > 200, "{count} frames");
}

#[test]
fn invalid_frames_do_not_match_the_schema() {
    let validator = validator();
    let descriptor = json!({"contract_version": "1", "platform": "p", "label": "P", "max_message_length": null,
        "supports_draft_streaming": true, "supports_edit": true, "supports_threads": true,
        "markdown_dialect": "", "len_unit": "chars", "new": 1});
    let mut without = descriptor.clone();
    without.as_object_mut().unwrap().remove("supports_edit");
    for (frame, is_valid) in [
        (json!({"type": "descriptor", "descriptor": descriptor, "v": 2}), true),
        (json!({"type": "descriptor", "descriptor": without}), false),
        (json!({"type": "descriptor"}), false),
        (json!({"type": "presence", "descriptor": 7}), true),
        (json!({"type": 7}), false),
        (json!([]), false),
        (json!({"type": "inbound", "event": {"new": [], "source": {"chat_id": -7, "user_id": null}}}), true),
        (json!({"type": "inbound", "event": {"source": {"chat_id": 1.5}}}), false),
        (json!({"type": "inbound", "event": {"text": 7}}), false),
        (json!({"type": "inbound"}), false),
        (json!({"type": "outbound_result", "requestId": "r"}), true),
        (json!({"type": "outbound_result", "requestId": "r", "result": {"success": "true"}}), false),
        (json!({"type": "going_idle_ack"}), true),
        (json!({"type": "inbound_ack"}), false),
        (json!({"type": "outbound", "requestId": "r", "action": {"op": "poll", "x": 1}}), true),
        (json!({"type": "outbound", "requestId": "r", "action": {"op": "send", "chat_id": "1"}}), false),
        (json!({"type": "outbound", "requestId": "r", "action": {}}), false),
        (json!({"type": "interrupt", "session_key": "k"}), false),
        (json!({"type": "error", "error": {"message": "x"}}), true),
    ] {
        assert_eq!(validator.is_valid(&frame), is_valid, "{frame}");
    }
}

/// The table of ops in PROTOCOL.md has each op with its fields and its gate.
#[test]
fn the_protocols_table_of_ops_matches_the_code() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../PROTOCOL.md")).unwrap();
    let (_, table) = text.split_once("\n| op | fields").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let rows: BTreeMap<&str, Vec<&str>> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| `"))
        .map(|row| row.split_once("` | ").unwrap())
        .map(|(name, cells)| (name, cells.split(" | ").collect()))
        .collect();
    let ops = OPS.iter().filter(|op| op.returns != Returns::Raw);
    assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), ops.clone().map(|op| op.name).collect());
    for op in ops {
        let [fields, result, gate] = rows[op.name][..] else { panic!("{}: {:?}", op.name, rows[op.name]) };
        let written = op.fields.iter().filter(|field| field.in_frame != InFrame::Never);
        for field in written.filter(|field| !["chat_id", "metadata"].contains(&field.name)) {
            let (plain, list) = (format!("`{}`", field.name), format!("`{} [", field.name));
            assert!(fields.contains(&plain) || fields.contains(&list), "{}: no {plain}", op.name);
        }
        let gates: &[&str] = match op.gate {
            Gate::Always => &[],
            Gate::Edits => &["`supports_edit`"],
            Gate::Named => &["named"],
            Gate::NamedDrafts => &["named", "`supports_draft_streaming`"],
            Gate::TaskCards => &["`task_card` named"],
        };
        assert!(gates.iter().all(|part| gate.contains(part)), "{}: {gate}", op.name);
        let expected = match op.returns {
            Returns::Message | Returns::Prompt => "`message_id`",
            Returns::Thread => "`thread_id`",
            Returns::ChatInfo => "`chat_info",
            Returns::Nothing | Returns::NeverFails | Returns::Written | Returns::Raw => "–",
        };
        assert!(result.contains(expected) || op.name == "typing", "{}: {result}", op.name);
    }
}
