//! Proxies from the environment.

use super::exceptions::Exceptions;
use crate::url::is_loopback;
use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use relayline_core::secret::Secret;
use std::fmt;
use url::Url;

/// Proxies by scheme, and their exceptions. None by default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proxies {
    /// Proxy for `https` and `wss`.
    secure: Option<Proxy>,
    /// Proxy for `http` and `ws`.
    plain: Option<Proxy>,
    exceptions: Exceptions,
}

/// An HTTP proxy. Every connection through it is a tunnel (`CONNECT`), with or without TLS, so the proxy sees only
/// host and port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    from: &'static str,
    secure: bool,
    host: String,
    port: u16,
    authorization: Option<Secret>,
}

/// Error returned when a proxy variable is unusable. It never quotes user-info.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The value is not the URL of a proxy.
    #[error(
        "{from}: {value} is not an http or https URL of a proxy: write one as in http://proxy.example:3128"
    )]
    Url {
        /// Name of the variable.
        from: &'static str,
        /// Value in quotes, or `it` if the value could show credentials.
        value: String,
    },
    /// A SOCKS proxy is not supported.
    #[error(
        "{0}: SOCKS proxies are not supported: name an HTTP proxy as in http://proxy.example:3128, or unset it"
    )]
    Socks(&'static str),
    /// An exception is not valid.
    #[error(
        "{from}: {entry:?} is not a host, domain or network: write entries as in example.com, .example.com:8443, \
         10.0.0.0/8 or *"
    )]
    Exception {
        /// Name of the variable.
        from: &'static str,
        /// Entry of the exception.
        entry: String,
    },
}

impl Proxies {
    /// Reads `HTTPS_PROXY`, `http_proxy`, `ALL_PROXY` and `NO_PROXY` as curl does: the name in lower case first, blank
    /// values count as unset, and `ALL_PROXY` applies to a scheme without a variable of its own. `HTTP_PROXY` in
    /// capitals is not read: a web server that runs a program puts a request's `Proxy` header there.
    pub fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Result<Proxies, ProxyError> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = environment(name).filter(|value| !value.trim().is_empty())?;
                Some((*name, value))
            })
        };
        let proxy = |names: &[&'static str]| match first(names) {
            Some((from, value)) => Proxy::parse(from, value.trim()).map(Some),
            None => Ok(None),
        };
        let exceptions = match first(&["no_proxy", "NO_PROXY"]) {
            Some((from, value)) => {
                Exceptions::parse(&value).map_err(|entry| ProxyError::Exception { from, entry })?
            }
            None => Exceptions::default(),
        };
        Ok(Proxies {
            secure: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            plain: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
            exceptions,
        })
    }

    /// Returns the proxy for this host, a name or an address without brackets.
    ///
    /// There is never a proxy for loopback: to the proxy, loopback is another machine, and unencrypted traffic would
    /// leave this one.
    pub fn choose(&self, secure: bool, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = if secure { &self.secure } else { &self.plain };
        let direct = is_loopback(&host.to_ascii_lowercase()) || self.exceptions.contains(host, port);
        proxy.as_ref().filter(|_| !direct)
    }
}

