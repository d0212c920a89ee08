//! Steps of a scenario: JSON lines, one step each.
//!
//! | line | effect |
//! |---|---|
//! | `{"do":…}` | The player acts: an instruction as for `relayline connector`, or one of [`GATEWAY_ACTS`] or [`CONNECTOR_ACTS`]. |
//! | `{"agent":{…}}` | The agent writes this line of the bridge. |
//! | `{"expect":{…},"within":"2s"}` | An observation of the player, or a line for the agent, must match in time. Earlier ones are skipped. A list must be matched in any order. `without` must not match before. |
//! | `{"never":{…},"for":"500ms"}` | Nothing matches for this time, and nothing has since the last match. |
//! | `{"wait":"100ms"}` | Time passes. |
//! | `{"inbound":{…},"buffered":true}` | A user sends a message by `--inbound-command`. |
//!
//! `says` is what the step shows, for the report. With `"else":"warn"` an unmet expectation is a warning.

use super::pattern::variables_in;
use super::scenario::Side;
use super::timings::Timings;
use relayline_connector::Control;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Acts of the player against a gateway, besides those of a connector's bridge.
const GATEWAY_ACTS: [&str; 6] = ["frame", "binary", "refuse_upgrade", "stall", "end_input", "kill"];
/// Acts of the player against a connector.
const CONNECTOR_ACTS: [&str; 7] = ["dial", "frame", "raw", "binary", "ping", "close", "drop"];
/// Time limit of an expectation that names none.
const PATIENCE: &str = "10s";

/// A step, with its line in the file.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) says: Option<String>,
    pub(super) kind: StepKind,
}

/// Content of a step.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum StepKind {
    /// Something that the player does.
    Do(Map<String, Value>),
    /// A line of the agent.
    Agent(Value),
    /// Expectations that must be met.
    Expect(Expectation),
    /// Observations that must not be made.
    Never { pattern: Value, time: String },
    /// A pause.
    Wait(String),
    /// A message of a user, by the command of the operator.
    Inbound { event: Map<String, Value>, buffered: bool },
}

