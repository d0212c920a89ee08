//! The negotiation with every descriptor of a vector or a recording: one readable page for each.
//!
//! A vector's page shows a handshake of a machine with that descriptor, and then another one with a plain descriptor,
//! so that it also shows the notice about a re-negotiation (D-10). A recording's page shows the negotiation on each
//! dial of its replay.

use relayline_connector::ConnectorConfig;
use relayline_connector::chats::Platform;
use relayline_core::config::{Config, Identity};
use relayline_core::descriptor::{Descriptor, LenUnit};
use relayline_core::output::{Action, Conn, Notice, Phase, Transmit};
use relayline_harness::recording::Recording;
use relayline_harness::replay::{self, ReplayOptions};
use relayline_harness::testing::{Driver, Output};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Every op of the protocol, in its order.
const OPS: [&str; 14] = [
    "send",
    "edit",
    "delete",
    "typing",
    "follow_up",
    "get_chat_info",
    "send_media",
    "prompt",
    "react",
    "thread_create",
    "thread_rename",
    "draft",
    "task_card",
    "task_card_stop",
];

fn harness() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns true if a host may use an op, by the last column of the table of ops (O-9).
fn usable(descriptor: &Descriptor, op: &str) -> bool {
    match op {
        "send" | "typing" | "follow_up" | "get_chat_info" => true,
        "edit" => descriptor.supports_edit,
        "task_card_stop" => descriptor.offers("task_card"),
        "draft" => descriptor.offers(op) && descriptor.supports_draft_streaming,
        _ => descriptor.offers(op),
    }
}

/// Page of one session.
#[derive(Default)]
struct Page {
    text: String,
    /// True if only changes of the capabilities are shown.
    brief: bool,
    /// Descriptors of the open connection by platform, the default first.
    platforms: Vec<Arc<Descriptor>>,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text += line.trim_end();
        self.text.push('\n');
    }

    fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Connected { descriptor, changed } => {
                self.platforms = vec![Arc::clone(descriptor)];
                self.line("  served; the default descriptor:");
                self.surface(descriptor, changed);
            }
            Notice::Platform { descriptor, changed } => {
                self.platforms.push(Arc::clone(descriptor));
                self.line("  a further descriptor:");
                self.surface(descriptor, changed);
            }
            Notice::Disconnected { code, reason, retry_in } => {
                let platforms = std::mem::take(&mut self.platforms);
                if !platforms.is_empty() {
                    self.by_platform(&platforms);
                }
                let code = code.map(|code| format!(" {code}")).unwrap_or_default();
                let next = if retry_in.is_some() { "dials again" } else { "does not dial again" };
                self.line(&format!("  ended{code}: {reason}; {next}"));
            }
            // Not about the negotiation.
            _ => {}
        }
    }

    fn surface(&mut self, descriptor: &Descriptor, changed: &[Cow<'_, str>]) {
        let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
        if self.brief {
            return self.line(&format!("    {:<12} {changed}", "changed"));
        }
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        let unit = match descriptor.len_unit {
            LenUnit::Chars => "characters",
            LenUnit::Utf16 => "UTF-16 code units",
        };
        let usable: Vec<&str> = OPS.into_iter().filter(|op| usable(descriptor, op)).collect();
        let named = match descriptor.supported_ops.as_slice() {
            [] => "none: the legacy set".to_owned(),
            ops => ops.join(" "),
        };
        let flags = [
            ("personal data", descriptor.pii_safe),
            ("context", descriptor.supports_context),
            ("continues in the channel", descriptor.supports_inchannel_continuable),
            ("block formatting", descriptor.supports_block_formatting),
        ];
        let others: Vec<&str> = flags.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        for (name, value) in [
            ("platform", format!("{:?}, labelled {:?}", descriptor.platform, descriptor.label)),
            ("contract", descriptor.contract_version.to_string()),
            ("limit", format!("{} {unit}", descriptor.max_message_length)),
            (
                "code blocks",
                format!("{} (dialect {:?})", yes(descriptor.code_blocks()), descriptor.markdown_dialect),
            ),
            ("drafts", yes(descriptor.supports_draft_streaming).to_owned()),
            ("edits", yes(descriptor.supports_edit).to_owned()),
            ("threads", yes(descriptor.supports_threads).to_owned()),
            ("ops named", named),
            ("ops offered", usable.join(" ")),
            ("also", if others.is_empty() { "nothing".to_owned() } else { others.join(", ") }),
            ("sign, hint", format!("{}, {:?}", descriptor.emoji, descriptor.platform_hint)),
            ("changed", changed),
        ] {
            self.line(&format!("    {name:<12} {value}"));
        }
    }

    fn by_platform(&mut self, platforms: &[Arc<Descriptor>]) {
        let shown: Vec<String> =
            platforms.iter().map(|one| format!("{:?} is {:?}", one.platform, one.label)).collect();
        self.line(&format!("  by platform: {}", shown.join(", ")));
    }

    fn take(mut self) -> String {
        let platforms = std::mem::take(&mut self.platforms);
        if !platforms.is_empty() {
            self.by_platform(&platforms);
            self.line("  still up");
        }
        self.text
    }
}

