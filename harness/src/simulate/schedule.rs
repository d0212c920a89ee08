//! Order of events.

use super::network::{Packet, Stage};
use super::world::{RunPhase, World};
use relayline_core::time::Time;
use std::time::Duration;

/// Maximum time until nothing is left to do after the faults end. A slow host takes a full buffer one event at a time.
const QUIESCENCE_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// Time without input after which the connector closes a connection.
const CONNECTOR_IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Interval of the connector's WebSocket pings.
const CONNECTOR_PING_INTERVAL: Duration = Duration::from_secs(20);

/// The next event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum NextEvent {
    Action,
    Recover,
    Request(usize),
    Answer(usize),
    ToGateway(usize),
    ToConnector(usize),
    ConnectorPing(usize),
    GiveUp(usize),
    ConnectorTick,
    Settle,
    Tick,
    StartProcess,
    EndFaults,
    TimeOut,
}

impl World<'_> {
    /// Converts a time of the gateway's clock to virtual time.
    fn when(&self, at: Time) -> Time {
        let us =
            i64::try_from(at.as_micros()).unwrap_or(i64::MAX).saturating_sub(self.gateway.clock_offset_us);
        Time::from_micros(u64::try_from(us).unwrap_or(0))
    }

    pub(crate) fn next(&self) -> Option<(Time, NextEvent)> {
        let mut first: Option<(Time, NextEvent)> = None;
        let mut offer = |at: Time, next: NextEvent| {
            let at = at.max(self.now);
            if first.is_none_or(|first| (at, next) < first) && at < Time::NEVER {
                first = Some((at, next));
            }
        };
        let awake = self.faults.suspended_until;
        match self.run_phase {
            RunPhase::Plan => match self.plan.actions.get(self.plan.next) {
                Some(action) => offer(action.at, NextEvent::Action),
                None => {
                    // With a short ping interval an event happens in every half second.
                    let last = self.plan.actions.last().map_or(Time::ZERO, |action| action.at);
                    let quiet = self.now + Duration::from_millis(500);
                    offer(quiet.min(last + Duration::from_secs(60)).max(awake), NextEvent::EndFaults);
                }
            },
            RunPhase::Recovered(since) => offer(since + QUIESCENCE_TIMEOUT, NextEvent::TimeOut),
            RunPhase::Leaving(since) => offer(since + Duration::from_secs(30), NextEvent::TimeOut),
            RunPhase::Over => {}
        }
        if let Some((at, _)) = self.faults.recoveries.first() {
            offer(*at, NextEvent::Recover);
        }
        if let Some(at) = self.connector.machine.deadline() {
            offer(at, NextEvent::ConnectorTick);
        }
        if let Some(at) = self.faults.start_at {
            offer(at.max(awake), NextEvent::StartProcess);
        }
        let wants_read = self.gateway.process.as_ref().is_some_and(|process| process.machine.wants_read());
        if let Some(process) = &self.gateway.process {
            if let Some((due, _)) = process.machine.deadline() {
                offer(self.when(due).max(awake), NextEvent::Tick);
            }
            if let Some(at) = self.host.settles_at() {
                offer(at.max(awake).max(self.faults.host_fails_until), NextEvent::Settle);
            }
        }
        for (place, link) in self.network.links.iter().enumerate() {
            match &link.stage {
                Stage::Asking { at, .. } => offer(*at, NextEvent::Request(place)),
                Stage::Answered { at, .. } => {
                    offer(if link.gateway { (*at).max(awake) } else { *at }, NextEvent::Answer(place));
                }
                Stage::Swallowed => {}
                Stage::Open => match link.to_gateway.next() {
                    Some((at, _)) if !link.gateway => offer(at, NextEvent::ToGateway(place)),
                    Some((_, Packet::Bytes(_))) if !wants_read => {}
                    Some((at, _)) => offer(at.max(awake), NextEvent::ToGateway(place)),
                    None => {}
                },
            }
            if let Some((at, _)) = link.to_connector.next() {
                let deaf = if link.connector { self.faults.not_reading_until } else { Time::ZERO };
                offer(at.max(deaf), NextEvent::ToConnector(place));
            }
            if link.connector {
                offer(link.heard + CONNECTOR_IDLE_TIMEOUT, NextEvent::GiveUp(place));
                if self.setup.connector_pings && link.stage == Stage::Open {
                    offer(link.pinged + CONNECTOR_PING_INTERVAL, NextEvent::ConnectorPing(place));
                }
            }
        }
        first
    }
}
