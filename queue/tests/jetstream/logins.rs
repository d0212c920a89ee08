//! Servers that cannot be used, and users with as few rights as possible.

use super::servers::{Server, program};
use super::{acquire, new_id, open, url};
use relayline_queue::config::QueueLimits;
use relayline_queue::jetstream::{FleetBus, FleetSubject, JetStreamError, JetStreamQueue};
use relayline_queue::store::StoreAnswer;
use relayline_queue::store::contract::{batch, load, write};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

fn error(text: &str) -> JetStreamError {
    JetStreamQueue::connect(&url(text), &new_id(), "test").map(|_| ()).unwrap_err()
}

#[test]
fn wrong_credentials_are_refused() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "authorization { user: gateway, password: hunter2 }");
    let address = server.address();
    for login in ["", "gateway:wrong@", "token@"] {
        let error = error(&format!("nats://{login}{address}"));
        assert!(matches!(&error, JetStreamError::Refused { servers } if *servers == address), "{error:?}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    let queue = open(&url(&format!("nats://gateway:hunter2@{address}")), &new_id());
    assert_eq!(queue.server().unwrap().0, "one");
    let file = tempfile::NamedTempFile::new().unwrap();
    let with_file = format!("nats://{address}?login={}", file.path().display());
    let empty = error(&with_file);
    assert!(matches!(empty, JetStreamError::LoginFile { .. }), "{empty}");
    std::fs::write(file.path(), "gateway:hunter2\n").unwrap();
    assert!(JetStreamQueue::connect(&url(&with_file), &new_id(), "test").is_ok());
}

/// The server proves who it is by a certificate of the test's own authority, and so does the client.
#[test]
fn both_sides_have_certificates() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut authority = rcgen::CertificateParams::new([]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&authority_key).unwrap();
    std::fs::write(path("ca.pem"), certificate.pem()).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    for (name, host) in [("server", "127.0.0.1"), ("client", "gateway")] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    let config = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let server = Server::start(&program, &config);
    let address = server.address();
    let certificates =
        format!("ca={}&cert={}&key={}", path("ca.pem"), path("client.pem"), path("client.key"));
    let queue = open(&url(&format!("tls://{address}/relay?{certificates}")), &new_id());
    assert_eq!(queue.streams().unwrap().len(), 3);
    for wrong in ["", &format!("ca={}", path("ca.pem"))] {
        let error = error(&format!("tls://{address}/relay?{wrong}"));
        assert!(matches!(error, JetStreamError::Unreachable { .. }), "{error:?}");
    }
}

#[test]
fn an_old_server_is_refused_by_its_version() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let info = r#"{"server_id":"x","server_name":"old","version":"2.9.10","go":"go1","host":"127.0.0.1","port":1,"headers":true,"max_payload":1048576,"proto":1,"jetstream":true}"#;
            let _ = write!(client, "INFO {info}\r\nPONG\r\n");
            // It stays open until the client closes it.
            std::thread::spawn(move || std::io::copy(&mut client, &mut std::io::sink()));
        }
    });
    let error = error(&format!("nats://127.0.0.1:{port}"));
    assert!(matches!(&error, JetStreamError::TooOld { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the server old has version 2.9.10, and the queue needs 2.12 or newer: update it"
    );
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let error = error(&format!("nats://user:hunter2@127.0.0.1:{port}"));
    assert!(matches!(error, JetStreamError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_server_without_jetstream_is_explained() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "# without jetstream\n");
    let error = error(&format!("nats://{}", server.address()));
    assert!(matches!(error, JetStreamError::NoJetStream(_)), "{error:?}");
}

#[test]
fn a_queue_that_is_not_there_is_named() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let queue =
        JetStreamQueue::connect(&url(&format!("nats://{}", server.address())), &new_id(), "test").unwrap();
    assert!(matches!(queue.streams(), Err(JetStreamError::Missing)));
}

/// Returns the block of `docs/fleet.md` that follows this text.
fn block(before: &str) -> &'static str {
    let (_, rest) = include_str!("../../../docs/fleet.md").split_once(before).unwrap();
    rest.split_once("\n```\n").unwrap().1.split_once("```").unwrap().0
}

