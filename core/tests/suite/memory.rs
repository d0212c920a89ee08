//! X-1: whatever a peer sends, and however much, a machine's memory stays within the bounds that its limits allow. The
//! tests count the bytes that it really holds on the heap.

use crate::served::{DESCRIPTOR, NOW, served};
use allocation_counter::measure;
use relayline_core::config::{Credentials, Limits};
use relayline_core::descriptor::Descriptor;
use relayline_core::event::Event;
use relayline_core::machine::RelayMachine;
use relayline_core::output::Conn;
use relayline_core::passthrough::Forward;

/// Maximum length of a line, and of its filling.
const LINE: usize = 64 << 10;
/// Bytes that are sent, as far as they are accepted.
const FLOOD: usize = 4 << 20;

/// Returns small limits, so that a flood is many times larger than they allow.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_line_bytes = LINE;
    limits.read_ahead_bytes = 256 << 10;
    limits.host_queue_bytes = 256 << 10;
    limits.write_queue_bytes = 128 << 10;
    limits.unsettled_bytes = 128 << 10;
    limits.max_in_flight = 16;
    limits.chats = 32;
    limits.dedupe = 64;
    limits.prompts = 16;
    limits.streams = 4;
    limits
}

/// Returns the bytes that these limits allow in all: an unfinished line, the read-ahead and the actions' texts, each
/// with room to grow; frames, entries to acknowledge and entries of unsettled deliveries; actions, chats of five texts,
/// keys.
fn allowed() -> i64 {
    let limits = limits();
    let bytes =
        2 * LINE + 2 * limits.read_ahead_bytes + 2 * limits.write_queue_bytes + limits.unsettled_bytes;
    let counted = limits.chats * 5 * 1024 + limits.dedupe * 512 + 1024 * 256;
    i64::try_from(bytes + counted).unwrap()
}

/// Behavior of the host meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Host {
    /// Does nothing, and does not carry out actions.
    Absent,
    /// Carries out actions, but accepts no delivery.
    Full,
    /// Takes deliveries, drops them, and never settles them.
    Silent,
}

fn machine() -> (RelayMachine, Conn) {
    served(|config| {
        config.credentials = Some(Credentials::new("gw", "hunter2"));
        config.limits = limits();
        config.passthrough = true;
    })
}

/// Makes the n-th line, with this filling.
type Line = fn(usize, &str) -> String;

/// Sends a flood of lines, the n-th as `line` makes it, as long as they are accepted.
fn flood(machine: &mut RelayMachine, conn: Conn, host: Host, line: Line) {
    let filling = "x".repeat(LINE - 512);
    let mut sent = 0;
    for n in 0.. {
        if host != Host::Absent {
            while machine.poll_action().is_some() {}
        }
        if host == Host::Silent {
            while machine.poll_delivery(NOW).is_some() {}
        }
        let line = line(n, &filling) + "\n";
        sent += line.len();
        if sent > FLOOD || machine.handle_bytes(NOW, conn, line.as_bytes()) < line.len() {
            break;
        }
    }
}

