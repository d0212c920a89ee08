use super::{Entry, Ids, Lines, printable};
use crate::command::{Command, Failure, NotAccepted, Reply, RequestId};
use crate::config::{Config, Credentials, Identity};
use crate::event::Event;
use crate::machine::{DialFailure, IoEvent, RelayMachine};
use crate::op::{Op, SendMessage};
use crate::output::{
    Action, Conn, Content, Delivery, DeliveryId, HttpId, Notice, Outcome, RELAY_DISABLED, Timer, Transmit,
};
use crate::passthrough::Forward;
use crate::secret::Secret;
use crate::session_key::SessionKeyOptions;
use crate::time::{Now, Time};
use crate::upgrade::Refusal;
use crate::webhook::{Body, WebhookOutcome, WebhookRequest, WebhookResponse};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const AT: Time = Time::from_millis(12_345);
const CONN: Conn = Conn(3);

fn machine(seed: u8) -> RelayMachine {
    let identity = Identity::new("discord", "1");
    let mut config = Config::new(identity);
    config.credentials = Some(Credentials::new("gw", "s3cret"));
    RelayMachine::new(Arc::new(config), [seed; 32], Now { mono: Time::ZERO, unix_s: 1 })
}

fn event(more: &str) -> Event {
    let source = r#""source":{"platform":"discord","chat_id":"c","chat_type":"group","user_id":"u"}"#;
    Event::read(&format!(r#"{{"text":"hi",{source}{more}}}"#)).unwrap()
}

fn object(entry: &Entry) -> Value {
    serde_json::from_str(&entry.to_json()).unwrap()
}

fn delivery(content: Content) -> Entry {
    let delivery = Delivery { id: DeliveryId(7), buffered: true, content };
    let entry = Entry::delivery(AT, &delivery, SessionKeyOptions::default());
    assert_eq!(entry.at(), AT);
    entry
}

/// One entry of each kind: its line of text after the time, and its JSON after `t_us`.
#[test]
fn every_entry_is_a_line_of_text_and_an_object() {
    let ids = Ids::of(&machine(1));
    let answered = r#","prompt_response":{"prompt_id":"a.b","option_id":"yes"}"#;
    let forward = Forward::read(r#"{"platform":"x","method":"POST","path":"/","bodyB64":"aGk="}"#).unwrap().0;
    let notice = |notice: Notice| Entry::action(AT, &Action::Notify(notice));
    let closed = |code, reason| Entry::io(AT, &IoEvent::Closed { conn: CONN, code, reason });
    let complete = |result| Entry::action(AT, &Action::Complete { id: RequestId(9), result });
    let refused = NotAccepted::new(Command::Resume, Failure::definite("no"));
    let gone = IoEvent::DialFailed { conn: CONN, failure: DialFailure::Unanswered("refused") };
    let forbidden =
        IoEvent::DialFailed { conn: CONN, failure: DialFailure::Refused(Refusal::new(401, b"x")) };
    let interrupt = Action::Interrupt { session_key: "k".into(), chat_id: "c".into() };
    let dial = |token: Option<&str>| Action::Dial { conn: CONN, token: token.map(Secret::new) };
    let post = WebhookRequest {
        method: "POST",
        path: "/",
        timestamp: Some("1"),
        signature: Some("s1gnature"),
        body: Body::Whole(b"{}"),
    };
    let unsigned = WebhookResponse::Unsigned(crate::signature::SignatureError::Mismatch);
    let close = Transmit::Close { conn: CONN, code: 1000, reason: "" };
    let table = [
        (
            Entry::submitted(AT, "send", &Ok(RequestId(9))),
            "host      send -> request 9",
            json!({"what": "host", "call": "send", "request": 9}),
        ),
        (
            Entry::submitted(AT, "resume", &Err(refused)),
            "host      resume -> definite: no",
            json!({"what": "host", "call": "resume", "error": {"kind": "definite", "message": "no"}}),
        ),
        (
            Entry::settled(AT, DeliveryId(7), Outcome::Accepted),
            "settled   delivery 7 taken",
            json!({"what": "settled", "delivery": 7, "taken": true}),
        ),
        (
            Entry::settled(AT, DeliveryId(7), Outcome::Refused),
            "settled   delivery 7 refused",
            json!({"what": "settled", "delivery": 7, "taken": false}),
        ),
        (
            Entry::request(AT, &post, &WebhookOutcome::Pending(HttpId(2))),
            "request   POST / 2 bytes -> waits as 2",
            json!({"what": "request", "method": "POST", "path": "/", "bytes": 2, "http": 2}),
        ),
        (
            Entry::request(
                AT,
                &WebhookRequest { body: Body::TooLong, ..post },
                &WebhookOutcome::Responded(unsigned),
            ),
            "request   POST / -> 401 the signature is of another key, body or timestamp",
            json!({"what": "request", "method": "POST", "path": "/", "bytes": null, "status": 401,
                   "why": "the signature is of another key, body or timestamp"}),
        ),
        (
            Entry::action(AT, &Action::Respond { id: HttpId(2), answer: WebhookResponse::Done }),
            "responded 2 with 200 ok",
            json!({"what": "responded", "http": 2, "status": 200, "why": "ok"}),
        ),
        (Entry::timer(AT, Timer::Silence), "timer     silence", json!({"what": "timer", "timer": "silence"})),
        (Entry::action(AT, &dial(None)), "dial      #3", json!({"what": "dial", "conn": 3})),
        (
            Entry::action(AT, &dial(Some("t0ken"))),
            "dial      #3 authorization: Bearer <hidden>",
            json!({"what": "dial", "conn": 3, "authorization": "<hidden>"}),
        ),
        (
            Entry::io(AT, &IoEvent::Opened { conn: CONN }),
            "opened    #3",
            json!({"what": "opened", "conn": 3}),
        ),
        (
            Entry::io(AT, &forbidden),
            "rejected  #3 HTTP 401",
            json!({"what": "rejected", "conn": 3, "status": 401}),
        ),
        (
            Entry::io(AT, &gone),
            "failed    #3 refused",
            json!({"what": "failed", "conn": 3, "reason": "refused"}),
        ),
        (
            closed(Some(1001), "going away"),
            "closed    #3 1001 \"going away\"",
            json!({"what": "closed", "conn": 3, "code": 1001, "reason": "going away"}),
        ),
        (
            closed(None, "cut"),
            "closed    #3 without a close code: cut",
            json!({"what": "closed", "conn": 3, "code": null, "reason": "cut"}),
        ),
        (Entry::io(AT, &IoEvent::Alive { conn: CONN }), "pong      #3", json!({"what": "pong", "conn": 3})),
        (Entry::action(AT, &Action::Drop { conn: CONN }), "drop      #3", json!({"what": "drop", "conn": 3})),
        (
            Entry::transmit(AT, &Transmit::Frame { conn: CONN }, b"{\"b\":1,\"a\":2}\n", &ids),
            "sent      #3 {\"b\":1,\"a\":2}",
            json!({"what": "sent", "conn": 3, "frame": {"b": 1, "a": 2}}),
        ),
        (
            Entry::transmit(AT, &Transmit::Ping { conn: CONN }, b"", &ids),
            "ping      #3",
            json!({"what": "ping", "conn": 3}),
        ),
        (
            Entry::transmit(AT, &close, b"", &ids),
            "close     #3 1000 \"\"",
            json!({"what": "close", "conn": 3, "code": 1000, "reason": ""}),
        ),
        (
            complete(Ok(Reply::Thread { thread_id: None })),
            "completed request 9 ok {\"thread_id\":null}",
            json!({"what": "completed", "request": 9, "ok": true, "result": {"thread_id": null}}),
        ),
        (
            complete(Err(Failure::definite("no"))),
            "completed request 9 definite: no",
            json!({"what": "completed", "request": 9, "ok": false, "error": {"kind": "definite", "message": "no"}}),
        ),
        (
            Entry::action(AT, &interrupt),
            "interrupt k in chat \"c\"",
            json!({"what": "interrupt", "session_key": "k", "chat_id": "c"}),
        ),
        (
            notice(Notice::Disconnected {
                code: Some(1001),
                reason: "away".into(),
                retry_in: Some(Duration::from_millis(50)),
            }),
            "notice    disconnected 1001: away; dials again in 50 ms",
            json!({"what": "notice", "notice": "disconnected", "code": 1001, "reason": "away", "retry_in_ms": 50}),
        ),
        (notice(Notice::Stopped), "notice    stopped", json!({"what": "notice", "notice": "stopped"})),
        (
            notice(Notice::ConnectorError { text: "no such platform".into() }),
            "notice    the connector reports an error: no such platform",
            json!({"what": "notice", "notice": "connector_error", "text": "no such platform"}),
        ),
        (
            notice(Notice::DeadLetter {
                reason: "long".into(),
                buffer_id: Some("b".into()),
                line: "{".into(),
            }),
            "notice    dead letter: long (buffer entry \"b\")",
            json!({"what": "notice", "notice": "dead_letter", "reason": "long", "buffer_id": "b", "line": "{"}),
        ),
        (
            notice(Notice::StalePrompt { answer: Box::new(event(answered)) }),
            "notice    stale prompt a.b, option yes",
            json!({
                "what": "notice", "notice": "stale_prompt", "prompt_id": "a.b", "option_id": "yes",
                "answer": event(answered),
            }),
        ),
        (
            notice(Notice::UnauthorizedAnswer { answer: Box::new(event(answered)) }),
            "notice    unauthorized answer a.b, option yes",
            json!({
                "what": "notice", "notice": "unauthorized_answer", "prompt_id": "a.b", "option_id": "yes",
                "answer": event(answered),
            }),
        ),
        (
            delivery(Content::Message(Box::new(event("")))),
            &format!("message   delivery 7 buffered agent:main:discord:group:c:u {}", json!(event(""))),
            json!({
                "what": "message", "delivery": 7, "buffered": true,
                "session_key": "agent:main:discord:group:c:u", "message": event(""),
            }),
        ),
        (
            delivery(Content::PromptAnswer(Box::new(event(answered)))),
            &format!("answer    delivery 7 buffered agent:main:discord:group:c:u {}", json!(event(answered))),
            json!({
                "what": "answer", "delivery": 7, "buffered": true, "session_key": "agent:main:discord:group:c:u",
                "prompt_id": "a.b", "option_id": "yes", "answer": event(answered),
            }),
        ),
        (
            delivery(Content::Forward(Box::new(forward.clone()))),
            &format!("forward   delivery 7 buffered {}", serde_json::to_string(&forward).unwrap()),
            json!({"what": "forward", "delivery": 7, "buffered": true, "forward": forward}),
        ),
        (
            Entry::action(AT, &Action::Fatal(RELAY_DISABLED)),
            &format!("fatal     {RELAY_DISABLED}"),
            json!({
                "what": "fatal", "code": "relay_disabled", "message": RELAY_DISABLED.message, "retryable": false,
            }),
        ),
        (
            Entry::remark(AT, "slept", "for long").with("h", 8),
            "slept     for long",
            json!({"what": "slept", "h": 8}),
        ),
    ];
    for (entry, text, mut value) in table {
        let text = match entry.name() {
            // The event's fields have an order of their own.
            "message" | "answer" => {
                let (head, body) = text.split_once('{').unwrap();
                let event: Value = serde_json::from_str(&format!("{{{body}")).unwrap();
                let shown = entry.to_string();
                let (_, shown) = shown.split_once('{').unwrap();
                assert_eq!(serde_json::from_str::<Value>(&format!("{{{shown}")).unwrap(), event);
                format!("{head}{{{shown}")
            }
            _ => text.to_owned(),
        };
        assert_eq!(entry.to_string(), format!("   12.345 {text}"));
        value["t_us"] = json!(12_345_000);
        assert_eq!(object(&entry), value);
        let begins = format!("{{\"t_us\":12345000,\"what\":\"{}\"", entry.name());
        assert!(entry.to_json().starts_with(&begins), "{}", entry.to_json());
        // A space separates the name from the text after it.
        assert!(entry.name().len() < 10, "{}", entry.name());
    }
}

/// W-1, W-2, W-5: lines are shown however they were cut, without blank ones, and an overlong line is named.
#[test]
fn w_1_w_2_w_5_received_bytes_are_shown_as_lines() {
    let bytes = b"{\"a\":1}\n \r\n\nno JSON\x1b\n{\"overlong\":\"0123456789\"}\n{\"b\":2}\r\nrest";
    let expected =
        ["received  #3 {\"a\":1}", "received  #3 no JSON\\u001b", "overlong  #3", "received  #3 {\"b\":2}"];
    for size in [bytes.len(), 1, 7] {
        let mut lines = Lines::new(CONN, 12, Ids::of(&machine(1)));
        let entries: Vec<Entry> = bytes.chunks(size).flat_map(|bytes| lines.received(AT, bytes)).collect();
        let shown: Vec<String> = entries.iter().map(|entry| entry.to_string()[10..].to_owned()).collect();
        assert_eq!(shown, expected, "in pieces of {size}");
        let json: Vec<Value> = entries.iter().map(object).collect();
        assert_eq!(json[0], json!({"t_us": 12_345_000, "what": "received", "conn": 3, "frame": {"a": 1}}));
        assert_eq!(json[1]["line"], "no JSON\u{1b}", "invalid JSON stays a text");
    }
}

/// O-1: a trace does not depend on the seed. C-4: it does not contain a token.
#[test]
fn o_1_c_4_a_session_is_traced_without_seed_and_token() {
    let session = |seed: u8| {
        let mut machine = machine(seed);
        let (ids, now) = (Ids::of(&machine), Now { mono: Time::ZERO, unix_s: 1 });
        let mut trace = Vec::new();
        let Some(Action::Dial { conn, token }) = machine.poll_action() else { panic!("it dials") };
        let token = token.unwrap();
        trace.push(Entry::action(AT, &Action::Dial { conn, token: Some(token.clone()) }));
        machine.handle_io(now, IoEvent::Opened { conn });
        let descriptor = br#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"discord","label":"D","max_message_length":9,"supports_draft_streaming":false,"supports_edit":true,"supports_threads":true,"markdown_dialect":"","len_unit":"chars"}}
"#;
        let mut lines = Lines::new(conn, 1 << 20, ids.clone());
        trace.extend(lines.received(AT, descriptor));
        machine.handle_bytes(now, conn, descriptor);
        let send = SendMessage::new("c", "hi");
        let asked = machine.submit(now, Command::Op(Op::Send(send)));
        trace.push(Entry::submitted(AT, "send", &asked));
        let mut frame = Vec::new();
        while let Some(transmit) = machine.poll_transmit(now, &mut frame) {
            trace.push(Entry::transmit(AT, &transmit, &frame, &ids));
        }
        let id = machine.wire_id(asked.unwrap());
        let result = format!(
            "{{\"type\":\"outbound_result\",\"requestId\":\"{id}\",\"result\":{{\"success\":true}}}}\n"
        );
        trace.extend(lines.received(AT, result.as_bytes()));
        machine.handle_bytes(now, conn, result.as_bytes());
        while let Some(action) = machine.poll_action() {
            trace.push(Entry::action(AT, &action));
        }
        // A text that only resembles a request id stays as it is.
        let alike = format!("\"{id}x\" {id} \"{}\"", &id[..20]);
        assert_eq!(ids.shown(&alike), alike);
        let lines = |line: fn(&Entry) -> String| trace.iter().map(line).collect::<Vec<_>>().join("\n");
        let (text, json) = (lines(Entry::to_string), lines(Entry::to_json));
        for shown in [&text, &json, &format!("{trace:?}")] {
            assert!(!shown.contains(token.expose()) && !shown.contains("s3cret"), "C-4");
            assert!(!shown.contains(&id[..16]), "O-1");
        }
        assert_eq!(text.matches("\"requestId\":1,").count(), 2, "{text}");
        (text, json)
    };
    assert_eq!(session(1), session(2));
}

#[test]
fn control_characters_stay_out_of_terminals() {
    assert_eq!(printable("a\u{1b}\r\u{9b}é".into()), "a\\u001b\\u000d\\u009bé");
}

#[test]
fn s_1_a_traced_key_names_the_events_profile() {
    for (profile, namespace) in [("", "main"), ("default", "main"), ("main", "main~"), ("ops", "ops")] {
        let source = format!(r#""source":{{"chat_id":"c","profile":"{profile}"}}"#);
        let of = |more: &str| Event::read(&format!("{{{source}{more}}}")).unwrap();
        let answer = r#","prompt_response":{"prompt_id":"a.b","option_id":"yes"}"#;
        for content in [Content::Message(Box::new(of(""))), Content::PromptAnswer(Box::new(of(answer)))] {
            let line = delivery(content).to_string();
            assert!(line.contains(&format!(" agent:{namespace}:relay:dm:c ")), "{line}");
        }
    }
}

#[test]
fn a_descriptor_is_shown_with_its_changes() {
    let raw = r#"{"contract_version":1,"platform":"p","label":"P","max_message_length":10,"supports_draft_streaming":true,"supports_edit":true,"supports_threads":false,"markdown_dialect":"","len_unit":"chars"}"#;
    let descriptor = Arc::new(crate::descriptor::Descriptor::read(raw).unwrap());
    let shown = |changed: &[&'static str]| {
        let changed = changed.iter().map(|name| (*name).into()).collect();
        let notice = Notice::Connected { descriptor: descriptor.clone(), changed };
        Entry::action(AT, &Action::Notify(notice)).to_string()
    };
    assert!(shown(&[]).ends_with("connected p"), "{}", shown(&[]));
    assert!(
        shown(&["label", "emoji"]).ends_with("connected p, changed: label, emoji"),
        "{}",
        shown(&["label", "emoji"])
    );
}
