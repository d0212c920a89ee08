//! What a machine writes, held against what it may.

use super::Model;
use super::dials::Purpose;
use super::streams::NAME;
use crate::simulate::judge::Judge;
use relayline_core::output::{Conn, Transmit};
use serde_json::Value;

impl Model {
    /// The machine writes.
    pub(crate) fn transmit(&mut self, judge: &mut Judge, transmit: &Transmit, frame: &[u8]) {
        let (Transmit::Frame { conn } | Transmit::Ping { conn } | Transmit::Close { conn, .. }) = transmit;
        judge.claim("L-6", "writes-on-the-open-socket", self.dials.open() == Some(*conn), || {
            format!("{transmit:?}")
        });
        judge.claim("L-4", "nothing-follows-a-close", self.dials.closing.is_none(), || {
            format!("{transmit:?}")
        });
        match transmit {
            Transmit::Frame { conn } => self.wrote(judge, *conn, frame),
            Transmit::Ping { .. } => {
                let silent = self.now.since(self.dials.heard);
                let due = silent >= self.config.timing.ping_interval || self.dials.paused;
                judge.claim("L-11", "pings-only-into-silence", due, || format!("after {silent:?}"));
                if !self.dials.paused {
                    self.dials.pinged = Some(self.now);
                }
            }
            Transmit::Close { code, reason, .. } => self.closes(judge, *code, reason),
        }
    }

    fn closes(&mut self, judge: &mut Judge, code: u16, reason: &str) {
        let timing = &self.config.timing;
        let purpose = match reason {
            "resume" => Purpose::Resume,
            "dormant" => Purpose::Dormant,
            _ => Purpose::Other,
        };
        let why = match purpose {
            Purpose::Resume => self.dials.resumed,
            Purpose::Dormant => self.may_sleep,
            Purpose::Other => {
                self.dials.leaving.is_some()
                    || self.bad_descriptor
                    || self.refused_here
                    || (self.dials.up.is_none()
                        && (self.now.since(self.dials.since) >= timing.handshake_timeout
                            || self.now.since(self.dials.heard)
                                >= timing.ping_interval + timing.ping_timeout))
            }
        };
        judge.claim("L-18", "closes-have-a-reason", why && code == 1000, || {
            format!("{code} {reason:?} with {:?}", self.dials)
        });
        self.dials.closing = Some((self.now, purpose));
    }

    fn wrote(&mut self, judge: &mut Judge, conn: Conn, frame: &[u8]) {
        let is_line =
            frame.last() == Some(&b'\n') && !frame[..frame.len().saturating_sub(1)].contains(&b'\n');
        let value = serde_json::from_slice::<Value>(frame).unwrap_or_default();
        judge.claim("W-6", "one-frame-a-message", is_line && value.is_object(), || {
            String::from_utf8_lossy(frame).into_owned()
        });
        let kind = value["type"].as_str().unwrap_or_default();
        let said = self.dials.hellos;
        let identities = &self.config.identities;
        let fits = match identities.get(said) {
            Some(identity) => kind == "hello" && value["platform"] == *identity.platform,
            None => kind != "hello",
        };
        judge.claim("L-3", "hellos-come-first", fits, || format!("{value} after {said} hellos"));
        match kind {
            "hello" => self.dials.hellos += 1,
            "inbound_ack" => self.acked(judge, conn, value["bufferId"].as_str().unwrap_or_default()),
            "outbound" => self.asked(judge, &value),
            "interrupt" => {
                let fits = self.requests.interrupt_written();
                judge.claim("O-3", "only-what-was-asked-is-written", fits, || format!("{value}"));
            }
            "going_idle" => {
                judge.claim("L-12", "who-is-idle-asks-no-more", !self.is_idle, || format!("{value}"));
                self.idle_questions += 1;
                // A disconnect asks where nobody has asked before it.
                let fits = self.idle_questions <= self.idle_asks.max(1);
                judge.claim("L-14", "nothing-asks-twice", fits, || {
                    format!("{} questions for {} asks", self.idle_questions, self.idle_asks)
                });
            }
            _ => {}
        }
    }

    fn acked(&mut self, judge: &mut Judge, conn: Conn, entry: &str) {
        self.count("acks", 1);
        let key = (conn.number(), entry.to_owned());
        let owed = self.inbox.owed.get_mut(&key).filter(|owed| **owed > 0);
        let is_owed = owed.is_some();
        if let Some(owed) = owed {
            *owed -= 1;
            if *owed == 0 {
                self.inbox.owed.remove(&key);
            }
        }
        judge.claim("A-1", "an-ack-only-once-taken", is_owed, || {
            format!("entry {entry} was acknowledged on {conn}, and nothing is owed for it there")
        });
    }

    fn asked(&mut self, judge: &mut Judge, frame: &Value) {
        let id = frame["requestId"].as_str().unwrap_or_default();
        let shape = id.len() == 32 && id.starts_with(&self.prefix);
        let number = id.get(16..).and_then(|half| u64::from_str_radix(half, 16).ok());
        let (true, Some(number)) = (shape, number) else {
            return judge.fail("O-1", "ids-have-one-shape", || id.to_owned());
        };
        let fresh = self.requests.written(number);
        judge.claim("O-3", "written-once-and-never-after-definite", fresh, || {
            format!("request {number}: {frame}")
        });
        let stream = frame["action"]["metadata"][NAME].as_str();
        match stream {
            _ if self.requests.pending.contains_key(&number) => self.goes_where_it_must(judge, number, frame),
            Some(name) => self.stepped(judge, number, name, frame),
            None => self.signed(judge, number, frame),
        }
        if frame["action"]["op"] == "prompt" {
            let prompt_id = frame["action"]["prompt_id"].as_str().unwrap_or_default();
            let is_new = self.prompts.written(number, prompt_id);
            judge.claim("I-1", "prompt-ids-are-new", is_new, || prompt_id.to_owned());
        }
    }
}
