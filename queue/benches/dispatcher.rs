//! Time of a hand-out in the dispatcher alone, with few and with many entries and sessions.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement that cannot go on should stop.

use divan::Bencher;
use relayline_core::time::Time;
use relayline_queue::config::QueueLimits;
use relayline_queue::dispatcher::{Arrival, Dispatcher};
use relayline_queue::id::{AgentId, ArrivalId, DedupeKey};
use relayline_queue::output::{Output, Settlement};
use relayline_queue::store::{Loaded, StoreAnswer, StoreCommand};
use std::collections::VecDeque;
use std::fmt;

/// Numbers of entries and of sessions.
#[derive(Clone, Copy)]
struct Load {
    entries: u64,
    sessions: u64,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries of {} sessions", self.entries, self.sessions)
    }
}

/// Between the first three the tables outgrow a processor's own caches; what a hand-out costs after that must not grow.
const LOADS: [Load; 6] = [
    Load { entries: 1000, sessions: 1000 },
    Load { entries: 10_000, sessions: 10_000 },
    Load { entries: 30_000, sessions: 30_000 },
    Load { entries: 99_000, sessions: 99_000 },
    Load { entries: 99_000, sessions: 20_000 },
    Load { entries: 99_000, sessions: 200 },
];

/// Number of hand-outs that are measured at once.
const HAND_OUTS: u64 = 1000;

fn main() {
    divan::main();
    // What is promised: the number at each load, and that the largest is like the others.
    let per_second = LOADS.map(|load| {
        let mut queue = Queue::new(load);
        let rates = (0..9).map(|_| queue.rate());
        let mut rates: Vec<f64> = rates.collect();
        rates.sort_by(f64::total_cmp);
        println!("{load}: {:.0} hand-outs a second", rates[4]);
        rates[4]
    });
    let ratio = |to: usize| per_second[3] / per_second[to];
    println!("ratio of 99000 sessions to 30000: {:.2}, to 1000: {:.2}", ratio(2), ratio(0));
}

/// Hands an entry out, settles it, and stores another one in its place.
#[divan::bench(args = LOADS)]
fn hand_outs(bencher: Bencher<'_, '_>, load: Load) {
    let mut queue = Queue::new(load);
    bencher.counter(divan::counter::ItemsCount::new(HAND_OUTS)).bench_local(|| queue.work(HAND_OUTS));
}

/// Dispatcher with a store that confirms everything and stores nothing.
struct Queue {
    dispatcher: Dispatcher,
    load: Load,
    arrivals: u64,
    handed_out: u64,
    settled: VecDeque<relayline_queue::id::HandOutId>,
}

impl Queue {
    fn new(load: Load) -> Queue {
        let dispatcher = Dispatcher::new(QueueLimits::default(), "bench", Time::ZERO);
        let mut queue = Queue { dispatcher, load, arrivals: 0, handed_out: 0, settled: VecDeque::new() };
        queue.drain();
        while queue.arrivals < load.entries {
            queue.arrive();
        }
        for id in ["a", "b", "c", "d"] {
            queue.dispatcher.handle_agent_ready(Time::ZERO, &AgentId::new(id));
            queue.drain();
        }
        queue
    }

    fn arrive(&mut self) {
        self.arrivals += 1;
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.arrivals.to_le_bytes());
        let arrival = Arrival {
            id: ArrivalId(self.arrivals),
            session: format!("agent:main:discord:{}", self.arrivals % self.load.sessions).into(),
            key: Some(DedupeKey(key)),
            body: b"a message".as_slice().into(),
            memory: None,
        };
        self.dispatcher.handle_arrival(Time::ZERO, arrival);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.dispatcher.poll_output() {
            match output {
                Output::Store { id, command } => {
                    let answer = match command {
                        StoreCommand::Write(_) => StoreAnswer::Written,
                        StoreCommand::ReadBody(_) => StoreAnswer::Body(Some(b"a message".as_slice().into())),
                        _ => StoreAnswer::Loaded(Box::<Loaded>::default()),
                    };
                    self.dispatcher.handle_answer(Time::ZERO, id, answer);
                }
                Output::HandOut(hand_out) => {
                    self.handed_out += 1;
                    self.settled.push_back(hand_out.id);
                }
                Output::Arrived { result, .. } => assert!(result.is_ok(), "{result:?}"),
                _ => {}
            }
        }
    }

    fn work(&mut self, number: u64) {
        let end = self.handed_out + number;
        while self.handed_out < end {
            let id = self.settled.pop_front().unwrap();
            self.dispatcher.settle(Time::ZERO, id, Settlement::Done);
            self.drain();
            self.arrive();
        }
    }

    // Benches read a clock.
    #[allow(clippy::disallowed_methods, clippy::disallowed_types)]
    fn rate(&mut self) -> f64 {
        let start = std::time::Instant::now();
        self.work(10 * HAND_OUTS);
        (10 * HAND_OUTS) as f64 / start.elapsed().as_secs_f64()
    }
}
