//! Checks of the machine's frames.

use super::Model;
use super::dials::ClosePurpose;
use super::streams::NAME;
use crate::simulate::oracle::Oracle;
use relayline_core::output::{Conn, Transmit};
use serde_json::Value;

impl Model {
    /// Checks an output for the socket.
    pub(crate) fn transmit(&mut self, oracle: &mut Oracle, transmit: &Transmit, frame: &[u8]) {
        let (Transmit::Frame { conn } | Transmit::Ping { conn } | Transmit::Close { conn, .. }) = transmit;
        oracle.check("L-6", "writes-on-the-open-socket", self.dials.open() == Some(*conn), || {
            format!("{transmit:?}")
        });
        oracle.check("L-4", "nothing-follows-a-close", self.dials.closing.is_none(), || {
            format!("{transmit:?}")
        });
        match transmit {
            Transmit::Frame { conn } => self.wrote(oracle, *conn, frame),
            Transmit::Ping { .. } => {
                let silent = self.now.since(self.dials.heard);
                let due = silent >= self.config.timing.ping_interval || self.dials.paused;
                oracle.check("L-11", "pings-only-into-silence", due, || format!("after {silent:?}"));
                if !self.dials.paused {
                    self.dials.pinged = Some(self.now);
                }
            }
            Transmit::Close { code, reason, .. } => self.closes(oracle, *code, reason),
        }
    }

    fn closes(&mut self, oracle: &mut Oracle, code: u16, reason: &str) {
        let timing = &self.config.timing;
        let purpose = match reason {
            "resume" => ClosePurpose::Resume,
            "dormant" => ClosePurpose::Dormant,
            _ => ClosePurpose::Other,
        };
        let why = match purpose {
            ClosePurpose::Resume => self.dials.resumed,
            ClosePurpose::Dormant => self.conn.may_sleep,
            ClosePurpose::Other => {
                self.dials.leaving.is_some()
                    || self.conn.has_bad_descriptor
                    || self.conn.must_redeliver
                    || (self.dials.up.is_none()
                        && (self.now.since(self.dials.since) >= timing.handshake_timeout
                            || self.now.since(self.dials.heard)
                                >= timing.ping_interval + timing.ping_timeout))
            }
        };
        oracle.check("L-18", "closes-have-a-reason", why && code == 1000, || {
            format!("{code} {reason:?} with {:?}", self.dials)
        });
        self.dials.closing = Some((self.now, purpose));
    }

    fn wrote(&mut self, oracle: &mut Oracle, conn: Conn, frame: &[u8]) {
        let is_line =
            frame.last() == Some(&b'\n') && !frame[..frame.len().saturating_sub(1)].contains(&b'\n');
        let value = serde_json::from_slice::<Value>(frame).unwrap_or_default();
        oracle.check("W-6", "one-frame-a-message", is_line && value.is_object(), || {
            String::from_utf8_lossy(frame).into_owned()
        });
        let kind = value["type"].as_str().unwrap_or_default();
        let said = self.dials.hellos;
        let identities = &self.config.identities;
        let fits = match identities.get(said) {
            Some(identity) => kind == "hello" && value["platform"] == *identity.platform,
            None => kind != "hello",
        };
        oracle.check("L-3", "hellos-come-first", fits, || format!("{value} after {said} hellos"));
        match kind {
            "hello" => self.dials.hellos += 1,
            "inbound_ack" => self.acked(oracle, conn, value["bufferId"].as_str().unwrap_or_default()),
            "outbound" => self.asked(oracle, &value),
            "interrupt" => {
                let fits = self.requests.interrupt_written();
                oracle.check("O-3", "only-what-was-asked-is-written", fits, || format!("{value}"));
            }
            "going_idle" => {
                oracle.check("L-12", "who-is-idle-asks-no-more", !self.conn.is_idle, || format!("{value}"));
                self.conn.going_idle_frames += 1;
                // A disconnect asks for idleness if the host has not done so.
                let fits = self.conn.going_idle_frames <= self.conn.idle_requests.max(1);
                oracle.check("L-14", "nothing-asks-twice", fits, || {
                    format!(
                        "{} going_idle frames for {} requests",
                        self.conn.going_idle_frames, self.conn.idle_requests
                    )
                });
            }
            _ => {}
        }
    }

    fn acked(&mut self, oracle: &mut Oracle, conn: Conn, entry: &str) {
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
        oracle.check("A-1", "an-ack-only-once-taken", is_owed, || {
            format!("entry {entry} was acknowledged on {conn}, and nothing is owed for it there")
        });
    }

    fn asked(&mut self, oracle: &mut Oracle, frame: &Value) {
        let id = frame["requestId"].as_str().unwrap_or_default();
        let shape = id.len() == 32 && id.starts_with(&self.prefix);
        let number = id.get(16..).and_then(|half| u64::from_str_radix(half, 16).ok());
        let (true, Some(number)) = (shape, number) else {
            return oracle.fail("O-1", "ids-have-one-shape", || id.to_owned());
        };
        let fresh = self.requests.written(number);
        oracle.check("O-3", "written-once-and-never-after-definite", fresh, || {
            format!("request {number}: {frame}")
        });
        let stream = frame["action"]["metadata"][NAME].as_str();
        match stream {
            _ if self.requests.pending.contains_key(&number) => self.check_placement(oracle, number, frame),
            Some(name) => self.stream_frame_written(oracle, number, name, frame),
            None => self.check_indicator(oracle, number, frame),
        }
        if frame["action"]["op"] == "prompt" {
            let prompt_id = frame["action"]["prompt_id"].as_str().unwrap_or_default();
            let is_new = self.prompts.written(number, prompt_id);
            oracle.check("I-1", "prompt-ids-are-new", is_new, || prompt_id.to_owned());
        }
    }
}
