//! All scenarios, which are part of the program, and the selection of some.

use super::scenario::{Level, Scenario, ScenarioError, Side};

/// Lists the files of a folder below `harness/conformance/`, without their ending.
macro_rules! files {
    ($folder:literal: $($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../conformance/", $folder, "/", $name, ".toml")))),*]
    };
}

/// Files of scenarios against a gateway, in the order of reports.
const GATEWAY: &[(&str, &str)] = files! { "gateway":
    "handshake" "w-frame-in-pieces" "w-binary-messages" "w-blank-lines" "w-bad-lines" "w-unknown-types"
    "w-long-line" "w-long-line-reported" "w-one-frame-per-message" "w-compact" "w-odd-text" "w-integer-ids"
    "w-duplicate-keys" "w-deep-nesting" "w-pending-tail" "w-nan" "d-missing-field" "d-defaults"
    "d-length-spellings" "d-length-nonsense" "d-utf16" "d-offered-ops" "d-legacy-ops" "d-newer-version"
    "d-version-zero" "d-two-platforms" "d-renegotiated" "e-wrong-types" "e-names" "e-context-lines"
    "e-media-by-url" "e-authorized-upstream" "e-kinds" "e-relay-stamp" "e-slack-command" "s-direct" "s-group"
    "s-auto-thread" "s-slack" "s-whatsapp" "o-request" "o-any-order" "o-only-true-is-success" "o-rejected"
    "o-lost-connection" "o-timeout" "o-declined" "o-offline" "o-chat-info" "o-stream-without-edits"
    "o-final-answer" "o-seal" "o-seal-rejected" "o-seal-ambiguous" "o-draft-rejected" "o-stream-declined"
    "o-task-card" "o-auto-thread" "o-turn" "o-thread-rename" "m-scope" "m-caller-wins" "m-unknown-chat"
    "m-platform-tag" "m-foreign-platform" "m-follow-up" "m-thread-parent" "m-prime" "m-notify" "m-slack-anchor"
    "m-own-metadata" "l-redial" "l-backoff-grows" "l-flapping" "l-silent-connector" "l-cold-refusal" "l-expired"
    "l-one-refusal" "l-revoked" "l-revoked-by-401" "l-foreign-401" "l-plain-401" "l-other-close" "l-retry-after"
    "l-refusal-reason" "l-ping" "l-dead-connection" "l-go-idle" "l-idle-unconfirmed" "l-dormant"
    "l-dormant-unconfirmed" "l-disconnect" "l-disconnect-pending" "l-interrupt" "l-early-event" "l-late-descriptor"
    "a-ack-after-accept" "a-live-unacked" "a-forward-acked" "a-refused" "a-unknown-buffered" "a-foreign-forward"
    "a-unreadable" "a-dead-letter" "a-duplicate" "a-edit" "a-one-ack" "a-drain" "a-flood" "a-results-overtake"
    "p-command" "p-component" "p-modal" "p-ignored" "p-bad-body" "p-thread" "i-prompt" "i-once" "i-foreign"
    "i-incomplete-answer" "i-own-id" "i-elsewhere" "i-not-offered" "x-raw-op" "x-unknown-field" "x-bad-agent-lines"
    "x-many-requests" "x-descriptor-fields" "x-raw-events" "x-error-frame" "x-unknown-frames"
};

/// Files of scenarios against a connector, in the order of reports.
const CONNECTOR: &[(&str, &str)] = files! { "connector":
    "handshake" "o-answered" "w-newlines" "w-frame-in-pieces" "w-binary-messages" "w-bad-lines" "w-unknown-types"
    "d-each-hello" "d-own-platform" "o-result" "o-message-id" "o-many" "o-unknown-op" "o-malformed-request"
    "o-chat-info" "o-edit" "l-interrupt" "l-going-idle" "l-idle-requests" "l-ping" "l-wrong-token" "l-no-token"
    "l-malformed-token" "l-foreign-token" "l-expired-token" "l-reconnect" "l-second-connection" "a-stray-ack"
    "a-live" "a-buffered" "a-drain" "a-idle-buffers"
};

/// Name of the scenario that all others of its side need.
const FIRST: &str = "handshake";

/// Returns all scenarios of a side, in the order of reports.
///
/// # Errors
/// A file cannot be read. Tests exclude that.
pub fn scenarios(side: Side) -> Result<Vec<Scenario>, ScenarioError> {
    let files = match side {
        Side::Gateway => GATEWAY,
        Side::Connector => CONNECTOR,
    };
    let parse = |(name, text): &(&str, &str)| {
        let mut scenario = Scenario::parse(side, name, text)?;
        if scenario.needs.is_empty() && scenario.name != FIRST {
            scenario.needs.push(FIRST.to_owned());
        }
        Ok(scenario)
    };
    files.iter().map(parse).collect()
}

/// Selection of scenarios. The default selects all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Parts of names, of which one must occur; all names if it is empty.
    pub only: Vec<String>,
    /// Parts of names that must not occur.
    pub skip: Vec<String>,
    /// Rules, of which one must be proved; all if it is empty.
    pub rules: Vec<String>,
    /// Level to select.
    pub level: Option<Level>,
    /// True to leave out slow scenarios.
    pub is_quick: bool,
}

