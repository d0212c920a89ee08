//! Tests of every definition: its names, its reader and its writer.

use super::*;
use serde_json::json;
use std::collections::BTreeSet;

/// Returns values of a field's kind, the plainest first.
fn values(field: &Field) -> Vec<Value> {
    match field.kind {
        Kind::Id => vec![json!("7"), json!(-7), json!(u64::MAX)],
        Kind::Text => vec![json!("x"), json!("")],
        Kind::Flag => vec![json!(true), json!(false)],
        Kind::Integer => vec![json!(-7), json!(i64::MAX)],
        Kind::Unsigned => vec![json!(7), json!(u64::MAX)],
        Kind::OneOf(names) => names.iter().map(|name| json!(name)).collect(),
        Kind::Object => vec![json!({"any": {"thing": [1]}}), json!({})],
        Kind::Objects => vec![json!([{"any": 1}, {}]), json!([])],
        Kind::Options => vec![json!([{"id": "a", "label": "A", "style": null}]), json!([])],
    }
}

/// Returns values that none of a field's kinds allows.
fn wrong(field: &Field) -> Vec<Value> {
    let all = [json!("x"), json!(1.5), json!(true), json!({"a": 1}), json!([7]), json!(-1)];
    let fits = |value: &Value| match field.kind {
        Kind::Id => value.is_string() || value.is_i64(),
        Kind::Text => value.is_string(),
        Kind::Flag => value.is_boolean(),
        Kind::Integer => value.is_i64(),
        Kind::Object => value.is_object(),
        Kind::Unsigned | Kind::OneOf(_) | Kind::Objects | Kind::Options => false,
    };
    all.into_iter().filter(|value| !fits(value)).collect()
}

/// Returns the fields that an op needs, including a chat if a delivery could replace it.
fn needed(op: &Definition) -> Map<String, Value> {
    let fields = op.fields.iter().filter(|field| field.required || field.name == "chat_id");
    fields.map(|field| (field.name.to_owned(), values(field).remove(0))).collect()
}

fn read(op: &Definition, fields: &Map<String, Value>) -> Result<Command, String> {
    let mut fields = fields.clone();
    let command = (op.read)(&mut fields)?;
    assert!(fields.is_empty(), "{}: {fields:?} is left", op.name);
    Ok(command)
}

fn all() -> impl Iterator<Item = &'static Definition> {
    OPS.iter().chain(COMMANDS)
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<&str> = all().map(|op| op.name).collect();
    assert_eq!(names.len(), all().count());
    for op in all() {
        let fields: BTreeSet<&str> = op.fields.iter().map(|field| field.name).collect();
        assert_eq!(fields.len(), op.fields.len(), "{}", op.name);
        assert_eq!(definition(op.name).map(|found| found.doc), Some(op.doc));
        assert!(op.doc.len() > 10 && op.fields.iter().all(|field| field.doc.len() > 10), "{}", op.name);
    }
    assert!(definition("dance").is_none());
}

#[test]
fn each_field_is_read_or_refused_by_name() {
    for op in all() {
        let needed = needed(op);
        let least = read(op, &needed).unwrap();
        assert_eq!(least.name(), op.name);
        for field in op.fields {
            let with = |value: Value| {
                let mut fields = needed.clone();
                fields.insert(field.name.to_owned(), value);
                read(op, &fields)
            };
            for value in values(field) {
                assert!(with(value.clone()).is_ok(), "{} {} {value}", op.name, field.name);
            }
            for value in wrong(field) {
                let problem = with(value.clone()).unwrap_err();
                assert!(
                    problem.starts_with(&format!("`{}`: ", field.name)),
                    "{} {value}: {problem}",
                    op.name
                );
            }
            let mut without = needed.clone();
            without.remove(field.name);
            let missing = format!("missing field `{}`", field.name);
            match field.required {
                true => assert_eq!(read(op, &without), Err(missing.clone()), "{}", op.name),
                // A delivery may replace the chat.
                false if field.name == "chat_id" => {}
                false => assert_eq!(read(op, &without).as_ref(), Ok(&least), "{} {}", op.name, field.name),
            }
            // Null counts as absent.
            if needed.contains_key(field.name) {
                assert_eq!(with(Value::Null), read(op, &without), "{} {}", op.name, field.name);
            } else {
                assert_eq!(with(Value::Null).as_ref(), Ok(&least), "{} {}", op.name, field.name);
            }
        }
    }
}

