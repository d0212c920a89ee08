//! Random interleavings: whatever happens in whatever order, each delivery is settled once, each turn ends, each
//! permission request is answered, and nothing is shown of a turn after it was cancelled.

use super::world::{Submitted, World, config};
use crate::{ApprovalPolicy, ApprovalRoute, Busy, Fetched, HostOp, HostResult, PromptChat, Settling};
use proptest::prelude::*;
use relayline_core::command::FailureKind;
use relayline_core::op::TurnState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Event of a run. Numbers select among what is possible at that point.
#[derive(Clone, Debug)]
enum Step {
    Hear(u8, u8),
    Interrupt(u8),
    Press(u8, u8),
    /// The agent answers one of its requests, by a result or an error.
    Respond(u8, bool),
    Update(u8, u8),
    Ask(u8),
    Die,
    Start,
    Connect(bool),
    Fail(u8),
    /// The relay forgets the deliveries, or does so no more.
    Forget(bool),
    /// The relay holds results back, or performs those that it held.
    Hold(bool),
    Pass(u16),
    Garbage(Vec<u8>),
    Shutdown,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4u8, 0..8u8).prop_map(|(key, text)| Step::Hear(key, text)),
        1 => (0..4u8).prop_map(Step::Interrupt),
        2 => (0..8u8, 0..4u8).prop_map(|(prompt, user)| Step::Press(prompt, user)),
        8 => (any::<u8>(), prop::bool::weighted(0.85)).prop_map(|(at, ok)| Step::Respond(at, ok)),
        6 => (any::<u8>(), 0..6u8).prop_map(|(at, kind)| Step::Update(at, kind)),
        2 => any::<u8>().prop_map(Step::Ask),
        1 => Just(Step::Die),
        3 => Just(Step::Start),
        1 => any::<bool>().prop_map(Step::Connect),
        1 => (0..8u8).prop_map(Step::Fail),
        1 => any::<bool>().prop_map(Step::Forget),
        2 => any::<bool>().prop_map(Step::Hold),
        2 => (0..20_000u16).prop_map(Step::Pass),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Garbage),
        // Rarely, since not much happens afterwards.
        1 => (0..20u8).prop_map(|at| if at == 0 { Step::Shutdown } else { Step::Pass(1) }),
    ]
}

/// An agent and the relay, as a run plays them.
struct Run {
    world: World,
    /// Requests to the agent without a response.
    requests: Vec<Value>,
    sessions: Vec<String>,
    is_running: bool,
    /// Permission requests of the agent without an answer.
    asked: BTreeSet<String>,
    number: u64,
}

const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];

impl Run {
    fn new(busy: Busy, settling: Settling, is_routed: bool) -> Run {
        let mut config = config();
        if is_routed {
            config.platforms = vec!["p".to_owned()];
            let (platform, chat_id) = ("p".to_owned(), KEYS[0].to_owned());
            let chat = PromptChat { platform, chat_id, scope_id: None };
            config.approvals.policy = ApprovalPolicy::Ask(ApprovalRoute::Chat(chat));
        }
        (config.busy, config.settling, config.verbose) = (busy, settling, true);
        config.limits.acp_sessions = 2;
        (config.limits.acp_session_waiting, config.limits.acp_permissions) = (3, 2);
        let world = World::new(config);
        let (requests, sessions, asked) = (Vec::new(), Vec::new(), BTreeSet::new());
        Run { world, requests, sessions, is_running: false, asked, number: 0 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Hear(key, text) => {
                let key = KEYS[usize::from(key) % KEYS.len()];
                match text {
                    0 => self.world.hear(key, "/stop"),
                    1 => self.world.hear(key, "1"),
                    2 => self.world.hear_file(key, "image/png"),
                    3 => self.world.buffered(key, "hello"),
                    _ => self.world.hear(key, "hello"),
                }
            }
            Step::Interrupt(key) => {
                self.world.machine.handle_interrupt(self.world.now, KEYS[usize::from(key) % KEYS.len()]);
            }
            Step::Press(prompt, user) => {
                self.world.press("k0", &format!("acp-{prompt}"), "1", &format!("u{user}"));
            }
            Step::Respond(at, ok) => self.respond(at, ok),
            Step::Update(at, kind) => self.update(at, kind),
            Step::Ask(at) => self.ask(at),
            Step::Die if self.is_running => self.die(),
            Step::Start if !self.is_running => {
                self.is_running = true;
                self.world.machine.handle_agent_started(self.world.now);
            }
            Step::Die | Step::Start => {}
            Step::Connect(true) => self.world.machine.handle_connected(self.world.now),
            Step::Connect(false) => self.world.machine.handle_disconnected(self.world.now),
            Step::Fail(kind) => {
                let kinds = [
                    FailureKind::Definite,
                    FailureKind::Ambiguous,
                    FailureKind::Rejected,
                    FailureKind::Unsupported,
                ];
                self.world.failure = kinds.get(usize::from(kind)).copied();
            }
            Step::Forget(forgets) => self.world.forgets = forgets,
            Step::Hold(true) => self.world.holds = true,
            Step::Hold(false) => self.release(),
            Step::Pass(ms) => self.world.pass(Duration::from_millis(ms.into())),
            Step::Shutdown => self.world.machine.handle_shutdown(self.world.now),
            Step::Garbage(bytes) => self.world.machine.handle_line(self.world.now, &bytes),
        }
        self.world.drain();
        self.read();
    }

    /// Reads what was written to the agent.
    fn read(&mut self) {
        while self.world.agent_ends > 0 {
            self.world.agent_ends -= 1;
            self.die();
        }
        for message in std::mem::take(&mut self.world.written) {
            if message.get("method").is_none() {
                if let Some(id) = message["id"].as_str() {
                    assert!(self.asked.remove(id), "{id} is answered once");
                }
            } else if message.get("id").is_some() {
                self.requests.push(message);
            }
        }
    }

