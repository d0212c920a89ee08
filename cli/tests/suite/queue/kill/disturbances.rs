//! Disturbances of the kill run, and how they are done.

use super::super::jetstream::proxy::Proxy;
use super::super::jetstream::servers::Server;
use super::processes::{Place, Process};
use super::world::World;
use super::{Random, send};
use crate::support::SOON;
use std::process::Child;
use std::time::Duration;

/// Duration of a long stop: longer than each time-out of the gateway, and than the lease of a worker.
const LONG: Duration = Duration::from_secs(3);

/// Duration after which another gateway leads: longer than the time of the leader's key.
const TAKE_OVER: Duration = Duration::from_secs(12);

/// Duration after which other servers lead the streams: longer than their elections.
const ELECTION: Duration = Duration::from_secs(6);

/// Thing that a disturbance is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Connector,
    /// The gateway, or that one of two that leads.
    Gateway,
    Standby,
    Worker,
    /// One of the agents.
    Agent,
    /// All agents.
    Agents,
    /// One of the servers.
    Server,
    /// Everything.
    All,
}

/// Duration of a stop or a cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Span {
    /// Shorter than most time-outs.
    Short,
    Long,
    TakeOver,
    Election,
    Longest,
}

impl Span {
    fn duration(self, random: &mut Random) -> Duration {
        match self {
            Span::Short => random.millis(100, 1000),
            Span::Long => LONG,
            Span::TakeOver => TAKE_OVER,
            Span::Election => ELECTION,
            Span::Longest => Duration::from_secs(40),
        }
    }
}

/// Thing that happens to the processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Disturbance {
    Kill(Target),
    /// The gateway is killed while nothing can be stored.
    KillWriter,
    /// A planned end.
    End(Target),
    Stop(Target, Span),
    /// Nothing passes between the gateway that leads and the servers.
    Cut(Span),
}

use Disturbance::{Cut, End, Kill, KillWriter, Stop};

/// Disturbances with a queue in a file: first each kind, and then those that are more frequent.
const OF_FILE: [Disturbance; 16] = [
    Stop(Target::Gateway, Span::Long),
    Kill(Target::All),
    Stop(Target::Connector, Span::Long),
    Kill(Target::Agent),
    Stop(Target::Agents, Span::Long),
    End(Target::Gateway),
    Stop(Target::Gateway, Span::Short),
    Stop(Target::Connector, Span::Short),
    Stop(Target::Agents, Span::Short),
    Kill(Target::Connector),
    Kill(Target::Gateway),
    KillWriter,
    Kill(Target::Agent),
    Kill(Target::Connector),
    Kill(Target::Gateway),
    Kill(Target::Agent),
];

/// Number of those that are one of each kind.
const KINDS_OF_FILE: usize = 13;

/// The same with a queue on servers. Those of the gateway that leads wait until one leads.
const OF_SERVERS: [Disturbance; 30] = [
    Stop(Target::Gateway, Span::TakeOver),
    // No gateway leads for a while, and much else happens meanwhile.
    Kill(Target::All),
    Kill(Target::Agent),
    Stop(Target::Connector, Span::Long),
    Kill(Target::Worker),
    Kill(Target::Standby),
    Stop(Target::Worker, Span::Long),
    Stop(Target::Gateway, Span::Long),
    Kill(Target::Server),
    Stop(Target::Agents, Span::Long),
    End(Target::Worker),
    End(Target::Gateway),
    Stop(Target::Server, Span::Election),
    Cut(Span::Long),
    Kill(Target::Connector),
    Stop(Target::Gateway, Span::Short),
    Kill(Target::Gateway),
    Stop(Target::Standby, Span::Long),
    // The others are shorter or longer ones of the same kinds, or more frequent.
    Stop(Target::Worker, Span::Short),
    Stop(Target::Server, Span::Short),
    Stop(Target::Connector, Span::Short),
    Stop(Target::Agents, Span::Short),
    Cut(Span::Short),
    Cut(Span::TakeOver),
    Kill(Target::Connector),
    Kill(Target::Agent),
    Kill(Target::Worker),
    Kill(Target::Server),
    Stop(Target::Worker, Span::Long),
    Stop(Target::Gateway, Span::Long),
];

/// Number of those that are one of each kind.
const KINDS_OF_SERVERS: usize = 18;

/// Targets of the stops of 40 s.
const LONGEST: [Target; 3] = [Target::Connector, Target::Gateway, Target::Agents];

/// Number of the stops of 40 s, at full size.
pub(super) const STOPS_OF_40_S: usize = LONGEST.len();

/// Returns the disturbances of a place.
fn of(place: &Place) -> &'static [Disturbance] {
    match place {
        Place::File => &OF_FILE,
        Place::Servers(_) => &OF_SERVERS,
    }
}

/// Returns the number of kinds of disturbances of a place.
pub(super) fn kinds(place: &Place) -> usize {
    match place {
        Place::File => KINDS_OF_FILE,
        Place::Servers(_) => KINDS_OF_SERVERS,
    }
}

