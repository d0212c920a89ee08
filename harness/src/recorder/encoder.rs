//! Encoding of events as lines of a recording, without credentials.
//!
//! A frame may be split over several messages (W-1), and only the whole frame shows which of its values are
//! credentials. The lines of a message that ends within a frame therefore wait for the rest, as do all lines after
//! them. The time and the size of this wait are bounded.

mod held;

use super::redactor::Redactor;
use super::sniffer::SniffedMessage;
use crate::recording::{DIAL, Data, GAP, GATEWAY_ID, LineContent, RecordedLine, Rejection, Side};
use data_encoding::BASE64URL_NOPAD;
use held::{HeldLines, Stream};
use relayline_core::secret::Secret;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An event on the wire, with its secrets.
#[derive(Debug)]
pub(crate) enum WireEvent {
    /// An upgrade request. The gateway's id is known beforehand, or is in its token.
    Connect { path: String, headers: Vec<(String, Secret)>, gateway_id: Option<String> },
    /// The upgrade was refused.
    Reject(UpgradeRejection),
    /// One side sent something.
    Sent { by: Side, seen: SniffedMessage },
    /// One side ended its TCP connection.
    Cut { by: Side },
    /// The socket has ended.
    Over { note: Option<String> },
    /// A request other than an upgrade was answered.
    Answered { method: String, path: String, status: u16 },
    /// A note of the program itself about the dial.
    Note(String),
    /// This number of events was lost.
    Lost(u64),
    /// Such a request had this `Authorization` header.
    Authorized(Secret),
    /// The response to such a request issues credentials.
    Issued(Secret),
}

/// Response that refused an upgrade, with its secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpgradeRejection {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) is_cut: bool,
    pub(crate) has_challenge: bool,
    pub(crate) retry_after: Option<String>,
    pub(crate) location: Option<String>,
}

impl WireEvent {
    /// Returns the approximate size of the event in memory.
    pub(super) fn size(&self) -> usize {
        let fixed = 128;
        fixed
            + match self {
                WireEvent::Connect { path, headers, .. } => {
                    path.len()
                        + headers.iter().map(|(name, value)| name.len() + value.expose().len()).sum::<usize>()
                }
                WireEvent::Reject(refused) => refused.body.len(),
                WireEvent::Sent { seen: SniffedMessage::Message(data), .. } => data.bytes().len(),
                WireEvent::Sent {
                    seen:
                        SniffedMessage::Close { .. } | SniffedMessage::TooLong(_) | SniffedMessage::Unreadable(_),
                    ..
                }
                | WireEvent::Cut { .. }
                | WireEvent::Lost(_)
                | WireEvent::Over { .. } => 0,
                WireEvent::Answered { method, path, .. } => method.len() + path.len(),
                WireEvent::Note(text) => text.len(),
                WireEvent::Authorized(secret) | WireEvent::Issued(secret) => secret.expose().len(),
            }
    }
}

/// Encoder of events as lines.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    redactor: Redactor,
    dials: BTreeMap<u32, Dial>,
    held: HeldLines,
}

#[derive(Debug)]
struct Dial {
    gateway_id: String,
    gateway: Stream,
    connector: Stream,
    ended: bool,
    left_out: u64,
}

impl Encoder {
    /// Creates an encoder with this redactor.
    pub(crate) fn new(redactor: Redactor) -> Encoder {
        Encoder { redactor, ..Encoder::default() }
    }

    /// Encodes an event of a dial at that time. Returns the lines that are ready. The writer numbers the lines.
    pub(crate) fn encode(&mut self, t_ms: u64, dial: u32, event: WireEvent) -> Vec<RecordedLine> {
        self.take(t_ms, dial, event);
        self.expire(t_ms)
    }

    /// Returns true if lines wait for the rest of a frame.
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the lines that are ready at that time. Frames whose rest did not come are given up.
    pub(crate) fn expire(&mut self, now_ms: u64) -> Vec<RecordedLine> {
        loop {
            let lines = self.held.ready();
            let late = self.held.first().filter(|first| self.held.is_over(first, now_ms));
            if !lines.is_empty() || late.is_none() {
                return lines;
            }
            let Some((dial, by)) = late.and_then(|late| late.of) else { return lines };
            if let Some(known) = self.dials.get_mut(&dial) {
                known.stream(by).give_up(&self.redactor, &mut self.held);
            }
            self.held.release();
        }
    }

