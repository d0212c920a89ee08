//! Variants of the simulated connector's lines: other spellings of numbers (D-3), constants that the machine repairs
//! (W-11), and fields that make a line unreadable.
//!
//! The variant of a line depends only on its bytes. So a redelivered entry is written as before.

use relayline_core::json::MAX_DEPTH;

/// Number of spellings of a number.
const SPELLINGS: u64 = 5;
/// Fields with constants that are not valid JSON, and that the machine repairs (W-11).
const REPAIRABLE_FIELDS: &[u8] = b"\"lat\":NaN,\"lon\":[-Infinity,Infinity],";

/// Returns fields that the machine cannot repair.
fn junk_fields() -> [Vec<u8>; 4] {
    let (deep, end) = ("[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    [
        b"\"junk\":\"\xff\xc3\",".to_vec(),
        format!("\"junk\":{deep}{end},").into_bytes(),
        b"\"junk\":undefined,".to_vec(),
        b"\"junk\":-NaN,".to_vec(),
    ]
}

/// Lines that are not frames, each with the id of the entry that is acknowledged all the same.
pub(crate) const UNREADABLE: &[(&[u8], &str)] = &[
    (b"{\"type\":\"inbound\",\"bufferId\":\"u2\",\"event\":{\"text\":nope}}", "u2"),
    (b"{\"bufferId\":\"u3\",\"event\":{\"text\":\"\xff\"}}", "u3"),
    (b"{\"type\":\"passthrough_forward\",\"forward\":{\"n\":NaNx},\"bufferId\":4}", "4"),
    (b"{\"type\":\"unheard_of\",\"bufferId\":\"u5\",,}", "u5"),
    (b"{\"event\":{},\"bufferId\":\"u6\"}", "u6"),
    (b"{\"type\":\"inbound\",\"bufferId\":\"u7\",\"event\":{\"text\":\"cut o", "u7"),
];

/// Writes a line of the connector in another spelling. An eighth of the deliveries and results gets
/// [`REPAIRABLE_FIELDS`], and a sixteenth of the deliveries one of [`junk_fields`].
pub(crate) fn vary(line: &mut Vec<u8>) {
    let variant = hash(line);
    if line.starts_with(b"{\"type\":\"descriptor\"") {
        respell_number(line, b"\"contract_version\":", variant);
        respell_number(line, b"\"max_message_length\":", variant / SPELLINGS);
        return;
    }
    // Fields are inserted at the beginning of an inner object.
    let (opener, is_delivery): (&[u8], bool) = if line.starts_with(b"{\"type\":\"inbound\"") {
        (b"\"event\":{", true)
    } else if line.starts_with(b"{\"type\":\"passthrough_forward\"") {
        (b"\"forward\":{", true)
    } else if line.starts_with(b"{\"type\":\"outbound_result\"") {
        (b"\"result\":{", false)
    } else {
        return;
    };
    // An empty object has no field that the inserted comma could precede.
    let Some(at) = end_of(line, opener).filter(|at| line.get(*at) == Some(&b'"')) else { return };
    let field = match variant % 64 {
        0..8 => REPAIRABLE_FIELDS.to_vec(),
        kind @ 8..12 if is_delivery => junk_fields()[usize::try_from(kind - 8).unwrap_or(0)].clone(),
        _ => return,
    };
    line.splice(at..at, field);
}

/// Returns a line without its junk field; `None` if the line has none.
pub(crate) fn without_junk(line: &[u8]) -> Option<Vec<u8>> {
    junk_fields().into_iter().find_map(|junk| {
        let end = end_of(line, &junk)?;
        Some([&line[..end - junk.len()], &line[end..]].concat())
    })
}

/// Writes the number after `name` in one of [`SPELLINGS`].
fn respell_number(line: &mut Vec<u8>, name: &[u8], variant: u64) {
    let Some(start) = end_of(line, name) else { return };
    let length = line[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = String::from_utf8_lossy(&line[start..start + length]).into_owned();
    let spelled = match variant % SPELLINGS {
        _ if length == 0 => return,
        0 => format!("{digits}.0"),
        1 => format!("\"{digits}\""),
        // A JSON number cannot begin with two zeros.
        2 if digits == "0" => "0e-3".to_owned(),
        2 => format!("{digits}000e-3"),
        3 => format!("\"0.{digits}E{length}\""),
        _ => digits,
    };
    line.splice(start..start + length, spelled.into_bytes());
}

/// Returns the position after the first occurrence of `part`.
fn end_of(line: &[u8], part: &[u8]) -> Option<usize> {
    line.windows(part.len()).position(|window| window == part).map(|at| at + part.len())
}

/// Returns the FNV-1a hash of a line. Its high bits are mixed into the low ones, which choose the variant.
fn hash(line: &[u8]) -> u64 {
    let hash = line.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w_11_a_9_junk_is_inserted_and_removed() {
        let entry = |n: u64| {
            format!("{{\"type\":\"inbound\",\"event\":{{\"text\":\"e{n}\"}},\"bufferId\":\"{n}\"}}\n")
        };
        let mut kinds = [0; 3];
        for line in (0..2000).map(entry) {
            let mut spelled = line.clone().into_bytes();
            vary(&mut spelled);
            match without_junk(&spelled) {
                Some(found) => {
                    assert_eq!(found, line.as_bytes());
                    kinds[2] += 1;
                }
                None => kinds[usize::from(spelled != line.as_bytes())] += 1,
            }
        }
        assert!(kinds.iter().all(|kind| *kind > 50), "{kinds:?}");
    }

    #[test]
    fn d_3_numbers_keep_their_value() {
        for (how, limit) in (0..5).flat_map(|how| [(how, 200), (how, 0)]) {
            let mut line = format!("{{\"max_message_length\":{limit},\"x\":1}}").into_bytes();
            respell_number(&mut line, b"\"max_message_length\":", how);
            let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let value = &value["max_message_length"];
            let read = value.as_f64().or_else(|| value.as_str()?.parse().ok());
            assert_eq!(read, Some(f64::from(limit)), "{value}");
        }
    }
}
