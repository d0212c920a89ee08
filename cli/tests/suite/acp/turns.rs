//! Turns as chats see them.

use super::{Acp, KEY};
use relayline_connector::Act;
use serde_json::{Value, json};

on_one_runtime! {
    chunks_are_a_growing_reply a_permission_is_a_prompt_that_its_author_answers,
    an_interrupt_cancels_the_turn,
    o_15_a_turn_is_bracketed m_7_of_the_agents_messages_only_the_last_notifies,
    o_16_steps_and_plans_are_a_task_card_on_slack steps_are_one_edited_line_elsewhere,
    i_4_another_user_may_not_answer an_approver_may_answer,
    an_unattended_gateway_decides_by_itself a_permission_expires,
    stop_ends_the_turn a_busy_session_queues_or_rejects,
    a_flood_of_chunks_arrives an_endless_flood_does_not_hold_back_a_stop,
    thoughts_are_shown_on_request,
    every_reason_but_the_usual_has_one_line files_and_terminals_are_not_found,
}

fn chunks_are_a_growing_reply(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("say Hel; wait 50; say lo, world");
    let texts = acp.texts();
    assert_eq!(texts.first().unwrap(), "send Hel");
    assert_eq!(texts.last().unwrap(), "edit Hello, world");
    // The session goes on.
    assert_eq!(acp.answer("say again"), "again");
}

fn o_15_a_turn_is_bracketed(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("say hi");
    let done = |action: &Value| action["op"] == "react" && action["emoji"] == "✅";
    let actions = acp.actions_until(done);
    let reactions: Vec<_> = actions.iter().filter(|action| action["op"] == "react").collect();
    assert_eq!((&reactions[0]["emoji"], &reactions[0]["message_id"]), (&json!("👀"), &json!("msg-1")));
}

fn m_7_of_the_agents_messages_only_the_last_notifies(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("message a One.; message b Two.; message c Three.");
    let actions = acp.actions_until(|action| action["metadata"]["notify"] == true);
    let shown: Vec<_> = actions
        .iter()
        .filter(|action| action["op"] == "send")
        .map(|action| (action["content"].as_str().unwrap(), action["reply_to"].as_str()))
        .collect();
    assert_eq!(shown, [("One.", Some("msg-1")), ("Two.", None), ("Three.", None)]);
    let notifies = |action: &&Value| action["metadata"].get("notify").is_some();
    assert_eq!(actions.iter().filter(notifies).count(), 1);
}

