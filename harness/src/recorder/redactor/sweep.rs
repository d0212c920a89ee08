//! Property tests: random texts with a credential in every encoding, or with private texts, of which nothing may
//! remain.

use super::*;
use data_encoding::{BASE64_NOPAD, BASE64URL, HEXUPPER};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Encoders of a text. The first ones keep a text readable within another.
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

/// Returns six characters of the credential that the text holds, in any encoding.
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

/// Returns the recorded forms of a text in each place: in a frame, a body, a header, a query, a form.
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
        redactor.reason(text).into_bytes(),
        redactor.header("User-Agent".to_owned(), text).1.into_bytes(),
        redactor.header("X-Odd".to_owned(), text).1.into_bytes(),
        redactor.target(&format!("/relay/{text}?z={text}&{text}")).into_bytes(),
    ];
    for document in documents {
        all.push(redactor.body(document.as_bytes()).into_bytes());
        let encoded = BASE64.encode(document.as_bytes());
        let frame = json!({ "forward": { "bodyB64": encoded }, "document": document }).to_string();
        for frame in [frame.as_bytes(), document.as_bytes(), &frame.as_bytes()[..frame.len() / 2]] {
            let clean = apply(frame, &redactor.line(frame));
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
    #![proptest_config(ProptestConfig::with_cases(32))]

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

    /// An unknown credential is hidden if its name marks it as one.
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

    /// Every text is read, and parts that are not hidden are unchanged.
    #[test]
    fn c_4_any_text_can_be_redacted(pieces in vec(select(PIECES), 0..24)) {
        let text = pieces.concat();
        let edits = Redactor::default().line(text.as_bytes());
        let clean = String::from_utf8(apply(text.as_bytes(), &edits)).unwrap();
        prop_assert!(clean.contains(HIDDEN) || clean == text, "{:?} became {:?}", text, clean);
        prop_assert!(edits.is_sorted_by(|one, next| one.range.end <= next.range.start));
    }
}

/// Generates JSON of known and unknown fields with random words as texts, keys and numbers.
fn documents() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        3 => select(&[
            "type", "op", "text", "content", "event", "source", "chat_id", "user_name", "metadata", "code", "error", "reason", "url",
            "mime", "emoji", "path", "headers", "name", "value", "label", "platform", "custom_id", "data", "bodyB64", "token", "size",
            "media", "filename", "title", "options", "reply_to", "session_key", "kind", "result", "profile",
        ][..]).prop_map(str::to_owned),
        1 => word(),
    ];
    let leaf = prop_oneof![
        4 => sentence().prop_map(Value::from),
        1 => (7_111_111_111..7_999_999_999u64).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner.clone(), 0..6)
                .prop_map(|fields| json!(fields)),
            inner.clone().prop_map(
                |inner| json!({ "forward": { "bodyB64": BASE64.encode(inner.to_string().as_bytes()) } })
            ),
            inner.prop_map(|inner| json!({ "raw": inner.to_string() })),
        ]
    })
}

/// Generates a word that no list has and no pseudonym is likely to contain.
fn word() -> impl Strategy<Value = String> {
    prop_oneof!["qz[a-w]{6}", "Qz[a-w]{6}", "7[1-9]{9}", "éü[a-w]{6}", "语言[ㄱ-ㅎ]{4}"]
}

fn sentence() -> impl Strategy<Value = String> {
    let sign = select(
        &[
            " ", "\n", ":", "/", ".", "@", "?", "=", "&", "\"", "\\", "://", "```", " - ", "🚀", "\u{2028}",
            ", ", "#", "%41", "-",
        ][..],
    );
    vec((word(), sign), 1..5)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(word, sign)| [word, sign.to_owned()]).collect())
}

/// Returns the random words of a text: runs of letters and digits.
fn words_of(text: &str) -> Vec<String> {
    let is_word = |word: &&str| word.chars().count() >= 6 && (!word.is_ascii() || !words::is_word(word));
    text.split(|c: char| !c.is_alphanumeric()).filter(is_word).map(str::to_owned).collect()
}

