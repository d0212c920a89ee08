//! The HTTP responses of the connector's machine, in virtual time.

use relayline_connector::{
    Act, ConnId, ConnectorConfig, ConnectorMachine, Control, ControlError, HttpBody, HttpHead, HttpResponse,
    Limits, Upgrade,
};
use relayline_core::secret::Secret;
use relayline_core::time::{Now, Time};
use relayline_core::token;
use serde_json::{Value, json};
use std::time::Duration;

const SECRET: &str = "hunter2-of-gw";
const ACCESS: &str = "hunter2-access";
const OTHER_ACCESS: &str = "hunter2-other-access";
const TOKEN: &str = "hunter2-enroll";

/// A connector and its clock.
struct Bench {
    machine: ConnectorMachine,
    now: Now,
}

/// A request.
struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    bearer: String,
    content_type: Option<&'a str>,
    filename: Option<&'a [u8]>,
    body: HttpBody,
}

fn post<'a>(path: &'a str, bearer: &str, body: impl ToString) -> Ask<'a> {
    let body = HttpBody::Whole(body.to_string().into());
    Ask {
        method: "POST",
        path,
        bearer: bearer.to_owned(),
        content_type: Some("application/json"),
        filename: None,
        body,
    }
}

fn get<'a>(path: &'a str, bearer: &str) -> Ask<'a> {
    Ask { method: "GET", ..post(path, bearer, "") }
}

fn enroll(bearer: &str, token: &str, id: &str) -> Ask<'static> {
    post("/relay/enroll", bearer, json!({ "enrollmentToken": token, "gatewayId": id }))
}

fn provision(bearer: &str, id: &str, platform: &str) -> Ask<'static> {
    let body = json!({
        "gatewayId": id, "platform": platform, "botId": "7", "gatewayEndpoint": "http://127.0.0.1:9/in/",
        "routeKeys": ["a"], "displayName": "Me", "unknown": 1,
    });
    post("/relay/provision", bearer, body)
}

impl Bench {
    fn new(config: ConnectorConfig) -> Self {
        Bench::seeded(config, 7)
    }

    fn seeded(config: ConnectorConfig, seed: u8) -> Self {
        let now = Now { mono: Time::ZERO, unix_s: 1_718_900_000 };
        Bench { machine: ConnectorMachine::new(config, [seed; 32]), now }
    }

    /// Creates a connector with one gateway, two identities, and a token of the first one's tenant.
    fn ready() -> Self {
        Bench::new(config())
    }

    fn bearer(&self, id: &str, secret: &str) -> String {
        token::mint(id, &Secret::from(secret), self.now.unix_s, 300).expose().to_owned()
    }

    /// Returns an upgrade token of the configured gateway.
    fn gw(&self) -> String {
        self.bearer("gw", SECRET)
    }

    fn asks(&mut self, ask: Ask<'_>) -> HttpResponse {
        let authorization = format!("Bearer {}", ask.bearer);
        let head = HttpHead {
            method: ask.method,
            path: ask.path,
            authorization: Some(&authorization).filter(|_| !ask.bearer.is_empty()).map(String::as_str),
            content_type: ask.content_type,
            media_filename: ask.filename,
        };
        self.machine.handle_http(self.now, &head, ask.body)
    }

    /// Sends a request. Returns status and body.
    fn hears(&mut self, ask: Ask<'_>) -> (u16, Value) {
        let answer = self.asks(ask);
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    fn passes(&mut self, ms: u64) {
        self.now.mono = self.now.mono + Duration::from_millis(ms);
        self.now.unix_s += ms / 1000;
        self.machine.handle_tick(self.now);
        assert!(self.machine.deadline().is_none_or(|due| due > self.now.mono), "nothing is left that is due");
    }

    fn does(&mut self, act: Act) -> Result<(), ControlError> {
        self.machine.control(self.now, act)
    }

    fn dials(&mut self, id: &str, secret: &str) -> bool {
        let header = format!("Bearer {}", self.bearer(id, secret));
        let upgrade = self.machine.handle_upgrade(self.now, ConnId(1), "/relay", Some(&header));
        // A refused connection is closed at once.
        matches!(upgrade, Upgrade::Accept { .. }) && !self.machine.is_over(ConnId(1))
    }

    fn saws(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.machine.poll_observation())
            .map(|saw| serde_json::to_value(saw).unwrap())
            .collect()
    }
}

