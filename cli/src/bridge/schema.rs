//! JSON Schemas of the bridge's lines, generated from the types that read and write them, and their tests.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop
#![allow(dead_code)] // Only the shape of these types is used.

use super::line::{BridgeLine, Choice, verbatim};
use super::op::{self, OwnOp};
use super::status::GatewayStatus;
use relayline_core::descriptor::Descriptor;
use relayline_core::event::Event;
use relayline_core::op::{COMMANDS, OPS};
use relayline_schema::{branches, properties, quoted};
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A message, as the bridge shows it. Absent fields are left out.
#[derive(JsonSchema)]
pub(super) struct Message {
    text: String,
    /// `text`, `location`, `photo`, `image`, `video`, `audio`, `voice`, `document`, `sticker`, `command` or another.
    message_type: String,
    message_id: Option<String>,
    reply_to_message_id: Option<String>,
    source: Source,
    reply_to: Option<ReplyTo>,
    media: Option<Vec<Media>>,
    /// Surrounding messages as one text, with one line each.
    context: Option<String>,
    /// The connector could not fetch the surrounding messages.
    context_error: Option<True>,
    prompt_response: Option<PromptResponse>,
    /// True for a command, a button or a form: answer it with a `follow_up` of the kind `discord.interaction_token`.
    interaction: Option<True>,
    /// Values chosen from a select menu.
    values: Option<Vec<String>>,
    target: Option<Target>,
    via_authenticated_relay: Option<True>,
}

/// Chat and author of a message.
#[derive(JsonSchema)]
pub(super) struct Source {
    platform: String,
    chat_id: String,
    /// `dm`, `group`, `channel`, `thread`, `forum` or another.
    chat_type: String,
    chat_name: Option<String>,
    user_id: Option<String>,
    user_name: Option<String>,
    user_id_alt: Option<String>,
    chat_id_alt: Option<String>,
    thread_id: Option<String>,
    chat_topic: Option<String>,
    scope_id: Option<String>,
    parent_chat_id: Option<String>,
    message_id: Option<String>,
    profile: Option<String>,
    auto_thread_initial_name: Option<String>,
    prospective_thread_id: Option<String>,
    auto_thread_created: Option<True>,
    is_bot: Option<bool>,
    message_is_edit: Option<bool>,
    one_to_one_verified: Option<bool>,
}

/// The message that this one answers.
#[derive(JsonSchema)]
struct ReplyTo {
    text: Option<String>,
    author: Option<String>,
    is_own: Option<bool>,
}

#[derive(JsonSchema)]
struct Media {
    url: String,
    /// `image`, `voice`, `audio`, `video`, `document` or another.
    kind: Option<String>,
    mime: Option<String>,
    /// Bytes.
    size: Option<u64>,
    filename: Option<String>,
    caption: Option<String>,
    /// Path of the file, which was fetched before (`--queue-media`).
    path: Option<String>,
}

/// Answer to a prompt.
#[derive(JsonSchema)]
struct PromptResponse {
    prompt_id: String,
    option_id: String,
    label: Option<String>,
    prompt_message_id: Option<String>,
}

/// Target of a command of a context menu.
#[derive(JsonSchema)]
struct Target {
    kind: TargetKind,
    id: String,
    name: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum TargetKind {
    User,
    Message,
}

/// Capabilities of a platform. Further fields of the connector are added to these.
#[derive(JsonSchema)]
pub(super) struct Capabilities {
    contract_version: i64,
    platform: String,
    label: String,
    /// In `len_unit`.
    max_message_length: u64,
    len_unit: LenUnit,
    supports_draft_streaming: bool,
    supports_edit: bool,
    supports_threads: bool,
    /// Empty or `plain` means no code blocks.
    markdown_dialect: String,
    emoji: String,
    platform_hint: String,
    pii_safe: bool,
    supports_context: bool,
    supports_inchannel_continuable: bool,
    supports_block_formatting: bool,
    /// Empty means `send`, `edit`, `typing` and `follow_up`.
    supported_ops: Vec<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum LenUnit {
    /// Unicode scalar values.
    Chars,
    /// UTF-16 code units.
    Utf16,
}

/// A platform's HTTP request.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Forward {
    platform: String,
    bot_id: String,
    method: String,
    path: String,
    /// Pairs of name and value.
    headers: Vec<(String, String)>,
    /// Standard base64.
    #[schemars(rename = "bodyB64")]
    body_b64: String,
    profile: Option<String>,
}

/// A switch that is left out if it is off.
struct True;

impl JsonSchema for True {
    fn schema_name() -> Cow<'static, str> {
        "True".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": true })
    }
}

