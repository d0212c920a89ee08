//! URLs of connectors.

use std::fmt;
use std::net::IpAddr;
use url::Url;

/// Connector's URL in the form that is dialed: `ws` or `wss`, ending in `/relay`. `Display` and `Debug` hide its
/// query, since some connectors take a key in it.
#[derive(Clone, PartialEq, Eq)]
pub struct DialUrl {
    text: String,
    secure: bool,
    host: String,
    port: u16,
    loopback: bool,
}

/// Error returned when a URL cannot be dialed. It quotes the URL, but never user-info or the content of its query.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text is not a URL, or has another scheme.
    #[error("{0:?} is not a ws, wss, http or https URL")]
    Scheme(String),
    /// The host is missing, or neither a host name nor an address.
    #[error("{0:?} has no usable host")]
    Host(String),
    /// The URL has user-info (`user:password@`). Credentials have settings of their own.
    #[error(
        "the URL holds user-info (user:password@): leave it out, a gateway has an id and a secret instead"
    )]
    UserInfo,
    /// The URL has a fragment (`#…`), which is never sent to a server.
    #[error("{0:?} has a fragment (#…): leave it out")]
    Fragment(String),
}

impl DialUrl {
    /// Parses a configured URL. The text is trimmed, `http` becomes `ws` and `https` becomes `wss`, trailing slashes
    /// are removed, and `/relay` is appended unless it is present. A query stays after the path.
    ///
    /// # Errors
    ///
    /// Returns [`UrlError`] if the URL cannot be dialed.
    pub fn parse(configured: &str) -> Result<DialUrl, UrlError> {
        let text = configured.trim();
        // Checked first, since the other errors quote the text.
        if has_user_info(text) {
            return Err(UrlError::UserInfo);
        }
        // A password may contain a slash, which ends the authority before its `@`.
        let unusable = |error: fn(String) -> UrlError| {
            if text.contains('@') { UrlError::UserInfo } else { error(without_query(text)) }
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            _ => return Err(unusable(UrlError::Scheme)),
        };
        if text.contains('#') {
            return Err(unusable(UrlError::Fragment));
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| unusable(UrlError::Host))?;
        let host = match url.host() {
            Some(host) => host,
            None => return Err(unusable(UrlError::Host)),
        };
        let port = url.port_or_known_default().ok_or_else(|| unusable(UrlError::Host))?;
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/relay").unwrap_or(path);
        let explicit_port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let bare = host.to_string().trim_matches(['[', ']']).to_owned();
        Ok(DialUrl {
            text: format!("{scheme}://{host}{explicit_port}{path}/relay{query}"),
            secure: scheme == "wss",
            loopback: is_loopback(&bare),
            host: bare,
            port,
        })
    }

    /// Returns the URL to dial.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the connection uses TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host name or address to connect to, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns true if the host is this machine by its name or address alone, so that credentials may be sent
    /// unencrypted.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

/// Returns a URL for display, without the content of its query and of anything after it.
pub fn without_query(text: &str) -> String {
    text.split_once('?').map_or_else(|| text.to_owned(), |(bare, _)| format!("{bare}?<hidden>"))
}

/// Returns true if a parser could find user-info in a text, with or without a scheme. A parser finds an authority
/// after a scheme's colon regardless of the number of slashes, and skips control characters. A backslash ends the
/// authority for some schemes only, so it does not end it here.
fn has_user_info(text: &str) -> bool {
    let behind_scheme = text.split_once(':').map_or("", |(_, rest)| rest);
    [text, behind_scheme].into_iter().any(|part| {
        let skipped = |c: char| matches!(c, '/' | '\\') || c.is_ascii_control() || c.is_whitespace();
        let authority = part.trim_start_matches(skipped);
        let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
        authority[..end].contains('@')
    })
}

/// Returns true if a host, a name in lower case or an address without brackets, is this machine.
///
/// A look-up may resolve such a name differently, so connections to it are limited to addresses of this machine.
pub fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

impl fmt::Display for DialUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_query(&self.text))
    }
}