/// Returns true if a text may stand in a recording with redacted texts.
fn is_allowed(text: &str) -> bool {
    let is_filler = |c: char| "xø字𝕩 \n\r\t`~>".contains(c);
    let is_pseudonym = |part: &str| {
        let digits = part.trim_start_matches('-');
        let letters = part.strip_prefix("p*").or_else(|| part.strip_prefix('p')).unwrap_or_default();
        digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit())
            || letters.len() >= 9
                && letters.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let mut parts = text.split(|c: char| ".:/~@+?&=#,;()".contains(c));
    let is_hash = text.starts_with('<') && text.contains(" bytes, pseudonym ") && text.ends_with('>');
    text.chars().all(is_filler)
        || words::is_reason(text)
        || is_hash
        || parts.all(|part| part.is_empty() || words::is_word(part) || is_pseudonym(part))
}

/// Returns the first key or string of JSON that is not allowed, including forwarded bodies.
fn odd_leaf(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !is_allowed(text)),
        Value::Array(items) => items.iter().find_map(odd_leaf),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let body = value
                .as_str()
                .filter(|_| name == "bodyB64")
                .and_then(|body| BASE64.decode(body.as_bytes()).ok());
            let odd_name = Some(name.clone()).filter(|name| !words::class(name).1 && !is_allowed(name));
            let odd_value = || match body.as_deref().map(|body| (serde_json::from_slice(body), body)) {
                Some((Ok(body @ (Value::Array(_) | Value::Object(_))), _)) => odd_leaf(&body),
                Some((_, body)) if is_form(body) => {
                    let mut pairs = form_urlencoded::parse(body).flat_map(|(name, value)| [name, value]);
                    pairs
                        .find(|text| !words::class(text).1 && !is_allowed(text))
                        .map(|text| text.into_owned())
                }
                Some((_, body)) => odd_leaf(&json!(String::from_utf8_lossy(body))),
                None => odd_leaf(value),
            };
            odd_name.or_else(odd_value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// No private text remains, and each remaining text is on the allow-list, filler, or a pseudonym.
    #[test]
    fn c_4_redacted_texts_hold_no_word_of_the_original(document in documents(), sentence in sentence(), cut in any::<proptest::sample::Index>()) {
        let mut redactor = Redactor::default();
        redactor.redact_text().unwrap();
        let frame = document.to_string();
        let line = |frame: &str| {
            let clean = apply(frame.as_bytes(), &redactor.line(frame.as_bytes()));
            String::from_utf8_lossy(&clean).into_owned()
        };
        let clean = line(&frame);
        let read: Value = serde_json::from_str(&clean).expect("JSON stays JSON");
        prop_assert_eq!(odd_leaf(&read), None, "{}", clean);
        let form: String = form_urlencoded::Serializer::new(String::new()).append_pair(&sentence, &frame).append_pair("text", &sentence).finish();
        let texts = [redactor.reason(&sentence), redactor.name(&sentence), redactor.retry_after(&sentence)];
        for text in &texts {
            prop_assert!(is_allowed(text), "{}", text);
        }
        let cut = cut.index(frame.len());
        let mut shown = vec![
            clean,
            line(&String::from_utf8_lossy(&frame.as_bytes()[..cut])),
            line(&String::from_utf8_lossy(&frame.as_bytes()[cut..])),
            line(&sentence),
            redactor.body(frame.as_bytes()),
            redactor.body(form.as_bytes()),
            redactor.body(sentence.as_bytes()),
            redactor.target(&format!("/{sentence}?{sentence}")),
            redactor.header("X-Odd".to_owned(), &sentence).1,
            redactor.header(sentence.clone(), "1").0,
            redactor.header("User-Agent".to_owned(), &sentence).1,
        ];
        shown.extend(texts);
        for text in shown.clone() {
            for run in text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c))) {
                shown.extend(BASE64.decode(run.as_bytes()).ok().and_then(|body| String::from_utf8(body).ok()));
            }
        }
        for word in words_of(&frame).iter().chain(&words_of(&sentence)) {
            let word = word.to_lowercase();
            // Names of fields, and the frame's own base64, do not count.
            if words::class(&word).1 || !word.contains(|c: char| !c.is_ascii()) && !word.contains("qz") && !word.starts_with('7') {
                continue;
            }
            let found = shown.iter().find(|text| text.to_lowercase().contains(&word));
            prop_assert_eq!(found, None, "{}", word);
        }
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
