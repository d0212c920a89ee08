//! The boot of a gateway before its first dial, over real sockets.

use super::may_move;
use super::server::{Reply, Server};
use crate::Kit;
use relayline_control::http::access_token::TokenSource;
use relayline_control::http::boot::{Plan, Report};
use relayline_control::http::provision::Profile;
use relayline_control::http::{Base, policy};
use relayline_control::network::Network;
use relayline_control::settings::Resolved;
use relayline_control::url::DialUrl;
use relayline_core::config::Identity;
use relayline_core::token;
use relayline_runtime::ConnectError;
use std::time::{SystemTime, UNIX_EPOCH};

fn plan(server: &Server) -> Plan {
    let identities = ["discord", "slack"].map(|name| Identity::new(name, ""));
    let base = Base::new(&DialUrl::parse(&server.url("")).unwrap(), false).unwrap();
    let mut plan = Plan::new(base, Profile::new("gw-1"), identities.to_vec());
    plan.source = Some(TokenSource::Command("print-token".into()));
    plan.policies = policy::parse(r#"{"requireAddress":true}"#, &identities).unwrap();
    plan
}

/// H-4: a library host gets a typed error, and no policy is sent.
#[test]
fn h_4_known_already_without_a_secret_is_a_typed_error() {
    let known = || Reply::answer("200 OK", "", r#"{"secretIssued":false}"#);
    let server = Server::start(vec![known(), known()]);
    let plan = plan(&server);
    let config = super::config(&server.url(""), &[]);
    let kit = Kit::new();
    let client = kit.http_client(&Network::default());
    let resolved = Resolved::new(config, Some(plan));
    let ready = client.ready(resolved, async |_: &str| Ok(b"acc3ss\n".to_vec().into()));
    let error = kit.block_on(may_move(ready)).unwrap_err();
    assert_eq!((error.gateway_id.as_str(), error.host.as_str()), ("gw-1", &*server.address.to_string()));
    assert!(error.to_string().contains("GATEWAY_RELAY_SECRET (or Builder::credentials)"), "{error}");
    assert!(matches!(ConnectError::from(error), ConnectError::KnownAlready(_)));
    for _ in 0..2 {
        assert!(server.heard().head.starts_with("POST /relay/provision "));
    }
    assert!(server.heard_nothing_more());
}

#[test]
fn each_step_of_a_boot_is_reported_in_order() {
    let server = Server::start(vec![
        Reply::answer("200 OK", "", r#"{"secret":"s3cret","deliveryKey":"k3y"}"#),
        Reply::answer("500 Internal Server Error", "", "{}"),
        Reply::answer("200 OK", "", "{}"),
        Reply::close(""),
    ]);
    let plan = plan(&server);
    let (kit, mut reports) = (Kit::new(), Vec::new());
    let client = kit.http_client(&Network::default());
    let run = async |command: &str| {
        assert_eq!(command, "print-token");
        Ok(b"acc3ss\n".to_vec().into())
    };
    let boot = may_move(client.boot(plan, run, |report| reports.push(report)));
    let booted = kit.block_on(boot).unwrap();

    let credentials = booted.credentials.unwrap();
    assert_eq!((credentials.gateway_id.as_str(), credentials.secret.expose()), ("gw-1", "s3cret"));
    assert_eq!(booted.delivery_key.unwrap().expose(), "k3y");
    let failed = |at: usize| matches!(&reports[at], Report::Failed { .. });
    assert_eq!(reports[..2], [Report::AccessToken, Report::Provisioned("discord".into(), true)]);
    assert!(failed(2) && reports[3] == Report::Policy("discord".into()) && failed(4), "{reports:?}");
    for (path, token) in [("provision", Some("acc3ss")), ("provision", Some("acc3ss")), ("policy", None)] {
        let heard = server.heard();
        assert!(heard.head.starts_with(&format!("POST /relay/{path} ")), "{heard:?}");
        let bearer = heard.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        match token {
            Some(token) => assert_eq!(bearer, token),
            // A fresh upgrade token, signed with the secret that was just issued.
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                let whose = token::verify(bearer, std::slice::from_ref(&credentials.secret), now);
                assert_eq!(whose.as_deref(), Some("gw-1"));
            }
        }
    }
}
