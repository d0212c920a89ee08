//! The connector that the recorder forwards to.

use data_encoding::BASE64;
use relayline_control::network::Network;
use relayline_control::url::DialUrl;
use relayline_core::secret::Secret;
use std::fmt;
use url::form_urlencoded;

/// A connector, by its URL.
#[derive(Clone)]
pub struct Upstream {
    pub(super) url: DialUrl,
    /// Proxies and trusted authorities for the connection.
    pub(super) network: Network,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("url", &self.url.to_string()).finish_non_exhaustive()
    }
}

impl Upstream {
    /// Creates an upstream from the URL that a gateway would dial, with its proxies and trusted authorities.
    pub fn new(url: DialUrl, network: Network) -> Upstream {
        Upstream { url, network }
    }

    /// Returns the credentials in the URL's query, and those of the proxy.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let query = self.url.as_str().split_once('?').map_or("", |(_, query)| query);
        let parameters = form_urlencoded::parse(query.as_bytes());
        let values = parameters.map(|(name, value)| Secret::new(if value.is_empty() { name } else { value }));
        let proxy = self.network.proxies.choose(self.url.is_secure(), self.url.host(), self.url.port());
        let header = proxy.and_then(|proxy| proxy.authorization());
        let credential =
            header.and_then(|header| header.expose().split_once(' ')).map(|(_, credential)| credential);
        let user_info = credential
            .and_then(|credential| String::from_utf8(BASE64.decode(credential.as_bytes()).ok()?).ok());
        let password = user_info.as_deref().and_then(|user_info| user_info.split_once(':'));
        let proxy = credential.into_iter().chain(password.map(|(_, password)| password)).map(Secret::new);
        values.chain(proxy).collect()
    }

    /// Returns the value of the `Host` header.
    pub(super) fn authority(&self) -> &str {
        let rest = self.url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or_default()
    }

    /// Returns the target for a request with this path and query. The path of the URL, without `/relay`, is put before
    /// it, and the query of the URL after it (L-1).
    pub(super) fn target(&self, asked: &str) -> String {
        let rest = self.url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let path = place.find('/').map_or("", |at| &place[at..]);
        let base = path.strip_suffix("/relay").unwrap_or(path);
        match query {
            Some(query) => {
                format!("{base}{asked}{}{query}", if asked.contains('?') { '&' } else { '?' })
            }
            None => format!("{base}{asked}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_1_the_target_of_requests() {
        for (url, asked, authority, target) in [
            ("http://c.example", "/relay", "c.example", "/relay"),
            ("wss://c.example:444/base/relay", "/relay/enroll", "c.example:444", "/base/relay/enroll"),
            ("ws://[::1]:9/x?k=1", "/relay", "[::1]:9", "/x/relay?k=1"),
            ("ws://c.example?k=1", "/relay?a=b", "c.example", "/relay?a=b&k=1"),
        ] {
            let upstream = Upstream::new(DialUrl::parse(url).unwrap(), Network::default());
            assert_eq!((upstream.authority(), upstream.target(asked).as_str()), (authority, target), "{url}");
            assert!(!format!("{upstream:?}").contains("k=1"), "C-4");
        }
    }
}