#[test]
fn frames_have_the_fields_of_the_definition_in_its_order() {
    for definition in OPS.iter().filter(|op| op.returns != Returns::Raw) {
        let mut fields = needed(definition);
        for field in definition.fields.iter().filter(|field| field.name != "delivery") {
            fields.insert(field.name.to_owned(), values(field).remove(0));
        }
        // One guard excludes the other (O-17).
        fields.remove("only_if_connector_created");
        let Ok(Command::Op(op)) = read(definition, &fields) else { panic!("{}", definition.name) };
        let mut out = Vec::new();
        let mut action = Object::open(&mut out);
        op.write(&mut action, &Context { chat: None, anchor: Anchor::AsGiven, prompt_id: "p.1" });
        action.close();
        let text = String::from_utf8(out).unwrap();
        let written: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let mut expected = vec!["op"];
        let in_frame = definition.fields.iter().filter(|field| field.in_frame != InFrame::Never);
        expected.extend(in_frame.map(|field| field.name).filter(|name| *name != "only_if_connector_created"));
        let mut found: Vec<&str> = written.keys().map(String::as_str).collect();
        found.sort_by_key(|name| text.find(&format!("\"{name}\":")));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn metadata_of_any_kind_survives() {
    let metadata = json!({"unknown": {"deep": [1, 2.5, null, "x"]}, "n": 12_345_678_901_234_567_u64});
    for definition in OPS.iter().filter(|op| op.fields.iter().any(|field| field.name == "metadata")) {
        let mut fields = needed(definition);
        fields.insert("metadata".to_owned(), metadata.clone());
        let Ok(Command::Op(op)) = read(definition, &fields) else { panic!("{}", definition.name) };
        let mut out = Vec::new();
        let mut action = Object::open(&mut out);
        op.write(&mut action, &Context { chat: None, anchor: Anchor::AsGiven, prompt_id: "p.1" });
        action.close();
        let written: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(written["metadata"], metadata, "{}", definition.name);
    }
}

#[test]
fn an_op_names_its_chat_and_its_platform() {
    for definition in OPS {
        let mut fields = needed(definition);
        let has = |name: &str| definition.fields.iter().any(|field| field.name == name);
        if has("platform") {
            fields.insert("platform".to_owned(), json!("discord"));
        }
        let Ok(Command::Op(op)) = read(definition, &fields) else { panic!("{}", definition.name) };
        assert_eq!(op.platform(), has("platform").then_some("discord"), "{}", definition.name);
        assert_eq!(op.chat_id(), has("chat_id").then_some("7"), "{}", definition.name);
        assert_eq!(Command::Op(op.clone()).chat_id(), op.chat_id(), "{}", definition.name);
    }
}

/// JSON never shortens a text, and ids have their own limit.
#[test]
fn x_1_a_field_that_can_never_be_sent_is_refused_at_once() {
    let limits = Limits { write_queue_bytes: 10_000, ..Limits::default() };
    let mut taken = Vec::new();
    for definition in all() {
        for field in definition.fields.iter().filter(|field| matches!(field.kind, Kind::Text | Kind::Id)) {
            let mut fields = needed(definition);
            fields.insert(field.name.to_owned(), json!("x".repeat(10_001)));
            let command = read(definition, &fields).unwrap();
            if command.check(&limits).is_ok() {
                taken.push(format!("{} {}", definition.name, field.name));
            }
        }
    }
    // A typing sign is never an error (O), names of threads are truncated, and the rest of a stream counts (O-10).
    let named = ["typing chat_id", "typing content", "typing platform"];
    let cut = ["thread_create thread_name", "thread_rename thread_name"];
    assert_eq!(taken, [&named[..], &cut, &["stream text"]].concat());
}
