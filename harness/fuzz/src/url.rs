//! URLs to dial (L-1, C-4, C-6), compared with the `url` crate.

use relayline_control::url::{DialUrl, UrlError};
use std::net::IpAddr;
use url::Url;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = DialUrl::parse(text);
    if let Ok(theirs) = Url::parse(text.trim()) {
        check_credentials(&theirs, &parsed);
    }
    match parsed {
        Ok(url) => check_parts(&url),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Checks C-4: everything that a parser reads as a password is refused, and never quoted.
fn check_credentials(theirs: &Url, parsed: &Result<DialUrl, UrlError>) {
    if theirs.username().is_empty() && theirs.password().is_none() {
        return;
    }
    assert_eq!(*parsed, Err(UrlError::UserInfo), "{theirs}");
}

/// Checks L-1: its parts are those that a parser finds in its text, and it is its own normal form.
fn check_parts(url: &DialUrl) {
    let theirs = Url::parse(url.as_str()).unwrap();
    assert_eq!(theirs.as_str(), url.as_str());
    assert!(url.as_str().is_ascii() && !url.as_str().contains(char::is_whitespace), "{url}");
    assert!(theirs.path().ends_with("/relay") && theirs.fragment().is_none(), "{url}");
    assert_eq!(theirs.scheme(), if url.is_secure() { "wss" } else { "ws" });
    assert_eq!(theirs.host_str().unwrap().trim_matches(['[', ']']), url.host());
    assert_eq!(theirs.port_or_known_default(), Some(url.port()));
    assert_eq!(DialUrl::parse(url.as_str()).as_ref(), Ok(url), "L-1: read again");
    // C-6: an address by the standard library, or the one name that is local by definition.
    let by_address = url.host().parse::<IpAddr>().map(|address| address.is_loopback());
    let by_name = || url.host() == "localhost" || url.host().ends_with(".localhost");
    assert_eq!(url.is_loopback(), by_address.unwrap_or_else(|_| by_name()), "C-6: {url}");
}
