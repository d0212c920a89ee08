//! Tests of views: recordings with planted problems, and every recording of the repository.

mod any;
mod wire;

use self::wire::{HELLO, Wire, descriptor};
use super::{EntryKind, Lane, LinkKind, Page, ProblemKind, SessionView};
use crate::recording::Recording;
use serde_json::{Value, json};
use sha2::Digest;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Asserts that exactly these problems are marked, at these entries.
#[track_caller]
fn assert_problems(wire: Wire, expected: &[(&str, ProblemKind)]) {
    let found = wire.problems();
    let found: Vec<(&str, ProblemKind)> = found.iter().map(|(at, kind)| (at.as_str(), *kind)).collect();
    assert_eq!(found, expected);
}

fn ok() -> Value {
    json!({"success": true, "message_id": "9"})
}

#[test]
fn a_faultless_session_has_no_problem() {
    let wire = Wire::new().connected(0).inbound(10, "e1").ack(12, "e1").send(20, "a").result(25, "a", ok());
    let view = wire.close(30, "gateway", 1000, "").view();
    assert_eq!(view.problems, []);
    let links: Vec<_> = view.links.iter().map(|link| (link.kind, link.ms)).collect();
    assert_eq!(links, [(LinkKind::Ack, 2), (LinkKind::Result, 5), (LinkKind::End, 30)]);
    let states: Vec<_> = view.states.iter().map(|state| (state.at, state.state.name())).collect();
    assert!(states.contains(&(0, "handshaking")) && states.contains(&(2, "connected")), "{states:?}");
    assert_eq!((view.turns.len(), view.turns[0].entries), (1, 4), "message, ack, send, result");
}

#[test]
fn a_1_a_lost_ack_is_marked_at_its_delivery() {
    let lost = |wire: Wire| wire.connected(0).inbound(10, "e1");
    let unacked = [("5 inbound", ProblemKind::Unacked)];
    assert_problems(lost(Wire::new()), &unacked);
    assert_problems(lost(Wire::new()).send(20_000, "a").result(20_001, "a", ok()), &unacked);
    assert_problems(lost(Wire::new()).close(20, "connector", 1000, ""), &unacked);
    // The second delivery is acknowledged: the first was lost all the same.
    let again = lost(Wire::new()).close(20, "connector", 1000, "").connected(1000).inbound(1010, "e1");
    assert_problems(again.ack(1011, "e1"), &unacked);
}

#[test]
fn a_5_an_ack_without_a_delivery_is_marked() {
    let twice = Wire::new().connected(0).inbound(10, "e1").ack(11, "e1").ack(12, "e1").ack(13, "e9");
    assert_problems(
        twice,
        &[("7 inbound_ack", ProblemKind::StrayAck), ("8 inbound_ack", ProblemKind::StrayAck)],
    );
}

#[test]
fn a_8_a_drain_that_does_not_wait_is_marked() {
    let early = Wire::new().connected(0).inbound(10, "e1").inbound(11, "e2").ack(12, "e1").ack(13, "e2");
    assert_problems(early, &[("6 inbound", ProblemKind::OutOfTurn)]);
}

#[test]
fn o_1_a_late_result_and_its_request_are_marked() {
    let late = Wire::new().connected(0).send(10, "a").result(30_011, "a", ok()).result(30_012, "a", ok());
    assert_problems(
        late.result(30_013, "zz", ok()),
        &[
            ("5 outbound", ProblemKind::NoResult),
            ("6 outbound_result", ProblemKind::LateResult),
            ("7 outbound_result", ProblemKind::StrayResult),
            ("8 outbound_result", ProblemKind::StrayResult),
        ],
    );
}

#[test]
fn o_3_results_that_are_no_success_are_told_apart() {
    let of = |result: Value| Wire::new().connected(0).send(10, "a").result(11, "a", result).problems();
    for (result, expected) in [
        (ok(), None),
        (json!({"success": false, "error": "no such chat"}), Some(ProblemKind::Rejected)),
        (json!({"success": false, "ambiguous": true}), Some(ProblemKind::AmbiguousResult)),
        (json!({"success": false, "code": "egress_declined"}), Some(ProblemKind::Declined)),
        (json!({"success": false, "error": "Egress declined: policy"}), Some(ProblemKind::Declined)),
        (json!({"success": false, "error": "egress declined: ack lost"}), Some(ProblemKind::Rejected)),
        (json!({"success": "true"}), Some(ProblemKind::NoSuccess)),
        (json!("yes"), Some(ProblemKind::NoSuccess)),
    ] {
        let kinds: Vec<_> = of(result.clone()).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, Vec::from_iter(expected), "{result}");
    }
}