impl fmt::Debug for DialUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DialUrl").field(&without_query(&self.text)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_1_each_configured_url_is_dialled_as() {
        for (configured, dialled) in [
            ("https://c.example", "wss://c.example/relay"),
            ("http://c.local:8080", "ws://c.local:8080/relay"),
            ("wss://c.example/relay", "wss://c.example/relay"),
            ("  https://c.example/relay///  ", "wss://c.example/relay"),
            ("https://c.example/tenant/", "wss://c.example/tenant/relay"),
            ("HTTPS://C.Example", "wss://c.example/relay"),
            ("ws://[::1]:9/", "ws://[::1]:9/relay"),
            ("https://c.example/?k=v", "wss://c.example/relay?k=v"),
        ] {
            assert_eq!(DialUrl::parse(configured).as_ref().map(DialUrl::as_str), Ok(dialled), "{configured}");
        }
    }

    #[test]
    fn l_1_unusable_urls_are_configuration_errors() {
        for (configured, message) in [
            ("ftp://x", r#""ftp://x" is not a ws, wss, http or https URL"#),
            ("", r#""" is not a ws, wss, http or https URL"#),
            ("c.example:80", r#""c.example:80" is not a ws, wss, http or https URL"#),
            ("https://", r#""https://" has no usable host"#),
            ("https://c.example:99999", r#""https://c.example:99999" has no usable host"#),
            ("https://c.example/#top", r##""https://c.example/#top" has a fragment (#…): leave it out"##),
            ("ftp://x?key=s3cret", r#""ftp://x?<hidden>" is not a ws, wss, http or https URL"#),
            (
                "https://c.example/?key=s3cret#top",
                r#""https://c.example/?<hidden>" has a fragment (#…): leave it out"#,
            ),
        ] {
            let error = DialUrl::parse(configured).map(|url| url.to_string()).unwrap_err().to_string();
            assert_eq!(error, message);
        }
    }

    #[test]
    fn l_1_c_4_user_info_is_an_error_that_does_not_quote_it() {
        for configured in [
            "https://me:hunter2@c.example",
            "https://hunter2@c.example/",
            "https:///me:hunter2@c.example",
            "wss://\\me:hunter2@c.example",
            "https://\n/me:hunter2@c.example",
            "https:me:hunter2@c.example",
            "https:/me:hunter2@c.example",
            "https:\\me:hunter2@c.example",
            "https:/\n/me:hunter2@c.example",
            "https:/ /me:hunter2@c.example",
            "//me:hunter2@c.example",
            "ftps://me\\:hunter2@c.example",
            "https://me:hunter2@",
            "https://me:hunter2@c.example#top",
            // This URL has another error, too, whose message would quote it.
            "ftp://me:hunter2@c.example",
            "me:hunter2@c.example",
            "://me:hunter2@c.example",
            // A slash ends what could be user-info, and the text before it is not a valid port.
            "https://me:hunter2/3@c.example",
            "ftp://me/hunter2@c.example",
            "https://me:80/hunter2@c.example#top",
        ] {
            assert_eq!(DialUrl::parse(configured), Err(UrlError::UserInfo), "{configured}");
        }
        assert!(DialUrl::parse("https://c.example/@me?a=b@c").is_ok());
    }

    #[test]
    fn l_1_c_4_a_query_is_dialled_and_not_shown() {
        let url = DialUrl::parse("https://c.example/relay?key=s3cret").unwrap();
        assert_eq!(url.as_str(), "wss://c.example/relay?key=s3cret");
        assert_eq!(
            format!("{url} {url:?}"),
            "wss://c.example/relay?<hidden> DialUrl(\"wss://c.example/relay?<hidden>\")"
        );
    }

    /// Vectors in which L-1 differs from the reference: the input, and the dialed URL or the error.
    const DEPARTURES: [(&str, &str); 17] = [
        // Without a scheme or a host: a configuration error.
        ("", "\"\" is not a ws, wss, http or https URL"),
        ("   ", "\"\" is not a ws, wss, http or https URL"),
        ("/", "\"/\" is not a ws, wss, http or https URL"),
        ("connector.example", "\"connector.example\" is not a ws, wss, http or https URL"),
        ("connector.example/relay", "\"connector.example/relay\" is not a ws, wss, http or https URL"),
        ("connector.example:8080", "\"connector.example:8080\" is not a ws, wss, http or https URL"),
        ("ftp://connector.example", "\"ftp://connector.example\" is not a ws, wss, http or https URL"),
        ("https://", "\"https://\" has no usable host"),
        // Schemes and hosts are case-insensitive.
        ("HTTPS://Connector.Example", "wss://connector.example/relay"),
        ("WSS://connector.example/relay", "wss://connector.example/relay"),
        // `/relay` belongs to the path, not after a query. A host named `relay` is not a path.
        ("https://connector.example/relay?x=1", "wss://connector.example/relay?x=1"),
        ("https://connector.example?token=a/relay", "wss://connector.example/relay?token=a/relay"),
        ("http://relay", "ws://relay/relay"),
        ("https://relay/", "wss://relay/relay"),
        // A fragment and user-info are configuration errors.
        (
            "https://connector.example/relay#frag",
            "\"https://connector.example/relay#frag\" has a fragment (#…): leave it out",
        ),
        (
            "https://user:pw@connector.example",
            "the URL holds user-info (user:password@): leave it out, a gateway has an id and a secret instead",
        ),
        // URLs are ASCII on the wire.
        ("https://bücher.example/é", "wss://xn--bcher-kva.example/%C3%A9/relay"),
    ];

    #[test]
    fn l_1_vectors() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../harness/vectors/urls.json")).unwrap();
        let mut departed = 0;
        for vector in file["vectors"].as_array().unwrap() {
            let (input, theirs) =
                (vector["input"].as_str().unwrap(), vector["ws_dial_url"].as_str().unwrap());
            let ours = DialUrl::parse(input);
            let ours = ours.map_or_else(|error| error.to_string(), |url| url.as_str().to_owned());
            if ours == theirs {
                continue;
            }
            let departure = DEPARTURES.iter().find(|(known, _)| *known == input);
            assert_eq!(Some(ours.as_str()), departure.map(|(_, ours)| *ours), "{input:?} departs: L-1");
            departed += 1;
        }
        assert_eq!(departed, DEPARTURES.len(), "every departure is used");
    }

    #[test]
    fn c_6_loopback_is_known_by_its_address() {
        for (url, expected) in [
            ("ws://127.0.0.1:1", true),
            ("ws://127.9.9.9", true),
            ("ws://[::1]", true),
            ("ws://localhost:80", true),
            ("ws://localhost.example", false),
            ("ws://127.0.0.1.example", false),
            ("ws://10.0.0.1", false),
        ] {
            assert_eq!(DialUrl::parse(url).unwrap().is_loopback(), expected, "{url}");
        }
    }
}
