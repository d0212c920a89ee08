//! Tests of a worker and its leader together, on a bus that loses nothing. The simulation has the bad ones.

use super::leader::{Claimed, Fleet, FleetOutput};
use super::worker::{Worker, WorkerLimits, WorkerOutput};
use super::{FileAnswer, FileCall, FileRequest};
use crate::id::{AgentId, EntryId, HandOutId};
use relayline_core::time::Time;
use std::time::Duration;

/// A worker `w`, its leader, and what both have put out.
struct Pair {
    worker: Worker,
    fleet: Fleet,
    now: Time,
    outputs: Vec<String>,
    calls: Vec<(FileCall, FileRequest, Vec<u8>)>,
}

impl Pair {
    fn new() -> Pair {
        let now = Time::from_millis(1);
        let worker = Worker::new(WorkerLimits::default(), "w", now);
        let fleet = Fleet::new(1, Duration::from_secs(30), now);
        let mut pair = Pair { worker, fleet, now, outputs: Vec::new(), calls: Vec::new() };
        pair.settle();
        assert_eq!(pair.take(), ["led by 1"]);
        pair
    }

    /// Exchanges frames until there are none.
    fn settle(&mut self) {
        loop {
            if let Some(output) = self.worker.poll_output() {
                match output {
                    WorkerOutput::Publish(frame) => self.fleet.handle_frame(self.now, &frame),
                    WorkerOutput::Write { agent, line } => {
                        self.outputs
                            .push(format!("{agent} gets {}", String::from_utf8(line).unwrap().trim_end()));
                    }
                    WorkerOutput::File { call, request, bytes } => self.calls.push((call, request, bytes)),
                    WorkerOutput::Led { epoch } => self.outputs.push(format!("led by {epoch}")),
                    other => self.outputs.push(format!("{other:?}")),
                }
            } else if let Some(output) = self.fleet.poll_output() {
                match output {
                    FleetOutput::Publish { frame, .. } | FleetOutput::Broadcast(frame) => {
                        self.worker.handle_frame(self.now, &frame);
                    }
                    FleetOutput::Claim { worker, call, agents } => {
                        self.fleet.handle_claimed(self.now, &worker, call, &agents, Ok(Claimed::default()));
                    }
                    FleetOutput::Renew { .. } => {}
                    FleetOutput::Wrote(agent, bytes) => {
                        self.fleet.handle_read(self.now, &agent, bytes.len() as u64);
                        self.outputs.push(format!("{agent} wrote {} bytes", bytes.len()));
                    }
                    other => self.outputs.push(format!("{other:?}")),
                }
            } else {
                return;
            }
        }
    }

    /// Returns the requests for files that the worker has not answered.
    fn take_calls(&mut self) -> Vec<(FileCall, FileRequest, Vec<u8>)> {
        self.settle();
        std::mem::take(&mut self.calls)
    }

    fn take(&mut self) -> Vec<String> {
        self.settle();
        std::mem::take(&mut self.outputs)
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.worker.handle_tick(self.now);
        self.fleet.handle_tick(self.now);
        self.settle();
    }
}

