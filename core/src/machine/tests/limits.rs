//! nothing grows without bound, and every drop is counted.

use super::driver::{Rig, buffered, inbound, send};
use crate::command::Command;
use std::time::Duration;

#[test]
fn x_02_every_counter_has_a_name() {
    let rig = Rig::new();
    let names: Vec<&str> = rig.machine.stats().iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"moot_acks") && names.len() > 20);
    assert_eq!(rig.machine.stats().iter().map(|(_, count)| count).sum::<u64>(), 1, "one dial");
}