    fn die(&mut self) {
        self.is_running = false;
        self.requests.clear();
        self.sessions.clear();
        self.world.die();
        self.asked.clear();
    }

    fn respond(&mut self, at: u8, ok: bool) {
        if self.requests.is_empty() {
            return;
        }
        let request = self.requests.remove(usize::from(at) % self.requests.len());
        self.number += 1;
        let result = match request["method"].as_str().unwrap() {
            // An agent that refuses this stops the gateway.
            "initialize" => json!({ "protocolVersion": 1, "agentCapabilities": {
                "loadSession": at.is_multiple_of(2), "sessionCapabilities": { "close": {} } } }),
            "session/new" if ok => {
                let id = format!("s{}", self.number);
                self.sessions.push(id.clone());
                json!({ "sessionId": id })
            }
            "session/load" if ok => {
                self.sessions.extend(request["params"]["sessionId"].as_str().map(str::to_owned));
                json!({})
            }
            "session/prompt" if ok => {
                json!({ "stopReason": if at < 200 { "end_turn" } else { "max_tokens" } })
            }
            _ if ok => json!({}),
            _ => return self.world.fail(&request, -32603, "no"),
        };
        self.world.respond(&request, result);
    }

    fn session(&self, at: u8) -> String {
        self.sessions.get(usize::from(at) % self.sessions.len().max(1)).cloned().unwrap_or_default()
    }

    fn update(&mut self, at: u8, kind: u8) {
        let session = self.session(at);
        let content = json!({ "type": "text", "text": "word " });
        let update = match kind {
            0 | 1 => json!({ "sessionUpdate": "agent_message_chunk", "content": content }),
            2 => {
                json!({ "sessionUpdate": "agent_message_chunk", "messageId": at.to_string(), "content": content })
            }
            3 => json!({ "sessionUpdate": "tool_call", "toolCallId": at.to_string(), "title": "T" }),
            4 => json!({ "sessionUpdate": "agent_thought_chunk", "content": content }),
            _ => json!({ "sessionUpdate": "unheard_of" }),
        };
        self.world.update(&session, update);
    }

    fn ask(&mut self, at: u8) {
        if !self.is_running {
            return;
        }
        self.number += 1;
        let id = format!("q{}", self.number);
        self.asked.insert(id.clone());
        let options = json!([{ "optionId": "o", "name": "Allow", "kind": "allow_once" }]);
        let params =
            json!({ "sessionId": self.session(at), "toolCall": { "toolCallId": "t" }, "options": options });
        self.world.say(
            json!({ "jsonrpc": "2.0", "id": id, "method": "session/request_permission", "params": params }),
        );
    }

    /// Performs what the relay held, in order.
    fn release(&mut self) {
        self.world.holds = true;
        while let Some((id, op)) = self.world.held.pop_front() {
            match op {
                HostOp::Fetch { .. } => {
                    let fetched = Fetched { path: "/f".into(), mime: None, size: 1, content: None };
                    self.world.machine.handle_result(self.world.now, id, HostResult::Fetch(Ok(fetched)));
                }
                HostOp::Command(_) => self.world.perform(id, op),
            }
            self.world.drain();
        }
        self.world.holds = false;
    }

    /// Lets everything come to its end: the agent ends its turns, and the relay works.
    fn finish(&mut self) {
        (self.world.failure, self.world.forgets) = (None, false);
        self.world.machine.handle_connected(self.world.now);
        for _ in 0..400 {
            self.release();
            if !self.is_running {
                self.step(Step::Start);
            }
            self.step(Step::Respond(0, true));
            self.world.pass(Duration::from_secs(1));
            self.world.drain();
            self.read();
        }
        self.release();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everything_ends(
        steps in prop::collection::vec(step(), 1..120),
        busy in prop_oneof![Just(Busy::Enqueue), Just(Busy::Interrupt), Just(Busy::Reject)],
        settling in prop_oneof![Just(Settling::PromptWritten), Just(Settling::TurnEnded)],
        is_routed in any::<bool>(),
    ) {
        let mut run = Run::new(busy, settling, is_routed);
        for step in steps {
            run.step(step);
        }
        run.finish();
        let world = &run.world;
        prop_assert!(world.machine.is_idle(), "every turn ends: {:?}", world.machine);
        prop_assert_eq!(world.settled.len() as u64, world.delivered, "each delivery is settled");
        prop_assert!(run.asked.is_empty(), "every request is answered: {:?}", run.asked);
        prop_assert!(world.machine.prompts.is_empty() && world.machine.ops.is_empty());
        prop_assert_eq!(world.machine.waiting, (0, 0));
        nothing_follows_a_cancelled_turn(&world.submitted)?;
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 1..60)) {
        let run = |steps: Vec<Step>| {
            let mut run = Run::new(Busy::Enqueue, Settling::PromptWritten, true);
            steps.into_iter().for_each(|step| run.step(step));
            (run.world.shown, run.world.logs, run.world.settled)
        };
        prop_assert_eq!(run(steps.clone()), run(steps));
    }
}

/// Asserts that no text answers a delivery after the bracket of its turn was stopped.
fn nothing_follows_a_cancelled_turn(submitted: &[(u64, Submitted)]) -> Result<(), TestCaseError> {
    let mut stopped = BTreeSet::new();
    for (delivery, what) in submitted {
        match what {
            Submitted::Bracket(TurnState::Stopped) => drop(stopped.insert(delivery)),
            Submitted::Bracket(_) => {}
            Submitted::Text(text) => {
                prop_assert!(!stopped.contains(delivery), "{delivery}: {text} follows the end")
            }
        }
    }
    Ok(())
}
