//! Requests to go idle, joined with their confirmations.

use super::marks::{Marks, Place};
use super::model::LinkKind;
use super::problems::ProblemKind;

/// Time within which a connector must confirm.
const CONFIRM_MS: u64 = 10_000;

/// Idleness of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idleness {
    asked: Option<Place>,
    was_asked: bool,
    is_idle: bool,
}

impl Idleness {
    pub(super) fn ask(&mut self, place: Place, marks: &mut Marks) {
        if self.was_asked {
            marks.problem(place.at, ProblemKind::IdleTwice, "");
        }
        (self.asked, self.was_asked) = (Some(place), true);
    }

    pub(super) fn confirm(&mut self, place: Place, marks: &mut Marks) {
        match self.asked.take() {
            Some(asked) => marks.link(asked, place, LinkKind::Idle),
            None if !self.was_asked => marks.problem(place.at, ProblemKind::StrayIdleAck, ""),
            None => {}
        }
        self.is_idle |= self.was_asked;
    }

    /// Returns true if the connector has confirmed.
    pub(super) fn is_confirmed(self) -> bool {
        self.is_idle
    }

    /// Marks a live delivery after the confirmation.
    pub(super) fn live(self, place: Place, marks: &mut Marks) {
        if self.is_idle {
            marks.problem(place.at, ProblemKind::LiveWhileIdle, "");
        }
    }

    pub(super) fn expire(&mut self, now: u64, marks: &mut Marks) {
        if let Some(asked) = self.asked.take_if(|asked| asked.t.saturating_add(CONFIRM_MS) < now) {
            marks.problem(asked.at, ProblemKind::IdleUnconfirmed, "No confirmation came within 10 s.");
        }
    }

    pub(super) fn end(&mut self, marks: &mut Marks) {
        if let Some(asked) = self.asked.take() {
            marks.problem(asked.at, ProblemKind::IdleUnconfirmed, "The connection ended without one.");
        }
    }
}
