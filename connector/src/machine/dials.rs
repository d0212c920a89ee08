//! Who is let in, and which of two connections of one gateway stays.

use super::{ConnId, ConnectorMachine};
use crate::config::{Duplicates, UpgradeRefusal};
use crate::connection::Output;
use crate::like::Like;
use crate::upgrade::{Bearer, check_bearer};
use relayline_core::time::Now;

/// Whoever it is, they are not let in.
pub(super) struct Unauthenticated {
    /// The gateway that it would be, as far as that can be told.
    pub(super) id: String,
    /// Why: `expired` or `unauthorized`.
    pub(super) error: &'static str,
}

impl ConnectorMachine {
    /// Whose upgrade token this is, and whether there was one to check.
    pub(super) fn authenticate(
        &self,
        now: Now,
        authorization: Option<&str>,
    ) -> Result<(String, bool), Unauthenticated> {
        if self.is_open {
            return Ok((String::new(), false));
        }
        let accounts = self.gateways.iter().map(|(id, gateway)| (id.as_str(), &gateway.account));
        match check_bearer(accounts, authorization, now) {
            Bearer::Right(id) => Ok((id, true)),
            Bearer::Expired(id) => Err(Unauthenticated { id, error: "expired" }),
            Bearer::Wrong => Err(Unauthenticated { id: String::new(), error: "unauthorized" }),
        }
    }

    /// Whose dial it is, whether its token is right, and why it is refused, if it is.
    pub(super) fn check_dial(
        &mut self,
        now: Now,
        authorization: Option<&str>,
    ) -> (String, bool, Option<&'static str>) {
        let (id, authenticated) = match self.authenticate(now, authorization) {
            Ok(known) => known,
            Err(Unauthenticated { id, error }) => return (id, false, Some(error)),
        };
        let revoked = match self.config.upgrade_refusal {
            UpgradeRefusal::Close => "revoked",
            UpgradeRefusal::Http => "unauthorized",
        };
        let refusal = self.gateways.get_mut(&id).and_then(|gateway| {
            let expired = std::mem::take(&mut gateway.expire_next_dial);
            match (gateway.revoked, expired) {
                (true, _) => Some(revoked),
                (false, true) => Some("expired"),
                (false, false) => None,
            }
        });
        (id, authenticated, refusal)
    }

    /// One connection per gateway stays.
    pub(super) fn settle_duplicates(&mut self, id: &str, new: ConnId) {
        let Some(gateway) = self.gateways.get_mut(id) else { return };
        let displaces = self.config.like == Some(Like::Displacing);
        let loser = match (gateway.conn, self.config.duplicates) {
            (None, _) => None,
            (Some(old), _) if displaces => Some(old),
            (Some(old), Duplicates::Replace) => Some(old),
            (Some(_), Duplicates::Refuse) => Some(new),
        };
        if loser != Some(new) {
            gateway.conn = Some(new);
        }
        if let Some(loser) = loser {
            let (code, reason) = if displaces { (4000, "replaced") } else { (1008, "duplicate session") };
            self.end(loser, Output::Close { code, reason: reason.to_owned() });
        }
    }
}
