//! A panic in the middle of a session: whatever it prints, it contains no secret.

use super::known::{
    ACCESS, CLIENT_SECRET, COMMAND_PASSWORD, DELIVERY_KEY, ENROLLMENT, FILE_SECRET, ID, PROXY_PASSWORD,
    SECRET, is_clean,
};
use relayline_connector::{ConnectorConfig, EmbeddedConnector};
use relayline_control::http::boot::{Boot, Step};
use relayline_control::settings::{self, Arguments, ConfigFile, Sources, table};
use relayline_core::machine::RelayMachine;
use relayline_core::time::Now;
use std::process::Command;

const HERE: &str = "secrets::panics::c_4_a_panic_shows_no_secret";
const CHILD: &str = "SWEPT_PANIC";

/// The process panics while all values with secrets are alive, and its message is their `Debug`.
#[test]
fn c_4_a_panic_shows_no_secret() {
    if std::env::var_os(CHILD).is_some() {
        panic_with_everything();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", HERE, "--nocapture"]);
    let output = command.env(CHILD, "1").env("RUST_BACKTRACE", "full").output().unwrap();
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(!output.status.success());
    for said in
        ["panicked at", "everything: ", "stack backtrace", "RelayMachine", "Plan {", "ConnectorConfig {"]
    {
        assert!(printed.concat().contains(said), "{said}: {printed:?}");
    }
    is_clean("a panic", &printed.concat());
}

fn panic_with_everything() {
    let proxy = format!("http://me:{}@proxy.example", PROXY_PASSWORD.replace('/', "%2F").replace('"', "%22"));
    let environment = |name: &str| {
        let value = match name {
            "GATEWAY_RELAY_URL" => "ws://127.0.0.1:9",
            "GATEWAY_RELAY_ID" => ID,
            "GATEWAY_RELAY_DELIVERY_KEY" => DELIVERY_KEY,
            "GATEWAY_RELAY_IDP_TOKEN_URL" => "https://idp.example",
            "GATEWAY_RELAY_IDP_CLIENT_ID" => "the-client",
            "GATEWAY_RELAY_IDP_CLIENT_SECRET" => CLIENT_SECRET,
            "HTTPS_PROXY" => &proxy,
            _ => return None,
        };
        Some(value.to_owned())
    };
    let text = format!("secret = '{FILE_SECRET}'");
    let file = ConfigFile::parse("relayline.toml", &text, &[]).unwrap();
    let none = Arguments::default();
    let mut sources = Sources::new(&none, &environment);
    sources.config_file = Some(&file);
    let resolved = settings::resolve(&sources).unwrap();
    let commanded = Arguments::default()
        .with(&table::ENROLL_TOKEN, ENROLLMENT)
        .with(&table::ACCESS_TOKEN_COMMAND, format!("print {COMMAND_PASSWORD}").as_str())
        .with(&table::PROVISION, "always");
    let arguments = commanded.clone().with(&table::ACCESS_TOKEN, ACCESS);
    let unarmed = settings::resolve(&Sources::new(&arguments, &environment)).unwrap();
    let commanded = settings::resolve(&Sources::new(&commanded, &environment)).unwrap().plan.unwrap();
    let enrollment = settings::enrollment(&Sources::new(&arguments, &environment)).unwrap();
    let (boot, _) = Boot::new(unarmed.plan.clone().unwrap());
    let (waiting, _) = Boot::new(commanded.clone());
    let steps: [Step; 2] = [boot.next(1000), waiting.next(1000)];
    let mut machine = RelayMachine::new(resolved.config.machine.clone().into(), [7; 32], Now::default());
    let dial = machine.poll_action();
    assert!(format!("{dial:?}").contains("token: Some"), "it has a token: {dial:?}");
    let connector = ConnectorConfig::default().gateway(ID, SECRET).delivery_key(ID, DELIVERY_KEY);
    let connector = connector.enroll_token(ENROLLMENT, "acme").identity(ACCESS, "acme");
    let embedded = EmbeddedConnector::start(connector.clone(), "127.0.0.1:0").unwrap();
    let client = smol::block_on(async { relayline_smol::http_client(&resolved.config.network) }).unwrap();
    let started = relayline_smol::start(resolved.config.clone()).unwrap();
    panic!(
        "everything: {arguments:?} {file:?} {resolved:#?} {unarmed:?} {commanded:?} {enrollment:?} {boot:?} {waiting:?} \
         {steps:#?} {machine:?} RelayMachine {dial:?} {connector:?} {embedded:?} {client:?} {started:?}"
    );
}