    /// Returns all waiting lines.
    pub(super) fn finish(&mut self) -> Vec<RecordedLine> {
        let dials = std::mem::take(&mut self.dials);
        for (_, mut dial) in dials {
            dial.settle(&self.redactor, &mut self.held);
        }
        self.held.ready()
    }

    fn take(&mut self, t_ms: u64, dial: u32, event: WireEvent) {
        let what = match event {
            WireEvent::Connect { path, headers, gateway_id } => {
                let line = self.connect(t_ms, dial, &path, headers, gateway_id);
                return self.held.push(line);
            }
            WireEvent::Reject(refused) => self.reject(dial, refused),
            WireEvent::Sent { by, seen: SniffedMessage::Message(data) } => {
                return self.message(t_ms, dial, by, data);
            }
            WireEvent::Sent { by, seen } => match self.sent(dial, by, seen) {
                Some(sent) => sent,
                None => return,
            },
            WireEvent::Cut { by } => match self.dials.get_mut(&dial) {
                Some(known) if !known.ended => {
                    known.end(&self.redactor, &mut self.held);
                    LineContent::Drop { by, dial: Some(dial) }
                }
                // A cut after a close frame is a normal end.
                Some(_) | None => return,
            },
            WireEvent::Over { note } => return self.over(t_ms, dial, note),
            WireEvent::Answered { method, path, status } => {
                let (method, path) = (self.redactor.name(&method), self.redactor.target(&path));
                LineContent::Note(format!("{method} {path} was answered {status}"))
            }
            WireEvent::Note(text) => {
                let text = self.redactor.without_known(&text);
                LineContent::Note(format!("dial {dial}: {text}"))
            }
            WireEvent::Lost(lines) => {
                let mut gap = line(t_ms, LineContent::Other(GAP.to_owned()));
                gap.rest.insert("lines".to_owned(), Value::from(lines));
                return self.held.push(gap);
            }
            WireEvent::Authorized(value) => {
                self.redactor.authorization(value.expose());
                return;
            }
            WireEvent::Issued(answer) => return self.redactor.issued(answer.expose()),
        };
        self.held.push(line(t_ms, what));
    }

