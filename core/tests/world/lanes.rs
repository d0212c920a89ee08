//! W-1: what comes of a stream of bytes, wherever it is cut.

use super::{Input, World};
use relayline_core::output::{DeliveryId, Outcome};

/// What comes of a stream in pieces, lane by lane: lanes may take turns, within each the order is the same, except that
/// the acknowledgement of a double waits for its twin. `None` where too many doubles waited.
pub(crate) fn lanes(
    mut world: World,
    before: &[Input],
    stream: &[u8],
    cuts: &[usize],
) -> Option<[Vec<String>; 6]> {
    before.iter().for_each(|input| world.apply(input));
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(stream.len());
    feed(&mut world, stream, &ends);
    let mut lanes: [Vec<String>; 6] = ["Delivery", "Frame", "Ping", "Interrupt", "Notify", "Complete"]
        .map(|lane| world.trace.iter().filter(|line| line.starts_with(lane)).cloned().collect());
    lanes[1].sort_unstable();
    (world.machine.stats().waiters_dropped == 0).then_some(lanes)
}

/// Bytes piece by piece, all that comes out taken in between.
fn feed(world: &mut World, stream: &[u8], ends: &[usize]) {
    let Some(conn) = world.conn(0) else { return };
    // What the machine has to say first is said, even where the first line ends it all.
    world.drain();
    let mut at = 0;
    for &end in ends {
        while at < end {
            let taken = world.bytes(conn, &stream[at..end]);
            at += taken;
            world.drain();
            if world.machine.wants_read() {
                continue;
            }
            // It is full of what the host holds: the host lets go of it, the oldest first.
            for delivery in 1..=world.last_delivery {
                let id = DeliveryId::from_number(delivery);
                world.machine.settle(world.now, id, Outcome::Taken);
            }
            world.drain();
            if taken == 0 && !world.machine.wants_read() {
                // Or of what waits for a descriptor that does not come (L-17).
                return;
            }
        }
    }
}
