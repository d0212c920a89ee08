//! Bearer tokens of gateways.

use crate::account::Account;
use relayline_core::time::Now;

/// A sender without a valid token.
#[derive(Debug)]
pub(crate) struct Unauthenticated {
    /// Id of the gateway that an expired token names; otherwise empty.
    pub(crate) id: String,
    /// `expired` or `unauthorized`.
    pub(crate) error: &'static str,
}

/// Result of checking a bearer token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Bearer {
    /// Signed by this gateway, and not expired.
    Right(String),
    /// Signed by this gateway, and expired.
    Expired(String),
    /// Missing, malformed, or not signed with a secret of the gateway that it names.
    Wrong,
}

/// Checks an `Authorization` header against every gateway's secrets (C-2). A token counts only with the
/// secrets of the gateway that it names.
pub(crate) fn check_bearer<'a>(
    accounts: impl Iterator<Item = (&'a str, &'a Account)> + Clone,
    authorization: Option<&str>,
    now: Now,
) -> Bearer {
    let Some(token) = authorization.and_then(bearer_token) else {
        return Bearer::Wrong;
    };
    let owner = |unix_s: u64| {
        let maker = accounts.clone().find(|(id, account)| account.has_signed(id, token, now, unix_s));
        maker.map(|(id, _)| id.to_owned())
    };
    match owner(now.unix_s) {
        Some(id) => Bearer::Right(id),
        // A token that is valid at time 0, and only then, has expired since.
        None => owner(0).map_or(Bearer::Wrong, Bearer::Expired),
    }
}

/// Returns the token of an `Authorization` header. The scheme's name may have any case (RFC 9110, 11.1).
pub(crate) fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConnectorConfig;
    use relayline_core::secret::Secret;
    use relayline_core::time::Time;
    use relayline_core::token;

    #[test]
    fn c_2_a_token_counts_only_for_the_gateway_it_names() {
        let config =
            ConnectorConfig::default().gateway("a:1", "old").gateway("a:1", "new").gateway("b", "other");
        let bearer = |id: &str, secret: &str, ttl_s: u64| {
            format!("Bearer {}", token::mint(id, &Secret::from(secret), 1000, ttl_s).expose())
        };
        let accounts: Vec<_> = config
            .gateways
            .iter()
            .map(|account| (account.id.as_str(), Account::configured(account)))
            .collect();
        let check = |header: Option<&str>, expected: Bearer| {
            let accounts = accounts.iter().map(|(id, account)| (*id, account));
            let now = Now { mono: Time::ZERO, unix_s: 1301 };
            assert_eq!(check_bearer(accounts, header, now), expected, "{header:?}");
        };
        check(Some(&bearer("a:1", "old", 301)), Bearer::Right("a:1".into()));
        check(Some(&bearer("a:1", "new", 0)), Bearer::Right("a:1".into()));
        check(Some(&bearer("a:1", "new", 301).replace("Bearer", "bearer ")), Bearer::Right("a:1".into()));
        check(Some(&bearer("a:1", "new", 300)), Bearer::Expired("a:1".into()));
        check(Some(&bearer("a:1", "other", 301)), Bearer::Wrong);
        check(Some(&bearer("b", "new", 300)), Bearer::Wrong);
        check(Some(&bearer("c", "other", 301)), Bearer::Wrong);
        check(Some("Bearer"), Bearer::Wrong);
        check(Some("Basic YTpi"), Bearer::Wrong);
        check(Some(""), Bearer::Wrong);
        check(None, Bearer::Wrong);
    }
}
