//! Flags that select scenarios, and their list.

use clap::Args;
use relayline_harness::conformance::{Level, Scenario, Selection, Side, scenarios};
use std::collections::BTreeSet;

/// Flags that select scenarios.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scenarios")]
pub(super) struct SelectionArguments {
    /// List the selected scenarios with their rules and levels, and exit.
    #[arg(long)]
    pub(super) list: bool,

    /// Run only scenarios whose name contains this text. Repeatable.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,

    /// Leave out scenarios whose name contains this text. Repeatable.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    skip: Vec<String>,

    /// Run only scenarios that prove this rule, as in L-9. Repeatable.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    rule: Vec<String>,

    /// Run only scenarios of this level: must or should.
    #[arg(long, value_name = "LEVEL", value_parser = |text: &str| text.parse::<Level>())]
    level: Option<Level>,

    /// Leave out slow scenarios, so that a run takes less than a minute.
    #[arg(long)]
    quick: bool,
}

impl SelectionArguments {
    /// Returns the selected scenarios of a side, and those that they need.
    ///
    /// # Errors
    /// A flag selects nothing. The text names it.
    pub(super) fn scenarios(&self, side: Side) -> Result<Vec<Scenario>, String> {
        let all = scenarios(side).map_err(|error| error.to_string())?;
        for (flag, parts) in [("only", &self.only), ("skip", &self.skip)] {
            let is_unused = |part: &&String| !all.iter().any(|one| one.name.contains(part.as_str()));
            if let Some(part) = parts.iter().find(is_unused) {
                return Err(format!("--{flag} {part}: no scenario has that in its name: --list shows them"));
            }
        }
        let proves =
            |one: &Scenario, rule: &str| one.rules.iter().any(|known| known.eq_ignore_ascii_case(rule));
        let unknown = self.rule.iter().find(|rule| !all.iter().any(|one| proves(one, rule)));
        if let Some(rule) = unknown {
            return Err(format!(
                "--rule {rule}: no scenario proves that rule: --list shows those that are proved"
            ));
        }
        let selection = Selection {
            only: self.only.clone(),
            skip: self.skip.clone(),
            rules: self.rule.clone(),
            level: self.level,
            is_quick: self.quick,
        };
        let selected: Vec<Scenario> = all.into_iter().filter(|one| selection.selects(one)).collect();
        match selected.is_empty() {
            true => Err("the flags select no scenario: leave one of them out".to_owned()),
            false => Ok(selected),
        }
    }
}

/// Returns the list of scenarios, a line each: level, name, rules, title.
pub(super) fn list(scenarios: &[Scenario]) -> String {
    let widest = scenarios.iter().map(|one| one.name.len()).max().unwrap_or(0);
    let rules = scenarios.iter().map(|one| one.rules.join(",").len()).max().unwrap_or(0);
    let lines = scenarios.iter().map(|one| {
        let proved = one.rules.join(",");
        format!("{:<6}  {:<widest$}  {proved:<rules$}  {}\n", one.level.name(), one.name, one.title)
    });
    lines.collect()
}

/// Returns the names of all scenarios of a side.
pub(super) fn names(all: &[Scenario]) -> BTreeSet<&str> {
    all.iter().map(|one| one.name.as_str()).collect()
}
