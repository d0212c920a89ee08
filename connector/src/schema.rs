//! JSON Schemas of the development connector's lines, generated from the types that read and write them.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop

use crate::control::{Act, Control};
use crate::observation::{AskedBy, ClosedBy, Observation};
use relayline_schema::{branches, properties, quoted};
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Makes the schema of the connector's instructions.
fn connector_in() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = Contract::Deserialize);
    let mut schema = settings.into_generator().into_root_schema_for::<Act>().to_value();
    schema["title"] = "Development connector, what it can be told".into();
    schema["description"] = "What to do: one JSON object a line.".into();
    let gateway = json!({"description": "The gateway that is meant; without one all of them, or the only one.",
        "type": ["string", "null"]});
    let parts = schema["$defs"].clone();
    for branch in schema["oneOf"].as_array_mut().unwrap() {
        // A reference is closed, so `do` and `gateway` could not be added beside it.
        if let Some(name) = branch.as_object_mut().unwrap().remove("$ref") {
            let part = &parts[name.as_str().unwrap().trim_start_matches("#/$defs/")];
            let fields = part["properties"].as_object().unwrap().clone();
            branch["properties"].as_object_mut().unwrap().extend(fields);
            let required = part.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            branch["required"].as_array_mut().unwrap().extend(required);
        }
        branch["properties"]["gateway"] = gateway.clone();
        branch["additionalProperties"] = false.into();
    }
    schema.as_object_mut().unwrap().remove("$defs");
    schema
}

/// Makes the schema of the connector's observations.
fn connector_out() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = Contract::Serialize);
    let mut schema = settings.into_generator().into_root_schema_for::<Observation>().to_value();
    schema["title"] = "Development connector, what it sees".into();
    schema["description"] =
        "Something that it saw: one JSON object a line, `saw` first. There may be further fields.".into();
    schema
}

#[test]
fn the_connectors_schemas_match_the_code() {
    relayline_schema::check("connector-in.schema.json", &connector_in());
    relayline_schema::check("connector-out.schema.json", &connector_out());
}

fn refused(line: &Value) -> String {
    Control::parse(&line.to_string()).unwrap_err().to_string()
}

#[test]
fn every_instruction_and_field_is_described() {
    let schema = connector_in();
    let all = branches(&schema, "do");
    let names: BTreeSet<String> = all.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, quoted(&refused(&json!({"do": "?"})), "expected").collect());
    for (name, branch) in all {
        let error = refused(&json!({"do": name, "?": 1}));
        let mut taken = BTreeSet::new();
        if error.contains("expected") {
            taken.extend(quoted(&error, "expected"));
        }
        taken.extend(["do".to_owned(), "gateway".to_owned()]);
        assert_eq!(BTreeSet::from_iter(properties(&schema, branch)), taken, "{name}: {error}");
    }
}

/// Compares the schema with the code, field by field, in both directions.
#[test]
fn instructions_are_read_as_described() {
    let schema = connector_in();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let odd = [json!(null), json!("y"), json!(7), json!(-7), json!(1.5), json!(true), json!({}), json!([])];
    let plain = [json!({}), json!("y"), json!(7), json!(true)];
    let agree = |line: &Value| {
        let read = Control::parse(&line.to_string());
        assert_eq!(validator.is_valid(line), read.is_ok(), "{line}: {read:?}");
        read.is_ok()
    };
    for (name, branch) in branches(&schema, "do") {
        let mut line = json!({"do": name});
        let required = branch["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        for field in required.filter(|field| *field != "do") {
            let fits = plain.iter().find(|value| jsonschema::is_valid(&branch["properties"][field], value));
            line[field] = fits.unwrap().clone();
        }
        assert!(agree(&line), "{line}");
        for field in properties(&schema, branch).iter().filter(|field| *field != "do") {
            for value in &odd {
                let mut line = line.clone();
                line[field] = value.clone();
                agree(&line);
            }
            let mut line = line.clone();
            line.as_object_mut().unwrap().remove(field);
            agree(&line);
        }
    }
}

#[test]
fn every_observation_is_described() {
    let validator = jsonschema::validator_for(&connector_out()).unwrap();
    let gateway = || "gw-1".to_owned();
    for observation in [
        Observation::Listening { url: "ws://127.0.0.1:1".into() },
        Observation::Dial { gateway: gateway(), dial: 1, authenticated: true, status: None, error: None },
        Observation::Dial {
            gateway: gateway(),
            dial: 1,
            authenticated: false,
            status: Some(401),
            error: Some("expired"),
        },
        Observation::Frame { gateway: gateway(), dial: 1, frame: json!({"type": "going_idle"}) },
        Observation::Http {
            gateway: gateway(),
            by: AskedBy::Connector,
            method: "POST".into(),
            path: "/".into(),
            status: None,
            error: Some("refused".into()),
            request: Some(json!({})),
            answer: None,
        },
        Observation::Closed {
            gateway: gateway(),
            dial: 1,
            code: None,
            reason: String::new(),
            by: ClosedBy::PeerLost,
        },
    ] {
        let line = serde_json::to_value(&observation).unwrap();
        assert!(validator.is_valid(&line), "{line}");
        let mut without = line.clone();
        without.as_object_mut().unwrap().retain(|name, _| name == "saw");
        assert!(!validator.is_valid(&without), "{without}");
    }
}
