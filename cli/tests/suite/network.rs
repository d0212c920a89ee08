//! Settings of proxies and authorities.

use crate::support::{Program, SOON, relayline};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use relayline_connector::{EmbeddedConnector, Observation, ServerConfig, ServerTls};
use std::fs;
use std::net::TcpListener;

on_both_runtimes! {
    h_9_an_authority_is_trusted_by_flag_variable_or_file
    h_9_network_errors_are_one_line
    c_4_a_proxys_password_is_in_no_log
}

/// C-7: a certificate that is also an authority's, like those of `openssl req -x509`.
fn h_9_an_authority_is_trusted_by_flag_variable_or_file(runtime: &str) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    let tls = ServerTls::from_pem(&pem, &key.serialize_pem()).unwrap();
    let config = ServerConfig::default().tls(tls);
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    assert!(connector.url().starts_with("wss://"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, pem).unwrap();
    let file = file.to_str().unwrap();
    // A file that a configuration file names is beside it.
    let (right, wrong) = (folder.path().join("right.toml"), folder.path().join("wrong.toml"));
    fs::write(&right, "ca-file = \"ca.pem\"").unwrap();
    fs::write(&wrong, "ca-file = \"nowhere.pem\"").unwrap();
    let (right, wrong) = (right.to_str().unwrap(), wrong.to_str().unwrap());
    for (flags, variable) in [
        (&["--ca-file", file, "--config", wrong][..], "/nowhere"),
        (&["--config", wrong], file),
        // A blank value is unset.
        (&["--config", right], " "),
    ] {
        let mut command = relayline(["run", "--url", &connector.url(), "--runtime", runtime]);
        command.args(flags).env("SSL_CERT_FILE", variable);
        let mut program = Program::start(command);
        let hello =
            |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
        connector.wait_for(hello, SOON).unwrap_or_else(|missed| panic!("{missed}"));
        program.close_stdin();
        let ended = program.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

/// H-9: what is wrong names the variable or flag, and nothing is dialed.
fn h_9_network_errors_are_one_line(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.pem");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let unusable = "it holds no usable certificate: it must be in PEM form, -----BEGIN CERTIFICATE-----, or one \
                    certificate in DER form";
    for (variable, value, expected) in [
        (
            "HTTPS_PROXY",
            "socks5://127.0.0.1:1080",
            "HTTPS_PROXY: SOCKS proxies are not supported: name an HTTP proxy as in http://proxy.example:3128, or \
             unset it"
                .to_owned(),
        ),
        ("SSL_CERT_FILE", file, format!("SSL_CERT_FILE {file}: {unusable}")),
        (
            "SSL_CERT_FILE",
            "/nowhere/ca.pem",
            "SSL_CERT_FILE /nowhere/ca.pem: No such file or directory (os error 2)".to_owned(),
        ),
    ] {
        let mut command = relayline(["run", "--runtime", runtime, "--url", "wss://c.example"]);
        command.env(variable, value);
        let ended = Program::start(command).ended();
        assert_eq!((ended.code, ended.stderr.trim_end()), (Some(2), format!("relayline: {expected}").as_str()));
    }
}

fn c_4_a_proxys_password_is_in_no_log(runtime: &str) {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut command = relayline(["run", "--runtime", runtime, "--url", "wss://c.example", "-vv"]);
    command.env("RUST_LOG", "trace").env("HTTPS_PROXY", format!("http://user:hunter2@{refused}"));
    let mut program = Program::start(command);
    let line = program.line().unwrap();
    assert!(line.contains(&format!("the proxy {refused} (HTTPS_PROXY): no connection (")), "{line}");
    program.close_stdin();
    let ended = program.ended();
    // `user:hunter2`, as in the header.
    for secret in ["hunter2", "dXNlcjpodW50ZXIy"] {
        assert!(!ended.stderr.contains(secret) && !line.contains(secret), "{}", ended.stderr);
    }
}
