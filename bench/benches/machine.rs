//! Time of the machine, and of hand-written code for the same frames.
#![allow(clippy::unwrap_used)] // A bench that cannot go on should stop.

use divan::{Bencher, black_box};
use relayline_bench::events::{Frame, borrowed, owned};
use relayline_bench::machine::{Gateway, Load};
use relayline_bench::requests::{Outbound, send};

fn main() {
    divan::main();
}

/// Passes an event from its bytes to the host, which accepts it.
#[divan::bench]
fn event(bencher: Bencher<'_, '_>) {
    let mut gateway = Gateway::new();
    bencher.bench_local(|| gateway.event());
}

/// The same for an entry of the connector's buffer, with its acknowledgement.
#[divan::bench]
fn buffered_event(bencher: Bencher<'_, '_>) {
    let mut gateway = Gateway::new();
    bencher.bench_local(|| gateway.buffered_event());
}

/// Submits a message, writes it, and reads its result.
#[divan::bench]
fn request(bencher: Bencher<'_, '_>) {
    let mut gateway = Gateway::new();
    bencher.with_inputs(send).bench_local_values(|message| gateway.request(message));
}

/// Parses the frame of an event into owned structs.
#[divan::bench]
fn serde_owned(bencher: Bencher<'_, '_>) {
    let (mut frame, mut number) = (Frame::new(false), 0);
    bencher.bench_local(|| {
        number += 1;
        serde_json::from_slice::<owned::Frame>(black_box(frame.with(number, 1))).unwrap()
    });
}

/// Parses the frame of an event into structs that borrow from it.
#[divan::bench]
fn serde_borrowed(bencher: Bencher<'_, '_>) {
    let (mut frame, mut number) = (Frame::new(false), 0);
    bencher.bench_local(|| {
        number += 1;
        black_box(serde_json::from_slice::<borrowed::Frame<'_>>(frame.with(number, 1)).unwrap());
    });
}

/// Writes the frame of a message from owned structs, and drops them, since the machine takes its message by value, too.
#[divan::bench]
fn serde_writer(bencher: Bencher<'_, '_>) {
    let mut out = Vec::new();
    bencher.with_inputs(Outbound::new).bench_local_values(|frame| frame.write(black_box(&mut out)));
}

/// Defines the benches of an event while the machine keeps many of something.
macro_rules! under {
    ($($name:ident $load:ident)*) => { $(
        #[divan::bench(args = [10, 100, 1000, 10_000, 100_000])]
        fn $name(bencher: Bencher<'_, '_>, count: usize) {
            let mut gateway = Gateway::under(Load::$load, count);
            bencher.bench_local(|| gateway.event());
        }
    )* };
}

under! { chats Chats requests Requests prompts Prompts streams Streams unsettled Unsettled }
