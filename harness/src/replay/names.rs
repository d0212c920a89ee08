//! Ids that the recorded gateway created and the connector repeats: those of requests and prompts. In a replay the
//! machine's ids replace them.

use super::session::Dial;
use data_encoding::BASE64;
use relayline_core::prompts::PromptChoice;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// Id in the connector's bytes: that of the n-th request or the n-th prompt, or the body of a forwarded interaction
/// with the prompt's id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    Request(usize),
    Prompt(Prompt),
    Choice { prompt: Prompt, recorded: String, body: String },
}

/// A prompt of the recorded gateway's process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Prompt {
    /// The n-th prompt.
    Nth(usize),
    /// A prompt that is not in the recording: the second half of its id.
    Other(String),
}

/// Ids that the machine has created, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct LiveIds {
    /// By the number of the corresponding recorded request.
    pub(crate) requests: BTreeMap<usize, String>,
    pub(crate) prompts: Vec<String>,
}

impl LiveIds {
    fn prompt(&self, prompt: &Prompt) -> Option<String> {
        match prompt {
            Prompt::Nth(number) => self.prompts.get(*number).cloned(),
            // All prompt ids of a process have the same prefix (I-1).
            Prompt::Other(rest) => Some(format!("{}.{rest}", self.prompts.first()?.split_once('.')?.0)),
        }
    }
}

impl Name {
    /// Returns the JSON with the live id; `None` if the machine has not created it yet.
    pub(crate) fn live(&self, made: &LiveIds) -> Option<String> {
        let text = match self {
            Name::Request(number) => made.requests.get(number)?.clone(),
            Name::Prompt(prompt) => made.prompt(prompt)?,
            Name::Choice { prompt, recorded, body } => {
                let live = made.prompt(prompt)?;
                let body = body.replace(&component(recorded), &component(&live));
                BASE64.encode(body.as_bytes())
            }
        };
        Some(json!(text).to_string())
    }
}

/// Returns the prefix of the `custom_id` of a prompt's components (I-1).
fn component(prompt_id: &str) -> String {
    format!("hp1:{prompt_id}:")
}

/// Recorded ids of a session.
#[derive(Debug, Default)]
struct Known {
    requests: BTreeMap<String, usize>,
    prompts: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "requestId", borrow)]
    request: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    forward: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    prompt_response: &'a RawValue,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    prompt_id: &'a RawValue,
}

#[derive(Deserialize)]
struct Forward<'a> {
    #[serde(rename = "bodyB64", borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Interaction {
    data: Component,
}

#[derive(Deserialize)]
struct Component {
    custom_id: String,
}

/// A choice from a prompt, as the connector reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chosen {
    pub(crate) prompt_id: String,
    pub(crate) chat_id: String,
    /// Id of the message that answers. An interaction has none.
    pub(crate) message_id: Option<String>,
    pub(crate) thread_id: Option<String>,
    pub(crate) user_id: Option<String>,
}

/// Returns the choice in a frame of the connector.
pub(crate) fn choice(frame: &super::session::Frame) -> Option<Chosen> {
    let value = &frame.value;
    match frame.kind() {
        "inbound" => {
            let event = &value["event"];
            let text = |value: &Value| value.as_str().map(str::to_owned);
            Some(Chosen {
                prompt_id: text(&event["prompt_response"]["prompt_id"])?,
                chat_id: text(&event["source"]["chat_id"]).unwrap_or_default(),
                message_id: text(&event["message_id"]),
                thread_id: text(&event["source"]["thread_id"]),
                user_id: text(&event["source"]["user_id"]),
            })
        }
        "passthrough_forward" => {
            let body = BASE64.decode(value["forward"]["bodyB64"].as_str()?.as_bytes()).ok()?;
            let body: Value = serde_json::from_slice(&body).ok()?;
            let PromptChoice { prompt_id, .. } = PromptChoice::parse(body["data"]["custom_id"].as_str()?)?;
            let users =
                ["/member/user/id", "/user/id"].iter().filter_map(|place| body.pointer(place)?.as_str());
            Some(Chosen {
                prompt_id,
                chat_id: body["channel_id"].as_str().unwrap_or_default().to_owned(),
                message_id: None,
                thread_id: None,
                user_id: users.map(str::to_owned).next(),
            })
        }
        _ => None,
    }
}

