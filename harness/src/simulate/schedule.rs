//! Who comes next.

use super::network::{Packet, Stage};
use super::world::{Stretch, World};
use relayline_core::time::Time;
use std::time::Duration;

/// How long a healed world may take until nothing is left to do: a slow host takes a full buffer an event at a time.
const CALMS_DOWN_WITHIN: Duration = Duration::from_secs(2 * 60 * 60);
/// The connector gives a connection up that it has heard nothing of for so long.
const CONNECTOR_PATIENCE: Duration = Duration::from_secs(120);
/// How often the connector's WebSocket layer pings, where it does.
const CONNECTOR_PINGS: Duration = Duration::from_secs(20);

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Next {
    Deed,
    Lift,
    Request(usize),
    Answer(usize),
    ToGateway(usize),
    ToConnector(usize),
    ConnectorPing(usize),
    GiveUp(usize),
    ConnectorTick,
    Settle,
    Tick,
    Birth,
    Heal,
    Leave,
}

impl World<'_> {
    /// The world's time at which the gateway's clock shows `at`.
    fn when(&self, at: Time) -> Time {
        let us = i64::try_from(at.as_micros()).unwrap_or(i64::MAX).saturating_sub(self.ahead_us);
        Time::from_micros(u64::try_from(us).unwrap_or(0))
    }

    pub(crate) fn next(&self) -> Option<(Time, Next)> {
        let mut first: Option<(Time, Next)> = None;
        let mut offer = |at: Time, next: Next| {
            let at = at.max(self.t);
            if first.is_none_or(|first| (at, next) < first) && at < Time::NEVER {
                first = Some((at, next));
            }
        };
        let awake = self.troubles.suspended_until;
        match self.stretch {
            Stretch::Plan => match self.plan.get(self.at) {
                Some(deed) => offer(deed.at, Next::Deed),
                None => {
                    // With a quick keep-alive something happens in every half second.
                    let last = self.plan.last().map_or(Time::ZERO, |deed| deed.at);
                    let quiet = self.t + Duration::from_millis(500);
                    offer(quiet.min(last + Duration::from_secs(60)).max(awake), Next::Heal);
                }
            },
            Stretch::Healed(since) => offer(since + CALMS_DOWN_WITHIN, Next::Leave),
            Stretch::Leaving(since) => offer(since + Duration::from_secs(30), Next::Leave),
            Stretch::Over => {}
        }
        if let Some((at, _)) = self.troubles.lifts.first() {
            offer(*at, Next::Lift);
        }
        if let Some(at) = self.connector.deadline() {
            offer(at, Next::ConnectorTick);
        }
        if let Some(at) = self.troubles.birth_at {
            offer(at.max(awake), Next::Birth);
        }
        let wants_read = self.life.as_ref().is_some_and(|life| life.machine.wants_read());
        if let Some(life) = &self.life {
            if let Some((due, _)) = life.machine.deadline() {
                offer(self.when(due).max(awake), Next::Tick);
            }
            if let Some(at) = self.host.settles_at() {
                offer(at.max(awake).max(self.troubles.host_fails_until), Next::Settle);
            }
        }
        for (place, link) in self.links.iter().enumerate() {
            match &link.stage {
                Stage::Asking { at, .. } => offer(*at, Next::Request(place)),
                Stage::Answered { at, .. } => {
                    offer(if link.gateway { (*at).max(awake) } else { *at }, Next::Answer(place));
                }
                Stage::Swallowed => {}
                Stage::Open => match link.to_gateway.next() {
                    Some((at, _)) if !link.gateway => offer(at, Next::ToGateway(place)),
                    Some((_, Packet::Bytes(_))) if !wants_read => {}
                    Some((at, _)) => offer(at.max(awake), Next::ToGateway(place)),
                    None => {}
                },
            }
            if let Some((at, _)) = link.to_connector.next() {
                let deaf = if link.connector { self.troubles.deaf_until } else { Time::ZERO };
                offer(at.max(deaf), Next::ToConnector(place));
            }
            if link.connector {
                offer(link.heard + CONNECTOR_PATIENCE, Next::GiveUp(place));
                if self.setup.connector_pings && link.stage == Stage::Open {
                    offer(link.pinged + CONNECTOR_PINGS, Next::ConnectorPing(place));
                }
            }
        }
        first
    }
}
