//! Admission of upgrades, and of one connection per gateway.

use super::ConnectorMachine;
use crate::bearer::{Bearer, Unauthenticated, check_bearer};
use crate::config::{Duplicates, UpgradeRefusal};
use crate::connection::Output;
use crate::like::Like;
use crate::values::ConnId;
use relayline_core::time::Now;

impl ConnectorMachine {
    /// Returns the gateway that an upgrade token belongs to, and true if a token was checked.
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

    /// Returns the gateway that dials, true if its token is valid, and the reason of a refusal.
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
            let expired = std::mem::take(&mut gateway.is_next_dial_expired);
            match (gateway.is_revoked, expired) {
                (true, _) => Some(revoked),
                (false, true) => Some("expired"),
                (false, false) => None,
            }
        });
        (id, authenticated, refusal)
    }

    /// Ends one of two connections of a gateway.
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
