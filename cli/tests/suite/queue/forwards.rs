//! Forwarded platform requests (`--passthrough`) with a queue.

use super::Stage;
use relayline_connector::Act;
use serde_json::{Map, Value, json};

on_one_runtime! {
    p_2_a_forward_survives_kill_9_of_the_gateway
}

fn forward(path: &str) -> Map<String, Value> {
    let forward = json!({
        "platform": "twilio", "botId": "t1", "method": "POST", "path": path, "headers": [["B", "2"], ["a", "1"]],
        "bodyB64": "aGk=",
    });
    forward.as_object().unwrap().clone()
}

fn p_2_a_forward_survives_kill_9_of_the_gateway(runtime: &str) {
    let stage = Stage::new(runtime);
    let flags = ["--passthrough"];
    let mut agent = stage.gateway(&flags);
    let deliver = |path: &str, is_buffered| {
        let act = Act::Passthrough { forward: forward(path), buffered: Some(is_buffered) };
        stage.connector.control(act).unwrap();
    };
    deliver("/first", true);
    let first = agent.event("passthrough");
    assert_eq!(first["forward"], Value::Object(forward("/first")));
    assert_eq!(
        [&first["buffered"], &first["attempt"], &first["redelivered"]],
        [&json!(true), &json!(1), &json!(false)]
    );
    // It is stored before it is acknowledged, and before the agent has settled it.
    stage.sees("inbound_ack");
    // A live one is stored, too.
    deliver("/second", false);
    let second = agent.event("passthrough");
    assert_eq!(second["forward"]["path"], "/second");
    agent.does(json!({"op": "ack", "delivery": first["delivery"]}));
    agent.kill();
    let [entry] = &stage.listed(&["list", "--text"])[..] else { panic!("one entry") };
    assert_eq!(
        (&entry["state"], &entry["session"]),
        (&json!("out"), &json!("passthrough:twilio")),
        "{entry}"
    );
    let mut agent = stage.gateway(&flags);
    let again = agent.event("passthrough");
    assert_eq!(again["forward"], second["forward"]);
    assert_eq!(
        [&again["buffered"], &again["attempt"], &again["redelivered"]],
        [&json!(true), &json!(2), &json!(true)]
    );
    agent.says(json!({"op": "refuse", "delivery": again["delivery"]}));
    let again = agent.event("passthrough");
    assert_eq!(again["attempt"], 3);
    agent.does(json!({"op": "ack", "delivery": again["delivery"]}));
    assert!(stage.listed(&["list"]).is_empty());
}
