//! Untrusted certificates, and the errors about them, for the WebSocket and the HTTP client.

use super::authority::{Authority, NOW};
use super::config;
use super::http::post;
use crate::Kit;
use futures_util::StreamExt;
use relayline_connector::{EmbeddedConnector, ServerConfig, ServerTls};
use relayline_control::network::{CaCertificates, Network, Proxies};
use relayline_core::output::Notice;
use relayline_runtime::Incoming;

fn connector(tls: ServerTls) -> EmbeddedConnector {
    let config = ServerConfig::default().tls(tls);
    EmbeddedConnector::start(config, "127.0.0.1:0").unwrap()
}

/// L-18: the cause of a failed dial reaches the host, with advice.
#[test]
fn l_18_an_untrusted_certificate_is_reported_with_advice() {
    let (ours, theirs, renewed) = (Authority::new("ours"), Authority::new("theirs"), Authority::new("ours"));
    let not_trusted = "no trusted authority has signed its certificate: check the URL, or trust its authority \
                       with Builder::certificates or SSL_CERT_FILE";
    let (past, future) = ((1975, 2020), (3000, 4000));
    for (tls, expected) in [
        (
            ours.server("other.example", NOW),
            "its certificate is for other.example, not for 127.0.0.1: check the URL's host",
        ),
        (
            ours.server("127.0.0.1", past),
            "its certificate has expired: have it renewed, and check this machine's clock",
        ),
        (ours.server("127.0.0.1", future), "its certificate is not valid yet: check this machine's clock"),
        (theirs.server("127.0.0.1", NOW), not_trusted),
        (renewed.server("127.0.0.1", NOW), not_trusted),
    ] {
        let connector = connector(tls);
        let (kit, address) = (Kit::new(), connector.local_addr());
        let mut config = config(&connector.url(), &[]);
        config.network = ours.network();
        let (_relay, mut inbox) = kit.connect(config);
        let first = kit.block_on(inbox.next());
        let Some(Incoming::Notice(Notice::Disconnected { code: None, reason, retry_in: Some(_) })) = first
        else {
            panic!("{first:?}")
        };
        assert_eq!(reason, format!("{address}: TLS failed: {expected}"));

        let client = kit.http_client(&ours.network());
        let failure = kit.block_on(client.send(&post(format!("https://{address}/"), "{}"))).unwrap_err();
        assert_eq!(failure.to_string(), format!("could not reach {address}: TLS failed: {expected}"));
    }
}

/// C-7: an authority's own certificate can be trusted by itself, for the WebSocket and the HTTP client.
#[test]
fn c_7_a_self_signed_certificate_is_trusted_by_naming_it() {
    let (ours, expired) = (Authority::new("ours"), Authority::new("ours").of_years((1975, 2020)));
    for (authority, is_der, expected) in [
        (&ours, false, None),
        (&ours, true, None),
        (
            &expired,
            false,
            Some("its certificate has expired: have it renewed, and check this machine's clock"),
        ),
    ] {
        let connector = connector(authority.itself());
        let (kit, address) = (Kit::new(), connector.local_addr());
        let mut config = config(&connector.url(), &[]);
        config.network = authority.network();
        if is_der {
            config.network.ca_certificates.as_mut().unwrap().bytes = authority.der();
        }
        let client = kit.http_client(&config.network);
        let (_relay, mut inbox) = kit.connect(config);
        let first = kit.block_on(inbox.next());
        let sent = kit.block_on(client.send(&post(format!("https://{address}/"), "{}")));
        match expected {
            None => {
                assert!(matches!(first, Some(Incoming::Notice(Notice::Connected { .. }))), "{first:?}");
                assert_eq!(sent.unwrap().status, 404);
            }
            Some(expected) => {
                let Some(Incoming::Notice(Notice::Disconnected { reason, .. })) = first else {
                    panic!("{first:?}")
                };
                assert_eq!(reason, format!("{address}: TLS failed: {expected}"));
                assert!(sent.unwrap_err().to_string().ends_with(expected));
            }
        }
    }
}

#[test]
fn an_exchange_goes_over_tls() {
    let authority = Authority::new("ours");
    let connector = connector(authority.server("127.0.0.1", NOW));
    let kit = Kit::new();
    let client = kit.http_client(&authority.network());
    let url = format!("https://{}/nowhere", connector.local_addr());
    let answer = kit.block_on(client.send(&post(url, "{}"))).unwrap();
    assert_eq!((answer.status, &answer.body[..]), (404, &b"{\"error\":\"not found\"}"[..]));
}

/// The connector is not a proxy, and it says so over TLS.
#[test]
fn a_proxy_may_use_tls() {
    let authority = Authority::new("ours");
    let connector = connector(authority.server("127.0.0.1", NOW));
    let proxy = format!("https://{}", connector.local_addr());
    let proxies = Proxies::from_environment(&|name| (name == "HTTPS_PROXY").then(|| proxy.clone())).unwrap();
    let (kit, request) = (Kit::new(), post("https://c.example/".into(), "{}"));
    let network = authority.network().proxies(proxies);
    for (network, expected) in [
        (network.clone(), "it answered 404 Not Found; it does not let this host through"),
        (Network::default().proxies(network.proxies), "TLS failed: no trusted authority"),
    ] {
        let failure = kit.block_on(kit.http_client(&network).send(&request)).unwrap_err().to_string();
        let start = format!(
            "could not reach c.example: the proxy {} (HTTPS_PROXY): {expected}",
            connector.local_addr()
        );
        assert!(failure.starts_with(&start), "{failure}");
    }
}

#[test]
fn unusable_certificates_are_reported_before_any_dial() {
    let damaged = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let none =
        "--ca-file x: it holds no usable certificate: it must be in PEM form, -----BEGIN CERTIFICATE-----";
    for (pem, expected) in
        [("", none), ("hello", none), (no_certificate, none), (damaged, "--ca-file x: it is damaged (")]
    {
        let certificates = CaCertificates::new("--ca-file x", pem);
        let network = Network::default().ca_certificates(certificates);
        let error = relayline_runtime::http::Client::new(Kit::new().runtime(), &network).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
