//! The workbench with a connector's machine and a gateway that is played.

use super::*;
use relayline_connector::chats::Platform;
use relayline_connector::{ConnId, ConnectorConfig, ConnectorMachine, Upgrade};
use relayline_core::op::OPS;
use relayline_core::time::Now;

const A: ConnId = ConnId(1);

/// A connector, its workbench, and a gateway on three platforms.
struct Bench {
    machine: ConnectorMachine,
    workbench: Workbench,
    now: Now,
    requests: u64,
}

struct OfMachine<'a>(&'a mut ConnectorMachine, Now);

impl Files for OfMachine<'_> {
    fn message_id(&mut self, platform: &str) -> String {
        self.0.message_id(self.1, platform)
    }

    fn add_file(&mut self, file: UserFile) -> Option<String> {
        let id = self.0.add_file(self.1, "", file)?;
        Some(format!("http://127.0.0.1/relay/media/{id}"))
    }

    fn file(&mut self, url: &str) -> Option<UserFile> {
        self.0.file(self.1, "", url.rsplit('/').next()?)
    }
}

impl Bench {
    /// Returns a connected gateway. Every platform offers every op.
    fn new() -> Bench {
        let mut config = ConnectorConfig::default().observes_output(true);
        config.platforms = Platform::fakes();
        for platform in &mut config.platforms {
            let all: Vec<&str> = OPS.iter().map(|op| op.name).collect();
            platform.descriptor.insert("supported_ops".to_owned(), json!(all));
            platform.descriptor.insert("supports_draft_streaming".to_owned(), true.into());
        }
        let now = Now { unix_s: 1_718_900_000, ..Now::default() };
        let machine = ConnectorMachine::new(config, [7; 32]);
        let mut bench = Bench { machine, workbench: Workbench::new(None), now, requests: 0 };
        bench.dial(A);
        bench
    }

    fn dial(&mut self, conn: ConnId) {
        let upgrade = self.machine.handle_upgrade(self.now, conn, "/relay", None);
        assert!(matches!(upgrade, Upgrade::Accept { .. }));
        for platform in ["discord", "telegram", "slack"] {
            let manifest = json!([{"name": "ask", "description": "Asks", "options": [{"name": "question", "type": 3}]},
                {"name": "Menu", "type": 2}, {"description": "without a name"}]);
            self.gateway(
                conn,
                &json!({"type": "hello", "platform": platform, "botId": "1", "command_manifest": manifest}),
            );
        }
    }

    fn observe(&mut self) -> Vec<Update> {
        let mut out = Vec::new();
        while self.machine.poll_transmit(&mut out).is_some() {}
        while let Some(seen) = self.machine.poll_observation() {
            self.workbench.observe(5, &seen, &mut OfMachine(&mut self.machine, self.now));
        }
        self.workbench.take_updates()
    }

    fn gateway(&mut self, conn: ConnId, frame: &Value) -> Vec<Update> {
        self.machine.handle_bytes(self.now, conn, format!("{frame}\n").as_bytes());
        self.observe()
    }

    /// Requests an op, and returns what the page shows of it.
    fn op(&mut self, platform: &str, action: Value) -> Vec<Update> {
        self.requests += 1;
        let id = self.requests.to_string();
        let frame = json!({"type": "outbound", "requestId": id, "platform": platform, "action": action});
        let updates = self.gateway(A, &frame);
        updates
            .into_iter()
            .filter(|update| !matches!(update, Update::Frame { .. } | Update::Gateway { .. }))
            .collect()
    }

    fn act(&mut self, action: Value) -> Result<Vec<Update>, String> {
        let action = serde_json::from_value(action).unwrap();
        let plan = self.workbench.plan(5, action, &mut OfMachine(&mut self.machine, self.now))?;
        for act in &plan.acts {
            self.machine.control(self.now, Act::clone(act)).map_err(|error| error.to_string())?;
        }
        self.workbench.commit(5, plan);
        Ok(self.observe())
    }

    /// Returns the frames that were sent to the gateway by an action.
    fn sent(&mut self, action: Value) -> Vec<Value> {
        let before = self.workbench.frames.all().back().map_or(0, |frame| frame.number);
        self.act(action).unwrap();
        let frames = self.workbench.frames.all().iter().filter(|frame| frame.number > before);
        frames.map(|frame| serde_json::from_str(&frame.json).unwrap()).collect()
    }