/// Makes the schema of the agent's ops. An op may have an `id`. A field that may be absent may be null, and an id may
/// be an integer.
fn bridge_in() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = Contract::Deserialize);
    let mut schema = settings.into_generator().into_root_schema_for::<OwnOp>().to_value();
    schema["title"] = "Bridge, agent to gateway".into();
    schema["description"] =
        "An op of the agent: one JSON object a line. With an `id` it gets a result.".into();
    let ops = OPS.iter().chain(COMMANDS).map(|op| relayline_schema::given(op, op::extra_fields(op.name)));
    schema["oneOf"].as_array_mut().unwrap().extend(ops);
    for branch in schema["oneOf"].as_array_mut().unwrap() {
        let required: Vec<String> = branch["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        let fields = branch["properties"].as_object_mut().unwrap();
        for (name, field) in fields.iter_mut() {
            if op::is_id(name) {
                widen(field, "integer");
            }
            if !required.contains(name) {
                widen(field, "null");
            }
        }
        fields.insert(
            "id".into(),
            json!({"description": "Names its result. Any JSON value but null, of 1 KiB at most."}),
        );
        branch["additionalProperties"] = false.into();
    }
    // One of two fields is required.
    for (op, one, other) in [
        ("send_media", "source_url", "path"),
        ("stream", "delivery", "chat_id"),
        ("task_card", "delivery", "chat_id"),
        ("task_card_stop", "delivery", "chat_id"),
    ] {
        let is_there =
            |name: &str| json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}});
        let branch = branch_of(&mut schema, op);
        branch["required"].as_array_mut().unwrap().retain(|name| name != one);
        widen(&mut branch["properties"][one], "null");
        branch["anyOf"] = json!([is_there(one), is_there(other)]);
    }
    let to = &mut branch_of(&mut schema, "prompt")["properties"]["to"];
    to["properties"] = json!({
        "platform": {"type": "string", "minLength": 1},
        "chat_id": {"type": ["string", "integer"], "minLength": 1},
        "scope_id": {"type": ["string", "integer", "null"]},
    });
    to["required"] = json!(["platform", "chat_id"]);
    to["additionalProperties"] = false.into();
    let split = branch_of(&mut schema, "split");
    split["properties"]["text"] = json!({"description": "Older name of `content`.", "type": "string"});
    split["required"] = json!(["op", "chat_id"]);
    split["oneOf"] = json!([{"required": ["content"]}, {"required": ["text"]}]);
    schema
}

/// Makes the schema of the lines that the agent reads.
fn bridge_out() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = Contract::Serialize);
    let mut schema = settings.into_generator().into_root_schema_for::<BridgeLine<'static>>().to_value();
    for part in ["Message", "Source", "ReplyTo", "Media", "PromptResponse", "Target", "Forward"] {
        leave_out(&mut schema["$defs"][part]);
    }
    schema["title"] = "Bridge, gateway to agent".into();
    schema["description"] =
        "A line of the bridge: one JSON object, `event` first. There may be further fields.".into();
    schema
}

/// Makes the schema of the result of `status`.
fn status() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = Contract::Serialize);
    let mut schema = settings.into_generator().into_root_schema_for::<GatewayStatus>().to_value();
    schema["title"] = "Status of a gateway".into();
    schema["description"] =
        "Result of the op `status`, and output of `relayline status --json`. There may be further fields."
            .into();
    schema
}

/// Makes optional fields of a part absent when they are empty, not null.
fn leave_out(part: &mut Value) {
    let mut optional = Vec::new();
    for (name, field) in part["properties"].as_object_mut().unwrap() {
        if let Some(types) = field["type"].as_array().filter(|types| types.contains(&json!("null"))) {
            field["type"] = types[0].clone();
            optional.push(name.clone());
        }
        let words = field.get_mut("enum").and_then(Value::as_array_mut);
        if let Some(words) = words.filter(|words| words.contains(&Value::Null)) {
            words.retain(|word| !word.is_null());
            optional.push(name.clone());
        }
        let either =
            field["anyOf"].as_array().filter(|either| either.last() == Some(&json!({"type": "null"})));
        if let Some(one) = either.and_then(|either| either.first().cloned()) {
            field.as_object_mut().unwrap().remove("anyOf");
            field.as_object_mut().unwrap().extend(one.as_object().unwrap().clone());
            optional.push(name.clone());
        }
    }
    part["required"].as_array_mut().unwrap().retain(|name| !optional.iter().any(|known| name == known));
}

