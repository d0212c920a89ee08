//! Any bytes, cut anywhere, at any stage of a connection (W-1 to W-11). The machine keeps its invariants, and the cuts
//! make no difference. For any bytes in the text of a buffered line, its entry is acknowledged once (A-9).

use relayline_core::output::Outcome;
use relayline_harness::testing::frames::{DESCRIPTOR, handshake};
use relayline_harness::testing::{Driver, Input, lanes, small_limits};

/// Prefix of the acknowledgement of the entry.
const ACK: &str = r#"{"type":"inbound_ack","bufferId":"entry""#;

/// Number of stages before the bytes: dialing, upgraded, with a descriptor, served with a request.
const STAGES: u8 = 4;

pub(crate) fn run(data: &[u8]) {
    // Two bytes select the stage and the host, one the cuts.
    let Some((&[stage, host, seed], stream)) = data.split_first_chunk::<3>() else { return };
    let before = match stage % STAGES {
        0 => vec![Input::Actions],
        1 => vec![Input::Actions, Input::Opened(0)],
        2 => vec![
            Input::Actions,
            Input::Opened(0),
            Input::Bytes(0, format!("{DESCRIPTOR}\n").into_bytes(), 0),
            Input::Actions,
        ],
        _ => handshake(),
    };
    let cuts = cuts(seed, stream.len());
    play_slow_host(&before, stream, &cuts, host);
    check_drain(stream);
    let whole = lanes(driver(), &before, stream, &[]);
    let cut = lanes(driver(), &before, stream, &cuts);
    // Only the number of waiting duplicates depends on when the host takes the first copy (A-4).
    if whole.is_some() && cut.is_some() {
        assert_eq!(cut, whole, "W-1");
    }
}

/// Checks A-9: any text in a buffered line does not stop the drain, as long as it does not end the text.
fn check_drain(stream: &[u8]) {
    let text: Vec<u8> =
        stream.iter().copied().filter(|byte| !matches!(byte, b'"' | b'\\' | b'\n')).take(1500).collect();
    let mut driver = driver();
    handshake().iter().for_each(|input| driver.apply(input));
    let before = driver.outputs.len();
    let line =
        [br#"{"type":"inbound","event":{"text":""#, &text[..], br#""},"bufferId":"entry"}"#, b"\n"].concat();
    driver.apply(&Input::Bytes(0, line, 0));
    driver.drain();
    for delivery in 0..driver.last_delivery {
        driver.apply(&Input::Settle(delivery, Outcome::Accepted));
    }
    driver.drain();
    driver.check();
    let acks = driver.frames_from(before).filter(|frame| frame.contains(ACK));
    assert_eq!(acks.count(), 1, "A-9: {:?}", driver.outputs);
    driver.finish();
}

/// Returns a driver whose machine has room for real frames.
fn driver() -> Driver {
    let mut config = small_limits();
    config.passthrough = true;
    config.limits.max_line_bytes = 2000;
    config.limits.read_ahead_bytes = 8000;
    Driver::new(config)
}

/// Returns up to eight positions, drawn from a seed; none for zero.
fn cuts(seed: u8, length: usize) -> Vec<usize> {
    let draw = |n: usize| usize::from(seed).wrapping_mul(0x9e37_79b1).wrapping_mul(2 * n + 1) >> 7;
    (0..usize::from(seed % 9)).map(|n| draw(n) % (length + 1)).collect()
}

/// Plays a host that takes deliveries at times or never. In the end everything completes.
fn play_slow_host(before: &[Input], stream: &[u8], cuts: &[usize], host: u8) {
    let mut driver = driver();
    before.iter().for_each(|input| driver.apply(input));
    let mut ends = [cuts, &[stream.len()]].concat();
    ends.sort_unstable();
    let mut at = 0;
    for end in ends {
        driver.apply(&Input::Bytes(0, stream[at..end].to_vec(), 0));
        at = end;
        driver.check();
        let between = [
            (1, Input::Actions),
            (2, Input::Transmit),
            (4, Input::Deliveries(2)),
            (8, Input::Due),
            (16, Input::Settle(0, Outcome::Accepted)),
            (32, Input::Settle(1, Outcome::Refused)),
            (64, Input::Closed(0, Some(4401), "")),
        ];
        for (_, input) in between.iter().filter(|(bit, _)| host & bit != 0) {
            driver.apply(input);
            driver.check();
        }
    }
    driver.finish();
}
