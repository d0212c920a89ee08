//! What a gateway does before it dials, over real sockets.

use super::may_move;
use super::server::{Reply, Server};
use crate::Kit;
use relayline_core::config::Identity;
use relayline_core::http::boot::{Plan, Report, When};
use relayline_core::http::identity::TokenSource;
use relayline_core::http::provision::Profile;
use relayline_core::http::{Base, policy};
use relayline_core::network::Network;
use relayline_core::token;
use relayline_core::url::DialUrl;
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn each_step_of_a_boot_is_done_in_order_and_reported_whatever_fails() {
    let server = Server::start(vec![
        Reply::answer("200 OK", "", r#"{"secret":"s3cret","deliveryKey":"k3y"}"#),
        Reply::answer("500 Internal Server Error", "", "{}"),
        Reply::answer("200 OK", "", "{}"),
        Reply::close(""),
    ]);
    let identities =
        ["discord", "slack"].map(|name| Identity { platform: name.into(), bot_id: String::new() });
    let plan = Plan {
        base: Base::new(&DialUrl::parse(&server.url("")).unwrap(), false).unwrap(),
        credentials: None,
        when: When::Auto,
        managed: false,
        source: Some(TokenSource::Command("print-token".into())),
        profile: Profile { gateway_id: "gw-1".into(), ..Profile::default() },
        policies: policy::parse(r#"{"requireAddress":true}"#, &identities).unwrap(),
        identities: identities.to_vec(),
    };
    let (kit, mut reports) = (Kit::new(), Vec::new());
    let client = kit.http_client(&Network::default());
    let run = async |command: &str| {
        assert_eq!(command, "print-token");
        Ok(b"acc3ss\n".to_vec().into())
    };
    let boot = may_move(client.boot(plan, run, |report| reports.push(report)));
    let booted = kit.block_on(boot);

    let credentials = booted.credentials.unwrap();
    assert_eq!((credentials.gateway_id.as_str(), credentials.secret.expose()), ("gw-1", "s3cret"));
    assert_eq!(booted.delivery_key.unwrap().expose(), "k3y");
    let failed = |at: usize| matches!(&reports[at], Report::Failed { .. });
    assert_eq!(reports[..2], [Report::Identity, Report::Provisioned("discord".into(), true)]);
    assert!(failed(2) && reports[3] == Report::Policy("discord".into()) && failed(4), "{reports:?}");
    for (path, token) in [("provision", Some("acc3ss")), ("provision", Some("acc3ss")), ("policy", None)] {
        let heard = server.heard();
        assert!(heard.head.starts_with(&format!("POST /relay/{path} ")), "{heard:?}");
        let bearer = heard.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        match token {
            Some(token) => assert_eq!(bearer, token),
            // A fresh upgrade token, of the secret that was just issued.
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                let whose = token::verify(bearer, std::slice::from_ref(&credentials.secret), now);
                assert_eq!(whose.as_deref(), Some("gw-1"));
            }
        }
    }
}
