//! Lines of a connector for a [`Driver`](super::Driver).

use super::driver::Input;
use relayline_core::command::{Command, Metadata};
use relayline_core::op::Raw;

/// A descriptor of `discord`.
pub const DESCRIPTOR: &str = r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"discord","label":"D","max_message_length":2000,"supports_draft_streaming":false,"supports_edit":true,"supports_threads":true,"markdown_dialect":"discord","len_unit":"chars"}}"#;

/// A descriptor of `slack` that offers drafts, with at most 40 characters a message.
pub const DRAFTS: &str = r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"slack","label":"S","max_message_length":40,"supports_draft_streaming":true,"supports_edit":true,"supports_threads":true,"markdown_dialect":"","len_unit":"chars","supported_ops":["send","draft"]}}"#;

/// Frames of every type, valid and invalid.
pub const FRAMES: &[&str] = &[
    r#"{"type":"descriptor","descriptor":{"contract_version":1}}"#,
    r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"slack","label":"S","max_message_length":0,"supports_draft_streaming":false,"supports_edit":false,"supports_threads":true,"markdown_dialect":"","len_unit":"utf16"}}"#,
    r#"{"type":"going_idle_ack"}"#,
    r#"{"type":"going_idle_ack"}"#,
    r#"{"type":"interrupt_inbound","session_key":"k","chat_id":"c","bufferId":"i"}"#,
    r#"{"type":"interrupt_inbound","session_key":""}"#,
    r#"{"type":"passthrough_forward","bufferId":"p","forward":{}}"#,
    r#"{"type":"unknown","bufferId":7}"#,
    r#"{"type":"inbound","bufferId":"e","event":[]}"#,
    r#"{"type":"inbound","event":{}}"#,
    r#"{"type":"inbound","event":{},"bufferId":"n"}"#,
    r#"{"type":"outbound_result","requestId":"00000000000000000000000000000001"}"#,
    r#"{"type":7}"#,
    r#"{"type":"inbound","event":{"text":"\ud800"#,
    "[]",
    "",
    r#"{"type":"inbound","event":{"text":NaN,"x":[Infinity]},"bufferId":"m"}"#,
    r#"{"type":"inbound","event":{"text":nope},"bufferId":"u"}"#,
    r#"{"type":"passthrough_forward","bufferId":"v","forward":{"x":"cut o"#,
    // Longer than the limit of the machine under test.
    r#"{"type":"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"}"#,
];

/// Webhook requests. Some are duplicates of events that come on the WebSocket.
pub const REQUESTS: &[(&str, &str)] = &[
    (
        "/",
        r#"{"type":"message","event":{"text":"a","message_id":"0","source":{"platform":"discord","chat_id":"0"}}}"#,
    ),
    (
        "/",
        r#"{"type":"message","event":{"text":"b","message_id":"1","source":{"platform":"discord","chat_id":"1"}}}"#,
    ),
    (
        "/",
        r#"{"type":"message","event":{"text":"c","message_id":"2","source":{"platform":"discord","chat_id":"2"}}}"#,
    ),
    ("/", r#"{"type":"message","event":{"text":"without an id"}}"#),
    ("/", r#"{"type":"message","event":{"prompt_response":{"prompt_id":"a.b","option_id":"c"}}}"#),
    ("/", r#"{"type":"message"}"#),
    ("/interrupt", r#"{"type":"interrupt","session_key":"k"}"#),
    ("/interrupt", r#"{"type":"interrupt","session_key":""}"#),
    ("/elsewhere", "{"),
];

/// Returns the inputs at the start of a connection: a dial, a handshake, and a written request.
pub fn handshake() -> Vec<Input> {
    vec![
        Input::Actions,
        Input::Opened(0),
        Input::Bytes(0, format!("{DESCRIPTOR}\n").into_bytes(), 0),
        Input::Submit(Box::new(Command::from(Raw::new(Metadata::new())))),
        Input::Transmit,
        Input::Transmit,
        Input::Transmit,
    ]
}