fn o_16_steps_and_plans_are_a_task_card_on_slack(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--set", "acp_progress_interval=1ms"], &[]);
    let source = json!({ "platform": "slack", "chat_id": "D1", "user_id": "u1", "thread_id": "t1" });
    acp.say_with("plan look; wait 20; tool Read; wait 20; done Read; say Done.", json!({ "source": source }));
    let actions = acp.actions_until(|action| action["op"] == "task_card_stop");
    let cards: Vec<_> = actions.iter().filter(|action| action["op"] == "task_card").collect();
    let steps = |card: &Value| {
        let chunks = card["chunks"].as_array().unwrap().iter();
        chunks
            .map(|chunk| format!("{}={}", chunk["title"], chunk["status"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(cards[0]), ["look=in_progress"]);
    assert_eq!(steps(cards.last().unwrap()), ["look=complete", "Read=complete"]);
    assert_eq!(cards[0]["card_id"], "turn:msg-1");
}

fn steps_are_one_edited_line_elsewhere(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--set", "acp_progress_interval=1ms"], &[]);
    acp.say("tool Read; wait 50; failed Read; say Done.");
    let last = |action: &Value| action["content"].as_str().is_some_and(|text| text.starts_with('✔'));
    let actions = acp.actions_until(last);
    let lines: Vec<_> = actions.iter().filter_map(|action| action["content"].as_str()).collect();
    assert!(lines.contains(&"⏳ Read (0 of 1 done)"), "{lines:?}");
    assert_eq!(*lines.last().unwrap(), "✔ 1 step, 1 failed");
}

fn prompted(acp: &Acp) -> Value {
    acp.actions_until(|action| action["op"] == "prompt").pop().unwrap()
}

fn a_permission_is_a_prompt_that_its_author_answers(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("ask Run ls");
    let prompt = prompted(&acp);
    assert_eq!((&prompt["prompt_kind"], &prompt["content"]), (&json!("approval"), &json!("🔐 Run ls")));
    assert_eq!(prompt["options"][0]["label"], "Allow");
    acp.press("Allow", "u1");
    assert_eq!(acp.last_text(), "<allow it>");
}

fn i_4_another_user_may_not_answer(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("ask Run ls");
    prompted(&acp);
    acp.press("Allow", "u2");
    acp.actions_until(|action| {
        action["content"].as_str().is_some_and(|text| text.starts_with("Only the person"))
    });
    // The buttons of a platform may be gone now: a number is an answer, too.
    acp.say("2");
    assert_eq!(acp.last_text(), "<reject it>");
}

fn an_approver_may_answer(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--approver", "boss"], &[]);
    acp.say("ask Run ls");
    prompted(&acp);
    acp.press("Reject", "boss");
    assert_eq!(acp.last_text(), "<reject it>");
}

fn an_unattended_gateway_decides_by_itself(runtime: &str) {
    for (decision, answer) in [("allow", "<allow it>"), ("deny", "<reject it>")] {
        let mut acp = Acp::start(runtime, &["--approve", decision], &[]);
        acp.program.logged(&format!("--approve {decision}"));
        assert_eq!(acp.answer("ask Run ls"), answer);
    }
}

fn a_permission_expires(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--approval-timeout", "50ms"], &[]);
    assert_eq!(acp.answer("ask Run ls"), "<cancelled>");
}

fn an_interrupt_cancels_the_turn(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("say working; until-cancelled");
    acp.actions_until(|action| action["content"] == "working");
    acp.tell(Act::Interrupt { session_key: KEY.to_owned(), chat_id: "c1".to_owned() });
    acp.say("say next");
    let texts = acp.texts();
    assert_eq!(texts.last().unwrap(), "edit next");
    assert!(!texts.iter().any(|text| text.contains("too late")), "{texts:?}");
}

fn stop_ends_the_turn(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("say working; until-cancelled");
    acp.actions_until(|action| action["content"] == "working");
    assert_eq!(acp.answer("/stop"), "Stopped.");
    // Once it has ended.
    assert_eq!(acp.answer("say next"), "next");
    assert_eq!(acp.answer("/stop"), "There is nothing to stop.");
}

fn a_busy_session_queues_or_rejects(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("ask first");
    prompted(&acp);
    acp.say("say second");
    acp.press("Allow", "u1");
    assert_eq!((acp.last_text(), acp.last_text()), ("<allow it>".to_owned(), "second".to_owned()));
    let mut acp = Acp::start(runtime, &["--busy", "reject"], &[]);
    acp.say("ask first");
    prompted(&acp);
    assert!(acp.answer("say second").starts_with("The agent is still working"));
}

fn a_flood_of_chunks_arrives(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("flood 19990; say .");
    let last = acp.last_text();
    // The answer is longer than a message, so that this is its last part.
    assert!(last.ends_with("x.") && last.len() <= 2000, "{last:.100}");
    assert_eq!(acp.answer("say next"), "next");
}

fn an_endless_flood_does_not_hold_back_a_stop(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("say working; endless; until-cancelled");
    acp.actions_until(|action| action["content"] == "working");
    assert_eq!(acp.answer("/stop"), "Stopped.");
}

fn thoughts_are_shown_on_request(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--acp-verbose"], &[]);
    assert_eq!(acp.answer("think Hm; say Aha"), "💭 Hm\n\nAha");
}

fn every_reason_but_the_usual_has_one_line(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    assert!(acp.answer("say x; end max_tokens").contains("its limit of tokens"));
    assert!(acp.answer("end refusal").contains("refused to continue"));
}

fn files_and_terminals_are_not_found(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    assert_eq!(acp.answer("file"), "<-32601>");
    assert_eq!(acp.answer("say next"), "next");
}
