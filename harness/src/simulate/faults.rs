//! Faults of the network, the connector, the host and the clock.

use super::active_faults::Recovery;
use super::json_variants::UNREADABLE;
use super::network::Packet;
use super::planned_action::ActionKind;
use super::random::Random;
use super::world::World;
use relayline_connector::Act;
use relayline_core::command::Command;
use relayline_core::machine::{DialFailure, IoEvent};
use relayline_core::output::Conn;
use relayline_core::time::Time;
use relayline_core::upgrade::Refusal;
use serde_json::{Value, json};
use std::time::Duration;

/// Whole lines that an incorrect connector might write.
const INVALID_LINES: &[&str] = &[
    "{",
    "[]",
    "7",
    "   ",
    "{\"type\":7}",
    "{\"kind\":\"inbound\"}",
    "{\"type\":\"unheard_of\"}",
    "{\"type\":\"error\"}",
    "{\"type\":\"error\",\"error\":{\"message\":\"bad\"},\"bufferId\":\"x1\"}",
    "{\"type\":\"unheard_of\",\"bufferId\":\"u1\"}",
    "{\"type\":\"hello\",\"platform\":\"discord\"}",
    "{\"type\":\"inbound_ack\",\"bufferId\":\"a1\"}",
    "{\"type\":\"inbound\"}",
    "{\"type\":\"inbound\",\"event\":[],\"bufferId\":\"b1\"}",
    "{\"type\":\"inbound\",\"event\":{}}",
    "{\"type\":\"inbound\",\"event\":{},\"bufferId\":12}",
    "{\"type\":\"inbound\",\"event\":{\"text\":7,\"source\":{\"platform\":\"slack\",\"chat_id\":-1001}}}",
    "{\"type\":\"inbound\",\"event\":{\"text\":\"\\ud800\",\"source\":[]}}",
    "{\"type\":\"interrupt_inbound\",\"session_key\":\"\"}",
    "{\"type\":\"interrupt_inbound\",\"session_key\":\"k\",\"bufferId\":\"i1\"}",
    "{\"type\":\"going_idle_ack\"}",
    "{\"type\":\"descriptor\"}",
    "{\"type\":\"descriptor\",\"descriptor\":{\"contract_version\":1}}",
    "{\"type\":\"outbound_result\"}",
    "{\"type\":\"outbound_result\",\"requestId\":\"00000000000000000000000000000001\",\"result\":{\"success\":true}}",
    "{\"type\":\"outbound_result\",\"requestId\":7}",
    "{\"type\":\"passthrough_forward\"}",
    "{\"type\":\"passthrough_forward\",\"forward\":[],\"bufferId\":\"p1\"}",
    "{\"type\":\"interrupt_inbound\",\"session_key\":\"n\",\"x\":[NaN,-Infinity]}",
    "{\"type\":\"interrupt_inbound\",\"session_key\":\"n\",\"x\":-NaN}",
    "{\"type\":\"inbound\",\"event\":{\"text\":NaN,\"x\":[Infinity]},\"bufferId\":\"n1\"}",
    "{\"type\":\"unheard_of\",\"x\":Infinity,\"bufferId\":\"n2\"}",
    "{\"type\":\"inbound_ack\",\"bufferId\":\"a2\",,}",
    "{\"type\":\"inbound\",\"event\":{\"bufferId\":\"a3\",,}}",
    "{\"type\":\"unknown\",\"type\":\"interrupt_inbound\",\"session_key\":\"twice\"}",
];

/// Results that may be scripted for any op.
const ODD_RESULTS: &[&str] = &[
    "{}",
    "[]",
    "{\"success\":\"true\"}",
    "{\"success\":false,\"error\":\"no\"}",
    "{\"success\":false,\"code\":\"egress_declined\"}",
    "{\"success\":false,\"error\":\"Egress Declined: no\"}",
    "{\"success\":false,\"error\":\"egress declined: ack lost\"}",
    "{\"success\":false,\"ambiguous\":true}",
    "{\"success\":true}",
];

