//! Values set in an env file (H-2): other lines are unchanged, and set values read back.

use arbitrary::{Result, Unstructured};
use relayline_control::env_file::{EnvFileError, set};
use relayline_core::secret::Secret;

const KEY: &str = "ID";

pub(crate) fn run(data: &[u8]) {
    let _ = any(Unstructured::new(data));
}

fn any(mut input: Unstructured<'_>) -> Result<()> {
    let length = input.int_in_range(0..=16)?.min(input.len());
    let value = String::from_utf8_lossy(input.bytes(length)?).into_owned();
    let text = input.take_rest();
    let secret = Secret::new(value.as_str());
    let once = set(text, &[(KEY, &secret)]);
    let control = Err(EnvFileError::Control(KEY.to_owned()));
    assert_eq!(once == control, value.chars().any(char::is_control), "{value:?}");
    let Ok(once) = once else {
        let quoted = text.iter().any(|byte| matches!(byte, b'"' | b'\''));
        assert!(quoted || once == control, "no quote can be open");
        return Ok(());
    };
    assert_eq!(*set(&once, &[(KEY, &secret)]).unwrap(), *once, "twice is once");
    check_other_lines(text, &once);
    check_dotenvy(&value);
    Ok(())
}

fn names_it(line: &&[u8]) -> bool {
    line.windows(KEY.len()).any(|part| part == KEY.as_bytes())
}

/// Checks that nothing changes before the key's first line, and that a new key adds one line. If no value can span
/// lines, every line without the key is still there.
fn check_other_lines(text: &[u8], once: &[u8]) {
    let first = text.windows(KEY.len()).position(|part| part == KEY.as_bytes());
    assert!(once.starts_with(&text[..first.unwrap_or(text.len())]));
    if first.is_none() {
        let added = once[text.len()..].trim_ascii();
        assert!(added.starts_with(b"ID=") && !added.contains(&b'\n'), "{}", added.escape_ascii());
    }
    if !text.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
        let lines = |text: &'_ [u8]| -> Vec<Vec<u8>> {
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !names_it(line));
            // A last line without a newline gets one when a line is appended.
            lines.map(|line| line.trim_ascii_end().to_owned()).filter(|line| !line.is_empty()).collect()
        };
        assert_eq!(lines(once), lines(text));
    }
}

/// Checks that the common library reads the value that was set.
fn check_dotenvy(value: &str) {
    // It has no escape for a backtick, which a shell needs.
    if value.contains('`') {
        return;
    }
    let alone = set(b"", &[(KEY, &Secret::new(value))]).unwrap();
    let read: Vec<_> = dotenvy::from_read_iter(alone.as_slice()).map(std::result::Result::unwrap).collect();
    assert_eq!(read, [(KEY.to_owned(), value.to_owned())]);
}