/// Numbers requests and prompts by the order of their frames, and finds their ids in the connector's streams. There is
/// one stream per dial.
pub(super) fn find(dials: &mut [Dial], streams: &[Vec<u8>]) {
    let mut known = Known::default();
    let requests = dials.iter().flat_map(|dial| &dial.wrote).filter(|frame| frame.kind() == "outbound");
    let mut prompts = 0;
    for (number, frame) in requests.enumerate() {
        if let Some(id) = frame.value["requestId"].as_str() {
            known.requests.entry(id.to_owned()).or_insert(number);
        }
        let action = &frame.value["action"];
        if action["op"] == "prompt" {
            if let Some(id) = action["prompt_id"].as_str() {
                known.prompts.entry(id.to_owned()).or_insert(prompts);
            }
            prompts += 1;
        }
    }
    for (dial, stream) in dials.iter_mut().zip(streams) {
        let mut start = 0;
        for line in stream.split_inclusive(|byte| *byte == b'\n') {
            let readable = without_constants(line);
            if let Some((raw, name)) = known.named(&readable) {
                // The value borrows from the line, so the difference of the addresses is its position.
                let begin = start + (raw.as_ptr().addr() - readable.as_ptr().addr());
                dial.names.push((begin..begin + raw.len(), name));
            }
            start += line.len();
        }
    }
}

/// Replaces each `NaN` and `Infinity` with a number of the same length (W-11), so that positions stay valid.
fn without_constants(line: &[u8]) -> Cow<'_, [u8]> {
    const CONSTANTS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    if !CONSTANTS.iter().any(|constant| memchr::memmem::find(line, constant).is_some()) {
        return Cow::Borrowed(line);
    }
    let (mut line, mut at, mut in_string) = (line.to_vec(), 0, false);
    while at < line.len() {
        let constant = CONSTANTS.iter().find(|constant| !in_string && line[at..].starts_with(constant));
        match (constant, line[at]) {
            (Some(constant), _) => {
                line[at..at + constant.len()].fill(b' ');
                line[at] = b'0';
                at += constant.len() - 1;
            }
            (None, b'\\') if in_string => at += 1,
            (None, b'"') => in_string = !in_string,
            (None, _) => {}
        }
        at += 1;
    }
    Cow::Owned(line)
}

impl Known {
    /// Returns the prompt of that id, if this process created it.
    fn prompt(&self, id: &str) -> Option<Prompt> {
        if let Some(number) = self.prompts.get(id) {
            return Some(Prompt::Nth(*number));
        }
        let (process, rest) = id.split_once('.')?;
        let is_own =
            self.prompts.keys().any(|known| known.split_once('.').is_some_and(|(own, _)| own == process));
        is_own.then(|| Prompt::Other(rest.to_owned()))
    }

    /// Returns the id in a line, with its JSON text.
    fn named<'a>(&self, line: &'a [u8]) -> Option<(&'a str, Name)> {
        let frame = serde_json::from_slice::<Frame<'a>>(line).ok()?;
        match &*frame.kind {
            "outbound_result" => {
                let raw = frame.request?.get();
                let id = serde_json::from_str::<String>(raw).ok()?;
                Some((raw, Name::Request(*self.requests.get(&id)?)))
            }
            "inbound" => {
                let event = serde_json::from_str::<Event<'a>>(frame.event?.get()).ok()?;
                let response = serde_json::from_str::<Response<'a>>(event.prompt_response.get()).ok()?;
                let raw = response.prompt_id.get();
                let id = serde_json::from_str::<String>(raw).ok()?;
                Some((raw, Name::Prompt(self.prompt(&id)?)))
            }
            "passthrough_forward" => {
                let raw = serde_json::from_str::<Forward<'a>>(frame.forward?.get()).ok()?.body.get();
                let encoded = serde_json::from_str::<String>(raw).ok()?;
                let body = String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok()?;
                let interaction = serde_json::from_str::<Interaction>(&body).ok()?;
                let choice = PromptChoice::parse(&interaction.data.custom_id)?;
                let prompt = self.prompt(&choice.prompt_id)?;
                Some((raw, Name::Choice { prompt, recorded: choice.prompt_id, body }))
            }
            _ => None,
        }
    }
}

/// A range of the connector's stream with an id.
pub(super) type Place = (Range<usize>, Name);