    fn connect(
        &mut self,
        t_ms: u64,
        dial: u32,
        path: &str,
        headers: Vec<(String, Secret)>,
        mut gateway_id: Option<String>,
    ) -> RecordedLine {
        let mut authorization = None;
        let (credentials, headers): (Vec<_>, Vec<_>) =
            headers.into_iter().partition(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        // Credentials first, because other headers may contain them.
        for (_, value) in credentials {
            let (shown, credential) = self.redactor.authorization(value.expose());
            gateway_id = id_of(credential).or(gateway_id);
            authorization = Some(Secret::new(shown));
        }
        let shown = headers.into_iter().map(|(name, value)| {
            let (name, value) = self.redactor.header(name, value.expose());
            (name, json!(value))
        });
        let headers: Map<String, Value> = shown.collect();
        let gateway_id = gateway_id.map(|id| self.redactor.name(&id)).unwrap_or_else(|| self.anonymous());
        let connect = LineContent::Connect {
            url_path: self.redactor.target(path),
            dial: Some(dial),
            authorization,
            headers,
            clock_unix_s: None,
        };
        let mut line = line(t_ms, connect);
        line.rest.insert(GATEWAY_ID.to_owned(), json!(gateway_id));
        let (gateway, connector) = (Stream::default(), Stream::default());
        let known = Dial { gateway_id, gateway, connector, ended: false, left_out: 0 };
        self.dials.insert(dial, known);
        line
    }

    /// Returns a name for a gateway without a token. Two connected at once are two gateways.
    fn anonymous(&self) -> String {
        let names = (1u32..).map(|n| if n == 1 { "anonymous".to_owned() } else { format!("anonymous-{n}") });
        let is_free =
            |name: &String| !self.dials.values().any(|dial| !dial.ended && dial.gateway_id == *name);
        names.take(1 + self.dials.len()).find(is_free).unwrap_or_default()
    }

    fn message(&mut self, t_ms: u64, dial: u32, by: Side, data: Data) {
        let Some(known) = self.dials.get_mut(&dial) else { return };
        if known.ended {
            // In the format nothing follows a close frame.
            known.left_out += 1;
            return;
        }
        let empty = match data {
            Data::Text(_) => Data::Text(String::new()),
            Data::Binary(_) => Data::Binary(Vec::new()),
        };
        let what = match by {
            Side::Gateway => LineContent::Gateway(empty),
            Side::Connector => LineContent::Connector(empty),
        };
        let mut line = line(t_ms, what);
        line.rest.insert(DIAL.to_owned(), Value::from(dial));
        known.stream(by).message(&self.redactor, &mut self.held, line, (dial, by), data.bytes());
    }

    /// Returns the line of an event other than a message; `None` if the format has none.
    fn sent(&mut self, dial: u32, by: Side, seen: SniffedMessage) -> Option<LineContent> {
        let known = self.dials.get_mut(&dial)?;
        if known.ended {
            known.left_out += u64::from(matches!(seen, SniffedMessage::TooLong(_)));
            return None;
        }
        Some(match seen {
            SniffedMessage::Close { code, reason } => {
                known.end(&self.redactor, &mut self.held);
                LineContent::Close { by, dial: Some(dial), code, reason: self.redactor.reason(&reason) }
            }
            SniffedMessage::TooLong(bytes) => {
                known.stream(by).give_up(&self.redactor, &mut self.held);
                LineContent::Note(format!(
                    "dial {dial}: a message of {bytes} bytes is too long to be recorded"
                ))
            }
            SniffedMessage::Unreadable(why) => {
                LineContent::Note(format!("dial {dial}: what this side sends cannot be read any more: {why}"))
            }
            SniffedMessage::Message(_) => return None,
        })
    }

    /// Returns the line of a refused upgrade. The query of a redirect's target may hold secrets.
    fn reject(&mut self, dial: u32, refused: UpgradeRejection) -> LineContent {
        let UpgradeRejection { status, body, is_cut, has_challenge, retry_after, location } = refused;
        let body = Some(self.redactor.body(&body));
        let location = location.map(|location| self.redactor.target(&location));
        let retry_after = retry_after.map(|text| self.redactor.retry_after(&text));
        let answer = Rejection { status, body, is_cut, has_challenge, retry_after, location };
        LineContent::Reject { dial: Some(dial), answer }
    }

    fn over(&mut self, t_ms: u64, dial: u32, note: Option<String>) {
        let Some(mut known) = self.dials.remove(&dial) else { return };
        known.settle(&self.redactor, &mut self.held);
        let left_out = (known.left_out > 0).then(|| {
            format!("dial {dial}: {} message(s) that came after the close are left out", known.left_out)
        });
        // After the last event of a socket nothing is missing.
        let notes = left_out.into_iter().chain(note.filter(|_| !known.ended));
        notes.for_each(|text| self.held.push(line(t_ms, LineContent::Note(text))));
    }
}

impl Dial {
    fn stream(&mut self, by: Side) -> &mut Stream {
        match by {
            Side::Gateway => &mut self.gateway,
            Side::Connector => &mut self.connector,
        }
    }

    /// Ends the recording of the socket.
    fn end(&mut self, redactor: &Redactor, held: &mut HeldLines) {
        self.ended = true;
        self.settle(redactor, held);
    }