fn branch_of<'s>(schema: &'s mut Value, op: &str) -> &'s mut Value {
    let all = schema["oneOf"].as_array_mut().unwrap().iter_mut();
    all.into_iter().find(|branch| branch["properties"]["op"]["const"] == op).unwrap()
}

/// Allows another type for a field, too.
fn widen(field: &mut Value, other: &str) {
    match &mut field["type"] {
        Value::Null => {
            field.as_object_mut().unwrap().remove("type");
            if let Some(reference) = field.as_object_mut().unwrap().remove("$ref") {
                field["anyOf"] = json!([{"$ref": reference}, {"type": other}]);
            }
        }
        Value::Array(types) if types.iter().any(|known| known == other) => {}
        Value::Array(types) => types.push(other.into()),
        known => *known = json!([known.take(), other]),
    }
}

#[test]
fn the_bridges_schemas_match_the_code() {
    relayline_schema::check("bridge-in.schema.json", &bridge_in());
    relayline_schema::check("bridge-out.schema.json", &bridge_out());
    relayline_schema::check("status.schema.json", &status());
}

/// X-3: every op and all of its fields are described, under the names that the code reads.
#[test]
fn x_3_every_op_and_field_is_described() {
    let schema = bridge_in();
    let refused = |line: Value| op::read(line.to_string().as_bytes()).unwrap().asked.unwrap_err();
    let known = refused(json!({"op": "?"}));
    let known: BTreeSet<String> = quoted(&known, "expected").collect();
    let all = branches(&schema, "op");
    assert_eq!(all.iter().map(|(op, _)| (*op).to_owned()).collect::<BTreeSet<_>>(), known);
    for (op, branch) in all {
        let message = refused(json!({"op": op, "?": 1}));
        let mut taken: BTreeSet<String> = quoted(&message, " takes ").collect();
        taken.extend(["op".to_owned(), "id".to_owned()]);
        assert_eq!(BTreeSet::from_iter(properties(&schema, branch)), taken, "{op}");
    }
}

