//! Workloads by name. Their instructions and allocations are counted.

use crate::events::{Frame, borrowed, owned};
use crate::machine::Gateway;
use crate::requests::{Outbound, send};
use std::hint::black_box;

/// One call of something that is measured.
pub type Workload = Box<dyn FnMut()>;

/// Names of the workloads, which are also names of benches.
pub const NAMES: [&str; 6] =
    ["event", "buffered_event", "request", "serde_owned", "serde_borrowed", "serde_writer"];

/// Maximum number of calls of a workload. Its inputs are prepared when it is created.
pub const MAX_CALLS: u64 = 11_000;

/// Creates a workload; `None` for an unknown name.
pub fn workload(name: &str) -> Option<Workload> {
    let mut number = 0;
    Some(match name {
        "event" => {
            let mut gateway = Gateway::new();
            Box::new(move || drop(black_box(gateway.event())))
        }
        "buffered_event" => {
            let mut gateway = Gateway::new();
            Box::new(move || drop(black_box(gateway.buffered_event())))
        }
        "request" => {
            let mut gateway = Gateway::new();
            // The host's own cost of a message is not the machine's.
            let mut messages: Vec<_> = (0..MAX_CALLS).map(|_| send()).collect();
            Box::new(move || drop(black_box(gateway.request(messages.pop().unwrap()))))
        }
        "serde_owned" => {
            let mut frame = Frame::new(false);
            Box::new(move || {
                number += 1;
                drop(black_box(serde_json::from_slice::<owned::Frame>(frame.with(number, 1)).unwrap()));
            })
        }
        "serde_borrowed" => {
            let mut frame = Frame::new(false);
            Box::new(move || {
                number += 1;
                drop(black_box(
                    serde_json::from_slice::<borrowed::Frame<'_>>(frame.with(number, 1)).unwrap(),
                ));
            })
        }
        "serde_writer" => {
            let mut out = Vec::new();
            let mut frames: Vec<_> = (0..MAX_CALLS).map(|_| Outbound::new()).collect();
            Box::new(move || black_box(frames.pop().unwrap()).write(black_box(&mut out)))
        }
        _ => return None,
    })
}
