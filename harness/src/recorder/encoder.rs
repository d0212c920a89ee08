//! What becomes of an event: lines of a recording, in version 1 of the format, without secrets.

use super::names::is_plain_header;
use super::redact::{self, Form, HIDDEN, Redactor};
use super::sniffer::Seen;
use super::words::{self, Words};
use crate::recording::{By, DIAL, Data, GATEWAY_ID, Line, Rejection, What};
use data_encoding::BASE64URL_NOPAD;
use relayline_core::secret::Secret;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Something that passed, as the sockets saw it: with all its secrets.
#[derive(Debug)]
pub(super) enum Event {
    /// An upgrade arrived.
    Connect { path: String, headers: Vec<(String, Secret)> },
    /// It was refused.
    Reject(Refused),
    /// One side sent something.
    Sent { by: By, seen: Seen },
    /// One side ended its TCP connection.
    Cut { by: By },
    /// The socket is over, and nothing more comes of it.
    Over { note: Option<String> },
    /// Something that the format has no line for, in words; nothing secret is in it.
    Note(String),
}

/// Answer that refused an upgrade, with all its secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) is_cut: bool,
    pub(super) has_challenge: bool,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
}

impl Event {
    /// How much memory it takes while it waits to be written, roughly.
    pub(super) fn size(&self) -> usize {
        let fixed = 128;
        fixed
            + match self {
                Event::Connect { path, headers } => {
                    path.len()
                        + headers.iter().map(|(name, value)| name.len() + value.expose().len()).sum::<usize>()
                }
                Event::Reject(refused) => refused.body.len(),
                Event::Sent { seen: Seen::Message(data), .. } => data.bytes().len(),
                Event::Sent { seen: Seen::Close { .. } | Seen::TooLong(_) | Seen::Unreadable(_), .. }
                | Event::Cut { .. }
                | Event::Over { .. } => 0,
                Event::Note(text) => text.len(),
            }
    }
}

/// Credentials that are kept in mind, so that no text that quotes one is written.
const MOST_CREDENTIALS: usize = 64;
/// Shorter text between bytes that are none is looked at only where the message begins or ends.
const LEAST_TEXT: usize = 4;
/// A shorter credential is no credential: its text would be found in words.
const LEAST_CREDENTIAL: usize = 8;

/// Makes lines of events.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    dials: BTreeMap<u32, Dial>,
    credentials: VecDeque<Secret>,
}

#[derive(Debug)]
struct Dial {
    gateway_id: String,
    gateway: (Redactor, Words),
    connector: (Redactor, Words),
    ended: bool,
    left_out: u64,
}

impl Encoder {
    /// The lines of one event of a dial, which happened at that time. Line numbers are the writer's.
    pub(super) fn lines(&mut self, t_ms: u64, dial: u32, event: Event) -> Vec<Line> {
        let (what, dial_beside) = match event {
            Event::Connect { path, headers } => return vec![self.connect(t_ms, dial, &path, headers)],
            Event::Reject(refused) => (self.reject(dial, refused), false),
            Event::Sent { by, seen } => match self.sent(dial, by, seen) {
                Some(sent) => sent,
                None => return Vec::new(),
            },
            Event::Cut { by } => match self.dials.get_mut(&dial) {
                Some(known) if !known.ended => {
                    known.ended = true;
                    (What::Drop { by, dial: Some(dial) }, false)
                }
                // A cut after a close frame is how a socket ends.
                Some(_) | None => return Vec::new(),
            },
            Event::Over { note } => return self.over(t_ms, dial, note),
            Event::Note(text) => (What::Note(self.without_credentials(text)), false),
        };
        vec![line(t_ms, what, dial_beside.then_some(dial))]
    }

