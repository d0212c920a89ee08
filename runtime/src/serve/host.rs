//! Checks the Host header: hyper accepts any number of them (RFC 9112, 3.2).

use hyper::Version;
use hyper::header::{HOST, HeaderMap};
use hyper::http::uri::Authority;

/// Returns the error in the `Host` header of a request, if there is one. HTTP/1.0 requests may lack it.
pub(super) fn fault(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => None,
        (None, _) => Some("the request has no Host header: send one, as HTTP/1.1 demands"),
        (Some(_), Some(_)) => Some("the request has more than one Host header: send one"),
        // An empty one is valid if the target has no authority.
        (Some(host), None) if host.is_empty() => None,
        (Some(host), None) => {
            let host = host.to_str().ok().filter(|host| !host.contains('@'));
            let is_valid = host.is_some_and(|host| host.parse::<Authority>().is_ok());
            (!is_valid).then_some("the request's Host header is neither HOST nor HOST:PORT")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn h_6_a_request_names_one_host() {
        for (version, hosts, is_right) in [
            (Version::HTTP_11, &["x"][..], true),
            (Version::HTTP_11, &["127.0.0.1:80"], true),
            (Version::HTTP_11, &["[::1]:80"], true),
            (Version::HTTP_11, &[""], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &["x", "x"], false),
            (Version::HTTP_11, &["x y"], false),
            (Version::HTTP_11, &["me@x"], false),
            (Version::HTTP_11, &["x/y"], false),
            (Version::HTTP_11, &["\u{e9}"], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_10, &["x", "y"], false),
        ] {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
            }
            assert_eq!(fault(version, &headers).is_none(), is_right, "{version:?} {hosts:?}");
        }
    }
}