#[test]
fn x_1_a_flood_of_anything_stays_within_the_limits() {
    let rows: &[(&str, Line)] = &[
        ("texts", |_, x| format!(r#"{{"type":"inbound","event":{{"text":"{x}"}}}}"#)),
        ("empty events", |_, _| r#"{"type":"inbound","event":{}}"#.into()),
        ("ids", |n, x| {
            format!(r#"{{"type":"inbound","event":{{"message_id":"{n}{x}","source":{{"chat_id":"{n}"}}}}}}"#)
        }),
        ("entries", |n, x| format!(r#"{{"type":"inbound","bufferId":"{n}{x}","event":{{}}}}"#)),
        ("attachments", |_, x| {
            let urls = vec!["\"\""; x.len() / 3].join(",");
            format!(r#"{{"type":"inbound","event":{{"media_urls":[{urls}]}}}}"#)
        }),
        ("a context", |_, x| {
            let items = vec![r#"{"text":"\n"}"#; x.len() / 14].join(",");
            format!(r#"{{"type":"inbound","event":{{"context":[{items}]}}}}"#)
        }),
        ("chats", |n, x| {
            let id = &x[..1000];
            format!(
                r#"{{"type":"inbound","event":{{"source":{{"platform":"{id}","chat_id":"{n}","user_id":"{id}","scope_id":"{id}","profile":"{id}","parent_chat_id":"{id}"}}}}}}"#
            )
        }),
        ("copies", |n, x| {
            format!(r#"{{"type":"inbound","bufferId":"{n}","event":{{"text":"{x}","message_id":"1"}}}}"#)
        }),
        ("interrupts", |_, x| format!(r#"{{"type":"interrupt_inbound","session_key":"{x}"}}"#)),
        ("interrupts of a chat", |_, x| {
            format!(r#"{{"type":"interrupt_inbound","session_key":"k","chat_id":"{x}"}}"#)
        }),
        ("entries of dead letters", |n, x| format!(r#"{{"type":"inbound","bufferId":"{n}{x}","event":1}}"#)),
        ("entries of unknown frames", |n, x| format!(r#"{{"type":"new","bufferId":"{n}{x}"}}"#)),
        ("foreign answers", |n, x| {
            format!(
                r#"{{"type":"inbound","event":{{"text":"{x}","message_id":"{n}","prompt_response":{{"prompt_id":"a","option_id":"b"}}}}}}"#
            )
        }),
        ("stray results", |n, x| {
            format!(r#"{{"type":"outbound_result","requestId":"{n}","result":{{"error":"{x}"}}}}"#)
        }),
        ("descriptors", |n, x| {
            DESCRIPTOR.replace("\"D\"", &format!("\"{x}\"")).replace("discord", &format!("p{n}"))
        }),
        ("long lines", |_, x| format!("{x}{x}")),
        ("malformed lines", |_, x| format!("{{{x}")),
        ("forwarded bodies", |n, x| {
            let body = &x[..x.len() / 4 * 4];
            format!(
                r#"{{"type":"passthrough_forward","bufferId":"{n}","forward":{{"platform":"p","bodyB64":"{body}"}}}}"#
            )
        }),
        ("forwarded headers", |n, x| {
            let headers = vec![r#"["",""]"#; x.len() / 8].join(",");
            format!(
                r#"{{"type":"passthrough_forward","bufferId":"{n}","forward":{{"platform":"p","headers":[{headers}]}}}}"#
            )
        }),
        ("forwarded methods", |n, x| {
            format!(
                r#"{{"type":"passthrough_forward","bufferId":"{n}","forward":{{"platform":"p","method":"{x}"}}}}"#
            )
        }),
        ("forwards of platforms", |n, x| {
            format!(r#"{{"type":"passthrough_forward","bufferId":"{n}","forward":{{"platform":"{x}"}}}}"#)
        }),
        ("forwards of bots", |n, x| {
            format!(
                r#"{{"type":"passthrough_forward","bufferId":"{n}","forward":{{"platform":"p","botId":"{x}"}}}}"#
            )
        }),
        ("forwards of profiles", |n, x| {
            format!(
                r#"{{"type":"passthrough_forward","bufferId":"{n}","forward":{{"platform":"p","profile":"{x}"}}}}"#
            )
        }),
    ];
    let mut problems = Vec::new();
    for (what, line) in rows {
        for host in [Host::Absent, Host::Full, Host::Silent] {
            let mut kept = None;
            let held = measure(|| {
                let (mut machine, conn) = machine();
                flood(&mut machine, conn, host, *line);
                kept = Some(machine);
            });
            drop(kept);
            if held.bytes_current > allowed() {
                problems.push(format!("{what}, {host:?}: {} of {} bytes", held.bytes_current, allowed()));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Queues are bounded by weights, so a weight is close to the memory that is kept.
#[test]
fn x_1_an_events_weight_is_its_memory() {
    let list = |items: usize, item: &str| vec![item; items].join(",");
    let long = "x".repeat(1000);
    let rows = [
        ("a text", format!(r#""text":"{long}""#)),
        ("ids", format!(r#""message_id":"{long}","source":{{"chat_id":"{long}","user_id":"{long}"}}"#)),
        ("a few attachments", r#""media_urls":["a","b"]"#.to_owned()),
        ("attachments", format!(r#""media_urls":[{}]"#, list(1000, r#""u""#))),
        ("attachments with long urls", format!(r#""media_urls":[{}]"#, list(100, &format!("\"{long}\"")))),
        ("a context", format!(r#""context":[{}]"#, list(100, r#"{"text":"a","source":{"user_name":"b"}}"#))),
        ("a message it answers", format!(r#""reply_to":{{"text":"{long}","message_id":"{long}"}}"#)),
        ("an answer", format!(r#""prompt_response":{{"prompt_id":"{long}","option_id":"{long}"}}"#)),
    ];
    for (what, fields) in rows {
        let raw = format!("{{{fields}}}");
        let mut kept = None;
        let held = measure(|| kept = Some(Event::read(&raw).unwrap())).bytes_current;
        let weight = kept.map_or(0, |kept| kept.weight() - size_of::<Event>()) as i64;
        assert!((held..=held + held / 2).contains(&weight), "{what}: {weight} of {held} bytes");
    }
}

#[test]
fn x_1_a_descriptors_weight_is_its_memory() {
    let list =
        |items: usize, item: &dyn Fn(usize) -> String| (0..items).map(item).collect::<Vec<_>>().join(",");
    let ops = list(250, &|n| format!("\"op{n}\""));
    let long_ops = list(250, &|n| format!("\"{n}{}\"", "x".repeat(900)));
    let fields = list(250, &|n| format!("\"field{n}\":{n}"));
    let rows = [
        ("long texts", format!(r#""emoji":"{0}","platform_hint":"{0}""#, "x".repeat(10_000))),
        ("ops", format!(r#""supported_ops":[{ops}]"#)),
        ("ops with long names", format!(r#""supported_ops":[{long_ops}]"#)),
        ("unknown fields", fields.clone()),
        ("an unknown object", format!(r#""new":{{{fields}}}"#)),
        ("an unknown list", format!(r#""new":[{}]"#, list(5000, &|n| n.to_string()))),
        ("an unknown list of texts", format!(r#""new":[{ops},{ops}]"#)),
        ("an unknown text", format!(r#""new":"{}""#, "x".repeat(50_000))),
    ];
    for (what, more) in rows {
        let (frame, _) = DESCRIPTOR.trim_end().rsplit_once("}}").unwrap();
        let (_, bare) = frame.split_once(r#""descriptor":"#).unwrap();
        let raw = format!("{bare},{more}}}");
        let mut kept = None;
        let held = measure(|| kept = Some(Descriptor::read(&raw).unwrap())).bytes_current;
        let weight = kept.map_or(0, |kept| kept.weight() - size_of::<Descriptor>()) as i64;
        // A list that has grown may have twice the needed capacity.
        let least = if what.starts_with("an unknown list") { held / 2 } else { held * 4 / 5 };
        assert!((least..=3 * held).contains(&weight), "{what}: {weight} of {held} bytes");
    }
}

#[test]
fn x_1_a_forwards_weight_is_its_memory() {
    let list = |items: usize, item: &str| vec![item; items].join(",");
    let long = "x".repeat(1000);
    let rows = [
        ("short texts", r#""platform":"p","botId":"b","method":"m","path":"p","profile":"x""#.to_owned()),
        ("long texts", format!(r#""platform":"{long}","botId":"{long}","method":"{long}","path":"{long}""#)),
        ("a profile", format!(r#""platform":"p","profile":"{long}""#)),
        ("headers", format!(r#""platform":"p","headers":[{}]"#, list(1000, r#"["a","b"]"#))),
        ("headers of nothing", format!(r#""platform":"p","headers":[{}]"#, list(1000, r#"["",""]"#))),
        ("long headers", format!(r#""platform":"p","headers":[["{long}","{long}"],["a","{long}"]]"#)),
        ("a body", format!(r#""platform":"p","bodyB64":"{}""#, "x".repeat(4000))),
    ];
    for (what, fields) in rows {
        let raw = format!("{{{fields}}}");
        let mut kept = None;
        let held = measure(|| kept = Forward::read(&raw)).bytes_current;
        let (mut machine, conn) = machine();
        let frame = format!("{{\"type\":\"passthrough_forward\",\"forward\":{raw}}}\n");
        assert_eq!(machine.handle_bytes(NOW, conn, frame.as_bytes()), frame.len());
        let weight = (machine.usage().host_queue_bytes - size_of::<Forward>()) as i64;
        // A short text costs an allocation, which is larger than its bytes.
        assert!((held..=2 * held + 256).contains(&weight), "{what}: {weight} of {held} bytes");
    }
}
