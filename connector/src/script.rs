//! Scripts for a connector: control lines, waits and expectations.

use crate::control::{Control, ControlError, read_object};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// One line of a script.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// `{"do":…}`: carry out an instruction.
    Control(Control),
    /// `{"wait_ms":…}`: let time pass.
    Wait(Duration),
    /// `{"expect":{…},"within_ms":…}`: wait for an observation.
    Expect {
        /// Fields of the observation, as [`is_part_of`] compares them.
        expect: Map<String, Value>,
        /// Maximum time to wait. Default 5 s.
        within: Duration,
    },
}

/// Default of `within_ms`.
const DEFAULT_WITHIN_MS: u64 = 5000;

impl Step {
    /// Parses a line.
    ///
    /// # Errors
    /// Fails with [`ControlError::Unreadable`], which says what is wrong with the line.
    pub fn parse(line: &str) -> Result<Self, ControlError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wait {
            wait_ms: u64,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Expect {
            expect: Map<String, Value>,
            #[serde(default)]
            within_ms: Option<u64>,
        }
        let bad = |error: serde_json::Error| ControlError::Unreadable(error.to_string());
        let fields = read_object(line)?;
        if fields.contains_key("wait_ms") {
            let wait: Wait = serde_json::from_value(fields.into()).map_err(bad)?;
            Ok(Step::Wait(Duration::from_millis(wait.wait_ms)))
        } else if fields.contains_key("expect") {
            let expect: Expect = serde_json::from_value(fields.into()).map_err(bad)?;
            let within = Duration::from_millis(expect.within_ms.unwrap_or(DEFAULT_WITHIN_MS));
            Ok(Step::Expect { expect: expect.expect, within })
        } else {
            Control::from_fields(fields).map(Step::Control)
        }
    }
}

/// Returns true if `part` matches `whole`. Of an object every field must be there and match; an array must have the same
/// length and match item by item; anything else must be equal.
pub fn is_part_of(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| is_part_of(part, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part_of(part, whole))
        }
        (part, whole) => part == whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Act;
    use serde_json::json;

    #[test]
    fn every_kind_of_line_is_read_and_errors_name_the_problem() {
        let check = |line: &str, expected: Result<Step, &str>| {
            assert_eq!(
                Step::parse(line).map_err(|error| error.to_string()),
                expected.map_err(str::to_owned),
                "{line}"
            );
        };
        let expect = || json!({"saw": "dial"}).as_object().cloned().unwrap_or_default();
        check(r#"{"do":"drop"}"#, Ok(Step::Control(Act::Drop.into())));
        check(r#"{"wait_ms":20}"#, Ok(Step::Wait(Duration::from_millis(20))));
        check(
            r#"{"expect":{"saw":"dial"}}"#,
            Ok(Step::Expect { expect: expect(), within: Duration::from_secs(5) }),
        );
        check(
            r#"{"expect":{"saw":"dial"},"within_ms":9}"#,
            Ok(Step::Expect { expect: expect(), within: Duration::from_millis(9) }),
        );
        check(r#"{"wait_ms":-1}"#, Err("invalid value: integer `-1`, expected u64"));
        check(r#"{"wait_ms":1,"x":2}"#, Err("unknown field `x`, expected `wait_ms`"));
        check(r#"{"expect":"dial"}"#, Err("invalid type: string \"dial\", expected a map"));
        check(r#"{"wait":1}"#, Err("`do` is missing: it says what to do, {\"do\":\"drop\"} for one"));
        check("wait", Err("not a JSON object, like {\"do\":\"drop\"}: expected value at column 1"));
    }

    #[test]
    fn a_part_matches() {
        let check = |part: Value, matches: bool| {
            let whole = json!({"saw": "frame", "frame": {"type": "outbound", "action": {"op": "send", "options": [{"id": "a", "label": "A"}]}}});
            assert_eq!(is_part_of(&part, &whole), matches, "{part}");
        };
        check(json!({}), true);
        check(json!({"frame": {"action": {"op": "send"}}}), true);
        check(json!({"frame": {"action": {"options": [{"id": "a"}]}}}), true);
        check(json!({"frame": {"action": {"options": []}}}), false);
        check(json!({"frame": {"action": {"op": "edit"}}}), false);
        check(json!({"frame": {"action": {"reply_to": null}}}), false);
        check(json!({"frame": "outbound"}), false);
    }
}
