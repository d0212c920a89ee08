//! Seeds: the recordings and the vectors, in the input format of each target.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn in_harness(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Returns the vectors of one file.
fn vectors(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(in_harness("vectors").join(name)).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(file["vectors"].take()).unwrap()
}

fn text(value: &Value) -> Vec<u8> {
    value.as_str().unwrap().as_bytes().to_vec()
}

pub(crate) fn url() -> Vec<Vec<u8>> {
    vectors("urls.json").iter().map(|vector| text(&vector["input"])).collect()
}

pub(crate) fn refusal() -> Vec<Vec<u8>> {
    // Status and flags, `Retry-After`, `Location`, body.
    [
        "\u{0}\n\n{\"error\":\"unauthorized\"}",
        "\u{8}30\n\n{\"error\":\"expired\"}",
        "\u{10}\n\n{\"error\":\"expired\"}",
        "\u{1}\n\n<h1>zq9-Zq9</h1>",
        "\u{2}Sun, 06 Nov 1994 08:49:37 GMT\n\n{\"error\":{\"message\":\"slow \\u0007\"}}",
        "\u{3}\nhttps://u:p@c.example/zq9-Zq9?a=b#c\n",
        "\u{6}99999999999999999999\n/login?x\n{\"detail\":[1],\"error\":null}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn env_file() -> Vec<Vec<u8>> {
    // The first byte is the length of the value to set.
    [
        "\u{3}new",
        "\u{3}newA=1\nID=old\nB=2\n",
        "\u{3}new  export ID = old  # mine\n",
        "\u{3}newID=\"old\nlines\"\r\nB=1\n",
        "\u{6}it's $ID='o#ld'",
        "\u{2}a\\ID= # none yet\nID=1",
        "\u{1}vA='it\nID='old'\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn split() -> Vec<Vec<u8>> {
    let texts = [
        "the first line\nthe second line here",
        "no newline in here but some spaces",
        "look:\n```rust\nfn one() {}\n    two();\n    three();\n```\ndone",
        "```a-long-info-string\naaaaaaaaaaaa\nbbbbbbbbbbbbb\n```",
        "``` a ` b\n    ```\naaaaaaaaaaaaaaaaaaaaaaaa",
        "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀",
        "````\n```\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n`````\n \n\n b",
    ];
    let rooms = [[32, 0, 0], [32, 1, 1], [40, 0, 1]];
    let with = |text: &str| rooms.map(|room: [u8; 3]| [&room, text.as_bytes()].concat());
    texts.into_iter().flat_map(with).collect()
}

pub(crate) fn delivery() -> Vec<Vec<u8>> {
    // Keys, signer, clock; a webhook request or a token; then the flaw, and the signed content.
    let bodies = vectors("auth.json");
    let bodies = bodies.iter().filter_map(|vector| vector["body"].as_str().or(vector["payload"].as_str()));
    let with = |body: &str| {
        [1, 0].map(|kind: u8| [&[0b111, 0, 0, 0, kind, 0, 0, 7, 1, 0, 0][..], body.as_bytes()].concat())
    };
    let message = r#"{"type":"message","event":{"text":"t","message_id":"1","source":{"chat_id":"c"}}}"#;
    let answer = r#"{"type":"message","event":{"prompt_response":{"prompt_id":"a.b","option_id":"c"}}}"#;
    bodies.take(24).chain([message, answer]).flat_map(with).collect()
}

/// Returns the lines of all recordings, by session.
fn recordings() -> Vec<(Vec<u8>, Vec<Value>)> {
    let files = fs::read_dir(in_harness("recordings")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "jsonl")).collect();
    files.sort();
    let read = |file| {
        let bytes = fs::read(file).unwrap();
        let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        let lines = lines.collect();
        (bytes, lines)
    };
    files.into_iter().map(read).collect()
}

/// Returns the connector's bytes in each recording, as one stream.
fn streams() -> Vec<Vec<u8>> {
    let said = |line: &Value| match &line["dir"] {
        dir if dir == "connector" => line["data"].as_str().map(|data| data.as_bytes().to_vec()),
        _ => None,
    };
    let streams =
        recordings().into_iter().map(|(_, lines)| lines.iter().filter_map(said).collect::<Vec<_>>());
    streams.map(|messages| messages.concat()).filter(|stream| !stream.is_empty()).collect()
}

/// Returns the frames of one type in all recordings.
fn frames(kind: &str) -> Vec<Value> {
    let streams = streams();
    let lines = streams.iter().flat_map(|stream| stream.split(|byte| *byte == b'\n'));
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter(|frame: &Value| frame["type"] == kind)
        .collect()
}

pub(crate) fn bytes() -> Vec<Vec<u8>> {
    // The stage, the host and the cuts before each stream: before a descriptor, and served.
    let with =
        |stream: &Vec<u8>| [[1, 7, 0], [3, 31, 5]].map(|how: [u8; 3]| [&how, stream.as_slice()].concat());
    streams().iter().chain(&unreadable()).flat_map(with).collect()
}

/// Returns buffered lines that are not valid JSON, and lines that cannot be repaired, each with a line after it (W-11,
/// A-9).
fn unreadable() -> Vec<Vec<u8>> {
    let nest = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let values = [
        "NaN",
        "[Infinity,-Infinity]",
        "-NaN",
        "NaNx",
        "undefined",
        "\"cut o",
        "\"a\"b\"",
        "1e999999999",
        &nest,
    ];
    let lines = values.iter().map(|value| {
        format!(r#"{{"type":"inbound","event":{{"text":"t","x":{value}}},"bufferId":"b"}}"#).into_bytes()
    });
    let odd: [&[u8]; 5] = [
        b"{\"type\":\"inbound\",\"event\":{\"text\":\"\xff\"},\"bufferId\":\"b\"}",
        b"{\"bufferId\":\"b\",\"type\":\"passthrough_forward\",\"forward\":{\"path\":\"\xc3",
        b"{\"type\":\"inbound\",\"event\":{\"x\":[}],\"bufferId\":\"b\"}",
        b"{\"type\":\"inbound_ack\",\"bufferId\":\"b\",,}",
        b"{\"event\":{},\"bufferId\":7}{\"bufferId\":8}",
    ];
    let next: &[u8] = b"\n{\"type\":\"inbound\",\"event\":{\"text\":\"next\"},\"bufferId\":\"n\"}\n";
    lines.chain(odd.map(<[u8]>::to_vec)).map(|line| [&line[..], next].concat()).collect()
}

/// Numbers in many spellings, and other values (D-3).
const NUMBERS: [&str; 14] = [
    "2000.0",
    "2e3",
    "\"2000\"",
    "\"2E+3\"",
    "20000e-1",
    "2000.5",
    "0.0",
    "-1.0",
    "1e999999999",
    "\"1e-999999999\"",
    "\"02\"",
    "NaN",
    "-Infinity",
    "18446744073709551616.0",
];

pub(crate) fn operations() -> Vec<Vec<u8>> {
    // Any selecting numbers will do at the start.
    let mixed = |seed: u32, length: u32| {
        let draw = |n: u32| (n.wrapping_add(seed).wrapping_mul(0x9e37_79b1) >> 13).to_le_bytes()[0];
        (0..length).map(draw).collect::<Vec<u8>>()
    };
    (1..=24).map(|seed| mixed(seed * 7919, seed * 16)).collect()
}

pub(crate) fn recording() -> Vec<Vec<u8>> {
    recordings().into_iter().map(|(bytes, _)| bytes).collect()
}

/// Returns each session as a browser would export it, with every third message binary, and other kinds of entries.
pub(crate) fn har() -> Vec<Vec<u8>> {
    let told = |line: &Value| {
        let (kind, opcode, data) = match line["dir"].as_str()? {
            "gateway" => ("send", 1, line["data"].as_str()?),
            "connector" => ("receive", 1, line["data"].as_str()?),
            "close" => ("receive", 8, "EZk="),
            "drop" => ("error", -1, ""),
            _ => return None,
        };
        let at_ms = line["t_ms"].as_u64()?;
        let (opcode, data) = match (opcode, at_ms % 3) {
            (1, 0) => (2, data_encoding::BASE64.encode(data.as_bytes())),
            _ => (opcode, data.to_owned()),
        };
        let time = Duration::from_millis(1_666_255_720_899 + at_ms).as_secs_f64();
        Some(serde_json::json!({"type": kind, "time": time, "opcode": opcode, "data": data}))
    };
    let entry = |url: &str, status: u16, messages: Vec<Value>| {
        serde_json::json!({
            "_webSocketMessages": messages, "startedDateTime": "2022-10-20T08:48:40.899Z",
            "request": {"url": url, "headers": [{"name": "Authorization", "value": "Bearer abc"}]},
            "response": {"status": status, "content": {"text": "{\"error\":\"expired\"}"}}})
    };
    let har = |entries: &[Value]| {
        serde_json::json!({"log": {"creator": {"name": "seed"}, "entries": entries}}).to_string().into_bytes()
    };
    let sessions: Vec<_> = recordings()
        .iter()
        .map(|(_, lines)| entry("wss://c.example/relay", 101, lines.iter().filter_map(told).collect()))
        .collect();
    let page =
        serde_json::json!({"request": {"url": "https://c.example/relay"}, "response": {"status": 200}});
    let refused = entry("ws://c.example/relay?a=1", 401, Vec::new());
    let elsewhere = entry("wss://c.example", 200, Vec::new());
    let several = [[page.clone(), elsewhere.clone()], [refused.clone(), elsewhere], [page, refused]];
    sessions.chunks(1).chain(several.iter().map(<[Value; 2]>::as_slice)).map(har).collect()
}

pub(crate) fn descriptor() -> Vec<Vec<u8>> {
    let given = vectors("descriptors.json").into_iter().map(|vector| match vector["json"].as_str() {
        Some(json) => json.to_owned(),
        None => vector["descriptor"].to_string(),
    });
    let recorded = frames("descriptor").into_iter().map(|frame| frame["descriptor"].to_string());
    let required = r#""platform":"p","label":"P","supports_draft_streaming":true,"supports_edit":true,"supports_threads":false,"markdown_dialect":"","len_unit":"chars""#;
    let spelled = NUMBERS.iter().flat_map(|number| {
        [("1", *number), (number, "10")].map(|(version, limit)| {
            format!(r#"{{"contract_version":{version},"max_message_length":{limit},{required}}}"#)
        })
    });
    given.chain(recorded).chain(spelled).map(String::into_bytes).collect()
}

pub(crate) fn event() -> Vec<Vec<u8>> {
    let full = serde_json::json!({
        "text": "t", "message_type": "photo", "message_id": "1", "reply_to_message_id": 0,
        "media_urls": ["u", "v"], "media": [
            {"url": "v"}, {"url": "u", "kind": "image", "mime": "m", "size": 1, "filename": "f", "caption": "c"}],
        "reply_to": {"text": "t", "author": "a", "is_own": true}, "context_error": true,
        "context": [{"text": "x\ny", "source": {"user_name": "n", "user_id": "i"}}],
        "prompt_response": {"prompt_id": "p", "option_id": "o", "label": "l"},
        "source": {"platform": "slack", "chat_id": -1, "is_bot": true, "thread_id": "t", "guild_id": "s"}});
    let sources = vectors("session-keys.json")
        .into_iter()
        .map(|vector| format!(r#"{{"source":{}}}"#, vector["source"]));
    let recorded = frames("inbound").into_iter().map(|frame| frame["event"].to_string());
    let spelled = NUMBERS.iter().map(|number| {
        format!(r#"{{"text":"NaN","message_id":{number},"media_urls":["u"],"media":[{{"url":"u","size":{number}}}],"x":NaN}}"#)
    });
    let all = [full.to_string()].into_iter().chain(recorded).chain(sources).chain(spelled);
    all.map(String::into_bytes).collect()
}

pub(crate) fn forward() -> Vec<Vec<u8>> {
    let bodies = vectors("discord-interactions.json").into_iter().map(|vector| vector["body"].to_string());
    let recorded = frames("passthrough_forward").into_iter().map(|frame| frame["forward"].to_string());
    let spelled = NUMBERS.iter().map(|number| {
        format!(r#"{{"id":"1","type":{number},"n":-Infinity,"channel":{{"type":{number}}},"data":{{"name":"a"}}}}"#)
    });
    bodies.chain(recorded).chain(spelled).map(String::into_bytes).collect()
}
