#![allow(clippy::unwrap_used)] // A bench that cannot go on should stop.
//! Costs of the core as ratios: `cargo bench -p relayline-harness --bench core`. Times differ from machine to machine.
//! Their growth with the input, and their ratio to parsing the same bytes as JSON, do not.

use divan::Bencher;
use divan::counter::BytesCount;
use relayline_core::command::Command;
use relayline_core::config::{Config, Identity};
use relayline_core::descriptor::LenUnit;
use relayline_core::event::Event;
use relayline_core::machine::RelayMachine;
use relayline_core::op::{Prompt, PromptOption, StreamReply};
use relayline_core::output::{Conn, Outcome};
use relayline_core::split::{SplitOptions, split};
use relayline_core::time::{Now, Time};
use relayline_harness::testing::Driver;

/// Time of all inputs.
const NOW: Now = Now { mono: Time::ZERO, unix_s: 1_800_000_000 };

fn main() {
    divan::main();
}

/// Returns a machine that is connected, and its connection.
fn connected(adjust: impl FnOnce(&mut Config)) -> (RelayMachine, Conn) {
    let mut config = Config::new(Identity::new("discord", "1"));
    adjust(&mut config);
    let driver = Driver::connected(config);
    let Some(conn) = driver.conn(0) else { unreachable!("it is connected") };
    (driver.machine, conn)
}

/// O-11: the cost per byte must not grow with the text.
#[divan::bench(args = [10 << 10, 100 << 10, 1 << 20, 10 << 20])]
fn splitting(bencher: Bencher<'_, '_>, bytes: usize) {
    let paragraph =
        "Some words, and a few more of them 😀 in a line.\n```rust\nlet code = 1;\nlet more = 2;\n```\n";
    let text: String = paragraph.chars().cycle().take(bytes).collect();
    let room = SplitOptions::new(4096, LenUnit::Utf16);
    bencher.counter(BytesCount::new(text.len())).bench(|| split(divan::black_box(&text), room));
}

/// O-11: the same for a text without a newline: no part may search for one to the end of the text.
#[divan::bench(args = [10 << 10, 100 << 10, 1 << 20, 10 << 20])]
fn splitting_one_line(bencher: Bencher<'_, '_>, bytes: usize) {
    let text: String = "word ".chars().cycle().take(bytes).collect();
    let room = SplitOptions::new(4096, LenUnit::Utf16);
    bencher.counter(BytesCount::new(text.len())).bench(|| split(divan::black_box(&text), room));
}

/// O-11: the same for the texts that cost a Markdown reader most: all quotes, all backticks, one cluster.
#[divan::bench(args = [10 << 10, 100 << 10, 1 << 20])]
fn splitting_the_worst(bencher: Bencher<'_, '_>, bytes: usize) {
    let room = SplitOptions::new(2000, LenUnit::Utf16);
    let texts: Vec<String> = ["> - ", "`a``", "e\u{301}", "- - \n\n", "`a\n    ~~~\n\t> "]
        .map(|piece| piece.chars().cycle().take(bytes).collect())
        .into();
    let bytes = texts.iter().map(String::len).sum::<usize>();
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| texts.iter().map(|text| split(divan::black_box(text), room).len()).sum::<usize>());
}

/// E-7: pairing attachments must not cost more for each when there are many.
#[divan::bench(args = [10, 100, 1000, 10_000])]
fn pairing_media(bencher: Bencher<'_, '_>, count: usize) {
    let urls: Vec<String> = (0..count).map(|n| format!("\"u{n}\"")).collect();
    let media: Vec<String> = (0..count).rev().map(|n| format!("{{\"url\":\"u{n}\"}}")).collect();
    let event = format!("{{\"media_urls\":[{}],\"media\":[{}]}}", urls.join(","), media.join(","));
    bencher.counter(BytesCount::new(event.len())).bench(|| Event::read(divan::black_box(&event)));
}

/// Returns a connected machine whose descriptor has a small limit, and which takes forwards.
fn up() -> (RelayMachine, Conn) {
    connected(|config| config.limits.write_queue_bytes = 16 << 20)
}

/// I-1: the cost of a prompt's options is bounded, however many there are.
#[divan::bench(args = [10, 100, 1000, 60_000])]
fn checking_options(bencher: Bencher<'_, '_>, count: usize) {
    let options: Vec<_> = (0..count).map(|n| PromptOption::new(n, "an option")).collect();
    let prompt = Prompt::new("", "", options);
    bencher.bench(|| divan::black_box(&prompt).problem());
}