impl Selection {
    /// Returns true if the scenario is selected.
    pub fn selects(&self, scenario: &Scenario) -> bool {
        let has = |parts: &[String]| parts.iter().any(|part| scenario.name.contains(part.as_str()));
        let proves = |rule: &String| scenario.rules.iter().any(|known| known.eq_ignore_ascii_case(rule));
        (self.only.is_empty() || has(&self.only))
            && !has(&self.skip)
            && (self.rules.is_empty() || self.rules.iter().any(proves))
            && self.level.is_none_or(|level| level == scenario.level)
            && !(self.is_quick && scenario.is_slow)
    }
}

/// Rules that no scenario against a gateway names, with the reason.
pub const UNSEEN_RULES: &[(&str, &str)] = &[
    ("D-5", "it decides how an agent formats code, and no frame shows that"),
    ("L-15", "the clock of another process cannot be changed"),
    ("I-8", "its users have no place in the environment that the suite gives"),
    ("S-8", "its settings have no place in the environment that the suite gives"),
    ("C-2", "the connector verifies tokens"),
    ("C-3", "webhook requests have a port of their own, which the bridge does not tell"),
    ("C-5", "the absence of code cannot be seen"),
    ("C-6", "the suite dials on this machine only"),
    ("C-7", "the player's port has no certificate"),
    ("H-1", "enrollment is a command of its own"),
    ("H-2", "enrollment is a command of its own"),
    ("H-3", "enrollment is a command of its own"),
    ("H-4", "provisioning comes before the dial, and a gateway with a secret does not provision"),
    ("H-5", "policies have no place in the environment that the suite gives"),
    ("H-6", "webhook requests have a port of their own, which the bridge does not tell"),
    ("H-7", "files of the agent are outside of the WebSocket"),
    ("H-8", "access tokens are for enrollment and provisioning"),
    ("H-9", "the suite gives each setting in one source"),
    ("X-6", "its settings have no place in the environment that the suite gives"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    const SIDES: [Side; 2] = [Side::Gateway, Side::Connector];

    fn all(side: Side) -> Vec<Scenario> {
        scenarios(side).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns the rules of `PROTOCOL.md`.
    fn rules() -> BTreeSet<String> {
        let text = include_str!("../../../PROTOCOL.md");
        let (text, _) = text.split_once("\n## How the public implementation differs\n").unwrap();
        let is_rule = |word: &str| {
            let (letter, number) = word.split_once('-').unwrap_or_default();
            letter.len() == 1 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        };
        let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
        let mut rules: BTreeSet<String> =
            cells.filter(|(cell, _)| is_rule(cell)).map(|(cell, _)| cell.to_owned()).collect();
        let (_, limits) = text.split_once("## X. Limits").unwrap();
        for number in 1..20 {
            let rule = format!("X-{number}");
            if limits.contains(&format!("**X-{number}")) || limits.contains(&format!("| {rule} |")) {
                rules.insert(rule);
            }
        }
        rules
    }

    #[test]
    fn every_file_is_listed_once_and_can_be_read() {
        for side in SIDES {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(side.name());
            let files: BTreeSet<String> = std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let listed: Vec<String> = all(side).iter().map(|one| format!("{}.toml", one.name)).collect();
            assert_eq!(files, listed.iter().cloned().collect(), "{}", side.name());
            assert_eq!(files.len(), listed.len(), "{}: a name is listed twice", side.name());
        }
    }

    #[test]
    fn scenarios_name_rules_and_scenarios_that_there_are() {
        let rules = rules();
        for side in SIDES {
            let all = all(side);
            for (at, one) in all.iter().enumerate() {
                for rule in &one.rules {
                    assert!(rules.contains(rule), "{}: PROTOCOL.md has no rule {rule}", one.name);
                }
                for need in &one.needs {
                    let place = all.iter().position(|other| other.name == *need);
                    assert!(place.is_some_and(|place| place < at), "{}: needs {need}", one.name);
                }
            }
        }
    }

    #[test]
    fn titles_are_claims_and_reasons_are_sentences() {
        for one in SIDES.into_iter().flat_map(all) {
            assert!(!one.title.ends_with('.') && one.title.len() <= 120, "{}: {}", one.name, one.title);
            assert!(one.why.ends_with('.') && one.why.len() <= 160, "{}: {}", one.name, one.why);
        }
    }

    #[test]
    fn every_rule_is_proved_or_has_a_reason() {
        let proved: BTreeSet<String> = all(Side::Gateway).into_iter().flat_map(|one| one.rules).collect();
        let rules = rules();
        for rule in &rules {
            let is_unseen = UNSEEN_RULES.iter().any(|(unseen, _)| unseen == rule);
            assert_ne!(proved.contains(rule), is_unseen, "{rule}: name it in one scenario, or give a reason");
        }
        for (rule, _) in UNSEEN_RULES {
            assert!(rules.contains(*rule), "PROTOCOL.md has no rule {rule}");
        }
    }
}