impl Proxy {
    fn parse(from: &'static str, text: &str) -> Result<Proxy, ProxyError> {
        let error = || {
            let value = if text.contains('@') { "it".to_owned() } else { format!("{text:?}") };
            ProxyError::Url { from, value }
        };
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if scheme.as_deref().is_some_and(|scheme| scheme.starts_with("socks")) {
            return Err(ProxyError::Socks(from));
        }
        let url = match scheme {
            Some(_) => Url::parse(text),
            None => Url::parse(&format!("http://{text}")),
        };
        let url = url.map_err(|_| error())?;
        if !matches!(url.scheme(), "http" | "https") || !matches!(url.path(), "" | "/") {
            return Err(error());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(error)?;
        Ok(Proxy {
            from,
            secure: url.scheme() == "https",
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().ok_or_else(error)?,
            authorization: authorization(&url),
        })
    }

    /// Returns true if the connection to the proxy itself uses TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host name or address of the proxy, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port of the proxy.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value of `Proxy-Authorization`, if the URL has credentials.
    pub fn authorization(&self) -> Option<&Secret> {
        self.authorization.as_ref()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({})", self.host, self.port, self.from)
    }
}

/// Returns `Basic` credentials from the URL's user-info.
fn authorization(url: &Url) -> Option<Secret> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [decoded(url.username()), decoded(url.password().unwrap_or_default())].join(&b':');
    Some(Secret::new(["Basic ", &BASE64.encode(&zeroize::Zeroizing::new(pair))].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(environment: &[(&str, &str)]) -> Result<Proxies, String> {
        let look_up = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Proxies::from_environment(&look_up).map_err(|error| error.to_string())
    }

    #[test]
    fn each_host_has_its_proxy() {
        let https = ("HTTPS_PROXY", "http://secure.example:3128");
        let all = ("ALL_PROXY", "https://all.example");
        for (environment, url, expected) in [
            (&[][..], (true, "c.example"), None),
            (&[https], (true, "c.example"), Some("secure.example:3128 (HTTPS_PROXY)")),
            (&[https], (false, "c.example"), None),
            (
                &[https, ("https_proxy", "low.example")],
                (true, "c.example"),
                Some("low.example:80 (https_proxy)"),
            ),
            (&[https, ("https_proxy", " ")], (true, "c.example"), Some("secure.example:3128 (HTTPS_PROXY)")),
            (&[https, all], (true, "c.example"), Some("secure.example:3128 (HTTPS_PROXY)")),
            (&[https, all], (false, "c.example"), Some("all.example:443 (ALL_PROXY)")),
            (&[("http_proxy", "[fd00::1]:3128")], (false, "c.example"), Some("fd00::1:3128 (http_proxy)")),
            // A client of a CGI program can set this variable.
            (&[("HTTP_PROXY", "http://evil.example")], (false, "c.example"), None),
            (&[https, ("NO_PROXY", "other, c.example")], (true, "c.example"), None),
            (&[https, ("no_proxy", "*"), ("NO_PROXY", "other")], (true, "c.example"), None),
            // C-6: loopback is this machine.
            (&[all], (false, "127.0.0.1"), None),
            (&[all], (false, "::1"), None),
            (&[all], (true, "LocalHost"), None),
        ] {
            let chosen = proxies(environment).unwrap();
            let chosen = chosen.choose(url.0, url.1, 443).map(ToString::to_string);
            assert_eq!(chosen.as_deref(), expected, "{environment:?} {url:?}");
        }
    }

    #[test]
    fn errors_of_proxy_variables() {
        for (name, value, expected) in [
            (
                "HTTPS_PROXY",
                "ftp://x",
                "HTTPS_PROXY: \"ftp://x\" is not an http or https URL of a proxy: write one as in http://proxy.example:3128",
            ),
            (
                "https_proxy",
                "user:hunter2@:3128",
                "https_proxy: it is not an http or https URL of a proxy: write one as in http://proxy.example:3128",
            ),
            (
                "http_proxy",
                "http://x/path",
                "http_proxy: \"http://x/path\" is not an http or https URL of a proxy: write one as in http://proxy.example:3128",
            ),
            (
                "ALL_PROXY",
                "socks5h://user:hunter2@x:1080",
                "ALL_PROXY: SOCKS proxies are not supported: name an HTTP proxy as in http://proxy.example:3128, or unset it",
            ),
            (
                "NO_PROXY",
                "a.example,10.0.0.0/99",
                "NO_PROXY: \"10.0.0.0/99\" is not a host, domain or network: write entries as in example.com, \
                 .example.com:8443, 10.0.0.0/8 or *",
            ),
        ] {
            assert_eq!(proxies(&[(name, value)]), Err(expected.to_owned()), "{name}={value}");
        }
    }

    #[test]
    fn c_4_a_proxys_credentials_are_a_secret() {
        for (url, expected) in [
            ("http://user:p%40ss@x", Some("Basic dXNlcjpwQHNz")),
            ("http://user@x", Some("Basic dXNlcjo=")),
            ("http://x", None),
        ] {
            let proxies = proxies(&[("https_proxy", url)]).unwrap();
            let proxy = proxies.choose(true, "c.example", 443).unwrap();
            assert_eq!(proxy.authorization().map(Secret::expose), expected, "{url}");
            let shown = format!("{proxies:?} {proxy}");
            assert!(
                !shown.contains("p%40ss") && !shown.contains("dXNlcj") && !shown.contains("p@ss"),
                "{shown}"
            );
        }
    }
}
