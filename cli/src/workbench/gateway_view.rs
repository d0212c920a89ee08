//! State of the gateway, as the connector observes it.

use relayline_connector::{ClosedBy, Observation};
use serde::Serialize;

/// State of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkState {
    /// It is not connected.
    #[default]
    Away,
    /// It has dialed, and no handshake is complete.
    Dialed,
    Connected,
    /// It has asked the connector to buffer.
    Idle,
    /// Its credentials were refused.
    Refused,
}

/// End of a connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct LastEnd {
    pub(crate) code: Option<u16>,
    pub(crate) reason: String,
    pub(crate) by: ClosedBy,
}

/// The gateway.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct GatewayView {
    /// Its id. Unknown until the first dial, unless it was given.
    pub(crate) id: Option<String>,
    pub(crate) state: LinkState,
    /// Time at which the state began, in Unix milliseconds.
    pub(crate) since: u64,
    /// Number of dials.
    pub(crate) dials: u64,
    /// Platforms of its hellos on this connection. The first is the default.
    pub(crate) platforms: Vec<String>,
    /// Number of requests of this gateway.
    pub(crate) requests: u64,
    /// Number of requests that were refused.
    pub(crate) refused: u64,
    /// True if it has ended for good, since it was revoked.
    pub(crate) has_ended: bool,
    /// Number of messages in the connector's buffer.
    pub(crate) buffered: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_end: Option<LastEnd>,
}

/// Maximum number of platforms that are listed.
const MAX_PLATFORMS: usize = 16;

impl GatewayView {
    pub(crate) fn new(id: Option<&str>) -> GatewayView {
        GatewayView { id: id.map(str::to_owned), ..GatewayView::default() }
    }

    /// Returns true if an observation is about this gateway. The first one that dials is it, if none was given.
    pub(crate) fn is_of(&mut self, seen: &Observation) -> bool {
        match seen {
            Observation::Dial { gateway, authenticated, .. } => match &self.id {
                None if *authenticated || gateway.is_empty() => {
                    self.id = Some(gateway.clone());
                    true
                }
                None => false,
                Some(id) => id == gateway,
            },
            Observation::Frame { gateway, .. }
            | Observation::Answered { gateway, .. }
            | Observation::Sent { gateway, .. }
            | Observation::Unacked { gateway, .. }
            | Observation::Closed { gateway, .. } => self.id.as_ref() == Some(gateway),
            _ => false,
        }
    }

    fn enter(&mut self, at: u64, state: LinkState) {
        if self.state != state {
            (self.state, self.since) = (state, at);
        }
    }

    /// Applies an observation. Returns true if it changed something.
    pub(crate) fn apply(&mut self, at: u64, seen: &Observation) -> bool {
        match seen {
            Observation::Dial { dial, status, error, .. } => {
                self.dials = *dial;
                self.platforms.clear();
                let state =
                    if status.is_none() && error.is_none() { LinkState::Dialed } else { LinkState::Refused };
                self.enter(at, state);
            }
            Observation::Closed { code, reason, by, .. } => {
                self.last_end = Some(LastEnd { code: *code, reason: reason.clone(), by: *by });
                let is_refused =
                    *code == Some(relayline_core::machine::CREDENTIALS_REJECTED) && reason != "expired";
                self.enter(at, if is_refused { LinkState::Refused } else { LinkState::Away });
            }
            Observation::Frame { frame, .. } => match frame["type"].as_str() {
                Some("hello") => {
                    let platform = frame["platform"].as_str().unwrap_or_default();
                    let is_new = self.platforms.iter().all(|known| known != platform);
                    if is_new && self.platforms.len() < MAX_PLATFORMS {
                        self.platforms.push(platform.chars().take(64).collect());
                    }
                }
                Some("outbound") => self.requests += 1,
                _ => return false,
            },
            Observation::Sent { frame, .. } => match frame["type"].as_str() {
                Some("descriptor") => self.enter(at, LinkState::Connected),
                Some("going_idle_ack") => self.enter(at, LinkState::Idle),
                _ => return false,
            },
            Observation::Answered { result, .. } if result["success"] != true => self.refused += 1,
            _ => return false,
        }
        true
    }
}
