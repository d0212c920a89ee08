//! The secrets, and the search for them in every form.

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// Id in every token that is minted here. With its colon it fills whole groups of base64.
pub(crate) const ID: &str = "gw-swept";

pub(crate) const SECRET: &str = "s1+gateway/secret\"q7Lw2Vt9";
pub(crate) const FILE_SECRET: &str = "s2+secret/file\"k3Rm8Yz1";
pub(crate) const TOML_SECRET: &str = "s3+toml/secret\"n5Pb4Xc6";
pub(crate) const ISSUED_SECRET: &str = "s4+issued/secret\"h2Jd9Fs7";
pub(crate) const DELIVERY_KEY: &str = "k1+delivery/key\"w8Gt3Bn5";
pub(crate) const OLD_DELIVERY_KEY: &str = "k2+old/delivery/key\"c4Ve7Mq2";
pub(crate) const ISSUED_KEY: &str = "k3+issued/key\"u6Zx1La9";
pub(crate) const ENROLLMENT: &str = "e1+enrollment/token\"o9Ty5Hw3";
pub(crate) const ACCESS: &str = "a1+access/token\"r7Sd2Kf8";
pub(crate) const PRINTED: &str = "a2+printed/token\"j4Qn6Cv1";
pub(crate) const FROM_IDP: &str = "a3+idp/token\"y3Xb8Pe5";
pub(crate) const CLIENT_SECRET: &str = "c1+client/secret\"l6Wm2Rz4";
/// Password in the text of the access token command.
pub(crate) const COMMAND_PASSWORD: &str = "p1+command/password-g9Ku7Td1";
pub(crate) const PROXY_PASSWORD: &str = "p2+proxy/password\"b5Ji3Fa8";
/// Key in the query of a connector's URL.
pub(crate) const QUERY_KEY: &str = "q1+query/key~x5Bv8Nm2";

pub(crate) const ALL: [&str; 15] = [
    SECRET,
    FILE_SECRET,
    TOML_SECRET,
    ISSUED_SECRET,
    DELIVERY_KEY,
    OLD_DELIVERY_KEY,
    ISSUED_KEY,
    ENROLLMENT,
    ACCESS,
    PRINTED,
    FROM_IDP,
    CLIENT_SECRET,
    COMMAND_PASSWORD,
    PROXY_PASSWORD,
    QUERY_KEY,
];

/// Returns every text that would reveal the secret. Backslashes are ignored, since escaping a quote adds them.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let escaped = |hex: fn(u8) -> String| -> String {
        let one = |b: &u8| if b.is_ascii_alphanumeric() { char::from(*b).into() } else { hex(*b) };
        bytes.iter().map(one).collect()
    };
    let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let mut forms = vec![
        secret.to_owned(),
        secret.replace('"', "&quot;"),
        // Escaped like any part of a URL, and like a path, in which some characters stay.
        escaped(|b| format!("%{b:02X}")),
        escaped(|b| format!("%{b:02x}")),
        secret.replace('"', "%22"),
        secret.replace('"', "u0022"),
        HEXLOWER.encode(bytes),
        HEXUPPER.encode(bytes),
        decimal.join(", "),
    ];
    // At any offset in the encoded text: only whole groups of it.
    for before in 0..3 {
        let text = [&[0; 3][..before], bytes].concat();
        let groups = (text.len() / 3) * 4;
        let first = [0, 2, 3][before];
        forms.extend(
            [BASE64.encode(&text), BASE64URL.encode(&text)].map(|text| text[first..groups].to_owned()),
        );
    }
    forms
}

/// Returns the beginning of every upgrade token of the gateway (C-1).
fn token() -> String {
    BASE64URL.encode(format!("{ID}:").as_bytes())
}

/// Returns true if the line has 64 hex digits in a row, like each secret and key that the embedded connector issues,
/// and each signature.
fn has_digest(line: &str) -> bool {
    line.split(|c: char| !c.is_ascii_hexdigit()).any(|run| run.len() >= 64)
}

/// Returns the form of a secret that the text contains, if there is one.
pub(crate) fn leak(text: &str) -> Option<String> {
    // The trace says that there is a token, and hides it.
    let text =
        text.replace('\\', "").replace("authorization: Bearer <hidden>", "").replace("Bearer <hidden>", "");
    let told = |what: &str, found: &str| {
        let line = text.lines().find(|line| line.contains(found)).unwrap_or(&text);
        Some(format!("{what} {found:?} in: {line}"))
    };
    for secret in ALL {
        if let Some(form) = forms(secret).iter().find(|form| text.contains(form.as_str())) {
            return told("the secret", form);
        }
    }
    for word in [token().as_str(), "Bearer ", "Basic "] {
        if text.contains(word) {
            return told("the word", word);
        }
    }
    text.lines().find(|line| has_digest(line)).and_then(|line| told("a digest", line))
}

#[track_caller]
pub(crate) fn is_clean(what: &str, text: &str) {
    if let Some(leak) = leak(text) {
        panic!("{what}: {leak}");
    }
}

/// The search finds secrets, so the other tests prove something.
#[test]
fn c_4_a_secret_is_found_in_every_form() {
    let basic = |before: &str| BASE64.encode(format!("{before}:{PROXY_PASSWORD}").as_bytes());
    let minted = relayline_core::token::mint(ID, &SECRET.into(), 1_782_554_400, 300);
    for text in [
        format!("x={SECRET}"),
        format!("x={SECRET:?}"),
        format!("{:?}", format!("{SECRET:?}")),
        serde_json::json!({ "x": serde_json::json!([ACCESS]).to_string() }).to_string(),
        "http://me:p2%2Bproxy%2Fpassword%22b5Ji3Fa8@proxy".to_owned(),
        "http://me:p2+proxy/password%22b5Ji3Fa8@proxy".to_owned(),
        "client_secret=c1%2bclient%2fsecret%22l6Wm2Rz4&x".to_owned(),
        format!("{:?}", CLIENT_SECRET.as_bytes()),
        HEXLOWER.encode(DELIVERY_KEY.as_bytes()),
        basic("u"),
        basic("us"),
        basic("use"),
        minted.expose().to_owned(),
        "authorization: Bearer x".to_owned(),
        "signature=".to_owned() + &"0f".repeat(32),
    ] {
        assert!(leak(&text).is_some(), "{text}");
    }
    for text in ["", ID, "dial #1 authorization: Bearer <hidden>", "secret <hidden>", &"0f".repeat(16)] {
        assert_eq!(leak(text), None, "{text}");
    }
}
