//! `relayline connector`: enrollment, provisioning and signed webhook requests, by its flags and instructions.

use crate::support::{Ended, Program, relayline};
use relayline_core::secret::Secret;
use relayline_core::signature::verify;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

const ACCESS: &str = "hunter2-access";
const TOKEN: &str = "hunter2=enroll";
const KEY: &str = "hunter2-key";

fn line(program: &mut Program) -> Value {
    serde_json::from_str(&program.line().expect("a line")).unwrap()
}

/// Sends a POST with this access token. Returns the body of its answer.
fn post(url: &str, path: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect(url.strip_prefix("ws://").unwrap()).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {ACCESS}\r\nContent-Length: {}",
        body.len()
    );
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Accepts one request and answers 200. Returns its head and body.
fn answer_next(listener: &TcpListener) -> (String, Vec<u8>) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}").unwrap();
    (head, body)
}

fn verified(head: &str, body: &[u8], key: &str) -> bool {
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (timestamp, signature) = (header("x-relay-timestamp"), header("x-relay-signature"));
    verify(body, timestamp, signature, &[Secret::from(key)], unix_s).is_ok()
}

#[test]
fn c_3_c_4_an_enrolled_gateway_gets_signed_webhooks() {
    let token = format!("{TOKEN}=acme");
    let access = format!("{ACCESS}=acme");
    let mut program =
        Program::start(relayline(["connector", "--enroll-token", &token, "--access-token", &access]));
    let url = line(&mut program)["url"].as_str().unwrap().to_owned();
    let issued = post(&url, "/relay/enroll", &json!({"enrollmentToken": TOKEN, "gatewayId": "gw"}));
    let saw = line(&mut program);
    let expected =
        json!({"secret": "<hidden>", "deliveryKey": "<hidden>", "tenant": "acme", "gatewayId": "gw"});
    assert_eq!((&saw["saw"], &saw["status"], &saw["answer"]), (&json!("http"), &json!(200), &expected));

    // Provisioning gives the endpoint for webhook requests.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let profile = json!({
        "gatewayId": "gw", "platform": "discord", "botId": "", "gatewayEndpoint": endpoint, "routeKeys": [],
    });
    let provisioned = post(&url, "/relay/provision", &profile);
    // H-4: each provisioning issues new credentials.
    assert!(
        provisioned["secretIssued"] == true && provisioned["secret"] != issued["secret"],
        "{provisioned}"
    );
    assert_eq!(line(&mut program)["request"], profile);
    program.write(b"{\"do\":\"deliver\",\"event\":{\"text\":\"hi\"}}\n");
    let (head, body) = answer_next(&listener);
    assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
    assert!(verified(&head, &body, provisioned["deliveryKey"].as_str().unwrap()), "{head}");
    let saw = line(&mut program);
    assert_eq!(
        (&saw["by"], &saw["status"], &saw["answer"]),
        (&json!("connector"), &json!(200), &json!({"ok": true}))
    );

    // After a rotation, the next provisioning gets new credentials, and webhook requests are signed with the new key.
    program.write(format!("{{\"do\":\"rotate\",\"delivery_key\":\"{KEY}\",\"overlap_ms\":0}}\n").as_bytes());
    program.write(b"{\"do\":\"deliver\",\"interrupt\":{\"session_key\":\"k\"}}\n");
    let (head, body) = answer_next(&listener);
    assert!(head.starts_with("POST /interrupt HTTP/1.1\r\n") && verified(&head, &body, KEY), "{head}");
    assert_eq!(line(&mut program)["path"], "/interrupt");
    let rotated = post(&url, "/relay/provision", &profile);
    assert!(rotated["secret"] != provisioned["secret"] && rotated["deliveryKey"] == KEY, "{rotated}");
    let seen = line(&mut program).to_string();
    assert!(!seen.contains(rotated["secret"].as_str().unwrap()) && !seen.contains(KEY), "{seen}");
}

#[test]
fn a_script_can_expect_the_outcome_of_a_webhook() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("deliver.jsonl");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let play = |lines: &[Value]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&script, text).unwrap();
        let mut command =
            relayline(["connector", "--gateway", "gw=s3cret", "--delivery-key", "gw=hunter2-key"]);
        command.arg("--script").arg(&script);
        Program::start(command).ended()
    };
    let deliver = json!({"do": "deliver", "event": {"text": "hi"}, "url": format!("http://{nobody}")});
    let expect = json!({"expect": {"saw": "http", "by": "connector", "path": "/", "status": null}, "within_ms": 20_000});
    let Ended { code, stdout, stderr } = play(&[deliver.clone(), expect]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.lines().last().unwrap().contains("takes no connection"), "{stdout}");
    assert!(!stdout.contains(KEY), "{stdout}");
    let without = json!({"do": "deliver", "event": {}});
    let Ended { code, stderr, .. } = play(&[without]);
    assert_eq!(code, Some(1));
    let expected = "1: `gw` has given no endpoint: add \"url\", or let it provision with a gatewayEndpoint\n";
    assert!(stderr.ends_with(expected), "{stderr}");
}
