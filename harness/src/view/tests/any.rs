//! Any recording is shown, whatever its peers wrote: positions are valid, and nothing panics.

use super::wire::Wire;
use crate::view::{Page, SessionView, svg};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};

const KINDS: &[&str] = &[
    "hello",
    "outbound",
    "interrupt",
    "going_idle",
    "inbound_ack",
    "descriptor",
    "inbound",
    "outbound_result",
    "interrupt_inbound",
    "passthrough_forward",
    "going_idle_ack",
    "error",
    "x",
];
const FIELDS: &[&str] = &[
    "requestId",
    "bufferId",
    "event",
    "action",
    "result",
    "descriptor",
    "session_key",
    "forward",
    "platform",
    "error",
];

/// Returns a value that may stand where a frame has an id, a text or an object.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,10}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

/// Returns a frame of a known or an unknown type, with fields of any kind.
fn any_frame() -> impl Strategy<Value = String> {
    let field = (prop::sample::select(FIELDS), any_value());
    let frame =
        (prop::sample::select(KINDS), prop::collection::vec(field, 0..4)).prop_map(|(kind, fields)| {
            let mut frame = json!({"type": kind});
            for (name, value) in fields {
                frame[name] = value;
            }
            frame.to_string()
        });
    let id = || "[ab]";
    prop_oneof![
        4 => frame,
        1 => "\\PC{0,20}",
        2 => id().prop_map(|id| json!({"type": "outbound", "requestId": id, "action": {"op": "send", "chat_id": "7"}}).to_string()),
        2 => id().prop_map(|id| json!({"type": "outbound_result", "requestId": id, "result": {"success": true}}).to_string()),
        2 => id().prop_map(|id| json!({"type": "inbound", "bufferId": id, "event": {"source": {"chat_id": "7"}}}).to_string()),
        2 => id().prop_map(|id| json!({"type": "inbound_ack", "bufferId": id}).to_string()),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Dial,
    Connected,
    Message { is_gateways: bool, text: String },
    End(Value),
}

fn any_step() -> impl Strategy<Value = Step> {
    let text = (prop::collection::vec(any_frame(), 0..3), any::<bool>())
        .prop_map(|(frames, ends)| frames.join("\n") + if ends { "\n" } else { "" });
    let end = prop_oneof![
        Just(json!({"dir": "drop"})),
        (any::<u16>(), "[a-z]{0,8}").prop_map(
            |(code, reason)| json!({"dir": "close", "by": "connector", "code": code, "reason": reason})
        ),
        Just(json!({"dir": "close", "by": "connector", "code": 4401, "reason": "unauthorized"})),
        Just(json!({"dir": "close", "by": "gateway", "code": 1000, "reason": ""})),
        any::<u16>()
            .prop_map(|status| json!({"dir": "reject", "status": status, "body": "{\"error\":\"no\"}"})),
        any_value().prop_map(|event| json!({"dir": "host_event", "kind": "message", "event": event})),
        Just(json!({"dir": "gap", "lines": 3})),
    ];
    prop_oneof![
        1 => Just(Step::Dial),
        1 => Just(Step::Connected),
        6 => (any::<bool>(), text).prop_map(|(is_gateways, text)| Step::Message { is_gateways, text }),
        1 => end.prop_map(Step::End),
    ]
}

fn check(view: &SessionView) -> TestCaseResult {
    let size = view.entries.len();
    prop_assert!(view.problems.iter().all(|problem| problem.at < size));
    prop_assert!(view.problems.is_sorted_by_key(|problem| problem.at));
    prop_assert!(view.links.iter().all(|link| link.from < link.to && link.to < size));
    prop_assert!(
        view.states.iter().all(|state| state.at <= size) && view.states.is_sorted_by_key(|state| state.at)
    );
    prop_assert!(view.turns.iter().all(|turn| turn.first <= turn.last && turn.last < size));
    let in_turns: usize = view.turns.iter().map(|turn| turn.entries).sum();
    prop_assert_eq!(in_turns, view.entries.iter().filter(|entry| entry.turn.is_some()).count());
    let mut ids: Vec<&str> = view.entries.iter().map(|entry| entry.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    prop_assert_eq!(ids.len(), size, "names of entries are unique");
    let picture = svg(view);
    prop_assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    prop_assert!(Page::new("0", std::slice::from_ref(view)).is_ok());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_recording_is_shown(steps in prop::collection::vec((any_step(), 0_u64..20_000), 0..40)) {
        let (mut wire, mut now) = (Wire::new(), 0);
        for (step, wait) in steps {
            now += wait;
            wire = match step {
                Step::Dial => wire.dial(now),
                Step::Connected => wire.connected(now),
                Step::Message { is_gateways, text } => {
                    wire.text(now, if is_gateways { "gateway" } else { "connector" }, &text)
                }
                Step::End(mut line) => {
                    line["t_ms"] = now.into();
                    wire.other(line)
                }
            };
        }
        check(&wire.view())?;
    }
}
