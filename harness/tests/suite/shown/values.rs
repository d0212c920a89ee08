//! A value of each public type that holds a secret, and its `Debug`.

use http::header::{AUTHORIZATION, HeaderMap};
use relayline_connector::{
    Act, ConnectorConfig, ConnectorMachine, Control, ServerConfig, StateFile, Webhook,
};
use relayline_control::env_file;
use relayline_control::http::access_token::TokenSource;
use relayline_control::http::boot::{Boot, Plan, Step};
use relayline_control::http::enroll::Enroll;
use relayline_control::http::media::{Download, Upload};
use relayline_control::http::provision::{Profile, Provision, Provisioned};
use relayline_control::http::{Base, Bearer, Body, Request, Unreachable};
use relayline_control::settings::{self, Arguments, ConfigFile, EnvFile, Resolved, Sources, table};
use relayline_control::url::DialUrl;
use relayline_core::config::{Credentials, Identity};
use relayline_core::machine::RelayMachine;
use relayline_core::secret::Secret;
use relayline_core::time::Now;
use relayline_harness::conformance::ConnectorTarget;
use relayline_harness::live::LiveOptions;
use relayline_harness::recorder::{RecorderConfig, Upstream};
use relayline_harness::recording::{Gateway, Header, LineContent, RecordedLine, Recording};
use relayline_runtime::http::{Booted, HttpResponse};
use relayline_runtime::{ConnectError, files};
use serde_json::Map;
use std::fmt::Debug;

/// Secret in every value below.
const SECRET: &str = "hunter2-hunter2";

/// `Debug` of a value.
pub(crate) struct Shown {
    /// Folder of the crate.
    pub(crate) package: String,
    /// Name of the type, without its modules.
    pub(crate) name: String,
    text: String,
}

fn show<T: Debug>(value: &T) -> Shown {
    let path = std::any::type_name::<T>().split('<').next().unwrap();
    let (package, name) = (path.split("::").next().unwrap(), path.rsplit("::").next().unwrap());
    let package = package.trim_start_matches("relayline_").to_owned();
    Shown { package, name: name.to_owned(), text: format!("{value:?}\n{value:#?}") }
}

fn secret() -> Secret {
    Secret::from(SECRET)
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "GATEWAY_RELAY_URL" => "wss://c.example?key=hunter2-hunter2",
        "GATEWAY_RELAY_ID" => "gw-1",
        "GATEWAY_RELAY_SECRET" | "GATEWAY_RELAY_DELIVERY_KEY" | "GATEWAY_RELAY_IDP_CLIENT_SECRET" => SECRET,
        "GATEWAY_RELAY_IDP_TOKEN_URL" => "https://idp.example",
        "GATEWAY_RELAY_IDP_CLIENT_ID" => "me",
        "GATEWAY_RELAY_POLICY" => r#"{"allowOtherBots":true}"#,
        "HTTPS_PROXY" => "http://me:hunter2-hunter2@proxy.example",
        _ => return None,
    };
    Some(value.to_owned())
}

pub(crate) fn shown() -> Vec<Shown> {
    let mut shown = settings();
    shown.extend(exchanges());
    shown.extend(machines());
    shown.extend(of_the_connector());
    shown.extend(of_the_harness());
    shown
}

fn arguments() -> Arguments {
    [
        &table::SECRET,
        &table::DELIVERY_KEY,
        &table::ENROLL_TOKEN,
        &table::ACCESS_TOKEN,
        &table::ACCESS_TOKEN_COMMAND,
    ]
    .into_iter()
    .fold(Arguments::default(), |arguments, spec| arguments.with(spec, secret()))
}

fn resolved() -> Resolved {
    settings::resolve(&Sources::new(&arguments(), &environment)).unwrap()
}