/// Observations that must be made in time, in any order.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Expectation {
    pub(super) patterns: Vec<Value>,
    pub(super) within: String,
    /// Observations that must not be made before.
    pub(super) without: Option<Value>,
    /// True if an unmet expectation is a warning.
    pub(super) is_warning: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectLine {
    expect: Value,
    #[serde(default)]
    within: Option<String>,
    #[serde(default)]
    without: Option<Value>,
    #[serde(default, rename = "else")]
    otherwise: Option<Otherwise>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Otherwise {
    Warn,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NeverLine {
    never: Value,
    #[serde(rename = "for")]
    time: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitLine {
    wait: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentLine {
    agent: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InboundLine {
    inbound: Map<String, Value>,
    #[serde(default)]
    buffered: bool,
}

impl Step {
    /// Parses a line. `known` has the variables of the lines before, and gets those of this one.
    pub(super) fn parse(
        side: Side,
        line: usize,
        text: &str,
        known: &mut Vec<String>,
    ) -> Result<Step, String> {
        let mut fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
        let says = match fields.remove("says") {
            None => None,
            Some(Value::String(says)) => Some(says),
            Some(other) => return Err(format!("`says` must be a string, not {other}")),
        };
        let kind = parse_kind(side, fields)?;
        check_variables(&kind, known)?;
        Ok(Step { line, says, kind })
    }

    /// Returns true if the step makes the connector deliver something.
    pub(super) fn needs_inbound(&self) -> bool {
        matches!(self.kind, StepKind::Inbound { .. })
    }
}

fn parse_kind(side: Side, mut fields: Map<String, Value>) -> Result<StepKind, String> {
    let has = |name: &str| fields.contains_key(name);
    match side {
        _ if has("do") => {
            check_act(side, &fields)?;
            Ok(StepKind::Do(fields))
        }
        _ if has("expect") => {
            let line: ExpectLine = read(fields)?;
            let patterns = match line.expect {
                Value::Array(patterns) => patterns,
                pattern => vec![pattern],
            };
            let is_warning = line.otherwise.is_some();
            let within = line.within.unwrap_or_else(|| PATIENCE.to_owned());
            check_time(&within)?;
            patterns.iter().chain(&line.without).try_for_each(|pattern| check_pattern(side, pattern))?;
            Ok(StepKind::Expect(Expectation { patterns, within, without: line.without, is_warning }))
        }
        _ if has("never") => {
            let line: NeverLine = read(fields)?;
            check_time(&line.time)?;
            check_pattern(side, &line.never)?;
            Ok(StepKind::Never { pattern: line.never, time: line.time })
        }
        _ if has("wait") => {
            let line: WaitLine = read(fields)?;
            check_time(&line.wait)?;
            Ok(StepKind::Wait(line.wait))
        }
        Side::Gateway if has("agent") => {
            let line: AgentLine = read(fields)?;
            Ok(StepKind::Agent(Value::Object(line.agent)))
        }
        Side::Connector if has("inbound") => {
            let line: InboundLine = read(std::mem::take(&mut fields))?;
            Ok(StepKind::Inbound { event: line.inbound, buffered: line.buffered })
        }
        Side::Gateway => Err("it has none of `do`, `agent`, `expect`, `never` and `wait`".to_owned()),
        Side::Connector => Err("it has none of `do`, `inbound`, `expect`, `never` and `wait`".to_owned()),
    }
}

fn read<T: serde::de::DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
}

fn check_time(text: &str) -> Result<(), String> {
    Timings::default().evaluate(text).map(drop).map_err(|error| error.to_string())
}

/// Checks that a pattern says where its observation comes from.
fn check_pattern(side: Side, pattern: &Value) -> Result<(), String> {
    let fields = pattern.as_object().ok_or("a pattern is an object")?;
    if let Some(alternatives) = fields.get("$any_of").and_then(Value::as_array) {
        return alternatives.iter().try_for_each(|pattern| check_pattern(side, pattern));
    }
    let is_known = match side {
        Side::Gateway => fields.contains_key("saw") || fields.contains_key("event"),
        Side::Connector => fields.contains_key("saw"),
    };
    if is_known { Ok(()) } else { Err(format!("{pattern}: a pattern needs `saw` or `event`")) }
}

/// Checks that the player knows an act.
fn check_act(side: Side, fields: &Map<String, Value>) -> Result<(), String> {
    let name = fields.get("do").and_then(Value::as_str).ok_or("`do` must be a string")?;
    match side {
        Side::Gateway if GATEWAY_ACTS.contains(&name) => Ok(()),
        Side::Gateway => Control::from_fields(fields.clone()).map(drop).map_err(|error| error.to_string()),
        Side::Connector if CONNECTOR_ACTS.contains(&name) => Ok(()),
        Side::Connector => {
            Err(format!("`{name}`: there is no such act: take one of {}", CONNECTOR_ACTS.join(", ")))
        }
    }
}

/// Checks the variables of a step: an act uses those that an expectation has set.
fn check_variables(kind: &StepKind, known: &mut Vec<String>) -> Result<(), String> {
    let mut names = Vec::new();
    let used = match kind {
        StepKind::Expect(expectation) => {
            expectation.patterns.iter().try_for_each(|pattern| variables_in(pattern, known))?;
            expectation.without.iter().try_for_each(|pattern| variables_in(pattern, &mut names))?;
            &names
        }
        StepKind::Never { pattern, .. } => {
            variables_in(pattern, &mut names)?;
            &names
        }
        StepKind::Do(fields) | StepKind::Inbound { event: fields, .. } => {
            fields.values().try_for_each(|value| variables_in(value, &mut names))?;
            &names
        }
        StepKind::Agent(line) => {
            variables_in(line, &mut names)?;
            &names
        }
        StepKind::Wait(_) => &names,
    };
    match used.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(format!("`${name}` has no value yet: an expectation must set it before")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(side: Side, line: &str) -> String {
        Step::parse(side, 1, line, &mut Vec::new()).unwrap_err()
    }

    #[test]
    fn a_wrong_line_is_refused_with_the_reason() {
        for (line, part) in [
            ("x", "not a JSON object"),
            ("{}", "it has none of"),
            (r#"{"do":"dance"}"#, "unknown `do`"),
            (r#"{"do":"raw","text":"$x"}"#, "`$x` has no value yet"),
            (r#"{"expect":{"frame":1}}"#, "needs `saw` or `event`"),
            (r#"{"expect":{"saw":{"$near":1}}}"#, "no such condition"),
            (r#"{"expect":{"saw":"x"},"within":"soon"}"#, "\"soon\" is neither a time"),
            (r#"{"expect":{"saw":"x"},"else":"fail"}"#, "unknown variant `fail`"),
            (r#"{"never":{"saw":"x"}}"#, "missing field `for`"),
            (r#"{"wait":"1s","x":1}"#, "unknown field `x`"),
            (r#"{"wait":"1s","says":1}"#, "`says` must be a string"),
        ] {
            assert!(refused(Side::Gateway, line).contains(part), "{line}: {}", refused(Side::Gateway, line));
        }
        assert!(refused(Side::Connector, r#"{"do":"mute"}"#).contains("no such act"));
        assert!(refused(Side::Connector, r#"{"agent":{}}"#).contains("it has none of"));
    }

    #[test]
    fn a_variable_is_known_after_its_expectation() {
        let mut known = Vec::new();
        Step::parse(Side::Gateway, 1, r#"{"expect":{"saw":"frame","id":"$id"}}"#, &mut known).unwrap();
        let step = Step::parse(Side::Gateway, 2, r#"{"agent":{"op":"ack","id":"$id"}}"#, &mut known).unwrap();
        assert!(matches!(step.kind, StepKind::Agent(_)));
    }
}
