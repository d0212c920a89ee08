//! Faults that a connector or a network can have, and the instructions that cause them.

use relayline_connector::Act;
use relayline_core::op::{OPS, Returns};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Delay of results by [`Fault::Slow`].
const SLOW_MS: u64 = 3_000;
/// Delay that is longer than any request waits.
const NEVER_MS: u64 = 24 * 3_600_000;

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
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

impl Fault {
    /// Returns true if the fault lasts until it is ended.
    pub(crate) fn lasts(self) -> bool {
        match self {
            Fault::Drop | Fault::HalfOpen | Fault::Expire | Fault::Duplicate => false,
            Fault::Revoke
            | Fault::Mute
            | Fault::Slow
            | Fault::WithholdAnswers
            | Fault::RefuseOps
            | Fault::WithholdIdleAck => true,
        }
    }

    /// Returns the instructions that begin or end the fault; none for [`Fault::Duplicate`], whose message the chats
    /// know.
    pub(crate) fn acts(self, on: bool) -> Vec<Act> {
        match self {
            Fault::Drop => vec![Act::Drop],
            Fault::HalfOpen => vec![Act::HalfOpen],
            Fault::Expire => vec![Act::Expire],
            Fault::Duplicate => Vec::new(),
            Fault::Revoke => vec![Act::Revoke { on }],
            Fault::Mute => vec![Act::Mute { on }],
            Fault::Slow => each_op(|op| Act::Delay { op, ms: if on { SLOW_MS } else { 0 } }),
            Fault::WithholdAnswers => each_op(|op| Act::Delay { op, ms: if on { NEVER_MS } else { 0 } }),
            Fault::RefuseOps => {
                let refusal = json!({"success": false, "error": "refused by the workbench"});
                let result = if on { refusal } else { Value::Null };
                each_op(|op| Act::Answer { op, result: result.clone() })
            }
            Fault::WithholdIdleAck => vec![Act::IdleAck { on: !on }],
        }
    }

    /// Returns the fault that this one replaces, since both use the same instruction.
    fn rival(self) -> Option<Fault> {
        match self {
            Fault::Slow => Some(Fault::WithholdAnswers),
            Fault::WithholdAnswers => Some(Fault::Slow),
            _ => None,
        }
    }
}

fn each_op(act: impl Fn(String) -> Act) -> Vec<Act> {
    let named = OPS.iter().filter(|op| op.returns != Returns::Raw);
    named.map(|op| act(op.name.to_owned())).collect()
}

/// Faults that are on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Faults(BTreeSet<Fault>);

impl Faults {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    /// Notes that a fault was begun or ended.
    pub(crate) fn note(&mut self, fault: Fault, on: bool) {
        if on && fault.lasts() {
            self.0.extend([fault]);
            fault.rival().map(|rival| self.0.remove(&rival));
        } else {
            self.0.remove(&fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_and_withheld_answers_exclude_each_other() {
        let mut faults = Faults::default();
        faults.note(Fault::Slow, true);
        faults.note(Fault::Drop, true);
        assert_eq!(serde_json::to_value(&faults).unwrap(), json!(["slow"]));
        faults.note(Fault::WithholdAnswers, true);
        assert_eq!(serde_json::to_value(&faults).unwrap(), json!(["withhold_answers"]));
        faults.note(Fault::WithholdAnswers, false);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn a_trouble_of_results_is_for_every_op() {
        let acts = Fault::RefuseOps.acts(true);
        assert_eq!(acts.len(), OPS.iter().filter(|op| op.name != "raw").count());
        let is_end = |act: &Act| matches!(act, Act::Answer { result: Value::Null, .. });
        assert!(Fault::RefuseOps.acts(false).iter().all(is_end));
    }
}