    fn messages(&self, chat: &str) -> Vec<&Message> {
        self.workbench.chats.get(chat).unwrap().messages.iter().collect()
    }

    fn last(&self, chat: &str) -> &Message {
        self.workbench.chats.get(chat).unwrap().messages.back().unwrap()
    }
}

const GENERAL: &str = "discord/1234567890123456789";
const ADA: &str = "204255221017214977";
const TOPIC: &str = "telegram/-1001987654321/42";
const CHANNEL: &str = "slack/C07AB12CD3E";
const LIN: &str = "U07LN8QK2VA";

fn say(chat: &str, user: &str, text: &str) -> Value {
    json!({"do": "say", "chat": chat, "user": user, "text": text})
}

/// Returns an example of an op. `sent` is the id of a message that was sent.
fn example(name: &str, sent: &str) -> Value {
    let mut action = match name {
        "send" => json!({"content": "hi"}),
        "edit" => json!({"message_id": sent, "content": "changed"}),
        "delete" => json!({"message_id": sent}),
        "typing" => json!({"content": "thinking"}),
        "follow_up" => {
            json!({"session_key": "agent:main:discord:group:1234567890123456789:2", "kind": "discord.interaction_token",
            "content": "later"})
        }
        "get_chat_info" => json!({}),
        "send_media" => {
            json!({"media_kind": "image", "source_url": "https://e.example/x.png", "content": "look"})
        }
        "prompt" => json!({"prompt_id": "p1", "content": "Which?", "options": [{"id": "a", "label": "A"}]}),
        "react" => json!({"message_id": sent, "emoji": "👍"}),
        "thread_create" => json!({"thread_name": "plan"}),
        "thread_rename" => json!({"message_id": "1234567890123456790", "thread_name": "new plan"}),
        "draft" => json!({"draft_id": 1, "content": "so far", "final": false}),
        "task_card" => {
            json!({"card_id": "turn:1", "chunks": [{"id": "a", "title": "Read", "status": "in_progress"}]})
        }
        "task_card_stop" => json!({"card_id": "turn:1"}),
        "raw" => json!({"op": "dance", "steps": 3}),
        other => panic!("an example of {other} is needed, and ops.rs must show it"),
    };
    if action.get("op").is_none() {
        action["op"] = name.into();
    }
    if action.get("session_key").is_none() {
        action["chat_id"] = "1234567890123456789".into();
    }
    action
}

#[test]
fn every_op_is_shown() {
    let mut bench = Bench::new();
    bench.op("discord", example("send", ""));
    let sent = bench.last(GENERAL).key.clone();
    let mut names: Vec<&str> = OPS.iter().map(|op| op.name).collect();
    // The deleted message cannot be edited any more.
    names.sort_by_key(|name| *name == "delete");
    for name in names {
        let updates = bench.op("discord", example(name, &sent));
        assert!(!updates.is_empty(), "{name} is not shown");
        let is_error = |update: &Update| matches!(update, Update::Message { message, .. } if message.author == Author::Note { is_error: true });
        assert_eq!(updates.iter().any(is_error), name == "raw", "{name}: {updates:?}");
    }
    let sent = bench.messages(GENERAL).into_iter().find(|message| message.key == sent).unwrap();
    assert!(sent.is_deleted && sent.edits == 1 && sent.text.as_str().is_empty());
    let shown: Vec<&str> = bench.messages(GENERAL).iter().map(|message| message.text.as_str()).collect();
    for text in ["hi", "later", "look", "Which?", "the agent opened the thread “plan”"] {
        assert!(shown.contains(&text), "{text}: {shown:?}");
    }
    assert!(shown.iter().any(|text| text.starts_with("dance was refused: unknown op")), "{shown:?}");
    assert_eq!(bench.workbench.chats.all().iter().filter(|chat| chat.name == "plan").count(), 1);
    assert!(bench.workbench.chats.all().iter().any(|chat| chat.name == "new plan"));
}

