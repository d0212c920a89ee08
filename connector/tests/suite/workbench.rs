//! Tests of the parts for a workbench: observed output, lost connections, ids and files of users.

use crate::bench::{A, B, Bench};
use relayline_connector::{Act, ConnectorConfig, UserFile};
use serde_json::{Value, json};

fn observing() -> Bench {
    let mut bench = Bench::new(ConnectorConfig::default().observes_output(true));
    bench.connect(A);
    bench.saws();
    bench
}

#[test]
fn results_and_sent_frames_are_observed_where_wanted() {
    let send = json!({"op": "send", "chat_id": "1", "content": "hi"});
    let mut bench = observing();
    bench.request(A, "r", send.clone());
    let seen = bench.saws();
    let kinds: Vec<&Value> = seen.iter().map(|seen| &seen["saw"]).collect();
    assert_eq!(kinds, ["frame", "answered", "sent"]);
    assert_eq!((&seen[1]["request_id"], &seen[1]["result"]["success"]), (&json!("r"), &json!(true)));
    assert_eq!(seen[1]["result"], seen[2]["frame"]["result"]);
    bench.does(Act::Raw { text: "no JSON\n".to_owned() });
    assert_eq!(bench.saws()[0]["frame"], "no JSON\n");
    // A result is observed once it is known, and the frame when it is sent.
    bench.does(Act::Delay { op: "send".to_owned(), ms: 50 });
    bench.request(A, "s", send.clone());
    assert_eq!(
        bench.saws().iter().map(|seen| seen["saw"].clone()).collect::<Vec<_>>(),
        ["frame", "answered"]
    );
    bench.passes(50);
    assert_eq!(bench.saws()[0]["saw"], "sent");
    let mut bench = Bench::live();
    bench.saws();
    bench.request(A, "r", send);
    assert_eq!(bench.saws().len(), 1, "by default only the frame is");
}

#[test]
fn a_lost_connection_stays_open_and_carries_nothing() {
    let mut bench = observing();
    bench.does(Act::HalfOpen);
    assert!(bench.machine.is_half_open(A) && !bench.machine.is_over(A));
    bench.request(A, "r", json!({"op": "send", "chat_id": "1", "content": "hi"}));
    bench.inject("lost");
    assert_eq!((bench.written().len(), bench.saws().len()), (0, 1), "only the attempt to send is observed");
    // The next dial is served, and the lost connection ends without a close frame.
    bench.dial(B);
    assert_eq!(bench.written(), [(A, json!("drop"))]);
    bench.says(B, json!({"type": "hello", "platform": "discord", "botId": ""}));
    assert_eq!(bench.written()[0].1["type"], "descriptor");
    bench.inject("found");
    assert!(bench.machine.is_over(A) && !bench.machine.is_half_open(B));
    assert_eq!(bench.delivered()[0].0, "found");
}

#[test]
fn l_15_ids_of_users_and_gateways_differ() {
    let mut bench = observing();
    let mut ids: Vec<String> = (0..3).map(|_| bench.machine.message_id(bench.now, "discord")).collect();
    bench.request(A, "r", json!({"op": "send", "chat_id": "1", "content": "hi"}));
    let seen = bench.saws();
    ids.push(seen[1]["result"]["message_id"].as_str().unwrap().to_owned());
    ids.push(bench.machine.message_id(bench.now, "discord"));
    let all = ids.len();
    ids.dedup();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn h_7_files_of_users_are_kept_as_those_of_gateways() {
    let mut bench = observing();
    let file = UserFile {
        content_type: "text/plain".to_owned(),
        name: Some("notes.txt".to_owned()),
        content: "hello".into(),
    };
    let id = bench.machine.add_file(bench.now, "", file.clone()).unwrap();
    assert_eq!(bench.machine.file(bench.now, "", &id), Some(file.clone()));
    assert_eq!(bench.machine.file(bench.now, "other", &id), None);
    assert_eq!(bench.machine.file(bench.now, "", "0"), None);
    let large = vec![0; bench.machine.limits().media_file_bytes + 1];
    assert_eq!(
        bench.machine.add_file(bench.now, "", UserFile { content: large.into(), ..file.clone() }),
        None
    );
    assert!(!format!("{file:?}").contains("hello"), "its content is not for logs");
    bench.passes(3_600_000);
    assert_eq!(bench.machine.file(bench.now, "", &id), None, "it has expired");
}
