//! Reads an `outbound_result` (O-2, O-5, O-7).

use crate::command::{Failure, FailureKind, MAX_ID_BYTES, Reply};
use crate::json::{self, Kind};
use crate::op::{Op, Returns};
use serde_json::Value;

/// Kind of answer that a request expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// A message id.
    Sent,
    /// Success alone.
    Done,
    /// Success, whatever the answer: a typing sign is never an error (O).
    Ignore,
    /// Name and type of the chat with this id.
    ChatInfo(String),
    /// A message id, and the prompt that it carries.
    Prompted(String),
    /// A thread's id, under either name.
    Thread,
    /// Success, with the complete answer.
    Raw,
    /// None: the request is done once it is written.
    Written,
}

impl Expected {
    /// Returns the kind of answer of an op, by its definition.
    pub(crate) fn of(op: &Op, prompt_id: &str) -> Expected {
        match op.definition().returns {
            Returns::Nothing => Expected::Done,
            Returns::NeverFails => Expected::Ignore,
            Returns::Message => Expected::Sent,
            Returns::Thread => Expected::Thread,
            Returns::ChatInfo => Expected::ChatInfo(op.chat_id().unwrap_or_default().to_owned()),
            Returns::Prompt => Expected::Prompted(prompt_id.to_owned()),
            Returns::Raw => Expected::Raw,
            Returns::Written => Expected::Written,
        }
    }
}

pub(crate) const FIELDS: [&str; 10] = [
    "success",
    "message_id",
    "error",
    "code",
    "ambiguous",
    "thread_id",
    "chat_info",
    "name",
    "type",
    "auto_thread_name",
];

/// Reads the `result` of an answer. An absent result reads as `{}`.
pub(crate) fn read(raw: Option<&str>, expected: &Expected) -> Result<Reply, Failure> {
    if matches!(expected, Expected::Ignore) {
        return Ok(Reply::Done);
    }
    let rejected = |message: &str| Failure::new(FailureKind::Rejected, message);
    let Some(fields) = json::fields(raw.unwrap_or("{}"), &FIELDS) else {
        return Err(rejected("the connector's result is not an object"));
    };
    let [success, message_id, error, code, ambiguous, thread_id, chat_info, name, kind, auto_thread_name] =
        fields;
    let is_true = |raw: Option<&str>| raw.is_some_and(|raw| json::kind(raw) == Kind::Bool(true));
    let answers_by_itself = matches!(expected, Expected::ChatInfo(_))
        && is_chat_info(chat_info, name, kind)
        && !success.is_some_and(|raw| json::kind(raw) == Kind::Bool(false));
    // Only true is success: "true" and 1 are not (O-2).
    if !is_true(success) && !answers_by_itself {
        let code = code.and_then(json::id);
        let message = error.and_then(json::string).filter(|text| !text.is_empty());
        // O-7: a request that may have been carried out does not count as declined.
        let kind = if is_true(ambiguous) {
            FailureKind::Ambiguous
        } else if is_declined(code.as_deref(), message.as_deref()) {
            FailureKind::Declined
        } else {
            FailureKind::Rejected
        };
        let message = message.unwrap_or_else(|| "the connector gave no reason".into());
        return Err(Failure { kind, message, code });
    }
    match expected {
        Expected::Sent => Ok(Reply::Sent {
            message_id: message_id.and_then(json::id),
            thread_id: thread_id.and_then(json::id),
            auto_thread_name: auto_thread_name.and_then(json::string).filter(|name| !name.is_empty()),
        }),
        // Lone surrogates are repaired here as everywhere (W-7).
        Expected::Raw => match json::parse(&json::verbatim(raw.unwrap_or("{}"))) {
            Ok(Value::Object(result)) => Ok(Reply::Raw { result }),
            Ok(_) => Err(rejected("the connector's result is not an object")),
            // The action was carried out, although its answer cannot be read.
            Err(error) => {
                let why = format!("the connector's result cannot be read: {error}");
                Err(Failure::new(FailureKind::Ambiguous, why))
            }
        },
        Expected::Prompted(prompt_id) => {
            Ok(Reply::Prompted { prompt_id: prompt_id.clone(), message_id: message_id.and_then(json::id) })
        }
        Expected::Thread => {
            let thread_id = [thread_id, message_id].into_iter().flatten().find_map(json::id);
            Ok(Reply::Thread { thread_id })
        }
        Expected::Done | Expected::Ignore | Expected::Written => Ok(Reply::Done),
        Expected::ChatInfo(chat_id) => {
            // An empty object contains nothing; the result itself may have the fields.
            let nested = chat_info.and_then(|raw| json::fields(raw, &["name", "type"]));
            let is_empty = |raw: &str| raw[1..raw.len() - 1].trim().is_empty();
            let nested = nested.filter(|_| !chat_info.is_some_and(is_empty));
            let [name, chat_type] = nested.unwrap_or([name, kind]);
            Ok(Reply::ChatInfo {
                name: name.and_then(json::id).unwrap_or_else(|| chat_id.clone()),
                chat_type: chat_type.and_then(json::string).unwrap_or_else(|| "dm".into()),
            })
        }
    }
}

