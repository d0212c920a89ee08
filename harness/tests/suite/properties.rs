//! Properties that hold for any inputs in any order, tested with random sequences of inputs.
//!
//! `PROPTEST_CASES` scales the number of cases, 256 by default. A failed case is kept in `proptest-regressions/` and
//! tried first.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use relayline_core::command::Command;
use relayline_core::config::Config;
use relayline_core::op::{EditMessage, GetChatInfo, Interrupt, Raw, SendMessage, StreamReply, Typing};
use relayline_core::output::Outcome;
use relayline_harness::testing::frames::{DESCRIPTOR, DRAFTS, FRAMES, REQUESTS, handshake};
use relayline_harness::testing::{Driver, Input, lanes, small_limits};
use std::time::Duration;

fn frame() -> impl Strategy<Value = String> {
    let inbound = (0..6u8, 0..3u8, any::<Option<u8>>(), prop::bool::weighted(0.2)).prop_map(
        |(id, chat, entry, edit)| {
            let entry = entry.map_or(String::new(), |entry| format!(r#","bufferId":"{}""#, entry % 8));
            let edit = if edit { r#","message_is_edit":true"# } else { "" };
            format!(
                r#"{{"type":"inbound","event":{{"text":"hello","message_id":"{id}","source":{{"platform":"discord","chat_id":"{chat}","user_id":"u{id}"{edit}}}}}{entry}}}"#
            )
        },
    );
    prop_oneof![
        2 => Just(DESCRIPTOR.to_owned()),
        1 => Just(DRAFTS.to_owned()),
        2 => prop::sample::select(FRAMES).prop_map(str::to_owned),
        4 => inbound,
        1 => "\\PC{0,20}",
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec((frame(), prop::bool::weighted(0.2)), 1..4).prop_map(|lines| {
        let text: String =
            lines.into_iter().map(|(line, unfinished)| line + if unfinished { "" } else { "\n" }).collect();
        text.into_bytes()
    });
    prop_oneof![
        6 => frame().prop_map(|line| (line + "\n").into_bytes()),
        3 => lines,
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let chat = || prop::sample::select(&["0", "1", "2", ""][..]).prop_map(str::to_owned);
    let platform =
        || prop::option::of(prop::sample::select(&["discord", "matrix"][..]).prop_map(str::to_owned));
    prop_oneof![
        6 => (chat(), platform(), 0..300usize).prop_map(|(chat_id, platform, size)| {
            let mut send = SendMessage::new(chat_id, "x".repeat(size));
            send.platform = platform;
            Command::from(send)
        }),
        1 => chat().prop_map(|chat_id| Command::from(EditMessage::new(chat_id, "", ""))),
        1 => (chat(), platform()).prop_map(|(chat_id, platform)| {
            let mut typing = Typing::new(chat_id);
            typing.platform = platform;
            Command::from(typing)
        }),
        1 => chat().prop_map(|chat_id| Command::from(GetChatInfo::new(chat_id))),
        5 => stream(),
        1 => Just(Command::Interrupt(Interrupt::new(""))),
        1 => Just(Command::from(Raw::new(serde_json::Map::new()))),
        2 => Just(Command::GoIdle),
        1 => Just(Command::GoDormant),
        1 => (0..90_000u64).prop_map(|ms| Command::Hold(Duration::from_millis(ms))),
        2 => Just(Command::Resume),
        1 => Just(Command::Disconnect),
    ]
}

/// Generates a state of one of four streams. Some are too long for one message of slack's descriptor.
fn stream() -> impl Strategy<Value = Command> {
    (0..4u8, 0..120usize, prop::bool::weighted(0.4), any::<bool>()).prop_map(|(name, size, last, segment)| {
        let (stream, chat_id) = (name.to_string(), (name % 3).to_string());
        let text = "x ".repeat(size);
        Command::Stream(StreamReply::new(stream, text).chat_id(chat_id).last(last).segment(segment))
    })
}

fn input() -> impl Strategy<Value = Input> {
    // Mostly the current dial, sometimes an older one.
    let ago = || prop_oneof![8 => Just(0u8), 1 => 1..4u8];
    let outcome = prop::sample::select(&[Outcome::Accepted, Outcome::Refused][..]);
    prop_oneof![
        4 => prop_oneof![0..40_000u64, 0..1000u64].prop_map(Input::Wait),
        1 => prop_oneof![0..100_000u64, Just(u64::MAX), any::<u64>()].prop_map(Input::Jump),
        3 => Just(Input::Tick),
        3 => Just(Input::Due),
        12 => (ago(), bytes(), 0..200usize).prop_map(|(ago, bytes, at)| Input::Bytes(ago, bytes, at)),
        6 => ago().prop_map(Input::Opened),
        2 => (
            ago(),
            prop::sample::select(&[None, Some(401), Some(401), Some(503)][..]),
            prop::sample::select(&["", r#"{"error":"expired"}"#, r#"{"error":"no"}"#, "{"][..]),
        )
            .prop_map(|(ago, status, body)| Input::DialFailed(ago, status, body)),
        2 => (
            ago(),
            prop::sample::select(&[None, Some(1000), Some(4401), Some(4401)][..]),
            prop::sample::select(&["", "expired", "going away"][..]),
        )
            .prop_map(|(ago, code, reason)| Input::Closed(ago, code, reason)),
        1 => ago().prop_map(Input::Alive),
        8 => command().prop_map(|command| Input::Submit(Box::new(command))),
        4 => (
            0..4u64,
            prop::sample::select(&[r#"{"success":true,"message_id":"m"}"#, "{}", r#"{"ambiguous":true}"#, r#"{"code":"egress_declined"}"#][..]),
        )
            .prop_map(|(ago, result)| Input::Answer(ago, result)),
        4 => (prop::sample::select(REQUESTS), prop::bool::weighted(0.9))
            .prop_map(|((path, body), signed)| Input::Request(path, body, signed)),
        4 => (0..5u64, outcome).prop_map(|(ago, outcome)| Input::Settle(ago, outcome)),
        8 => Just(Input::Actions),
        8 => Just(Input::Transmit),
        6 => (0..4usize).prop_map(Input::Deliveries),
    ]
}

fn config(confirm_revocation: bool) -> Config {
    let mut config = small_limits();
    config.confirm_revocation = confirm_revocation;
    config
}

fn cases() -> ProptestConfig {
    let known = FileFailurePersistence::Direct(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/proptest-regressions/properties.txt"
    ));
    ProptestConfig {
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(known)),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    /// L-6, L-10, L-14, L-15, O-1, O-3, O-6, W-6, A-6, H-6: see `Driver`. The same inputs also give the same outputs.
    #[test]
    fn any_inputs_keep_the_rules(
        confirm in any::<bool>(),
        inputs in prop::collection::vec(input(), 0..80),
    ) {
        let (first, second) = (Driver::play(config(confirm), &inputs), Driver::play(config(confirm), &inputs));
        prop_assert_eq!(&first.outputs, &second.outputs);
        prop_assert_eq!(first.machine.stats(), second.machine.stats());
    }

    /// On a connection that is up most rules apply.
    #[test]
    fn any_inputs_on_a_connection_keep_the_rules(
        confirm in any::<bool>(),
        inputs in prop::collection::vec(input(), 0..60),
    ) {
        let mut all = handshake();
        all.extend(inputs);
        Driver::play(config(confirm), &all);
    }

    /// W-1: the positions of the cuts do not matter, as long as all outputs are taken in between.
    #[test]
    fn w_1_cuts_of_the_bytes_do_not_change_the_outputs(
        pieces in prop::collection::vec(bytes(), 1..12),
        cuts in prop::collection::vec(0..3000usize, 0..20),
    ) {
        let stream = pieces.concat();
        let lanes = |cuts: &[usize]| lanes(Driver::new(small_limits()), &handshake(), &stream, cuts);
        let (cut, whole) = (lanes(&cuts), lanes(&[]));
        // Only the number of waiting duplicates depends on when the host polls the delivery in flight (A-4).
        prop_assume!(cut.is_some() && whole.is_some());
        prop_assert_eq!(cut, whole);
    }
}