fn rights(user: &str) -> &'static str {
    block(&format!("<!-- rights of a {user} -->"))
}

#[test]
fn a_server_takes_the_configuration_of_the_documentation() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = block("Configuration of a server, `nats.conf`:\n");
    let data = folder.path().join("data").display().to_string();
    assert_eq!(config.matches("/data").count(), 1);
    let files = [
        ("nats.conf", config.replace("/data", &data)),
        ("gateway.conf", rights("gateway").to_owned()),
        ("worker.conf", rights("worker").to_owned()),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let variables = [("SERVER_NAME", "nats-1"), ("GATEWAY_PASSWORD", "one"), ("WORKER_PASSWORD", "two")];
    let ran = Command::new(program)
        .arg("-t")
        .arg("-c")
        .arg(folder.path().join("nats.conf"))
        .envs(variables)
        .output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// The lists of `docs/fleet.md`.
#[test]
fn the_least_rights_of_the_documentation_suffice() {
    let Some(program) = program() else { return };
    let user =
        |user: &str| format!("{{ user: {user}, password: secret, permissions: {{ {} }} }}", rights(user));
    let users = format!("authorization {{ users: [ {}, {} ] }}", user("gateway"), user("worker"));
    let server = Server::start(&program, &users);
    let url = url(&format!("nats://gateway:secret@{}/relay", server.address()));
    let id = "gateway-1";
    let queue = open(&url, id);
    acquire(&queue, false).unwrap();
    assert!(queue.owner().unwrap().is_some());
    assert_eq!(queue.streams().unwrap().len(), 3);
    assert_eq!(queue.ledger(&QueueLimits::default()).unwrap().len(), 0);
    let mut store = queue.into_store();
    load(&mut store);
    let mut batch = batch(0, 0, &vec!["x"; 40], &vec!["r"; 40]);
    batch.removed_entries = (1..30).map(relayline_queue::id::EntryId).collect();
    batch.removed_records = Some(relayline_queue::id::RecordSeq(20));
    assert_eq!(write(&mut store, batch), StoreAnswer::Written);
    assert_eq!(load(&mut store).entries.len(), 11);
    let other = JetStreamQueue::connect(&url, "other", "test").unwrap();
    assert!(other.prepare().is_err(), "another gateway's streams are out of reach");
    // Frames of workers pass, in both directions.
    let of_worker = self::url(&format!("nats://worker:secret@{}/relay", server.address()));
    let (sender, frames) = std::sync::mpsc::channel();
    let collect = |from: &'static str| {
        let sender = sender.clone();
        move |frame: &[u8]| sender.send((from, frame.to_vec())).unwrap()
    };
    let leader = FleetBus::leader(&url, id, collect("leader")).unwrap();
    let worker = FleetBus::worker(&of_worker, id, "w-1", collect("worker")).unwrap();
    worker.publish(FleetSubject::Leader, b"up".to_vec());
    let next = || frames.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert_eq!(next(), ("leader", b"up".to_vec()));
    leader.publish(FleetSubject::Worker("w-2"), b"of another".to_vec());
    leader.publish(FleetSubject::Worker("w-1"), b"down".to_vec());
    assert_eq!(next(), ("worker", b"down".to_vec()));
    leader.publish(FleetSubject::Workers, b"all".to_vec());
    assert_eq!(next(), ("worker", b"all".to_vec()));
    // `queue status` asks for the workers as one of them, with the rights of a gateway.
    let asker = FleetBus::worker(&url, id, "status-1", collect("asker")).unwrap();
    asker.publish(FleetSubject::Leader, b"who?".to_vec());
    assert_eq!(next(), ("leader", b"who?".to_vec()));
    leader.publish(FleetSubject::Worker("status-1"), b"these".to_vec());
    assert_eq!(next(), ("asker", b"these".to_vec()));
    assert!(JetStreamQueue::connect(&of_worker, id, "test").is_err(), "a worker reads no queue");
}