fn settings() -> Vec<Shown> {
    let text = format!("secret = \"{SECRET}\"");
    let file = ConfigFile::parse("a.toml", &text, &[]).unwrap();
    let env_file = EnvFile::parse("gw.env", &format!("GATEWAY_RELAY_SECRET={SECRET}")).unwrap();
    let arguments = arguments();
    let mut sources = Sources::new(&arguments, &environment);
    (sources.env_file, sources.config_file) = (Some(&env_file), Some(&file));
    let resolved = resolved();
    let bad_proxy = |name: &str| match name {
        "HTTPS_PROXY" => Some("ftp://me:hunter2-hunter2@proxy.example".to_owned()),
        name => environment(name),
    };
    let mut misplaced = sources;
    misplaced.environment = &bad_proxy;
    let network = &resolved.config.network;
    let proxy = network.proxies.choose(true, "c.example", 443).unwrap();
    vec![
        show(&secret()),
        show(&arguments),
        show(&file),
        show(&env_file),
        show(&file.setting(&table::SECRET).unwrap()),
        show(&file.secret().unwrap()),
        show::<Sources<'_>>(&sources),
        show(&env_file::read(&format!("GATEWAY_RELAY_SECRET={SECRET}"))[0]),
        show(&settings::enrollment(&sources).unwrap()),
        show(&settings::resolve(&misplaced).unwrap_err()),
        show(network),
        show(&network.proxies),
        show(proxy),
        show(&Unreachable::Proxy { proxy: proxy.to_string(), why: String::new() }),
        show(
            &relayline_tokio::Builder::new("wss://c.example?key=hunter2-hunter2").credentials("gw-1", SECRET),
        ),
        show(&ConnectError::from(settings::resolve(&Sources::new(&arguments, &bad_proxy)).unwrap_err())),
        show(&resolved.config),
        show(&resolved.config.machine),
        show(resolved.config.machine.credentials.as_ref().unwrap()),
        show(&resolved),
    ]
}

fn base() -> Base {
    Base::new(&DialUrl::parse("wss://c.example?key=hunter2-hunter2").unwrap(), false).unwrap()
}

fn bearer() -> Bearer {
    Bearer::new(&secret()).unwrap()
}

fn exchanges() -> Vec<Shown> {
    let identity = Identity::new("slack", "");
    let enroll = Enroll::new(base(), bearer(), secret(), "gw-1");
    let profile = Profile::new("gw-1");
    let provision = Provision::new(base(), bearer(), profile, identity);
    let answer = format!(r#"{{"secret":"{SECRET}","deliveryKey":"{SECRET}"}}"#);
    let provisioned = provision.read(200, &HeaderMap::new(), answer.as_bytes()).unwrap();
    let Provisioned::Issued(issued) = &provisioned else { panic!("a secret") };
    let upload = Upload::new(base(), bearer(), "a/b", 1);
    let download = Download::new("https://c.example/relay/media/7", &base(), Some(bearer())).unwrap();
    let mut shown = vec![
        show(&enroll),
        show::<Request>(&enroll.request()),
        show(&provision),
        show(&provisioned),
        show(issued),
        show(&upload),
        show(&upload.request().unwrap()),
        show(&download),
        show(&bearer()),
        show(&Body::Bytes(SECRET.as_bytes().to_vec().into())),
        show(&HttpResponse {
            status: 200,
            headers: HeaderMap::from_iter([(AUTHORIZATION, SECRET.parse().unwrap())]),
            body: answer.into_bytes().into(),
        }),
    ];
    shown.extend(boots());
    shown
}

/// Returns a boot of each source of access tokens, with all its steps.
fn boots() -> Vec<Shown> {
    let plan = resolved().plan.unwrap();
    let given = Arguments::default();
    let unarmed = |name: &str| environment(name).filter(|_| name != "GATEWAY_RELAY_SECRET");
    let client = settings::resolve(&Sources::new(&given, &unarmed)).unwrap().plan.unwrap();
    let by_command = |name: &str| match name {
        "GATEWAY_RELAY_ACCESS_TOKEN_COMMAND" => Some(format!("print {SECRET}")),
        name => unarmed(name),
    };
    let command = settings::resolve(&Sources::new(&given, &by_command)).unwrap().plan.unwrap();
    let mut shown = Vec::new();
    for plan in [plan, client, command] {
        let source = plan.source.clone().unwrap();
        if let TokenSource::Endpoint(client) = &source {
            shown.push(show(client));
        }
        shown.extend([show::<TokenSource>(&source), show::<Plan>(&plan)]);
        let (boot, reports) = Boot::new(plan);
        shown.extend([show(&boot), show(&reports), show::<Step>(&boot.next(1000))]);
    }
    let credentials = Some(Credentials::new("gw-1", secret()));
    let unsent = Vec::new();
    let delivery_key = Some(secret());
    shown.push(show(&Step::Dial {
        credentials: credentials.clone(),
        delivery_key: delivery_key.clone(),
        unsent: unsent.clone(),
    }));
    shown.push(show(&Booted { credentials, delivery_key, unsent }));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, SECRET).unwrap();
    shown.push(show(&files::read(file.path()).unwrap()));
    shown
}