    fn connect(&mut self, t_ms: u64, dial: u32, path: &str, headers: Vec<(String, Secret)>) -> Line {
        let mut shown = Map::new();
        let (mut authorization, mut gateway_id) = (None, None);
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("authorization") {
                let (scheme, credential) = value.expose().split_once(' ').unwrap_or(("", value.expose()));
                gateway_id = id_of(credential).or(gateway_id);
                authorization = Some(Secret::new(format!("{scheme} {HIDDEN}").trim_start()));
                self.remember(credential);
            } else if is_plain_header(&name) {
                shown.insert(name, json!(self.clean(value.expose().to_owned())));
            } else {
                shown.insert(name, json!(HIDDEN));
            }
        }
        let gateway_id = gateway_id.unwrap_or_else(|| self.anonymous());
        let connect = What::Connect {
            url_path: self.clean(redact::path(path)),
            dial: Some(dial),
            authorization,
            headers: shown,
            clock_unix_s: None,
        };
        let mut line = line(t_ms, connect, None);
        line.rest.insert(GATEWAY_ID.to_owned(), json!(gateway_id));
        let redactor = || (Redactor::new(Form::Lines), Words::default());
        let known =
            Dial { gateway_id, gateway: redactor(), connector: redactor(), ended: false, left_out: 0 };
        self.dials.insert(dial, known);
        line
    }

    /// A name for a gateway without a token. Two that are connected at once are two gateways.
    fn anonymous(&self) -> String {
        let names = (1u32..).map(|n| if n == 1 { "anonymous".to_owned() } else { format!("anonymous-{n}") });
        let is_free =
            |name: &String| !self.dials.values().any(|dial| !dial.ended && dial.gateway_id == *name);
        names.take(1 + self.dials.len()).find(is_free).unwrap_or_default()
    }

    /// The line of what one side sent, and whether its dial stands beside it; `None` for what the format leaves out.
    fn sent(&mut self, dial: u32, by: By, seen: Seen) -> Option<(What, bool)> {
        let known = self.dials.get_mut(&dial)?;
        if known.ended {
            // Whoever closed reads no more: by the format nothing comes after a close.
            known.left_out += u64::from(matches!(seen, Seen::Message(_) | Seen::TooLong(_)));
            return None;
        }
        Some(match seen {
            Seen::Message(data) => {
                let (redactor, words) = match by {
                    By::Gateway => &mut known.gateway,
                    By::Connector => &mut known.connector,
                };
                let clean = each_text(redactor.pass(data.bytes()), |text| {
                    without_any(&self.credentials, words.pass(text))
                });
                let data = match data {
                    Data::Text(_) => String::from_utf8(clean)
                        .map_or_else(|error| Data::Binary(error.into_bytes()), Data::Text),
                    Data::Binary(_) => Data::Binary(clean),
                };
                match by {
                    By::Gateway => (What::Gateway(data), true),
                    By::Connector => (What::Connector(data), true),
                }
            }
            Seen::Close { code, reason } => {
                known.ended = true;
                let reason = self.clean(reason);
                (What::Close { by, dial: Some(dial), code, reason }, false)
            }
            Seen::TooLong(bytes) => (
                What::Note(format!("dial {dial}: a message of {bytes} bytes is too long to be recorded")),
                false,
            ),
            Seen::Unreadable(why) => {
                let text = format!("dial {dial}: what this side sends cannot be read any more: {why}");
                (What::Note(text), false)
            }
        })
    }

    /// The line of a refused upgrade. The query of a redirect's target may hold secrets.
    fn reject(&mut self, dial: u32, refused: Refused) -> What {
        let Refused { status, body, is_cut, has_challenge, retry_after, location } = refused;
        let body = redact::document(&body).unwrap_or(body);
        let body = self.clean(String::from_utf8_lossy(&body).into_owned());
        let location = location.map(|location| self.clean(redact::path(&location)));
        let retry_after = retry_after.map(|text| self.clean(text));
        let answer = Rejection { status, body: Some(body), is_cut, has_challenge, retry_after, location };
        What::Reject { dial: Some(dial), answer }
    }

    fn over(&mut self, t_ms: u64, dial: u32, note: Option<String>) -> Vec<Line> {
        let Some(known) = self.dials.remove(&dial) else { return Vec::new() };
        let left_out = (known.left_out > 0).then(|| {
            format!("dial {dial}: {} message(s) that came after the close are left out", known.left_out)
        });
        // After its last word a socket is only waited for, and nothing is missing.
        let notes = left_out.into_iter().chain(note.filter(|_| !known.ended));
        notes.map(|text| line(t_ms, What::Note(text), None)).collect()
    }

    fn remember(&mut self, credential: &str) {
        if credential.len() < LEAST_CREDENTIAL || self.credentials.iter().any(|c| c.expose() == credential) {
            return;
        }
        if self.credentials.len() == MOST_CREDENTIALS {
            self.credentials.pop_front();
        }
        self.credentials.push_back(Secret::new(credential));
    }

    /// A text by itself.
    fn clean(&self, text: String) -> String {
        self.without_credentials(words::clean(text))
    }

    fn without_credentials(&self, text: String) -> String {
        without_any(&self.credentials, text)
    }
}

