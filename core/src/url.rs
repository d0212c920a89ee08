//! Where to dial (L-1).

use std::fmt;
use url::Url;

/// A connector's URL in the form that is dialled: `ws` or `wss`, ending in `/relay` (L-1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DialUrl {
    text: String,
    secure: bool,
    host: String,
    port: u16,
    loopback: bool,
}

/// Why a URL cannot be dialled. It quotes the URL, but never user-info.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// No URL at all, or a scheme of another kind.
    #[error("{0:?} is no ws, wss, http or https URL")]
    Scheme(String),
    /// No host, or one that is no host name and no address.
    #[error("{0:?} has no usable host")]
    Host(String),
    /// `user:password@`: credentials have settings of their own.
    #[error(
        "the URL holds user-info (user:password@): leave it out, a gateway has an id and a secret instead"
    )]
    UserInfo,
    /// `#…` is never sent to a server.
    #[error("{0:?} has a fragment (#…): leave it out")]
    Fragment(String),
}

impl DialUrl {
    /// Reads a configured URL: trimmed, `http` becomes `ws` and `https` `wss`, slashes at the end go, `/relay` is
    /// appended unless it is there (L-1). A query stays where it is, behind the path.
    pub fn parse(configured: &str) -> Result<DialUrl, UrlError> {
        let text = configured.trim();
        let (scheme, rest) = text.split_once("://").ok_or_else(|| UrlError::Scheme(text.into()))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            _ => return Err(UrlError::Scheme(text.into())),
        };
        let authority_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        if rest[..authority_end].contains('@') {
            return Err(UrlError::UserInfo);
        }
        if text.contains('#') {
            return Err(UrlError::Fragment(text.into()));
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| UrlError::Host(text.into()))?;
        let host = match url.host() {
            Some(host) => host,
            None => return Err(UrlError::Host(text.into())),
        };
        let loopback = match &host {
            url::Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
        };
        let port = url.port_or_known_default().ok_or_else(|| UrlError::Host(text.into()))?;
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/relay").unwrap_or(path);
        let explicit_port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(DialUrl {
            text: format!("{scheme}://{host}{explicit_port}{path}/relay{query}"),
            secure: scheme == "wss",
            host: host.to_string().trim_matches(['[', ']']).to_owned(),
            port,
            loopback,
        })
    }

    /// The URL to dial.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it goes over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host name or address to connect to, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine by its name or address alone, so that credentials may go there in the
    /// clear (C-6).
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl fmt::Display for DialUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_1_what_is_dialled() {
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
    fn l_1_what_is_a_configuration_error() {
        for (configured, message) in [
            ("ftp://x", r#""ftp://x" is no ws, wss, http or https URL"#),
            ("", r#""" is no ws, wss, http or https URL"#),
            ("c.example:80", r#""c.example:80" is no ws, wss, http or https URL"#),
            ("https://", r#""https://" has no usable host"#),
            ("https://c.example:99999", r#""https://c.example:99999" has no usable host"#),
            ("https://c.example/#top", r##""https://c.example/#top" has a fragment (#…): leave it out"##),
            (
                "https://me:hunter2@c.example",
                "the URL holds user-info (user:password@): leave it out, a gateway has an id and a secret instead",
            ),
        ] {
            let error = DialUrl::parse(configured).map(|url| url.to_string()).unwrap_err().to_string();
            assert_eq!(error, message);
        }
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
