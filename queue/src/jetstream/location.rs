//! URLs of queues on servers of NATS: `nats://SERVER,SERVER/PREFIX?replicas=3`.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Prefix of the names of streams and subjects, if the URL names none.
const DEFAULT_PREFIX: &str = "relay";

/// Port of a server, if the URL names none.
const DEFAULT_PORT: u16 = 4222;

/// Maximum number of replicas that servers accept.
const MAX_REPLICAS: usize = 5;

/// Maximum length of a prefix.
const MAX_PREFIX: usize = 40;

/// Form of a URL, for errors.
const ADVICE: &str = "write nats://SERVER, as in nats://a,b,c/relay?replicas=3";

/// Credentials for the servers. `Debug` does not print them.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) enum Login {
    /// None.
    #[default]
    Anonymous,
    Token(String),
    Password {
        user: String,
        password: String,
    },
    /// File with `USER:PASSWORD`, or with a token.
    File(PathBuf),
}

impl Login {
    /// Reads credentials from the first line of a text.
    pub(super) fn read(text: &str) -> Option<Login> {
        let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty())?;
        Some(match line.split_once(':') {
            Some((user, password)) => {
                Login::Password { user: user.to_owned(), password: password.to_owned() }
            }
            None => Login::Token(line.to_owned()),
        })
    }
}

/// Location of a queue on servers of NATS. `Display` and `Debug` leave the credentials out.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsUrl {
    /// Hosts and ports.
    servers: Vec<String>,
    pub(super) is_tls: bool,
    pub(super) login: Login,
    prefix: String,
    replicas: usize,
    /// Maximum number of bytes of each stream.
    pub(super) max_bytes: Option<u64>,
    /// File of certificates that are trusted besides those of the system.
    pub(super) ca: Option<PathBuf>,
    /// Files of the client's certificate and its key.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
}

impl NatsUrl {
    /// Returns the whole URL with its credentials. Do not log or display it.
    pub fn expose(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let file = |path: &Path| encode(&path.to_string_lossy());
        let login = match &self.login {
            Login::Anonymous | Login::File(_) => String::new(),
            Login::Token(token) => format!("{}@", encode(token)),
            Login::Password { user, password } => format!("{}:{}@", encode(user), encode(password)),
        };
        let mut parameters = vec![format!("replicas={}", self.replicas)];
        parameters.extend(self.max_bytes.map(|most| format!("max_bytes={most}")));
        if let Login::File(path) = &self.login {
            parameters.push(format!("login={}", file(path)));
        }
        parameters.extend(self.ca.as_deref().map(|path| format!("ca={}", file(path))));
        if let Some((certificate, key)) = &self.certificate {
            parameters.extend([format!("cert={}", file(certificate)), format!("key={}", file(key))]);
        }
        let (scheme, servers, prefix, query) =
            (self.scheme(), self.servers.join(","), &self.prefix, parameters.join("&"));
        format!("{scheme}://{login}{servers}/{prefix}?{query}")
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.is_tls { "tls" } else { "nats" }
    }

    /// Returns hosts and ports of the servers.
    pub fn servers(&self) -> &[String] {
        &self.servers
    }

    /// Returns the prefix of the names of streams and subjects.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the number of servers that store each thing.
    pub fn replicas(&self) -> usize {
        self.replicas
    }

    /// Returns the location with relative paths of files taken from a folder.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> NatsUrl {
        self.ca = self.ca.map(|path| folder.join(path));
        if let Login::File(path) = &self.login {
            self.login = Login::File(folder.join(path));
        }
        self.certificate =
            self.certificate.map(|(certificate, key)| (folder.join(certificate), folder.join(key)));
        self
    }
}

impl FromStr for NatsUrl {
    type Err = String;

    /// Parses a URL.
    ///
    /// # Errors
    /// The text for the user, without any part that may be secret.
    fn from_str(url: &str) -> Result<NatsUrl, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("it names no server: {ADVICE}"))?;
        let is_tls = match scheme {
            "nats" => false,
            "tls" => true,
            _ => return Err(format!("it begins with neither nats:// nor tls://: {ADVICE}")),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (self::login(login)?, hosts),
            None => (Login::Anonymous, authority),
        };
        let prefix = if path.is_empty() { DEFAULT_PREFIX } else { path };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if prefix.len() > MAX_PREFIX || !prefix.bytes().all(is_plain) {
            return Err(format!(
                "its path is the prefix of the streams, and may have {MAX_PREFIX} letters, digits and hyphens: {ADVICE}"
            ));
        }
        let mut parsed = NatsUrl {
            servers: hosts.split(',').map(server).collect::<Result<_, _>>()?,
            is_tls,
            login,
            prefix: prefix.to_owned(),
            replicas: 1,
            max_bytes: None,
            ca: None,
            certificate: None,
        };
        let (mut certificate, mut key) = (None, None);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "replicas" => {
                    let replicas = value.parse().ok().filter(|n| (1..=MAX_REPLICAS).contains(n));
                    parsed.replicas = replicas
                        .ok_or_else(|| format!("its replicas are not a number from 1 to {MAX_REPLICAS}"))?;
                }
                "max_bytes" => {
                    let most = value.parse().ok().filter(|n| (1..=i64::MAX.unsigned_abs()).contains(n));
                    parsed.max_bytes =
                        Some(most.ok_or_else(|| "its max_bytes are not a number of bytes".to_owned())?);
                }
                "login" if parsed.login == Login::Anonymous => {
                    parsed.login = Login::File(file("login", value)?)
                }
                "login" => {
                    return Err("it has credentials and names a file of them: remove one of both".to_owned());
                }
                "ca" => parsed.ca = Some(file("ca", value)?),
                "cert" => certificate = Some(file("cert", value)?),
                "key" => key = Some(file("key", value)?),
                _ => {
                    return Err(
                        "it has a parameter besides replicas, max_bytes, login, ca, cert and key".to_owned()
                    );
                }
            }
        }
        parsed.certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("it names only one of cert and key: name both files".to_owned()),
        };
        if !is_tls && (parsed.ca.is_some() || parsed.certificate.is_some()) {
            return Err("it names certificates, but begins with nats://: write tls://".to_owned());
        }
        Ok(parsed)
    }
}

