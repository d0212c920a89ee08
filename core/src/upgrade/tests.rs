//! The meaning and the text of each answer to an upgrade.

use super::*;
use crate::token;

const REFUSED: Refusal<'static> = Refusal {
    status: 401,
    body: br#"{"error":"unauthorized"}"#,
    is_whole: true,
    has_challenge: false,
    retry_after: None,
    location: None,
};

#[test]
fn l_9_a_verdict_is_a_whole_json_object_with_an_error() {
    for (body, expected) in [
        (r#"{"error":"unauthorized"}"#, Some("unauthorized")),
        (r#" {"error":"expired","more":[1]} "#, Some("expired")),
        (r#"{"error":""}"#, Some("")),
        // W-9: the last of duplicate keys wins.
        (r#"{"error":7,"error":"x"}"#, Some("x")),
        ("", None),
        ("unauthorized", None),
        (r#""unauthorized""#, None),
        (r#"[{"error":"x"}]"#, None),
        ("{}", None),
        (r#"{"error":{"message":"x"}}"#, None),
        (r#"{"error":null}"#, None),
        (r#"{"detail":"x"}"#, None),
        (r#"{"error":"unauthorized""#, None),
        (r#"{"error":"unauthorized"}x"#, None),
        ("<html>401</html>", None),
    ] {
        let refusal = Refusal { body: body.as_bytes(), ..REFUSED };
        assert_eq!(refusal.verdict().as_deref(), expected, "{body}");
        assert_eq!(refusal.is_foreign(), expected.is_none(), "{body}");
    }
    for refusal in [
        Refusal { is_whole: false, ..REFUSED },
        Refusal { has_challenge: true, ..REFUSED },
        Refusal { status: 403, ..REFUSED },
        Refusal { body: b"{\"error\":\"\xff\"}", ..REFUSED },
    ] {
        assert!(refusal.verdict().is_none() && refusal.is_foreign(), "{refusal:?}");
    }
    let deep = format!("{{\"error\":\"x\",\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(Refusal { body: deep.as_bytes(), ..REFUSED }.verdict(), None, "W-9");
    assert!(!Refusal { status: 407, ..REFUSED }.is_foreign());
}

#[test]
fn l_18_retry_after_is_seconds_or_a_date() {
    let at = 784_111_777;
    for (text, expected) in [
        (Some("30"), Some(30)),
        (Some(" 0 "), Some(0)),
        (Some("99999999999999999999999"), Some(u64::MAX)),
        (Some("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60)),
        (Some("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60)),
        (Some("Sun Nov  6 08:50:37 1994"), Some(60)),
        (Some("Sun, 06 Nov 1994 08:48:37 GMT"), Some(0)),
        (Some("-1"), None),
        (Some("1.5"), None),
        (Some("soon"), None),
        (Some(""), None),
        (None, None),
    ] {
        let refusal = Refusal { retry_after: text, ..REFUSED };
        assert_eq!(refusal.retry_after(at), expected.map(Duration::from_secs), "{text:?}");
    }
}

#[test]
fn l_18_a_reason_quotes_the_answer() {
    let with = |status, body: &'static str| Refusal { status, body: body.as_bytes(), ..REFUSED };
    for (refusal, expected) in [
        (
            REFUSED,
            "the upgrade was answered 401 Unauthorized: unauthorized; check the gateway's id and secret",
        ),
        (with(409, r#"{"error":"busy"}"#), "the upgrade was answered 409 Conflict: busy"),
        (
            Refusal { retry_after: Some("30"), ..with(429, r#"{"error":{"message":"slow down","code":7}}"#) },
            "the upgrade was answered 429 Too Many Requests: slow down (Retry-After: 30)",
        ),
        (
            with(503, r#"{"detail":"on holiday"}"#),
            "the upgrade was answered 503 Service Unavailable: on holiday",
        ),
        (
            with(500, r#"{"detail":[{"loc":1}]}"#),
            r#"the upgrade was answered 500 Internal Server Error: [{"loc":1}]"#,
        ),
        (with(502, r#"{"error":null,"message":"m"}"#), "the upgrade was answered 502 Bad Gateway: m"),
        (with(500, r#"{"error":{"code":"E7"}}"#), "the upgrade was answered 500 Internal Server Error: E7"),
        (with(599, ""), "the upgrade was answered 599"),
        (
            with(404, "<h1>\r\n  no\u{7}\n</h1>"),
            "the upgrade was answered 404 Not Found: <h1> no\\u{7} </h1>",
        ),
        (
            Refusal { location: Some("https://u:p@c.example/relay?key=s#f"), ..with(301, "") },
            "the upgrade was answered 301 Moved Permanently (Location: https://c.example/relay); redirects are not \
             followed: set the URL to the connector's own address",
        ),
        (
            Refusal { location: Some("/login?key=s"), ..with(302, "") },
            "the upgrade was answered 302 Found (Location: /login); redirects are not followed: set the URL to the \
             connector's own address",
        ),
        (
            with(403, "no"),
            "credentials refused: the upgrade was answered 403 Forbidden: no; this is not the connector's verdict: \
             check the gateway's id and secret, and the proxy or load balancer in front of the connector",
        ),
        (
            Refusal { is_whole: false, ..with(500, "half") },
            "the upgrade was answered 500 Internal Server Error: half (its body did not come whole)",
        ),
    ] {
        assert_eq!(refusal.reason(&[]), expected);
    }
    let long = "é".repeat(400);
    let reason = Refusal { body: long.as_bytes(), ..with(500, "") }.reason(&[]);
    assert_eq!(reason.chars().filter(|c| *c == 'é').count(), 300, "{reason}");
    assert!(reason.ends_with('…'), "{reason}");
}

#[test]
fn c_4_a_reason_hides_secrets_and_their_tokens() {
    let secret = Secret::from("s3cret");
    let token = token::mint("gw", &secret, 1000, 300);
    let body = format!("you sent s3cret and {}", token.expose());
    let refusal = Refusal {
        body: body.as_bytes(),
        location: Some("https://c.example/s3cret"),
        retry_after: Some("s3cret"),
        ..REFUSED
    };
    let reason = refusal.reason(&[&secret, &Secret::from(" ")]);
    assert!(!reason.contains("s3cret") && !reason.contains(token.expose()), "{reason}");
    assert!(reason.contains("you sent <hidden> and <hidden>"), "{reason}");
}

#[test]
fn c_4_a_location_is_shown_without_secrets() {
    for (location, shown) in [
        ("https://u:p@c.example/relay?key=s#f", "https://c.example/relay"),
        ("https://u:p@ss@c.example:8443/@team", "https://c.example:8443/@team"),
        ("https://u:p/a@ss@c.example/relay", "https://c.example/relay"),
        ("//u@c.example", "//c.example"),
        ("https://c.example:8443/@team", "https://c.example:8443/@team"),
        ("https://[fd00::1]/@team", "https://[fd00::1]/@team"),
        ("/login?key=s", "/login"),
        ("", ""),
    ] {
        assert_eq!(bare_location(location, &[]), shown, "{location}");
    }
}

/// A quotation keeps its percent escapes, unless the decoded text contains a secret.
#[test]
fn c_4_escapes_that_hide_no_secret_stay() {
    let secret = Secret::from("s3cret");
    for (said, shown) in [
        ("see /a%20b", "see /a%20b"),
        ("you sent s3cret", "you sent <hidden>"),
        ("you sent s3cre%74", "you sent <hidden>"),
    ] {
        assert_eq!(complaint(said, &[&secret]), shown);
    }
}
