//! Agent of `demo --durable`: a process of this program that speaks the bridge's lines. Its first turn of a message takes long,
//! and it acknowledges a message once its answer has its result.

use crate::agent_output::each_line;
use relayline_core::line::Line;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// First argument of this program when it runs as this agent.
pub(crate) const NAME: &str = "__demo-durable-agent";

/// Time of a turn that is to be interrupted, and of one that is not.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_secs(1);

/// Returns true if this process was started as this agent.
pub(crate) fn is_requested() -> bool {
    std::env::args_os().nth(1).is_some_and(|name| name == NAME)
}

/// Serves the gateway until it closes stdin.
pub(crate) fn run() -> ExitCode {
    each_line(&mut io::stdin(), |line| {
        if let Line::Whole(line) = line
            && let Ok(event) = serde_json::from_slice(line)
        {
            handle(&event);
        }
    });
    ExitCode::SUCCESS
}

fn handle(event: &Value) {
    match (event["event"].as_str(), event["ok"].as_bool()) {
        (Some("message"), _) => {
            let (delivery, attempt) = (&event["delivery"], event["attempt"].as_u64().unwrap_or(1));
            say(&json!({"op": "turn", "delivery": delivery, "state": "begin"}));
            std::thread::sleep(if attempt > 1 { SHORT } else { LONG });
            let text = event["message"]["text"].as_str().unwrap_or_default();
            let mark = if event["redelivered"] == true { ", redelivered" } else { "" };
            let content = format!("done: {text} (attempt {attempt}{mark})");
            say(&json!({"op": "reply", "id": delivery, "delivery": delivery, "content": content}));
        }
        (Some("result"), Some(true)) => {
            say(&json!({"op": "turn", "delivery": event["id"], "state": "done"}));
        }
        _ => {}
    }
}

fn say(op: &Value) {
    let mut out = io::stdout().lock();
    // After the end of the gateway nobody reads, and the end of stdin follows.
    let _ = writeln!(out, "{op}").and_then(|()| out.flush());
}
