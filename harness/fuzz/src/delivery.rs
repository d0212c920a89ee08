//! Signatures (C-1 to C-3, H-6): the verifiers compared with a simple reading of the rules that ignores timing
//! attacks.

use arbitrary::{Result, Unstructured};
use data_encoding::{BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use hmac::{Hmac, KeyInit, Mac};
use relayline_core::config::{Config, Identity};
use relayline_core::machine::RelayMachine;
use relayline_core::output::{Action, Outcome};
use relayline_core::secret::Secret;
use relayline_core::time::{Now, Time};
use relayline_core::webhook::{Body, WebhookOutcome, WebhookRequest};
use relayline_core::{signature, token};
use sha2::Sha256;
use std::sync::Arc;

const SECRETS: [&str; 5] =
    ["dk", "old", "", " ", "a longer secret, of more than sixty-four bytes: it is hashed before it keys"];

pub(crate) fn run(data: &[u8]) {
    let _ = any(Unstructured::new(data));
}

fn any(mut input: Unstructured<'_>) -> Result<()> {
    let which = input.arbitrary::<u8>()?;
    let keys = SECRETS.iter().enumerate().filter(|(at, _)| which & (1 << at) != 0);
    let keys: Vec<&str> = keys.map(|(_, key)| *key).collect();
    let signer = *input.choose(&SECRETS)?;
    let now = 1_782_554_400 + u64::from(input.arbitrary::<u16>()?);
    if input.arbitrary()? { delivery(input, &keys, signer, now) } else { upgrade(input, &keys, signer, now) }
}

fn secrets(keys: &[&str]) -> Vec<Secret> {
    keys.iter().map(|key| Secret::from(*key)).collect()
}

fn mac(parts: &[&[u8]], key: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.chain_update(parts.concat()).finalize().into_bytes().into()
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// Returns true if a text is the signature of the parts with one of the keys.
fn signed(parts: &[&[u8]], signature: &str, keys: &[&str]) -> bool {
    let is_hex = signature.len() == 64 && signature.chars().all(|c| c.is_ascii_hexdigit());
    let by = |key: &&str| !key.is_empty() && HEXLOWER.encode(&mac(parts, key)) == signature.to_lowercase();
    is_hex && keys.iter().any(by)
}

/// Returns a signature with a flaw.
fn with_flaw(signature: &[u8], flaw: u8, other: &str) -> String {
    let mut hex =
        if flaw.is_multiple_of(2) { HEXLOWER.encode(signature) } else { HEXUPPER.encode(signature) };
    match flaw {
        8 => hex.truncate(63),
        9 => hex.push('0'),
        10 => hex.replace_range(7..8, "g"),
        // The same number of bytes in fewer characters.
        11 => hex.replace_range(6..8, "é"),
        12 => hex.push('\n'),
        13 => hex.replace_range(7..8, "0"),
        14 => other.clone_into(&mut hex),
        _ => {}
    }
    hex
}

/// Checks a signed webhook request (C-3).
fn delivery(mut input: Unstructured<'_>, keys: &[&str], signer: &str, now: u64) -> Result<()> {
    let at = now.saturating_add_signed(input.int_in_range(-310..=310)?);
    let timestamp = match input.int_in_range(0..=7)? {
        0 => input.arbitrary::<&str>()?.to_owned(),
        1 => format!("000{at}"),
        2 => format!("{at}{}", input.choose(&["0", " ", ".0", "١"])?),
        3 => format!("+{at}"),
        _ => at.to_string(),
    };
    let signed_at = if input.arbitrary()? { timestamp.clone() } else { at.to_string() };
    let (flaw, other, tampered) =
        (input.arbitrary::<u8>()? % 16, input.arbitrary::<&str>()?, input.ratio(1, 8)?);
    let mut body = input.take_rest().to_vec();
    let signature = with_flaw(&mac(&[signed_at.as_bytes(), b".", &body], signer), flaw, other);
    if tampered {
        body.push(b'!');
    }

    let number = timestamp.parse::<u64>().ok().filter(|_| digits(&timestamp));
    let expected = number.is_some_and(|number| {
        // The number is signed, without leading zeros of the header.
        let number_text = number.to_string();
        now.abs_diff(number) <= signature::MAX_SKEW_S
            && signed(&[number_text.as_bytes(), b".", &body], &signature, keys)
    });
    let ours = signature::verify(&body, Some(&timestamp), Some(&signature), &secrets(keys), now);
    assert_eq!(ours.is_ok(), expected, "C-3: {ours:?} {timestamp:?} {signature:?} {keys:?}");
    let headless = [
        signature::verify(&body, None, Some(&signature), &secrets(keys), now),
        signature::verify(&body, Some(&timestamp), None, &secrets(keys), now),
    ];
    assert!(headless.iter().all(std::result::Result::is_err), "C-3: a header is missing");
    let mut request = WebhookRequest::new("POST", "/", Body::Whole(&body));
    request.timestamp = Some(&timestamp);
    request.signature = Some(&signature);
    check_response(&request, keys, now, expected);
    Ok(())
}

/// Checks H-6: an unsigned request gets 401. Others are unusable, or answered once the host has the event.
fn check_response(request: &WebhookRequest<'_>, keys: &[&str], unix_s: u64, signed: bool) {
    let identity = Identity::new("discord", "1");
    let mut config = Config::new(identity);
    config.delivery_keys = secrets(keys);
    let now = Now { mono: Time::ZERO, unix_s };
    let mut machine = RelayMachine::new(Arc::new(config), [1; 32], now);
    match machine.handle_webhook(now, request) {
        WebhookOutcome::Responded(answer) => {
            assert_eq!(answer.status(), if signed { 400 } else { 401 }, "H-6: {answer}")
        }
        WebhookOutcome::Pending(id) => {
            assert!(signed, "H-6: it is not signed");
            while let Some(delivery) = machine.poll_delivery(now) {
                machine.settle(now, delivery.id, Outcome::Accepted);
            }
            let actions = std::iter::from_fn(|| machine.poll_action());
            let answers =
                actions.filter(|action| matches!(action, Action::Respond { id: to, .. } if *to == id));
            assert_eq!(answers.count(), 1, "H-6: it is answered once");
        }
    }
}

/// Checks an upgrade token (C-1, C-2).
fn upgrade(mut input: Unstructured<'_>, keys: &[&str], signer: &str, now: u64) -> Result<()> {
    let until = now.saturating_add_signed(input.int_in_range(-3..=3)?);
    let expiry = match input.int_in_range(0..=7)? {
        0 => input.arbitrary::<&str>()?.to_owned(),
        1 => "0".to_owned(),
        2 => format!("{until}{}", input.choose(&["99999999999999999999", " ", "_0", "١"])?),
        3 => format!("00{until}"),
        _ => until.to_string(),
    };
    let (flaw, other) = (input.arbitrary::<u8>()? % 16, input.arbitrary::<&str>()?);
    let (padding, foreign) = (input.int_in_range(0..=4)?, input.ratio(1, 8)?);
    let id = String::from_utf8_lossy(input.take_rest()).into_owned();
    let payload = format!("{id}:{expiry}");
    let signature = with_flaw(&mac(&[payload.as_bytes()], signer), flaw, other);
    let text = format!("{payload}:{signature}");
    let mut token = BASE64URL_NOPAD.encode(text.as_bytes()) + &"=".repeat(padding);
    if foreign {
        token.insert(token.len() / 2, ' ');
    }

    // Split from the right, because an id may contain colons. A signature may contain some, too.
    let mut parts = text.rsplitn(3, ':');
    let (signature, expiry, id) = (parts.next().unwrap(), parts.next().unwrap(), parts.next());
    let expected = id.filter(|id| {
        let payload = format!("{id}:{expiry}");
        // A number that is too large is never reached.
        let fresh = expiry.parse::<u64>().map_or(true, |until| until == 0 || now <= until);
        digits(expiry) && fresh && !foreign && padding <= 2 && signed(&[payload.as_bytes()], signature, keys)
    });
    let ours = token::verify(&token, &secrets(keys), now);
    assert_eq!(ours.as_deref(), expected, "C-2: {text:?} {keys:?} {now}");
    check_minted(id.unwrap_or(""), signer, now);
    Ok(())
}

/// Checks C-1: a minted token is valid until it expires.
fn check_minted(id: &str, signer: &str, now: u64) {
    let secret = Secret::from(signer);
    let minted = token::mint(id, &secret, now, token::TOKEN_TTL_S);
    let keys = [secret];
    let expected = Some(id).filter(|_| !signer.is_empty());
    assert_eq!(token::verify(minted.expose(), &keys, now + token::TOKEN_TTL_S).as_deref(), expected);
    assert_eq!(token::verify(minted.expose(), &keys, now + token::TOKEN_TTL_S + 1), None);
    let text = BASE64URL_NOPAD.decode(minted.expose().as_bytes()).unwrap();
    assert_eq!(token::verify(&BASE64URL.encode(&text), &keys, now).as_deref(), expected, "C-2: padded");
}
