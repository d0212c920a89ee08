//! Agent of the tests of `run --queue`: it logs each message that it sees, that it is about to acknowledge, and that it
//! knows to be done, each with the number of the attempt.
//!
//! `queue_agent LOG [MS]`: it works `MS` milliseconds on each message, one after another. It answers with the text and the
//! attempt, and acknowledges the message once the answer has its result.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // A panic of this agent fails the test.

use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, Write};
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let log = OpenOptions::new().append(true).create(true).open(&arguments[1]).unwrap();
    let work = arguments.get(2).map_or(0, |ms| ms.parse().unwrap());
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let line: Value = serde_json::from_str(&line).unwrap();
        match line["event"].as_str().unwrap() {
            "message" => {
                let text = line["message"]["text"].as_str().unwrap();
                let (delivery, attempt) = (&line["delivery"], &line["attempt"]);
                note(&log, &format!("seen {text} {attempt} {}", line["redelivered"]));
                std::thread::sleep(Duration::from_millis(work));
                let (id, content) =
                    (format!("reply {text} {attempt} {delivery}"), format!("re {text} {attempt}"));
                say(&json!({"op": "reply", "id": id, "delivery": delivery, "content": content}));
            }
            "result" => {
                let id = line["id"].as_str().unwrap();
                let mut words = id.split(' ');
                let mut word = || words.next().unwrap();
                let (what, text, attempt) = (word(), word(), word());
                let delivery: u64 = word().parse().unwrap();
                if what == "reply" {
                    // Also if the answer could not be sent: the test is about the queue.
                    note(&log, &format!("acks {text} {attempt}"));
                    let id = format!("ack {text} {attempt} {delivery}");
                    say(&json!({"op": "ack", "id": id, "delivery": delivery}));
                } else if line["ok"] == true {
                    note(&log, &format!("done {text} {attempt}"));
                }
            }
            _ => {}
        }
    }
}

/// Appends one line at once: other processes write to the same file.
fn note(mut log: &File, line: &str) {
    log.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn say(op: &Value) {
    let mut out = std::io::stdout().lock();
    // The gateway may have been killed: then the end of the input follows.
    let _ = writeln!(out, "{op}").and_then(|()| out.flush());
}
