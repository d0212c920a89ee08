//! I: a prompt's answers, the first and the others.

use super::driver::{Rig, descriptor};
use crate::command::Command;
use crate::prompts::{Prompt, PromptOption};
use serde_json::Value;
use std::time::Duration;

/// A machine that has asked; and the prompt's id.
fn asked() -> (Rig, String) {
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let prompt_id = ask(&mut rig);
    (rig, prompt_id)
}

fn ask(rig: &mut Rig) -> String {
    rig.log();
    let options = vec![PromptOption { id: "yes".into(), label: "Yes".into(), style: None }];
    rig.submit(Command::Prompt(Prompt { chat_id: "c".into(), options, ..Prompt::default() }));
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
fn i_03_i_04_the_first_answer_is_the_hosts_with_who_gave_it() {
    let (mut rig, id) = asked();
    rig.line(&press(&id, "1", None));
    rig.expect(&[&format!("deliver 1 live answer {id} yes by ann")]);
    // Answered already: silence.
    rig.line(&press(&id, "2", None));
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().late_answers, 1);
}

#[test]
fn i_03_another_process_and_what_is_stale() {
    let (mut rig, id) = asked();
    rig.line(&press("000000.00000000", "1", Some("e1")));
    // It reaches no host, so it is acknowledged (A-3).
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    assert_eq!(rig.machine.stats().foreign_answers, 1);
    let unknown = format!("{}ffffffff", &id[..7]);
    rig.line(&press(&unknown, "2", None));
    rig.expect(&[&format!("stale prompt {unknown}")]);
    assert_eq!(rig.machine.stats().stale_answers, 1);
}

#[test]
fn i_02_an_expired_prompt_is_stale() {
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    rig.log();
    rig.submit(Command::Prompt(Prompt { timeout: Some(Duration::from_secs(5)), ..Prompt::default() }));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    let id = frame["action"]["prompt_id"].as_str().unwrap().to_owned();
    rig.wait(5_001);
    rig.log();
    rig.line(&press(&id, "1", None));
    rig.expect(&[&format!("stale prompt {id}")]);
}

#[test]
fn i_03_a_refused_answer_can_be_given_again() {
    let (mut rig, id) = asked();
    rig.line(&press(&id, "1", Some("e1")));
    rig.expect(&[&format!("deliver 1 buffered answer {id} yes by ann")]);
    rig.reject(1);
    rig.log();
    rig.line(&press(&id, "1", Some("e1")));
    rig.expect(&[&format!("deliver 2 buffered answer {id} yes by ann")]);
    // A duplicate waits for its twin's fate, as ever (A-4).
    rig.line(&press(&id, "1", Some("e2")));
    rig.expect(&[]);
    rig.taken(2);
    rig.expect(&[
        r#"> {"type":"inbound_ack","bufferId":"e1"}"#,
        r#"> {"type":"inbound_ack","bufferId":"e2"}"#,
    ]);
}

#[test]
fn i_02_a_prompt_that_was_never_asked_is_not_open() {
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
fn i_02_at_most_so_many_are_open_and_the_oldest_goes() {
    let mut rig = Rig::with(|config| config.limits.prompts = 2);
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let ids: Vec<String> = (0..3).map(|_| ask(&mut rig)).collect();
    rig.line(&press(&ids[0], "1", None));
    rig.expect(&[&format!("stale prompt {}", ids[0])]);
    rig.line(&press(&ids[1], "2", None));
    rig.expect(&[&format!("deliver 1 live answer {} yes by ann", ids[1])]);
}

/// By default; and the oldest of one more leaves.
#[test]
fn i_02_it_holds_1024_prompts() {
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
fn i_02_what_is_answered_makes_room_before_what_is_open() {
    let mut rig = Rig::with(|config| config.limits.prompts = 2);
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let open = ask(&mut rig);
    for n in 1..4 {
        let quick = ask(&mut rig);
        rig.line(&press(&quick, &n.to_string(), None));
        rig.expect(&[&format!("deliver {n} live answer {quick} yes by ann")]);
        // Answered already: silence, as long as it is remembered.
        rig.line(&press(&quick, &format!("again {n}"), None));
        rig.expect(&[]);
    }
    rig.line(&press(&open, "9", None));
    rig.expect(&[&format!("deliver 4 live answer {open} yes by ann")]);
}

#[test]
fn i_02_the_connector_is_told_no_more_time_than_there_is() {
    for (asked, told) in [(9_999_000, 3600), (60_000, 60), (1_500, 2), (1, 1)] {
        let mut rig = Rig::new();
        rig.opened();
        rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
        rig.log();
        let timeout = Some(Duration::from_millis(asked));
        rig.submit(Command::Prompt(Prompt { timeout, ..Prompt::default() }));
        let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
        assert_eq!(frame["action"]["timeout_s"], told, "{asked} ms");
    }
}

/// A-1: an answer without an id of its own is told by its entry, and not by its prompt: that it has come before does not
/// mean that the host has it.
#[test]
fn a_01_i_03_an_answer_that_comes_again_waits_for_the_hosts_word() {
    let (mut rig, id) = asked();
    let anonymous = press(&id, "", Some("e1")).replace(r#""message_id":"","#, "");
    rig.line(&anonymous);
    rig.expect(&[&format!("deliver 1 buffered answer {id} yes by ann")]);
    rig.lost();
    rig.next();
    rig.connect();
    rig.line(&anonymous);
    rig.expect(&[]);
    // Refused, it comes to the host once more; taken, its entry is acknowledged.
    rig.reject(1);
    rig.expect(&[&format!("deliver 2 buffered answer {id} yes by ann")]);
    rig.taken(2);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    rig.line(&anonymous);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    // One that is live has nothing to be told by: the prompt is answered (I-3).
    rig.line(&press(&id, "", None).replace(r#""message_id":"","#, ""));
    rig.expect(&[]);
    assert_eq!((rig.machine.stats().duplicates, rig.machine.stats().late_answers), (1, 1));
}

/// X-2, I-2: a prompt that makes room is counted, and makes room for none that could not be asked.
#[test]
fn i_02_x_02_only_what_is_asked_takes_the_place_of_another() {
    let mut rig = Rig::with(|config| {
        config.limits.prompts = 1;
        config.limits.write_queue_bytes = 2000;
    });
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["prompt"]"#));
    let first = ask(&mut rig);
    let options = vec![PromptOption { id: "yes".into(), label: "Yes".into(), style: None }];
    let long = Prompt { chat_id: "c".into(), options, content: "x".repeat(5000), ..Prompt::default() };
    assert!(rig.refused(Command::Prompt(long)).starts_with("definite: it does not fit"));
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
