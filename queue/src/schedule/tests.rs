//! Tests of the order of hand-outs.

use super::{AgentNo, Schedule, Waiting};
use crate::config::QueueLimits;
use crate::id::{AgentId, EntryId};
use relayline_core::time::Time;

const NOW: Time = Time::ZERO;

fn schedule(change: impl FnOnce(&mut QueueLimits)) -> Schedule {
    let mut limits = QueueLimits::default();
    change(&mut limits);
    Schedule::new(&limits, "seed")
}

fn agent(schedule: &mut Schedule, id: &str) {
    assert!(schedule.add_agent(&AgentId::new(id)));
}

fn add(schedule: &mut Schedule, entry: u64, session: &str) {
    schedule.add(NOW, EntryId(entry), &session.into(), Waiting { size: 1, retry_at: NOW });
}

/// Chooses all that can be chosen: entries and their agents.
fn choose(schedule: &mut Schedule, now: Time) -> Vec<(u64, String)> {
    let chosen = std::iter::from_fn(|| schedule.choose(now));
    let chosen: Vec<(u64, AgentNo)> = chosen.map(|chosen| (chosen.entry.0, chosen.agent)).collect();
    let name = |agent| schedule.agent_id(agent).unwrap().to_string();
    chosen.into_iter().map(|(entry, agent)| (entry, name(agent))).collect()
}

fn entries(schedule: &mut Schedule, now: Time) -> Vec<u64> {
    choose(schedule, now).into_iter().map(|(entry, _)| entry).collect()
}

#[test]
fn waiting_sessions_take_turns() {
    let mut schedule = schedule(|_| {});
    for (entry, session) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c"), (6, "b")] {
        add(&mut schedule, entry, session);
    }
    agent(&mut schedule, "x");
    assert_eq!(entries(&mut schedule, NOW), [1, 4, 5, 2, 6, 3]);
}

#[test]
fn a_new_session_goes_to_the_least_loaded_agent_and_stays() {
    let mut schedule = schedule(|_| {});
    ["x", "y"].into_iter().for_each(|id| agent(&mut schedule, id));
    for (entry, session) in [(1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, "b")] {
        add(&mut schedule, entry, session);
    }
    let to = |entry: u64, agent: &str| (entry, agent.to_owned());
    assert_eq!(choose(&mut schedule, NOW), [to(1, "x"), to(2, "y"), to(3, "x"), to(4, "x"), to(5, "y")]);
    (1..=5).for_each(|entry| schedule.finish(NOW, EntryId(entry)));
    // Nothing is out: the number of sessions decides, and a session that was there stays.
    add(&mut schedule, 6, "d");
    add(&mut schedule, 7, "c");
    assert_eq!(choose(&mut schedule, NOW), [to(6, "y"), to(7, "x")]);
    assert_eq!(schedule.agent_of("c").unwrap().as_str(), "x");
}

#[test]
fn a_busy_agent_does_not_hold_up_the_sessions_of_others() {
    let mut schedule = schedule(|limits| limits.agent_window = 1);
    ["x", "y"].into_iter().for_each(|id| agent(&mut schedule, id));
    for (entry, session) in [(1, "a"), (2, "b"), (3, "a"), (4, "b")] {
        add(&mut schedule, entry, session);
    }
    assert_eq!(entries(&mut schedule, NOW), [1, 2]);
    schedule.finish(NOW, EntryId(2));
    assert_eq!(entries(&mut schedule, NOW), [4]);
}

#[test]
fn an_entry_that_waits_holds_up_the_later_ones() {
    let mut schedule = schedule(|limits| limits.session_window = 2);
    agent(&mut schedule, "x");
    (1..=4).for_each(|entry| add(&mut schedule, entry, "a"));
    assert_eq!(entries(&mut schedule, NOW), [1, 2]);
    let later = Time::from_millis(10);
    schedule.put_back(NOW, EntryId(2), later);
    assert_eq!((entries(&mut schedule, NOW), schedule.deadline()), (vec![], Some(later)));
    schedule.put_back(NOW, EntryId(1), Time::from_millis(20));
    assert_eq!(schedule.deadline(), Some(Time::from_millis(20)));
    schedule.set_retry(NOW, EntryId(1), NOW);
    assert_eq!(entries(&mut schedule, NOW), [1]);
    schedule.handle_tick(later);
    assert_eq!((entries(&mut schedule, later), schedule.deadline()), (vec![2], None));
}

#[test]
fn a_cautious_session_gets_one_at_a_time() {
    let mut schedule = schedule(|_| {});
    agent(&mut schedule, "x");
    (1..=3).for_each(|entry| add(&mut schedule, entry, "a"));
    schedule.set_cautious(NOW, "a", true);
    assert_eq!(entries(&mut schedule, NOW), [1]);
    schedule.finish(NOW, EntryId(1));
    schedule.set_cautious(NOW, "a", false);
    assert_eq!(entries(&mut schedule, NOW), [2, 3]);
}

#[test]
fn the_sessions_of_an_agent_that_ends_are_free() {
    let mut schedule = schedule(|_| {});
    ["x", "y"].into_iter().for_each(|id| agent(&mut schedule, id));
    for (entry, session) in [(1, "a"), (2, "b"), (3, "a")] {
        add(&mut schedule, entry, session);
    }
    entries(&mut schedule, NOW);
    add(&mut schedule, 4, "a");
    assert_eq!(entries(&mut schedule, NOW), [4]);
    add(&mut schedule, 5, "a");
    let (_, left) = schedule.remove_agent(NOW, &AgentId::new("x")).unwrap();
    assert_eq!(left, [[EntryId(1), EntryId(3), EntryId(4)]]);
    for entry in left.into_iter().flatten() {
        schedule.put_back(NOW, entry, NOW);
    }
    let to_y = |entry: u64| (entry, "y".to_owned());
    assert_eq!(choose(&mut schedule, NOW), [to_y(1), to_y(3), to_y(4), to_y(5)]);
    assert!(schedule.remove_agent(NOW, &AgentId::new("x")).is_none());
    assert_eq!((schedule.agents(), schedule.out_entries(), schedule.sessions()), (1, 5, 2));
}

#[test]
fn idle_sessions_are_forgotten_beyond_the_limit() {
    let mut schedule = schedule(|limits| limits.sticky_sessions = 2);
    agent(&mut schedule, "x");
    for (entry, session) in [(1, "a"), (2, "b"), (3, "c")] {
        add(&mut schedule, entry, session);
    }
    entries(&mut schedule, NOW);
    [2, 1, 3].into_iter().for_each(|entry| schedule.finish(NOW, EntryId(entry)));
    assert!(schedule.agent_of("b").is_none() && schedule.agent_of("a").is_some());
    assert_eq!((schedule.sessions(), schedule.sessions_forgotten()), (2, 1));
    // Entries that leave while nothing has an agent leave nothing behind.
    schedule.remove_agent(NOW, &AgentId::new("x"));
    add(&mut schedule, 4, "d");
    schedule.finish(NOW, EntryId(4));
    assert_eq!((schedule.sessions(), schedule.places.len()), (0, 0));
    assert!(schedule.unbound.is_empty() && schedule.timers.is_empty());
}