#[test]
fn o_4_a_request_is_ambiguous_once_its_connection_ends() {
    let lost = Wire::new().connected(0).send(10, "a").other(json!({"t_ms": 20, "dir": "drop", "dial": 1}));
    assert_problems(lost, &[("5 outbound", ProblemKind::LostRequest), ("6 cut", ProblemKind::Cut)]);
    let pending = Wire::new().connected(0).send(10, "a");
    assert_problems(pending, &[("5 outbound", ProblemKind::Unanswered)]);
}

#[test]
fn l_9_refusals_are_told_apart() {
    let refused = |wire: Wire, t_ms| wire.close(t_ms, "connector", 4401, "unauthorized");
    assert_problems(refused(Wire::new().dial(0), 5), &[("3 close", ProblemKind::RefusedAtStart)]);
    let first = || refused(Wire::new().connected(0), 5);
    assert_problems(first(), &[("5 close", ProblemKind::Suspected)]);
    let both = [("5 close", ProblemKind::Suspected), ("7 close", ProblemKind::Revoked)];
    assert_problems(refused(first().dial(6), 7), &both);
    let http = |status: u16, body: &str| json!({"t_ms": 7, "dir": "reject", "dial": 2, "status": status, "body": body});
    let verdict = r#"{"error":"unauthorized"}"#;
    let by_http = [("5 close", ProblemKind::Suspected), ("7 rejected", ProblemKind::Revoked)];
    assert_problems(first().dial(6).other(http(401, verdict)), &by_http);
    let by_proxy = [("5 close", ProblemKind::Suspected), ("7 rejected", ProblemKind::RefusedElsewhere)];
    assert_problems(first().dial(6).other(http(401, "<html>")), &by_proxy);
    let served = first().connected(6).close(7, "connector", 1000, "");
    let over = [("5 close", ProblemKind::Suspected), ("13 close", ProblemKind::Suspected)];
    assert_problems(refused(served.connected(2000), 2001), &over);
    let expired = Wire::new().connected(0).close(5, "connector", 4401, "expired");
    assert_problems(expired, &[("5 close", ProblemKind::Expired)]);
}

