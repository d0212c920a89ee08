//! Base URL of a connector's HTTP endpoints.

use super::host;
use crate::settings::{Names, table};
use crate::url::DialUrl;
use std::fmt;

/// Base URL of a connector's HTTP endpoints. It exists only if credentials may be sent to it, since every exchange
/// carries some.
#[derive(Clone, PartialEq, Eq)]
pub struct Base {
    /// Scheme, host, port and path, without a trailing slash.
    text: String,
    /// Query with its question mark; empty if there is none. It follows the path, as in the dialed URL.
    query: String,
}

/// Error returned when credentials would be sent unencrypted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{url} is not a loopback address, and its scheme is not encrypted: use wss:// or https://, or {} to send credentials \
     in the clear",
    .names.give(&table::ALLOW_INSECURE)
)]
pub struct Insecure {
    /// URL that is not encrypted.
    pub url: String,
    /// Names of settings in the message.
    pub names: Names,
}

impl fmt::Debug for Base {
    /// Hides the query, which may hold a connector's key (C-4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("text", &self.text).finish_non_exhaustive()
    }
}

impl Base {
    /// Converts a dialed URL into its base: `ws` becomes `http`, and `/relay` is removed.
    ///
    /// # Errors
    ///
    /// Returns [`Insecure`] if the URL is neither encrypted nor loopback, unless `allow_insecure` is set.
    pub fn new(url: &DialUrl, allow_insecure: bool) -> Result<Base, Insecure> {
        if !url.is_secure() && !url.is_loopback() && !allow_insecure {
            return Err(Insecure { url: url.to_string(), names: Names::default() });
        }
        let (path, query) = url.as_str().split_at(url.as_str().find('?').unwrap_or(url.as_str().len()));
        let path = path.strip_suffix("/relay").unwrap_or(path);
        let text = path.replacen("ws", "http", 1);
        Ok(Base { text, query: query.to_owned() })
    }

    /// Returns scheme, host, port and path, without a trailing slash and without the query.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host and port, for messages.
    pub fn host(&self) -> &str {
        host(&self.text)
    }

    /// Returns `<base>/relay/<name>`, followed by the query.
    pub(super) fn endpoint(&self, name: &str) -> String {
        [&self.text, "/relay/", name, &self.query].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    type Ours = Result<(&'static str, &'static str), &'static str>;

    /// Inputs of vectors whose base differs by L-1: our base and the text after an endpoint, or the error.
    const DEPARTURES: [(&str, Ours); 19] = [
        // The reference does not trim for the POST targets.
        ("  https://connector.example/relay  ", Ok(("https://connector.example", ""))),
        ("\thttps://connector.example\n", Ok(("https://connector.example", ""))),
        ("ws://connector.example/relay/ ", Ok(("http://connector.example", ""))),
        // Without a scheme or a host: a configuration error.
        ("", Err("\"\" is not a ws, wss, http or https URL")),
        ("   ", Err("\"\" is not a ws, wss, http or https URL")),
        ("/", Err("\"/\" is not a ws, wss, http or https URL")),
        ("connector.example", Err("\"connector.example\" is not a ws, wss, http or https URL")),
        ("connector.example/relay", Err("\"connector.example/relay\" is not a ws, wss, http or https URL")),
        ("connector.example:8080", Err("\"connector.example:8080\" is not a ws, wss, http or https URL")),
        ("ftp://connector.example", Err("\"ftp://connector.example\" is not a ws, wss, http or https URL")),
        ("https://", Err("\"https://\" has no usable host")),
        // Schemes and hosts are case-insensitive.
        ("HTTPS://Connector.Example", Ok(("https://connector.example", ""))),
        ("WSS://connector.example/relay", Ok(("https://connector.example", ""))),
        // `/relay` belongs to the path, not after a query. A host named `relay` is not a path.
        ("https://connector.example/relay?x=1", Ok(("https://connector.example", "?x=1"))),
        ("https://connector.example?token=a/relay", Ok(("https://connector.example", "?token=a/relay"))),
        ("http://relay", Ok(("http://relay", ""))),
        ("https://relay/", Ok(("https://relay", ""))),
        // URLs are ASCII on the wire.
        ("https://bücher.example/é", Ok(("https://xn--bcher-kva.example/%C3%A9", ""))),
        // A fragment is a configuration error, and so is user-info, which is never quoted.
        (
            "https://connector.example/relay#frag",
            Err("\"https://connector.example/relay#frag\" has a fragment (#…): leave it out"),
        ),
    ];
    const USER_INFO: &str = "https://user:pw@connector.example";

    #[test]
    fn l_1_vectors() {
        let file: Value = serde_json::from_str(include_str!("../../../harness/vectors/urls.json")).unwrap();
        let mut departed = 0;
        for vector in file["vectors"].as_array().unwrap() {
            let input = vector["input"].as_str().unwrap();
            let url = match DialUrl::parse(input) {
                Ok(url) => url,
                Err(error) if input == USER_INFO => {
                    assert_eq!(error, crate::url::UrlError::UserInfo);
                    continue;
                }
                Err(error) => {
                    let departure = DEPARTURES.iter().find(|(known, _)| *known == input);
                    let (_, expected) = departure.unwrap_or_else(|| panic!("{input:?}: {error}"));
                    assert_eq!(Err(error.to_string().as_str()), *expected, "{input:?} departs: L-1");
                    departed += 1;
                    continue;
                }
            };
            let base = Base::new(&url, true).unwrap();
            let ours = [base.as_str().to_owned(), base.endpoint("provision"), base.endpoint("policy")];
            let theirs = ["connector_url", "provision_url", "policy_url"].map(|name| vector[name].as_str());
            if ours.each_ref().map(|url| Some(url.as_str())) == theirs {
                continue;
            }
            let departure = DEPARTURES.iter().find(|(known, _)| *known == input);
            let (text, query) = departure.unwrap_or_else(|| panic!("{input:?}: {ours:?}")).1.unwrap();
            let expected = [
                text.to_owned(),
                format!("{text}/relay/provision{query}"),
                format!("{text}/relay/policy{query}"),
            ];
            assert_eq!(ours, expected, "{input:?} departs: L-1");
            departed += 1;
        }
        assert_eq!(departed, DEPARTURES.len(), "every departure is used");
    }

    #[test]
    fn c_6_an_insecure_url_has_no_base() {
        for (url, allow, ok) in [
            ("wss://c.example", false, true),
            ("http://127.0.0.1:9", false, true),
            ("http://c.example", false, false),
            ("http://c.example", true, true),
        ] {
            assert_eq!(Base::new(&DialUrl::parse(url).unwrap(), allow).is_ok(), ok, "{url}");
        }
    }
}