const OPS: &[&str] = &["send", "edit", "typing", "get_chat_info", "prompt", "draft", "react", "send_media"];

impl World<'_> {
    pub(crate) fn inject_fault(&mut self, kind: ActionKind, random: &mut Random) {
        let short = Duration::from_millis(100 + random.below(8_000));
        let long = Duration::from_millis(1_000 + random.below(90_000));
        match kind {
            ActionKind::HostSlow => self.slow_host_for(long),
            ActionKind::HostRefuses => self.refuse_deliveries_for(long),
            ActionKind::HostFails => self.set_fault_until(long, |faults| &mut faults.host_fails_until),
            ActionKind::HostCrash => {
                self.log.note(self.now, format_args!("the process dies"));
                self.kill_process();
                self.faults.start_at = Some(self.now + short);
            }
            ActionKind::Cut => self.cut(),
            ActionKind::HalfOpen => self.half_open(random),
            ActionKind::Stall => {
                if let Some(place) = self.open_link() {
                    self.network.links[place].to_gateway.stall(self.now + short);
                    self.network.links[place].to_connector.stall(self.now + short);
                }
            }
            ActionKind::RefuseDials => self.set_fault_until(long, |faults| &mut faults.refuse_dials_until),
            ActionKind::SwallowDials => self.set_fault_until(long, |faults| &mut faults.swallow_dials_until),
            ActionKind::BadGateway => self.set_fault_until(long, |faults| &mut faults.bad_gateway_until),
            ActionKind::NoCloseEcho => self.set_fault_until(long, |faults| &mut faults.no_close_echo_until),
            ActionKind::Crash => self.crash(short),
            ActionKind::StopReading => self.set_fault_until(long, |faults| &mut faults.not_reading_until),
            ActionKind::Close => {
                let code = *random.pick(&[1000, 1001, 1008, 1009, 1011, 1013, 4429]);
                let reason = random.pick(&["", "going away", "duplicate session", "expired"]);
                self.instruct(Act::Close { code, reason: (*reason).to_owned() });
            }
            ActionKind::RefuseOnce => {
                let reason = random.pick(&["", "unauthorized", "Expired", "revoked"]);
                self.instruct(Act::Close { code: 4401, reason: (*reason).to_owned() });
            }
            ActionKind::Revoke => {
                if random.chance(25) {
                    // The revocation comes while the host has many deliveries.
                    self.slow_host_for(long);
                    (0..30).for_each(|_| self.say(random, Some(false)));
                }
                self.instruct(Act::Revoke { on: true });
                if random.chance(30) {
                    // A dial that is held and then refused.
                    self.submit(Command::Resume);
                    self.drain();
                    self.submit(Command::Hold(short));
                }
                let span = if random.chance(40) { short / 20 } else { 4 * long };
                self.recover_at(self.now + span, Recovery::Readmit);
            }
            ActionKind::Expire => self.instruct(Act::Expire),
            ActionKind::Mute => {
                self.instruct(Act::Mute { on: true });
                self.faults.needs_new_connection = true;
                self.recover_at(self.now + long, Recovery::Unmute);
            }
            ActionKind::WithholdIdleAck => {
                self.instruct(Act::IdleAck { on: false });
                self.recover_at(self.now + long, Recovery::ConfirmIdle);
            }
            ActionKind::Garbage => self.garbage(random),
            ActionKind::BadDescriptor => {
                let platform = self.setup.config.identities[0].platform.clone();
                let Value::Object(descriptor) = json!({"contract_version": 0, "platform": platform}) else {
                    return;
                };
                self.instruct(Act::Descriptor { descriptor, platform: Some(platform) });
                self.recover_at(self.now + long, Recovery::RestoreDescriptors);
            }
            ActionKind::NewDescriptor => self.new_descriptor(random),
            ActionKind::Answers => {
                let op = (*random.pick(OPS)).to_owned();
                let result = match random.chance(50) {
                    true => Value::Null,
                    false => serde_json::from_str(random.pick::<&str>(ODD_RESULTS)).unwrap_or_default(),
                };
                self.instruct(Act::Answer { op, result });
            }
            ActionKind::Delays => {
                let ms = *random.pick(&[0, 0, 20, 2_000, 29_990, 45_000]);
                self.instruct(Act::Delay { op: (*random.pick(OPS)).to_owned(), ms });
            }
            ActionKind::JumpAhead => {
                self.gateway.clock_offset_us += i64::try_from(random.below(20_000_000_000)).unwrap_or(0)
            }
            ActionKind::JumpBack => {
                self.gateway.clock_offset_us -= i64::try_from(random.below(20_000_000)).unwrap_or(0)
            }
            ActionKind::SetWallClock => {
                self.gateway.wall_offset_s = i64::try_from(random.below(4000)).unwrap_or(0) - 2000;
                self.recover_at(self.now + long, Recovery::WakeUp);
            }
            ActionKind::Suspend if self.is_awake() => {
                let span = if random.chance(50) { short } else { Duration::from_secs(random.below(7200)) };
                if random.chance(50) {
                    // The monotonic clock does not advance during the suspension.
                    self.gateway.clock_offset_us -= i64::try_from(span.as_micros()).unwrap_or(0);
                }
                self.suspend(span);
            }
            ActionKind::Suspend => {}
            ActionKind::UnreliableResults => {
                self.set_fault_until(long, |faults| &mut faults.unreliable_results_until)
            }
            ActionKind::RefuseCloses => {
                self.refuse_closes_for(long);
                if random.chance(25) && self.is_awake() {
                    // A new process gives up a connector that does not answer.
                    self.instruct(Act::Mute { on: true });
                    self.faults.needs_new_connection = true;
                    self.start_process();
                    self.recover_at(self.now + short / 2, Recovery::Disconnect);
                    self.recover_at(self.now + short, Recovery::Unmute);
                } else if random.chance(40) {
                    // A close of the gateway while the host holds dials.
                    self.submit(Command::GoDormant);
                    self.submit(Command::Hold(long));
                }
            }
            ActionKind::StaleSocket => self.stale_socket_event(random),
            ActionKind::Spurious if self.is_awake() => self.tick(),
            ActionKind::Spurious => {}
            ActionKind::Say
            | ActionKind::SayBuffered
            | ActionKind::SayLive
            | ActionKind::SayAgain
            | ActionKind::Burst
            | ActionKind::EditSaid
            | ActionKind::Forward
            | ActionKind::AnswerPrompt
            | ActionKind::InterruptTurn
            | ActionKind::Ask
            | ActionKind::AskMany
            | ActionKind::AskPrompt
            | ActionKind::Stream
            | ActionKind::StopTurn
            | ActionKind::GoIdle
            | ActionKind::GoDormant
            | ActionKind::Hold
            | ActionKind::Resume
            | ActionKind::Disconnect
            | ActionKind::Prime
            | ActionKind::SettleOddly
            | ActionKind::Post
            | ActionKind::PostTwice
            | ActionKind::Answer
            | ActionKind::Oversized => {}
        }
    }

    fn set_fault_until(
        &mut self,
        span: Duration,
        until: impl FnOnce(&mut super::active_faults::ActiveFaults) -> &mut Time,
    ) {
        let until = until(&mut self.faults);
        *until = (*until).max(self.now + span);
        self.recover_at(self.now + span, Recovery::WakeUp);
    }

    /// Makes the host refuse deliveries for this time.
    pub(crate) fn refuse_deliveries_for(&mut self, span: Duration) {
        self.set_fault_until(span, |faults| &mut faults.host_refuses_until);
    }

    /// Makes the connector answer close frames with an auth refusal for this time.
    pub(crate) fn refuse_closes_for(&mut self, span: Duration) {
        self.set_fault_until(span, |faults| &mut faults.refuse_closes_until);
    }

    /// Makes the host take no deliveries for this time.
    pub(crate) fn slow_host_for(&mut self, span: Duration) {
        self.set_fault_until(span, |faults| &mut faults.host_slow_until);
    }

    pub(crate) fn half_open(&mut self, random: &mut Random) {
        let Some(place) = self.open_link() else { return };
        let link = &mut self.network.links[place];
        let ways = random.below(3);
        if ways != 1 {
            link.to_gateway.clear();
            link.to_gateway.dead = true;
        }
        if ways != 0 {
            link.to_connector.clear();
            link.to_connector.dead = true;
        }
    }

    fn garbage(&mut self, random: &mut Random) {
        let Some(place) = self.open_link().filter(|place| self.network.links[*place].connector) else {
            return;
        };
        let bytes = match random.below(20) {
            0 => b"\xff\xfe{\"type\":\"inbound\"}\n".to_vec(),
            1 => format!("{}\n", "x".repeat(3000)).into_bytes(),
            2 => format!("{{\"type\":\"unheard_of\",\"x\":{}{}}}\n", "[".repeat(200), "]".repeat(200))
                .into_bytes(),
            3 => {
                // This also spoils the next line.
                self.faults.needs_new_connection = true;
                b"{\"type\":\"inbound\",\"event\":{\"text\":\"half".to_vec()
            }
            4 if self.setup.config.limits.max_line_bytes < 10_000 => {
                self.faults.needs_new_connection = true;
                "y".repeat(2500).into_bytes()
            }
            5..8 => [random.pick(UNREADABLE).0, b"\n"].concat(),
            _ => format!("{}\n", random.pick(INVALID_LINES)).into_bytes(),
        };
        self.send_to_gateway(place, Packet::Bytes(bytes));
    }

    fn new_descriptor(&mut self, random: &mut Random) {
        let platform = random.pick(&self.setup.config.identities).platform.clone();
        let descriptor = json!({"contract_version": 1 + random.below(2), "platform": platform, "label": "X",
            "max_message_length": *random.pick(&[200, 4096, 0]), "supports_draft_streaming": random.chance(50),
            "supports_edit": random.chance(60), "supports_threads": true, "markdown_dialect": "",
            "len_unit": "chars", "supported_ops": if random.chance(50) { json!(["send", "draft", "prompt"]) } else { json!([]) }});
        let Value::Object(descriptor) = descriptor else { return };
        self.instruct(Act::Descriptor { descriptor, platform: Some(platform) });
    }

    /// Restores the usual results, without delays.
    pub(crate) fn restore_answers(&mut self) {
        for op in OPS {
            self.instruct(Act::Answer { op: (*op).to_owned(), result: Value::Null });
            self.instruct(Act::Delay { op: (*op).to_owned(), ms: 0 });
        }
    }

    /// Reports an event of an old socket, as a driver may if the event was under way.
    fn stale_socket_event(&mut self, random: &mut Random) {
        let Some(process) = &self.gateway.process else { return };
        let old: Vec<Conn> = process.dials.iter().rev().skip(1).take(3).copied().collect();
        if old.is_empty() || !self.is_awake() {
            return;
        }
        let conn = *random.pick(&old);
        match random.below(5) {
            0 => self.io(&IoEvent::Opened { conn }),
            1 => {
                let failure = DialFailure::Refused(Refusal::new(401, br#"{"error":"late"}"#));
                self.io(&IoEvent::DialFailed { conn, failure });
            }
            2 => self.io(&IoEvent::Closed { conn, code: Some(4401), reason: "late" }),
            3 => self.io(&IoEvent::Alive { conn }),
            _ => {
                let line = "{\"type\":\"inbound\",\"event\":{\"text\":\"e0 of the past\",\"source\":{\"chat_id\":\"c0\"}},\"bufferId\":\"past\"}\n";
                self.read(conn, line.as_bytes());
            }
        }
    }
}
