//! Who is let in, and which of two connections of one gateway stays.

use super::{Conn, ConnectorMachine};
use crate::connector::config::Duplicates;
use crate::connector::link::Output;
use crate::connector::upgrade::{Bearer, check_bearer};
use relayline_core::time::Now;

impl ConnectorMachine {
    /// Whose dial it is, whether its token is right, and why it is refused, if it is.
    pub(super) fn judge(
        &mut self,
        now: Now,
        authorization: Option<&str>,
    ) -> (String, bool, Option<(u16, &'static str)>) {
        let (id, authenticated) = if self.config.gateways.is_empty() {
            (String::new(), false)
        } else {
            match check_bearer(&self.config, authorization, now.unix_s) {
                Bearer::Right(id) => (id, true),
                Bearer::Expired(id) => return (id, false, Some((401, "expired"))),
                Bearer::Wrong => return (String::new(), false, Some((401, "unauthorized"))),
            }
        };
        let refusal = self.gateways.get_mut(&id).and_then(|gateway| {
            let expired = std::mem::take(&mut gateway.expire_next_dial);
            match (gateway.revoked, expired) {
                (true, _) => Some((401, "unauthorized")),
                (false, true) => Some((401, "expired")),
                (false, false) => None,
            }
        });
        (id, authenticated, refusal)
    }

    /// One connection per gateway stays.
    pub(super) fn settle_duplicates(&mut self, id: &str, new: Conn) {
        let Some(gateway) = self.gateways.get_mut(id) else { return };
        let loser = match (gateway.conn, self.config.duplicates) {
            (None, _) => None,
            (Some(old), Duplicates::Replace) => Some(old),
            (Some(_), Duplicates::Refuse) => Some(new),
        };
        if loser != Some(new) {
            gateway.conn = Some(new);
        }
        if let Some(loser) = loser {
            self.end(loser, Output::Close { code: 1008, reason: "duplicate session".to_owned() });
        }
    }
}