fn without_any(credentials: &VecDeque<Secret>, text: String) -> String {
    credentials.iter().fold(text, |text, credential| {
        if text.contains(credential.expose()) { text.replace(credential.expose(), HIDDEN) } else { text }
    })
}

/// What is text in these bytes, clean; the rest as it is. A binary message may be cut within a character (W-1), or be
/// none of text, and hold a credential as well.
fn each_text(bytes: Vec<u8>, mut clean: impl FnMut(String) -> String) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) => clean(text).into_bytes(),
        Err(error) => error.as_bytes().utf8_chunks().fold(Vec::new(), |mut whole, chunk| {
            // Between bytes that are no text stand letters by chance, each by itself: they are no words.
            let is_last = chunk.invalid().is_empty();
            let text = chunk.valid();
            if whole.is_empty() || is_last || text.len() >= LEAST_TEXT {
                whole.extend_from_slice(clean(text.to_owned()).as_bytes());
            } else {
                whole.extend_from_slice(text.as_bytes());
            }
            whole.extend_from_slice(chunk.invalid());
            whole
        }),
    }
}

fn line(t_ms: u64, what: What, dial: Option<u32>) -> Line {
    let rest = dial.map(|dial| (DIAL.to_owned(), Value::from(dial)));
    Line { number: 0, t_ms, what, rest: rest.into_iter().collect() }
}