/// A gateway that negotiates, and the page of the results.
struct Talk {
    driver: Driver,
    page: Page,
}

impl Talk {
    fn new() -> Self {
        let identity = Identity::new("discord", "1");
        let mut driver = Driver::new(Config::new(identity));
        driver.answers = true;
        Talk { driver, page: Page::default() }
    }

    /// Adds the outputs to the page.
    fn note(&mut self) {
        for output in self.driver.take() {
            match output {
                Output::Action(Action::Notify(notice)) => self.page.notice(&notice),
                Output::Sent(Transmit::Close { code, reason, .. }, _) => {
                    self.page.line(&format!("  closes: {code} {reason}"));
                }
                Output::Action(Action::Dial { .. }) | Output::Sent(..) => {}
                Output::Action(_) | Output::Delivery(_) | Output::Response(_) => panic!("{output:?}"),
            }
        }
    }

    /// Advances time to the next dial.
    fn next_dial(&mut self) -> Conn {
        let conn = self.driver.dial();
        self.note();
        conn
    }

    /// Dials, and answers the hello with this descriptor.
    fn handshake(&mut self, descriptor: &str) -> Conn {
        let conn = self.next_dial();
        self.driver.open(conn);
        let skipped = self.driver.machine.stats().malformed_lines;
        self.driver.line(&format!("{{\"type\":\"descriptor\",\"descriptor\":{descriptor}}}"));
        self.note();
        if self.driver.machine.stats().malformed_lines > skipped {
            self.page.line("  the line is malformed, and skipped (W-3)");
        }
        conn
    }
}

fn negotiate(what: &str, descriptor: &str, plain: &str) -> String {
    let mut talk = Talk::new();
    talk.page.line(&format!("{what}: {descriptor}"));
    let conn = talk.handshake(descriptor);
    if talk.driver.machine.phase() == Phase::Connected {
        let served = talk.driver.machine.descriptors().to_vec();
        assert_eq!(served, talk.page.platforms, "D-8: the page shows what is kept");
        assert_eq!(talk.driver.machine.capabilities("never seen"), served.first(), "D-9");
        talk.driver.close(conn, None, "the connection was cut");
    }
    // Nothing of it may be left, except for the comparison (D-10).
    let again = talk.next_dial();
    assert!(talk.driver.machine.descriptors().is_empty(), "D-8: forgotten at the next dial");
    talk.page.line("the next dial, with a plain descriptor");
    talk.page.brief = true;
    talk.driver.open(again);
    talk.driver.line(&format!("{{\"type\":\"descriptor\",\"descriptor\":{plain}}}"));
    talk.note();
    assert_eq!(talk.driver.machine.phase(), Phase::Connected, "{what}");
    talk.page.take()
}

