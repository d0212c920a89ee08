//! I: the first answer to a prompt, and the others.

use super::driver::{Rig, descriptor};
use crate::approver::Approver;
use crate::command::Command;
use crate::op::{Op, Prompt, PromptOption};
use serde_json::Value;
use std::time::Duration;

/// Returns a machine with an open prompt, and the prompt's id.
fn asked() -> (Rig, String) {
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let prompt_id = ask(&mut rig);
    (rig, prompt_id)
}

fn ask(rig: &mut Rig) -> String {
    rig.log();
    let options = vec![PromptOption::new("yes", "Yes")];
    rig.submit(Command::from(Prompt::new("c", "", options)));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    frame["action"]["prompt_id"].as_str().unwrap().to_owned()
}

fn press(prompt_id: &str, message_id: &str, entry: Option<&str>) -> String {
    let entry = entry.map(|entry| format!(r#","bufferId":"{entry}""#)).unwrap_or_default();
    format!(
        r#"{{"type":"inbound","event":{{"text":"/yes","message_id":"{message_id}","source":{{"chat_id":"c","user_id":"ann"}},"prompt_response":{{"prompt_id":"{prompt_id}","option_id":"yes"}}}}{entry}}}"#
    )
}

#[test]
fn i_3_i_4_the_first_answer_is_delivered_with_its_user() {
    let (mut rig, id) = asked();
    rig.line(&press(&id, "1", None));
    rig.expect(&[&format!("deliver 1 live answer {id} yes by ann")]);
    // It is answered already, so this is ignored.
    rig.line(&press(&id, "2", None));
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().late_answers, 1);
}

/// Returns a machine with a prompt that these users of two platforms may answer, and the prompt's id.
fn asked_of(approvers: &[(Option<&str>, &str)]) -> (Rig, String) {
    let mut rig =
        Rig::with(|config| config.identities = vec![("discord", "1").into(), ("slack", "2").into()]);
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    rig.line(&descriptor("slack", r#","supported_ops":["prompt"]"#));
    rig.log();
    let approver = |(platform, user_id): &(Option<&str>, &str)| Approver {
        platform: platform.map(str::to_owned),
        user_id: (*user_id).to_owned(),
    };
    let approvers: Vec<_> = approvers.iter().map(approver).collect();
    let prompt = Prompt::new("c", "", [PromptOption::new("yes", "Yes")]).approvers(approvers.into());
    rig.submit(Command::from(prompt));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    assert_eq!(frame["action"].get("approvers"), None);
    (rig, frame["action"]["prompt_id"].as_str().unwrap().to_owned())
}

/// Returns a press by a user of a platform; an empty user is none.
fn press_by(prompt_id: &str, message_id: &str, (platform, user): (&str, &str), entry: &str) -> String {
    format!(
        r#"{{"type":"inbound","event":{{"text":"/yes","message_id":"{message_id}","source":{{"platform":"{platform}","chat_id":"c","user_id":"{user}"}},"prompt_response":{{"prompt_id":"{prompt_id}","option_id":"yes"}}}},"bufferId":"{entry}"}}"#
    )
}

#[test]
fn i_8_an_answer_of_another_user_leaves_the_prompt_open() {
    let (mut rig, id) = asked_of(&[(Some("slack"), "boss"), (None, "ann")]);
    for (at, (platform, user)) in
        [("slack", "eve"), ("discord", "boss"), ("relay", "boss"), ("slack", "")].into_iter().enumerate()
    {
        rig.line(&press_by(&id, &at.to_string(), (platform, user), "e1"));
        // It reaches no host, so it is acknowledged (A-3).
        let unauthorized = format!("unauthorized answer {id}");
        rig.expect(&[&unauthorized, r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    }
    rig.line(&press_by(&id, "9", ("slack", "boss"), "e2"));
    rig.expect(&[&format!("deliver 1 buffered answer {id} yes by boss")]);
    let stats = rig.machine.stats();
    assert_eq!((stats.unauthorized_answers, stats.late_answers, stats.stale_answers), (4, 0, 0));
}

/// I-3 comes first: a prompt that is over is over for everybody.
#[test]
fn i_8_an_answered_prompt_is_silent_for_all() {
    let (mut rig, id) = asked_of(&[(None, "ann")]);
    rig.line(&press_by(&id, "1", ("discord", "ann"), "e1"));
    rig.line(&press_by(&id, "2", ("discord", "eve"), "e2"));
    let stats = rig.machine.stats();
    assert_eq!((stats.unauthorized_answers, stats.late_answers), (0, 1));
}

#[test]
fn i_3_foreign_and_stale_answers() {
    let (mut rig, id) = asked();
    rig.line(&press("000000.00000000", "1", Some("e1")));
    // The answer reaches no host, so it is acknowledged (A-3).
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    assert_eq!(rig.machine.stats().foreign_answers, 1);
    let unknown = format!("{}ffffffff", &id[..7]);
    rig.line(&press(&unknown, "2", None));
    rig.expect(&[&format!("stale prompt {unknown}")]);
    assert_eq!(rig.machine.stats().stale_answers, 1);
}

#[test]
fn i_2_an_expired_prompt_is_stale() {
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    rig.log();
    rig.submit(Command::from(Prompt::new("", "", Vec::new()).timeout(Duration::from_secs(5))));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    let id = frame["action"]["prompt_id"].as_str().unwrap().to_owned();
    rig.wait(5_001);
    rig.log();
    rig.line(&press(&id, "1", None));
    rig.expect(&[&format!("stale prompt {id}")]);
}

#[test]
fn i_3_a_refused_answer_can_be_given_again() {
    let (mut rig, id) = asked();
    rig.line(&press(&id, "1", Some("e1")));
    rig.expect(&[&format!("deliver 1 buffered answer {id} yes by ann")]);
    rig.reject(1);
    rig.log();
    rig.line(&press(&id, "1", Some("e1")));
    rig.expect(&[&format!("deliver 2 buffered answer {id} yes by ann")]);
    // A duplicate waits for the settlement, as always (A-4).
    rig.line(&press(&id, "1", Some("e2")));
    rig.expect(&[]);
    rig.taken(2);
    rig.expect(&[
        r#"> {"type":"inbound_ack","bufferId":"e1"}"#,
        r#"> {"type":"inbound_ack","bufferId":"e2"}"#,
    ]);
}

#[test]
fn i_2_a_prompt_that_was_never_asked_is_not_open() {
    let (mut rig, id) = asked();
    let wire = rig.machine.wire_id(crate::command::RequestId(1));
    rig.line(&format!(
        r#"{{"type":"outbound_result","requestId":"{wire}","result":{{"success":false,"error":"no"}}}}"#
    ));
    rig.log();
    rig.line(&press(&id, "1", None));
    rig.expect(&[&format!("stale prompt {id}")]);
}

#[test]
fn i_2_open_prompts_are_bounded_and_the_oldest_leaves() {
    let mut rig = Rig::with(|config| config.limits.prompts = 2);
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let ids: Vec<String> = (0..3).map(|_| ask(&mut rig)).collect();
    rig.line(&press(&ids[0], "1", None));
    rig.expect(&[&format!("stale prompt {}", ids[0])]);
    rig.line(&press(&ids[1], "2", None));
    rig.expect(&[&format!("deliver 1 live answer {} yes by ann", ids[1])]);
}

/// This is the default. One more evicts the oldest.
#[test]
fn i_2_1024_prompts_can_be_open() {
    let (mut rig, first) = asked();
    // Each is answered, so that it is no longer in flight (O-6).
    for number in 1..=1024 {
        let wire = rig.machine.wire_id(crate::command::RequestId(number));
        rig.line(&format!(
            r#"{{"type":"outbound_result","requestId":"{wire}","result":{{"success":true}}}}"#
        ));
        if number < 1024 {
            ask(&mut rig);
        }
    }
    let last = ask(&mut rig);
    rig.line(&press(&first, "1", None));
    rig.expect(&[&format!("stale prompt {first}")]);
    rig.line(&press(&last, "2", None));
    rig.expect(&[&format!("deliver 1 live answer {last} yes by ann")]);
}

#[test]
fn i_2_answered_prompts_are_evicted_before_open_ones() {
    let mut rig = Rig::with(|config| config.limits.prompts = 2);
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let open = ask(&mut rig);
    for n in 1..4 {
        let quick = ask(&mut rig);
        rig.line(&press(&quick, &n.to_string(), None));
        rig.expect(&[&format!("deliver {n} live answer {quick} yes by ann")]);
        // An answered prompt is silent as long as it is remembered.
        rig.line(&press(&quick, &format!("again {n}"), None));
        rig.expect(&[]);
    }
    rig.line(&press(&open, "9", None));
    rig.expect(&[&format!("deliver 4 live answer {open} yes by ann")]);
}

#[test]
fn i_2_the_connector_gets_no_longer_time_out() {
    for (asked, told) in [(9_999_000, 3600), (60_000, 60), (1_500, 2), (1, 1)] {
        let mut rig = Rig::new();
        rig.opened();
        rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
        rig.log();
        rig.submit(Prompt::new("", "", []).timeout(Duration::from_millis(asked)).into());
        let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
        assert_eq!(frame["action"]["timeout_s"], told, "{asked} ms");
    }
}

/// A-1: an answer without a message id is identified by its entry, not by its prompt. That it came before does not mean
/// that the host has it.
#[test]
fn a_1_i_3_a_repeated_answer_waits_for_the_host() {
    let (mut rig, id) = asked();
    let anonymous = press(&id, "", Some("e1")).replace(r#""message_id":"","#, "");
    rig.line(&anonymous);
    rig.expect(&[&format!("deliver 1 buffered answer {id} yes by ann")]);
    rig.lost();
    rig.next();
    rig.connect();
    rig.line(&anonymous);
    rig.expect(&[]);
    // If the host refuses it, it is delivered once more. If the host accepts it, its entry is acknowledged.
    rig.reject(1);
    rig.expect(&[&format!("deliver 2 buffered answer {id} yes by ann")]);
    rig.taken(2);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    rig.line(&anonymous);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    // A live answer has no identity: the prompt is answered (I-3).
    rig.line(&press(&id, "", None).replace(r#""message_id":"","#, ""));
    rig.expect(&[]);
    assert_eq!((rig.machine.stats().duplicates, rig.machine.stats().late_answers), (1, 1));
}

/// X-2, I-2: an evicted prompt is counted. A prompt that could not be sent evicts none.
#[test]
fn i_2_x_2_only_a_sent_prompt_evicts_another() {
    let mut rig = Rig::with(|config| {
        config.limits.prompts = 1;
        config.limits.write_queue_bytes = 2000;
    });
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let first = ask(&mut rig);
    let options = vec![PromptOption::new("yes", "Yes")];
    let long = Prompt::new("c", "x".repeat(5000), options);
    assert!(rig.refused(Command::Op(Op::Prompt(long))).starts_with("definite: it does not fit"));
    assert_eq!(rig.machine.stats().prompts_evicted, 0);
    rig.line(&press(&first, "1", None));
    rig.expect(&[&format!("deliver 1 live answer {first} yes by ann")]);
    let (second, third) = (ask(&mut rig), ask(&mut rig));
    assert_eq!(rig.machine.stats().prompts_evicted, 1);
    rig.line(&press(&second, "2", None));
    rig.expect(&[&format!("stale prompt {second}")]);
    rig.line(&press(&third, "3", None));
    rig.expect(&[&format!("deliver 2 live answer {third} yes by ann")]);
}

/// I-3, X-2: a reopened prompt counts as an open one.
#[test]
fn i_3_a_reopened_prompt_takes_the_place_of_the_oldest() {
    let mut rig = Rig::with(|config| config.limits.prompts = 1);
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let first = ask(&mut rig);
    rig.line(&press(&first, "1", None));
    let second = ask(&mut rig);
    rig.log();
    assert_eq!(rig.machine.stats().prompts_evicted, 0);
    rig.reject(1);
    assert_eq!(rig.machine.stats().prompts_evicted, 1);
    rig.line(&press(&second, "2", None));
    rig.expect(&[&format!("stale prompt {second}")]);
    rig.line(&press(&first, "3", None));
    rig.expect(&[&format!("deliver 2 live answer {first} yes by ann")]);
}

fn own(id: &str) -> Command {
    let options = vec![PromptOption::new("yes", "Yes")];
    Command::from(Prompt::new("c", "", options).prompt_id(id))
}

#[test]
fn i_6_a_host_may_bring_its_own_id() {
    let (mut rig, given) = asked();
    rig.log();
    let asked = rig.submit(own("order-7"));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    assert_eq!(frame["action"]["prompt_id"], "order-7");
    // The id of an open prompt is refused, and that prompt stays open.
    let open = "definite: a prompt with the id \"order-7\" is open: choose another, or wait for its answer";
    assert_eq!(rig.refused(own("order-7")), open);
    assert!(
        rig.refused(own(&given)).ends_with("is an id of the kind that this gateway gives: choose another")
    );
    assert!(rig.refused(own("a b")).starts_with("definite: \"a b\" is not a prompt id: write 1 to 32"));
    rig.answer(asked, r#"{"success":true,"message_id":"m1"}"#);
    rig.expect(&["r2 prompted order-7 m1"]);
    rig.line(&press("order-7", "1", None));
    rig.expect(&["deliver 1 live answer order-7 yes by ann"]);
    rig.line(&press("order-7", "2", None));
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().late_answers, 1);
    // The id of an answered prompt is free. So is that of a prompt that could not be sent.
    let again = rig.submit(own("order-7"));
    rig.log();
    rig.answer(again, r#"{"success":false,"error":"no"}"#);
    rig.submit(own("order-7"));
    rig.log();
    rig.line(&press("order-7", "3", None));
    rig.expect(&["deliver 2 live answer order-7 yes by ann"]);
    // An id of another host is foreign, and ignored.
    rig.line(&press("order-8", "4", None));
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().foreign_answers, 1);
}

#[test]
fn i_6_an_expired_prompt_with_an_id_of_the_hosts_is_stale() {
    let (mut rig, _) = asked();
    let Command::Op(Op::Prompt(prompt)) = own("order-7") else { return };
    rig.submit(prompt.timeout(Duration::from_secs(5)).into());
    rig.wait(5_001);
    rig.log();
    rig.line(&press("order-7", "1", None));
    rig.expect(&["stale prompt order-7"]);
    rig.submit(own("order-7"));
}

/// With the setting off, every answer is delivered as a message.
#[test]
fn i_6_with_prompts_off_answers_are_plain_events() {
    let mut rig = Rig::with(|config| config.prompts = false);
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let (first, second) = (ask(&mut rig), ask(&mut rig));
    assert_ne!(first, second);
    rig.submit(own("order-7"));
    rig.submit(own("order-7"));
    rig.log();
    for (n, id) in [&first, &first, "order-7", "000000.00000000", "another"].into_iter().enumerate() {
        let n = n + 1;
        rig.line(&press(id, &n.to_string(), Some(&format!("e{n}"))));
        // It is acknowledged once the host has accepted it.
        rig.expect(&[&format!("deliver {n} buffered c {n}")]);
    }
    let stats = rig.machine.stats();
    assert_eq!((stats.late_answers, stats.foreign_answers, stats.stale_answers, stats.acks), (0, 0, 0, 0));
    assert_eq!((stats.prompts_evicted, rig.machine.usage().prompts), (0, 0));
    rig.reject(2);
    rig.taken(1);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
}