/// The gateway's id in a token (C-1); it is no secret. `None` for a token of another kind.
fn id_of(token: &str) -> Option<String> {
    let text = String::from_utf8(BASE64URL_NOPAD.decode(token.trim().as_bytes()).ok()?).ok()?;
    let (payload, _signature) = text.rsplit_once(':')?;
    let (id, expires) = payload.rsplit_once(':')?;
    (!expires.is_empty() && expires.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_core::token;

    fn written(encoder: &mut Encoder, dial: u32, event: Event) -> Vec<String> {
        encoder.lines(7, dial, event).iter().map(Line::to_json).collect()
    }

    fn connect(headers: &[(&str, &str)]) -> Event {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value)));
        Event::Connect { path: "/relay?access=abc".to_owned(), headers: headers.collect() }
    }

    fn says(by: By, text: &str) -> Event {
        Event::Sent { by, seen: Seen::Message(Data::Text(text.to_owned())) }
    }

    fn close(by: By, reason: &str) -> Event {
        Event::Sent { by, seen: Seen::Close { code: Some(1000), reason: reason.to_owned() } }
    }

    /// What is no text, or a character that is cut, stays as it is; a credential beside it does not.
    #[test]
    fn c_4_w_1_bytes_that_are_no_text_hide_no_credential() {
        let mut encoder = Encoder::default();
        written(&mut encoder, 1, connect(&[("Authorization", "Bearer its-very-own")]));
        let mut recorded = |bytes: &[u8]| {
            let seen = Seen::Message(Data::Binary(bytes.to_owned()));
            match encoder.sent(1, By::Gateway, seen) {
                Some((What::Gateway(Data::Binary(bytes)), true)) => bytes,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(recorded(b"\xff its-very-own \xff?token=abc &"), b"\xff <hidden> \xff?token=<hidden> &");
        let [head, tail] = ["é".as_bytes()[0], "é".as_bytes()[1]];
        assert_eq!(
            recorded(&[b"password: ab", &[head][..]].concat()),
            [b"password: <hidden>", &[head][..]].concat()
        );
        assert_eq!(recorded(&[&[tail], &b"cd, and"[..]].concat()), [&[tail], &b"<hidden>, and"[..]].concat());
    }

    #[test]
    fn c_4_an_upgrade_is_recorded_without_its_credentials() {
        let mut encoder = Encoder::default();
        let token = token::mint("gw:1", &Secret::from("hunter22"), 1000, 300);
        let bearer = format!("Bearer {}", token.expose());
        let event = connect(&[
            ("Host", "c.example"),
            ("Authorization", &bearer),
            ("Cookie", "a=b"),
            ("Proxy-Authorization", "Basic eA=="),
            ("X-Whatever", "1"),
            ("User-Agent", &format!("quotes {}", token.expose())),
        ]);
        let expected = r#"{"t_ms":7,"dir":"connect","url_path":"/relay?access=<hidden>","dial":1,"headers":{"authorization":"Bearer <hidden>","Cookie":"<hidden>","Host":"c.example","Proxy-Authorization":"<hidden>","User-Agent":"quotes <hidden>","X-Whatever":"<hidden>"},"gateway_id":"gw:1"}"#;
        assert_eq!(written(&mut encoder, 1, event), [expected]);
        let body = format!(r#"{{"error":"no {}","token":"abc"}}"#, token.expose()).into_bytes();
        let expected = r#"{"t_ms":7,"dir":"reject","dial":1,"status":401,"body":"{\"error\":\"no <hidden>\",\"token\":\"<hidden>\"}"}"#;
        let refused = Refused { status: 401, body, ..Refused::default() };
        assert_eq!(written(&mut encoder, 1, Event::Reject(refused)), [expected]);
        // What decides what follows is kept, and a query may hold a secret.
        let refused = Refused {
            status: 302,
            is_cut: true,
            has_challenge: true,
            retry_after: Some("30".to_owned()),
            location: Some(format!("/login/{}?next=secret", token.expose())),
            ..Refused::default()
        };
        let expected = r#"{"t_ms":7,"dir":"reject","dial":1,"status":302,"body":"","cut":true,"www_authenticate":true,"retry_after":"30","location":"/login/<hidden>?next=<hidden>"}"#;
        assert_eq!(written(&mut encoder, 1, Event::Reject(refused)), [expected]);
        let expected = format!(
            r#"{{"t_ms":7,"dir":"close","by":"connector","dial":1,"code":1000,"reason":"{HIDDEN}?"}}"#
        );
        let reason = format!("{}?", token.expose());
        assert_eq!(written(&mut encoder, 1, close(By::Connector, &reason)), [expected]);
    }

    #[test]
    fn gateways_without_a_token_are_told_apart_while_they_are_connected() {
        let mut encoder = Encoder::default();
        let mut id = |dial: u32, ended: Option<u32>| {
            if let Some(ended) = ended {
                encoder.lines(0, ended, Event::Cut { by: By::Gateway });
            }
            encoder.lines(0, dial, connect(&[("authorization", "Basic eA==")]))[0].rest[GATEWAY_ID].clone()
        };
        assert_eq!(id(1, None), "anonymous");
        assert_eq!(id(2, None), "anonymous-2");
        assert_eq!(id(3, Some(1)), "anonymous");
    }

    #[test]
    fn a_socket_ends_once_and_nothing_is_recorded_behind_it() {
        let mut encoder = Encoder::default();
        encoder.lines(0, 3, connect(&[]));
        let hello = r#"{"t_ms":7,"dir":"gateway","data":"{\"token\":\"<hidden>\"}\n","dial":3}"#;
        assert_eq!(written(&mut encoder, 3, says(By::Gateway, "{\"token\":\"x\"}\n")), [hello]);
        assert_eq!(written(&mut encoder, 3, close(By::Gateway, "")).len(), 1);
        for event in [says(By::Connector, "late"), close(By::Connector, ""), Event::Cut { by: By::Gateway }] {
            assert_eq!(written(&mut encoder, 3, event), [""; 0]);
        }
        let notes = written(&mut encoder, 3, Event::Over { note: Some("stopped".into()) });
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].contains("dial 3: 1 message(s) that came after the close are left out"),
            "{notes:?}"
        );
        assert_eq!(written(&mut encoder, 3, says(By::Connector, "unknown")), [""; 0]);
    }

    #[test]
    fn what_cannot_be_recorded_is_noted() {
        let mut encoder = Encoder::default();
        encoder.lines(0, 1, connect(&[]));
        for (seen, expected) in [
            (Seen::TooLong(99), "dial 1: a message of 99 bytes is too long to be recorded"),
            (Seen::Unreadable("x"), "dial 1: what this side sends cannot be read any more: x"),
        ] {
            let lines = encoder.lines(0, 1, Event::Sent { by: By::Gateway, seen });
            assert_eq!(lines[0].what, What::Note(expected.to_owned()));
        }
    }
}