/// Returns the notice of a trace entry, if it is one about the negotiation.
fn read_notice(fields: &Value) -> Option<Notice> {
    let descriptor = || Arc::new(Descriptor::read(&fields["descriptor"].to_string()).unwrap());
    let changed = || serde_json::from_value(fields["changed"].clone()).unwrap();
    match fields["notice"].as_str().unwrap() {
        "connected" => Some(Notice::Connected { descriptor: descriptor(), changed: changed() }),
        "platform" => Some(Notice::Platform { descriptor: descriptor(), changed: changed() }),
        "disconnected" => Some(Notice::Disconnected {
            code: fields["code"].as_u64().map(|code| u16::try_from(code).unwrap()),
            reason: fields["reason"].as_str().unwrap().to_owned(),
            retry_in: fields["retry_in_ms"].as_u64().map(Duration::from_millis),
        }),
        _ => None,
    }
}

/// Returns what a replay negotiated on each of its dials.
fn replayed(recording: &Recording) -> String {
    let run = replay::play(recording, ReplayOptions::default()).unwrap();
    let mut page = Page::default();
    page.line(&recording.header.title);
    for entry in &run.trace {
        let fields: Value = serde_json::from_str(&entry.to_json()).unwrap();
        match entry.name() {
            "dial" => {
                let authorized = if fields["authorization"].is_null() { "" } else { ", authorized" };
                page.line(&format!("dial {}{authorized}", fields["conn"]));
            }
            "rejected" => page.line(&format!("  refused: HTTP {}", fields["status"])),
            "sent" if fields["frame"]["type"] == "hello" => {
                let frame = &fields["frame"];
                page.line(&format!("  hello {} as {}", frame["platform"], frame["botId"]));
            }
            "notice" => read_notice(&fields).iter().for_each(|notice| page.notice(notice)),
            "fatal" => page.line(&format!("  fatal: {}", fields["code"].as_str().unwrap())),
            // Other entries are not about the negotiation.
            _ => {}
        }
    }
    page.take()
}

/// Returns a name that every file system accepts.
fn slug(what: &str) -> String {
    let words = what.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// Takes a snapshot of each page under its name. All names differ.
fn keep(pages: impl IntoIterator<Item = (String, String)>) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(harness().join("../snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut names = BTreeSet::new();
    for (name, page) in pages {
        assert!(names.insert(name.clone()), "{name} is there twice");
        settings.bind(|| insta::assert_snapshot!(format!("negotiation__{name}"), page));
    }
}

/// D-1 to D-7 and L-17 by vector, D-8 to D-10 by the frames after it.
#[test]
fn d_1_d_10_l_17_every_vector_through_a_handshake() {
    let file = std::fs::read_to_string(harness().join("vectors/descriptors.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 44, "the vectors are there");
    let plain = vectors[0]["descriptor"].to_string();
    keep(vectors.iter().map(|vector| {
        let what = vector["what"].as_str().unwrap();
        let raw = match vector["json"].as_str() {
            // W-1: a frame is one line, whatever white space the vector has.
            Some(json) => json.replace(['\r', '\n'], " "),
            None => vector["descriptor"].to_string(),
        };
        (format!("vector-{}", slug(what)), negotiate(what, &raw, &plain))
    }));
}

/// The vectors name no ops, unlike the platforms of the embedded connector (D-6).
#[test]
fn d_6_every_platform_of_the_embedded_connector() {
    let platforms = ConnectorConfig::default().platforms;
    let json = |platform: &Platform| serde_json::to_string(&platform.descriptor).unwrap();
    let plain = json(&platforms[0]);
    keep(platforms.iter().map(|platform| {
        let page = negotiate(&platform.name, &json(platform), &plain);
        (format!("fake-{}", slug(&platform.name)), page)
    }));
}

#[test]
fn d_8_d_10_every_recorded_handshake() {
    let files = std::fs::read_dir(harness().join("recordings")).unwrap();
    let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".jsonl"));
    names.sort();
    assert!(names.len() >= 33, "the recordings are there");
    keep(names.into_iter().map(|name| {
        let bytes = std::fs::read(harness().join("recordings").join(&name)).unwrap();
        let recording = Recording::read(&format!("recordings/{name}"), &bytes).unwrap();
        (format!("recording-{}", recording.name()), replayed(&recording))
    }));
}
