//! A field with the name of a secret has a type that hides it, or is on a list with the reason why not.

use super::sources::{declared, words};

/// Names of secrets.
const NAMES: &[&str] = &[
    "secret",
    "token",
    "key",
    "password",
    "authorization",
    "credential",
    "credentials",
    "bearer",
    "secrets",
    "tokens",
    "keys",
];

/// Types of visible texts.
const PLAIN: &[&str] = &["String", "str", "Vec", "Bytes", "Value", "OsString", "Cow"];

/// Types that hide their content.
const HIDING: &[&str] = &[
    "Secret",
    "Bearer",
    "Zeroizing",
    "Credentials",
    "EnrollToken",
    "KnownToken",
    "SecretState",
    "TokenState",
    "ValidSecret",
];

/// Fields with such a name that are not secret: the type, the field, and the reason.
const NONE: &[(&str, &str, &str)] = &[
    ("*", "session_key", "what a session is called"),
    ("*", "route_keys", "what a connector routes by"),
    ("*", "NoSecret", "the host that sent none"),
    ("Source", "key", "a setting's name in a file"),
    ("Spec", "key", "a setting's name in a file"),
    ("Spec", "file_key", "a setting's name in a file"),
    ("HostSetting", "key", "a setting's name in a file"),
    ("*", "host_keys", "names of settings in a file"),
    ("IdentityError", "NoToken", "the host that sent none"),
    ("UserEvent", "key", "what tells one simulated event from another"),
    ("ModelSession", "key", "what a session is called"),
    ("InboundItem", "key", "what tells one simulated event from another"),
    ("LedgerEntry", "memory_key", "the name of what a host remembers"),
    ("Record", "key", "the name of what a host remembers"),
    ("Record", "keys", "numbers of pieces of a snapshot"),
    ("MemoryItem", "key", "the name of what a host remembers"),
    ("Job", "keys", "numbers of pieces of a snapshot"),
    ("Piece", "Keys", "a list of duplicates' hashes"),
    ("Snapshot", "keys", "numbers of pieces of a snapshot"),
    ("Stage", "token", "of a simulated gateway, whose secret is in the sources"),
    ("VerifyArguments", "secret_file", "the file's name"),
    ("Login", "Token", "without a Debug, and left out of that of its URL"),
    ("Login", "password", "without a Debug, and left out of that of its URL"),
    ("Key", "token", "the random name of a leader's store"),
    ("Settings", "token", "the random name of a leader's store"),
    ("Link", "token", "the random name of a leader's store"),
    ("Access", "entry_token", "without a Debug, and left out of that of its port"),
    ("Access", "action_token", "without a Debug, and left out of that of its port"),
    ("Message", "key", "what a page calls a message"),
    ("Chat", "key", "what a page calls a chat"),
    ("HttpHead", "authorization", "borrowed from a request, and left out of its Debug"),
    // Bodies that are borrowed to be serialized, and have no Debug.
    ("EnrollBody", "enrollment_token", "what is sent"),
    ("Issued", "secret", "what is sent"),
    ("Issued", "delivery_key", "what is sent"),
];

/// Returns the fields and variants of a body with their types: `token: String`, and `Token(String)`.
fn fields(body: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for line in body.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for piece in line.split_inclusive(['{', ',']) {
            let piece = piece.trim().trim_end_matches(['{', ',', '}', ' ']);
            let piece = piece
                .rsplit("pub ")
                .next()
                .unwrap()
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub(super) ");
            let found = piece.split_once(": ").or_else(|| piece.split_once('('));
            fields.extend(found.map(|(name, kind)| (name.trim().to_owned(), kind.to_owned())));
        }
    }
    fields
}

/// Returns true for names such as `access_token` and `AccessToken`.
fn is_called_secret(name: &str) -> bool {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake.split('_').any(|word| NAMES.contains(&word))
}

fn is_plain(kind: &str) -> bool {
    words(kind).any(|word| PLAIN.contains(&word)) && !words(kind).any(|word| HIDING.contains(&word))
}

#[test]
fn c_4_a_field_named_like_a_secret_hides_its_value() {
    let declared = declared();
    assert!(declared.len() > 200, "the types were found: {}", declared.len());
    let (mut wrong, mut used) = (String::new(), Vec::new());
    for found in &declared {
        for (name, kind) in fields(&found.body) {
            if !is_called_secret(&name) || !is_plain(&kind) {
                continue;
            }
            match NONE
                .iter()
                .position(|(of, field, _)| [found.name.as_str(), "*"].contains(of) && *field == name)
            {
                Some(at) => used.push(at),
                None => wrong += &format!("{}: {}.{name}: {kind}\n", found.file, found.name),
            }
        }
    }
    assert!(wrong.is_empty(), "make each a Secret, or say on the list why it is none:\n{wrong}");
    for (at, (of, field, why)) in NONE.iter().enumerate() {
        assert!(used.contains(&at) && !why.is_empty(), "{of}.{field} is on the list for nothing");
    }
}

#[test]
fn which_names_are_secrets() {
    for (name, expected) in [
        ("access_token", true),
        ("Token", true),
        ("delivery_keys", true),
        ("monkey", false),
        ("tokenizer", false),
    ] {
        assert_eq!(is_called_secret(name), expected, "{name}");
    }
    let body = " {\n    pub(crate) token: Option<String>,\n    B { key: Vec<u8> },\n    Password(String),\n    id: u8,\n}";
    let found: Vec<_> =
        fields(body).into_iter().filter(|(name, kind)| is_called_secret(name) && is_plain(kind)).collect();
    let pair = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    let expected = [pair("token", "Option<String>"), pair("key", "Vec<u8>"), pair("Password", "String)")];
    assert_eq!(found, expected);
}