/// Returns one of the disturbances of a place. The first ones are one of each kind.
pub(super) fn choose(place: &Place, index: usize, random: &mut Random) -> Disturbance {
    let all = of(place);
    all[if index < kinds(place) { index } else { random.below(all.len()) }]
}

/// Returns a stop of 40 s.
pub(super) fn longest(number: usize) -> Disturbance {
    Stop(LONGEST[number], Span::Longest)
}

impl Disturbance {
    /// Returns true for a stop or a cut that is longer than the time-outs.
    pub(super) fn is_long(self) -> bool {
        matches!(self, Stop(_, span) | Cut(span) if span != Span::Short)
    }
}

impl World {
    pub(super) fn disturb(&mut self, random: &mut Random, disturbance: Disturbance) {
        match disturbance {
            Kill(target) => self.end(target, "KILL", random),
            End(target) => self.end(target, "TERM", random),
            KillWriter => self.kill_writer(random),
            Stop(target, span) => {
                let span = span.duration(random);
                self.stop(target, span, random);
            }
            Cut(span) => {
                let leader = self.leader();
                let Place::Servers(servers) = &self.place else { return };
                servers.of(leader).iter().for_each(Proxy::cut);
                self.write_for(span.duration(random));
                let Place::Servers(servers) = &self.place else { return };
                servers.of(leader).iter().for_each(Proxy::restore);
            }
        }
    }

    /// Ends something by a signal, and starts it again.
    fn end(&mut self, target: Target, signal: &str, random: &mut Random) {
        match target {
            Target::Connector => self.restart_connector(),
            Target::Gateway => {
                let leader = self.leader();
                self.restart_gateways(&[leader], signal);
            }
            Target::Standby => self.restart_gateways(&[self.standby()], signal),
            Target::Worker => {
                let number = random.below(self.workers.len());
                self.workers[number].end(signal);
                self.workers[number].start_again();
            }
            Target::Agent => {
                let agents = self.agents();
                if !agents.is_empty() {
                    send(agents[random.below(agents.len())], signal);
                }
            }
            Target::Agents => self.agents().into_iter().for_each(|agent| send(agent, signal)),
            Target::Server => {
                let Place::Servers(servers) = &mut self.place else { return };
                let server = &mut servers.cluster.servers[random.below(3)];
                server.kill();
                self.write_for(random.millis(100, 1000));
                self.resume_servers();
            }
            Target::All => self.end_all(signal),
        }
    }

    fn end_all(&mut self, signal: &str) {
        self.agents().into_iter().for_each(|agent| send(agent, signal));
        for process in self.gateways.iter().chain(&self.workers) {
            process.signal(signal);
        }
        if let Place::Servers(servers) = &mut self.place {
            servers.cluster.servers.iter_mut().for_each(Server::kill);
        }
        self.resume_servers();
        self.restart_connector();
        let all: Vec<usize> = (0..self.gateways.len()).collect();
        self.restart_gateways(&all, signal);
        for worker in &mut self.workers {
            worker.end(signal);
            worker.start_again();
        }
    }

    fn resume_servers(&mut self) {
        let Place::Servers(servers) = &mut self.place else { return };
        servers.cluster.servers.iter_mut().filter(|server| server.child.is_none()).for_each(Server::resume);
    }

    fn kill_writer(&mut self, random: &mut Random) {
        self.wait_for_leader();
        let writer = rusqlite::Connection::open(self.path("inbox.db")).unwrap();
        writer.busy_timeout(SOON).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        self.write_for(random.millis(300, 600));
        self.gateways[0].signal("KILL");
        drop(writer);
        self.restart_gateways(&[0], "KILL");
    }

    /// Stops something for a time.
    fn stop(&mut self, target: Target, span: Duration, random: &mut Random) {
        let pids = match target {
            Target::Gateway => {
                let leader = self.leader();
                return self.stop_process(|world| &mut world.gateways[leader], span);
            }
            Target::Standby => {
                let standby = self.standby();
                return self.stop_process(|world| &mut world.gateways[standby], span);
            }
            Target::Worker => {
                // Without a leader it has no lease to lose.
                self.wait_for_leader();
                let number = random.below(self.workers.len());
                return self.stop_process(|world| &mut world.workers[number], span);
            }
            Target::Connector => vec![self.connector.id()],
            Target::Server => {
                let Place::Servers(servers) = &self.place else { return };
                servers.cluster.servers[random.below(3)].child.iter().map(Child::id).collect()
            }
            Target::Agent | Target::Agents | Target::All => self.agents(),
        };
        pids.iter().for_each(|pid| send(*pid, "STOP"));
        match target {
            // It does not read: its stdin would be full soon.
            Target::Connector => std::thread::sleep(span),
            _ => self.write_for(span),
        }
        pids.iter().for_each(|pid| send(*pid, "CONT"));
        if target == Target::Connector {
            self.connector.resumed();
        }
    }

    fn stop_process(&mut self, process: impl Fn(&mut World) -> &mut Process, span: Duration) {
        process(self).set_stopped(true);
        self.write_for(span);
        process(self).set_stopped(false);
    }
}