#[test]
fn w_3_malformed_lines_are_marked_with_their_cause() {
    for (line, kind, cause) in [
        (r#"{"type":"inbound","#, ProblemKind::Malformed, "not valid JSON"),
        ("[1]", ProblemKind::Malformed, "not an object"),
        (r#"{"typ":"inbound"}"#, ProblemKind::Malformed, "no string `type`"),
        (r#"{"type":"going_idle_ack"}{"type":"x"}"#, ProblemKind::TwoOnALine, "2 objects"),
        (r#"{"type":"brand_new"}"#, ProblemKind::UnknownType, "brand_new"),
        (r#"{"type":"hello"}"#, ProblemKind::UnknownType, "hello"),
    ] {
        let view = Wire::new().connected(0).connector(5, line).view();
        let [problem] = view.problems.as_slice() else { panic!("{line}: {:?}", view.problems) };
        assert_eq!((problem.kind, view.entries[problem.at].raw.as_str()), (kind, line));
        assert!(problem.detail.contains(cause), "{}", problem.detail);
    }
}

#[test]
fn w_2_a_frame_without_its_newline_is_marked_where_it_began() {
    let unfinished = Wire::new().dial(0).gateway(0, HELLO).text(1, "connector", &descriptor().to_string());
    assert_problems(
        unfinished.close(30_000, "gateway", 1000, ""),
        &[("4 part of a frame", ProblemKind::MissingNewline), ("5 close", ProblemKind::NoHandshake)],
    );
    // A frame in two messages is no problem.
    let text = descriptor().to_string();
    let split = Wire::new().dial(0).gateway(0, HELLO).text(1, "connector", &text[..20]);
    let view = split.text(2, "connector", &format!("{}\n", &text[20..])).view();
    assert_eq!(view.problems, []);
    assert_eq!(view.entries[2].kind, EntryKind::Part);
    assert!(view.links.iter().any(|link| link.kind == LinkKind::Rest && (link.from, link.to) == (2, 3)));
}

#[test]
fn l_4_a_handshake_that_never_completes_is_marked() {
    let silent = Wire::new().dial(0).gateway(0, HELLO).close(30_000, "gateway", 1000, "");
    assert_problems(silent, &[("4 close", ProblemKind::NoHandshake)]);
    let lacking = r#"{"type":"descriptor","descriptor":{"contract_version":1}}"#;
    let unusable = Wire::new().dial(0).gateway(0, HELLO).connector(1, lacking).close(2, "gateway", 1000, "");
    assert_problems(
        unusable,
        &[("4 descriptor", ProblemKind::BadDescriptor), ("5 close", ProblemKind::NoHandshake)],
    );
}

#[test]
fn l_12_idleness_is_joined_and_checked() {
    let idle = r#"{"type":"going_idle"}"#;
    let ack = r#"{"type":"going_idle_ack"}"#;
    let live = json!({"type": "inbound", "event": {"text": "x", "source": {"chat_id": "7"}}}).to_string();
    let asked = || Wire::new().connected(0).gateway(10, idle);
    assert_problems(asked().connector(20, ack), &[]);
    assert_problems(
        asked().connector(20, ack).connector(21, &live),
        &[("7 inbound", ProblemKind::LiveWhileIdle)],
    );
    assert_problems(
        asked().close(20, "gateway", 1000, ""),
        &[("5 going_idle", ProblemKind::IdleUnconfirmed)],
    );
    assert_problems(
        Wire::new().connected(0).connector(5, ack),
        &[("5 going_idle_ack", ProblemKind::StrayIdleAck)],
    );
}

#[test]
fn l_5_waits_are_shown_and_early_dials_marked() {
    let cut = |wire: Wire, t_ms: u64| {
        let dial = wire.dials;
        wire.other(json!({"t_ms": t_ms, "dir": "drop", "dial": dial}))
    };
    let view = cut(Wire::new().connected(0), 100).connected(400).view();
    let dial = view.entries.iter().rfind(|entry| entry.kind == EntryKind::Dial).unwrap();
    assert_eq!(dial.waited, Some(300));
    let kinds: Vec<_> = view.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Cut, ProblemKind::EarlyDial]);
    let patient = cut(Wire::new().connected(0), 100).connected(700).view();
    assert_eq!(patient.problems.len(), 1);
}

#[test]
fn o_9_ops_and_texts_are_compared_with_the_descriptor() {
    let asks = |action: Value| {
        let frame = json!({"type": "outbound", "requestId": "a", "action": action, "platform": "slack"});
        Wire::new().connected(0).gateway(1, &frame.to_string()).result(2, "a", ok()).problems()
    };
    let kinds: Vec<_> = asks(json!({"op": "react", "chat_id": "7", "emoji": "x"}))
        .into_iter()
        .map(|(_, kind)| kind)
        .collect();
    assert_eq!(
        kinds,
        [ProblemKind::NotOffered, ProblemKind::NotFronted].into_iter().rev().collect::<Vec<_>>()
    );
    let long = asks(json!({"op": "send", "chat_id": "7", "content": "x".repeat(21)}));
    assert!(long.iter().any(|(_, kind)| *kind == ProblemKind::TextTooLong));
}

#[test]
fn x_2_a_gap_is_marked_and_what_follows_is_shown() {
    let view =
        Wire::new().connected(0).other(json!({"t_ms": 5, "dir": "gap", "lines": 3})).inbound(9, "e1").view();
    let gap = view.problems.iter().find(|problem| problem.kind == ProblemKind::Gap).unwrap();
    assert_eq!(
        (view.entries[gap.at].kind, view.entries.last().unwrap().name.as_str()),
        (EntryKind::Gap, "inbound")
    );
}

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let files = [folder.clone(), folder.join("2026-10")].into_iter().flat_map(|folder| {
        let paths = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).collect::<Vec<_>>()
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// The recordings are of a gateway that knows the protocol: what is marked is what they are about.
#[test]
fn every_recording_is_shown_whole() {
    let mut shown = String::new();
    for path in recordings() {
        let recording = Recording::load(&path).unwrap();
        let lines: BTreeSet<usize> = recording.lines.iter().map(|line| line.number).collect();
        for view in SessionView::of_all(recording) {
            let seen: BTreeSet<usize> = view
                .entries
                .iter()
                .filter_map(|entry| entry.id.split('.').next().unwrap().parse().ok())
                .collect();
            assert!(seen.is_subset(&lines) && view.has_host && view.no_states.is_none(), "{}", view.name);
            assert!(view.entries.windows(2).all(|two| two[0].t <= two[1].t), "{}", view.name);
            for link in &view.links {
                assert!(link.from < link.to && link.to < view.entries.len(), "{}: {link:?}", view.name);
            }
            shown.push_str(&format!("{}\n", view.name));
            for problem in &view.problems {
                let entry = &view.entries[problem.at];
                let (kind, rule) = (problem.kind.name(), problem.kind.rule());
                shown.push_str(&format!(
                    "  {} {}: {kind} ({rule}) {}\n",
                    entry.id, entry.name, problem.detail
                ));
            }
        }
    }
    insta::with_settings!({snapshot_path => "../../../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("view-problems", shown);
    });
}

#[test]
fn the_words_of_each_problem_are_of_a_rule_of_the_protocol() {
    let protocol =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../PROTOCOL.md")).unwrap();
    let mut names = BTreeSet::new();
    for kind in ProblemKind::ALL {
        assert!(protocol.contains(&format!("\n| {} | ", kind.rule())), "{kind:?}: no rule {}", kind.rule());
        assert!(names.insert(kind.name()), "{kind:?}");
        assert!(kind.words().ends_with('.') && kind.words().len() <= 200, "{kind:?}");
        assert!(!kind.title().ends_with('.') && kind.title().len() < 60, "{kind:?}");
    }
}

#[test]
fn c_4_no_credential_reaches_a_page_or_a_picture() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/reconnect-after-drop.jsonl");
    let recording = Recording::load(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let tokens: Vec<&str> =
        text.split("Bearer ").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let secret = recording.header.gateway.upgrade_secret.clone().unwrap();
    let views = SessionView::of_all(recording);
    let shown = [serde_json::to_string(&views).unwrap(), super::svg(&views[0])].concat();
    assert!(tokens.len() > 1 && shown.contains("Bearer <hidden>"));
    assert!(tokens.iter().all(|token| !shown.contains(token)) && !shown.contains(secret.expose()));
}

#[test]
fn hostile_text_stays_text() {
    let nasty = "</script><img src=x onerror=alert(1)>\u{202e}\u{0}\u{ffff}]]>&";
    let event = json!({"text": nasty, "source": {"platform": nasty, "chat_id": nasty, "user_name": nasty}});
    let frame = json!({"type": "inbound", "event": event, "bufferId": nasty}).to_string();
    let view = Wire::new()
        .connected(0)
        .connector(1, &frame)
        .connector(2, &json!({"type": nasty}).to_string())
        .view();
    let picture = super::svg(&view);
    assert!(
        !picture.contains("<img") && !picture.contains('\u{202e}') && !picture.contains('\u{0}'),
        "{picture}"
    );
    let page = Page::new("0", std::slice::from_ref(&view)).unwrap();
    assert_eq!(page.html().matches("<img").count(), 0);
    assert!(view.entries.iter().all(|entry| !entry.gist.contains('\u{202e}')));
}

/// The policy allows just the script and the style of the built page, so a change by hand or of line ends shows here.
#[test]
fn the_built_page_fits_its_policy() {
    let page = Page::new("0", &[]).unwrap();
    let html = page.html();
    let policy =
        html.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    for (begin, end) in [("<script>", "</script>"), ("<style>", "</style>")] {
        let content = html.split(begin).nth(1).unwrap().split(end).next().unwrap();
        let hash = data_encoding::BASE64.encode(&sha2::Sha256::digest(content.as_bytes()));
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{begin} {hash}: {policy}");
    }
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
    assert!(page.size().viewer < 300 << 10, "{:?}", page.size());
}

#[test]
fn frames_of_the_host_have_a_lane_of_their_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/discord-handshake-and-reply.jsonl");
    let view = SessionView::of(&Recording::load(&path).unwrap());
    let lanes =
        |kind| view.entries.iter().find(|entry| entry.kind == kind).map(|entry| (entry.from, entry.to));
    assert_eq!(lanes(EntryKind::Call), Some((Lane::Host, Lane::Gateway)));
    assert_eq!(lanes(EntryKind::Event), Some((Lane::Gateway, Lane::Host)));
    assert_eq!(lanes(EntryKind::Dial), Some((Lane::Gateway, Lane::Connector)));
}

/// P-7: a command and the answer to it are one turn.
#[test]
fn an_interaction_begins_a_turn() {
    let body =
        json!({"type": 2, "id": "i-1", "channel_id": "7", "user": {"id": "42"}, "data": {"name": "ask"}});
    let body = data_encoding::BASE64.encode(body.to_string().as_bytes());
    let forward =
        json!({"platform": "discord", "method": "POST", "path": "/", "headers": [], "bodyB64": body});
    let frame = json!({"type": "passthrough_forward", "forward": forward}).to_string();
    let view = Wire::new().connected(0).connector(5, &frame).send(9, "a").result(10, "a", ok()).view();
    assert_eq!((view.turns.len(), view.turns[0].entries), (1, 3));
    assert_eq!(view.entries[3].session.as_deref(), Some("agent:main:discord:dm:7"));
    assert_eq!(view.entries[3].gist, "discord · command · /ask");
}
