//! Access to pages: tokens, the cookie, and the checks of `Host` and `Origin`. Pure decisions on headers.

use crate::random;
use hyper::header::{COOKIE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Uri};
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

/// Header with the token of actions.
pub(super) const ACTION_TOKEN: HeaderName = HeaderName::from_static("x-relayline-token");
/// Length of a token in bytes: 128 bits.
const TOKEN_BYTES: usize = 16;

/// Reason for which a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Denial {
    /// `Host` is not this port.
    Host,
    /// `Origin` is another page's, or absent from an action.
    Origin,
    /// The token of the URL is wrong.
    EntryToken,
    /// The cookie is absent or wrong.
    Cookie,
    /// The token of actions is absent or wrong.
    ActionToken,
}

impl Denial {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Denial::Host | Denial::Origin | Denial::ActionToken => StatusCode::FORBIDDEN,
            Denial::EntryToken | Denial::Cookie => StatusCode::UNAUTHORIZED,
        }
    }

    /// Returns the text for the user.
    pub(super) fn text(self) -> &'static str {
        match self {
            Denial::Host => "This port answers to its own address only: open the URL that relayline printed.",
            Denial::Origin => "The request comes from another page, and is refused.",
            Denial::EntryToken => {
                "The token of this URL is not valid, perhaps from an earlier start: open the URL that relayline printed."
            }
            Denial::Cookie => {
                "Open the URL that relayline printed, with its token. If you have just opened it, reload this page."
            }
            Denial::ActionToken => "The action has no valid token: reload the page.",
        }
    }
}

/// Tokens of a port, and the names under which it may be addressed.
pub(super) struct Access {
    address: SocketAddr,
    /// True if other machines may use the page.
    is_remote: bool,
    entry_token: String,
    cookie: String,
    action_token: String,
}

impl Access {
    /// Creates the tokens of a port.
    pub(super) fn new(address: SocketAddr, is_remote: bool) -> Result<Access, getrandom::Error> {
        Ok(Access {
            address,
            is_remote,
            entry_token: random::hex::<TOKEN_BYTES>()?,
            cookie: random::hex::<TOKEN_BYTES>()?,
            action_token: random::hex::<TOKEN_BYTES>()?,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the token of the printed URL.
    pub(super) fn entry_token(&self) -> &str {
        &self.entry_token
    }

    /// Returns the token of actions.
    pub(super) fn action_token(&self) -> &str {
        &self.action_token
    }

    /// Returns the name of the cookie. It has the port, since a browser sends cookies to all ports of a host.
    fn cookie_name(&self) -> String {
        format!("relayline-{}", self.address.port())
    }

    /// Returns the header that sets the cookie.
    pub(super) fn set_cookie(&self) -> String {
        format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie_name(), self.cookie)
    }

    /// Checks by which name the port is addressed, and that no other page has sent the request.
    pub(super) fn check_source(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Denial> {
        let host: Authority =
            single(headers, &HOST).and_then(|host| host.parse().ok()).ok_or(Denial::Host)?;
        let is_same = |other: &Authority| other.as_str().eq_ignore_ascii_case(host.as_str());
        if !self.is_own(&host) || !uri.authority().is_none_or(is_same) {
            return Err(Denial::Host);
        }
        if !headers.contains_key(ORIGIN) {
            return Ok(());
        }
        let origin = single(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
        match origin {
            Some(origin) if origin.eq_ignore_ascii_case(host.as_str()) => Ok(()),
            Some(_) | None => Err(Denial::Origin),
        }
    }

    /// Returns true if this is a name of the port. An address cannot be pointed elsewhere, as a name can.
    fn is_own(&self, host: &Authority) -> bool {
        // A user before the host would be the attacker's choice.
        if host.as_str().contains('@') || host.port_u16().unwrap_or(80) != self.address.port() {
            return false;
        }
        let name = host.host();
        let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match ip {
            Ok(ip) => self.is_remote || ip.is_loopback() || ip == self.address.ip(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Checks the token of the printed URL.
    pub(super) fn check_entry(&self, token: &str) -> Result<(), Denial> {
        if is_equal(token, &self.entry_token) { Ok(()) } else { Err(Denial::EntryToken) }
    }

    /// Checks the cookie.
    pub(super) fn check_cookie(&self, headers: &HeaderMap) -> Result<(), Denial> {
        let name = self.cookie_name();
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = texts.flat_map(|text| text.split(';')).filter_map(|one| one.trim().split_once('='));
        let has_cookie = cookies.any(|(key, value)| key == name && is_equal(value, &self.cookie));
        if has_cookie { Ok(()) } else { Err(Denial::Cookie) }
    }

    /// Checks the token and the origin of an action. Its source and cookie are checked besides.
    pub(super) fn check_action(&self, headers: &HeaderMap) -> Result<(), Denial> {
        if !headers.contains_key(ORIGIN) {
            return Err(Denial::Origin);
        }
        match single(headers, &ACTION_TOKEN) {
            Some(token) if is_equal(token, &self.action_token) => Ok(()),
            Some(_) | None => Err(Denial::ActionToken),
        }
    }
}

/// Returns the value of a header that occurs once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() { None } else { Some(value) }
}

fn is_equal(given: &str, token: &str) -> bool {
    given.as_bytes().ct_eq(token.as_bytes()).into()
}