fn login(text: &str) -> Result<Login, String> {
    Ok(match text.split_once(':') {
        Some((user, password)) => Login::Password { user: decode(user)?, password: decode(password)? },
        None => Login::Token(decode(text)?),
    })
}

/// Decodes percent signs.
fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "its credentials are not UTF-8 after percent-decoding".to_owned())
}

/// Checks a host with an optional port.
fn server(text: &str) -> Result<String, String> {
    let wrong = || format!("one of its servers is not HOST or HOST:PORT: {ADVICE}");
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong)?)
        }
        _ => (text, DEFAULT_PORT),
    };
    let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_valid = match name {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    is_valid.then(|| format!("{host}:{port}")).ok_or_else(wrong)
}

fn file(name: &str, value: &str) -> Result<PathBuf, String> {
    match decode(value) {
        Ok(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(format!("its {name} names no file")),
    }
}

impl fmt::Display for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme(), self.servers.join(","), self.prefix)?;
        if self.replicas != 1 {
            write!(f, "?replicas={}", self.replicas)?;
        }
        Ok(())
    }
}

impl fmt::Debug for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NatsUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> NatsUrl {
        url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn a_url_names_servers_a_prefix_and_replicas() {
        let url = parse("nats://a,b:4333,[::1]:4444/fleet?replicas=3&max_bytes=1000");
        assert_eq!(url.servers(), ["a:4222", "b:4333", "[::1]:4444"]);
        assert_eq!((url.prefix(), url.replicas(), url.max_bytes), ("fleet", 3, Some(1000)));
        assert_eq!(url.to_string(), "nats://a:4222,b:4333,[::1]:4444/fleet?replicas=3");
        let url = parse("nats://127.0.0.1");
        assert_eq!((url.prefix(), url.replicas()), ("relay", 1));
        let url = parse("tls://a/?ca=ca.pem&cert=c.pem&key=/etc/k.pem").within("/etc/relay".as_ref());
        assert_eq!(url.ca, Some("/etc/relay/ca.pem".into()));
        assert_eq!(url.certificate, Some(("/etc/relay/c.pem".into(), "/etc/k.pem".into())));
    }

    #[test]
    fn c_4_credentials_are_never_shown() {
        for url in ["nats://user:hunter%402@a/relay", "nats://hunter2@a/relay", "tls://u:hunter2@a:1,b:2"] {
            let url = parse(url);
            assert!(url.expose().contains("hunter"), "it has credentials");
            let shown = format!("{url} {url:?}");
            assert!(!shown.contains("hunter") && !shown.contains("user"), "{shown}");
        }
        let password = Login::Password { user: "us:er".to_owned(), password: "hunter@2".to_owned() };
        assert!(parse("nats://us%3Aer:hunter%402@a").login == password);
        assert!(parse("nats://a?login=file").login == Login::File("file".into()));
        assert!(
            Login::read("u:p:q\nmore")
                == Some(Login::Password { user: "u".to_owned(), password: "p:q".to_owned() })
        );
        assert!(Login::read(" token \n") == Some(Login::Token("token".to_owned())));
        assert!(Login::read("\n").is_none());
    }

    #[test]
    fn a_url_can_be_written_and_read_again() {
        for url in [
            "nats://us%3Aer:hunter%402@a:1,b/fleet?replicas=3&max_bytes=1000",
            "tls://to%2Fken@[::1]:9/relay?ca=a%20b.pem&cert=c&key=d",
            "nats://a?login=/etc/relay/login",
        ] {
            assert_eq!(parse(&parse(url).expose()), parse(url), "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_explained_without_its_secrets() {
        for (url, why) in [
            ("nats:a", "it names no server"),
            ("http://hunter2@a", "neither nats:// nor tls://"),
            ("nats://", "one of its servers"),
            ("nats://u:hunter2@a:0", "one of its servers"),
            ("nats://u:hunter2@a b", "one of its servers"),
            ("nats://[::g]:1", "one of its servers"),
            ("nats://u:hunter2@a/x.y", "its path is the prefix"),
            ("nats://u:hunter2@a?replicas=0", "its replicas"),
            ("nats://a?max_bytes=x", "its max_bytes"),
            ("nats://a?password=hunter2", "it has a parameter besides"),
            ("nats://hunter2@a?login=x", "remove one of both"),
            ("nats://a?ca=x", "write tls://"),
            ("tls://a?cert=x", "only one of cert and key"),
            ("nats://u:hunter2%ff@a", "not UTF-8"),
        ] {
            let error = url.parse::<NatsUrl>().unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
