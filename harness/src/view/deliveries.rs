//! Deliveries from the connector's buffer, joined with their acknowledgements.

use super::marks::{Marks, Place, duration};
use super::model::LinkKind;
use super::problems::ProblemKind;
use std::collections::{BTreeMap, VecDeque};

/// Maximum number of entries that are remembered. The oldest leaves.
const MAX_ENTRIES: usize = 16_384;
/// Time after which a delivery without an acknowledgement is marked, as connectors report it.
const ACK_MS: u64 = 10_000;

/// An entry of the connector's buffer.
#[derive(Clone, Copy, Debug)]
struct BufferedDelivery {
    place: Place,
    dial: usize,
    is_acked: bool,
    is_marked: bool,
}

/// Buffered deliveries by entry id.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    known: BTreeMap<String, BufferedDelivery>,
    order: VecDeque<String>,
    /// Entries without an acknowledgement, by dial and position of their delivery.
    open: BTreeMap<(usize, usize), String>,
    /// Deliveries in the order of their times, until their acknowledgement is due.
    due: VecDeque<(u64, String)>,
}

impl Deliveries {
    /// Adds a delivery of an entry.
    pub(super) fn deliver(&mut self, dial: usize, id: &str, place: Place, marks: &mut Marks) {
        let of_dial = self.open.range((dial, 0)..(dial + 1, 0));
        if let Some((_, other)) = of_dial.into_iter().find(|(_, other)| other.as_str() != id) {
            let detail = format!("{} is not acknowledged yet.", super::gist::quoted(other, 60));
            marks.problem(place.at, ProblemKind::OutOfTurn, detail);
        }
        let entry = BufferedDelivery { place, dial, is_acked: false, is_marked: false };
        match self.known.insert(id.to_owned(), entry) {
            None => self.order.push_back(id.to_owned()),
            Some(before) => {
                self.open.remove(&(before.dial, before.place.at));
                marks.link(before.place, place, LinkKind::Again);
                if before.is_acked {
                    marks.problem(place.at, ProblemKind::DuplicateDelivery, "");
                } else if before.dial == dial && !before.is_marked {
                    marks.problem(before.place.at, ProblemKind::Unacked, "It is delivered again.");
                }
            }
        }
        self.open.insert((dial, place.at), id.to_owned());
        self.due.push_back((place.t.saturating_add(ACK_MS), id.to_owned()));
        if self.order.len() > MAX_ENTRIES
            && let Some(oldest) = self.order.pop_front()
            && let Some(left) = self.known.remove(&oldest)
        {
            self.open.remove(&(left.dial, left.place.at));
        }
    }

    /// Joins an acknowledgement with its delivery. Returns the delivery's position.
    pub(super) fn ack(&mut self, dial: usize, id: &str, place: Place, marks: &mut Marks) -> Option<usize> {
        match self.known.get_mut(id) {
            Some(entry) if entry.dial == dial && !entry.is_acked => {
                entry.is_acked = true;
                self.open.remove(&(entry.dial, entry.place.at));
                marks.link(entry.place, place, LinkKind::Ack);
                Some(entry.place.at)
            }
            known => {
                let detail = match known.map(|entry| entry.dial == dial) {
                    Some(true) => "The entry is acknowledged already.",
                    Some(false) => "The entry was delivered on an earlier connection.",
                    None => "No entry of this id was delivered.",
                };
                marks.problem(place.at, ProblemKind::StrayAck, detail);
                None
            }
        }
    }

    /// Marks deliveries whose acknowledgement is overdue.
    pub(super) fn expire(&mut self, now: u64, marks: &mut Marks) {
        while self.due.front().is_some_and(|(due, _)| *due < now)
            && let Some((_, id)) = self.due.pop_front()
        {
            if let Some(entry) = self.known.get_mut(&id).filter(|entry| !entry.is_acked && !entry.is_marked) {
                // A later delivery of the same entry has its own time.
                if entry.place.t.saturating_add(ACK_MS) < now {
                    entry.is_marked = true;
                    let detail = format!("No acknowledgement came within {}.", duration(ACK_MS));
                    marks.problem(entry.place.at, ProblemKind::Unacked, detail);
                }
            }
        }
    }

    /// Marks the deliveries of a connection that has ended.
    pub(super) fn lose(&mut self, dial: usize, marks: &mut Marks) {
        let mut later = self.open.split_off(&(dial, 0));
        let mut after = later.split_off(&(dial + 1, 0));
        self.open.append(&mut after);
        self.mark(&later, "The connection ended without one.", marks);
    }

    /// Marks the deliveries that are not acknowledged at the end of the recording.
    pub(super) fn end(&mut self, marks: &mut Marks) {
        let open = std::mem::take(&mut self.open);
        self.mark(&open, "The recording ends without one.", marks);
    }

    fn mark(&mut self, open: &BTreeMap<(usize, usize), String>, detail: &str, marks: &mut Marks) {
        for id in open.values() {
            if let Some(entry) = self.known.get_mut(id).filter(|entry| !entry.is_acked && !entry.is_marked) {
                entry.is_marked = true;
                marks.problem(entry.place.at, ProblemKind::Unacked, detail);
            }
        }
    }
}