/// Returns whether a result describes a chat, so that it needs no `success` (O-5).
fn is_chat_info(chat_info: Option<&str>, name: Option<&str>, chat_type: Option<&str>) -> bool {
    let is_said = |raw: &str| json::kind(raw) != Kind::Null;
    chat_info.is_some_and(|raw| json::kind(raw) == Kind::Object)
        || name.is_some_and(is_said)
        || chat_type.is_some_and(is_said)
}

/// Maximum length of the connector's text that is kept of a failure, in bytes (X-1).
pub(crate) const MAX_ERROR_BYTES: usize = 16 << 10;

/// Numbers of parts of an answer that were too long to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Overlong {
    /// Ids, which are left out.
    pub(crate) ids: u64,
    /// Texts, which are cut.
    pub(crate) texts: u64,
}

/// Bounds the connector's texts in an answer (X-1): a host may leave it and a thousand others unread.
pub(crate) fn bound(answer: &mut Result<Reply, Failure>) -> Overlong {
    let mut overlong = Overlong::default();
    let mut id = |id: &mut Option<String>| {
        if id.as_ref().is_some_and(|id| id.len() > MAX_ID_BYTES) {
            *id = None;
            overlong.ids += 1;
        }
    };
    match answer {
        Ok(Reply::Sent { message_id, thread_id, auto_thread_name }) => {
            id(message_id);
            id(thread_id);
            if let Some(name) = auto_thread_name {
                overlong.texts += u64::from(cut(name, MAX_ID_BYTES));
            }
        }
        Ok(Reply::Prompted { message_id, .. }) => id(message_id),
        Ok(Reply::Thread { thread_id }) => id(thread_id),
        Ok(Reply::ChatInfo { name, chat_type }) => {
            overlong.texts += u64::from(cut(name, MAX_ID_BYTES)) + u64::from(cut(chat_type, MAX_ID_BYTES));
        }
        // A raw answer is delivered whole: it counts among the pending actions.
        Ok(Reply::Done | Reply::Streamed { .. } | Reply::Raw { .. } | Reply::Idle { .. }) => {}
        Err(failure) => {
            id(&mut failure.code);
            overlong.texts += u64::from(cut(&mut failure.message, MAX_ERROR_BYTES));
        }
    }
    overlong
}

/// Cuts a text between two scalar values. Returns whether it was too long.
fn cut(text: &mut String, most: usize) -> bool {
    let is_over = text.len() > most;
    if is_over {
        text.truncate(text.floor_char_boundary(most));
        text.shrink_to_fit();
    }
    is_over
}