    fn settle(&mut self, redactor: &Redactor, held: &mut HeldLines) {
        self.gateway.settle(redactor, held);
        self.connector.settle(redactor, held);
    }
}

fn line(t_ms: u64, what: LineContent) -> RecordedLine {
    RecordedLine { number: 0, t_ms, what, rest: Map::new() }
}

/// Returns the gateway's id in a token (C-1), which is not a secret; `None` for a token of another kind.
fn id_of(token: &str) -> Option<String> {
    let text = String::from_utf8(BASE64URL_NOPAD.decode(token.trim().as_bytes()).ok()?).ok()?;
    let (payload, _signature) = text.rsplit_once(':')?;
    let (id, expires) = payload.rsplit_once(':')?;
    (!expires.is_empty() && expires.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::redactor::HIDDEN;
    use relayline_core::token;

    fn written(encoder: &mut Encoder, dial: u32, event: WireEvent) -> Vec<String> {
        encoder.encode(7, dial, event).iter().map(RecordedLine::to_json).collect()
    }

    fn connect(headers: &[(&str, &str)]) -> WireEvent {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value)));
        WireEvent::Connect {
            path: "/relay?access=abc".to_owned(),
            headers: headers.collect(),
            gateway_id: None,
        }
    }

    fn says(by: Side, text: &str) -> WireEvent {
        WireEvent::Sent { by, seen: SniffedMessage::Message(Data::Text(text.to_owned())) }
    }

    fn close(by: Side, reason: &str) -> WireEvent {
        WireEvent::Sent { by, seen: SniffedMessage::Close { code: Some(1000), reason: reason.to_owned() } }
    }

    /// Returns the recorded messages of one side.
    fn recorded(encoder: &mut Encoder, messages: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for message in messages {
            let data = match String::from_utf8(message.to_vec()) {
                Ok(text) => Data::Text(text),
                Err(error) => Data::Binary(error.into_bytes()),
            };
            lines.extend(encoder.encode(
                7,
                1,
                WireEvent::Sent { by: Side::Connector, seen: SniffedMessage::Message(data) },
            ));
        }
        lines.extend(encoder.encode(7, 1, WireEvent::Over { note: None }));
        let data = |line: RecordedLine| match line.what {
            LineContent::Connector(data) => data.bytes().to_vec(),
            other => panic!("{other:?}"),
        };
        lines.into_iter().map(data).collect()
    }

    fn connected(headers: &[(&str, &str)]) -> Encoder {
        let mut encoder = Encoder::default();
        encoder.encode(0, 1, connect(headers));
        encoder
    }

    /// A frame is read as a whole wherever it is cut, and a replacement stands where the value began.
    #[test]
    fn c_4_w_1_a_credential_in_a_cut_frame_is_hidden() {
        let whole =
            "{\"value\":\"X\",\"name\":\"token\"}\n{\"text\":\"é its-very-own\",\"url\":\"https://u:X@x\"}\n";
        let expected = whole.replace("its-very-own", HIDDEN).replace("u:X", HIDDEN).replace('X', HIDDEN);
        for at in 0..whole.len() {
            let mut encoder = connected(&[("Authorization", "Bearer its-very-own")]);
            let (left, right) = whole.as_bytes().split_at(at);
            let clean = recorded(&mut encoder, &[left, right]);
            assert_eq!(clean.len(), 2);
            assert_eq!(String::from_utf8(clean.concat()).unwrap(), expected, "{at}");
        }
        let mut encoder = connected(&[("Authorization", "Bearer its-very-own")]);
        let bytes: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
        assert_eq!(String::from_utf8(recorded(&mut encoder, &bytes).concat()).unwrap(), expected);
        let pieces: [&[u8]; 4] = [b"{\"to", b"ken\":\"ab", b"cd", b"ef\",\"a\":\"b\"}"];
        let clean = recorded(&mut connected(&[]), &pieces);
        assert_eq!(clean, [&b"{\"to"[..], b"ken\":\"<hidden>", b"", b"\",\"a\":\"b\"}"]);
    }

    /// Bytes that are not text are unchanged; a credential beside them is redacted.
    #[test]
    fn c_4_binary_bytes_do_not_hide_a_credential() {
        let mut encoder = connected(&[("Authorization", "Bearer its-very-own")]);
        let clean =
            recorded(&mut encoder, &[b"\xff its-very-own \xff\n{\"token\":\"\xff\",\"a\":\"\xff\"}\n"]);
        assert_eq!(clean, [b"\xff \"<hidden>\" \xff\n{\"token\":\"<hidden>\",\"a\":\"\xff\"}\n"]);
    }

    #[test]
    fn lines_wait_for_the_rest_of_a_frame_only() {
        let mut encoder = connected(&[]);
        // A message that ends with its frame is not held, with or without a line break.
        for text in ["{}\n", "{\"a\":[1]}", "\n", ""] {
            assert_eq!(written(&mut encoder, 1, says(Side::Gateway, text)).len(), 1, "{text}");
        }
        assert_eq!(written(&mut encoder, 1, says(Side::Gateway, "{}\n{\"a\":\"so")), [""; 0]);
        assert_eq!(written(&mut encoder, 1, says(Side::Connector, "{}\n")), [""; 0]);
        assert!(encoder.is_holding());
        let lines = written(&mut encoder, 1, says(Side::Gateway, "me\"}\n"));
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains("{}\\n{\\\"a\\\":\\\"so\""), "{lines:?}");
        // The rest comes too late, and is replaced with filler.
        assert_eq!(written(&mut encoder, 1, says(Side::Gateway, "{\"token\": \"abc")), [""; 0]);
        assert!(encoder.expire(7 + 9_999).is_empty());
        let lines = encoder.expire(7 + 10_000);
        assert_eq!(lines[0].what, LineContent::Gateway(Data::Text("{\"token\": \"<hidden>".into())));
        let lines = encoder.encode(20_000, 1, says(Side::Gateway, "def\"}\n{}\n"));
        assert_eq!(lines[0].what, LineContent::Gateway(Data::Text("xxxxx\n{}\n".into())));
        assert!(!encoder.is_holding());
    }

    /// The size of waiting lines is bounded.
    #[test]
    fn x_1_incomplete_frames_are_bounded() {
        let mut encoder = Encoder::default();
        let piece = format!("{{\"a\":\"{}", "b".repeat(1 << 20));
        let mut written = 0;
        for dial in 1..100 {
            written += encoder.encode(0, dial, connect(&[])).len();
            written += encoder.encode(0, dial, says(Side::Gateway, &piece)).len();
        }
        assert!(written > 100, "{written}");
        assert_eq!(written + encoder.finish().len(), 198);
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
        let refused = UpgradeRejection { status: 401, body, ..UpgradeRejection::default() };
        assert_eq!(written(&mut encoder, 1, WireEvent::Reject(refused)), [expected]);
        // Values that decide the gateway's reaction are kept. A query may hold a secret.
        let refused = UpgradeRejection {
            status: 302,
            is_cut: true,
            has_challenge: true,
            retry_after: Some("30".to_owned()),
            location: Some(format!("/login/{}?next=secret", token.expose())),
            ..UpgradeRejection::default()
        };
        let expected = r#"{"t_ms":7,"dir":"reject","dial":1,"status":302,"body":"","cut":true,"www_authenticate":true,"retry_after":"30","location":"/login/<hidden>?next=<hidden>"}"#;
        assert_eq!(written(&mut encoder, 1, WireEvent::Reject(refused)), [expected]);
        let expected = format!(
            r#"{{"t_ms":7,"dir":"close","by":"connector","dial":1,"code":1000,"reason":"{HIDDEN}?"}}"#
        );
        let reason = format!("{}?", token.expose());
        assert_eq!(written(&mut encoder, 1, close(Side::Connector, &reason)), [expected]);
    }

    #[test]
    fn connected_gateways_without_a_token_are_distinguished() {
        let mut encoder = Encoder::default();
        let mut id = |dial: u32, ended: Option<u32>| {
            if let Some(ended) = ended {
                encoder.encode(0, ended, WireEvent::Cut { by: Side::Gateway });
            }
            encoder.encode(0, dial, connect(&[("authorization", "Basic eA==")]))[0].rest[GATEWAY_ID].clone()
        };
        assert_eq!(id(1, None), "anonymous");
        assert_eq!(id(2, None), "anonymous-2");
        assert_eq!(id(3, Some(1)), "anonymous");
    }

    #[test]
    fn a_socket_ends_once_and_nothing_is_recorded_after_it() {
        let mut encoder = Encoder::default();
        encoder.encode(0, 3, connect(&[]));
        let hello = r#"{"t_ms":7,"dir":"gateway","data":"{\"token\":\"<hidden>\"}\n","dial":3}"#;
        assert_eq!(written(&mut encoder, 3, says(Side::Gateway, "{\"token\":\"x\"}\n")), [hello]);
        assert_eq!(written(&mut encoder, 3, close(Side::Gateway, "")).len(), 1);
        for event in
            [says(Side::Connector, "late"), close(Side::Connector, ""), WireEvent::Cut { by: Side::Gateway }]
        {
            assert_eq!(written(&mut encoder, 3, event), [""; 0]);
        }
        let notes = written(&mut encoder, 3, WireEvent::Over { note: Some("stopped".into()) });
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].contains("dial 3: 1 message(s) that came after the close are left out"),
            "{notes:?}"
        );
        assert_eq!(written(&mut encoder, 3, says(Side::Connector, "unknown")), [""; 0]);
    }

    #[test]
    fn events_that_cannot_be_recorded_are_noted() {
        let mut encoder = Encoder::default();
        encoder.encode(0, 1, connect(&[]));
        for (seen, expected) in [
            (SniffedMessage::TooLong(99), "dial 1: a message of 99 bytes is too long to be recorded"),
            (SniffedMessage::Unreadable("x"), "dial 1: what this side sends cannot be read any more: x"),
        ] {
            let lines = encoder.encode(0, 1, WireEvent::Sent { by: Side::Gateway, seen });
            assert_eq!(lines[0].what, LineContent::Note(expected.to_owned()));
        }
    }
}
