//! Troubles that a connector or a network can have, and the instructions that cause them.

use relayline_connector::Act;
use relayline_core::op::{OPS, Returns};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Delay of results by [`Trouble::Slow`].
const SLOW_MS: u64 = 3_000;
/// Delay that is longer than any request waits.
const NEVER_MS: u64 = 24 * 3_600_000;

/// A trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trouble {
    /// Cuts the connection, once.
    Drop,
    /// Loses the connection without an end: nothing comes through any more. Once.
    HalfOpen,
    /// Treats the token as expired, once.
    Expire,
    /// Delivers the last message again, once.
    Duplicate,
    /// Refuses the gateway for good.
    Revoke,
    /// Accepts connections and says nothing.
    Mute,
    /// Delays the results of ops.
    Slow,
    /// Carries ops out, and does not answer them.
    WithholdAnswers,
    /// Refuses each op.
    RefuseOps,
    /// Does not confirm that the gateway goes idle.
    WithholdIdleAck,
}

impl Trouble {
    /// Returns true if the trouble lasts until it is ended.
    pub(crate) fn lasts(self) -> bool {
        match self {
            Trouble::Drop | Trouble::HalfOpen | Trouble::Expire | Trouble::Duplicate => false,
            Trouble::Revoke
            | Trouble::Mute
            | Trouble::Slow
            | Trouble::WithholdAnswers
            | Trouble::RefuseOps
            | Trouble::WithholdIdleAck => true,
        }
    }

    /// Returns the instructions that begin or end the trouble; none for [`Trouble::Duplicate`], whose message the chats
    /// know.
    fn acts(self, on: bool) -> Vec<Act> {
        match self {
            Trouble::Drop => vec![Act::Drop],
            Trouble::HalfOpen => vec![Act::HalfOpen],
            Trouble::Expire => vec![Act::Expire],
            Trouble::Duplicate => Vec::new(),
            Trouble::Revoke => vec![Act::Revoke { on }],
            Trouble::Mute => vec![Act::Mute { on }],
            Trouble::Slow => each_op(|op| Act::Delay { op, ms: if on { SLOW_MS } else { 0 } }),
            Trouble::WithholdAnswers => each_op(|op| Act::Delay { op, ms: if on { NEVER_MS } else { 0 } }),
            Trouble::RefuseOps => {
                let refusal = json!({"success": false, "error": "refused by the workbench"});
                let result = if on { refusal } else { Value::Null };
                each_op(|op| Act::Answer { op, result: result.clone() })
            }
            Trouble::WithholdIdleAck => vec![Act::IdleAck { on: !on }],
        }
    }

    /// Returns the trouble that this one replaces, since both use the same instruction.
    fn rival(self) -> Option<Trouble> {
        match self {
            Trouble::Slow => Some(Trouble::WithholdAnswers),
            Trouble::WithholdAnswers => Some(Trouble::Slow),
            _ => None,
        }
    }
}

fn each_op(act: impl Fn(String) -> Act) -> Vec<Act> {
    let named = OPS.iter().filter(|op| op.returns != Returns::Raw);
    named.map(|op| act(op.name.to_owned())).collect()
}

/// Troubles that are on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Troubles(BTreeSet<Trouble>);

impl Troubles {
    /// Returns the instructions that begin or end a trouble.
    pub(crate) fn plan(&self, trouble: Trouble, on: bool) -> Vec<Act> {
        trouble.acts(on)
    }

    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.0.contains(&trouble)
    }

    /// Notes that a trouble was begun or ended.
    pub(crate) fn note(&mut self, trouble: Trouble, on: bool) {
        if on && trouble.lasts() {
            self.0.extend([trouble]);
            trouble.rival().map(|rival| self.0.remove(&rival));
        } else {
            self.0.remove(&trouble);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_and_withheld_answers_exclude_each_other() {
        let mut troubles = Troubles::default();
        troubles.note(Trouble::Slow, true);
        troubles.note(Trouble::Drop, true);
        assert_eq!(serde_json::to_value(&troubles).unwrap(), json!(["slow"]));
        troubles.note(Trouble::WithholdAnswers, true);
        assert_eq!(serde_json::to_value(&troubles).unwrap(), json!(["withhold_answers"]));
        troubles.note(Trouble::WithholdAnswers, false);
        assert_eq!(troubles, Troubles::default());
    }

    #[test]
    fn a_trouble_of_results_is_for_every_op() {
        let acts = Troubles::default().plan(Trouble::RefuseOps, true);
        assert_eq!(acts.len(), OPS.iter().filter(|op| op.name != "raw").count());
        let is_end = |act: &Act| matches!(act, Act::Answer { result: Value::Null, .. });
        assert!(Troubles::default().plan(Trouble::RefuseOps, false).iter().all(is_end));
    }
}