#[test]
fn a_scripted_success_of_an_unknown_op_is_shown() {
    let mut bench = Bench::new();
    let act = Act::Answer { op: "dance".to_owned(), result: json!({"success": true}) };
    bench.machine.control(bench.now, act).unwrap();
    bench.op("discord", example("raw", ""));
    assert!(bench.last(GENERAL).text.as_str().starts_with("dance was carried out"));
    bench.op("discord", json!({"op": "dance"}));
    assert!(bench.last(GENERAL).text.as_str().contains("names no chat"));
}

#[test]
fn a_message_reaches_the_gateway_and_its_answer_the_chat() {
    let mut bench = Bench::new();
    let sent = bench.sent(say(GENERAL, ADA, "hello"));
    let (event, message) = (&sent[0]["event"], bench.last(GENERAL));
    assert_eq!((&event["text"], &event["message_id"]), (&json!("hello"), &json!(message.key)));
    assert_eq!(event["source"]["user_name"], "ada");
    assert_eq!(message.progress, Some(Progress::Sent));
    bench.op("discord", json!({"op": "typing", "chat_id": "1234567890123456789"}));
    assert!(bench.workbench.chats.get(GENERAL).unwrap().typing.is_some());
    let action = json!({"op": "send", "chat_id": "1234567890123456789", "content": "hi", "reply_to": event["message_id"]});
    bench.op("discord", action);
    let answer = bench.last(GENERAL);
    assert!(answer.is_of_agent() && answer.reply_to.is_some());
    assert!(bench.workbench.chats.get(GENERAL).unwrap().typing.is_none(), "an answer ends the typing sign");
}

#[test]
fn an_edit_is_an_event_and_a_deletion_is_not() {
    let mut bench = Bench::new();
    bench.sent(say(GENERAL, ADA, "helo"));
    let key = bench.last(GENERAL).key.clone();
    let sent = bench.sent(json!({"do": "edit", "chat": GENERAL, "message": key, "text": "hello"}));
    assert_eq!(sent.last().unwrap()["event"]["source"]["message_is_edit"], true);
    assert_eq!((bench.last(GENERAL).text.as_str(), bench.last(GENERAL).edits), ("hello", 1));
    let delete = json!({"do": "delete", "chat": GENERAL, "message": key});
    bench.act(delete.clone()).unwrap();
    assert!(bench.last(GENERAL).is_deleted);
    assert!(bench.act(delete).unwrap_err().contains("gone"));
}

#[test]
fn p_3_a_declared_command_is_an_interaction_on_discord() {
    let mut bench = Bench::new();
    assert_eq!(bench.workbench.commands.len(), 1, "{:?}", bench.workbench.commands);
    let sent = bench.sent(say(GENERAL, ADA, "/ask what now?"));
    assert_eq!(sent[0]["type"], "passthrough_forward");
    assert_eq!(bench.last(GENERAL).progress, Some(Progress::Sent));
    let sent = bench.sent(say(GENERAL, ADA, "/other thing"));
    assert_eq!(
        (&sent.last().unwrap()["type"], &sent.last().unwrap()["event"]["message_type"]),
        (&json!("inbound"), &json!("command"))
    );
    let sent = bench.sent(say(TOPIC, "123456789", "/ask what now?"));
    assert_eq!(sent.last().unwrap()["event"]["text"], "/ask what now?");
}

#[test]
fn a_button_is_pressed_once_by_a_user() {
    let mut bench = Bench::new();
    bench.op(
        "slack",
        json!({"op": "prompt", "chat_id": "C07AB12CD3E", "prompt_id": "p", "content": "?", "options":
        [{"id": "y", "label": "Yes"}, {"id": "n", "label": "No"}]}),
    );
    let press = |option: &str| json!({"do": "press", "chat": CHANNEL, "user": "U07SAM42K9Q", "prompt": "p", "option": option});
    assert!(bench.act(press("maybe")).unwrap_err().contains("no such button"));
    let sent = bench.sent(press("y"));
    let event = &sent[0]["event"];
    assert_eq!(
        (&event["prompt_response"]["option_id"], &event["source"]["user_name"]),
        (&json!("y"), &json!("sam"))
    );
    let answer = bench.last(CHANNEL).prompt.as_ref().unwrap().answer.clone();
    assert_eq!(answer, Some(("Yes".to_owned(), "sam".to_owned())));
    assert!(bench.act(press("n")).is_err(), "the connector has removed the buttons");
}