fn config() -> ConnectorConfig {
    ConnectorConfig::default()
        .gateway("gw", SECRET)
        .identity(ACCESS, "acme")
        .identity(OTHER_ACCESS, "other")
        .enroll_token(TOKEN, "acme")
}

fn error(text: &str) -> Value {
    json!({ "error": text })
}

#[test]
fn an_enrolment_gives_valid_credentials() {
    let mut bench = Bench::ready();
    let (status, issued) = bench.hears(enroll(ACCESS, &format!("{TOKEN}\n"), "gw-2"));
    assert_eq!((status, &issued["tenant"], &issued["gatewayId"]), (200, &json!("acme"), &json!("gw-2")));
    let (secret, key) = (issued["secret"].as_str().unwrap(), issued["deliveryKey"].as_str().unwrap());
    assert!(secret.len() == 64 && key.len() == 64 && secret != key, "{issued}");
    assert_eq!(issued.as_object().unwrap().len(), 4, "{issued}");
    assert!(bench.dials("gw-2", secret));
    // C-4: neither observations nor `Debug` contain any of it.
    let saws = bench.saws();
    assert_eq!(
        saws[0],
        json!({
            "saw": "http", "gateway": "gw-2", "by": "gateway", "method": "POST", "path": "/relay/enroll", "status": 200,
            "request": {"enrollmentToken": "<hidden>", "gatewayId": "gw-2"},
            "answer": {"secret": "<hidden>", "deliveryKey": "<hidden>", "tenant": "acme", "gatewayId": "gw-2"},
        })
    );
    let shown = format!("{saws:?} {:?}", bench.machine);
    for hidden in [secret, key, TOKEN, ACCESS, SECRET] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

#[test]
fn c_4_no_value_shows_its_secrets() {
    let mut bench = Bench::ready();
    let answer = bench.asks(enroll(ACCESS, TOKEN, "gw-2"));
    let issued: Value = serde_json::from_slice(&answer.body).unwrap();
    let authorization = format!("Bearer {ACCESS}");
    let head = HttpHead {
        method: "POST",
        path: "/relay/enroll",
        authorization: Some(&authorization),
        content_type: None,
        media_filename: None,
    };
    let rotate =
        Act::Rotate { overlap_ms: 0, secret: Some(SECRET.into()), delivery_key: Some(SECRET.into()) };
    bench
        .does(Act::EnrollToken { token: "hunter2-more".into(), tenant: "acme".into(), ttl_s: None })
        .unwrap();
    bench.does(rotate.clone()).unwrap();
    let token = Control::parse(r#"{"do":"enroll_token","token":"hunter2-more"}"#).unwrap();
    let deliver = Control::parse(r#"{"do":"deliver","event":{},"key":"hunter2-key"}"#).unwrap();
    let body = HttpBody::Whole(TOKEN.into());
    let shown = format!(
        "{head:?} {body:?} {answer:?} {rotate:?} {token:?} {deliver:?} {:?} {:?}",
        config(),
        bench.machine
    );
    assert!(!shown.contains("hunter2") && !shown.contains(issued["secret"].as_str().unwrap()), "{shown}");
}

#[test]
fn a_refused_enrolment_has_a_reason_and_uses_nothing_up() {
    let mut bench = Bench::ready();
    bench.does(Act::EnrollToken { token: "short".into(), tenant: "acme".into(), ttl_s: Some(10) }).unwrap();
    bench.does(Act::EnrollToken { token: "spent".into(), tenant: "acme".into(), ttl_s: None }).unwrap();
    bench.does(Act::EnrollToken { token: "spare".into(), tenant: "other".into(), ttl_s: None }).unwrap();
    assert_eq!(bench.hears(enroll(ACCESS, "spent", "gw-3")).0, 200);
    bench.passes(11_000);
    let name = "`gatewayId` must be a name: 1 to 256 bytes, no blanks around it, no control characters";
    for (bearer, body, status, expected) in [
        ("", json!({"enrollmentToken": TOKEN, "gatewayId": "x"}), 401, "identity not verified"),
        (TOKEN, json!({"enrollmentToken": TOKEN, "gatewayId": "x"}), 401, "identity not verified"),
        (ACCESS, json!({"enrollmentToken": "nobody's", "gatewayId": "x"}), 403, "invalid enrollment token"),
        (ACCESS, json!({"enrollmentToken": "", "gatewayId": "x"}), 403, "invalid enrollment token"),
        (
            ACCESS,
            json!({"enrollmentToken": "spent", "gatewayId": "gw-3"}),
            403,
            "enrollment token already used",
        ),
        (ACCESS, json!({"enrollmentToken": "short", "gatewayId": "x"}), 403, "enrollment token expired"),
        (OTHER_ACCESS, json!({"enrollmentToken": TOKEN, "gatewayId": "x"}), 403, "tenant mismatch"),
        (
            OTHER_ACCESS,
            json!({"enrollmentToken": "spare", "gatewayId": "gw"}),
            403,
            "the gateway id belongs to another tenant",
        ),
        (ACCESS, json!({"enrollmentToken": TOKEN}), 400, "`gatewayId` must be a string"),
        (ACCESS, json!({"enrollmentToken": TOKEN, "gatewayId": " x"}), 400, name),
        (ACCESS, json!({"enrollmentToken": TOKEN, "gatewayId": ""}), 400, name),
        (ACCESS, json!({"enrollmentToken": TOKEN, "gatewayId": "a\nb"}), 400, name),
        (ACCESS, json!({"enrollmentToken": TOKEN, "gatewayId": "a".repeat(257)}), 400, name),
        (ACCESS, json!({"enrollmentToken": 7, "gatewayId": "x"}), 400, "`enrollmentToken` must be a string"),
        (ACCESS, json!([TOKEN, "x"]), 400, "the body is not a JSON object"),
        (ACCESS, json!(TOKEN), 400, "the body is not a JSON object"),
    ] {
        let answer = bench.hears(post("/relay/enroll", bearer, &body));
        assert_eq!(answer, (status, error(expected)), "{body}");
        let saw = bench.saws().pop().unwrap();
        assert_eq!(
            (&saw["status"], &saw["error"], saw.get("request")),
            (&json!(status), &json!(expected), None)
        );
        assert!(!saw.to_string().contains("hunter2"), "{saw}");
    }
    // None of these attempts changed anything.
    assert_eq!(bench.hears(enroll(ACCESS, TOKEN, "x")).0, 200);
    assert_eq!(bench.hears(enroll(OTHER_ACCESS, "spare", "y")).0, 200);
    // After a new enrolment the old secret is invalid. A revoked gateway is not admitted by an enrolment.
    bench.does(Act::EnrollToken { token: "again".into(), tenant: "acme".into(), ttl_s: None }).unwrap();
    let old = bench.hears(enroll(ACCESS, "again", "x")).1;
    bench.does(Act::EnrollToken { token: "again".into(), tenant: "acme".into(), ttl_s: None }).unwrap();
    let new = bench.hears(enroll(ACCESS, "again", "x")).1;
    assert!(
        !bench.dials("x", old["secret"].as_str().unwrap())
            && bench.dials("x", new["secret"].as_str().unwrap())
    );
    bench.does(Act::EnrollToken { token: "again".into(), tenant: "acme".into(), ttl_s: None }).unwrap();
    bench.machine.control(bench.now, Act::Revoke { on: true }.on("x")).unwrap();
    assert_eq!(bench.hears(enroll(ACCESS, "again", "x")), (403, error("the gateway is revoked")));
}

#[test]
fn an_enrolment_is_deterministic_and_survives_a_crash() {
    let issued = || {
        let mut bench = Bench::ready();
        let issued = bench.hears(enroll(ACCESS, TOKEN, "gw-2")).1;
        (bench, issued)
    };
    let (mut bench, first) = issued();
    assert_eq!(first, issued().1);
    bench.machine = bench.machine.restart();
    assert!(bench.dials("gw-2", first["secret"].as_str().unwrap()));
    assert_eq!(bench.hears(enroll(ACCESS, TOKEN, "gw-3")), (403, error("enrollment token already used")));
    // Values drawn after the crash differ from those before, and still come from the seed.
    let next = bench.hears(provision(ACCESS, "gw-3", "discord")).1;
    assert_ne!(next["secret"], first["secret"]);
    let mut other = Bench::seeded(config(), 8);
    other.hears(enroll(ACCESS, TOKEN, "gw-2"));
    other.machine = other.machine.restart();
    assert_ne!(other.hears(provision(ACCESS, "gw-3", "discord")).1["secret"], next["secret"]);
}

/// H-4: of several issued secrets only the last is valid.
#[test]
fn h_4_each_provisioning_replaces_the_last_credentials() {
    let mut bench = Bench::ready();
    let mut secrets = Vec::new();
    for platform in ["discord", "slack", "discord"] {
        let (status, issued) = bench.hears(provision(ACCESS, "gw-2", platform));
        assert_eq!((status, &issued["secretIssued"], &issued["tenant"]), (200, &json!(true), &json!("acme")));
        assert_ne!(issued["deliveryKey"], Value::Null);
        secrets.push(issued["secret"].as_str().expect("a secret").to_owned());
    }
    let good: Vec<bool> = secrets.iter().map(|secret| bench.dials("gw-2", secret)).collect();
    assert_eq!(good, [false, false, true]);
    // What `--gateway` or an enrollment gave is void, too.
    bench.hears(enroll(ACCESS, TOKEN, "gw-3"));
    let (_, issued) = bench.hears(provision(ACCESS, "gw-3", "slack"));
    assert!(bench.dials("gw-3", issued["secret"].as_str().unwrap()));
    let saw = bench.saws().into_iter().rfind(|saw| saw["saw"] == "http").unwrap();
    let profile = json!({
        "gatewayId": "gw-3", "platform": "slack", "botId": "7", "gatewayEndpoint": "http://127.0.0.1:9/in/",
        "routeKeys": ["a"], "displayName": "Me",
    });
    let shown = json!({
        "secretIssued": true, "secret": "<hidden>", "deliveryKey": "<hidden>", "tenant": "acme", "gatewayId": "gw-3",
    });
    assert_eq!((&saw["request"], &saw["answer"]), (&profile, &shown));
    assert_eq!(json!(bench.machine.profile("gw-3", "slack")), profile);
}

#[test]
fn h_4_a_rotated_secret_is_handed_out_before_a_new_one() {
    let mut bench = Bench::ready();
    let first = bench.hears(provision(ACCESS, "gw-2", "discord")).1;
    let rotate = r#"{"do":"rotate","gateway":"gw-2","overlap_ms":5000,"secret":"ch0sen"}"#;
    bench.machine.control(bench.now, Control::parse(rotate).unwrap()).unwrap();
    assert_eq!(bench.hears(provision(ACCESS, "gw-2", "discord")).1["secret"], "ch0sen");
    // After the overlap the old secret is invalid, and the connector forgets it.
    let old = first["secret"].as_str().unwrap();
    bench.passes(4999);
    assert!(bench.dials("gw-2", old) && bench.dials("gw-2", "ch0sen"));
    bench.passes(1);
    assert!(!bench.dials("gw-2", old) && bench.dials("gw-2", "ch0sen"));
    assert_eq!(bench.machine.deadline(), None);
}

#[test]
fn a_refused_provisioning_names_its_reason() {
    let mut bench = Bench::ready();
    let with = |name: &str, value: Value| {
        let mut body = json!({
            "gatewayId": "gw-2", "platform": "discord", "botId": "", "gatewayEndpoint": "", "routeKeys": [],
        });
        body[name] = value;
        body
    };
    let endpoint = "`gatewayEndpoint` must be an http or https URL without user-info, or empty";
    for (bearer, body, status, expected) in [
        ("wrong", with("botId", "1".into()), 401, "identity not verified"),
        (OTHER_ACCESS, with("gatewayId", "gw".into()), 403, "the gateway id belongs to another tenant"),
        (ACCESS, with("platform", Value::Null), 400, "`platform` must be a string"),
        (ACCESS, with("botId", 7.into()), 400, "`botId` must be a string"),
        (ACCESS, with("routeKeys", json!(["a", 1])), 400, "`routeKeys` must be an array of strings"),
        (ACCESS, with("routeKeys", json!("a")), 400, "`routeKeys` must be an array of strings"),
        (ACCESS, with("wakeUrl", json!(1)), 400, "`wakeUrl` must be a string"),
        (ACCESS, with("gatewayEndpoint", json!("ftp://x")), 400, endpoint),
        (ACCESS, with("gatewayEndpoint", json!("https://me:pw@x")), 400, endpoint),
        (ACCESS, with("gatewayEndpoint", json!("here")), 400, endpoint),
        (ACCESS, json!("{"), 400, "the body is not a JSON object"),
    ] {
        assert_eq!(bench.hears(post("/relay/provision", bearer, &body)), (status, error(expected)), "{body}");
    }
    assert_eq!(bench.hears(post("/relay/provision", ACCESS, with("wakeUrl", Value::Null))).0, 200);
}

#[test]
fn a_policy_is_kept_by_gateway_and_platform() {
    let mut bench = Bench::ready();
    let policy = |platform: &str, address: bool| json!({"platform": platform, "requireAddress": address, "freeResponseScopes": ["C1"], "allowOtherBots": false});
    let gw = bench.gw();
    for (platform, address) in [("discord", true), ("slack", true), ("slack", false)] {
        let answer = bench.hears(post("/relay/policy", &gw, policy(platform, address)));
        assert_eq!(answer, (200, json!({"ok": true})));
        let saw = bench.saws().pop().unwrap();
        assert_eq!((&saw["gateway"], &saw["request"]), (&json!("gw"), &policy(platform, address)));
    }
    assert_eq!(json!(bench.machine.policy("gw", "slack")), policy("slack", false));
    bench.machine = bench.machine.restart();
    assert_eq!(json!(bench.machine.policy("gw", "discord")), policy("discord", true));
    let with = |name: &str, value: Value| {
        let mut policy = policy("slack", true);
        policy[name] = value;
        policy
    };
    let expired = token::mint("gw", &SECRET.into(), bench.now.unix_s - 301, 300).expose().to_owned();
    for (bearer, body, status, expected) in [
        ("", policy("slack", true), 401, "unauthorized"),
        (ACCESS, policy("slack", true), 401, "unauthorized"),
        (&expired, policy("slack", true), 401, "expired"),
        (&gw, with("platform", 7.into()), 400, "`platform` must be a string"),
        (&gw, with("requireAddress", "yes".into()), 400, "`requireAddress` must be true or false"),
        (
            &gw,
            with("freeResponseScopes", Value::Null),
            400,
            "`freeResponseScopes` must be an array of strings",
        ),
        (&gw, with("allowOtherBots", 0.into()), 400, "`allowOtherBots` must be true or false"),
    ] {
        assert_eq!(bench.hears(post("/relay/policy", bearer, &body)), (status, error(expected)), "{body}");
    }
    bench.does(Act::Revoke { on: true }).unwrap();
    assert_eq!(bench.hears(post("/relay/policy", &gw, policy("slack", true))), (401, error("unauthorized")));
}

#[test]
fn a_file_is_returned_to_its_gateway_until_it_expires() {
    let mut config = config().gateway("gw-2", "hunter2-too");
    config.media_ttl = Duration::from_secs(60);
    let mut bench = Bench::new(config);
    let (gw, other) = (bench.gw(), bench.bearer("gw-2", "hunter2-too"));
    let upload = Ask {
        content_type: Some("image/png; x=1"),
        filename: Some("bücher.png".as_bytes()),
        ..post("/relay/media", &gw, "a picture")
    };
    let (status, taken) = bench.hears(upload);
    assert_eq!((status, &taken["size"]), (200, &json!(9)));
    let path = format!("/relay/media/{}", taken["id"].as_str().unwrap());
    let answer = bench.asks(get(&path, &gw));
    let name = |name, value: &str| (name, value.to_owned());
    assert_eq!(
        (answer.status, answer.headers, &answer.body[..]),
        (
            200,
            vec![name("content-type", "image/png; x=1"), name("x-media-filename", "bücher.png")],
            &b"a picture"[..]
        )
    );
    assert_eq!(
        bench.saws().pop().unwrap()["answer"],
        json!({"contentType": "image/png; x=1", "filename": "bücher.png", "size": 9})
    );
    assert_eq!(bench.hears(get(&path, &other)), (404, error("no such file")));
    assert_eq!(bench.hears(get(&path, "")), (401, error("unauthorized")));
    assert_eq!(bench.hears(get("/relay/media/0", &gw)), (404, error("no such file")));
    bench.passes(59_999);
    assert_eq!(bench.asks(get(&path, &gw)).status, 200);
    bench.now.mono = bench.now.mono + Duration::from_millis(1);
    assert_eq!(bench.hears(get(&path, &gw)), (410, error("the file is gone")), "before the timer");
    bench.passes(0);
    assert_eq!(bench.machine.deadline(), None, "and its memory is free");
    assert_eq!(bench.hears(get(&path, &gw)), (410, error("the file is gone")));
    let fresh = bench.bearer("gw-2", "hunter2-too");
    assert_eq!(bench.hears(get(&path, &fresh)), (404, error("no such file")));
}

#[test]
fn files_are_bounded_individually_and_together() {
    let mut limits = Limits::default();
    limits.media_file_bytes = 10;
    limits.media_bytes = 20;
    limits.media_files = 3;
    let mut bench = Bench::new(config().limits(limits));
    let gw = bench.gw();
    let upload = |bench: &mut Bench, length: usize| {
        let ask = post("/relay/media", &gw, "x".repeat(length));
        bench.hears(Ask { content_type: Some("a/b"), ..ask }).1["id"].as_str().unwrap().to_owned()
    };
    let found = |bench: &mut Bench, ids: &[String]| -> Vec<u16> {
        ids.iter().map(|id| bench.asks(get(&format!("/relay/media/{id}"), &bench.gw())).status).collect()
    };
    // Each upload evicts the oldest if needed: 8+8 fits, 8+8+8 does not, and 8+1+1+1 are too many files.
    let mut ids = [8, 8, 8].map(|length| upload(&mut bench, length)).to_vec();
    assert_eq!(found(&mut bench, &ids), [410, 200, 200]);
    ids.extend([1, 1, 1].map(|length| upload(&mut bench, length)));
    assert_eq!(found(&mut bench, &ids), [410, 410, 410, 200, 200, 200]);
    assert_eq!(bench.machine.stats().evicted_media, 3);
    let head = |path, authorization| HttpHead {
        method: "POST",
        path,
        authorization: Some(authorization),
        content_type: None,
        media_filename: None,
    };
    let (right, access) = (format!("Bearer {}", bench.gw()), format!("Bearer {ACCESS}"));
    let limit = |path, bearer| bench.machine.http_body_limit(bench.now, &head(path, bearer));
    assert_eq!((limit("/relay/media", &right), limit("/relay/media", &access)), (10, 0));
    assert_eq!((limit("/relay/enroll", &access), limit("/relay/enroll", &right)), (64 << 10, 0));
    assert_eq!((limit("/relay/policy", &right), limit("/elsewhere", &right)), (64 << 10, 0));
    let whole = Limits::default();
    assert_eq!(whole.media_file_bytes, 25 << 20);
}

#[test]
fn a_bad_upload_is_refused() {
    let mut bench = Bench::ready();
    let gw = bench.gw();
    let long = "n".repeat(256);
    let mime = "content-type must name a MIME type, as image/png";
    for (content_type, filename, status, expected) in [
        (None, None, 400, mime),
        (Some(""), None, 400, mime),
        (Some("png"), None, 400, mime),
        (Some("image/"), None, 400, mime),
        (Some("a/b"), Some(long.as_bytes()), 400, "x-media-filename has 256 bytes, 255 at most"),
        (Some("a/b"), Some(&b"\xff"[..]), 400, "x-media-filename is not UTF-8"),
    ] {
        let ask = Ask { content_type, filename, ..post("/relay/media", &gw, "x") };
        assert_eq!(bench.hears(ask), (status, error(expected)));
    }
    let name = Ask {
        content_type: Some("a/b"),
        filename: Some(&long.as_bytes()[1..]),
        ..post("/relay/media", &gw, "x")
    };
    assert_eq!(bench.hears(name).0, 200);
    // The head is checked before the body.
    for (body, bearer, status, expected) in [
        (HttpBody::TooLarge, gw.as_str(), 413, "the body is too large"),
        (HttpBody::Whole(vec![0; (25 << 20) + 1].into()), &gw, 413, "the body is too large"),
        (HttpBody::TooSlow, &gw, 408, "the body did not come in time"),
        (HttpBody::TooLarge, "wrong", 401, "unauthorized"),
    ] {
        assert_eq!(bench.hears(Ask { body, ..post("/relay/media", bearer, "") }), (status, error(expected)));
    }
}

#[test]
fn other_methods_and_paths_have_their_statuses() {
    let mut bench = Bench::ready();
    let gw = bench.gw();
    for (method, path, status, expected, allow) in [
        ("GET", "/", 404, "not found", None),
        ("POST", "/relay/enrol", 404, "not found", None),
        ("GET", "/relay/media/", 404, "not found", None),
        ("GET", "/relay/media/a/b", 404, "not found", None),
        ("GET", "/relay", 426, "this is a WebSocket endpoint", None),
        ("GET", "/relay/enroll", 405, "POST here", Some("POST")),
        ("PUT", "/relay/policy", 405, "POST here", Some("POST")),
        ("GET", "/relay/media", 405, "POST here", Some("POST")),
        ("POST", "/relay/media/0", 405, "GET here", Some("GET")),
    ] {
        let answer = bench.asks(Ask { method, ..post(path, &gw, "") });
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, told), (status, error(expected)), "{method} {path}");
        let allowed =
            answer.headers.iter().find(|(name, _)| *name == "allow").map(|(_, value)| value.as_str());
        assert_eq!(allowed, allow, "{method} {path}");
        let saw = json!({
            "saw": "http", "gateway": "", "by": "gateway", "method": method, "path": path, "status": status,
            "error": expected,
        });
        assert_eq!(bench.saws(), [saw]);
    }
}

#[test]
fn admission_depends_on_the_known_gateways() {
    // Nobody is known: everybody is the one gateway. Nobody can enroll, though: there is no identity.
    let mut open = Bench::new(ConnectorConfig::default());
    let policy =
        json!({"platform": "x", "requireAddress": true, "freeResponseScopes": [], "allowOtherBots": true});
    assert_eq!(open.hears(post("/relay/policy", "", &policy)).0, 200);
    assert_eq!(open.hears(enroll("any", "any", "gw")), (401, error("identity not verified")));
    assert_eq!(
        open.does(Act::Rotate { overlap_ms: 0, secret: None, delivery_key: None }),
        Err(ControlError::NoSecrets)
    );
    // No gateway is known yet, so none is admitted.
    let mut empty = Bench::new(ConnectorConfig::default().identity(ACCESS, "acme"));
    assert!(!empty.dials("", "") && !empty.dials("gw", "x"));
    assert_eq!(empty.hears(post("/relay/policy", "", policy)).0, 401);
    assert_eq!(empty.does(Act::Drop), Err(ControlError::NoGateway));
    // The number of gateways is bounded.
    let mut limits = Limits::default();
    limits.gateways = 2;
    let mut full = Bench::new(config().limits(limits));
    assert_eq!(full.hears(provision(ACCESS, "gw-2", "discord")).0, 200);
    assert_eq!(full.hears(provision(ACCESS, "gw-3", "discord")), (503, error("too many gateways")));
    assert_eq!(full.hears(enroll(ACCESS, TOKEN, "gw-3")), (503, error("too many gateways")));
    assert_eq!(full.hears(enroll(ACCESS, TOKEN, "gw-2")).0, 200, "which has used nothing up");
}
