//! E-1, W-3: any JSON value in any field of any recorded frame causes no panic. An event survives a bad value in one of
//! its fields, unless no event is left.

use proptest::prelude::*;
use relayline_core::config::{Config, Identity};
use relayline_core::output::{Content, Delivery};
use relayline_harness::testing::{Driver, Output};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Every complete frame of a connector in a recording, and one event with every field.
static FRAMES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    let mut frames = vec![json!({"type": "inbound", "bufferId": "b", "event": {
        "text": "t", "message_type": "photo", "message_id": "1", "reply_to_message_id": "0",
        "media_urls": ["u"], "media": [{"url": "u", "kind": "image", "mime": "m", "size": 1, "filename": "f", "caption": "c"}],
        "reply_to": {"text": "t", "author": "a", "is_own": true}, "context_error": true,
        "context": [{"text": "x", "source": {"user_name": "n", "user_id": "i"}}],
        "source": {"platform": "slack", "chat_id": "c", "is_bot": true, "thread_id": "t", "scope_id": "s"}}})];
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["dir"] == "connector" {
                let data = line["data"].as_str().unwrap_or_default();
                frames.extend(data.lines().filter_map(|frame| serde_json::from_str(frame).ok()));
            }
        }
    }
    frames
});

/// Adds the places in a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                places(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("dm")),
        Just(json!(0)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Takes all outputs, and returns the delivery among them.
fn last_delivery(driver: &mut Driver) -> Option<Delivery> {
    driver.take().into_iter().rev().find_map(|output| match output {
        Output::Delivery(delivery) => Some(delivery),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn e_1_any_value_in_any_field_costs_at_most_that_field(
        frame in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..4),
    ) {
        let mut frame = FRAMES[frame.index(FRAMES.len())].clone();
        for (place, value) in changes {
            let mut all = Vec::new();
            places(&frame, "", &mut all);
            let place = &all[place.index(all.len())];
            *frame.pointer_mut(place).unwrap() = value;
        }
        let identity = Identity::new("discord", "1");
        let mut config = Config::new(identity);
        config.passthrough = true;
        let mut driver = Driver::connected(config);
        driver.line(&frame.to_string());
        let delivery = last_delivery(&mut driver);
        if frame["type"] == "inbound" && frame["event"].is_object() {
            let is_answer = |response: &Value| response["prompt_id"].is_string() && response["option_id"].is_string();
            let silent = is_answer(&frame["event"]["prompt_response"]);
            let survives = matches!(delivery, Some(delivery) if matches!(delivery.content, Content::Message(_)));
            prop_assert_eq!(survives, !silent, "{}", frame);
        }
        // The next message is delivered in any case.
        let next = "{\"type\":\"inbound\",\"event\":{\"text\":\"next\",\"source\":{\"chat_id\":\"elsewhere\"}}}";
        driver.line(next);
        let delivery = last_delivery(&mut driver);
        let came = matches!(&delivery, Some(delivery) if matches!(&delivery.content, Content::Message(event) if event.text == "next"));
        prop_assert!(came, "{:?}", delivery);
    }
}