#[test]
fn m_8_a_reply_in_a_thread_of_slack_stands_below_its_root() {
    let mut bench = Bench::new();
    bench.sent(say(CHANNEL, LIN, "root"));
    let root = bench.last(CHANNEL).key.clone();
    bench.op(
        "slack",
        json!({"op": "send", "chat_id": "C07AB12CD3E", "content": "below", "metadata": {"thread_id": root}}),
    );
    assert_eq!(bench.last(CHANNEL).thread.as_ref(), Some(&root));
    let mut more = say(CHANNEL, LIN, "more");
    more["thread"] = json!(root);
    let sent = bench.sent(more);
    assert_eq!(sent.last().unwrap()["event"]["source"]["thread_id"], json!(root));
    assert_eq!(bench.last(CHANNEL).thread, Some(root));
}

#[test]
fn a_topic_of_telegram_is_a_chat_of_its_own() {
    let mut bench = Bench::new();
    let action = |thread: Value| json!({"op": "send", "chat_id": "-1001987654321", "content": "x", "metadata": {"thread_id": thread}});
    bench.op("telegram", action(json!("42")));
    assert_eq!(bench.messages(TOPIC).len(), 1);
    bench.op("telegram", action(json!(42)));
    assert_eq!(bench.messages(TOPIC).len(), 2, "an id can be a number");
    bench.act(json!({"do": "open_thread", "chat": "telegram/-1001234567890", "name": "Books"})).unwrap();
    let opened = bench.workbench.chats.all().iter().find(|chat| chat.name == "Books").unwrap();
    assert_eq!((opened.chat_type.as_str(), opened.chat_id.as_str()), ("forum", "-1001234567890"));
    let error = bench.act(json!({"do": "open_thread", "chat": CHANNEL, "name": "x"})).unwrap_err();
    assert!(error.contains("Slack"), "{error}");
}

#[test]
fn o_14_a_draft_grows_and_the_message_replaces_it() {
    let mut bench = Bench::new();
    let draft = |text: &str| {
        json!({"op": "draft", "chat_id": "-1001987654321", "draft_id": 3, "content": text, "final": false,
        "metadata": {"thread_id": "42"}})
    };
    bench.op("telegram", draft("one"));
    bench.op("telegram", draft("one two"));
    assert_eq!(
        (bench.messages(TOPIC).len(), bench.last(TOPIC).text.as_str(), bench.last(TOPIC).is_draft),
        (1, "one two", true)
    );
    bench.op("telegram", json!({"op": "send", "chat_id": "-1001987654321", "content": "one two three", "metadata": {"thread_id": "42"}}));
    assert_eq!((bench.messages(TOPIC).len(), bench.last(TOPIC).is_draft), (1, false));
    // On Slack the draft becomes the message.
    bench.op(
        "slack",
        json!({"op": "draft", "chat_id": "C07AB12CD3E", "draft_id": 3, "content": "x", "final": false}),
    );
    bench.op(
        "slack",
        json!({"op": "draft", "chat_id": "C07AB12CD3E", "draft_id": 3, "content": "xy", "final": true}),
    );
    assert_eq!((bench.messages(CHANNEL).len(), bench.last(CHANNEL).is_draft), (1, false));
}

#[test]
fn o_16_a_card_grows_in_place_and_ends() {
    let mut bench = Bench::new();
    let card = |status: &str| {
        json!({"op": "task_card", "chat_id": "C07AB12CD3E", "card_id": "turn:1", "chunks": [
        {"id": "a", "title": "Read", "status": status}]})
    };
    bench.op("slack", card("in_progress"));
    bench.op("slack", card("completed"));
    let steps = &bench.last(CHANNEL).card.as_ref().unwrap().steps;
    assert_eq!((bench.messages(CHANNEL).len(), steps[0].status.as_str()), (1, "completed"));
    bench.op("slack", json!({"op": "task_card_stop", "chat_id": "C07AB12CD3E", "card_id": "turn:1"}));
    assert!(bench.last(CHANNEL).card.as_ref().unwrap().is_over);
}