/// P-3: nested options are read once per level, down to a maximum depth.
#[divan::bench(args = [1, 4, 16, 60])]
fn nested_options(bencher: Bencher<'_, '_>, depth: usize) {
    let wide = r#"{"name":"a","type":3,"value":"a word"},"#.repeat(10_000);
    let leaf = format!("[{}{{}}]", wide);
    let options =
        (0..depth).fold(leaf, |inner, _| format!(r#"[{{"name":"sub","type":1,"options":{inner}}}]"#));
    let body = format!(r#"{{"type":2,"data":{{"name":"ask","options":{options}}}}}"#);
    let body = data_encoding::BASE64.encode(body.as_bytes());
    let line = format!(
        "{{\"type\":\"passthrough_forward\",\"forward\":{{\"platform\":\"discord\",\"bodyB64\":\"{body}\"}}}}\n"
    );
    bencher.counter(BytesCount::new(line.len())).with_inputs(up).bench_values(|(mut machine, conn)| {
        machine.handle_bytes(NOW, conn, divan::black_box(line.as_bytes()))
    });
}

/// O-10: a reply of mostly white space spans many messages that are not sent. Their cost must not grow with the square
/// of the text.
#[divan::bench(args = [10 << 10, 100 << 10, 1 << 20])]
fn streaming_white_space(bencher: Bencher<'_, '_>, bytes: usize) {
    let text = format!("```\n{}end", "\n".repeat(bytes));
    let input = || (up(), Command::Stream(StreamReply::new("", text.clone())));
    bencher
        .counter(BytesCount::new(text.len()))
        .with_inputs(input)
        .bench_values(|((mut machine, _), command)| machine.submit(NOW, command).is_ok());
}

/// W: an array of headers, and a context of messages, each with thousands of items in one line (P-1, E-6).
#[divan::bench(args = [100, 1000, 10_000])]
fn reading_lists(bencher: Bencher<'_, '_>, count: usize) {
    let context = vec![r#"{"text":"a\nline","source":{"user_name":"Ann"}}"#; count].join(",");
    let event = format!("{{\"context\":[{context}]}}");
    bencher.counter(BytesCount::new(event.len())).bench(|| Event::read(divan::black_box(&event)));
}

const EVENT: &str = r#"{"text":"Hello 👋 <@1187654321098765432>, what's the plan?\nTwo lines of it.","message_type":"text","source":{"platform":"discord","chat_id":"1234567890123456789","chat_type":"group","chat_name":"general","user_id":"204255221017214977","user_name":"ada","thread_id":null,"chat_topic":"General chat – be nice","guild_id":"987654321098765432","message_id":"1299999999999999001"},"message_id":"1299999999999999001","reply_to_message_id":"1299999999999998888"}"#;

/// Reads an event,
#[divan::bench]
fn event_as_read(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(EVENT.len())).bench(|| Event::read(divan::black_box(EVENT)));
}

/// passes a whole frame from the socket to the host and back,
#[divan::bench]
fn frame_through_the_machine(bencher: Bencher<'_, '_>) {
    let (mut machine, conn) = connected(|_| {});
    let line = format!("{{\"type\":\"inbound\",\"event\":{EVENT}}}\n");
    // Each has its own id: a duplicate would not reach the host.
    let (before, after) = line.rsplit_once("1299999999999999001").unwrap();
    let mut number = 0;
    let frame = || {
        number += 1;
        format!("{before}{number:019}{after}")
    };
    bencher.counter(BytesCount::new(line.len())).with_inputs(frame).bench_local_values(|frame| {
        machine.handle_bytes(NOW, conn, frame.as_bytes());
        let delivery = machine.poll_delivery(NOW).unwrap();
        machine.settle(NOW, delivery.id, Outcome::Accepted);
        delivery
    });
}

/// and reads the event as a tree, for comparison.
#[divan::bench]
fn event_as_a_tree(bencher: Bencher<'_, '_>) {
    let parse = || serde_json::from_str::<serde_json::Value>(divan::black_box(EVENT));
    bencher.counter(BytesCount::new(EVENT.len())).bench(parse);
}
