//! Clients that flood, never read, write garbage or are too many. None of them holds up the agent.

use super::{Client, Place, counter};
use crate::bridging::Bridge;
use relayline_connector::Act;
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

on_one_runtime! {
    garbage_is_answered_and_counted a_flood_does_not_hold_up_the_agent,
    x_1_a_client_that_never_reads_is_disconnected x_1_an_overlong_line_is_discarded,
    x_1_clients_beyond_the_limit_are_turned_away an_idle_client_makes_room,
    x_1_a_client_leaves_room_for_the_agent x_1_large_ops_of_a_client_go_one_by_one,
}

/// Asserts that the agent's ops still have their results.
#[track_caller]
fn the_agent_goes_on(bridge: &mut Bridge) {
    for n in 0..10 {
        let result = bridge.ask(json!({"op": "send", "chat_id": "agent", "content": n.to_string()}));
        assert!(result["message_id"].is_string(), "{result}");
    }
}

fn garbage_is_answered_and_counted(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    let mut client = place.client();
    let garbage: [&[u8]; 6] =
        [b"\xff\xfe\n", b"{\"op\":\n", b"[]\n", b"\x00\x01\x02\n", b"null\n", b"}{}{\n"];
    for line in garbage {
        client.stream.write_all(line).unwrap();
        assert_eq!(client.next().unwrap()["event"], "invalid");
    }
    // Answers are never answered, and blank lines are skipped.
    client.stream.write_all(b"\n  \r\n{\"event\":\"invalid\",\"line\":\"\",\"message\":\"\"}\n").unwrap();
    assert_eq!(counter(&client.status(), "invalid_lines"), 7);
    // The log has no line of it: it could be flooded.
    assert!(!bridge.program.log().contains("invalid"), "{}", bridge.program.log());
    the_agent_goes_on(&mut bridge);
}

fn a_flood_does_not_hold_up_the_agent(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &["--set", "max_in_flight=8"]);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let floods: Vec<_> = ["send", "status", "dance"]
        .into_iter()
        .map(|op| {
            let (mut client, stop) = (place.client(), stop.clone());
            std::thread::spawn(move || {
                let line = match op {
                    "send" => json!({"op": op, "chat_id": "flood", "content": "x".repeat(2000), "id": 1}),
                    op => json!({"op": op, "id": 1}),
                };
                let mut lines = client.lines.into_inner();
                let drain = std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
                let mut written = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    written += usize::from(client.stream.write_all(format!("{line}\n").as_bytes()).is_ok());
                }
                client.stream.shutdown(std::net::Shutdown::Both).unwrap();
                drain.join().unwrap().unwrap_or_default();
                written
            })
        })
        .collect();
    let mut watcher = place.client();
    watcher.waits_for(|status| status["counters"]["frames_out"].as_u64() > Some(100));
    the_agent_goes_on(&mut bridge);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let written: Vec<usize> = floods.into_iter().map(|flood| flood.join().unwrap()).collect();
    assert!(written.iter().all(|count| *count > 100), "{written:?}");
    assert_eq!(watcher.waits_for(|status| status["control"]["clients"]["used"] == 1)["phase"], "connected");
}