#[test]
fn a_file_of_a_user_can_be_downloaded_by_the_gateway() {
    let mut bench = Bench::new();
    let mut message = say(CHANNEL, LIN, "");
    message["files"] = json!([{"name": "a.png", "mime": "image/png", "base64": "aGk="}]);
    let sent = bench.sent(message);
    let event = &sent[0]["event"];
    assert_eq!(event["message_type"], "photo");
    assert_eq!(
        event["media"][0],
        json!({"url": event["media_urls"][0], "kind": "image", "mime": "image/png", "size": 2, "filename": "a.png"})
    );
    let id = event["media_urls"][0].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(bench.machine.file(bench.now, "", &id).unwrap().content, "hi");
    assert!(bench.last(CHANNEL).files[0].is_shown);
    for (files, why) in [
        (json!([{"name": "a", "base64": "%"}]), "not base64"),
        (json!([{"name": " ", "base64": ""}]), "a name has"),
        (json!(vec![json!({"name": "a", "base64": ""}); 11]), "at most 10 files"),
    ] {
        let mut message = say(CHANNEL, LIN, "x");
        message["files"] = files;
        let error = bench.act(message).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_message_to_an_absent_gateway_waits_and_is_acknowledged() {
    let mut bench = Bench::new();
    bench.act(json!({"do": "fault", "name": "drop"})).unwrap();
    bench.act(say(GENERAL, ADA, "later")).unwrap();
    assert_eq!(bench.last(GENERAL).progress, Some(Progress::Waiting));
    assert_eq!(bench.workbench.gateway.state, gateway_view::LinkState::Away);
    bench.dial(ConnId(2));
    assert_eq!(bench.last(GENERAL).progress, Some(Progress::Sent));
    let frame = bench.workbench.frames.all().iter().find(|frame| frame.frame_type == "inbound").unwrap();
    let frame: Value = serde_json::from_str(&frame.json).unwrap();
    bench.gateway(ConnId(2), &json!({"type": "inbound_ack", "bufferId": frame["bufferId"]}));
    assert_eq!(bench.last(GENERAL).progress, Some(Progress::Acknowledged));
}

#[test]
fn a_4_the_last_message_can_be_delivered_twice() {
    let mut bench = Bench::new();
    let duplicate = json!({"do": "fault", "name": "duplicate"});
    assert!(bench.act(duplicate.clone()).unwrap_err().contains("nothing was delivered"));
    let first = bench.sent(say(GENERAL, ADA, "once"));
    let sent = bench.sent(duplicate);
    assert_eq!(sent.last(), first.last());
    assert_eq!(bench.messages(GENERAL).len(), 1);
}

#[test]
fn faults_are_carried_out_and_shown() {
    let mut bench = Bench::new();
    bench.act(json!({"do": "fault", "name": "refuse_ops"})).unwrap();
    bench.op("discord", example("send", ""));
    assert!(bench.last(GENERAL).text.as_str().contains("send was refused: refused by the workbench"));
    bench.act(json!({"do": "fault", "name": "refuse_ops", "on": false})).unwrap();
    bench.op("discord", example("send", ""));
    assert_eq!(bench.last(GENERAL).text.as_str(), "hi");
    bench.act(json!({"do": "fault", "name": "revoke"})).unwrap();
    assert!(bench.workbench.refuses_gateway());
    assert_eq!(bench.workbench.gateway.state, gateway_view::LinkState::Refused);
    let error = bench.act(json!({"do": "fault", "name": "drop"})).unwrap_err();
    assert!(error.contains("not connected"), "{error}");
    assert_eq!(serde_json::to_value(&bench.workbench.faults).unwrap(), json!(["revoke"]));
}

#[test]
fn another_users_direct_chat_and_unknown_names_are_refused() {
    let mut bench = Bench::new();
    for (action, why) in [
        (say("discord/1100000000000000007", "304255221017214978", "x"), "another user"),
        (say("discord/0", ADA, "x"), "no such chat"),
        (say(GENERAL, "0", "x"), "no such user"),
        (say(GENERAL, ADA, " \n"), "the message is empty"),
        (json!({"do": "add_user", "platform": "irc", "name": "x"}), "no platform"),
        (json!({"do": "add_user", "platform": "slack", "name": " "}), "a name has"),
        (json!({"do": "restart_agent"}), "does not run the agent"),
    ] {
        let error = bench.act(action.clone()).unwrap_err();
        assert!(error.contains(why), "{action}: {error}");
    }
}

#[test]
fn chats_and_users_are_added_up_to_a_bound() {
    let mut bench = Bench::new();
    bench.act(json!({"do": "add_user", "platform": "slack", "name": "kim"})).unwrap();
    let kim = bench.workbench.chats.people()["slack"].last().unwrap().id.clone();
    bench.act(json!({"do": "add_chat", "platform": "slack", "name": "kim", "user": kim})).unwrap();
    let chat =
        bench.workbench.chats.all().iter().find(|chat| chat.only.as_ref() == Some(&kim)).unwrap().key.clone();
    assert_eq!(bench.sent(say(&chat, &kim, "hi"))[0]["event"]["source"]["chat_type"], "dm");
    for number in 0..80 {
        let action = json!({"op": "send", "chat_id": format!("chat-{number}"), "content": "x"});
        bench.op("telegram", action);
    }
    assert_eq!(bench.workbench.chats.all().len(), 64);
    let shown = bench.workbench.snapshot().to_string();
    assert!(shown.contains("there are 64 chats already"));
}

#[test]
fn messages_frames_and_requests_are_bounded() {
    let mut bench = Bench::new();
    for number in 0..700 {
        bench.op(
            "slack",
            json!({"op": "send", "chat_id": "C07AB12CD3E", "content": format!("message {number}")}),
        );
    }
    assert_eq!((bench.messages(CHANNEL).len(), bench.workbench.chats.dropped()), (500, 200));
    assert_eq!(bench.workbench.frames.all().len(), 200);
    for number in 0..600 {
        bench.op(
            "slack",
            json!({"op": "send", "chat_id": "D07QW89ER4T", "content": "x".repeat(39_000), "n": number}),
        );
    }
    let snapshot = bench.workbench.snapshot().to_string();
    assert!(snapshot.len() < 20 << 20, "{}", snapshot.len());
    // Requests that never get a result.
    for number in 0..2000 {
        bench
            .workbench
            .observe_frame(1, &json!({"type": "outbound", "requestId": number.to_string(), "action": {}}));
    }
    assert_eq!(bench.workbench.requests.len(), MAX_REQUESTS);
}

#[test]
fn hostile_frames_are_shown_without_a_panic() {
    let mut bench = Bench::new();
    let long = "\u{202e}<b>".repeat(30_000);
    for action in [
        json!(null),
        json!({"op": 7}),
        json!({"op": "send", "chat_id": {"a": 1}, "content": []}),
        json!({"op": "send", "chat_id": long, "content": "x"}),
        json!({"op": "prompt", "chat_id": "1", "prompt_id": 7, "content": "x", "options": [null, 1, {"id": long}]}),
        json!({"op": "task_card", "chat_id": "1", "card_id": long, "chunks": [{"title": long, "status": [] }]}),
        json!({"op": "thread_create", "chat_id": "1", "thread_name": long}),
        json!({"op": "follow_up", "session_key": long, "kind": "x", "content": "y"}),
    ] {
        bench.op("discord", action);
    }
    bench.gateway(
        A,
        &json!({"type": "hello", "platform": long, "command_manifest": [long, null, {"name": 7}]}),
    );
    bench.gateway(A, &json!({"type": "inbound_ack"}));
    assert!(bench.workbench.snapshot()["gateway"]["platforms"].to_string().len() < 1000);
}

#[test]
fn only_the_first_gateway_is_shown_unless_one_is_named() {
    let mut workbench = Workbench::new(Some("gw"));
    let mut machine = ConnectorMachine::new(ConnectorConfig::default(), [0; 32]);
    let mut files = OfMachine(&mut machine, Now::default());
    let dial = |gateway: &str| Observation::Closed {
        gateway: gateway.to_owned(),
        dial: 1,
        code: None,
        reason: String::new(),
        by: relayline_connector::ClosedBy::PeerLost,
    };
    workbench.observe(1, &dial("other"), &mut files);
    assert_eq!(workbench.take_updates(), []);
    workbench.observe(1, &dial("gw"), &mut files);
    assert!(!workbench.take_updates().is_empty());
}
