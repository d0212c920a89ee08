//! Examples of redacted and kept texts.

use super::*;

/// Returns a redacted frame, which may be incomplete.
fn frame(redactor: &Redactor, text: &str) -> String {
    let clean = apply(text.as_bytes(), &redactor.line(text.as_bytes()));
    String::from_utf8(clean).unwrap()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(frame(&Redactor::default(), text), expected, "{text}");
}

#[test]
fn c_4_secrets_are_hidden_and_nothing_else_changes() {
    for (text, expected) in [
        (r#"{"type":"x","token":"abc","n":1}"#, r#"{"type":"x","token":"<hidden>","n":1}"#),
        (r#"{ "Secret" : "a\"b\\" , "text":"token" }"#, r#"{ "Secret" : "<hidden>" , "text":"token" }"#),
        (r#"{"\u0074oken":"abc"}"#, r#"{"\u0074oken":"<hidden>"}"#),
        (r#"{"token":null,"secretIssued":false}"#, r#"{"token":null,"secretIssued":false}"#),
        (r#"{"token":-12.5e3,"a":2}"#, r#"{"token":"<hidden>","a":2}"#),
        (r#"{"secret":{"v":["x",1]},"a":["y",1]}"#, r#"{"secret":"<hidden>","a":["y",1]}"#),
        (
            r#"{"headers":[["Authorization","Bearer x"],["content-type","a"]]}"#,
            r#"{"headers":[["Authorization","<hidden>"],["content-type","a"]]}"#,
        ),
        (
            r#"[{"name":"Authorization","value":"Basic x"},{"name":"accept","value":"a"}]"#,
            r#"[{"name":"Authorization","value":"<hidden>"},{"name":"accept","value":"a"}]"#,
        ),
        (
            r#"{"name":"token","n":{"value":"a"},"value":"b"}"#,
            r#"{"name":"token","n":{"value":"a"},"value":"<hidden>"}"#,
        ),
        (
            r#"{"name":"Authorization","values":["X",1],"n":"a"}"#,
            r#"{"name":"Authorization","values":"<hidden>","n":"a"}"#,
        ),
        (r#"{"Key":"Cookie","Value":"X"}"#, r#"{"Key":"Cookie","Value":"<hidden>"}"#),
        (
            r#"[{"value":"a\"X","name":"Authorization"},{"value":"a","name":"accept"}]"#,
            r#"[{"value":"<hidden>","name":"Authorization"},{"value":"a","name":"accept"}]"#,
        ),
        (
            r#"{"value":["X",{"a":1}],"n":[1],"key":"cookie"}"#,
            r#"{"value":"<hidden>","n":[1],"key":"cookie"}"#,
        ),
        (r#"{"value":"a","name":"accept"}"#, r#"{"value":"a","name":"accept"}"#),
        (r#"[{"value":"a"},{"name":"token"}]"#, r#"[{"value":"a"},{"name":"token"}]"#),
        (r#"["a","token","b"]"#, r#"["a","token","b"]"#),
        (r#"{"kind":"token","text":"x"}"#, r#"{"kind":"token","text":"x"}"#),
        ("", ""),
        ("no json at all: é\n", "no json at all: é\n"),
    ] {
        check(text, expected);
    }
}

#[test]
fn c_4_malformed_text_is_read_as_far_as_possible() {
    check("{\"token\":\"abc\n", "{\"token\":\"<hidden>\n");
    check("{\"text\":\"abc", "{\"text\":\"<hidden>");
    check("{\"token\":{\"a\":\"b\"\n", "{\"token\":\"<hidden>\"\n");
    check("{\"token\":abc, ]}\"password\" : \"x\"", "{\"token\":\"<hidden>\", ]}\"password\" : \"<hidden>\"");
    let deep = |inside: &str| format!("{}{inside}{}", "[".repeat(200), "]".repeat(200));
    let text = r#"{"token":{"a":"x"},"b":1}"#;
    let clean = frame(&Redactor::default(), &deep(text));
    assert_eq!((clean.len(), clean.contains("token")), (deep(text).len(), false));
    check(&deep("1"), &deep("1"));
}

#[test]
fn c_4_json_and_urls_within_strings_are_redacted() {
    for (text, expected) in [
        ("{\"password\":\"ab\\\"X\"}", "{\"password\":\"<hidden>\"}"),
        ("{\"password\":\"ab\\\\\",\"n\":1}", "{\"password\":\"<hidden>\",\"n\":1}"),
        ("{\"token\":12345678}", "{\"token\":\"<hidden>\"}"),
        ("{\"token\":null,\"tokens\":5}", "{\"token\":null,\"tokens\":5}"),
        ("{\"r\":\"{\\\"token\\\":\\\"X\\\"}\"}", "{\"r\":\"{\\\"token\\\":\\\"<hidden>\\\"}\"}"),
        ("/hook?access_token=a%2Fb&x=1", "/hook?access_token=<hidden>&x=1"),
        ("/relay;token=abc/x", "/relay;token=<hidden>/x"),
        ("https://cdn/x?X-Amz-Signature=ab&v=2", "https://cdn/x?X-Amz-Signature=<hidden>&v=2"),
        ("https://x?token=a/X;X?X=X&b=/c", "https://x?token=<hidden>&b=/c"),
        ("/x?a=1;token=X#token=X/X", "/x?a=1;token=<hidden>#token=<hidden>"),
        ("https://maps/?key=AIza&q=é", "https://maps/?key=<hidden>&q=é"),
        ("https://x?a=1&access%5Ftoken=X#token=X", "https://x?a=1&access%5Ftoken=<hidden>#token=<hidden>"),
        ("http://u:p%40w@x/y@z", "http://<hidden>@x/y@z"),
        ("https://user:a;b&c@x:8/", "https://<hidden>@x:8/"),
        ("https://x/@me", "https://x/@me"),
        ("https://api/bot123:AA-b_c/sendMessage", "https://api/bot123:<hidden>/sendMessage"),
        ("https://api/file/bot123:AA-b_c/a.png", "https://api/file/bot123:<hidden>/a.png"),
        ("https://x:443/a", "https://x:443/a"),
        ("auth:42", "auth:42"),
    ] {
        let json = |text: &str| serde_json::json!({ "text": text }).to_string();
        check(&json(text), &json(expected));
    }
    // Any escaping.
    check(r#"{"u":"https:\/\/user:X@x\/y"}"#, r#"{"u":"https://<hidden>@x/y"}"#);
    check(r#"{"u":"https://x?a=1\u0026key\u003dX"}"#, r#"{"u":"https://x?a=1&key=<hidden>"}"#);
    // The bounds of a URL within a sentence are unknown.
    check(r#"{"text":"see https://x?key=a"}"#, r#"{"text":"see https://x?key=a"}"#);
    let mut text = r#"{"token":"X"}"#.to_owned();
    for _ in 0..12 {
        text = serde_json::json!({ "raw": text }).to_string();
    }
    assert!(!frame(&Redactor::default(), &text).contains('X'));
}

#[test]
fn c_4_a_forwarded_body_is_redacted() {
    let frame = |body: &str| {
        format!(r#"{{"forward":{{"bodyB64":"{}","path":"/x"}}}}"#, BASE64.encode(body.as_bytes()))
    };
    let hash = |body: &str| {
        let hash = HEXLOWER.encode(&Sha256::digest(body.as_bytes()));
        format!("<{} bytes, SHA-256 {hash}>", body.len())
    };
    for (body, expected) in [
        (r#"{"type":2,"token":"abc"}"#, r#"{"type":2,"token":"<hidden>"}"#),
        (r#"{"token":"abc","n":NaN}"#, r#"{"token":"<hidden>","n":NaN}"#),
        ("token=abc&text=a+b", "token=%3Chidden%3E&text=a+b"),
        ("payload=%7B%22token%22%3A%22abc%22%7D&x=1", "payload=%7B%22token%22%3A%22%3Chidden%3E%22%7D&x=1"),
        ("text=a%20b", "text=a%20b"),
        ("grant_type=authorization_code&code=X", "grant_type=authorization_code&code=%3Chidden%3E"),
        ("sig=X&x=1", "sig=%3Chidden%3E&x=1"),
        ("key=X", "key=%3Chidden%3E"),
        ("x=1&pwd=X\n", "x=1&pwd=%3Chidden%3E\n"),
        ("text=a\n", "text=a\n"),
        ("text=https%3A%2F%2Fx%3Fsig%3Dabc", "text=https%3A%2F%2Fx%3Fsig%3D%3Chidden%3E"),
        (r#"{"url":"https://x?token=abc"}"#, r#"{"url":"https://x?token=<hidden>"}"#),
        (r#"{"type":2}"#, r#"{"type":2}"#),
        ("", ""),
    ] {
        check(&frame(body), &frame(expected));
    }
    for body in [
        "--b\r\nContent-Disposition: form-data; name=\"pwd\"\r\n\r\nabc\r\n--b--",
        "<Credentials>X</Credentials>",
        "<xml><Text>abc</Text></xml>",
        "see https://user:X@host/ please",
        "my password: hunter2",
        "{\"token\":\"abc\"",
        "\"token\"",
        "\u{0}",
    ] {
        check(&frame(body), &frame(&hash(body)));
    }
    // Invalid base64 stays invalid (P-1).
    check(r#"{"bodyB64":"***"}"#, &format!(r#"{{"bodyB64":"{}"}}"#, hash("***")));
}

#[test]
fn c_4_a_known_credential_is_hidden_wherever_it_is() {
    let mut redactor = Redactor::new(&[Secret::from("of the settings")]);
    assert_eq!(redactor.authorization("Bearer its-very-own"), ("Bearer <hidden>".to_owned(), "its-very-own"));
    redactor.issued(r#"{"gatewayId":"gw-number-one","secret":"s3cr3t-issued","deliveryKey":["k3y-issued"]}"#);
    for (text, expected) in [
        (r#"{"text":"of the settings, \"its-very-own\""}"#, r#"{"text":"<hidden>, \"<hidden>\""}"#),
        (r#"{"its-very-own":"\u0069ts-very-own"}"#, r#"{"<hidden>":"<hidden>"}"#),
        ("its-very-own", "\"<hidden>\""),
        (r#"["s3cr3t-issued k3y-issued gw-number-one"]"#, r#"["<hidden> <hidden> gw-number-one"]"#),
        (r#"{"u":"https://x/its-very-own?key=X"}"#, r#"{"u":"https://x/<hidden>?key=<hidden>"}"#),
    ] {
        assert_eq!(frame(&redactor, text), expected);
    }
    let body = BASE64.encode(b"text=its%2Dvery-own&x=1");
    let clean = BASE64.encode(b"text=<hidden>&x=1");
    assert_eq!(
        frame(&redactor, &format!(r#"{{"bodyB64":"{body}"}}"#)),
        format!(r#"{{"bodyB64":"{clean}"}}"#)
    );
    assert_eq!(redactor.reason("why: its-very-own"), "why: <hidden>");
}

/// Commands are kept only where the protocol has them.
#[test]
fn c_4_commands_are_kept_in_redacted_texts() {
    let mut redactor = Redactor::default();
    redactor.redact_text().unwrap();
    let body = |body: Value| json!({ "bodyB64": BASE64.encode(body.to_string().as_bytes()) }).to_string();
    for (text, kept) in [
        (json!({ "text": "/status of ada" }).to_string(), "/status xx xxx"),
        (json!({ "user_name": "/ada" }).to_string(), ""),
        (json!({ "odd": "/ada" }).to_string(), ""),
        (json!({ "command_manifest": [{ "name": "status", "description": "/ada" }] }).to_string(), "status"),
        (json!({ "data": { "name": "ada" } }).to_string(), ""),
        (
            body(
                json!({ "type": 2, "application_id": "1", "data": { "name": "status", "options": [{ "name": "ada" }] } }),
            ),
            "status",
        ),
        (body(json!({ "type": 2, "data": { "name": "ada" } })), ""),
    ] {
        let clean: Value = serde_json::from_str(&frame(&redactor, &text)).unwrap();
        let inside = clean["bodyB64"].as_str().and_then(|body| BASE64.decode(body.as_bytes()).ok());
        let clean = inside.map_or(clean.to_string(), |body| String::from_utf8(body).unwrap());
        assert!(clean.contains(kept) && !clean.contains("ada"), "{text}: {clean}");
    }
}

#[test]
fn c_4_a_query_keeps_its_names() {
    for (text, expected) in [
        ("/relay", "/relay"),
        ("/relay?token=a&x=b", "/relay?token=<hidden>&x=<hidden>"),
        ("/relay?abc", "/relay?<hidden>"),
        ("/relay?", "/relay?"),
    ] {
        assert_eq!(Redactor::default().target(text), expected);
    }
}

/// The cost is linear in the length of a peer's text.
#[test]
fn x_1_a_long_text_is_read_once() {
    for word in [
        "{\"token\":",
        "[",
        "\"",
        "\\",
        "\"token\":\"",
        "{\"value\":1,",
        "a",
        "\u{e9}",
        "{\"a\":\"{",
        "/bot1:",
    ] {
        let text = word.repeat(100_000);
        assert!(frame(&Redactor::default(), &text).len() <= 3_000_000, "{word}");
        assert!(Redactor::default().body(text.as_bytes()).len() <= 3_000_000, "{word}");
    }
}