/// Compares the schema with the code, field by field, in both directions.
#[test]
fn x_3_ops_are_read_as_described() {
    let schema = bridge_in();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut count = 0;
    let mut agree = |line: &Value| {
        let asked = op::read(line.to_string().as_bytes()).unwrap().asked;
        assert_eq!(validator.is_valid(line), asked.is_ok(), "{line}: {asked:?}");
        count += 1;
    };
    let full = json!({"chat_id": "1", "content": "x", "delivery": 1, "state": "begin", "message_id": "2",
        "session_key": "k", "kind": "discord.x", "media_kind": "image", "source_url": "https://a.example",
        "options": [{"id": "a", "label": "A"}], "emoji": "x", "thread_name": "n", "draft_id": 1, "chunks": [{}],
        "stream": "s", "text": "t", "platform": "discord", "action": {"op": "x"}, "url": "https://a.example",
        "path": "p"});
    let odd = [json!(null), json!("y"), json!(7), json!(1.5), json!(true), json!({}), json!([]), json!([{}])];
    for (op, branch) in branches(&schema, "op") {
        let mut line = json!({"op": op, "id": {"any": 1}});
        let required = branch["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let either = branch["anyOf"][0]["required"][0].as_str();
        let content = branch["oneOf"][0]["required"][0].as_str();
        for name in required.chain(either).chain(content).filter(|name| *name != "op") {
            line[name] = full[name].clone();
        }
        agree(&line);
        for name in properties(&schema, branch).iter().filter(|name| !["op", "id"].contains(&name.as_str())) {
            // Two fields exclude each other, and some texts must be one of a few words.
            if op == "send_media" && name == "path" || op == "split" && name == "text" {
                continue;
            }
            for value in &odd {
                let mut line = line.clone();
                line[name] = value.clone();
                // The format of a URL is not a matter of types.
                if name != "source_url" || !value.is_string() {
                    agree(&line);
                }
            }
            let mut line = line.clone();
            line.as_object_mut().unwrap().remove(name);
            agree(&line);
        }
    }
    assert!(count > 500, "{count}");
}

/// Compares a message with every field to its form on the bridge.
#[test]
fn every_field_of_a_message_is_described() {
    let schema = bridge_out();
    let texts = [
        "platform",
        "chat_id",
        "chat_type",
        "chat_name",
        "user_id",
        "user_name",
        "thread_id",
        "chat_topic",
        "user_id_alt",
        "chat_id_alt",
        "scope_id",
        "parent_chat_id",
        "message_id",
        "profile",
        "auto_thread_initial_name",
        "prospective_thread_id",
    ];
    let mut source: Map<String, Value> = texts.iter().map(|name| ((*name).to_owned(), json!("x"))).collect();
    for name in ["auto_thread_created", "is_bot", "message_is_edit", "one_to_one_verified"] {
        source.insert(name.to_owned(), true.into());
    }
    let event = json!({"text": "t", "message_type": "text", "message_id": "1", "reply_to_message_id": "2",
        "source": source, "reply_to": {"text": "t", "author": "a", "is_own": true}, "media_urls": ["u"],
        "media": [{"url": "u", "kind": "image", "mime": "m", "size": 1, "filename": "f", "caption": "c"}],
        "context": [{"text": "x"}], "context_error": true,
        "prompt_response": {"prompt_id": "p", "option_id": "o", "label": "l", "prompt_message_id": "m"}});
    let shown = serde_json::to_value(Event::read(&event.to_string()).unwrap()).unwrap();
    // Fields of interactions, and those that the gateway sets, are checked elsewhere.
    let elsewhere = ["interaction", "values", "target", "via_authenticated_relay"];
    for (part, shown, but) in [
        ("Message", &shown, &elsewhere[..]),
        ("Source", &shown["source"], &[]),
        ("ReplyTo", &shown["reply_to"], &[]),
        // The path is that of a file that the queue has fetched.
        ("Media", &shown["media"][0], &["path"]),
        ("PromptResponse", &shown["prompt_response"], &[]),
    ] {
        let described = properties(&schema, &schema["$defs"][part]).into_iter();
        let described: BTreeSet<String> = described.filter(|name| !but.contains(&name.as_str())).collect();
        let shown: BTreeSet<String> = shown.as_object().unwrap().keys().cloned().collect();
        assert_eq!(shown, described, "{part}");
    }
    let descriptor = json!({"contract_version": 1, "platform": "p", "label": "P", "max_message_length": 10,
        "supports_draft_streaming": true, "supports_edit": true, "supports_threads": false, "markdown_dialect": "",
        "len_unit": "utf16"});
    let descriptor = Descriptor::read(&descriptor.to_string()).unwrap();
    let shown: BTreeSet<String> =
        serde_json::to_value(descriptor).unwrap().as_object().unwrap().keys().cloned().collect();
    assert_eq!(shown, BTreeSet::from_iter(properties(&schema, &schema["$defs"]["Capabilities"])));
}

/// Lines that no session of a test has: each is valid, and invalid if one of its fields is missing.
#[test]
fn rare_lines_are_described() {
    let validator = jsonschema::validator_for(&bridge_out()).unwrap();
    let raw = verbatim(Some(r#"{"type":"x"}"#)).unwrap();
    let fatal = relayline_core::output::RELAY_DISABLED;
    let event = Event::read(r#"{"prompt_response":{"prompt_id":"p","option_id":"o"}}"#).unwrap();
    for line in [
        BridgeLine::fatal(&fatal),
        BridgeLine::Frame { kind: "x", raw },
        BridgeLine::StalePrompt { choice: Choice::of(&event) },
        BridgeLine::UnauthorizedAnswer { choice: Choice::of(&event) },
        BridgeLine::Disconnected { code: None, reason: "r", retry_in_ms: None },
        BridgeLine::DeadLetter { reason: "r", buffer_id: None, line: "l" },
        BridgeLine::Invalid { line: "l", message: "m" },
    ] {
        let line: Value = serde_json::from_str(&line.text()).unwrap();
        let fields: BTreeMap<String, Value> = BTreeMap::deserialize(&line).unwrap();
        assert!(validator.is_valid(&line), "{line}");
        for name in fields.keys() {
            let mut without = line.clone();
            without.as_object_mut().unwrap().remove(name);
            assert!(!validator.is_valid(&without), "{without}");
        }
    }
}