#[test]
fn a_worker_ends_once_the_leader_knows_it() {
    let mut pair = Pair::new();
    pair.worker.handle_agent_started(pair.now, "1-1");
    assert_eq!(pair.take(), [r#"Started(AgentId("w/1-1"))"#]);
    pair.wait(Duration::from_secs(6));
    pair.worker.handle_agent_ended(pair.now, "1-1", None);
    pair.worker.handle_shutdown(pair.now);
    assert_eq!(pair.take(), [r#"Ended(AgentId("w/1-1"), None)"#, "Done", r#"WorkerEnded { worker: "w" }"#]);
    assert_eq!((pair.worker.deadline(), pair.fleet.deadline()), (None, None));
}

/// An agent that does not read holds the leader back, and one that writes without end is held back by the leader.
#[test]
fn x_1_bytes_in_flight_are_bounded() {
    let mut pair = Pair::new();
    let agent = AgentId::new("w/1-1");
    pair.worker.handle_agent_started(pair.now, "1-1");
    pair.take();
    let line = format!("{}\n", "x".repeat(100_000));
    let mut written = 0;
    while pair.fleet.takes_bytes(&agent) {
        pair.fleet.handle_write(pair.now, &agent, line.as_bytes());
        written += 1;
        pair.settle();
    }
    assert_eq!((written, pair.take().len()), (3, 3));
    pair.wait(Duration::from_secs(6));
    assert!(!pair.fleet.takes_bytes(&agent));
    pair.worker.handle_lines_read(pair.now, "1-1", 1);
    pair.settle();
    assert!(pair.fleet.takes_bytes(&agent));
    // In the other direction the worker holds the reading of the agent back.
    while pair.worker.takes_lines("1-1") {
        pair.worker.handle_line(pair.now, "1-1", line.trim_end().as_bytes());
        assert!(written < 20);
        written += 1;
    }
    pair.settle();
    assert!(pair.worker.takes_lines("1-1"), "the leader has read them");
}

/// Lets the worker ask a new leader for a lease.
fn next_leader(pair: &mut Pair, epoch: u64) {
    pair.fleet = Fleet::new(epoch, Duration::from_secs(30), pair.now);
    pair.settle();
}

#[test]
fn a_file_of_an_agent_is_read_and_written_by_requests() {
    let mut pair = Pair::new();
    let agent = AgentId::new("w/1-1");
    let open = |fleet: &mut Fleet, now, agent: &AgentId, bytes| {
        fleet.handle_file_request(now, agent, FileRequest::Open { path: "a".into() }, bytes)
    };
    assert_eq!(open(&mut pair.fleet, pair.now, &agent, Vec::new()), None, "no such agent");
    pair.worker.handle_agent_started(pair.now, "1-1");
    pair.take();
    assert_eq!(open(&mut pair.fleet, pair.now, &agent, vec![0; super::MAX_FILE_BYTES + 1]), None);
    assert_eq!(open(&mut pair.fleet, pair.now, &agent, b"x".to_vec()), Some(1));
    let mut calls = pair.take_calls();
    let (call, request, bytes) = calls.remove(0);
    assert_eq!((request, bytes.as_slice()), (FileRequest::Open { path: "a".into() }, b"x".as_slice()));
    let opened = FileAnswer::Opened { file: 4, bytes: 2, name: "a".into() };
    pair.worker.handle_file_answer(pair.now, call.clone(), opened, b"hi".to_vec());
    let answered = r#"FileAnswer { agent: AgentId("w/1-1"), call: 1, answer: Opened { file: 4, bytes: 2, name: "a" }, bytes: [104, 105] }"#;
    assert_eq!(pair.take(), [answered]);
    pair.worker.handle_file_answer(
        pair.now,
        call.clone(),
        FileAnswer::Read,
        vec![0; super::MAX_FILE_BYTES + 1],
    );
    assert!(pair.take()[0].contains("too many bytes at once"));
    // The next leader counts its requests from 1, too.
    next_leader(&mut pair, 2);
    pair.take();
    pair.worker.handle_file_answer(pair.now, call, FileAnswer::Done, Vec::new());
    assert_eq!(pair.take(), [""; 0]);
}

#[test]
fn files_of_a_message_leave_with_its_hand_out() {
    let mut pair = Pair::new();
    let agent = AgentId::new("w/1-1");
    pair.worker.handle_agent_started(pair.now, "1-1");
    pair.take();
    let id = |entry| HandOutId { entry: EntryId(entry), attempt: 1 };
    for entry in [1, 2, 3] {
        let place = FileRequest::Place { id: id(entry), name: "a".into() };
        pair.fleet.handle_file_request(pair.now, &agent, place, Vec::new()).unwrap();
    }
    assert_eq!(pair.take_calls().len(), 3);
    for entry in [1, 2] {
        let line =
            format!("{{\"event\":\"message\",\"delivery\":{entry},\"entry\":{entry},\"attempt\":1}}\n");
        pair.fleet.handle_write(pair.now, &agent, line.as_bytes());
    }
    pair.take();
    pair.worker.handle_line(pair.now, "1-1", br#"{"op":"ack","delivery":1,"id":"a"}"#);
    pair.take();
    pair.fleet.handle_write(
        pair.now,
        &agent,
        b"{\"event\":\"result\",\"id\":\"a\",\"ok\":true,\"result\":{}}\n",
    );
    let released = |entry| format!("{:?}", WorkerOutput::Released { agent: "1-1".into(), id: id(entry) });
    assert!(pair.take().contains(&released(1)));
    // The agent keeps the second one, and the line of the third one has not come.
    next_leader(&mut pair, 2);
    let outputs = pair.take();
    assert!(outputs.contains(&released(3)) && !outputs.contains(&released(2)), "{outputs:?}");
}

/// A leader that has not learnt yet that another one leads.
#[test]
fn an_earlier_leader_ends_no_lease_of_the_next_one() {
    let mut pair = Pair::new();
    let mut earlier = std::mem::replace(&mut pair.fleet, Fleet::new(2, Duration::from_secs(30), pair.now));
    pair.take();
    pair.now = pair.now + Duration::from_secs(6);
    pair.worker.handle_tick(pair.now);
    let mut beats = 0;
    while let Some(WorkerOutput::Publish(frame)) = pair.worker.poll_output() {
        earlier.handle_frame(pair.now, &frame);
        beats += 1;
    }
    assert!(beats > 0 && earlier.stats().stale_frames == beats && earlier.poll_output().is_none());
}

#[test]
fn x_2_the_usage_of_a_worker_follows_its_agents_and_its_lease() {
    let mut pair = Pair::new();
    let agent = AgentId::new("w/1-1");
    let usage = |pair: &Pair| pair.worker.usage(pair.now);
    let idle = usage(&pair);
    assert_eq!((idle.led, idle.epoch, idle.agents, idle.heartbeat_age_seconds), (true, 1, 0, 0));
    pair.worker.handle_agent_started(pair.now, "1-1");
    pair.take();
    let entry = r#"{"event":"message","delivery":7,"entry":1,"attempt":1}"#;
    pair.fleet.handle_write(pair.now, &agent, format!("{entry}\n").as_bytes());
    pair.settle();
    let busy = usage(&pair);
    assert_eq!((busy.held, busy.settling, busy.pending_ops, busy.unread_lines), (1, 0, 0, 1), "{busy:?}");
    pair.worker.handle_lines_read(pair.now, "1-1", 1);
    pair.worker.handle_line(pair.now, "1-1", br#"{"op":"ack","delivery":1}"#);
    let sent = usage(&pair);
    assert_eq!((sent.held, sent.settling, sent.pending_ops, sent.unread_lines), (1, 1, 1, 0), "{sent:?}");
    // One says that the agent has read.
    assert!(sent.unacknowledged == 2 && sent.unread_bytes > 20, "{sent:?}");
    pair.settle();
    // The leader is silent from here on: lines wait, and the agent is held back.
    let long = vec![b'x'; 200_000];
    (0..4).for_each(|_| pair.worker.handle_line(pair.now, "1-1", &long));
    let stuck = usage(&pair);
    assert_eq!(
        (stuck.waiting_lines, stuck.waiting_bytes, stuck.agents_held_back),
        (2, 400_000, 1),
        "{stuck:?}"
    );
    pair.now = pair.now + Duration::from_secs(24);
    // Without an input, too.
    assert_eq!(usage(&pair).heartbeat_age_seconds, 24);
    pair.worker.handle_tick(pair.now + Duration::from_secs(1));
    let alone = usage(&pair);
    assert_eq!(
        (alone.led, alone.epoch, alone.unacknowledged, alone.unread_bytes),
        (false, 1, 0, 0),
        "{alone:?}"
    );
    assert_eq!((alone.held, alone.settling, alone.heartbeat_age_seconds), (1, 1, 24), "{alone:?}");
    pair.worker.handle_agent_ended(pair.now, "1-1", Some("it died"));
    let stats = pair.worker.stats();
    assert_eq!(
        (stats.leases, stats.leases_timed_out, stats.agents_started, stats.agents_failed),
        (1, 1, 1, 1)
    );
    assert_eq!((usage(&pair).agents, usage(&pair).held), (0, 0));
}
