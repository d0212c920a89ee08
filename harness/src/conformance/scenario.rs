//! Scenarios as data: one file each, in TOML, whose steps are JSON lines.

use super::step::Step;
use super::timings::Timings;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Side that is tested.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// A gateway. The player is its connector and its agent.
    Gateway,
    /// A connector. The player is its gateway.
    Connector,
}

impl Side {
    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Side::Gateway => "gateway",
            Side::Connector => "connector",
        }
    }
}

/// Variables that have a value before the first step: filler, which the act `frame` makes, and against a connector its
/// platform and bot, a chat, and a text that is new in each scenario.
const GIVEN_VARIABLES: [&str; 5] = ["pad", "platform", "bot", "chat", "nonce"];

/// Weight of a scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A program that does not pass loses messages, or does not work with some peer.
    Must,
    /// A program that does not pass works, but worse. The verdict is a warning.
    Should,
}

impl Level {
    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Level::Must => "must",
            Level::Should => "should",
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "must" => Ok(Level::Must),
            "should" => Ok(Level::Should),
            _ => Err(format!("{text:?} is no level: take must or should")),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A scenario.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// Name: that of its file, without the ending. Unique on its side.
    pub name: String,
    /// Claim about a conforming program.
    pub title: String,
    /// Ids of the rules of `PROTOCOL.md` that it proves.
    pub rules: Vec<String>,
    /// Weight of its verdict.
    pub level: Level,
    /// Reason why it matters to a user, in one sentence.
    pub why: String,
    /// Names of the scenarios without which it makes no sense.
    pub needs: Vec<String>,
    /// True if `--quick` leaves it out.
    pub is_slow: bool,
    /// True if it needs a way to make the connector deliver something.
    pub needs_inbound: bool,
    /// Platforms of the gateway, with the id of its bot on each.
    pub(super) identities: Vec<(String, String)>,
    /// Time-outs for a program that takes `--set`.
    pub(super) set: BTreeMap<String, String>,
    /// Further environment variables of the gateway.
    pub(super) env: BTreeMap<String, String>,
    /// True if the steps begin with the dial, not with a connected gateway.
    pub(super) starts_cold: bool,
    /// Options of the player's connector.
    pub(super) connector: ConnectorOptions,
    /// The steps.
    pub(super) steps: Vec<Step>,
}

/// Options of the player's connector.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectorOptions {
    /// True if refused upgrades are answered 401 instead of closed.
    #[serde(default)]
    pub(super) refuses_by_http: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    rules: Vec<String>,
    level: Level,
    why: String,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    slow: bool,
    #[serde(default)]
    identities: Vec<(String, String)>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    start: Start,
    #[serde(default)]
    connector: ConnectorOptions,
    steps: String,
}

/// State in which the steps begin.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Start {
    /// The gateway is connected.
    #[default]
    Connected,
    /// The program has just been started.
    Cold,
}

/// Error of a scenario's file: its name, the line, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}: {message}")]
pub struct ScenarioError {
    file: String,
    message: String,
}

impl Scenario {
    /// Parses the text of a file.
    ///
    /// # Errors
    /// The text is not TOML, a field is missing or unknown, or a step cannot be read. The error names the line.
    pub fn parse(side: Side, name: &str, text: &str) -> Result<Scenario, ScenarioError> {
        let fail = |message: String| ScenarioError { file: format!("{}/{name}.toml", side.name()), message };
        let file: File =
            toml::from_str(text).map_err(|error| fail(error.to_string().trim_end().to_owned()))?;
        for (field, value) in [("title", &file.title), ("why", &file.why)] {
            if value.trim().is_empty() {
                return Err(fail(format!("`{field}` is empty")));
            }
        }
        if file.rules.is_empty() {
            return Err(fail("`rules` is empty: name the rules of PROTOCOL.md that it proves".to_owned()));
        }
        for (name, value) in &file.set {
            Timings::default().set(name, value).map_err(|error| fail(format!("`set`: {error}")))?;
        }
        // The steps are the only text of several lines, so their place is that of their quotes.
        let before = text.split_once("'''").map_or(0, |(before, _)| before.lines().count());
        let mut known: Vec<String> = GIVEN_VARIABLES.map(str::to_owned).into();
        let mut steps = Vec::new();
        for (index, line) in file.steps.lines().enumerate() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let number = before + index + 1;
            let step = Step::parse(side, number, line, &mut known)
                .map_err(|error| fail(format!("line {number}: {error}")))?;
            steps.push(step);
        }
        if steps.is_empty() {
            return Err(fail("`steps` is empty: a scenario that does nothing proves nothing".to_owned()));
        }
        let needs_inbound = steps.iter().any(Step::needs_inbound);
        let identities = match file.identities {
            identities if identities.is_empty() => vec![("discord".to_owned(), "1001".to_owned())],
            identities => identities,
        };
        Ok(Scenario {
            name: name.to_owned(),
            title: file.title,
            rules: file.rules,
            level: file.level,
            why: file.why,
            needs: file.needs,
            is_slow: file.slow,
            needs_inbound,
            identities,
            set: file.set,
            env: file.env,
            starts_cold: file.start == Start::Cold,
            connector: file.connector,
            steps,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "title = \"t\"\nrules = [\"A-1\"]\nlevel = \"must\"\nwhy = \"w\"\n";

    #[test]
    fn a_file_is_read_with_the_lines_of_its_steps() {
        let text = format!("{HEAD}steps = '''\n# a comment\n{{\"wait\":\"1s\"}}\n'''\n");
        let scenario = Scenario::parse(Side::Gateway, "x", &text).unwrap();
        assert_eq!((scenario.steps[0].line, scenario.identities[0].0.as_str()), (7, "discord"));
    }

    #[test]
    fn an_error_names_file_and_line() {
        for (rest, part) in [
            ("steps = '''\n{\"wait\":\"1s\"}\nx\n'''\n", "gateway/x.toml: line 7: not a JSON object"),
            ("steps = ''", "`steps` is empty"),
            ("colour = 1\nsteps = ''", "unknown field `colour`"),
            ("", "missing field `steps`"),
            ("set = { nap = \"1s\" }\nsteps = ''", "`set`: nap: there is no such time-out"),
        ] {
            let error =
                Scenario::parse(Side::Gateway, "x", &format!("{HEAD}{rest}")).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
