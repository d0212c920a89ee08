//! A connector's drain continues, whatever a buffered line contains (A-8, A-9, W-11), on either runtime.

use crate::bridging::Bridge;
use relayline_connector::Act;
use relayline_connector::chats::discord::guild_channel;
use serde_json::{Value, json};

on_both_runtimes! {
    w_11_a_buffered_nan_is_delivered_and_acknowledged
    a_9_an_unreadable_entry_does_not_stop_the_drain
    w_5_a_9_an_entry_that_is_too_long_is_not_acknowledged
    d_3_a_descriptor_of_fractions_connects
}

impl Bridge {
    fn raw(&self, line: &str) {
        self.tell(Act::Raw { text: format!("{line}\n") });
    }

    /// Takes the next line, which must be this buffered message, and acknowledges it. The connector observes the
    /// acknowledgement.
    #[track_caller]
    fn takes(&mut self, text: &str) -> Value {
        let line = self.next();
        assert_eq!((&line["event"], &line["message"]["text"]), (&json!("message"), &json!(text)), "{line}");
        assert_eq!(line["buffered"], true);
        self.say(json!({"op": "ack", "delivery": line["delivery"]}));
        let ack = self.sees();
        assert_eq!(ack["type"], "inbound_ack");
        ack["bufferId"].clone()
    }
}

fn w_11_a_buffered_nan_is_delivered_and_acknowledged(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.raw(
        r#"{"type":"inbound","event":{"text":"NaN of Python","lat":NaN,"alt":[-Infinity],"source":{"platform":"discord","chat_id":"1"}},"bufferId":"b1"}"#,
    );
    assert_eq!(bridge.takes("NaN of Python"), "b1");
    bridge.deliver(&guild_channel(), "after", true);
    bridge.takes("after");
}

fn a_9_an_unreadable_entry_does_not_stop_the_drain(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (id, value) in [("b1", "-NaN"), ("b2", deep.as_str()), ("b3", r#""cut o"#)] {
        let line = format!(r#"{{"type":"inbound","bufferId":"{id}","event":{{"text":{value}}}}}"#);
        bridge.raw(&line);
        let letter = bridge.next();
        let reason = letter["reason"].as_str().unwrap();
        assert!(reason.starts_with("a line cannot be read: it "), "{reason}");
        let expected = json!({"event": "dead_letter", "reason": reason, "buffer_id": id, "line": line});
        assert_eq!(letter, expected);
        assert_eq!(bridge.sees(), json!({"type": "inbound_ack", "bufferId": id}));
    }
    bridge.deliver(&guild_channel(), "after", true);
    bridge.takes("after");
    // Once for each connection.
    bridge.program.close_stdin();
    let log = bridge.program.ended().stderr;
    assert_eq!(log.matches("dead_letter").count(), 1, "{log}");
    assert!(log.contains("WARN") && log.contains("b1"), "{log}");
}

fn w_5_a_9_an_entry_that_is_too_long_is_not_acknowledged(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--set", "max_line_bytes=64KiB"]);
    let line =
        format!(r#"{{"type":"inbound","bufferId":"b1","event":{{"text":"{}"}}}}"#, "x".repeat(100_000));
    bridge.raw(&line);
    let letter = bridge.next();
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains("raise `max_line_bytes`") && reason.contains("comes again"), "{reason}");
    assert_eq!((&letter["buffer_id"], letter["line"].as_str()), (&Value::Null, line.get(..64 << 10)));
    // The next acknowledgement is for another entry.
    bridge.deliver(&guild_channel(), "after", true);
    assert_ne!(bridge.takes("after"), "b1");
}

fn d_3_a_descriptor_of_fractions_connects(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let descriptor = json!({
        "contract_version": 1.0, "platform": "discord", "label": "D", "max_message_length": "2e3",
        "supports_draft_streaming": false, "supports_edit": true, "supports_threads": true,
        "markdown_dialect": "discord", "len_unit": "chars"});
    let descriptor = descriptor.as_object().unwrap().clone();
    bridge.tell(Act::Descriptor { descriptor, platform: None });
    bridge.tell(Act::Drop);
    assert_eq!(bridge.next()["event"], "disconnected");
    let line = bridge.next();
    assert_eq!(line["event"], "connected");
    assert_eq!(line["descriptor"]["contract_version"], 1);
    assert_eq!(line["descriptor"]["max_message_length"], 2000);
}
