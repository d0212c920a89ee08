//! Comparison of the outputs for a stream of bytes that is cut at different positions (W-1).

use super::driver::{Driver, Input, Output};
use relayline_core::output::{Action, DeliveryId, Outcome, Transmit};

/// Feeds a stream in pieces. Returns the outputs by lane. Lanes may interleave, but the order within each is the same,
/// except that the acknowledgement of a duplicate waits for the first copy. Returns `None` if too many duplicates
/// waited.
pub fn lanes(
    mut driver: Driver,
    before: &[Input],
    stream: &[u8],
    cuts: &[usize],
) -> Option<[Vec<String>; 6]> {
    before.iter().for_each(|input| driver.apply(input));
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(stream.len());
    feed(&mut driver, stream, &ends);
    let mut lanes = [const { Vec::new() }; 6];
    for output in &driver.outputs {
        if let Some(lane) = lane(output) {
            lanes[lane].push(format!("{output:?}"));
        }
    }
    lanes[FRAMES].sort_unstable();
    (driver.machine.stats().waiters_dropped == 0).then_some(lanes)
}

const FRAMES: usize = 1;

fn lane(output: &Output) -> Option<usize> {
    match output {
        Output::Delivery(_) => Some(0),
        Output::Sent(Transmit::Frame { .. }, _) => Some(FRAMES),
        Output::Sent(Transmit::Ping { .. }, _) => Some(2),
        Output::Action(Action::Interrupt { .. }) => Some(3),
        Output::Action(Action::Notify(_)) => Some(4),
        Output::Action(Action::Complete { .. }) => Some(5),
        Output::Action(_) | Output::Sent(..) | Output::Response(_) => None,
    }
}

/// Feeds bytes piece by piece, and takes the outputs after each piece.
fn feed(driver: &mut Driver, stream: &[u8], ends: &[usize]) {
    let Some(conn) = driver.conn(0) else { return };
    // The machine's first outputs are taken even if the first line ends the connection.
    driver.drain();
    let mut at = 0;
    for &end in ends {
        while at < end {
            let taken = driver.bytes(conn, &stream[at..end]);
            at += taken;
            driver.drain();
            if driver.machine.wants_read() {
                continue;
            }
            // The host's queue is full: the host settles deliveries, oldest first.
            for delivery in 1..=driver.last_delivery {
                let id = DeliveryId::from_number(delivery);
                driver.machine.settle(driver.now, id, Outcome::Accepted);
            }
            driver.drain();
            if taken == 0 && !driver.machine.wants_read() {
                // Or the read-ahead waits for a descriptor that does not come (L-17).
                return;
            }
        }
    }
}
