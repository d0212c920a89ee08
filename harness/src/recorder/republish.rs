//! Redaction of the texts of an existing recording.

use super::encoder::{Encoder, UpgradeRejection, WireEvent};
use super::redactor::Redactor;
use super::sniffer::SniffedMessage;
use crate::recording::{GATEWAY_ID, Gateway, Header, LineContent, Recording, Rejection, Side};
use relayline_core::secret::Secret;
use serde_json::Value;
use std::io;

/// Prefixes of `recorded_from` that change a replay, longer ones first.
const ORIGINS: [&str; 8] = [
    "python reference ws_transport",
    "python reference, June",
    "python reference, July",
    "python reference, August 22",
    "python reference, August",
    "python reference, October",
    "relayline record",
    "relayline simulate",
];

/// Returns a recording with redacted texts: the traffic on the wire, with filler and pseudonyms, at the original
/// times. Calls and events of the host, notes and the secret are left out.
///
/// # Errors
///
/// Fails if the system has no randomness for the key of the pseudonyms.
pub fn redact_text(recording: &Recording) -> io::Result<Recording> {
    let mut redactor = Redactor::new(recording.header.gateway.upgrade_secret.as_ref());
    redactor.redact_text()?;
    let header = header(&redactor, &recording.header);
    let mut encoder = Encoder::new(redactor);
    let (mut lines, mut newest, mut has_ids) = (Vec::new(), 0, false);
    for line in &recording.lines {
        let gateway_id = line.rest.get(GATEWAY_ID).and_then(Value::as_str).map(str::to_owned);
        if let LineContent::Connect { dial, .. } = &line.what {
            newest = dial.unwrap_or(newest + 1);
            has_ids |= gateway_id.is_some();
        }
        if line.gap().is_some() {
            lines.extend(encoder.finish());
            lines.push(line.clone());
        } else if let Some(event) = event(&line.what, gateway_id) {
            lines.extend(encoder.encode(line.t_ms, line.dial().unwrap_or(newest), event));
        }
    }
    lines.extend(encoder.finish());
    for (at, line) in lines.iter_mut().enumerate() {
        line.number = at + 2;
        if !has_ids {
            line.rest.remove(GATEWAY_ID);
        }
    }
    Ok(Recording { file: recording.file.clone(), header, lines })
}

/// Returns the wire event of a line; `None` for lines of the host.
fn event(what: &LineContent, gateway_id: Option<String>) -> Option<WireEvent> {
    Some(match what {
        LineContent::Connect { url_path, authorization, headers, .. } => {
            let text = |value: &Value| Secret::new(value.as_str().unwrap_or_default());
            let headers = headers.iter().map(|(name, value)| (name.clone(), text(value)));
            let authorization = authorization.iter().map(|value| ("authorization".to_owned(), value.clone()));
            WireEvent::Connect {
                path: url_path.clone(),
                headers: headers.chain(authorization).collect(),
                gateway_id,
            }
        }
        LineContent::Reject { answer, .. } => {
            let Rejection { status, body, is_cut, has_challenge, retry_after, location } = answer.clone();
            let body = body.unwrap_or_default().into_bytes();
            WireEvent::Reject(UpgradeRejection { status, body, is_cut, has_challenge, retry_after, location })
        }
        LineContent::Gateway(data) => {
            WireEvent::Sent { by: Side::Gateway, seen: SniffedMessage::Message(data.clone()) }
        }
        LineContent::Connector(data) => {
            WireEvent::Sent { by: Side::Connector, seen: SniffedMessage::Message(data.clone()) }
        }
        LineContent::Close { by, code, reason, .. } => {
            WireEvent::Sent { by: *by, seen: SniffedMessage::Close { code: *code, reason: reason.clone() } }
        }
        LineContent::Drop { by, .. } => WireEvent::Cut { by: *by },
        LineContent::HostCall { .. }
        | LineContent::HostEvent { .. }
        | LineContent::Note(_)
        | LineContent::Other(_) => return None,
    })
}

/// Returns the header with the settings that may be published.
fn header(redactor: &Redactor, header: &Header) -> Header {
    let origin = ORIGINS.iter().find(|origin| header.recorded_from.starts_with(**origin));
    let gateway = header.gateway.clone();
    let name = |text: String| redactor.name(&text);
    let rest = Value::Object(gateway.rest.clone()).to_string();
    Header {
        title: super::REDACTED_TITLE.to_owned(),
        recorded_from: origin.map_or(String::new(), |origin| (*origin).to_owned()),
        gateway: Gateway {
            layer: gateway.layer.filter(|layer| matches!(layer.as_str(), "adapter" | "transport")),
            platform: gateway.platform.map(name),
            bot_id: gateway.bot_id.map(name),
            identities: gateway
                .identities
                .into_iter()
                .map(|(platform, id)| (name(platform), name(id)))
                .collect(),
            gateway_id: gateway.gateway_id.map(name),
            upgrade_secret: None,
            rest: serde_json::from_str(&redactor.body(rest.as_bytes())).unwrap_or_default(),
            ..gateway
        },
        ..Header::default()
    }
}
