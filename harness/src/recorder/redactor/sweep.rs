//! Random texts with a credential in every encoding, of which nothing may be left.

use super::*;
use data_encoding::{BASE64URL, HEXUPPER};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

/// Ways to write a text. The first ones leave any text readable within another.
const ENCODERS: &[fn(&str) -> String] = &[
    |text| text.to_owned(),
    percent,
    |text| percent(text).to_lowercase(),
    inside_json,
    |text| inside_json(text).replace('/', "\\/"),
    |text| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
    |text| form_urlencoded::byte_serialize(text.as_bytes()).collect(),
    |text| HEXLOWER.encode(text.as_bytes()),
    |text| HEXUPPER.encode(text.as_bytes()),
    |text| BASE64.encode(text.as_bytes()),
    |text| BASE64URL.encode(text.as_bytes()),
    |text| BASE64_NOPAD.encode(format!("z{text}").as_bytes()),
    |text| BASE64URL.encode(format!("zz{text}zz").as_bytes()),
];
const OUTER: usize = 5;

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn inside_json(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// What of the credential the text holds: six characters of it, however they are written.
fn leak(text: &[u8], credential: &str) -> Option<String> {
    let chars: Vec<char> = credential.chars().collect();
    let mut texts = vec![text.to_vec()];
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    for run in text.split(|byte| !is_digit(byte)) {
        for from in 0..run.len().min(4) {
            let run = run[from..].iter().map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                byte => *byte,
            });
            let run: Vec<u8> = run.collect();
            let whole = run.len() - run.len() % 4;
            texts.extend(BASE64_NOPAD.decode(&run[..whole]));
        }
    }
    chars.windows(6).map(|window| window.iter().collect::<String>()).find(|window| {
        let mut forms = ENCODERS[..9].iter().map(|encoder| encoder(window));
        forms.any(|form| texts.iter().any(|text| memchr::memmem::find(text, form.as_bytes()).is_some()))
    })
}

/// Where a text stands: in a frame, in a body, in a header, in a query, in a form.
fn places(redactor: &Redactor, name: &str, text: &str) -> Vec<Vec<u8>> {
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("zz", text)
        .append_pair(text, "zz")
        .finish();
    let documents = [
        json!({ "type": "inbound", "event": { name: [text, { text: 1 }], "z": json!({ "z": text }).to_string() } }).to_string(),
        json!([["content-type", text], ["x", "y"]]).to_string(),
        json!({ "value": text, "name": name, "u": format!("https://z/{text}?z={text}&token={text}") }).to_string(),
        form.clone(),
    ];
    let mut all = vec![
        redactor.text(text).into_bytes(),
        redactor.header("User-Agent", text).into_bytes(),
        redactor.header("X-Odd", text).into_bytes(),
        redactor.target(&format!("/relay/{text}?z={text}&{text}")).into_bytes(),
    ];
    for document in documents {
        all.push(redactor.body(document.as_bytes()).into_bytes());
        let encoded = BASE64.encode(document.as_bytes());
        let frame = json!({ "forward": { "bodyB64": encoded }, "document": document }).to_string();
        for frame in [&frame, &document, &frame[..frame.len() / 2]] {
            let clean = apply(frame.as_bytes(), &redactor.line(frame.as_bytes()));
            let body = serde_json::from_slice(&clean).ok().and_then(|clean: Value| {
                BASE64.decode(clean["forward"]["bodyB64"].as_str()?.as_bytes()).ok()
            });
            all.extend(body);
            all.push(clean);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn c_4_nothing_of_a_known_credential_is_left(
        credential in "[a-y0-9][a-y0-9+/=\"éß😀 .]{12,40}[a-y0-9]",
        way in 0..3,
        (inner, outer) in (select(ENCODERS), select(&ENCODERS[..OUTER])),
        around in vec("[zZ ]{0,5}", 2),
        name in select(&["text", "zzz", "bodyB64", "token", "reason"][..]),
    ) {
        let mut redactor = Redactor::default();
        match way {
            0 => drop(redactor.authorization(&format!("Bearer {credential}"))),
            1 => redactor.issued(&json!({ "gatewayId": "gw", "secret": credential }).to_string()),
            _ => redactor = Redactor::new(&[Secret::new(credential.as_str())]),
        }
        let text = format!("{}{}{}", around[0], outer(&inner(&credential)), around[1]);
        for place in places(&redactor, name, &text) {
            let found = leak(&place, &credential);
            prop_assert_eq!(found, None, "{}", String::from_utf8_lossy(&place));
        }
    }

    /// A credential that nobody knows is hidden where a name says that it is one.
    #[test]
    fn c_4_nothing_of_a_named_credential_is_left(
        credential in "[a-y0-9+/\"é😀]{12,40}",
        name in select(&["token", "Client-Secret", "set_cookie", "X-Api-Key", "passwd", "webhookSecret"][..]),
        depth in 0..5,
    ) {
        let mut value = json!({ name: credential, "n": { name: [1, { "a": credential }] } });
        for _ in 0..depth {
            value = json!([{ "raw": value.to_string(), "body": value, "pairs": [[name, credential, 1]] }]);
        }
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair(name, &credential)
            .append_pair("payload", &value.to_string())
            .finish();
        let redactor = Redactor::default();
        for document in [value.to_string(), form] {
            let frame = json!({ "bodyB64": BASE64.encode(document.as_bytes()) }).to_string();
            let clean = apply(frame.as_bytes(), &redactor.line(frame.as_bytes()));
            let clean: Value = serde_json::from_slice(&clean).unwrap();
            let body = BASE64.decode(clean["bodyB64"].as_str().unwrap().as_bytes()).unwrap();
            prop_assert_eq!(leak(&body, &credential), None);
            prop_assert_eq!(leak(redactor.body(document.as_bytes()).as_bytes(), &credential), None);
        }
        let frame = value.to_string();
        prop_assert_eq!(leak(&apply(frame.as_bytes(), &redactor.line(frame.as_bytes())), &credential), None);
    }

    /// Whatever a text is made of, it is read, and what is not hidden stays.
    #[test]
    fn c_4_no_text_is_too_odd(pieces in vec(select(PIECES), 0..24)) {
        let text = pieces.concat();
        let edits = Redactor::default().line(text.as_bytes());
        let clean = String::from_utf8(apply(text.as_bytes(), &edits)).unwrap();
        prop_assert!(clean.contains(HIDDEN) || clean == text, "{:?} became {:?}", text, clean);
        prop_assert!(edits.is_sorted_by(|one, next| one.range.end <= next.range.start));
    }
}

const PIECES: &[&str] = &[
    "\"token\"",
    ":",
    ",",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\\\"",
    "\\u0026",
    "\\ud83d",
    "\"a\"",
    "\"name\"",
    "\"value\"",
    "\"cookie\"",
    "1",
    "null",
    "-",
    "é",
    "\n",
    " ",
    "\"https://u:p@x?key=1\"",
    "\"{\\\"token\\\":1}\"",
    "\"{\"",
];