/// Returns whether a failure is an egress decline (O-7): by its code, or by its text. In an answer without a code,
/// `ack lost` in the text means that the message may have been sent.
fn is_declined(code: Option<&str>, error: Option<&str>) -> bool {
    let error = error.unwrap_or("").to_lowercase();
    let said = error.contains("egress declined:");
    code == Some("egress_declined") || (said && (code.is_some() || !error.contains("ack lost")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: Option<&str>, expected: &Expected) -> String {
        match read(raw, expected) {
            Ok(reply) => format!("{reply:?}"),
            Err(failure) => format!("{} {:?} {:?}", failure.kind.name(), failure.message, failure.code),
        }
    }

    #[test]
    fn x_1_an_answer_is_bounded() {
        let long = "é".repeat(50_000);
        let info = Expected::ChatInfo("c".into());
        for (raw, expected, overlong, weight) in [
            (format!(r#"{{"success":true,"message_id":"{long}"}}"#), Expected::Sent, (1, 0), 0),
            (format!(r#"{{"success":true,"thread_id":"{long}"}}"#), Expected::Thread, (1, 0), 0),
            (
                format!(r#"{{"success":true,"thread_id":"{long}","auto_thread_name":"{long}"}}"#),
                Expected::Sent,
                (1, 1),
                MAX_ID_BYTES,
            ),
            (
                format!(r#"{{"success":true,"name":"{long}","type":"{long}"}}"#),
                info,
                (0, 2),
                2 * MAX_ID_BYTES,
            ),
            (format!(r#"{{"error":"{long}","code":"{long}"}}"#), Expected::Done, (1, 1), MAX_ERROR_BYTES),
            (
                format!(r#"{{"error":"{}"}}"#, &long[..MAX_ERROR_BYTES]),
                Expected::Done,
                (0, 0),
                MAX_ERROR_BYTES,
            ),
        ] {
            let mut answer = read(Some(&raw), &expected);
            let Overlong { ids, texts } = bound(&mut answer);
            assert_eq!((ids, texts), overlong, "{expected:?}");
            assert_eq!(answer.as_ref().map_or_else(Failure::weight, Reply::weight), weight, "{expected:?}");
        }
    }

    #[test]
    fn w_7_a_raw_result_is_read_with_its_lone_surrogates_repaired() {
        let read = read(Some(r#"{"success":true,"x":"a\ud800","n":7}"#), &Expected::Raw);
        let Ok(Reply::Raw { result }) = read else { panic!("{read:?}") };
        assert_eq!(Value::Object(result), serde_json::json!({"success": true, "x": "a\u{fffd}", "n": 7}));
    }

    #[test]
    fn o_2_only_true_is_success() {
        let none = "rejected \"the connector gave no reason\" None";
        for (raw, expected) in [
            (
                Some(r#"{"success":true,"message_id":"m"}"#),
                r#"Sent { message_id: Some("m"), thread_id: None, auto_thread_name: None }"#,
            ),
            (
                Some(r#"{"success":true,"message_id":5554}"#),
                r#"Sent { message_id: Some("5554"), thread_id: None, auto_thread_name: None }"#,
            ),
            (
                Some(r#"{"success":true,"thread_id":7,"auto_thread_name":"n"}"#),
                r#"Sent { message_id: None, thread_id: Some("7"), auto_thread_name: Some("n") }"#,
            ),
            (
                Some(r#"{"success":true,"thread_id":null,"auto_thread_name":""}"#),
                "Sent { message_id: None, thread_id: None, auto_thread_name: None }",
            ),
            (Some(r#"{"success":"true"}"#), none),
            (Some(r#"{"success":1}"#), none),
            (Some(r#"{"success":null,"error":null}"#), none),
            (Some("{}"), none),
            (None, none),
            (Some("[]"), r#"rejected "the connector's result is not an object" None"#),
            (Some("true"), r#"rejected "the connector's result is not an object" None"#),
            (Some(r#"{"success":false,"error":"nope","code":"E1"}"#), r#"rejected "nope" Some("E1")"#),
            (Some(r#"{"success":false,"error":"lost","ambiguous":true}"#), r#"ambiguous "lost" None"#),
        ] {
            assert_eq!(shown(raw, &Expected::Sent), expected, "{raw:?}");
        }
        assert_eq!(shown(None, &Expected::Ignore), "Done");
        assert_eq!(shown(Some(r#"{"success":true}"#), &Expected::Done), "Done");
    }

    #[test]
    fn o_5_chat_info_is_nested_or_flat() {
        let info = Expected::ChatInfo("x1".into());
        for (raw, expected) in [
            (r#"{"success":true,"chat_info":{"name":"N","type":"group","n":4}}"#, ("N", "group")),
            (r#"{"success":true,"chat_info":{"name":"no type"}}"#, ("no type", "dm")),
            (r#"{"success":true,"chat_info":{},"name":"outer","type":"thread"}"#, ("outer", "thread")),
            (r#"{"success":true,"chat_info":{ },"name":"outer","type":"thread"}"#, ("outer", "thread")),
            (r#"{"success":true,"chat_info":null}"#, ("x1", "dm")),
            (r#"{"success":true,"chat_info":{"name":null,"type":null}}"#, ("x1", "dm")),
            (r#"{"success":true,"name":"flat","type":"channel"}"#, ("flat", "channel")),
        ] {
            let (name, chat_type) = expected;
            let expected = Reply::ChatInfo { name: name.into(), chat_type: chat_type.into() };
            assert_eq!(read(Some(raw), &info), Ok(expected), "{raw}");
        }
        // `success` is not needed. `success: false` does not count as a description (the reference reads on).
        for (raw, expected) in [
            (r#"{"name":"flat","type":"channel"}"#, Some(("flat", "channel"))),
            (r#"{"chat_info":{"name":"N"}}"#, Some(("N", "dm"))),
            (r#"{"chat_info":{}}"#, Some(("x1", "dm"))),
            (r#"{"success":"true","type":"group"}"#, Some(("x1", "group"))),
            (r#"{"success":null,"name":"N"}"#, Some(("N", "dm"))),
            ("{}", None),
            (r#"{"name":null,"type":null,"chat_info":null}"#, None),
            (r#"{"chat_info":"N"}"#, None),
            (r#"{"success":false,"chat_info":{"name":"N"}}"#, None),
            (r#"{"error":"unknown chat"}"#, None),
        ] {
            let reply = expected
                .map(|(name, chat_type)| Reply::ChatInfo { name: name.into(), chat_type: chat_type.into() });
            assert_eq!(read(Some(raw), &info).ok(), reply, "{raw}");
        }
        // This holds for no other op.
        assert!(read(Some(r#"{"name":"flat"}"#), &Expected::Sent).is_err());
    }

    #[test]
    fn o_7_an_egress_decline_is_its_own_kind() {
        for (raw, expected) in [
            (r#"{"success":false,"code":"egress_declined"}"#, "declined"),
            (r#"{"success":false,"error":"Egress Declined: no such link"}"#, "declined"),
            (r#"{"success":false,"error":"egress declined: x (ack lost)"}"#, "rejected"),
            (r#"{"success":false,"error":"egress declined: x (ack lost)","code":"E1"}"#, "declined"),
            (r#"{"success":false,"error":"egress declined: x","ambiguous":true}"#, "ambiguous"),
            (r#"{"success":false,"code":"egress_declined","ambiguous":true}"#, "ambiguous"),
            (r#"{"success":false,"error":"declined"}"#, "rejected"),
        ] {
            assert_eq!(read(Some(raw), &Expected::Sent).unwrap_err().kind.name(), expected, "{raw}");
        }
    }
}