/// Of the requests in flight, a client has only a part, however many ops it writes.
fn x_1_a_client_leaves_room_for_the_agent(runtime: &str) {
    let place = Place::new();
    let bridge = place.start(runtime, &["--set", "max_in_flight=64", "--set", "control_clients=4"]);
    bridge.tell(Act::Mute { on: true });
    let (mut client, mut watcher) = (place.client(), place.client());
    for n in 0..100 {
        client.say(&json!({"op": "send", "id": n, "chat_id": "7", "content": n.to_string()}));
    }
    // Half of 64, divided by four.
    watcher.waits_for(|status| status["queues"]["requests"]["used"] == 8);
    for _ in 0..20 {
        assert_eq!(watcher.status()["queues"]["requests"]["used"], 8);
    }
    bridge.tell(Act::Drop);
    let mut ids: Vec<u64> = (0..100).map(|_| client.next().unwrap()["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
}

fn x_1_large_ops_of_a_client_go_one_by_one(runtime: &str) {
    let place = Place::new();
    let bridge = place.start(runtime, &[]);
    bridge.tell(Act::Mute { on: true });
    let (mut client, mut watcher) = (place.client(), place.client());
    let large = "x".repeat(100 << 10);
    for n in 0..3 {
        client.say(&json!({"op": "send", "id": n, "chat_id": "7", "content": large}));
    }
    watcher.waits_for(|status| status["queues"]["requests"]["used"] == 1);
    for _ in 0..20 {
        assert_eq!(watcher.status()["queues"]["requests"]["used"], 1);
    }
}

fn x_1_a_client_that_never_reads_is_disconnected(runtime: &str) {
    let place = Place::new();
    let limits = ["--set", "control_read_timeout=300ms", "--set", "control_result_bytes=64KiB"];
    let mut bridge = place.start(runtime, &limits);
    let mut client = place.client();
    client.stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    // Far more results than the socket and the limits take.
    let line = format!("{}\n", json!({"op": "status", "id": 1}));
    let end = loop {
        match client.stream.write_all(line.as_bytes()) {
            Ok(()) => {}
            Err(error) => break error.kind(),
        }
    };
    assert!([ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&end), "{end:?}");
    let status = place.client().waits_for(|status| counter(status, "clients_timed_out") == 1);
    assert!(counter(&status, "results_dropped") > 0, "{status}");
    the_agent_goes_on(&mut bridge);
}

fn x_1_an_overlong_line_is_discarded(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &["--set", "control_line_bytes=2000"]);
    let mut client = place.client();
    client.stream.write_all(&[vec![b'x'; 100_000], b"\n".to_vec()].concat()).unwrap();
    let line = client.next().unwrap();
    assert!(line["message"].as_str().unwrap().contains("over 2000 bytes"), "{line}");
    let status = client.status();
    assert_eq!((counter(&status, "overlong_lines"), counter(&status, "invalid_lines")), (1, 1));
    the_agent_goes_on(&mut bridge);
}

/// Returns the message with which a client was turned away.
#[track_caller]
fn turned_away(mut client: Client) -> String {
    let line = client.next().unwrap();
    assert_eq!((&line["event"], client.next()), (&json!("invalid"), None));
    line["message"].as_str().unwrap().to_owned()
}

fn x_1_clients_beyond_the_limit_are_turned_away(runtime: &str) {
    let place = Place::new();
    let bridge = place.start(runtime, &["--set", "control_clients=2"]);
    bridge.tell(Act::Mute { on: true });
    let mut busy: Vec<Client> = (0..2).map(|_| place.client()).collect();
    for client in &mut busy {
        client.say(&json!({"op": "send", "id": 1, "chat_id": "7", "content": "x"}));
        bridge.sees();
    }
    let why = turned_away(place.client());
    assert!(why.contains("2 clients are connected") && why.contains("control_clients"), "{why}");
    // Both have their results at the end, and the third is counted.
    let status = busy[0].ask_beside(&json!({"op": "status"}));
    assert_eq!(counter(&status, "clients_turned_away"), 1);
    assert_eq!(status["control"]["clients"], json!({"used": 2, "limit": 2}));
}

fn an_idle_client_makes_room(runtime: &str) {
    let place = Place::new();
    let _bridge = place.start(runtime, &["--set", "control_clients=2"]);
    let (mut idle, mut newer) = (place.client(), place.client());
    assert_eq!(newer.status()["control"]["clients"]["used"], 2);
    // A client that came just now may be about to write.
    let began = Instant::now();
    let mut later = loop {
        let mut client = place.client();
        // It may have been turned away already.
        let _ = client.stream.write_all(b"{\"op\":\"status\",\"id\":1}\n");
        match client.next() {
            Some(line) if line["event"] == "result" => break client,
            Some(_) | None => assert!(began.elapsed() < crate::support::SOON),
        }
        newer.status();
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(idle.next(), None);
    let status = later.status();
    assert_eq!(counter(&status, "clients_closed"), 1);
    assert_eq!(newer.status()["control"]["clients"]["used"], 2);
}

impl Client {
    /// Asks beside ops that have no result yet.
    #[track_caller]
    fn ask_beside(&mut self, op: &Value) -> Value {
        self.ask(op)["result"].take()
    }
}
