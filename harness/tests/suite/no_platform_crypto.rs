//! C-5: signing and verifying a platform's webhooks is the connector's task.

use std::fs;
use std::path::{Path, PathBuf};

/// Texts that any code to verify a platform's signature contains: the header, or the name of the scheme.
const PLATFORM_CRYPTO: &[&str] = &[
    "ed25519",
    "x-signature-timestamp",
    "twilio-signature",
    "slack-signature",
    "hub-signature",
    "telegram-bot-api-secret-token",
    "line-signature",
    "msg_signature",
    "wxbizmsgcrypt",
    "encodingaeskey",
];

/// Returns the sources and manifests that a host links, without the tests and this list.
fn sources() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let (kind, path) = entry.map(|entry| (entry.file_type().unwrap(), entry.path())).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            if kind.is_dir() && !matches!(name, "target" | "tests") && !name.starts_with('.') {
                folders.push(path);
            } else if kind.is_file() && (name.ends_with(".rs") || name == "Cargo.toml") {
                sources.push(path);
            }
        }
    }
    sources
}

#[test]
fn c_5_no_source_knows_a_platforms_signature() {
    let sources = sources();
    assert!(sources.iter().any(|path| path.ends_with("core/src/token.rs")), "the sources were found");
    for path in sources {
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        for word in PLATFORM_CRYPTO {
            assert!(!text.contains(word), "{} speaks of {word}", path.display());
        }
    }
}
