//! Hosts that are reached without a proxy, from `NO_PROXY`.

use ipnet::IpNet;
use std::net::IpAddr;

/// Hosts that are reached directly.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Exceptions(Vec<Exception>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Exception {
    host: HostPattern,
    /// Port, or `None` for all.
    port: Option<u16>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum HostPattern {
    Any,
    /// A domain and all its subdomains, in lower case.
    Domain(String),
    Network(IpNet),
}

impl Exceptions {
    /// Parses a list separated by commas or blanks. The error is the entry that is not valid.
    pub(super) fn parse(text: &str) -> Result<Exceptions, String> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let read = |entry: &str| Exception::parse(entry).ok_or_else(|| entry.to_owned());
        entries.map(read).collect::<Result<_, _>>().map(Exceptions)
    }

    /// Returns true if this host, a name or an address without brackets, is one of them.
    pub(super) fn contains(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        self.0.iter().any(|exception| {
            let port_fits = exception.port.is_none_or(|only| only == port);
            port_fits
                && match &exception.host {
                    HostPattern::Any => true,
                    HostPattern::Network(network) => {
                        address.is_some_and(|address| network.contains(&address))
                    }
                    HostPattern::Domain(domain) => {
                        let before = host.strip_suffix(domain.as_str()).filter(|_| address.is_none());
                        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
                    }
                }
        })
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Exception> {
        if let Some(network) = network(entry) {
            return Some(Exception { host: HostPattern::Network(network), port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        if host == "*" {
            return Some(Exception { host: HostPattern::Any, port });
        }
        if let Some(network) = network(host) {
            return Some(Exception { host: HostPattern::Network(network), port });
        }
        let name = host.strip_prefix('*').unwrap_or(host).trim_matches('.').to_ascii_lowercase();
        let is_name = !name.is_empty() && !name.contains(['/', ':', '[', ']', '*', '@']);
        is_name.then_some(Exception { host: HostPattern::Domain(name), port })
    }
}

/// Parses an address, with or without brackets, or a network.
fn network(text: &str) -> Option<IpNet> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_matches_domains_networks_and_ports() {
        let hosts = [
            ("c.example", 443),
            ("a.c.example", 443),
            ("notc.example", 443),
            ("10.1.2.3", 8080),
            ("fd00::1", 443),
            ("C.Example.", 8443),
        ];
        for (list, expected) in [
            ("", &[][..]),
            ("*", &[0, 1, 2, 3, 4, 5]),
            ("c.example", &[0, 1, 5]),
            (".c.example", &[0, 1, 5]),
            ("*.c.example", &[0, 1, 5]),
            ("A.C.Example", &[1]),
            ("c.example:8443", &[5]),
            ("*:8080", &[3]),
            ("example", &[0, 1, 2, 5]),
            ("other.example, 10.1.2.3", &[3]),
            ("10.1.0.0/16 fd00::/8", &[3, 4]),
            ("10.1.2.4", &[]),
            ("10.1.2.3:443", &[]),
            ("[fd00::1]", &[4]),
            ("[fd00::1]:443,[fd00::2]", &[4]),
            // An address does not end with a domain.
            ("3", &[]),
        ] {
            let exceptions = Exceptions::parse(list).unwrap();
            let held: Vec<usize> = hosts
                .iter()
                .enumerate()
                .filter(|(_, (host, port))| exceptions.contains(host, *port))
                .map(|(at, _)| at)
                .collect();
            assert_eq!(held, expected, "{list:?}");
        }
        for entry in ["10.0.0.0/33", "c.example:http", "http://c.example", "[fd00::1", "a*b", "."] {
            assert_eq!(Exceptions::parse(&format!("fine.example,{entry}")), Err(entry.to_owned()));
        }
    }
}