fn machines() -> Vec<Shown> {
    let mut machine = RelayMachine::new(resolved().config.machine.into(), [7; 32], Now::default());
    let dial = machine.poll_action().unwrap();
    vec![show(&machine), show(&dial)]
}

fn of_the_connector() -> Vec<Shown> {
    let config = ConnectorConfig::default().gateway("gw-1", secret()).delivery_key("gw-1", secret());
    let config = config.enroll_token(secret(), "acme").identity(secret(), "acme");
    let enroll = Act::EnrollToken { token: secret(), tenant: "acme".into(), ttl_s: None };
    let delivery = Webhook::default().key(secret());
    let mut connector = ConnectorMachine::new(config.clone(), [7; 32]);
    let rotate = Act::Rotate { overlap_ms: 1, secret: Some(secret()), delivery_key: Some(secret()) };
    connector.control(Now::default(), rotate.clone()).unwrap();
    let state = connector.durable_state(Now::default());
    assert!(state.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "it is in there");
    let restored = ConnectorMachine::restore(config.clone(), [7; 32], Now::default(), &state).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, &*state).unwrap();
    vec![
        show(&config.gateways[0]),
        show(&config.enroll_tokens[0]),
        show(&config.identities[0]),
        show(&ServerConfig::from(config.clone())),
        show(&config),
        show(&connector),
        show(&restored),
        show(&StateFile::open(&path).unwrap()),
        show(&rotate),
        show(&enroll),
        show(&Control::from(rotate.clone())),
        show(&Act::Deliver(delivery.clone())),
        show(&delivery),
    ]
}

fn of_the_harness() -> Vec<Shown> {
    let connect = LineContent::Connect {
        url_path: "/relay".into(),
        dial: None,
        authorization: Some(secret()),
        headers: Map::new(),
        clock_unix_s: None,
    };
    let gateway = Gateway { upgrade_secret: Some(secret()), ..Gateway::default() };
    let header = Header { gateway: gateway.clone(), ..Header::default() };
    let line = RecordedLine { number: 2, t_ms: 0, what: connect.clone(), rest: Map::new() };
    let recording = Recording { file: "a.jsonl".into(), header, lines: vec![line] };
    let upstream = Upstream::new(
        DialUrl::parse("wss://c.example?token=hunter2-hunter2").unwrap(),
        resolved().config.network,
    );
    let mut recorder = RecorderConfig::new(([127, 0, 0, 1], 0).into(), upstream.clone(), "a.jsonl");
    recorder.secrets = vec![secret()];
    let mut live = LiveOptions::default();
    live.secrets = vec![secret()];
    let target = ConnectorTarget {
        url: DialUrl::parse("wss://c.example?token=hunter2-hunter2").unwrap(),
        network: resolved().config.network,
        gateway_id: "gw-1".into(),
        secret: secret(),
        platform: "discord".into(),
        bot_id: String::new(),
        inbound_command: None,
    };
    vec![
        show(&connect),
        show(&gateway),
        show(&recording),
        show(&upstream),
        show(&live),
        show(&recorder),
        show(&target),
    ]
}

#[test]
fn c_4_debug_shows_no_secret() {
    let shown = shown();
    assert!(shown.iter().any(|shown| shown.text.contains("<hidden>")), "there are secrets in it");
    for Shown { package, name, text } in shown {
        // Unchanged, as bytes, in base64 as a proxy gets it, and in a token that was made with it.
        for form in
            ["hunter2", "104, 117, 110, 116", "aHVudGVyMi1odW50ZXIy", "h1bnRlcjItaHVudGVyM", "Z3ctMTox"]
        {
            assert!(!text.contains(form), "{package} {name} shows {form}: {text}");
        }
    }
}
