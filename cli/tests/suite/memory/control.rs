//! Clients of a control socket, as many as there may be, each with a flood of another kind.

use super::{FLOOD, Gateway, HELD_BACK, LONG, MIB, can_run, held_back};
use serde_json::json;
use std::io::Write;
use std::os::unix::net::UnixStream;

/// Maximum number of clients by default.
const CLIENTS: usize = 16;

#[test]
fn x_1_clients_of_a_control_socket() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut gateway = Gateway::start(&["--control", path.to_str().unwrap()]);
    let send = |metadata, content: String| json!({"op": "send", "id": "i".repeat(1000), "chat_id": "1", "content": content, "metadata": metadata});
    // No result is read: those of failures wait, too.
    let kinds = [
        format!("{}\n", send(json!({}), "x".repeat(LONG - 2000))),
        format!("{}\n", send(json!({"wide": vec![0; 60_000]}), String::new())),
        format!("{}\n", json!({"op": "status", "id": "i".repeat(1000)})).repeat(100),
        format!("{}\n", json!({"op": "split", "id": 1, "chat_id": "1", "content": "x".repeat(LONG - 2000)})),
        "not an op\n".repeat(1000),
        "x".repeat(LONG),
    ];
    let flood = |line: &String| {
        let (mut client, line) = (UnixStream::connect(&path).unwrap(), line.clone());
        client.set_write_timeout(Some(HELD_BACK)).unwrap();
        std::thread::spawn(move || {
            let times = FLOOD * MIB / CLIENTS / line.len();
            for _ in 0..times {
                match client.write_all(line.as_bytes()) {
                    Ok(()) => {}
                    Err(error) => {
                        assert!(held_back(&error), "{error}");
                        break;
                    }
                }
            }
            client
        })
    };
    let floods: Vec<_> = kinds.iter().cycle().take(CLIENTS).map(flood).collect();
    let clients: Vec<UnixStream> = floods.into_iter().map(|flood| flood.join().unwrap()).collect();
    gateway.stays_small("clients of a control socket");
    drop(clients);
}
